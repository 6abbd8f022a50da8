"""Who sits at which browser: cookies on one side, tokens of the node on the other.

A session begins with a sign-in that the node accepted and always gets a new
random cookie, so that one planted before is worth nothing. It ends by signing
out, by the node's word, or after the node's own idle time without an action of
the person; pages that refresh by themselves are no action.
"""

import hashlib
import hmac
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from yidao.node.client import Session as Opened
from yidao.node.client import WhoAmI

SESSION_COOKIE: Final = "yidao_session"
#: A browser that has not signed in; ties the sign-in form to it (login CSRF).
VISITOR_COOKIE: Final = "yidao_visitor"
LANGUAGE_COOKIE: Final = "yidao_language"
#: Sessions at once; a county node's clerks sit at a few dozen browsers.
MAX_SESSIONS: Final = 2_000
_MAX_NOTES: Final = 1_000
_COOKIE_BYTES: Final = 32


@dataclass(slots=True, kw_only=True)
class Session:
    """One person at one browser.

    Attributes:
        key: The cookie's value.
        token: Shown to the node with each call; never leaves this process.
        actor: `name@/33`.
        unit: The institution whose desk is open; empty = the office itself.
        bound: The account is for one institution; lists of others are not offered to it, and
            the node refuses what is behind them.
        permissions: What the roles allow, to show no door that is locked.
    """

    key: str
    token: str
    user: str
    title: str
    actor: str
    unit: str
    bound: bool
    permissions: frozenset[str]
    must_change_password: bool
    idle_seconds: float
    last_action: float

    def may(self, permission: str) -> bool:
        """Tell whether the person's roles allow something; the node decides all the same."""
        return permission in self.permissions


class Sessions:
    """All sessions of this process, in memory: a restart asks everybody to sign in again."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._secret = secrets.token_bytes(_COOKIE_BYTES)
        self._by_key: OrderedDict[str, Session] = OrderedDict()
        self._notes: OrderedDict[str, object] = OrderedDict()

    def open(self, opened: Opened, who: WhoAmI, *, unit: str) -> Session:
        """Begin a session under a new random cookie; the oldest gives way above the limit.

        Args:
            opened: What the node answered to the sign-in.
            who: What it says of the person.
            unit: The institution that was asked for; empty = the person's own.
        """
        session = Session(
            key=new_cookie(),
            token=opened.token,
            user=who.user.name,
            title=who.user.title,
            actor=who.actor,
            unit=unit or who.user.unit,
            bound=bool(who.user.unit),
            permissions=frozenset(who.permissions),
            must_change_password=opened.user.must_change_password,
            idle_seconds=opened.idle_seconds,
            last_action=self._clock(),
        )
        while len(self._by_key) >= MAX_SESSIONS:
            self._by_key.popitem(last=False)
        self._by_key[session.key] = session
        return session

    def find(self, key: str) -> Session | None:
        """Give the session of a cookie; none if it never was, or has ended."""
        session = self._by_key.get(key)
        if session is None:
            return None
        if self._clock() - session.last_action > session.idle_seconds:
            self.end(key)
            return None
        return session

    def touch(self, session: Session) -> None:
        """Note an action of the person."""
        session.last_action = self._clock()
        if session.key in self._by_key:
            self._by_key.move_to_end(session.key)

    def end(self, key: str) -> Session | None:
        """Forget a session and give it, if it was there."""
        return self._by_key.pop(key, None)

    def form_token(self, cookie: str) -> str:
        """Give what a form must carry to be taken from the browser with this cookie."""
        return hmac.new(self._secret, cookie.encode(), hashlib.sha256).hexdigest()

    def is_form_token(self, cookie: str, given: str) -> bool:
        """Tell whether a form was made for the browser that sends it."""
        return bool(cookie) and hmac.compare_digest(
            self.form_token(cookie).encode(), given.encode()
        )

    def leave_note(self, cookie: str, note: object) -> None:
        """Keep something for the next page of a browser, such as why sign-in failed."""
        while len(self._notes) >= _MAX_NOTES:
            self._notes.popitem(last=False)
        self._notes[cookie] = note

    def take_note(self, cookie: str) -> object | None:
        """Give what was kept for a browser, once."""
        return self._notes.pop(cookie, None)


def new_cookie() -> str:
    """Give 256 random bits as a cookie value."""
    return secrets.token_urlsafe(_COOKIE_BYTES)
