"""Signing in: by unit, name and password."""

from collections.abc import Mapping

from nicegui.events import GenericEventArguments

from yidao.node.client import UnitInfo
from yidao.node.console.console import Console
from yidao.node.console.visit import safe_next, spoken
from yidao.node.console.widgets.frame import bare_frame
from yidao.node.console.widgets.html import Tag, hidden
from yidao.node.console.words import Words
from yidao.node.messages import Message

_SUGGESTED = 20


def draw(console: Console, cookie: str, words: Words, query: Mapping[str, str]) -> None:
    """Draw the form; `query` says why the person is here and where to go after."""
    then = safe_next(query.get("next", "/"))
    with bare_frame(console, cookie, words, "/sign-in", words("sign_in.title")):
        _reason(console, cookie, words, query)
        with Tag("form", method="post", action="/session", classes="card stack"):
            hidden("form_token", console.sessions.form_token(cookie))
            hidden("next", then)
            _unit(console, words)
            _input(words("sign_in.user"), "user", autocomplete="username", required=True)
            _input(
                words("sign_in.password"),
                "password",
                type="password",
                autocomplete="current-password",
                required=True,
            )
            Tag("button", words("sign_in.go"), classes="button main", type="submit")


def _reason(console: Console, cookie: str, words: Words, query: Mapping[str, str]) -> None:
    note = console.sessions.take_note(cookie)
    if isinstance(note, Message):
        Tag("p", spoken(note, words), classes="notice error", role="alert")
    elif (why := query.get("why", "")) in ("idle", "out"):
        Tag("p", words(f"sign_in.why_{why}"), classes="notice info", role="status")


def _input(label: str, name: str, **attributes: str | bool) -> Tag:
    Tag("label", label, for_=name)
    field = Tag("input", id=name, name=name, type="text")
    for attribute, value in attributes.items():
        field.put(attribute, value)
    return field


def _unit(console: Console, words: Words) -> None:
    """A field that offers the units of this node whose name or code holds what was typed."""
    field = _input(words("sign_in.unit"), "unit", list="units", autocomplete="off")
    field.put("aria_describedby", "unit-help")
    Tag("p", words("sign_in.unit_help"), classes="help", id="unit-help")
    offered = Tag("datalist", id="units")
    known = _own_units(console)

    def offer(event: GenericEventArguments) -> None:
        typed = str(event.args)[:100].strip()
        offered.clear()
        with offered:
            for unit in _matching(known, typed):
                Tag("option", value=f"{unit.unit} {unit.name}")

    field.heard("input", offer, "(e) => emit(e.target.value)", throttle=0.3, leading_events=False)
    field.put("autofocus", value=True)
    with offered:
        for unit in known[:_SUGGESTED]:
            Tag("option", value=f"{unit.unit} {unit.name}")


def _own_units(console: Console) -> list[UnitInfo]:
    return [unit for unit in console.client.units() if unit.origin_path == console.path]


def _matching(known: list[UnitInfo], typed: str) -> list[UnitInfo]:
    wanted = typed.casefold()
    found = (u for u in known if wanted in u.name.casefold() or wanted in u.unit.casefold())
    return [unit for unit, _ in zip(found, range(_SUGGESTED), strict=False)]
