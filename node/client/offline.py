"""Judge rows without a node, by the bytes of a pack."""

from collections.abc import Iterable, Mapping
from datetime import date
from typing import TYPE_CHECKING

from yidao.catalog.errors import CatalogError
from yidao.catalog.faults import Fault
from yidao.node.client.values import Row, RowFault, RowResult

if TYPE_CHECKING:
    from yidao.catalog.pack.model import Pack
    from yidao.catalog.validate import Checks


def validate_offline(pack: bytes, rows: Iterable[Row], *, on: date) -> tuple[RowResult, ...]:
    """Judge rows by a pack: `valid` or `refused` with the faults, in the order of the rows.

    What only a node knows is not looked at: whether the unit is registered,
    what other forms and periods say, which version of the pack is in force.

    Args:
        pack: The exact bytes of the version that covers the rows' periods.
        rows: Any number.
        on: The day by which code lists are read for forms without a period.

    Raises:
        PackInvalid: The bytes are no pack.
    """
    # The engines of the rules load when somebody judges; most clients leave that to the node.
    from yidao.catalog.pack.loader import load_pack
    from yidao.catalog.validate import Checks

    judge = _Judge(load_pack(pack), Checks(), on)
    return tuple(judge.result(row) for row in rows)


class _Judge:
    def __init__(self, pack: "Pack", checks: "Checks", on: date) -> None:
        self._pack = pack
        self._checks = checks
        self._on = on

    def result(self, row: Row) -> RowResult:
        try:
            found = self._faults(row)
        except CatalogError as error:
            found = (_said(error.code, error.params),)
        wrong = any(fault.severity == "error" for fault in found)
        return RowResult(
            row=row.row,
            outcome="refused" if wrong else "valid",
            faults=found,
            record_id=b"",
            version=0,
        )

    def _faults(self, row: Row) -> tuple[RowFault, ...]:
        from yidao.catalog.calendar import Period
        from yidao.catalog.rows import parse_row

        if row.period:
            Period.parse(row.period)
        check = self._checks.form(self._pack, row.form)
        cells = check.complete(parse_row(row.payload))
        if row.period and cells.get("period", row.period) != row.period:
            return (_said("ROW_PERIOD_MISMATCH", {"period": row.period}),)
        verdict = check.check(cells, on=None if row.period else self._on)
        return tuple(_fault(fault) for fault in verdict.faults)


def _fault(fault: Fault) -> RowFault:
    return RowFault(
        field=fault.field,
        rule=fault.rule,
        code=fault.code,
        severity=fault.severity.value,
        zh=fault.text.zh,
        en=fault.text.en,
    )


def _said(code: str, params: Mapping[str, str | int]) -> RowFault:
    """Give the fault of a row that is refused as a whole, in the words of the catalogue."""
    from yidao.node.messages import message

    zh, en = (message(code, params, language).text for language in ("zh", "en"))
    return RowFault(field="", rule="", code=code, severity="error", zh=zh, en=en)
