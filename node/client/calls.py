"""How every call goes out: one channel, one stub a service, one translation of errors."""

from collections.abc import Callable
from typing import TypeVar

import grpc

from yidao.node.client.errors import error_of

Progress = Callable[[int], None]
_Response = TypeVar("_Response")
_Stub = TypeVar("_Stub")


class Calls:
    """The base of each service's calls.

    Args:
        channel: Open to one node.
        socket: Where to, for errors.
        timeout_seconds: How long a call may take.
    """

    def __init__(self, channel: grpc.Channel, socket: str, timeout_seconds: float) -> None:
        self._channel = channel
        self._socket = socket
        self._timeout_seconds = timeout_seconds
        self._stubs: dict[type, object] = {}

    def _stub(self, kind: Callable[[grpc.Channel], _Stub]) -> _Stub:
        """Give the stub of a service, made once."""
        assert isinstance(kind, type)
        made = self._stubs.get(kind)
        if not isinstance(made, kind):
            made = self._stubs[kind] = kind(self._channel)
        return made  # type: ignore[return-value]

    def _call(self, method: Callable[..., _Response], request: object) -> _Response:
        try:
            return method(request, timeout=self._timeout_seconds)
        except grpc.RpcError as failure:
            raise error_of(failure, self._socket, self._timeout_seconds) from None
