"""The client: typed calls to one node over its local socket, synchronous."""

import os
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import grpc

from yidao.node.client.access import AccessCalls
from yidao.node.client.admission import AdmissionCalls
from yidao.node.client.bundles import BundleCalls
from yidao.node.client.calls import metadata_of, with_purpose
from yidao.node.client.catalog import CatalogCalls
from yidao.node.client.directives import DirectivesCalls
from yidao.node.client.duties import DutyCalls
from yidao.node.client.errors import NodeUnreachable, SocketPathTooLong
from yidao.node.client.follow import FollowCalls
from yidao.node.client.identity import IdentityCalls
from yidao.node.client.node import NodeCalls
from yidao.node.client.parts import PartsCalls
from yidao.node.client.query import QueryCalls
from yidao.node.client.records import RecordsCalls
from yidao.node.client.recovery import RecoveryCalls
from yidao.node.client.reporting import ReportingCalls
from yidao.node.client.retries import DEFAULT_RETRIES, Retries
from yidao.node.client.signoff import SignoffCalls
from yidao.node.client.standards import StandardsCalls
from yidao.node.client.trust import TrustCalls

#: `sun_path` of Linux is 108 bytes with its closing zero (unix(7)).
_MAX_SOCKET_PATH_BYTES: Final = 107
_MAX_MESSAGE_BYTES: Final = 16 * 1024 * 1024
_CONNECT_MS: Final = 20_000
#: Long enough for a rebuild of a large store; a daemon that is gone is noticed at once.
_TIMEOUT_SECONDS: Final = 600.0


class Client(
    AccessCalls,
    DutyCalls,
    StandardsCalls,
    ReportingCalls,
    SignoffCalls,
    DirectivesCalls,
    BundleCalls,
    CatalogCalls,
    QueryCalls,
    NodeCalls,
    RecoveryCalls,
    IdentityCalls,
    AdmissionCalls,
    PartsCalls,
    FollowCalls,
    RecordsCalls,
    TrustCalls,
):
    """Talks to one node. Close it, or use it in a `with`; safe for several threads.

    Without a token it acts as the account that owns the socket. Each service's
    calls stand in a module of their own. Every call raises
    `ClientError` with the node's own code if the node refuses,
    `NodeUnreachable` if no daemon answers, `AnswerTooLate` if it does not
    answer in time.
    """

    @classmethod
    def open(
        cls,
        socket_path: Path | str,
        *,
        timeout_seconds: float = _TIMEOUT_SECONDS,
        token: str = "",
        retries: Retries = DEFAULT_RETRIES,
    ) -> Self:
        """Connect to the node whose socket this is.

        Args:
            socket_path: `local.sock` in the node's data folder.
            timeout_seconds: How long any one call may take, its retries included.
            token: Of a session; empty for the account that owns the socket.
            retries: For the calls that may be repeated (see `retries.REPEATABLE`).

        Raises:
            ClientError: `SESSION_ENDED`: no node makes such a token.
            SocketPathTooLong: The system cannot reach a socket at a path of that length.
            NodeUnreachable: There is no socket.
        """
        socket_path = Path(socket_path)
        metadata = metadata_of(token) if token else ()
        size_bytes = len(os.fsencode(socket_path))
        if size_bytes > _MAX_SOCKET_PATH_BYTES:
            raise SocketPathTooLong(size_bytes=size_bytes, limit_bytes=_MAX_SOCKET_PATH_BYTES)
        if not socket_path.is_socket():
            raise NodeUnreachable(socket=str(socket_path))
        channel = grpc.insecure_channel(
            f"unix:{socket_path}",
            options=(
                ("grpc.max_receive_message_length", _MAX_MESSAGE_BYTES),
                ("grpc.max_send_message_length", _MAX_MESSAGE_BYTES),
                # A proxy setting of the environment is meant for the web, not for this.
                ("grpc.enable_http_proxy", 0),
                # A node that was started again is found at once: it is on this machine.
                ("grpc.initial_reconnect_backoff_ms", 100),
                # Despite its name, how long a connect may take: a node that is busy takes its time.
                ("grpc.min_reconnect_backoff_ms", _CONNECT_MS),
                ("grpc.max_reconnect_backoff_ms", 1_000),
                *retries.channel_options(),
            ),
        )
        return cls(channel, str(socket_path), timeout_seconds, metadata)

    def with_token(self, token: str, *, source: str = "") -> Self:
        """Give a client of one session over the same connection.

        It is cheap, needs no closing, and ends with the client that it was made from.

        Args:
            token: Of `sign_in`; an empty one is refused and never means the machine's account.
            source: Where the person sits, for the audit.

        Raises:
            ClientError: `SESSION_ENDED`: no node makes such a token.
        """
        metadata = metadata_of(token, source)
        return type(self)(self._channel, self._socket, self._timeout_seconds, metadata)

    def with_purpose(self, purpose: str) -> Self:
        """Give a client that says what for it reads, over the same connection.

        Fields of grade 3 and 4 are shown, if at all, for a purpose, which stands in the audit.

        Args:
            purpose: At most 200 characters; empty for none.
        """
        metadata = with_purpose(self._metadata, purpose)
        return type(self)(self._channel, self._socket, self._timeout_seconds, metadata)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the connection."""
        self._channel.close()
