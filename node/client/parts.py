"""Calls about parts of records: what is here, erasing and pruning."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import grpc

from yidao.api.local.v1 import parts_pb2, parts_pb2_grpc
from yidao.node.client.calls import Calls
from yidao.node.client.errors import error_of


@dataclass(frozen=True, slots=True, kw_only=True)
class PartInfo:
    """What a node has of a part.

    Attributes:
        length: Of the body, in bytes, whether it is here or not.
        grade: Level of 政务数据分级, 1 to 4.
        state: `present`, `withheld`, `pruned` or `redacted`.
        reason: With `basis`, `operator` and `position` of the record that says why it is
            gone; empty and 0 where only another node's word is known.
    """

    name: str
    length: int
    grade: int
    state: str
    reason: str
    basis: str
    operator: str
    position: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Redacted:
    """A part that was erased.

    Attributes:
        position: Of the record of it; 0 for a dry run.
        everywhere: Every node that holds the part erases it; else this one alone.
    """

    position: int
    everywhere: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Pruned:
    """What a pruning has removed so far, or would remove.

    Attributes:
        position: Looked at up to here, of `up_to`.
        kept: Records that stay for a rule: `audit`, `open`, `unacknowledged`.
    """

    position: int
    up_to: int
    records: int
    bodies_bytes: int
    kept: Mapping[str, int]


class PartsCalls(Calls):
    """What a client asks of parts."""

    @property
    def _parts(self) -> parts_pb2_grpc.PartsServiceStub:
        return self._stub(parts_pb2_grpc.PartsServiceStub)

    def parts(self, record_id: bytes) -> tuple[PartInfo, ...]:
        """Say what there is of each part of a record."""
        answer = self._call(self._parts.ListParts, parts_pb2.ListPartsRequest(record_id=record_id))
        return tuple(
            PartInfo(
                name=each.name,
                length=each.length,
                grade=each.grade,
                state=each.state,
                reason=each.reason,
                basis=each.basis,
                operator=each.operator,
                position=each.position,
            )
            for each in answer.parts
        )

    def part(self, record_id: bytes, name: str) -> bytes:
        """Give the bytes of a part; the error says why it is not here."""
        request = parts_pb2.GetPartRequest(record_id=record_id, name=name)
        return self._call(self._parts.GetPart, request).body

    def redact(
        self,
        record_id: bytes,
        part: str,
        *,
        reason: str,
        basis: str,
        operator: str,
        dry_run: bool = False,
    ) -> Redacted:
        """Erase a part of a record for good; when it returns, the bytes are gone here."""
        request = parts_pb2.RedactRequest(
            record_id=record_id,
            part=part,
            reason=reason,
            basis=basis,
            operator=operator,
            dry_run=dry_run,
        )
        answer = self._call(self._parts.Redact, request)
        return Redacted(position=answer.position, everywhere=answer.everywhere)

    def prune(
        self,
        *,
        before_ms: int,
        reason: str,
        operator: str,
        kinds: Sequence[str] = (),
        forms: Sequence[str] = (),
        dry_run: bool = False,
        progress: Callable[[Pruned], None] | None = None,
    ) -> Pruned:
        """Remove parts by age; what is removed stays removed if the call is cut short.

        Args:
            before_ms: What the node stored before (Unix milliseconds).
            reason: Why, in words.
            operator: Who decided it, `user@path`.
            kinds: Kinds of records or their beginnings; all if empty.
            forms: Forms; all if empty.
            dry_run: Count, and remove nothing.
            progress: Called after each step with what was removed so far.
        """
        request = parts_pb2.PruneRequest(
            before_ms=before_ms,
            kinds=kinds,
            forms=forms,
            reason=reason,
            operator=operator,
            dry_run=dry_run,
        )
        so_far = Pruned(position=0, up_to=0, records=0, bodies_bytes=0, kept={})
        try:
            for step in self._parts.Prune(
                request, timeout=self._timeout_seconds, metadata=self._metadata
            ):
                so_far = _add(so_far, step)
                if progress is not None:
                    progress(so_far)
        except grpc.RpcError as failure:
            raise error_of(failure, self._socket, self._timeout_seconds) from None
        return so_far


def _add(so_far: Pruned, step: parts_pb2.PruneProgress) -> Pruned:
    rules = {*so_far.kept, *step.kept}
    return Pruned(
        position=step.position,
        up_to=step.up_to,
        records=so_far.records + step.records,
        bodies_bytes=so_far.bodies_bytes + step.bodies_bytes,
        kept={rule: so_far.kept.get(rule, 0) + step.kept.get(rule, 0) for rule in rules},
    )
