"""Changing the password; asked for at the first sign-in."""

from yidao.node.console.visit import Visit
from yidao.node.console.widgets.html import Tag

_SENT = "(e) => emit(Object.fromEntries(new FormData(e.currentTarget)))"


async def draw(visit: Visit) -> None:
    """Draw the form."""
    words = visit.words
    if visit.session.must_change_password:
        visit.tell("info", words("password.must"))
    with Tag("form", classes="card stack") as form:
        for name, kind in (
            ("old", "current-password"),
            ("new", "new-password"),
            ("again", "new-password"),
        ):
            Tag("label", words(f"password.{name}"), for_=name)
            Tag("input", id=name, name=name, type="password", autocomplete=kind, required=True)
        Tag("p", words("password.help"), classes="help")
        Tag("button", words("password.go"), classes="button main", type="submit")

    async def change(sent: dict[str, str]) -> None:
        if sent.get("new") != sent.get("again"):
            visit.tell("error", words("password.differ"))
            return
        await visit.ask(lambda client: client.change_password(sent["old"], sent["new"]))
        visit.session.must_change_password = False
        visit.tell("done", words("password.done"))

    form.heard("submit.prevent", visit.taking(change), _SENT)
