"""Calls about bundles: what a link would carry, as a file."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import grpc

from yidao.api.local.v1 import bundle_pb2, bundle_pb2_grpc
from yidao.node.client.calls import Calls
from yidao.node.client.errors import error_of

_PIECE_BYTES: Final = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundle:
    """A bundle that was packed.

    Attributes:
        file: What the courier carries; encrypted to the neighbour, and signed.
        records: How many are in it.
        left: How many did not fit and want another bundle.
    """

    file: bytes
    records: int
    left: int


@dataclass(frozen=True, slots=True, kw_only=True)
class BundleTaken:
    """What a bundle brought; `refused` are codes of journals that were refused."""

    path: str
    created_ms: int
    records: int
    duplicates: int
    receipts: int
    refused: tuple[str, ...]
    position: int


class BundleCalls(Calls):
    """What a client asks of bundles."""

    @property
    def _bundles(self) -> bundle_pb2_grpc.BundleServiceStub:
        return self._stub(bundle_pb2_grpc.BundleServiceStub)

    def export_bundle(self, path: str, *, max_bytes: int = 0) -> Bundle:
        """Pack what waits for a neighbour, its receipts and our cursors."""
        request = bundle_pb2.ExportBundleRequest(path=path, max_bytes=max_bytes)
        file, records, left = bytearray(), 0, 0
        try:
            for piece in self._bundles.Export(request, timeout=self._timeout_seconds):
                file += piece.data
                records, left = piece.records, piece.left
        except grpc.RpcError as failure:
            raise error_of(failure, self._socket, self._timeout_seconds) from None
        return Bundle(file=bytes(file), records=records, left=left)

    def import_bundle(self, file: bytes) -> BundleTaken:
        """Take in a neighbour's bundle; the same one again changes nothing."""
        answer = self._call(self._bundles.Import, _pieces(file))
        return BundleTaken(
            path=answer.path,
            created_ms=answer.created_ms,
            records=answer.records,
            duplicates=answer.duplicates,
            receipts=answer.receipts,
            refused=tuple(answer.refused),
            position=answer.position,
        )


def _pieces(file: bytes) -> Iterator[bundle_pb2.ImportBundleRequest]:
    for at in range(0, len(file), _PIECE_BYTES):
        yield bundle_pb2.ImportBundleRequest(data=file[at : at + _PIECE_BYTES])
