"""One row as a person types it: texts in, typed values and faults out. Pure.

What may be typed is what may stand in a cell of a workbook, read by the same
code (`yidao.node.intake.payload`), so that form and import agree.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from yidao.catalog.errors import CatalogError
from yidao.catalog.pack.model import Form, Pack, Value
from yidao.catalog.rows import Computation, Numbers, parse_row
from yidao.node.client import RowFault
from yidao.node.intake.payload import payload_of
from yidao.node.intake.rows import SourceRow

ERROR: Final = "error"
WARN: Final = "warn"


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A row as typed.

    Attributes:
        values: By field; what could not be read stands there as it was typed, for
            the node to refuse by name.
        faults: What could not be read, and why.
    """

    values: dict[str, Value]
    faults: tuple[RowFault, ...]


def read_entry(form: Form, texts: Mapping[str, str]) -> Entry:
    """Type the texts of a form; computed fields and unknown names are left out."""
    known = {
        name: text
        for name, text in texts.items()
        if text.strip() and name in form.fields and not form.fields[name].computed
    }
    row = SourceRow(sheet="", row_number=0, form_id=form.id, cells=known, columns={})
    read = payload_of(form, row)
    values: dict[str, Value] = dict(read.values)
    values.update({fault.field: known[fault.field] for fault in read.faults})
    faults = tuple(
        RowFault(
            field=fault.field,
            rule=fault.rule,
            code=fault.code,
            severity=ERROR,
            zh=fault.text.zh,
            en=fault.text.en,
        )
        for fault in read.faults
    )
    return Entry(values=values, faults=faults)


def together(typed: tuple[RowFault, ...], judged: tuple[RowFault, ...]) -> tuple[RowFault, ...]:
    """Join the faults of reading and of judging; a field that could not be read has one only."""
    unread = {fault.field for fault in typed}
    return (*typed, *(fault for fault in judged if fault.field not in unread))


def computed_texts(pack: Pack, form: Form, values: Mapping[str, Value]) -> dict[str, str]:
    """Give the computed fields of a row, as far as its figures can be read."""
    try:
        return Computation(pack, form.id).values(Numbers(form).any_row(values))
    except CatalogError:
        # Over 64 bits: the node says so, by name, when it judges the row.
        return {}


def texts_of(payload: bytes) -> dict[str, str]:
    """Give the values of a return as texts to go on from; empty where it is not here."""
    if not payload:
        return {}
    try:
        row = parse_row(payload)
    except CatalogError:
        # What was refused may be anything; then the form starts empty.
        return {}
    return {name: _text(value) for name, value in row.items()}


def _text(value: Value) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)
