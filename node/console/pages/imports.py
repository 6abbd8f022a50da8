"""Importing a workbook or table: up with progress, counts and faults back, faults in its cells."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import orjson
from nicegui import ui

from yidao.node.client import Client
from yidao.node.console.folder import HeldFile
from yidao.node.console.visit import Visit, address
from yidao.node.console.widgets.html import Tag, link, options
from yidao.node.console.widgets.names import FormNames
from yidao.node.console.widgets.tables import table
from yidao.node.importing import Importer, ImportReport

_SHOWN_ROWS = 200
_REFRESH_SECONDS = 0.4
# The file goes up by itself; then the page hears under which id it lies, and the chosen pack.
_UPLOAD = (
    "() => yidao.upload(document.getElementById('file'), 'sent',"
    " (sent) => emit({...sent, pack: document.getElementById('pack').value}))"
)


@dataclass(slots=True, kw_only=True)
class _Work:
    """An import as it goes; written by its thread, read by the page."""

    visit: Visit
    bar: Tag
    said: Tag
    result: Tag
    buttons: list[Tag] = field(default_factory=list)
    done: int = 0
    total: int | None = None

    def progress(self, done: int, total: int | None) -> None:
        self.done, self.total = done, total


async def draw(visit: Visit) -> None:
    """Draw the upload, and the place of its result."""
    words = visit.words
    names = await visit.ask(lambda client: FormNames.of(visit.console.packs(client), words))
    packs = sorted(names.packs.items())
    if not packs:
        Tag("p", words("choose.no_pack"), classes="card empty")
        return
    with Tag("form", classes="card stack", autocomplete="off") as form:
        Tag("label", words("imports.pack"), for_="pack")
        with Tag("select", id="pack", name="pack"):
            options(packs, packs[0][0])
        Tag("label", words("imports.file"), for_="file")
        Tag(
            "input",
            id="file",
            type="file",
            accept=".xlsx,.csv",
            aria_describedby="file-help",
            required=True,
        )
        Tag("p", words("imports.help"), classes="help", id="file-help")
        Tag("progress", id="sent", classes="idle", max=1, aria_label=words("imports.sent"))
        with Tag("div", classes="doing") as doing:
            pass
    work = _Work(
        visit=visit,
        bar=Tag("progress", id="rows", classes="idle", aria_label=words("imports.rows")),
        said=Tag("p", classes="help", role="status"),
        result=Tag("section", id="result", tabindex=-1, aria_live="polite"),
    )
    with doing:
        for name, keeps, classes in (("go", True, "main"), ("dry", False, "")):
            made = Tag(
                "button", words(f"imports.{name}"), classes=f"button {classes}", type="button"
            )
            work.buttons.append(
                made.heard("click", visit.taking(_taking(work, keeps=keeps)), _UPLOAD)
            )
    form.heard("submit.prevent", None, "() => {}")


def _taking(work: _Work, *, keeps: bool) -> Callable[[dict[str, Any]], Awaitable[None]]:
    async def take(sent: dict[str, Any]) -> None:
        visit, words = work.visit, work.visit.words
        held = _held(visit, sent)
        work.result.clear()
        if held is None:
            visit.tell("error", words.named("imports", f"refused_{sent.get('status', 0)}"))
            return
        for button in work.buttons:
            button.put("disabled", value=True)
        timer = ui.timer(_REFRESH_SECONDS, lambda: _show_progress(work))
        try:
            report = await visit.ask(partial(_import, work, held, str(sent["pack"]), keeps=keeps))
        finally:
            timer.cancel()
            for button in work.buttons:
                button.put("disabled", value=False)
        _show_progress(work)
        _show(work, held, report, keeps=keeps)

    return take


def _held(visit: Visit, sent: dict[str, Any]) -> HeldFile | None:
    if sent.get("status") != 200:
        return None
    file_id = str(orjson.loads(str(sent.get("body", "{}"))).get("id", ""))
    return visit.console.folder.find(file_id, owner=visit.session.key)


def _import(work: _Work, held: HeldFile, pack: str, client: Client, *, keeps: bool) -> ImportReport:
    importer = Importer(
        client=client,
        pack_id=pack,
        actor=work.visit.session.actor,
        today=work.visit.console.today(),
        dry_run=not keeps,
    )
    return importer.take(held.path, work.progress)


def _show_progress(work: _Work) -> None:
    work.bar.classes(remove="idle")
    work.bar.put("max", work.total or max(work.done, 1))
    work.bar.put("value", work.done)
    total = "" if work.total is None else str(work.total)
    work.said.set_text(work.visit.words("imports.progress", done=work.done, total=total))
    work.visit.console.sessions.touch(work.visit.session)


def _show(work: _Work, held: HeldFile, report: ImportReport, *, keeps: bool) -> None:
    visit, words = work.visit, work.visit.words
    counts = words(
        "imports.done" if keeps else "imports.checked",
        rows=report.rows,
        taken=report.submitted,
        unchanged=report.unchanged,
        refused=len(report.refused),
    )
    visit.tell("warn" if report.refused else "done", counts)
    if not report.refused:
        return
    visit.console.folder.keep_report(held.id, report)
    with work.result:
        back = address("/files/annotated", id=held.id)
        link(words("imports.annotated"), back, classes="button main", download="")
        headings = [words(f"imports.{each}") for each in ("where", "field", "fault")]
        with table(words("imports.faults", count=len(report.refused)), headings) as row:
            for refused in report.refused[:_SHOWN_ROWS]:
                for fault in refused.faults:
                    where = words("imports.at", sheet=refused.sheet, row=refused.row_number)
                    row(where, fault.field, f"{words.of(fault.text)} [{fault.rule or fault.code}]")
        if len(report.refused) > _SHOWN_ROWS:
            Tag("p", words("imports.more", count=_SHOWN_ROWS), classes="help")
