"""The server of the local API: a Unix socket that only the node's own user may open."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

import grpc.aio
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_health.v1._async import HealthServicer

from yidao.api.local.v1 import (
    access_pb2_grpc,
    admission_pb2_grpc,
    bundle_pb2_grpc,
    catalog_pb2_grpc,
    directives_pb2_grpc,
    follow_pb2_grpc,
    identity_pb2_grpc,
    node_pb2_grpc,
    parts_pb2_grpc,
    query_pb2_grpc,
    records_pb2_grpc,
    recovery_pb2_grpc,
    registry_pb2_grpc,
    reporting_pb2_grpc,
    signoff_pb2_grpc,
    standards_pb2_grpc,
    trust_pb2_grpc,
)
from yidao.node.api.access_service import AccessServicer
from yidao.node.api.follow_service import FollowServicer
from yidao.node.api.records_service import RecordsServicer
from yidao.node.datadir import check_write

# One error for both ends of the socket.

#: `sun_path` of Linux is 108 bytes with its closing zero (unix(7)).
MAX_SOCKET_PATH_BYTES: Final = 107
#: 500 rows with their files; a client fills its calls to 4 MiB.
MAX_MESSAGE_BYTES: Final = 16 * 1024 * 1024
_GRACE_SECONDS: Final = 5.0

_SERVICES: Final[tuple[tuple[type, str, Callable[[Any, grpc.aio.Server], None]], ...]] = (
    (
        trust_pb2_grpc.TrustServiceServicer,
        "yidao.api.local.v1.TrustService",
        trust_pb2_grpc.add_TrustServiceServicer_to_server,
    ),
    (
        access_pb2_grpc.AccessServiceServicer,
        "yidao.api.local.v1.AccessService",
        access_pb2_grpc.add_AccessServiceServicer_to_server,
    ),
    (
        standards_pb2_grpc.StandardsServiceServicer,
        "yidao.api.local.v1.StandardsService",
        standards_pb2_grpc.add_StandardsServiceServicer_to_server,
    ),
    (
        registry_pb2_grpc.RegistryServiceServicer,
        "yidao.api.local.v1.RegistryService",
        registry_pb2_grpc.add_RegistryServiceServicer_to_server,
    ),
    (
        reporting_pb2_grpc.ReportingServiceServicer,
        "yidao.api.local.v1.ReportingService",
        reporting_pb2_grpc.add_ReportingServiceServicer_to_server,
    ),
    (
        signoff_pb2_grpc.SignoffServiceServicer,
        "yidao.api.local.v1.SignoffService",
        signoff_pb2_grpc.add_SignoffServiceServicer_to_server,
    ),
    (
        directives_pb2_grpc.DirectivesServiceServicer,
        "yidao.api.local.v1.DirectivesService",
        directives_pb2_grpc.add_DirectivesServiceServicer_to_server,
    ),
    (
        follow_pb2_grpc.FollowServiceServicer,
        "yidao.api.local.v1.FollowService",
        follow_pb2_grpc.add_FollowServiceServicer_to_server,
    ),
    (
        records_pb2_grpc.RecordsServiceServicer,
        "yidao.api.local.v1.RecordsService",
        records_pb2_grpc.add_RecordsServiceServicer_to_server,
    ),
    (
        catalog_pb2_grpc.CatalogServiceServicer,
        "yidao.api.local.v1.CatalogService",
        catalog_pb2_grpc.add_CatalogServiceServicer_to_server,
    ),
    (
        node_pb2_grpc.NodeServiceServicer,
        "yidao.api.local.v1.NodeService",
        node_pb2_grpc.add_NodeServiceServicer_to_server,
    ),
    (
        admission_pb2_grpc.AdmissionServiceServicer,
        "yidao.api.local.v1.AdmissionService",
        admission_pb2_grpc.add_AdmissionServiceServicer_to_server,
    ),
    (
        bundle_pb2_grpc.BundleServiceServicer,
        "yidao.api.local.v1.BundleService",
        bundle_pb2_grpc.add_BundleServiceServicer_to_server,
    ),
    (
        parts_pb2_grpc.PartsServiceServicer,
        "yidao.api.local.v1.PartsService",
        parts_pb2_grpc.add_PartsServiceServicer_to_server,
    ),
    (
        identity_pb2_grpc.IdentityServiceServicer,
        "yidao.api.local.v1.IdentityService",
        identity_pb2_grpc.add_IdentityServiceServicer_to_server,
    ),
    (
        query_pb2_grpc.QueryServiceServicer,
        "yidao.api.local.v1.QueryService",
        query_pb2_grpc.add_QueryServiceServicer_to_server,
    ),
    (
        recovery_pb2_grpc.RecoveryServiceServicer,
        "yidao.api.local.v1.RecoveryService",
        recovery_pb2_grpc.add_RecoveryServiceServicer_to_server,
    ),
)


class LocalServer:
    """Serves servicers, and the health service for them, on a Unix socket of mode 0600.

    One of them is the `AccessServicer`, whose guard is asked before every call of any:
    without it nothing is served.
    """

    def __init__(self, socket_path: Path, servicers: Sequence[object]) -> None:
        """Take what to serve.

        Raises:
            SocketPathTooLong: The system cannot bind a path of that length.
        """
        size_bytes = len(os.fsencode(socket_path))
        if size_bytes > MAX_SOCKET_PATH_BYTES:
            # The client's own error; a daemon does without the client.
            from yidao.node.client.errors import SocketPathTooLong

            raise SocketPathTooLong(size_bytes=size_bytes, limit_bytes=MAX_SOCKET_PATH_BYTES)
        self._path = socket_path
        self._servicers = tuple(servicers)
        self._health = HealthServicer()
        self._server: grpc.aio.Server | None = None

    async def start(self) -> None:
        """Open the socket; from now on calls are answered.

        Raises:
            FolderNotWritable, FolderFull: The socket cannot be made in its folder.
        """
        [guard] = [each.guard for each in self._servicers if isinstance(each, AccessServicer)]
        server = grpc.aio.server(
            interceptors=(guard,),
            options=(
                ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
                ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
            ),
        )
        names = [self._register(servicer, server) for servicer in self._servicers]
        health_pb2_grpc.add_HealthServicer_to_server(self._health, server)
        # What a killed daemon left behind; the folder's lock says that nobody else runs here.
        self._path.unlink(missing_ok=True)
        # Between bind and chmod another user could connect, but for the mask.
        mask = os.umask(0o177)
        try:
            server.add_insecure_port(f"unix:{self._path}")
            await server.start()
        except RuntimeError:
            # gRPC does not say why; a file in the socket's place does.
            check_write(self._path.parent)
            raise
        finally:
            os.umask(mask)
        self._path.chmod(0o600)
        for name in ("", *names):
            await self._health.set(name, health_pb2.HealthCheckResponse.SERVING)
        self._server = server

    async def stop(self, grace_seconds: float = _GRACE_SECONDS) -> None:
        """Let calls under way end, then close the socket."""
        if self._server is None:
            return
        await self._health.enter_graceful_shutdown()
        for servicer in self._servicers:
            if isinstance(servicer, FollowServicer | RecordsServicer):
                # Its calls never end by themselves.
                servicer.close()
        await self._server.stop(grace_seconds)
        self._server = None
        self._path.unlink(missing_ok=True)

    def _register(self, servicer: object, server: grpc.aio.Server) -> str:
        for base, name, add in _SERVICES:
            if isinstance(servicer, base):
                add(servicer, server)
                return name
        raise TypeError(type(servicer).__name__)
