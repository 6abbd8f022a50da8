"""The local API of bundles: files go through the socket in pieces."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any, Final, Protocol

import grpc.aio

from yidao.api.errors import YidaoError
from yidao.api.local.v1 import bundle_pb2, bundle_pb2_grpc
from yidao.node.api.errors import BundleTooLarge, answered, refuse
from yidao.sync.ids import Path
from yidao.sync.parcel import MAX_FILE_BYTES, Packed, TakenIn

PIECE_BYTES: Final = 1024 * 1024

Context = grpc.aio.ServicerContext[Any, Any]


class CourierPort(Protocol):
    """What packs and takes in bundles."""

    def pack(self, path: Path, max_bytes: int) -> Packed:
        """Pack what waits for a neighbour; called in a thread."""

    async def take_in(self, file: bytes) -> TakenIn:
        """Take in a neighbour's bundle."""


class BundleServicer(bundle_pb2_grpc.BundleServiceServicer):
    """Serves `BundleService`."""

    def __init__(self, courier: CourierPort) -> None:
        self._courier = courier

    async def Export(
        self, request: bundle_pb2.ExportBundleRequest, context: Context
    ) -> AsyncIterator[bundle_pb2.ExportBundleResponse]:
        """Pack, then send the file piece by piece."""
        try:
            path = Path.parse(request.path)
            packed = await asyncio.to_thread(self._courier.pack, path, request.max_bytes)
        except YidaoError as error:
            await refuse(context, error)
        for at in range(0, len(packed.file), PIECE_BYTES):
            is_last = at + PIECE_BYTES >= len(packed.file)
            yield bundle_pb2.ExportBundleResponse(
                data=packed.file[at : at + PIECE_BYTES],
                records=packed.records if is_last else 0,
                left=packed.left if is_last else 0,
            )

    @answered
    async def Import(
        self,
        request_iterator: AsyncIterator[bundle_pb2.ImportBundleRequest],
        context: Context,
    ) -> bundle_pb2.ImportBundleResponse:
        """Gather the file, then take it in."""
        file = bytearray()
        async for piece in request_iterator:
            file += piece.data
            if len(file) > MAX_FILE_BYTES:
                raise BundleTooLarge(limit_mib=MAX_FILE_BYTES >> 20)
        taken = await self._courier.take_in(bytes(file))
        return bundle_pb2.ImportBundleResponse(
            path=str(taken.path),
            created_ms=taken.created_ms,
            records=taken.records,
            duplicates=taken.duplicates,
            receipts=taken.receipts,
            refused=taken.refused,
            position=taken.position,
        )
