"""Takes a file to a node: rows from `intake`, through the node's local API, with progress.

An import may be cut off and run again: rows that the node has already are
answered `unchanged`. A row that cannot be read is still handed in, as it
stands in the file, so that the node keeps what it refused and why.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

from yidao.catalog.calendar import Period
from yidao.catalog.errors import CatalogError
from yidao.catalog.pack.loader import load_pack
from yidao.catalog.pack.model import Form, Text, Value
from yidao.catalog.pack.versions import PackSet
from yidao.catalog.rows import encode_row
from yidao.node.client import Client, Row, RowResult
from yidao.node.intake.payload import payload_of, period_of
from yidao.node.intake.rows import CellFault, RefusedRow, SourceRow
from yidao.node.intake.source import open_source

BATCH_ROWS = 500

Progress = Callable[[int, int | None], None]
"""Rows done, rows in all where that is known."""


@dataclass(slots=True, kw_only=True)
class ImportReport:
    """What became of a file."""

    rows: int = 0
    submitted: int = 0
    unchanged: int = 0
    notices: int = 0
    refused: list[RefusedRow] = field(default_factory=list)


def packs_of(client: Client, pack_id: str) -> PackSet:
    """Return every version of a pack that the node has."""
    found = [each for each in client.packs() if each.id == pack_id]
    return PackSet.of([load_pack(client.pack(each.id, version=each.version)) for each in found])


@dataclass(frozen=True, slots=True, kw_only=True)
class Importer:
    """Hands files in at one node.

    Attributes:
        client: The node that hosts the units.
        pack_id: The standard that the rows are of.
        actor: Who hands them in, `user@path`.
        today: Decides which version judges rows without a period.
        dry_run: Judge only; nothing is kept.
    """

    client: Client
    pack_id: str
    actor: str
    today: date
    dry_run: bool = False

    def take(self, file: Path, progress: Progress | None = None) -> ImportReport:
        """Hand in every row of an `.xlsx` or `.csv` file and say what became of it.

        Raises:
            YidaoError: The file is refused as a whole, before its first row; or the
                node cannot be reached: then take the file again.
        """
        packs = packs_of(self.client, self.pack_id)
        forms = [form for pack in packs.all() for form in pack.forms.values()]
        report = ImportReport()
        with open_source(file, forms) as source:
            for batch in _batches(source.rows()):
                self._submit(batch, packs, report)
                if progress is not None:
                    progress(report.rows, source.total_rows)
        return report

    def _submit(self, batch: Sequence[SourceRow], packs: PackSet, report: ImportReport) -> None:
        rows: list[Row] = []
        for number, source_row in enumerate(batch):
            payload = payload_of(self._form_of(source_row, packs), source_row)
            report.notices += len(payload.notices)
            values = _as_it_stands(payload.values, payload.faults, source_row)
            rows.append(
                Row(
                    row=number,
                    form=source_row.form_id,
                    period=period_of(source_row) or "",
                    payload=encode_row(values),
                )
            )
        done = self.client.submit(self.pack_id, rows, actor=self.actor, dry_run=self.dry_run)
        for result in done.results:
            _count(result, batch[result.row], report)

    def _form_of(self, row: SourceRow, packs: PackSet) -> Form:
        """The form of the version in force; an unreadable period is judged by today's."""
        on = self.today
        if (text := period_of(row)) is not None:
            try:
                on = Period.parse(text).first_day
            except CatalogError:
                on = self.today
        return packs.in_force(self.pack_id, on).form(row.form_id)


def _count(result: RowResult, source_row: SourceRow, report: ImportReport) -> None:
    report.rows += 1
    if result.outcome == "refused":
        faults = tuple(
            source_row.fault(each.field, each.code, Text(zh=each.zh, en=each.en), each.rule)
            for each in result.faults
        )
        report.refused.append(
            RefusedRow(sheet=source_row.sheet, row_number=source_row.row_number, faults=faults)
        )
    elif result.outcome == "unchanged":
        report.unchanged += 1
    else:
        report.submitted += 1


def _as_it_stands(
    values: Mapping[str, Value], faults: Sequence[CellFault], row: SourceRow
) -> dict[str, Value]:
    """Values with the unreadable cells put back as text, for the node to refuse by name."""
    kept = dict(values)
    for fault in faults:
        if fault.field in row.cells:
            kept[fault.field] = row.cells[fault.field]
    return kept


def _batches(rows: Iterator[SourceRow]) -> Iterator[list[SourceRow]]:
    """Batches of at most 500 rows of one sheet: a later sheet may need an earlier one's rows."""
    batch: list[SourceRow] = []
    for row in rows:
        if batch and (len(batch) == BATCH_ROWS or row.sheet != batch[0].sheet):
            yield batch
            batch = []
        batch.append(row)
    if batch:
        yield batch
