"""The local API of what the whole tree trusts."""

import asyncio
from typing import Any, Protocol

import grpc.aio

from yidao.api.local.v1 import trust_pb2, trust_pb2_grpc
from yidao.node.access.actors import authorise
from yidao.node.api.errors import answered
from yidao.sync.ids import Path

Context = grpc.aio.ServicerContext[Any, Any]


class RootListPort(Protocol):
    """Keeps the root lists of this node."""

    async def publish(self, data: bytes, operator: str) -> int:
        """Send a list to every node below, and return its version."""

    def newest(self) -> bytes:
        """Return the file of the list in force."""


class TrustServicer(trust_pb2_grpc.TrustServiceServicer):
    """Serves `TrustService`."""

    def __init__(self, lists: RootListPort, path: Path) -> None:
        self._lists = lists
        self._path = path

    @answered
    async def PublishRootList(
        self, request: trust_pb2.PublishRootListRequest, context: Context
    ) -> trust_pb2.PublishRootListResponse:
        """Publish a root list."""
        operator = str(authorise(request.operator, self._path))
        version = await self._lists.publish(request.list, operator)
        return trust_pb2.PublishRootListResponse(version=version)

    @answered
    async def GetRootList(
        self, request: trust_pb2.GetRootListRequest, context: Context
    ) -> trust_pb2.GetRootListResponse:
        """Give the list in force."""
        data = await asyncio.to_thread(self._lists.newest)
        return trust_pb2.GetRootListResponse(list=data)
