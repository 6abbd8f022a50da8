"""The local API of what became of a node: incidents, and what a person decides of them."""

import asyncio
from collections.abc import Mapping
from typing import Any, Protocol

import grpc.aio

from yidao.api.local.v1 import recovery_pb2, recovery_pb2_grpc
from yidao.node.access.actors import authorise
from yidao.node.api.errors import answered
from yidao.node.recovery.incidents import BELOW, CODES
from yidao.node.revocations import ChildUnknown
from yidao.node.store import aside, trust
from yidao.node.store.errors import StoreFenced
from yidao.node.store.store import Store
from yidao.node.store.transaction import Tx
from yidao.node.store.values import Problem
from yidao.sync.fencing import Standing
from yidao.sync.ids import NodeId, Path

Context = grpc.aio.ServicerContext[Any, Any]
_PUT_ASIDE = "NODE_PUT_ASIDE"
#: Settled by what ends them, and by nobody's word.
_STANDS = (_PUT_ASIDE, "ENROLMENT_CONFLICT")


class WardenPort(Protocol):
    """Who holds the standing of this node."""

    standing: Standing
    since_ms: int

    async def decide(self, operator: str) -> str:
        """Open a new epoch and return its name."""


class RecoveryServicer(recovery_pb2_grpc.RecoveryServiceServicer):
    """Serves `RecoveryService`."""

    def __init__(self, store: Store, warden: WardenPort) -> None:
        self._store = store
        self._warden = warden

    @answered
    async def ListIncidents(
        self, request: recovery_pb2.ListIncidentsRequest, context: Context
    ) -> recovery_pb2.ListIncidentsResponse:
        """Where this node stands, and what happened to it and around it."""
        found = await asyncio.to_thread(self._store.problems, open_only=not request.settled)
        paths = {
            node.node_id: str(node.path)
            for node in (*self._store.enrolments(), *self._store.revoked())
        }
        return recovery_pb2.ListIncidentsResponse(
            standing=self._warden.standing.value,
            since_ms=self._warden.since_ms,
            epoch=self._store.identity.epoch,
            incidents=[_incident(each, paths) for each in found if each.code in (*CODES, BELOW)],
        )

    @answered
    async def OpenEpoch(
        self, request: recovery_pb2.OpenEpochRequest, context: Context
    ) -> recovery_pb2.OpenEpochResponse:
        """Go on in a new epoch."""
        operator = str(authorise(request.operator, self._store.identity.path))
        return recovery_pb2.OpenEpochResponse(epoch=await self._warden.decide(operator))

    @answered
    async def ReleaseNode(
        self, request: recovery_pb2.ReleaseNodeRequest, context: Context
    ) -> recovery_pb2.ReleaseNodeResponse:
        """Let a child in again that was put aside."""
        authorise(request.operator, self._store.identity.path)
        path = Path.parse(request.path)

        def release(tx: Tx) -> bool:
            node = trust.enrolled_at(tx.conn, path)
            if node is None:
                raise ChildUnknown(path=str(path))
            tx.clear_problems(_PUT_ASIDE, peer=node.node_id)
            return aside.release(tx.conn, node.node_id)

        released = await asyncio.wrap_future(self._store.submit(release))
        return recovery_pb2.ReleaseNodeResponse(released=released)

    @answered
    async def SettleIncidents(
        self, request: recovery_pb2.SettleIncidentsRequest, context: Context
    ) -> recovery_pb2.SettleIncidentsResponse:
        """Call settled what a person has looked at."""
        authorise(request.operator, self._store.identity.path)
        if self._warden.standing is not Standing.ACTIVE:
            raise StoreFenced(standing=self._warden.standing.value)
        codes = [code for code in (*CODES, BELOW) if code not in _STANDS]
        job = self._store.submit(lambda tx: tx.settle(codes))
        return recovery_pb2.SettleIncidentsResponse(settled=await asyncio.wrap_future(job))


def _incident(problem: Problem, paths: Mapping[NodeId, str]) -> recovery_pb2.Incident:
    params = {name: str(value) for name, value in problem.params.items()}
    peer = paths.get(NodeId(problem.peer), problem.peer.hex()) if problem.peer else ""
    return recovery_pb2.Incident(
        code=problem.code,
        journal=problem.journal,
        peer=peer,
        held=params.pop("held", ""),
        other=params.pop("other", ""),
        params=params,
        first_ms=problem.first_ms,
        last_ms=problem.last_ms,
        settled_ms=problem.cleared_ms or 0,
        times=problem.times,
    )
