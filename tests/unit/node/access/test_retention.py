"""What pruning leaves alone."""

import pytest

from yidao.node.access.retention import KEPT_DAYS, is_kept

DAY_MS = 86_400_000
NOW_MS = 1_795_140_000_000

CASES = {
    "an audit record of today": ("local", "access.call.done", 0, True),
    "of 180 days ago": ("local", "access.user.changed", 180, True),
    "of the last day that is kept": ("local", "access.policy.set", KEPT_DAYS - 1, True),
    "of six months ago and a day": ("local", "access.call.done", KEPT_DAYS, False),
    "of tomorrow, by a clock that was put back since": ("local", "access.call.done", -1, True),
    "who asked live": ("local", "sharing.question.answered", 100, True),
    "a refused row": ("local", "reporting.return.refused", 1, False),
    "what only looks like one, in a journal that goes up": ("up:15", "access.call.done", 1, False),
    "an empty kind": ("local", "", 1, False),
}


@pytest.mark.parametrize("case", CASES)
def test_the_audit_of_half_a_year_stays(case: str) -> None:
    """Nothing of it is pruned before 180 days, whatever its kind; the rest is not its matter."""
    channel, kind, days, kept = CASES[case]
    created_ms = NOW_MS - days * DAY_MS
    assert is_kept(channel=channel, kind=kind, created_ms=created_ms, now_ms=NOW_MS) is kept


def test_no_less_than_the_law_says() -> None:
    """180 days at the very least."""
    assert KEPT_DAYS >= 180
