"""The reviewer's queue: accept, or return with a reason; some, or all that wait."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from nicegui import ui

from yidao.node.client import Client, ReturnInfo
from yidao.node.console.visit import Visit, address
from yidao.node.console.widgets.choose import Choice, chosen, draw_choice
from yidao.node.console.widgets.faults import fault_list
from yidao.node.console.widgets.html import Tag, button, link
from yidao.node.console.widgets.names import FormNames, named_unit
from yidao.node.console.widgets.tables import badge, table

_ROWS = 100
# The boxes that are ticked, and the reason, as the browser holds them.
_PICKED = (
    "() => emit({picked: [...document.querySelectorAll('input.pick:checked')].map((e) => e.value),"
    " reason: document.getElementById('reason').value})"
)
_ALL = (
    "(e) => document.querySelectorAll('input.pick').forEach((b) => (b.checked = e.target.checked))"
)


@dataclass(slots=True, kw_only=True)
class _Queue:
    """What one open queue knows."""

    visit: Visit
    names: FormNames
    choice: Choice
    acceptable: int
    unsigned: frozenset[bytes]
    asked: Tag | None = field(default=None)


async def draw(visit: Visit) -> None:
    """Draw the queue of a form and period."""
    words = visit.words
    names = await visit.ask(lambda client: FormNames.of(visit.console.packs(client), words))
    choice = chosen(visit, names)
    draw_choice(visit, names, choice)
    page = await visit.ask(
        lambda client: client.returns(
            form=choice.form,
            period=choice.period,
            waiting=True,
            after=visit.query.get("after", ""),
            limit=_ROWS,
        )
    )
    if not page.returns:
        Tag("p", words("review.none"), classes="card empty")
        return
    acceptable = await visit.ask(partial(_acceptable, visit.session.actor, choice))
    unsigned = await visit.ask(
        lambda client: client.unsigned([each.record_id for each in page.returns])
    )
    queue = _Queue(
        visit=visit, names=names, choice=choice, acceptable=acceptable, unsigned=unsigned
    )
    _draw_rows(queue, page.returns)
    if page.next:
        more = address("/review", **{**visit.query, "after": page.next})
        link(words("frame.more"), more, classes="button")
    _draw_doing(queue)


def _acceptable(actor: str, choice: Choice, client: Client) -> int:
    """Ask the node how many this person may accept at once; what is in doubt is none of them."""
    return client.count_reviewable(
        actor=actor, decision="accept", form=choice.form, period=choice.period
    )


def _draw_rows(queue: _Queue, rows: Sequence[ReturnInfo]) -> None:
    words = queue.visit.words
    labels = queue.names.fields(queue.choice.pack, queue.choice.form)
    headings = [
        words(f"review.{each}") for each in ("pick", "unit", "node", "version", "state", "look")
    ]
    with Tag("label", classes="pick-all"):
        Tag("input", type="checkbox", id="pick-all").heard("change", None, _ALL)
        Tag("span", words("review.pick_all", count=len(rows)))
    with table(words("review.caption"), headings) as row:
        for each in rows:
            record = each.record_id.hex()
            row(
                lambda each=each, record=record: Tag(
                    "input",
                    type="checkbox",
                    classes="pick",
                    value=record,
                    aria_label=words("review.pick_of", unit=named_unit(each)),
                ),
                named_unit(each),
                each.origin_path,
                str(each.version),
                lambda each=each: _state(queue, each, labels),
                lambda record=record: link(
                    words("review.compare"), address("/return", record=record)
                ),
            )


def _state(queue: _Queue, each: ReturnInfo, labels: dict[str, str]) -> None:
    words = queue.visit.words
    with Tag("div"):
        badge(words.named("state", each.state), each.state)
        if each.record_id in queue.unsigned:
            badge(words("review.unsigned"), "returned")
        fault_list(words, each.faults, labels)


def _draw_doing(queue: _Queue) -> None:
    words, visit = queue.visit.words, queue.visit
    with Tag("section", classes="card stack", aria_label=words("review.decide")):
        Tag("label", words("review.reason"), for_="reason")
        Tag("input", id="reason", type="text", maxlength=500, aria_describedby="reason-help")
        Tag("p", words("review.reason_help"), classes="help", id="reason-help")
        with Tag("div", classes="doing"):
            for decision, whole, classes in (
                ("accept", False, "main"),
                ("return", False, "danger"),
                ("accept", True, ""),
            ):
                name = f"review.{decision}_{'all' if whole else 'picked'}"
                made = Tag(
                    "button",
                    words(name, count=queue.acceptable),
                    classes=f"button {classes}",
                    type="button",
                )
                made.heard("click", visit.taking(_asking(queue, decision, whole=whole)), _PICKED)
    queue.asked = Tag("section", id="confirm", tabindex=-1, aria_live="polite")


def _asking(
    queue: _Queue, decision: str, *, whole: bool
) -> Callable[[dict[str, Any]], Awaitable[None]]:
    words, visit = queue.visit.words, queue.visit

    async def ask(sent: dict[str, Any]) -> None:
        raw = sent.get("picked", [])
        picked = [bytes.fromhex(str(each)) for each in raw] if isinstance(raw, list) else []
        reason = str(sent.get("reason", "")).strip()
        if not (queue.acceptable if whole else picked):
            visit.tell("warn", words("review.pick_some"))
            return
        if decision == "return" and not reason:
            visit.tell("warn", words("review.reason_needed"))
            ui.run_javascript("yidao.focus('reason')")
            return
        _confirm(queue, decision, picked=[] if whole else picked, reason=reason)

    return ask


def _confirm(queue: _Queue, decision: str, *, picked: list[bytes], reason: str) -> None:
    """Say how many returns get which verdict, and wait for a yes."""
    words, visit, asked = queue.visit.words, queue.visit, queue.asked
    assert asked is not None
    count = len(picked) or queue.acceptable
    actor, choice = visit.session.actor, queue.choice

    async def do() -> None:
        done = await visit.ask(
            lambda client: client.review_all(
                actor=actor,
                decision=decision,
                record_ids=picked,
                form="" if picked else choice.form,
                period="" if picked else choice.period,
                reason=reason if decision == "return" else "",
            )
        )
        visit.console.sessions.leave_note(
            visit.session.key, words(f"review.done_{decision}", count=done.reviewed)
        )
        ui.navigate.to(visit.path)

    async def leave() -> None:
        asked.clear()

    visit.tell("info", "")
    asked.clear()
    with asked, Tag("div", classes="card back"):
        Tag("h2", words(f"review.sure_{decision}", count=count, reason=reason))
        with Tag("div", classes="doing"):
            button(words("review.yes"), visit.acting(do), classes="main", id="yes")
            button(words("review.no"), visit.acting(leave))
    ui.run_javascript("yidao.show('confirm')")
