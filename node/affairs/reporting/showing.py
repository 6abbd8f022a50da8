"""Rows as one reader may see them: each sensitive field shown, masked or left out.

`yidao.node.access.fields` decides; here its decisions meet what institutions report.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

import orjson

from yidao.catalog.errors import CatalogError, PayloadInvalid
from yidao.catalog.masks import HIDDEN, Outcome, mask
from yidao.catalog.pack.model import Value
from yidao.catalog.pack.versions import PackSet
from yidao.catalog.rows import parse_row
from yidao.node.access.fieldpolicy import FieldReader
from yidao.node.access.fields import SENSITIVE, UNKNOWN
from yidao.node.affairs.reporting import records
from yidao.node.affairs.reporting.queries import ReturnRow
from yidao.node.affairs.reporting.records import FaultNote
from yidao.node.store.values import StoredRecord
from yidao.sync.record import Header

_CORE: Final = "core"
_HIGHEST: Final = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class _Graded:
    grade: int
    label: str


class Showing:
    """Shows rows to one reader. Not safe for threads.

    Args:
        packs: The standards that are here; a field that they do not name is sensitive.
        reader: Decides, and remembers what it let through.
    """

    def __init__(self, packs: PackSet, reader: FieldReader) -> None:
        self._packs = packs
        self._reader = reader
        self._grades: dict[str, Mapping[str, _Graded]] = {}

    def row(self, row: ReturnRow) -> ReturnRow:
        """Give a return as it may be seen; texts about fields that are hidden are hidden too."""
        if self._reader.sees_all:
            return row
        schema = f"{row.pack}/{row.pack_version}/{row.form}"
        payload, hidden = self._payload(row.payload, schema, row.unit, row.submitted_by)
        faults = tuple(_without_text(each) if each.field in hidden else each for each in row.faults)
        return replace(row, payload=payload, faults=faults)

    def event(self, record: StoredRecord) -> bytes:
        """Give the `core` of a record as it may be seen; what is no row, as a whole or not."""
        body = record.parts.get(_CORE, b"")
        header = record.header
        if self._reader.sees_all or not body:
            return body
        if header.schema.count("/") == 2:
            return self._payload(body, header.schema, header.unit, header.actor)[0]
        return body if shows_part(self._reader, header, _CORE) else b""

    def _payload(
        self, body: bytes, schema: str, unit: str, author: str
    ) -> tuple[bytes, frozenset[str]]:
        """Give the row, and the names of the fields that are masked or left out."""
        if not body:
            return body, frozenset()
        try:
            values = parse_row(body)
        except PayloadInvalid:
            whole = self._reader.outcome(UNKNOWN, unit=unit, author=author)
            return (body if whole is Outcome.SHOW else b""), frozenset()
        graded = self._graded(schema)
        shown: dict[str, Value] = {}
        hidden: set[str] = set()
        for name, value in values.items():
            known = graded.get(name, _UNNAMED)
            outcome = self._reader.outcome(known.grade, unit=unit, author=author)
            if outcome is not Outcome.SHOW:
                hidden.add(name)
            if outcome is not Outcome.REFUSE:
                is_open = outcome is Outcome.SHOW or value is None
                shown[name] = value if is_open else mask(value, known.label)
        return (orjson.dumps(shown) if hidden else body), frozenset(hidden)

    def _graded(self, schema: str) -> Mapping[str, _Graded]:
        if schema not in self._grades:
            self._grades[schema] = self._read_grades(schema)
        return self._grades[schema]

    def _read_grades(self, schema: str) -> Mapping[str, _Graded]:
        pack_id, version, form = schema.split("/")
        try:
            fields = self._packs.version(pack_id, version).form(form).fields.values()
        except CatalogError:
            return {}
        return {
            each.name: _Graded(
                grade=max(each.grade, SENSITIVE) if each.pii else each.grade, label=each.label.zh
            )
            for each in fields
        }


_UNNAMED: Final = _Graded(grade=UNKNOWN, label="")


def shows_part(reader: FieldReader, header: Header, name: str) -> bool:
    """Whether a part may be given out as it is; what would be masked may not.

    The grade is that of the part, as its author says; a refused row may hold anything.
    """
    grades = [int(part.grade) for part in header.parts if part.name == name]
    grade = max(grades, default=UNKNOWN)
    if header.kind == records.REFUSED:
        grade = _HIGHEST
    # A part of grade 4 holds fields of grade 3 too.
    return all(
        reader.outcome(each, unit=header.unit, author=header.actor) is Outcome.SHOW
        for each in range(min(grade, SENSITIVE), grade + 1)
    )


def _without_text(fault: FaultNote) -> FaultNote:
    return replace(fault, zh=HIDDEN, en=HIDDEN)
