"""Errors of the store.

Three families, because three parties can be at fault: after a `StoreError` a
person must look at the database or its disk, after an `AppendError` the caller
asked for something that the store must not do, after a `RefusedError` a peer
sent something that has no place here (its journal waits, the link goes on).
"""

from yidao.node.errors import NodeError
from yidao.sync.errors import PeerError


class StoreError(NodeError):
    """The database cannot be used, or not for this."""

    code = "STORE_ERROR"


class StoreUrlInvalid(StoreError):
    """A database URL that no store is behind (params: reason)."""

    code = "STORE_URL_INVALID"


class StoreEmpty(StoreError):
    """The database file is there and holds nothing: a store was lost (params: path)."""

    code = "STORE_EMPTY"


class StoreForeign(StoreError):
    """The database is not a store of Yidao (params: reason)."""

    code = "STORE_FOREIGN"


class StoreNewer(StoreError):
    """A newer version has worked on this store (params: revision)."""

    code = "STORE_NEWER"


class StoreOfAnotherNode(StoreError):
    """The store belongs to another node or network (params: node_id, found)."""

    code = "STORE_OF_ANOTHER_NODE"


class EpochNotLive(StoreError):
    """The keys of this folder are of another epoch than the store (params: epoch, live)."""

    code = "EPOCH_NOT_LIVE"


class StoreLocked(StoreError):
    """Another process has this store open (params: path)."""

    code = "STORE_LOCKED"
    retryable = True


class StoreFenced(StoreError):
    """The node may not seal now (params: standing); it may later."""

    code = "NODE_FENCED"
    retryable = True


class StorePragma(StoreError):
    """The database does not promise durability (params: name, value, wanted)."""

    code = "STORE_PRAGMA"


class StoreUnreachable(StoreError):
    """The database does not answer (params: reason)."""

    code = "STORE_UNREACHABLE"
    retryable = True


class StoreUnbound(StoreError):
    """The store was not yet told which node it serves."""

    code = "STORE_UNBOUND"


class StoreClosed(StoreError):
    """The store is closed, or closing."""

    code = "STORE_CLOSED"
    retryable = True


class StoreFull(StoreError):
    """The disk or the database is full; nothing was changed."""

    code = "STORE_FULL"
    retryable = True


class StoreWriteFailed(StoreError):
    """A transaction did not commit; what it held can be asked for again (params: reason)."""

    code = "STORE_WRITE_FAILED"
    retryable = True


class StoreCommitUnknown(StoreError):
    """The connection was lost while a transaction committed: it may have (params: reason)."""

    code = "STORE_COMMIT_UNKNOWN"
    retryable = True


class StoreTampered(StoreError):
    """Stored bytes are not those that were sealed (params: journal, seq, what)."""

    code = "STORE_TAMPERED"


class StoreInconsistent(StoreError):
    """Two tables of the store contradict each other (params: what)."""

    code = "STORE_INCONSISTENT"


class PositionUnknown(StoreError):
    """There is no record at that position (params: position)."""

    code = "POSITION_UNKNOWN"


class ProjectionStalled(StoreError):
    """A projection or decision failed and waits for a person (params: name)."""

    code = "PROJECTION_STALLED"


class AppendError(NodeError):
    """A record that this node must not write."""

    code = "APPEND_ERROR"


class RecordIdReused(AppendError):
    """That record id stands for other content already (params: record_id)."""

    code = "RECORD_ID_REUSED"


class RecordTooLarge(AppendError):
    """One record with its parts and what it releases fits no seal (size_bytes, limit_bytes)."""

    code = "RECORD_TOO_LARGE"


class TargetUnknown(AppendError):
    """A `to` channel names a node that is not enrolled as far as known here (params: node_id)."""

    code = "TARGET_UNKNOWN"


class EnrolmentConflict(AppendError):
    """A node id or a path is taken by another enrolment (params: path, node_id)."""

    code = "ENROLMENT_CONFLICT"


class ReleaseUnknown(AppendError):
    """A released record is not held here (params: journal_pk, seq)."""

    code = "RELEASE_UNKNOWN"


class TicketUnsealed(AppendError):
    """A ticket's position was asked for before its group was sealed."""

    code = "TICKET_UNSEALED"


class RefusedError(PeerError):
    """What a peer sent has no place in this store."""

    code = "REFUSED"


class JournalUndeclared(RefusedError):
    """No `node` journal and no enrolment declares this journal."""

    code = "JOURNAL_UNDECLARED"


class JournalOutOfScope(RefusedError):
    """The journal's origin does not stand where this peer may speak for it."""

    code = "JOURNAL_OUT_OF_SCOPE"


class LaneMismatch(RefusedError):
    """The journal does not come this way, or not in this lane."""

    code = "LANE_MISMATCH"


class JournalRevoked(RefusedError):
    """The journal's node was revoked, and the records lie beyond its cut (params: size, valid)."""

    code = "JOURNAL_REVOKED"


class PartUnexpected(RefusedError):
    """A part came with an item that it does not belong to (params: seq)."""

    code = "PART_UNEXPECTED"


class TooMuchParked(RefusedError):
    """A peer sent more parts of records that are not here than are kept (params: limit)."""

    code = "TOO_MUCH_PARKED"


class TooManyJournals(RefusedError):
    """A peer sent more undeclared journals than are kept as a note (params: limit)."""

    code = "TOO_MANY_JOURNALS"
