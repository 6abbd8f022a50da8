"""Reading units."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, func, select

from yidao.node.affairs.registry.views import unit

DEFAULT_LIMIT = 200
MAX_LIMIT = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitRow:
    """One unit of the registry."""

    unit: str
    name: str
    region_code: str
    inst_type: str
    origin_path: str
    version: int
    record_id: bytes
    contested: bool


def list_units(conn: Connection, after: str, limit: int) -> tuple[UnitRow, ...]:
    """Give units in the order of their codes, after one of them."""
    rows = conn.execute(
        select(unit)
        .where(unit.c.uscc > after)
        .order_by(unit.c.uscc)
        .limit(min(limit or DEFAULT_LIMIT, MAX_LIMIT))
    )
    return tuple(_unit(row) for row in rows)


def find_unit(conn: Connection, code: str) -> UnitRow | None:
    """Give a unit by its code; None if it is not known here."""
    row = conn.execute(select(unit).where(unit.c.uscc == code)).first()
    return None if row is None else _unit(row)


def _unit(row: Row[Any]) -> UnitRow:
    return UnitRow(
        unit=row.uscc,
        name=row.name,
        region_code=row.region_code,
        inst_type=row.inst_type,
        origin_path=row.origin_path,
        version=row.version,
        record_id=bytes(row.record_id),
        contested=row.contested,
    )


def count_units(conn: Connection) -> int:
    """Count the units that are known here."""
    return conn.execute(select(func.count()).select_from(unit)).scalar_one()
