"""Passwords, the lock, and the count of refusals."""

import pytest

from yidao.node.access.audit import Event, Note
from yidao.node.access.auditor import WINDOW_MS, Tally
from yidao.node.access.errors import PasswordReused, PasswordWeak
from yidao.node.access.lockout import LOCK_MS, MAX_FAILURES, Strangers, Tries
from yidao.node.access.passwords import Hasher, check_password

SALT = bytes(range(16))
QUICK = Hasher(memory_kib=64, passes=1, lanes=1)

WEAK = {
    "nine characters": ("Abcdefg-1", "short"),
    "none": ("", "short"),
    "two kinds": ("abcdefghij1", "classes"),
    "one kind": ("样例样例样例样例样例样例", "classes"),
    "the name in it": ("Li.Ming-2026", "name"),
    "the name in other letters": ("ｌｉ.Ming-2026", "name"),
    "129 characters": ("Ab1-" * 32 + "x", "long"),
}


@pytest.mark.parametrize("case", WEAK)
def test_a_weak_password_is_refused(case: str) -> None:
    """With the rule that it breaks."""
    password, rule = WEAK[case]
    with pytest.raises(PasswordWeak) as caught:
        check_password(password, "li")
    assert caught.value.params["rule"] == rule


@pytest.mark.parametrize("password", ["Abcdefgh-1", "样例口令Ab12样例", "ab1-" * 32])
def test_a_good_password_is_accepted(password: str) -> None:
    """Ten characters of three kinds, Chinese ones too, up to 128."""
    check_password(password, "li")


def test_a_hash_fits_its_password_alone() -> None:
    """However its characters are composed; and it tells neither password nor length."""
    kept = QUICK.hash("Sample-Ａ1-é", salt=SALT)
    assert kept.startswith("$argon2id$v=19$m=64,t=1,p=1$")
    assert QUICK.verify(kept, "Sample-A1-e\u0301")
    for wrong in ("", "Sample-A1-e", "sample-A1-é", "x" * 100_000):
        assert not QUICK.verify(kept, wrong)
    assert not QUICK.verify("no hash at all", "Sample-A1-é")


def test_the_default_is_that_of_rfc_9106() -> None:
    """Section 4, the second choice: 64 MiB, three passes, four lanes."""
    hasher = Hasher()
    kept = hasher.hash("Sample-0001", salt=SALT)
    assert kept.startswith("$argon2id$v=19$m=65536,t=3,p=4$")
    assert not hasher.is_dated(kept)
    assert hasher.is_dated(QUICK.hash("Sample-0001", salt=SALT))


def test_nobody_costs_what_somebody_costs(monkeypatch: pytest.MonkeyPatch) -> None:
    """For a user that does not exist the same hash function runs with the same parameters."""
    seen = []
    kept = QUICK.hash("Sample-0001", salt=SALT)
    original = type(QUICK._argon).verify

    def verify(self, hash_, password):
        seen.append(hash_.rsplit("$", 2)[0])
        return original(self, hash_, password)

    monkeypatch.setattr(type(QUICK._argon), "verify", verify)
    assert not QUICK.verify(None, "Sample-0001")
    assert not QUICK.verify(kept, "Sample-0002")
    assert not QUICK.verify(kept, "Sample-0001" * 100)
    assert len(seen) == 3
    assert len(set(seen)) == 1


def test_former_passwords_do_not_come_back() -> None:
    """None of those that are kept."""
    former = [QUICK.hash(f"Sample-000{n}", salt=SALT) for n in range(5)]
    QUICK.check_new("Sample-0009", former)
    with pytest.raises(PasswordReused):
        QUICK.check_new("Sample-0003", former)


def test_the_fifth_wrong_password_locks_for_ten_minutes() -> None:
    """Not the fourth; a lock that is over begins a new count."""
    tries = Tries()
    for _ in range(MAX_FAILURES - 1):
        tries = tries.failed(1_000)
        assert tries.minutes_left(1_000) == 0
    tries = tries.failed(1_000)
    assert tries.minutes_left(1_000) == 10
    assert tries.minutes_left(1_000 + LOCK_MS - 1) == 1
    assert tries.minutes_left(1_000 + LOCK_MS) == 0
    assert tries.failed(1_000 + LOCK_MS) == Tries(failures=1)


def test_a_lock_of_a_clock_that_was_ahead_is_over() -> None:
    """Once the clock is right again, nobody is locked out until that day; a swing ends no lock."""
    ahead_ms = 400 * 86_400_000
    tries = Tries(failures=MAX_FAILURES - 1).failed(ahead_ms)
    assert tries.minutes_left(ahead_ms - 30_000) == 11
    assert tries.minutes_left(1_000) == 0
    assert tries.failed(1_000) == Tries(failures=1)


def test_names_that_nobody_has_are_locked_too_and_bounded() -> None:
    """A flood of invented names forgets the oldest, and no more memory is taken."""
    strangers = Strangers()
    for _ in range(MAX_FAILURES):
        strangers.failed("ghost", 0)
    assert strangers.of("ghost").minutes_left(0) == 10
    for number in range(5_000):
        strangers.failed(f"ghost{number}", 0)
    assert len(strangers._tries) == 4_096
    assert strangers.of("ghost") == Tries()


def note(name: str = "li", result: str = "SIGN_IN_REFUSED") -> Note:
    return Note(
        event=Event.SESSION_REFUSED, name=name, object=f"user/{name}", source="", result=result
    )


def test_refusals_that_are_alike_are_counted() -> None:
    """The first of a minute at once, the others as one when it is over; nothing is lost."""
    tally = Tally()
    assert [tally.count(note(), now) for now in (0, 1, 59_999)] == [1, 0, 0]
    assert tally.count(note("wang"), 5) == 1
    assert tally.due(59_999) == []
    assert [(each.name, times) for each, times in tally.due(WINDOW_MS)] == [("li", 2)]
    assert tally.due(10 * WINDOW_MS, everything=True) == []
    assert [tally.count(note(), now) for now in (WINDOW_MS, WINDOW_MS + 1)] == [1, 0]
    assert tally.count(note(), 2 * WINDOW_MS) == 2
    assert tally.count(note(), 2 * WINDOW_MS + 1) == 0
    assert [times for _, times in tally.due(2 * WINDOW_MS + 2, everything=True)] == [1]


def test_a_clock_that_goes_back_ends_a_window() -> None:
    """Nothing waits for a time that may never come."""
    tally = Tally()
    assert tally.count(note(), WINDOW_MS) == 1
    assert tally.count(note(), WINDOW_MS + 1) == 0
    assert tally.count(note(), 0) == 2


def test_kinds_of_refusals_are_bounded() -> None:
    """Beyond four thousand kinds a minute the others are one kind, and none is lost."""
    tally = Tally()
    written = sum(tally.count(note(f"u{number}"), 0) for number in range(10_000))
    assert written == 4_097
    waiting = sum(times for _, times in tally.due(WINDOW_MS))
    assert written + waiting == 10_000
