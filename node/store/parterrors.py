"""Errors about parts: sealed to somebody, pruned, redacted."""

from yidao.node.store.errors import AppendError, RefusedError, StoreError


class SealedPartUnreadable(RefusedError):
    """A part that was sealed to this node does not open with its keys (params: part, seq)."""

    code = "SEALED_PART_UNREADABLE"


class PartPruned(StoreError):
    """The part was removed here by age (params: part, record_id)."""

    code = "PART_PRUNED"


class PartRedacted(StoreError):
    """The part was erased by an order (params: part, record_id)."""

    code = "PART_REDACTED"


class PartAbsent(AppendError):
    """The record has no such part, or it is not here (params: part, record_id)."""

    code = "PART_ABSENT"


class PruningUnready(AppendError):
    """Views do not show everything, so that nothing can be sealed (params: applied, position)."""

    code = "PRUNING_UNREADY"
    retryable = True


class SnapshotDamaged(StoreError):
    """A sealed snapshot does not hold what was sealed (params: position, table)."""

    code = "SNAPSHOT_DAMAGED"
