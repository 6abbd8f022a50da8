"""Calls about what became of a node: incidents, new epochs, nodes that were put aside."""

from collections.abc import Mapping
from dataclasses import dataclass

from yidao.api.local.v1 import recovery_pb2, recovery_pb2_grpc
from yidao.node.client.calls import Calls


@dataclass(frozen=True, slots=True, kw_only=True)
class Incident:
    """Something of which an operator must know what happened and what proves it.

    Attributes:
        journal: `<node_id>/<channel>/<epoch>`; empty if it is about no journal.
        peer: The other node's path; empty if there is none.
        held: A signed note, what was held; empty if there is none.
        other: The signed note that contradicts it; empty if there is none.
        settled_ms: Unix milliseconds; 0 while it is open.
    """

    code: str
    journal: str
    peer: str
    params: Mapping[str, str]
    held: str
    other: str
    first_ms: int
    last_ms: int
    settled_ms: int
    times: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Incidents:
    """Where a node stands, and what happened to it and around it.

    Attributes:
        standing: `active`, `fenced`, `resuming`, `reopening`, `forked` or `cloned`.
        since_ms: Since when, Unix milliseconds.
        epoch: In which this node writes.
    """

    standing: str
    since_ms: int
    epoch: str
    incidents: tuple[Incident, ...]


class RecoveryCalls(Calls):
    """What a client asks of recovery."""

    @property
    def _recovery(self) -> recovery_pb2_grpc.RecoveryServiceStub:
        return self._stub(recovery_pb2_grpc.RecoveryServiceStub)

    def incidents(self, *, settled: bool = False) -> Incidents:
        """Say where the node stands and what happened; with `settled`, also what is over."""
        request = recovery_pb2.ListIncidentsRequest(settled=settled)
        answer = self._call(self._recovery.ListIncidents, request)
        return Incidents(
            standing=answer.standing,
            since_ms=answer.since_ms,
            epoch=answer.epoch,
            incidents=tuple(
                Incident(
                    code=each.code,
                    journal=each.journal,
                    peer=each.peer,
                    params=dict(each.params),
                    held=each.held,
                    other=each.other,
                    first_ms=each.first_ms,
                    last_ms=each.last_ms,
                    settled_ms=each.settled_ms,
                    times=each.times,
                )
                for each in answer.incidents
            ),
        )

    def open_epoch(self, *, operator: str) -> str:
        """Let the node go on in a new epoch, and return its name."""
        request = recovery_pb2.OpenEpochRequest(operator=operator)
        return self._call(self._recovery.OpenEpoch, request).epoch

    def settle_incidents(self, *, operator: str) -> int:
        """Call settled what a person has looked at, and return how many there were."""
        request = recovery_pb2.SettleIncidentsRequest(operator=operator)
        return self._call(self._recovery.SettleIncidents, request).settled

    def release_node(self, path: str, *, operator: str) -> bool:
        """Let a child in again that was put aside; whether it was."""
        request = recovery_pb2.ReleaseNodeRequest(path=path, operator=operator)
        return self._call(self._recovery.ReleaseNode, request).released
