"""Returns as tables: what is known of each, then its figures."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final, Protocol

from yidao.node.client.frames import Cell, Table, Tabular, table_of

_KNOWN: Final[Mapping[str, type]] = {
    "form": str,
    "period": str,
    "unit": str,
    "version": int,
    "state": str,
    "record_id": str,
    "pack_version": str,
    "origin_path": str,
    "submitted_by": str,
    "reviewed_by": str,
    "reason": str,
}


class ReturnLike(Protocol):
    """What a table reads of a return: its plain fields, and the JSON of its figures."""

    @property
    def form(self) -> str:
        """Its form."""

    @property
    def record_id(self) -> bytes:
        """16 bytes."""

    @property
    def payload(self) -> bytes:
        """JSON bytes; empty where the figures are not here."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TypedReturns(Tabular):
    """Returns whose figures are numbers, by a standard.

    Attributes:
        pack: The exact bytes of the version of the pack.
    """

    returns: Sequence[ReturnLike]
    pack: bytes

    def table(self) -> Table:
        """Give a line a return; raises `PackInvalid`."""
        return returns_table(self.returns, _field_kinds(self.pack, self.returns))


def returns_table(returns: Iterable[ReturnLike], kinds: Mapping[str, type]) -> Table:
    """Make a table of returns.

    Args:
        returns: Of any forms; what a form does not have is None.
        kinds: Of fields; texts stay texts where it says nothing.
    """
    columns: dict[str, type] = dict(_KNOWN)
    lines = []
    for each in returns:
        line: dict[str, Cell] = {name: getattr(each, name) for name in _KNOWN}
        line["record_id"] = each.record_id.hex()
        for name, value in json.loads(each.payload or b"{}").items():
            if name in _KNOWN:
                # Unit and period are fields of most forms too, and equal.
                continue
            kind = kinds.get(name, type(value))
            if columns.setdefault(name, kind) is not kind:
                columns[name] = str
            line[name] = Decimal(value) if kind is Decimal else value
        lines.append(line)
    for name in columns.keys() - _KNOWN.keys():
        if columns[name] is str:
            for line in lines:
                value = line.get(name)
                line[name] = None if value is None else str(value)
    return table_of(columns, lines)


def _field_kinds(pack: bytes, returns: Iterable[ReturnLike]) -> dict[str, type]:
    """Give the fields that are decimals in every form of these returns that has them."""
    from yidao.catalog.pack.loader import load_pack
    from yidao.catalog.pack.model import FieldKind

    loaded = load_pack(pack)
    kinds: dict[str, type] = {}
    texts: set[str] = set()
    for form_id in {each.form for each in returns}:
        for field in loaded.form(form_id).fields.values():
            if field.kind is FieldKind.DECIMAL:
                kinds[field.name] = Decimal
            else:
                texts.add(field.name)
    return {name: kind for name, kind in kinds.items() if name not in texts}
