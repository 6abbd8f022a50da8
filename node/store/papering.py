"""Papers of admission, folded as they are stored, and what was waiting for them.

Every paper is a record of a `node` or `down.control` journal; who may write it is
told by where its writer stands (`yidao.sync.approval`). What is wrong in one is a
problem, and has no effect.
"""

from yidao.node.store import approving, trust
from yidao.node.store.errors import EnrolmentConflict
from yidao.node.store.scope import Scope
from yidao.sync import approval
from yidao.sync.admissionerrors import ReenrolmentUnapproved
from yidao.sync.errors import SyncError
from yidao.sync.ids import JournalId, NodeId, Path
from yidao.sync.record import Header, decode_header

_KINDS = frozenset({approval.KIND_ASKED, approval.KIND_DECIDED})


def fold_foreign(
    scope: Scope, journal: JournalId, seq: int, header: Header, core: bytes | None
) -> None:
    """Fold a paper that another node wrote."""
    if header.kind not in _KINDS:
        return
    writer = trust.enrolled(scope.conn, journal.node_id)
    assert writer is not None, "its journal was admitted by its enrolment"
    try:
        fold(scope, journal.channel, header, core, writer.node_id, writer.path)
    except SyncError as error:
        scope.raise_problem(error.code, error.params, journal=journal, seq=seq)


def fold(
    scope: Scope, channel: str, header: Header, core: bytes | None, by: NodeId, by_path: Path
) -> None:
    """Fold a record if it is a paper in the journal where it belongs.

    Raises:
        PaperMalformed, PaperUnauthorised, FourEyesNeeded: It has no effect.
    """
    if header.kind == approval.KIND_ASKED and channel == approval.ASKED_CHANNEL:
        approving.fold_asked(scope, header.record_id, core, by, by_path)
    elif header.kind == approval.KIND_DECIDED and channel in approval.DECIDED_CHANNELS:
        named = header.record_id if channel == trust.NODE_CHANNEL else None
        let_in = approving.fold_decided(scope, named, core, by, by_path)
        if let_in is not None:
            _believe(scope, let_in)


def _believe(scope: Scope, node_id: NodeId) -> None:
    """Fold again the enrolments of a node that had come before their paper."""
    for by, data, core, position in approving.take_waiting(scope.conn, node_id):
        header, enroller = decode_header(data), trust.enrolled(scope.conn, by)
        try:
            trust.fold_enrolled(scope, enroller, header, core, position)
            scope.clear_problems(ReenrolmentUnapproved.code, peer=node_id)
        except ReenrolmentUnapproved:
            approving.keep_waiting(scope, by, header, core, position)
        except (SyncError, EnrolmentConflict) as error:
            scope.raise_problem(error.code, error.params, peer=node_id)
