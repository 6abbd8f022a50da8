"""The local API of who comes in below: codes, requests that wait, approvals."""

import asyncio
from datetime import timedelta
from typing import Any, Protocol

import grpc.aio

from yidao.api.local.v1 import admission_pb2 as pb
from yidao.api.local.v1 import admission_pb2_grpc as pb_grpc
from yidao.node.access.actors import authorise
from yidao.node.admissions import Admissions, Open
from yidao.node.affairs.desk import Desk
from yidao.node.affairs.registry.commands import hand_over
from yidao.node.api.errors import answered
from yidao.sync.ids import Path

Context = grpc.aio.ServicerContext[Any, Any]


class CodesPort(Protocol):
    """Makes join codes."""

    def add_code(self, path: Path, *, operator: str, life: timedelta) -> tuple[str, str]:
        """Return a code, and the address of the join service."""


class AdmissionServicer(pb_grpc.AdmissionServiceServicer):
    """Serves `AdmissionService`."""

    def __init__(self, desk: Desk, admissions: Admissions, codes: CodesPort) -> None:
        self._desk = desk
        self._path = desk.path
        self._admissions = admissions
        self._codes = codes

    @answered
    async def AddChildCode(
        self, request: pb.AddChildCodeRequest, context: Context
    ) -> pb.AddChildCodeResponse:
        """Make a join token and give it as a code."""
        code, address = await asyncio.to_thread(
            self._codes.add_code,
            self._path.child(request.label),
            operator=authorise(request.operator, self._path).user,
            life=timedelta(seconds=request.ttl_seconds),
        )
        return pb.AddChildCodeResponse(code=code, join_address=address)

    @answered
    async def ListOpenRequests(
        self, request: pb.ListOpenRequestsRequest, context: Context
    ) -> pb.ListOpenRequestsResponse:
        """What waits for a decision."""
        found = await asyncio.to_thread(self._admissions.open_requests)
        return pb.ListOpenRequestsResponse(requests=[_message(each) for each in found])

    @answered
    async def DecideJoin(
        self, request: pb.DecideJoinRequest, context: Context
    ) -> pb.DecideJoinResponse:
        """Approve or reject."""
        claim = await self._admissions.decide(
            request.request,
            approved=request.approved,
            operator=str(authorise(request.operator, self._path)),
            reason=request.reason,
        )
        return pb.DecideJoinResponse(path=str(claim.path), node_id=claim.node_id)

    @answered
    async def AskReenrolment(
        self, request: pb.AskReenrolmentRequest, context: Context
    ) -> pb.AskReenrolmentResponse:
        """Ask the tier above to let a node take another one's place."""
        claim = await self._admissions.ask_above(
            self._path.child(request.label),
            operator=str(authorise(request.operator, self._path)),
            reason=request.reason,
        )
        return pb.AskReenrolmentResponse(
            request=claim.claim_id, fingerprint=claim.fingerprint, decider=str(claim.decider)
        )

    @answered
    async def HandOverUnits(
        self, request: pb.HandOverUnitsRequest, context: Context
    ) -> pb.HandOverUnitsResponse:
        """Hand institutions over to another node."""
        to = Path.parse(request.to)
        units = await asyncio.to_thread(
            hand_over, self._desk, request.actor, request.units, to, request.reason
        )
        return pb.HandOverUnitsResponse(units=units)


def _message(found: Open) -> pb.OpenRequest:
    claim = found.claim
    return pb.OpenRequest(
        request=claim.claim_id,
        kind=found.kind,
        path=str(claim.path),
        node_id=claim.node_id,
        fingerprint=claim.fingerprint,
        state=found.state,
        asked=found.asked,
        asked_ms=found.asked_ms,
        expires_ms=found.expires_ms,
        reason=found.reason,
        operator=found.operator,
    )
