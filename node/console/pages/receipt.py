"""The receipt of a return, to be printed, and the check of a code that stands on one."""

from datetime import datetime, timedelta, timezone

from yidao.node.client import ReturnReceipt
from yidao.node.console.pages.one_return import record_of
from yidao.node.console.visit import Visit
from yidao.node.console.widgets.html import Tag
from yidao.node.console.widgets.names import FormNames

#: UTC+8 in the whole country.
CIVIL_TIME = timezone(timedelta(hours=8))
_SENT = "(e) => emit(Object.fromEntries(new FormData(e.currentTarget)))"


async def draw(visit: Visit) -> None:
    """Draw the receipt of the record that the address names."""
    record = record_of(visit)
    names = await visit.ask(lambda client: FormNames.of(visit.console.packs(client), visit.words))
    found = await visit.ask(lambda client: client.receipt(record_id=record))
    draw_receipt(visit, names, found)
    button = Tag(
        "button", visit.words("receipt.print"), classes="button main screen", type="button"
    )
    button.heard("click", None, "() => window.print()")


async def draw_verify(visit: Visit) -> None:
    """Draw the check: a code in, what it stands for out."""
    words = visit.words
    names = await visit.ask(lambda client: FormNames.of(visit.console.packs(client), words))
    with Tag("form", classes="card stack screen") as form:
        Tag("label", words("receipt.code"), for_="code")
        Tag(
            "input",
            id="code",
            name="code",
            type="text",
            required=True,
            autocomplete="off",
            placeholder="XXXX-XXXX-XXXX-XXXX",
            maxlength=40,
        )
        Tag("p", words("receipt.code_help"), classes="help")
        Tag("button", words("receipt.verify"), classes="button main", type="submit")
    found = Tag("div")

    async def verify(sent: dict[str, str]) -> None:
        found.clear()
        code = sent.get("code", "").strip().upper()
        receipt = await visit.ask(lambda client: client.receipt(code=code))
        with found:
            draw_receipt(visit, names, receipt)
        visit.tell("done", words("receipt.genuine"))

    form.heard("submit.prevent", visit.taking(verify), _SENT)


def draw_receipt(visit: Visit, names: FormNames, found: ReturnReceipt) -> None:
    """Draw a receipt."""
    words, about = visit.words, found.about
    facts = (
        ("form", names.form(about.pack, about.form)),
        ("period", about.period),
        ("unit", f"{found.unit_name} {about.unit}".strip()),
        ("version", str(about.version)),
        ("state", words.named("state", about.state)),
        ("by", about.submitted_by),
        ("at", moment(found.created_ms)),
        ("held_by", ", ".join(found.held_by) or words("receipt.held_by_none")),
        ("journal", f"{found.frontier.origin} · {found.seq}"),
        ("leaf", found.leaf_sha256.hex()),
    )
    with Tag("section", classes="card receipt", aria_label=words("receipt.title")):
        Tag("h2", words("receipt.heading"))
        Tag("p", found.code, classes="code")
        with Tag("dl"):
            for name, text in facts:
                Tag("dt", words(f"receipt.{name}"))
                Tag("dd", text)
        Tag("p", words("receipt.means"), classes="help")


def moment(unix_ms: int) -> str:
    """Spell a moment in the offices' civil time, wherever the machine's clock is set."""
    if not unix_ms:
        return "–"
    return datetime.fromtimestamp(unix_ms / 1000, CIVIL_TIME).strftime("%Y-%m-%d %H:%M:%S")
