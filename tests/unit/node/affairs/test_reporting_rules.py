"""The rules of returns, as tables."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from yidao.node.affairs.errors import (
    DecisionInvalid,
    ReasonMissing,
    ReasonTooLong,
    ReturnStateWrong,
    ReviewForbidden,
)
from yidao.node.affairs.reporting.rules import (
    TRANSITIONS,
    Counted,
    Current,
    Decision,
    Outcome,
    PayloadDigests,
    State,
    Step,
    Version,
    admit,
    apply_step,
    check_review,
    check_reviewer,
    counted,
    decide_row,
    evolve,
)
from yidao.sync.ids import Path

GOOD = PayloadDigests(raw=b"r", judged=b"j")
BROKEN = PayloadDigests(raw=b"r", judged=b"")


def version(number: int, state: State) -> Version:
    return Version(number=number, position=number * 10, state=state)


@pytest.mark.parametrize(("state", "step"), list(itertools.product([None, *State], Step)), ids=str)
def test_only_the_steps_of_the_table_are_possible(state: State | None, step: Step) -> None:
    """A step that the table names gives its state, every other one is a typed error."""
    if (state, step) in TRANSITIONS:
        assert evolve(state, step) is TRANSITIONS[state, step]
    else:
        with pytest.raises(ReturnStateWrong) as caught:
            evolve(state, step)
        assert caught.value.params["step"] == step.value


def test_every_state_is_reached_and_a_settled_fate_is_final() -> None:
    """No state is unreachable; only a revocation leads out of refused, returned, superseded."""
    assert set(TRANSITIONS.values()) == set(State)
    sources = {state for state, step in TRANSITIONS if step is not Step.REVOKE}
    assert not sources & {State.REFUSED, State.RETURNED, State.SUPERSEDED}


STEPS = {
    "accepting supersedes an older accepted version": (
        [version(1, State.ACCEPTED), version(2, State.SUBMITTED)],
        (20, Step.ACCEPT),
        [State.SUPERSEDED, State.ACCEPTED],
    ),
    "accepting supersedes an older one that still waits": (
        [version(1, State.SUBMITTED), version(2, State.SUBMITTED)],
        (20, Step.ACCEPT),
        [State.SUPERSEDED, State.ACCEPTED],
    ),
    "accepting leaves a newer one alone": (
        [version(1, State.SUBMITTED), version(2, State.SUBMITTED)],
        (10, Step.ACCEPT),
        [State.ACCEPTED, State.SUBMITTED],
    ),
    "accepting leaves refused and returned ones as they are": (
        [version(1, State.REFUSED), version(2, State.RETURNED), version(3, State.SUBMITTED)],
        (30, Step.ACCEPT),
        [State.REFUSED, State.RETURNED, State.ACCEPTED],
    ),
    "returning supersedes nothing": (
        [version(1, State.ACCEPTED), version(2, State.SUBMITTED)],
        (20, Step.RETURN),
        [State.ACCEPTED, State.RETURNED],
    ),
    "a doubtful one can be returned": (
        [version(1, State.DOUBTFUL)],
        (10, Step.RETURN),
        [State.RETURNED],
    ),
}


@pytest.mark.parametrize("case", STEPS.values(), ids=STEPS.keys())
def test_a_step_moves_one_version_and_what_it_supersedes(case) -> None:
    """The moved version and those that give way have the states of the table."""
    versions, (position, step), states = case
    assert [each.state for each in apply_step(versions, position, step)] == states


def test_an_accepted_version_does_not_come_back_after_a_newer_one() -> None:
    """Accepting an older version after a newer one is accepted is out of order."""
    versions = apply_step(
        [version(1, State.SUBMITTED), version(2, State.SUBMITTED)], 20, Step.ACCEPT
    )
    with pytest.raises(ReturnStateWrong):
        apply_step(versions, 10, Step.ACCEPT)


def test_a_newer_ledger_supersedes_the_older_one() -> None:
    """Of rows that nobody reviews the newest stands."""
    versions = admit([version(1, State.RECORDED)], version(2, State.RECORDED))
    assert [each.state for each in versions] == [State.SUPERSEDED, State.RECORDED]


def test_handing_in_supersedes_nothing() -> None:
    """What is accepted stays so while a newer version waits."""
    versions = admit([version(1, State.ACCEPTED)], version(2, State.SUBMITTED))
    assert [each.state for each in versions] == [State.ACCEPTED, State.SUBMITTED]


COUNTS = {
    "nothing": ([], Counted(submitted=None, accepted=None)),
    "one that waits": ([version(1, State.SUBMITTED)], Counted(submitted=10, accepted=None)),
    "a doubtful one counts as handed in": (
        [version(1, State.DOUBTFUL)],
        Counted(submitted=10, accepted=None),
    ),
    "an accepted one counts in both": (
        [version(1, State.ACCEPTED)],
        Counted(submitted=10, accepted=10),
    ),
    "a correction that waits counts as handed in, the accepted one as accepted": (
        [version(1, State.ACCEPTED), version(2, State.SUBMITTED)],
        Counted(submitted=20, accepted=10),
    ),
    "after a returned correction the accepted one is what is handed in": (
        [version(1, State.ACCEPTED), version(2, State.RETURNED)],
        Counted(submitted=10, accepted=10),
    ),
    "refused, recorded and superseded ones do not count": (
        [version(1, State.SUPERSEDED), version(2, State.REFUSED), version(3, State.RECORDED)],
        Counted(submitted=None, accepted=None),
    ),
}


@pytest.mark.parametrize("case", COUNTS.values(), ids=COUNTS.keys())
def test_totals_count_one_version_of_a_return(case) -> None:
    """At most one version stands in each total."""
    versions, expected = case
    assert counted(versions) == expected
    assert counted(versions[::-1]) == expected


def current(state: State, digest: bytes, number: int = 3) -> Current:
    return Current(number=number, state=state, digest=digest)


ROWS = {
    "the first good row": (None, GOOD, False, Outcome.SUBMITTED, 1),
    "the first wrong row": (None, GOOD, True, Outcome.REFUSED, 1),
    "an equal row while the first one waits": (
        current(State.SUBMITTED, b"j"),
        GOOD,
        False,
        Outcome.UNCHANGED,
        3,
    ),
    "an equal row after acceptance": (
        current(State.ACCEPTED, b"j"),
        GOOD,
        False,
        Outcome.UNCHANGED,
        3,
    ),
    "an equal row after it was sent back": (
        current(State.RETURNED, b"j"),
        GOOD,
        False,
        Outcome.SUBMITTED,
        4,
    ),
    "another row": (current(State.ACCEPTED, b"k"), GOOD, False, Outcome.SUBMITTED, 4),
    "another wrong row": (current(State.SUBMITTED, b"k"), GOOD, True, Outcome.REFUSED, 4),
    "the same wrong row": (current(State.REFUSED, b"r"), GOOD, True, Outcome.UNCHANGED, 3),
    "the same unreadable row": (current(State.REFUSED, b"r"), BROKEN, True, Outcome.UNCHANGED, 3),
    "a refused row that is right now": (
        current(State.REFUSED, b"r"),
        GOOD,
        False,
        Outcome.SUBMITTED,
        4,
    ),
    "an unreadable row never equals one without digest": (
        current(State.SUBMITTED, b""),
        BROKEN,
        True,
        Outcome.REFUSED,
        4,
    ),
}


@pytest.mark.parametrize("case", ROWS.values(), ids=ROWS.keys())
def test_what_becomes_of_a_row(case) -> None:
    """The outcome and the version that the row makes or is equal to."""
    standing, digests, wrong, outcome, number = case
    decision = decide_row(standing, digests, wrong=wrong, stays_local=False, dry_run=False)
    assert (decision.outcome, decision.number) == (outcome, number)
    local = decide_row(standing, digests, wrong=wrong, stays_local=True, dry_run=False)
    expected = Outcome.RECORDED if outcome is Outcome.SUBMITTED else outcome
    assert local.outcome is expected
    dry = decide_row(standing, digests, wrong=wrong, stays_local=False, dry_run=True)
    assert dry.outcome is (Outcome.VALID if outcome is Outcome.SUBMITTED else outcome)


@given(
    st.lists(
        st.tuples(st.sampled_from([Step.ACCEPT, Step.RETURN, Step.DOUBT]), st.integers(1, 6)),
        max_size=20,
    )
)
def test_at_most_one_version_is_accepted_whatever_happens(steps) -> None:
    """No order of verdicts leaves two accepted versions, and none takes back a number."""
    versions = tuple(version(number, State.SUBMITTED) for number in range(1, 7))
    newest = 0
    for step, number in steps:
        try:
            versions = apply_step(versions, number * 10, step)
        except ReturnStateWrong:
            continue
        accepted = [each.number for each in versions if each.state is State.ACCEPTED]
        assert len(accepted) <= 1
        assert max(accepted, default=newest) >= newest
        newest = max(accepted, default=newest)


REVIEWS = {
    "accept": ("accept", "", Decision.ACCEPT),
    "accept with a note": ("accept", "核对无误", Decision.ACCEPT),
    "return with a reason": ("return", "水费缺凭证", Decision.RETURN),
    "return without one": ("return", " ", ReasonMissing),
    "neither": ("reject", "x", DecisionInvalid),
    "nothing": ("", "x", DecisionInvalid),
    "a reason at the limit": ("return", "长" * 500, Decision.RETURN),
    "a reason over the limit": ("return", "长" * 501, ReasonTooLong),
}


@pytest.mark.parametrize("case", REVIEWS.values(), ids=REVIEWS.keys())
def test_a_verdict_is_accept_or_return_with_a_reason(case) -> None:
    """Anything else is a typed error."""
    decision, reason, expected = case
    if isinstance(expected, Decision):
        assert check_review(decision, reason) is expected
    else:
        with pytest.raises(expected):
            check_review(decision, reason)


@pytest.mark.parametrize(
    ("own", "origin", "may"),
    [
        ("/33/06", "/33/06/a", True),
        ("/33", "/33/06/a", False),
        ("/33/06/a", "/33/06/a", False),
        ("/33/07", "/33/06/a", False),
        ("/", "/", False),
    ],
)
def test_only_the_direct_parent_reviews(own: str, origin: str, *, may: bool) -> None:
    """The origin itself, tiers above and neighbours may not."""
    if may:
        check_reviewer(Path.parse(own), Path.parse(origin), "00")
    else:
        with pytest.raises(ReviewForbidden):
            check_reviewer(Path.parse(own), Path.parse(origin), "00")
