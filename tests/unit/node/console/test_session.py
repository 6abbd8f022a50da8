"""Sessions of the console end by themselves, and looking at them is no action."""

from yidao.node.client import Session as Opened
from yidao.node.client import User, WhoAmI
from yidao.node.console import session as module
from yidao.node.console.session import Session, Sessions

IDLE_SECONDS = 600.0


class Clock:
    """Time that passes when a test says so."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def opened(sessions: Sessions, unit: str = "") -> Session:
    user = User(name="li", title="样例填报员", roles=("filler",), unit=unit)
    who = WhoAmI(user=user, actor="li@/33", permissions=("reporting.submit",))
    return sessions.open(
        Opened(token="t", user=user, idle_seconds=int(IDLE_SECONDS)), who, unit=unit
    )


def test_looking_keeps_no_session_alive() -> None:
    """A page that looks every few seconds leaves in time; an action begins the time anew."""
    clock = Clock()
    sessions = Sessions(clock)
    session = opened(sessions)
    while clock.now < IDLE_SECONDS:
        assert sessions.find(session.key) is session
        clock.now += 4
    sessions.touch(session)
    clock.now += IDLE_SECONDS
    assert sessions.find(session.key) is session
    clock.now += 1
    assert sessions.find(session.key) is None
    assert sessions.end(session.key) is None


def test_the_oldest_gives_way(monkeypatch) -> None:
    """Above the limit, whoever did nothing longest signs in again."""
    monkeypatch.setattr(module, "MAX_SESSIONS", 2)
    sessions = Sessions(Clock())
    first, second = opened(sessions), opened(sessions)
    sessions.touch(first)
    third = opened(sessions)
    assert [sessions.find(each.key) for each in (first, second, third)] == [first, None, third]


def test_an_account_of_one_institution_is_bound() -> None:
    """Whoever may choose an institution at the sign-in is not."""
    sessions = Sessions(Clock())
    assert opened(sessions, unit="91330106000000009X").bound
    assert not opened(sessions).bound


def test_a_note_is_read_once() -> None:
    """By the browser that it was left for."""
    sessions = Sessions(Clock())
    sessions.leave_note("a", "样例")
    assert [sessions.take_note(each) for each in ("b", "a", "a")] == [None, "样例", None]
