"""The table of units and its projector."""

from collections.abc import Sequence

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Connection,
    LargeBinary,
    Table,
    Text,
    bindparam,
    select,
    update,
)

from yidao.api.errors import YidaoError
from yidao.catalog.rows import parse_row
from yidao.node.affairs.cores import payload_digest
from yidao.node.affairs.paths import Paths
from yidao.node.affairs.registry import records, rules
from yidao.node.store.erasures import Erasure
from yidao.node.store.records import Reader
from yidao.node.store.tables import metadata
from yidao.node.store.values import StoredRecord
from yidao.sync.ids import Path

unit = Table(
    "unit",
    metadata,
    Column("uscc", Text, primary_key=True),
    Column("pack", Text, nullable=False),
    Column("pack_version", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("region_code", Text, nullable=False),
    Column("inst_type", Text, nullable=False),
    # The whole row of the registry form, canonical JSON, without its personal fields.
    Column("entry", LargeBinary, nullable=False),
    # What recognises an equal row at the hosting node, see `cores.payload_digest`.
    Column("digest", LargeBinary, nullable=False),
    Column("origin", LargeBinary, nullable=False),
    Column("origin_path", Text, nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("record_id", LargeBinary, nullable=False),
    Column("position", BigInteger, nullable=False),
    # Another node has sent an entry of this unit too.
    Column("contested", Boolean, nullable=False),
)


class UnitProjector:
    """Folds registrations: the first host of a unit keeps it."""

    name = "registry.unit"
    tables: tuple[Table, ...] = (unit,)

    def fold(self, conn: Connection, records_: Sequence[StoredRecord], reader: Reader) -> None:
        """Fold a batch; an entry that cannot be read changes nothing."""
        self._fold_entries(conn, records_, reader)
        for erasure in reader.erasures(records_):
            _forget(conn, erasure)

    def _fold_entries(
        self, conn: Connection, records_: Sequence[StoredRecord], reader: Reader
    ) -> None:
        entries = [item for item in records_ if item.header.kind == records.REGISTERED]
        if not entries:
            return
        held = _held(conn, [item.header.unit for item in entries])
        known = set(held)
        paths = Paths(reader)
        rows: dict[str, dict[str, object]] = {}
        contested: set[str] = set()
        for item in entries:
            code = item.header.unit
            effect = rules.decide_entry(
                held.get(code), item.header.node_id, item.header.object_version
            )
            if effect is rules.Effect.CONTEST:
                contested.add(code)
            if effect not in {rules.Effect.ENTER, rules.Effect.REPLACE}:
                continue
            row = _row(item, paths.of(item.header.node_id))
            if row is None:
                continue
            rows[code] = row
            held[code] = rules.Held(origin=item.header.node_id, version=item.header.object_version)
        _write(conn, rows, known, contested)


def _forget(conn: Connection, erasure: Erasure) -> None:
    """Take erased personal fields out of the digest, which covers them without a salt."""
    if erasure.redaction.part != "pii":
        return
    mine = (unit.c.origin == erasure.record.node_id) & (
        unit.c.record_id == erasure.record.record_id
    )
    entry = conn.execute(select(unit.c.entry).where(mine)).scalar_one_or_none()
    if entry is not None:
        digest = payload_digest(bytes(entry), b"")
        conn.execute(update(unit).where(mine).values(digest=digest))


def _held(conn: Connection, codes: Sequence[str]) -> dict[str, rules.Held]:
    found = conn.execute(
        select(unit.c.uscc, unit.c.origin, unit.c.version).where(unit.c.uscc.in_(set(codes)))
    )
    return {
        code: rules.Held(origin=bytes(origin), version=version) for code, origin, version in found
    }


def _row(item: StoredRecord, path: Path | None) -> dict[str, object] | None:
    header = item.header
    schema = header.schema.split("/")
    if path is None or header.object_id != records.object_of(header.unit) or len(schema) != 3:
        return None
    try:
        row = parse_row(item.parts.get("core", b""))
    except YidaoError:
        return None
    if row.get("uscc") != header.unit:
        return None
    entry = rules.entry_of(row)
    return {
        "uscc": header.unit,
        "pack": schema[0],
        "pack_version": schema[1],
        "name": entry.name,
        "region_code": entry.region_code,
        "inst_type": entry.inst_type,
        "entry": item.parts["core"],
        "digest": payload_digest(item.parts["core"], item.parts.get("pii", b"")),
        "origin": header.node_id,
        "origin_path": str(path),
        "version": header.object_version,
        "record_id": header.record_id,
        "position": item.position,
        "contested": False,
    }


def _write(
    conn: Connection, rows: dict[str, dict[str, object]], known: set[str], contested: set[str]
) -> None:
    if fresh := [row for code, row in rows.items() if code not in known]:
        conn.execute(unit.insert(), fresh)
    if changed := [row for code, row in rows.items() if code in known]:
        # Whether a unit is contested outlives its entries.
        columns = [name for name in changed[0] if name not in {"uscc", "contested"}]
        statement = (
            update(unit)
            .where(unit.c.uscc == bindparam("b_uscc"))
            .values({name: bindparam(f"b_{name}") for name in columns})
        )
        conn.execute(
            statement, [{f"b_{name}": row[name] for name in ("uscc", *columns)} for row in changed]
        )
    if contested:
        conn.execute(update(unit).where(unit.c.uscc.in_(contested)).values(contested=True))
