"""The local API of standards."""

from typing import Any

import grpc.aio

from yidao.api.local.v1 import local_pb2, standards_pb2, standards_pb2_grpc
from yidao.node.affairs.desk import Desk, Placed
from yidao.node.affairs.standards.commands import publish_pack
from yidao.node.affairs.standards.queries import PackSummary, list_packs, pack_bytes
from yidao.node.api.errors import answered
from yidao.node.api.workers import Workers

Context = grpc.aio.ServicerContext[Any, Any]


def position_message(placed: Placed) -> local_pb2.Position:
    """Give the message of where a record came to lie."""
    return local_pb2.Position(
        position=placed.position, record_id=placed.record_id, repeat=placed.repeat
    )


class StandardsServicer(standards_pb2_grpc.StandardsServiceServicer):
    """Serves `StandardsService`."""

    def __init__(self, desk: Desk, workers: Workers) -> None:
        self._desk = desk
        self._workers = workers

    @answered
    async def PublishPack(
        self, request: standards_pb2.PublishPackRequest, context: Context
    ) -> standards_pb2.PublishPackResponse:
        """Publish a version of a pack."""
        placed = await self._workers.write(
            lambda: publish_pack(self._desk, request.pack, request.actor)
        )
        return standards_pb2.PublishPackResponse(position=position_message(placed))

    @answered
    async def ListPacks(
        self, request: standards_pb2.ListPacksRequest, context: Context
    ) -> standards_pb2.ListPacksResponse:
        """List every published version."""
        packs = await self._workers.read(self._list)
        return standards_pb2.ListPacksResponse(packs=[_summary(each) for each in packs])

    @answered
    async def GetPack(
        self, request: standards_pb2.GetPackRequest, context: Context
    ) -> standards_pb2.GetPackResponse:
        """Give the exact bytes of one version."""
        return standards_pb2.GetPackResponse(
            pack=await self._workers.read(lambda: self._bytes(request))
        )

    def _list(self) -> tuple[PackSummary, ...]:
        with self._desk.read() as conn:
            return list_packs(conn)

    def _bytes(self, request: standards_pb2.GetPackRequest) -> bytes:
        with self._desk.read() as conn:
            return pack_bytes(conn, request.id, request.version, request.on)


def _summary(pack: PackSummary) -> standards_pb2.PackSummary:
    return standards_pb2.PackSummary(
        id=pack.id,
        version=pack.version,
        valid_from=pack.valid_from,
        valid_to=pack.valid_to,
        sha256=pack.sha256,
        published_by=pack.published_by,
        forms=pack.forms,
        unusable=pack.unusable,
    )
