"""The table of units and its projector."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Connection,
    LargeBinary,
    PrimaryKeyConstraint,
    Table,
    Text,
    bindparam,
    delete,
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
from yidao.sync.ids import NodeId, Path

# A unit that was handed on more often before one record came is not followed further.
MAX_HAND_OVERS: Final = 16

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
    # Empty where the unit waits for the node at `origin_path` to take it.
    Column("origin", LargeBinary, nullable=False),
    Column("origin_path", Text, nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("record_id", LargeBinary, nullable=False),
    Column("position", BigInteger, nullable=False),
    # Another node has sent an entry of this unit too.
    Column("contested", Boolean, nullable=False),
)


# Entries of nodes that do not host the unit, the newest of each: it may be handed over
# to one of them yet. to_path: where that node handed the unit on to, as if it hosted it.
unit_claim = Table(
    "unit_claim",
    metadata,
    Column("uscc", Text, nullable=False),
    Column("origin", LargeBinary, nullable=False),
    Column("journal_id", BigInteger, nullable=False),
    Column("seq", BigInteger, nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("to_path", Text, nullable=True),
    PrimaryKeyConstraint("uscc", "origin"),
)


class UnitProjector:
    """Folds registrations and hand-overs: a unit has one host at a time, or none."""

    name = "registry.unit"
    tables: tuple[Table, ...] = (unit, unit_claim)

    def fold(self, conn: Connection, records_: Sequence[StoredRecord], reader: Reader) -> None:
        """Fold a batch; what cannot be read changes nothing."""
        self._fold_entries(conn, records_, reader)
        for erasure in reader.erasures(records_):
            _forget(conn, erasure)

    def _fold_entries(
        self, conn: Connection, records_: Sequence[StoredRecord], reader: Reader
    ) -> None:
        kinds = {records.REGISTERED, records.HANDED_OVER}
        events = [item for item in records_ if item.header.kind in kinds]
        if not events:
            return
        batch = _Batch.load(conn, reader, {item.header.unit for item in events})
        for item in events:
            if item.header.kind == records.REGISTERED:
                batch.enter(item)
            else:
                batch.hand_over(item)
        batch.save()


@dataclass(slots=True, kw_only=True)
class _Claim:
    journal_pk: int
    seq: int
    version: int
    to_path: str | None = None


@dataclass(slots=True, kw_only=True)
class _Batch:
    """The units of one batch while it is folded.

    Attributes:
        known: Units that have a row in the table.
        rows: Their new rows; whole, or what a hand-over changes.
        claims: By unit and claimant.
        touched: Units whose claims changed.
    """

    conn: Connection
    reader: Reader
    paths: Paths
    known: frozenset[str]
    held: dict[str, rules.Held]
    claims: dict[str, dict[bytes, _Claim]]
    rows: dict[str, dict[str, object]] = field(default_factory=dict)
    touched: set[str] = field(default_factory=set)

    @classmethod
    def load(cls, conn: Connection, reader: Reader, codes: set[str]) -> "_Batch":
        held = _held(conn, codes)
        claims: dict[str, dict[bytes, _Claim]] = {code: {} for code in codes}
        for row in conn.execute(select(unit_claim).where(unit_claim.c.uscc.in_(codes))):
            claims[row.uscc][bytes(row.origin)] = _Claim(
                journal_pk=row.journal_id, seq=row.seq, version=row.version, to_path=row.to_path
            )
        return cls(
            conn=conn,
            reader=reader,
            paths=Paths(reader),
            known=frozenset(held),
            held=held,
            claims=claims,
        )

    def enter(self, item: StoredRecord) -> None:
        """Fold an entry."""
        header = item.header
        code, origin, version = header.unit, bytes(header.node_id), header.object_version
        path = self.paths.of(origin)
        row = None if path is None else _row(item, path)
        if path is None or row is None:
            return
        held = self.held.get(code)
        host = held.origin if held else b""
        kinship = self._kinship(origin, host) if host not in (b"", origin) else rules.Kinship.NONE
        effect = rules.decide_entry(held, origin, version, str(path), kinship)
        if effect is rules.Effect.CONTEST:
            self._claim(item, code, origin, version)
        elif effect is not rules.Effect.IGNORE:
            self._write(code, origin, version, str(path), row)

    def hand_over(self, item: StoredRecord) -> None:
        """Fold a hand-over; then who claims the unit at that path has taken it."""
        code, origin = item.header.unit, bytes(item.header.node_id)
        held, claim = self.held.get(code), self.claims[code].get(origin)
        try:
            to = str(records.read_hand_over(item.parts.get("core", b"")))
        except YidaoError:
            return
        if held is not None and held.origin == origin:
            self._let_go(code, to)
        elif claim is not None:
            claim.to_path = to
            self.touched.add(code)

    def _let_go(self, code: str, to: str) -> None:
        """Let a unit wait for the node at a path; whoever claims it there takes it at once."""
        for _ in range(MAX_HAND_OVERS):
            self.held[code] = replace(self.held[code], origin=b"", path=to)
            self.rows.setdefault(code, {}).update(uscc=code, origin=b"", origin_path=to)
            claim = next(
                (
                    claim
                    for origin, claim in sorted(self.claims[code].items())
                    if str(self.paths.of(origin)) == to
                ),
                None,
            )
            if claim is None:
                return
            item = self.reader.record(claim.journal_pk, claim.seq)
            assert item is not None, "a claim is a record that was folded"
            self.enter(item)
            if claim.to_path is None:
                return
            to = claim.to_path

    def _write(
        self, code: str, origin: bytes, version: int, path: str, row: dict[str, object]
    ) -> None:
        self.rows[code] = row
        self.held[code] = rules.Held(origin=origin, version=version, path=path)
        if self.claims[code].pop(origin, None) is not None:
            self.touched.add(code)

    def _claim(self, item: StoredRecord, code: str, origin: bytes, version: int) -> None:
        known = self.claims[code].get(origin)
        if known is None or version > known.version:
            to_path = known.to_path if known else None
            self.claims[code][origin] = _Claim(
                journal_pk=item.journal_pk, seq=item.seq, version=version, to_path=to_path
            )
            self.touched.add(code)

    def _kinship(self, origin: bytes, host: bytes) -> rules.Kinship:
        if self.reader.succeeds(NodeId(origin), NodeId(host)):
            return rules.Kinship.HEIR
        if self.reader.succeeds(NodeId(host), NodeId(origin)):
            return rules.Kinship.FOREBEAR
        return rules.Kinship.NONE

    def save(self) -> None:
        """Write what changed."""
        fresh = [row for code, row in self.rows.items() if code not in self.known]
        if fresh:
            self.conn.execute(unit.insert(), fresh)
        known = [row for code, row in self.rows.items() if code in self.known]
        _update(self.conn, [row for row in known if "entry" in row])
        _update(self.conn, [row for row in known if "entry" not in row])
        for code in self.touched:
            self.conn.execute(delete(unit_claim).where(unit_claim.c.uscc == code))
            claims = self.claims[code]
            if claims:
                self.conn.execute(
                    unit_claim.insert(), [_claim_row(code, *each) for each in claims.items()]
                )
            where = unit.c.uscc == code
            self.conn.execute(update(unit).where(where).values(contested=bool(claims)))


def _forget(conn: Connection, erasure: Erasure) -> None:
    """Take erased personal fields out of the digest, which covers them without a salt."""
    if erasure.redaction.part != "pii":
        return
    # Whoever hosts the unit now, or nobody: the entry is of that record.
    mine = unit.c.record_id == erasure.record.record_id
    entry = conn.execute(select(unit.c.entry).where(mine)).scalar_one_or_none()
    if entry is not None:
        digest = payload_digest(bytes(entry), b"")
        conn.execute(update(unit).where(mine).values(digest=digest))


def _claim_row(code: str, origin: bytes, claim: _Claim) -> dict[str, object]:
    return {
        "uscc": code,
        "origin": origin,
        "journal_id": claim.journal_pk,
        "seq": claim.seq,
        "version": claim.version,
        "to_path": claim.to_path,
    }


def _held(conn: Connection, codes: set[str]) -> dict[str, rules.Held]:
    table = unit.c
    found = conn.execute(
        select(table.uscc, table.origin, table.version, table.origin_path).where(
            table.uscc.in_(codes)
        )
    )
    return {
        code: rules.Held(origin=bytes(origin), version=version, path=path)
        for code, origin, version, path in found
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


def _update(conn: Connection, changed: Sequence[dict[str, object]]) -> None:
    if not changed:
        return
    # Whether a unit is contested follows from its claims.
    columns = [name for name in changed[0] if name not in {"uscc", "contested"}]
    statement = (
        update(unit)
        .where(unit.c.uscc == bindparam("b_uscc"))
        .values({name: bindparam(f"b_{name}") for name in columns})
    )
    conn.execute(
        statement, [{f"b_{name}": row[name] for name in ("uscc", *columns)} for row in changed]
    )
