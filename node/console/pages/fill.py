"""Filling in a form: drawn from the standard, checked by the node, with each fault at its field."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date

from nicegui import ui

from yidao.catalog.pack.model import Form, Pack
from yidao.catalog.rows import encode_row
from yidao.node.client import Client, Row, RowFault, RowResult
from yidao.node.console.days import first_day
from yidao.node.console.drafts import DraftKey
from yidao.node.console.entry import (
    ERROR,
    WARN,
    Entry,
    computed_texts,
    read_entry,
    texts_of,
    together,
)
from yidao.node.console.visit import Visit, address
from yidao.node.console.widgets.faults import fault_list
from yidao.node.console.widgets.fields import FieldView, draw_fields, element_id
from yidao.node.console.widgets.html import Tag, link
from yidao.node.console.widgets.names import FormNames

_DRAFT_SECONDS = 0.6
_NOTE = "note"
# All fields as the browser holds them; and besides, which button sent the form.
_TYPED = "(e) => emit(Object.fromEntries(new FormData(e.currentTarget)))"
_SENT = (
    "(e) => emit({...Object.fromEntries(new FormData(e.currentTarget)),"
    " $do: e.submitter?.value ?? 'check'})"
)


@dataclass(slots=True, kw_only=True)
class _Desk:
    """What one open form knows."""

    visit: Visit
    pack: Pack
    form: Form
    key: DraftKey
    views: dict[str, FieldView] = field(default_factory=dict)
    summary: Tag | None = None


async def draw(visit: Visit) -> None:
    """Draw the form that the address names, with the draft or the newest version in it."""
    query, words = visit.query, visit.words
    key = DraftKey(
        actor=visit.session.actor,
        pack=query.get("pack", ""),
        form=query.get("form", ""),
        period=query.get("period", ""),
        unit=query.get("unit", ""),
    )
    packs = await visit.ask(visit.console.packs)
    on = first_day(key.period, visit.console.today())
    pack = packs.in_force(key.pack, on)
    form = pack.form(key.form)
    texts = await _texts(visit, key, form)
    desk = _Desk(visit=visit, pack=pack, form=form, key=key)
    names = FormNames.of(packs, words)
    Tag("p", words("fill.about", form=names.form(pack.id, form.id), version=pack.version))
    desk.summary = Tag("section", id="summary", tabindex=-1, aria_live="polite")
    _draw_form(desk, texts, on)


async def _texts(visit: Visit, key: DraftKey, form: Form) -> dict[str, str]:
    """Start from the draft, else from the newest version, else empty."""
    texts = visit.console.drafts.load(key)
    if texts:
        visit.tell("info", visit.words("fill.draft_found"))
    else:
        texts = await visit.ask(lambda client: _newest_texts(client, key))
    named = {"uscc": key.unit, "period": key.period}
    return texts | {name: text for name, text in named.items() if text and name in form.fields}


def _newest_texts(client: Client, key: DraftKey) -> dict[str, str]:
    if not key.unit:
        return {}
    found = client.returns(form=key.form, period=key.period, unit=key.unit).returns
    newest = max(found, key=lambda each: each.version, default=None)
    return texts_of(newest.payload) if newest else {}


def _draw_form(desk: _Desk, texts: Mapping[str, str], on: date) -> None:
    visit, words = desk.visit, desk.visit.words
    fixed = frozenset(
        name for name, text in (("uscc", desk.key.unit), ("period", desk.key.period)) if text
    )
    with Tag("form", classes="fill", autocomplete="off", novalidate=True) as drawn:
        desk.views = draw_fields(words, desk.pack, desk.form, texts, fixed=fixed, on=on)
        with Tag("div", classes="doing bar"):
            Tag(
                "button", words("fill.submit"), classes="button main", type="submit", value="submit"
            )
            Tag("button", words("fill.check"), classes="button", type="submit", value="check")
            link(words("fill.back"), "/due", classes="button")
        kept = Tag("p", classes="help", role="status")

    async def keep(sent: dict[str, str]) -> None:
        saved = visit.console.drafts.save(desk.key, _typed(sent))
        visit.console.sessions.touch(visit.session)
        kept.set_text(words("fill.draft_kept") if saved else words("fill.draft_not_kept"))

    async def send(sent: dict[str, str]) -> None:
        await keep(sent)
        await _send(desk, _typed(sent), submits=sent.get("$do") == "submit")

    drawn.heard("input", visit.taking(keep), _TYPED, throttle=_DRAFT_SECONDS, leading_events=False)
    drawn.heard("submit.prevent", visit.taking(send), _SENT)


def _typed(sent: Mapping[str, object]) -> dict[str, str]:
    return {name: str(text) for name, text in sent.items() if not name.startswith("$")}


async def _send(desk: _Desk, texts: Mapping[str, str], *, submits: bool) -> None:
    """Check the row; if it is asked for and nothing stands against it, hand it in."""
    words = desk.visit.words
    entry = read_entry(desk.form, texts)
    _show_computed(desk, entry)
    judged = await _judge(desk, entry, dry_run=True)
    faults = together(entry.faults, judged.faults)
    _show_faults(desk, faults)
    if any(fault.severity == ERROR for fault in faults):
        return
    doubts = any(fault.severity == WARN for fault in faults)
    if doubts and _NOTE in desk.form.fields and not texts.get(_NOTE, "").strip():
        desk.visit.tell("warn", words("fill.note_needed"))
        ui.run_javascript(f"yidao.focus('{element_id(_NOTE)}')")
    elif not submits:
        desk.visit.tell("done", words("fill.checked"))
    else:
        _tell_handed_in(desk, await _judge(desk, entry, dry_run=False))


async def _judge(desk: _Desk, entry: Entry, *, dry_run: bool) -> RowResult:
    row = Row(row=0, form=desk.form.id, period=desk.key.period, payload=encode_row(entry.values))
    actor = desk.visit.session.actor
    done = await desk.visit.ask(
        lambda client: client.submit(desk.pack.id, [row], actor=actor, dry_run=dry_run)
    )
    return done.results[0]


def _show_computed(desk: _Desk, entry: Entry) -> None:
    for name, text in computed_texts(desk.pack, desk.form, entry.values).items():
        desk.views[name].control.put("value", text)


def _show_faults(desk: _Desk, faults: tuple[RowFault, ...]) -> None:
    """Say all faults at once: each at its field, and a list that leads to the fields."""
    words = desk.visit.words
    labels = {name: words.of(each.label) for name, each in desk.form.fields.items()}
    for name, view in desk.views.items():
        view.tell(words, [fault for fault in faults if fault.field == name])
    assert desk.summary is not None
    desk.summary.clear()
    if not faults:
        return
    wrong = any(fault.severity == ERROR for fault in faults)
    with desk.summary, Tag("div", classes=f"card {'back' if wrong else 'doubt'}"):
        Tag("h2", words("fill.faults" if wrong else "fill.doubts"))
        fault_list(words, faults, labels, lambda name: f"#{element_id(name)}")
    ui.run_javascript("yidao.show('summary')")


def _tell_handed_in(desk: _Desk, result: RowResult) -> None:
    words = desk.visit.words
    if result.outcome == "refused":
        _show_faults(desk, result.faults)
        return
    desk.visit.console.drafts.drop(desk.key)
    done = words.named("fill", f"done_{result.outcome}")
    desk.visit.tell("done", words("fill.handed_in", done=done, version=result.version))
    assert desk.summary is not None
    desk.summary.clear()
    with desk.summary, Tag("p", classes="doing"):
        if result.record_id:
            link(
                words("fill.receipt"),
                address("/receipt", record=result.record_id.hex()),
                classes="button main",
            )
        link(words("fill.back"), "/due", classes="button")
