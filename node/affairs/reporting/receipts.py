"""Receipts: what stands on the paper that a clerk takes home, and finding it again by its code."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, select

from yidao.node.affairs.desk import Desk
from yidao.node.affairs.errors import (
    ReceiptCodeAmbiguous,
    ReceiptCodeUnknown,
    ReturnStateWrong,
    ReturnUnknown,
)
from yidao.node.affairs.registry.views import unit
from yidao.node.affairs.reporting.queries import JournalFrontier, ReturnRow, return_row
from yidao.node.affairs.reporting.rules import State
from yidao.node.affairs.reporting.tables import return_version
from yidao.node.store.values import Proven
from yidao.sync.checkpoint import parse_checkpoint
from yidao.sync.ids import NodeId, Path
from yidao.sync.leafcode import leaf_code, parse_leaf_code
from yidao.sync.merkle import leaf_hash

# Nobody holds these for the office: they never left the node.
_STAYED = frozenset({State.REFUSED.value, State.RECORDED.value})


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """What a receipt says of a return.

    Attributes:
        code: See `yidao.sync.leafcode`.
        about: The return as it stands now.
        leaf_sha256: Leaf hash of the record's header.
        frontier: Journal, size and root of the checkpoint that most nodes cosigned.
        seq: Place in the journal.
        created_ms: When it was handed in.
        held_by: Paths of the nodes whose cosignatures stand on that checkpoint.
    """

    code: str
    about: ReturnRow
    unit_name: str
    leaf_sha256: bytes
    frontier: JournalFrontier
    seq: int
    created_ms: int
    held_by: tuple[str, ...]


def receipt(desk: Desk, *, record_id: bytes = b"", code: str = "") -> Receipt:
    """Give the receipt of a return by its record, or by the code that stands on it.

    The record is proved to stand under the checkpoint before anything is said of it.

    Raises:
        ReturnUnknown: No return here has the id, or several origins have.
        LeafCodeInvalid: The code is none.
        ReceiptCodeUnknown, ReceiptCodeAmbiguous: None here has it, or several have.
        ReturnStateWrong: The return never left its node.
        StoreTampered: What is stored does not verify.
    """
    with desk.read() as conn:
        row = _by_code(conn, code) if code else _by_record(conn, record_id)
        name = conn.execute(select(unit.c.name).where(unit.c.uscc == row.unit)).scalar() or ""
    if row.state in _STAYED:
        raise ReturnStateWrong(state=row.state, step="receipt")
    proven = desk.store.prove(row.position)
    return Receipt(
        code=leaf_code(leaf_hash(proven.header)),
        about=return_row(row, name),
        unit_name=name,
        leaf_sha256=leaf_hash(proven.header),
        frontier=_frontier(proven),
        seq=proven.seq,
        created_ms=row.created_ms,
        held_by=_paths(desk, proven.cosigners),
    )


def _by_record(conn: Connection, record_id: bytes) -> Row[Any]:
    query = select(return_version).where(return_version.c.record_id == record_id).limit(2)
    rows = conn.execute(query).all()
    # Two origins may have chosen one id; a receipt must not guess.
    if len(rows) != 1:
        raise ReturnUnknown(record=record_id.hex()[:64])
    return rows[0]


def _by_code(conn: Connection, code: str) -> Row[Any]:
    leaf = parse_leaf_code(code)
    query = select(return_version).where(return_version.c.leaf == leaf).limit(2)
    rows = conn.execute(query).all()
    if not rows:
        raise ReceiptCodeUnknown(code=leaf_code(leaf))
    if len(rows) > 1:
        raise ReceiptCodeAmbiguous(code=leaf_code(leaf))
    return rows[0]


def _frontier(proven: Proven) -> JournalFrontier:
    # The proof was verified under this checkpoint and the journal's key.
    checkpoint = parse_checkpoint(proven.checkpoint)
    return JournalFrontier(origin=checkpoint.origin, size=checkpoint.size, root=checkpoint.root)


def _paths(desk: Desk, cosigners: tuple[NodeId, ...]) -> tuple[str, ...]:
    nodes = (desk.store.enrolled(cosigner) for cosigner in cosigners)
    paths = sorted((node.path for node in nodes if node is not None), key=_tier)
    return tuple(str(path) for path in paths)


def _tier(path: Path) -> tuple[int, Path]:
    return -path.depth, path
