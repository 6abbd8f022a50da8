"""All that this node holds of one return, found to be proved: see `story` for what belongs to it.

The views do not keep where verdicts, withdrawals and letters lie, so the few
journals that may hold them are looked through: the origin's, and its parent's.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, select

from yidao.api.errors import YidaoError
from yidao.node.affairs.errors import EvidenceTooLarge, ReturnAmbiguous, ReturnNotHeld
from yidao.node.affairs.registry.views import unit as unit_table
from yidao.node.affairs.reporting import records
from yidao.node.affairs.reporting.records import ReturnKey
from yidao.node.affairs.reporting.tables import return_version
from yidao.node.affairs.standards.views import pack as pack_table
from yidao.node.store.errors import StoreInconsistent
from yidao.node.store.records import record_at
from yidao.node.store.scanning import positions_naming
from yidao.node.store.store import Store
from yidao.node.store.values import Proven, StoredRecord
from yidao.sync.errors import EvidenceMalformed
from yidao.sync.evidencefiles import with_known_lines
from yidao.sync.ids import NodeId
from yidao.sync.message import EnrolmentProof
from yidao.sync.proof import parse_proof
from yidao.sync.returnevidence import MAX_RECORDS, RecordPieces, build_return_evidence

_TAKEN_BACK = frozenset({records.WITHDRAWN})
_VERDICTS = frozenset({records.ACCEPTED, records.RETURNED})


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which return is asked for.

    Attributes:
        pack: Empty where the form's name is enough.
        with_letters: Also letters that tell of other returns.
    """

    unit: str
    form: str
    period: str
    pack: str = ""
    with_letters: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Dossier:
    """Where the records of one return lie, and which node handed it in."""

    origin: NodeId
    positions: tuple[int, ...]


def find_dossier(store: Store, wanted: Wanted) -> Dossier:
    """Find the records of a return.

    Raises:
        ReturnNotHeld: No version of it is here.
        ReturnAmbiguous: Several packs or several nodes have it.
        EvidenceTooLarge: More records than one file holds.
    """
    with store.read() as conn:
        versions = _versions(conn, wanted)
        origin = NodeId(bytes(versions[0].origin))
        found = {row.position for row in versions}
        # Before anything is looked through or proved.
        _check_count(len(found))
        found |= set(_said(conn, store, versions, with_letters=wanted.with_letters))
        found |= set(_background(conn, versions, wanted.unit))
    _check_count(len(found))
    return Dossier(origin=origin, positions=tuple(sorted(found)))


def prove_dossier(
    store: Store, dossier: Dossier, *, statement: bytes, chain: Sequence[EnrolmentProof]
) -> bytes:
    """Give the evidence file of a return; see `yidao.sync.returnevidence`.

    Raises:
        EvidenceTooLarge: It does not fit one file.
        StoreTampered: What is stored does not verify; nothing is given out.
    """
    pieces = prove_records(store, dossier.positions)
    try:
        return build_return_evidence(records=pieces, statement=statement, chain=chain)
    except EvidenceMalformed:
        # All of it was verified, so that only the limits of the file are left.
        raise EvidenceTooLarge(records=len(pieces), limit=MAX_RECORDS) from None


def prove_records(store: Store, positions: Sequence[int]) -> tuple[RecordPieces, ...]:
    """Give the pieces of records that lie at positions; raises `StoreTampered`."""
    proven = [store.prove(position) for position in positions]
    return tuple(
        RecordPieces(header=each.header, proof=_proof(store, each), parts=each.parts)
        for each in proven
    )


def _proof(store: Store, proven: Proven) -> bytes:
    """Give a record's proof with the cosignatures of those who stand above its author now."""
    author = store.enrolled(proven.journal.node_id)
    keys = {each.epoch: each.journal_key for each in store.keys_of(proven.journal.node_id)}
    if author is None or proven.journal.epoch not in keys:
        raise StoreInconsistent(what="enrolment")
    tiers: list[tuple[NodeId, bytes]] = []
    below = author
    while below.parent_id != below.node_id:
        above = store.enrolled(below.parent_id)
        if above is None:
            break
        tiers += ((above.node_id, each.cosign_key) for each in store.keys_of(above.node_id))
        below = above
    proof = parse_proof(proven.proof)
    journal_key = keys[proven.journal.epoch]
    return with_known_lines(proof, store.identity.network, journal_key, tiers).encode()


def _check_count(count: int) -> None:
    if count > MAX_RECORDS:
        raise EvidenceTooLarge(records=count, limit=MAX_RECORDS)


def _versions(conn: Connection, wanted: Wanted) -> Sequence[Row[Any]]:
    table = return_version.c
    query = select(return_version).where(
        table.form == wanted.form, table.period == wanted.period, table.unit == wanted.unit
    )
    if wanted.pack:
        query = query.where(table.pack == wanted.pack)
    rows = conn.execute(query.order_by(table.position).limit(MAX_RECORDS + 1)).all()
    if not rows:
        raise ReturnNotHeld(unit=wanted.unit, form=wanted.form, period=wanted.period)
    for what in ("pack", "origin"):
        if len({getattr(row, what) for row in rows}) > 1:
            raise ReturnAmbiguous(unit=wanted.unit, form=wanted.form, what=what)
    return rows


def _said(
    conn: Connection, store: Store, versions: Sequence[Row[Any]], *, with_letters: bool
) -> Iterator[int]:
    """Give what origin and parent said of the versions: withdrawals, verdicts, letters."""
    ids = frozenset(bytes(row.record_id) for row in versions)
    first = versions[0]
    key = ReturnKey(pack=first.pack, form=first.form, period=first.period, unit=first.unit)
    origin = NodeId(bytes(first.origin))
    for position in positions_naming(conn, origin, records.UP_CHANNEL, sorted(ids)):
        if _is_said_of(record_at(conn, position), _TAKEN_BACK, key, ids):
            yield position
    node = store.enrolled(origin)
    # The root is enrolled by nobody, and its own returns are judged by nobody.
    if node is None or node.node_id == node.parent_id:
        return
    for position in positions_naming(conn, node.parent_id, records.UP_CHANNEL, sorted(ids)):
        if _is_said_of(record_at(conn, position), _VERDICTS, key, ids):
            yield position
    letters = f"to:{origin.hex()}"
    for position in positions_naming(conn, node.parent_id, letters, [records.NOTIFIED.encode()]):
        if _tells_of(record_at(conn, position), key, ids, with_others=with_letters):
            yield position


def _is_said_of(
    item: StoredRecord | None, kinds: frozenset[str], key: ReturnKey, ids: frozenset[bytes]
) -> bool:
    return (
        item is not None
        and item.header.kind in kinds
        and item.header.object_id == key.object_id
        and bool(item.header.causes)
        and item.header.causes[0] in ids
        and "core" in item.parts
    )


def _tells_of(
    item: StoredRecord | None, key: ReturnKey, ids: frozenset[bytes], *, with_others: bool
) -> bool:
    try:
        lines = records.decode_notices(item.parts.get("core") if item is not None else None)
    except YidaoError:
        return False
    ours = [line for line in lines if line.record_id in ids and line.object_id == key.object_id]
    return bool(ours) and (with_others or len(ours) == len(lines))


def _background(conn: Connection, versions: Sequence[Row[Any]], unit: str) -> Iterator[int]:
    """Give the unit's newest entry, if by the same node, and the packs of the versions."""
    entry = conn.execute(
        select(unit_table.c.position).where(
            unit_table.c.uscc == unit, unit_table.c.origin == versions[0].origin
        )
    ).scalar()
    if entry is not None:
        yield entry
    digests = {bytes(row.schema_sha256) for row in versions if row.schema_sha256}
    yield from conn.execute(
        select(pack_table.c.position).where(
            pack_table.c.id == versions[0].pack, pack_table.c.sha256.in_(digests)
        )
    ).scalars()
