"""One view of a page: whose it is, its words, and its questions to the node.

Every question goes out under the person's own session. What the node refuses is
shown on the page with its text and hint; when the session has ended, the person
signs in again and comes back to where they were.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar
from urllib.parse import quote, urlencode, urlsplit

from nicegui import ui
from nicegui.events import GenericEventArguments

from yidao.api.errors import YidaoError
from yidao.node.client import Client
from yidao.node.console.console import Console
from yidao.node.console.session import Session
from yidao.node.console.words import Words
from yidao.node.messages import Message, render

_Answer = TypeVar("_Answer")
_SESSION_ENDED: Final = frozenset({"SESSION_ENDED", "SESSION_UNKNOWN"})


class SignInAgain(Exception):
    """The session has ended; stays inside the console."""


@dataclass(slots=True, kw_only=True)
class Visit:
    """A page that a signed-in person looks at.

    Attributes:
        path: Of the page, with its query: where to come back to.
        query: What the address says besides.
        tell: Shows a text in the page's notice; set by the frame.
    """

    console: Console
    session: Session
    words: Words
    path: str
    query: Mapping[str, str]
    tell: Callable[[str, str], None] = field(default=lambda _kind, _text: None)

    def may(self, permission: str) -> bool:
        """Tell whether the person's roles allow something, to show what is of use to them."""
        return self.session.may(permission)

    async def ask(self, question: Callable[[Client], _Answer], *, action: bool = True) -> _Answer:
        """Put a question to the node, as this person, without holding up other pages.

        Args:
            question: Called on a thread of its own with the person's client.
            action: The person did something; False where a page refreshes by itself.

        Raises:
            SignInAgain: The session has ended.
            YidaoError: The node refused, or does not answer.
        """
        sessions = self.console.sessions
        if sessions.find(self.session.key) is None:
            raise SignInAgain
        if action:
            sessions.touch(self.session)
        client = self.console.client.with_token(self.session.token)
        try:
            return await asyncio.to_thread(question, client)
        except YidaoError as error:
            if error.code in _SESSION_ENDED:
                sessions.end(self.session.key)
                raise SignInAgain from None
            raise

    def acting(self, handler: Callable[[], Awaitable[None]]) -> Callable[[], Awaitable[None]]:
        """Wrap what a click does: errors are shown, an ended session leads to sign-in."""

        async def handled() -> None:
            await self._guarded(handler())

        return handled

    def taking(
        self, handler: Callable[[Any], Awaitable[None]]
    ) -> Callable[[GenericEventArguments], Awaitable[None]]:
        """Wrap what is done with a value that the browser sends; see `acting`."""

        async def handled(event: GenericEventArguments) -> None:
            await self._guarded(handler(event.args))

        return handled

    async def _guarded(self, doing: Awaitable[None]) -> None:
        try:
            await doing
        except SignInAgain:
            ui.navigate.to(sign_in_address("idle", self.path))
        except YidaoError as error:
            self.tell_error(error)

    def tell_error(self, error: YidaoError) -> None:
        """Show an error with its text, its hint and its code."""
        self.tell("error", spoken(render(error, self.words.language), self.words))


def spoken(message: Message, words: Words) -> str:
    """Put a message into one line for a person."""
    return words("frame.error", text=message.text, hint=message.hint, code=message.code)


def address(path: str, /, **query: str) -> str:
    """Spell an address of this console; empty values are left out."""
    kept = {name: value for name, value in query.items() if value}
    return f"{path}?{urlencode(kept)}" if kept else path


def sign_in_address(why: str = "", then: str = "") -> str:
    """Where to sign in, why, and where to go after."""
    return address("/sign-in", why=why, next=then)


def safe_next(target: str) -> str:
    """Give a place on this console, whatever was asked for."""
    parts = urlsplit(target)
    if parts.scheme or parts.netloc or not target.startswith("/") or target.startswith("//"):
        return "/"
    if any(character in target for character in "\\\r\n\t") or not target.isprintable():
        return "/"
    return quote(parts.path) + (f"?{parts.query}" if parts.query else "")
