"""What stands at the origin already: read in bulk before a batch of rows is judged."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from sqlalchemy import Connection, select

from yidao.catalog.pack.model import Value
from yidao.catalog.rows import parse_row
from yidao.node.affairs.registry.views import unit
from yidao.node.affairs.reporting.records import ReturnKey
from yidao.node.affairs.reporting.rules import Current, State
from yidao.node.affairs.reporting.tables import return_version

Row = Mapping[str, Value]

#: Versions whose figures other rows may be compared with.
_GOOD = (State.ACCEPTED.value, State.SUBMITTED.value, State.RECORDED.value)


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """The newest version of a return, or the entry of a unit, with its record."""

    current: Current
    record_id: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """Who hosts a unit, and its newest entry."""

    origin: bytes
    origin_path: str
    standing: Standing


@dataclass(slots=True, kw_only=True)
class Standings:
    """What a batch is judged against; grows by the rows of the batch itself, in their order.

    Attributes:
        returns: Newest version of a return of this node.
        hosts: Units by code.
        good: Newest version that is not refused or returned, for `year_ago` and `forms`.
        accepted: The accepted version, for `prev`.
    """

    returns: dict[ReturnKey, Standing] = field(default_factory=dict)
    hosts: dict[str, Host] = field(default_factory=dict)
    good: dict[ReturnKey, Row] = field(default_factory=dict)
    accepted: dict[ReturnKey, Row] = field(default_factory=dict)


def _by_place(keys: Iterable[ReturnKey]) -> dict[tuple[str, str, str], set[str]]:
    groups: dict[tuple[str, str, str], set[str]] = defaultdict(set)
    for key in keys:
        groups[key.pack, key.form, key.period].add(key.unit)
    return groups


def load_standings(
    conn: Connection,
    own_node_id: bytes,
    own_path: str,
    *,
    keys: Iterable[ReturnKey],
    looked_at: Iterable[ReturnKey],
) -> Standings:
    """Read what a batch needs.

    Args:
        conn: One snapshot.
        own_node_id: Only this node's own returns count here.
        own_path: A unit that was handed over to this node is free for its entry.
        keys: Returns that the batch hands in.
        looked_at: Returns that rules compare them with, the payloads are wanted of.
    """
    keys = set(keys)
    standings = Standings(hosts=_hosts(conn, {key.unit for key in keys}, own_path))
    table = return_version.c
    for (pack, form, period), units in _by_place(keys).items():
        found = conn.execute(
            select(table.unit, table.version, table.state, table.digest, table.record_id)
            .where(
                table.pack == pack,
                table.form == form,
                table.period == period,
                table.unit.in_(units),
                table.origin == own_node_id,
            )
            .order_by(table.version)
        )
        for row in found:
            key = ReturnKey(pack=pack, form=form, period=period, unit=row.unit)
            current = Current(
                number=row.version, state=State(row.state), digest=bytes(row.digest or b"")
            )
            standings.returns[key] = Standing(current=current, record_id=bytes(row.record_id))
    _load_rows(conn, own_node_id, standings, looked_at)
    return standings


def _hosts(conn: Connection, codes: set[str], own_path: str) -> dict[str, Host]:
    table = unit.c
    is_free = (table.origin == b"") & (table.origin_path == own_path)
    columns = (
        table.uscc,
        table.origin,
        table.origin_path,
        table.version,
        table.digest,
        table.record_id,
    )
    return {
        row.uscc: Host(
            origin=bytes(row.origin),
            origin_path=row.origin_path,
            standing=Standing(
                current=Current(number=row.version, state=State.RECORDED, digest=bytes(row.digest)),
                record_id=bytes(row.record_id),
            ),
        )
        for row in conn.execute(select(*columns).where(table.uscc.in_(codes), ~is_free))
    }


def _load_rows(
    conn: Connection, own_node_id: bytes, standings: Standings, keys: Iterable[ReturnKey]
) -> None:
    table = return_version.c
    for (pack, form, period), units in _by_place(keys).items():
        found = conn.execute(
            select(table.unit, table.state, table.payload)
            .where(
                table.pack == pack,
                table.form == form,
                table.period == period,
                table.unit.in_(units),
                table.origin == own_node_id,
                table.state.in_(_GOOD),
                table.payload.is_not(None),
            )
            .order_by(table.version)
        )
        for code, state, payload in found:
            key = ReturnKey(pack=pack, form=form, period=period, unit=code)
            standings.good[key] = parse_row(bytes(payload))
            if state == State.ACCEPTED.value:
                standings.accepted[key] = standings.good[key]
