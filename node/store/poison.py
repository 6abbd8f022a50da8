"""Records that break who reads them: each is put aside alone, so that the reader goes on.

A record of another node is sealed by it and kept as evidence, whatever it does to a
projector or decider that meets it. One child must not be able to stop what its siblings
and superiors see, so the batch is given again record by record, and what fails is left
out and shown. Only what others wrote is left out: this node's own records fail by a
defect of this node. Where the records of several authors fail and none is well, the
defect is ours too. Then the reader stops, as before, until a person has looked.
"""

from collections.abc import Callable, Sequence
from typing import Final

from sqlalchemy import update

from yidao.node.store.engine import is_fatal, may_pass
from yidao.node.store.group import GroupBroken
from yidao.node.store.tables import problem
from yidao.node.store.transaction import Tx
from yidao.node.store.values import StoredRecord
from yidao.sync.ids import NodeId

BREAKS_VIEW: Final = "RECORD_BREAKS_VIEW"
BREAKS_DECISION: Final = "RECORD_BREAKS_DECISION"

#: From so many authors at once, with nothing that is well, the fault is not theirs.
SYSTEMIC_AUTHORS: Final = 3

Single = Callable[[StoredRecord], None]
Failed = tuple[StoredRecord, Exception]


def one_by_one(records: Sequence[StoredRecord], single: Single, own: NodeId) -> list[Failed]:
    """Give records one by one, and return those that failed.

    Args:
        records: In position order.
        single: Reads one record; leaves nothing behind where it raises.
        own: This node.

    Raises:
        Exception: What a record of this node's own raised, what may pass or is fatal,
            or the first failure where everybody's records fail.
    """
    failed: list[Failed] = []
    for record in records:
        try:
            single(record)
        except GroupBroken:
            raise
        except Exception as error:
            if may_pass(error) or is_fatal(error) or record.journal.node_id == own:
                raise
            failed.append((record, error))
    authors = {record.journal.node_id for record, _ in failed}
    others = sum(record.journal.node_id != own for record in records)
    if len(authors) >= SYSTEMIC_AUTHORS and len(failed) == others:
        raise failed[0][1]
    return failed


def clear(tx: Tx, code: str) -> None:
    """Call every problem of that code mended: whoever reads again shows anew what still breaks."""
    tx.conn.execute(
        update(problem)
        .where(problem.c.code == code, problem.c.cleared_ms.is_(None))
        .values(cleared_ms=tx.now_ms)
    )


def show(tx: Tx, code: str, name: str, failed: Sequence[Failed]) -> None:
    """Raise a problem for every record that was left out."""
    for record, error in failed:
        tx.raise_problem(
            code,
            journal=record.journal,
            seq=record.seq,
            peer=record.journal.node_id,
            name=name,
            kind=record.header.kind,
            error=type(error).__name__,
        )
