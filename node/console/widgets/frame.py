"""What stands around every page: skip link, who and where, the ways to other pages, the notice."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

import orjson
from nicegui import context, ui

from yidao.node.console.console import Console
from yidao.node.console.session import Sessions
from yidao.node.console.visit import Visit, sign_in_address
from yidao.node.console.widgets.html import Tag, hidden, link
from yidao.node.console.words import LANGUAGES, Words

#: Page, the text of its way in, and what one must be allowed to do to see the way.
WAYS: Final = (
    ("/due", "frame.due", "reporting.submit"),
    ("/import", "frame.import", "reporting.submit"),
    ("/returns", "frame.returns", ""),
    ("/missing", "frame.missing", ""),
    ("/review", "frame.review", "reporting.review"),
    ("/sign-off", "frame.sign_off", "signoff.submit"),
    ("/roll-up", "frame.roll_up", ""),
    ("/catalog", "frame.catalog", "catalog.read"),
    ("/tree", "frame.tree", ""),
    ("/verify", "frame.verify", ""),
)
#: Pages about all institutions: not offered to who fills for one; the node refuses what is
#: behind them.
_OF_ALL: Final = frozenset({"/missing", "/sign-off", "/roll-up", "/tree"})
_LOOKED_AFTER_SECONDS: Final = 4.0
_TAGS: Final = {"zh": "zh-CN", "en": "en"}


@contextmanager
def frame(visit: Visit, title: str) -> Iterator[None]:
    """Draw the frame of a page; what is drawn inside stands in its middle."""
    words, session = visit.words, visit.session
    head(words, title)
    with _top() as header:
        _brand(words, visit.console)
        with Tag("div", classes="who"):
            link(
                _seat(visit),
                "/password",
                classes="seat",
                data_test="seat",
                aria_label=words("frame.account", seat=_seat(visit)),
            )
            language_switch(visit.console.sessions, session.key, words, visit.path)
            with _post("/session/end", visit.console.sessions, session.key):
                Tag("button", words("frame.sign_out"), classes="button quiet", type="submit")
    header.move(context.client.layout, 0)
    banner(visit.console, words)
    with Tag("nav", aria_label=words("frame.ways"), classes="ways") as ways:
        for path, key, permission in WAYS:
            if session.bound and path in _OF_ALL:
                continue
            if not permission or visit.may(permission):
                here = "page" if visit.path.partition("?")[0] == path else None
                link(words(key), path, aria_current=here)
    ways.move(context.client.layout, 1)
    _leave_when_ended(visit)
    with Tag("div", classes="page", id="main", tabindex=-1):
        Tag("h1", title)
        visit.tell = notice(words)
        yield


@contextmanager
def bare_frame(
    console: Console, cookie: str, words: Words, path: str, title: str
) -> Iterator[None]:
    """Draw the frame of a page for somebody who has not signed in."""
    head(words, title)
    with _top() as header:
        _brand(words, console)
        with Tag("div", classes="who"):
            language_switch(console.sessions, cookie, words, path)
    header.move(context.client.layout, 0)
    banner(console, words)
    with Tag("div", classes="page narrow", id="main", tabindex=-1):
        Tag("h1", title)
        yield


def head(words: Words, title: str) -> None:
    """Name the page and its language."""
    ui.page_title(words("frame.title", title=title))
    lost = orjson.dumps(words("frame.offline")).decode()
    ui.add_head_html(
        f'<script>document.documentElement.lang = "{_TAGS[words.language]}";'
        f"document.addEventListener('DOMContentLoaded', () => yidao.sayLost({lost}));</script>"
    )


def banner(console: Console, words: Words) -> None:
    """Say on every page of a test network that nothing here counts."""
    if console.test_network:
        Tag("p", words("frame.test_network"), classes="banner", role="note")


def notice(words: Words) -> Callable[[str, str], None]:
    """Draw the place where results are told; screen readers read it out as it changes."""
    box = Tag("div", classes="notice", id="notice", tabindex=-1, role="status", aria_live="polite")

    def tell(kind: str, text: str) -> None:
        box.classes(replace=f"notice {kind}")
        box.put("data-kind", words(f"frame.kind_{kind}"))
        box.set_text(text)
        ui.run_javascript("yidao.show('notice')")

    return tell


def language_switch(sessions: Sessions, cookie: str, words: Words, path: str) -> None:
    """Draw a button for each language; the one in use is marked, and says so."""
    with _post("/language", sessions, cookie):
        hidden("next", path)
        with Tag("span", role="group", aria_label=words("frame.languages"), classes="languages"):
            for language in LANGUAGES:
                used = language == words.language
                Tag(
                    "button",
                    words(f"frame.language_{language}"),
                    classes="button quiet",
                    type="submit",
                    name="language",
                    value=language,
                    lang=_TAGS[language],
                    aria_pressed="true" if used else "false",
                )


def _leave_when_ended(visit: Visit) -> None:
    """Lead a page that lies open to the sign-in once its session is over; looking is no action."""

    def look() -> None:
        if visit.console.sessions.find(visit.session.key) is None:
            timer.deactivate()
            ui.navigate.to(sign_in_address("idle", visit.path))

    timer = ui.timer(_LOOKED_AFTER_SECONDS, look, immediate=False)


@contextmanager
def _top() -> Iterator[Tag]:
    with Tag("header", classes="top") as header:
        yield header


def _brand(words: Words, console: Console) -> None:
    link(words("frame.skip"), "#main", classes="skip")
    with link("", "/", classes="brand"):
        Tag("strong", words("frame.brand"))
        Tag("span", words("frame.node", path=f"{console.office} {console.path}".strip()))


@contextmanager
def _post(action: str, sessions: Sessions, cookie: str) -> Iterator[None]:
    with Tag("form", method="post", action=action, classes="inline"):
        hidden("form_token", sessions.form_token(cookie))
        yield


def _seat(visit: Visit) -> str:
    session = visit.session
    name = session.title or session.user
    return visit.words("frame.seat", name=name, unit=session.unit) if session.unit else name
