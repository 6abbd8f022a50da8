"""Whose returns records are."""

from collections import defaultdict
from collections.abc import Mapping, Sequence

from sqlalchemy import Connection, select

from yidao.node.affairs.reporting.tables import return_version


def units_of(conn: Connection, record_ids: Sequence[bytes]) -> Mapping[bytes, frozenset[str]]:
    """Give the institutions whose returns bear these ids; two origins may have chosen one id."""
    table = return_version.c
    found: dict[bytes, set[str]] = defaultdict(set)
    rows = conn.execute(
        select(table.record_id, table.unit).where(table.record_id.in_(set(record_ids)))
    )
    for record_id, unit in rows:
        found[bytes(record_id)].add(unit)
    return {record_id: frozenset(units) for record_id, units in found.items()}
