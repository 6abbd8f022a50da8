"""The local API of parts: what is here, erasing and pruning."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import grpc.aio

from yidao.api.local.v1 import parts_pb2, parts_pb2_grpc
from yidao.node.access.caller import current_caller
from yidao.node.access.errors import PartHidden
from yidao.node.access.fieldpolicy import FieldPolicy
from yidao.node.access.fields import Asker
from yidao.node.affairs.reporting.showing import shows_part
from yidao.node.api.errors import answered, answered_stream
from yidao.node.api.workers import noted
from yidao.node.removals import PartState, Progress, Removals
from yidao.node.store.pruning import PruneOrder

Context = grpc.aio.ServicerContext[Any, Any]


class PartsServicer(parts_pb2_grpc.PartsServiceServicer):
    """Serves `PartsService`."""

    def __init__(self, removals: Removals, fields: FieldPolicy) -> None:
        self._removals = removals
        self._fields = fields

    @answered
    async def ListParts(
        self, request: parts_pb2.ListPartsRequest, context: Context
    ) -> parts_pb2.ListPartsResponse:
        """Say what there is of each part."""
        states = await asyncio.to_thread(self._removals.states, request.record_id)
        return parts_pb2.ListPartsResponse(parts=[_state(each) for each in states])

    @answered
    async def GetPart(
        self, request: parts_pb2.GetPartRequest, context: Context
    ) -> parts_pb2.GetPartResponse:
        """Give a part, to whom it may be shown as it is."""
        caller = current_caller()
        reader = await asyncio.to_thread(self._fields.reader, Asker.of(caller))
        header, part = await asyncio.to_thread(self._removals.part, request.record_id, request.name)
        if not shows_part(reader, header, part.name):
            raise PartHidden(part=part.name)
        await noted(self._fields.shown(caller, "PartsService/GetPart", reader))
        return parts_pb2.GetPartResponse(body=part.body)

    @answered
    async def Redact(
        self, request: parts_pb2.RedactRequest, context: Context
    ) -> parts_pb2.RedactResponse:
        """Erase a part."""
        done = await asyncio.to_thread(
            self._removals.redact,
            request.record_id,
            request.part,
            reason=request.reason,
            basis=request.basis,
            operator=request.operator,
            dry_run=request.dry_run,
        )
        return parts_pb2.RedactResponse(position=done.position, everywhere=done.everywhere)

    @answered_stream
    async def Prune(
        self, request: parts_pb2.PruneRequest, context: Context
    ) -> AsyncIterator[parts_pb2.PruneProgress]:
        """Prune, and say how far it is after each step."""
        order = PruneOrder(
            before_ms=request.before_ms,
            reason=request.reason,
            operator=request.operator,
            kinds=tuple(request.kinds),
            forms=tuple(request.forms),
        )
        steps = self._removals.prune(order, dry_run=request.dry_run)
        while (step := await asyncio.to_thread(next, steps, None)) is not None:
            yield _progress(step)


def _state(state: PartState) -> parts_pb2.PartState:
    return parts_pb2.PartState(
        name=state.digest.name,
        length=state.digest.length,
        grade=int(state.digest.grade),
        state=state.state,
        reason=state.reason,
        basis=state.basis,
        operator=state.operator,
        position=state.position,
    )


def _progress(step: Progress) -> parts_pb2.PruneProgress:
    return parts_pb2.PruneProgress(
        position=step.position,
        up_to=step.up_to,
        records=step.records,
        bodies_bytes=step.bodies_bytes,
        kept={rule: number for rule, number in step.kept.items() if number},
    )
