"""The records by which the sign-offs of some returns are proved, and their places in batches."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, select

from yidao.node.affairs.signoff import records
from yidao.node.affairs.signoff.tables import (
    signoff_batch,
    signoff_filing,
    signoff_policy,
    signoff_return,
)
from yidao.node.store.records import record_at
from yidao.node.store.scanning import headers_at
from yidao.sync.ids import NodeId
from yidao.sync.merkle import leaf_hashes
from yidao.sync.signoff import Batch, Policy
from yidao.sync.signoffcheck import path_to_root
from yidao.sync.signoffproof import SignedPlace


@dataclass(frozen=True, slots=True, kw_only=True)
class SignoffPieces:
    """Positions of the records, and the place of each return by its own position."""

    positions: frozenset[int]
    places: Mapping[int, bytes]


def signoff_pieces(
    conn: Connection, versions: Sequence[int], parent: NodeId | None
) -> SignoffPieces:
    """Find what proves the sign-offs of returns that lie at these positions.

    Args:
        conn: One snapshot.
        versions: Of one node.
        parent: Whose filings count; None for the root.
    """
    marks = conn.execute(
        select(signoff_return, signoff_batch.c.statement, signoff_batch.c.base)
        .join(signoff_batch, signoff_batch.c.position == signoff_return.c.batch)
        .where(signoff_return.c.position.in_(versions))
    ).all()
    positions: set[int] = set()
    places: dict[int, bytes] = {}
    for row in marks:
        batch = Batch.read(bytes(row.statement))
        positions |= {row.batch, *_line_of(conn, batch)}
        places[row.position] = _place(conn, row.batch, row.leaf_index, batch)
        if parent is not None:
            positions |= _filing(conn, parent, batch.journal.node_id, bytes(row.base))
    return SignoffPieces(positions=frozenset(positions), places=places)


def _place(conn: Connection, position: int, index: int, batch: Batch) -> bytes:
    item = record_at(conn, position)
    assert item is not None
    seqs = records.SignedBatch.decode(item.parts.get("core")).seqs
    held = headers_at(conn, batch.journal, seqs, position)
    path = path_to_root(leaf_hashes(data for _, data in held), index)
    return SignedPlace(batch=item.header.record_id, index=index, path=path).encode()


def _line_of(conn: Connection, batch: Batch) -> set[int]:
    """Give proposals and confirmations from a batch's policy back to its root policy."""
    found: set[int] = set()
    digest = batch.policy
    table = signoff_policy.c
    while digest:
        row = conn.execute(
            select(table.position, table.confirmed_at, table.statement).where(
                table.node_id == batch.journal.node_id,
                table.digest == digest,
                table.confirmed_at > 0,
            )
        ).one()
        found |= {row.position, row.confirmed_at}
        digest = Policy.read(bytes(row.statement)).previous
    return found


def _filing(conn: Connection, parent: NodeId, node_id: NodeId, base: bytes) -> set[int]:
    table = signoff_filing.c
    query = select(table.position).where(
        table.by_id == parent, table.node_id == node_id, table.policy == base
    )
    return set(conn.execute(query).scalars())
