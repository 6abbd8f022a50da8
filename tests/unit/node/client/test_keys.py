"""A row's own key: handed in as often as you like, it counts once."""

from dataclasses import replace

import pytest

from yidao.node.client import Client, Row, RowResult

KEY = "erp-2025-0001"


@pytest.fixture
def registered(client: Client, rows) -> Client:
    """A node that knows units 1 and 2."""
    client.submit("energy", [rows.institution(1), rows.institution(2)], actor=rows.actor)
    return client


def hand_in(client: Client, *handed: Row, actor: str = "sample@/") -> list[RowResult]:
    return list(client.submit("energy", handed, actor=actor).results)


def codes(result: RowResult) -> list[str]:
    return [fault.code for fault in result.faults]


def test_the_same_key_gives_the_first_result_again(registered: Client, rows, served) -> None:
    """Nothing is appended the second time, even when a newer version has come between."""
    row = rows.profile(1, key=KEY)
    (first,) = hand_in(registered, row)
    (newer,) = hand_in(registered, rows.profile(1, "6000.00"))
    before = served.store.last_position()
    (again,) = hand_in(registered, row)
    assert (first.outcome, first.version, first.repeat) == ("submitted", 1, False)
    assert (newer.outcome, newer.version) == ("submitted", 2)
    assert again == replace(first, repeat=True)
    # But for the audit's entry of the call.
    assert served.store.last_position() == before + 1


def test_the_same_key_with_other_content_is_refused(registered: Client, rows) -> None:
    """The row is not taken, leaves no record, and those beside it are."""
    hand_in(registered, rows.profile(1, key=KEY))
    wrong, good = hand_in(
        registered, rows.profile(1, "6000.00", key=KEY), rows.profile(2, key="erp-2025-0002")
    )
    assert (wrong.outcome, codes(wrong), wrong.record_id) == ("refused", ["KEY_REUSED"], b"")
    assert good.outcome == "submitted"
    assert [each.version for each in registered.returns(form="profile").returns] == [1, 1]


def test_another_unit_under_the_same_key_is_refused(registered: Client, rows) -> None:
    """A key names one row, not one amount."""
    hand_in(registered, rows.profile(1, key=KEY))
    (other,) = hand_in(registered, rows.profile(2, key=KEY))
    assert codes(other) == ["KEY_REUSED"]


def test_a_refused_row_leaves_its_key_free(registered: Client, rows) -> None:
    """Put right, the same document goes in under the key that it has."""
    (wrong,) = hand_in(registered, rows.profile(1, "-1", key=KEY))
    (right,) = hand_in(registered, rows.profile(1, key=KEY))
    assert (wrong.outcome, right.outcome, right.repeat) == ("refused", "submitted", False)


def test_a_key_counts_within_one_call_too(registered: Client, rows) -> None:
    """The second of two equal rows repeats the first; a different one is refused."""
    first, again, other = hand_in(
        registered,
        rows.profile(1, key=KEY),
        replace(rows.profile(1, key=KEY), row=7),
        rows.profile(2, key=KEY),
    )
    assert again == replace(first, row=7, repeat=True)
    assert codes(other) == ["KEY_REUSED"]


def test_a_key_belongs_to_its_actor(registered: Client, rows) -> None:
    """Two programs that count from 1 do not meet."""
    (first,) = hand_in(registered, rows.profile(1, key="1"), actor="erp@/")
    (second,) = hand_in(registered, rows.profile(2, key="1"), actor="meters@/")
    assert (first.outcome, second.outcome) == ("submitted", "submitted")
    assert first.record_id != second.record_id


def test_an_entry_of_the_registry_has_a_key_as_well(client: Client, rows) -> None:
    """Personal fields are compared too, though they travel apart."""
    row = rows.institution(1, key=KEY, statistician="样例统计员")
    (first,) = hand_in(client, row)
    (again,) = hand_in(client, row)
    (other,) = hand_in(client, rows.institution(1, key=KEY, statistician="样例另一人"))
    assert again == replace(first, repeat=True)
    assert codes(other) == ["KEY_REUSED"]


def test_a_dry_run_tells_what_a_key_would_do(registered: Client, rows) -> None:
    """And uses none up."""
    row = rows.profile(1, key=KEY)
    (tried,) = registered.validate("energy", [row], actor=rows.actor).results
    (first,) = hand_in(registered, row)
    (repeated,) = registered.validate("energy", [row], actor=rows.actor).results
    assert tried.outcome == "valid"
    assert (first.repeat, repeated.repeat) == (False, True)


BAD_KEYS = {"too long": "k" * 129, "a line feed": "a\nb", "an invisible mark": "a\u200bb"}


@pytest.mark.parametrize("case", BAD_KEYS)
def test_a_key_that_cannot_be_read_is_refused(registered: Client, rows, case: str) -> None:
    """Two keys that look alike are one for a person."""
    (result,) = hand_in(registered, rows.profile(1, key=BAD_KEYS[case]))
    assert (result.outcome, codes(result)) == ("refused", ["KEY_INVALID"])


def test_a_thousand_keys_are_known_again(client: Client, rows) -> None:
    """Whatever segments they stand in; in the order in which they are asked for."""
    handed = [rows.institution(n, key=f"erp-{n}") for n in range(1, 1001)]
    first = hand_in(client, *handed)
    again = hand_in(client, *reversed(handed))
    assert all(each.repeat for each in again)
    assert [each.record_id for each in reversed(again)] == [each.record_id for each in first]
