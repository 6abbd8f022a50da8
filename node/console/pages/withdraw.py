"""Taking a return back, with a reason, before anybody reviewed it."""

from yidao.node.console.pages.one_return import record_of
from yidao.node.console.visit import Visit, address
from yidao.node.console.widgets.html import Tag, link
from yidao.node.console.widgets.names import FormNames

_SENT = "(e) => emit(Object.fromEntries(new FormData(e.currentTarget)))"


async def draw(visit: Visit) -> None:
    """Draw the question."""
    words, record = visit.words, record_of(visit)
    found = await visit.ask(lambda client: client.receipt(record_id=record))
    about = found.about
    names = await visit.ask(lambda client: FormNames.of(visit.console.packs(client), words))
    with Tag("form", classes="card stack") as form:
        what = words(
            "withdraw.what",
            form=names.form(about.pack, about.form),
            period=about.period,
            unit=f"{found.unit_name} {about.unit}".strip(),
            version=about.version,
        )
        Tag("p", what)
        Tag("label", words("withdraw.reason"), for_="reason")
        Tag("input", id="reason", name="reason", type="text", required=True, maxlength=500)
        with Tag("div", classes="doing"):
            Tag("button", words("withdraw.go"), classes="button danger", type="submit")
            link(words("withdraw.keep"), "/returns", classes="button")

    async def take_back(sent: dict[str, str]) -> None:
        reason = sent.get("reason", "").strip()
        actor = visit.session.actor
        await visit.ask(
            lambda client: client.withdraw(actor=actor, record_ids=[record], reason=reason)
        )
        form.clear()
        with form:
            mend = address(
                "/fill", pack=about.pack, form=about.form, period=about.period, unit=about.unit
            )
            link(words("due.mend"), mend, classes="button main")
            link(words("one_return.all"), "/returns", classes="button")
        visit.tell("done", words("withdraw.done"))

    form.heard("submit.prevent", visit.taking(take_back), _SENT)
