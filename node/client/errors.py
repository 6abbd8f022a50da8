"""What a call of the client raises."""

from typing import Any, Final

import grpc

from yidao.api.errors import YidaoError
from yidao.api.local.v1 import local_pb2

# The name of the metadata is part of the local API, see `local.proto`.
_ERROR_METADATA: Final = "yidao-error-bin"
#: The code of a call whose session is over, unknown, or none.
SESSION_ENDED: Final = "SESSION_ENDED"
# Arguments of `ClientError` itself, which no parameter of an error may stand for.
_RESERVED: Final = frozenset({"self", "code", "retryable", "family"})
_UNREACHABLE: Final = frozenset({grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED})


class ClientError(YidaoError):
    """The node refused the call; code, params and retryable are the node's own.

    Params: those of the node's error.

    Attributes:
        family: What kind of refusal, by the name of its gRPC status: `NOT_FOUND`.
    """

    code = "CLIENT_ERROR"

    def __init__(
        self, code: str, *, retryable: bool, family: str = "UNKNOWN", **params: str | int
    ) -> None:
        super().__init__(**params)
        self.family = family
        # One class for every code: a program asks for `error.code`.
        vars(self).update(code=code, retryable=retryable)


class NodeUnreachable(YidaoError):
    """No daemon answers on the socket (params: socket)."""

    code = "NODE_UNREACHABLE"
    retryable = True


class SocketPathTooLong(YidaoError):
    """The path of a Unix socket is over the system's limit (params: size_bytes, limit_bytes)."""

    code = "SOCKET_PATH_TOO_LONG"


class AnswerTooLate(YidaoError):
    """The node did not answer in time; what was asked may still happen (params: seconds)."""

    code = "ANSWER_TOO_LATE"
    retryable = True


def refusal_of(error: local_pb2.Error, family: str) -> ClientError:
    """Give the typed error of a node's own word."""
    given = {key: text for key, text in error.params.items() if key not in _RESERVED}
    return ClientError(error.code, retryable=error.retryable, family=family, **given)


def error_of(failure: Any, socket: str, timeout_seconds: float) -> YidaoError:
    """Give the typed error of a failed call."""
    status = failure.code()
    for name, value in failure.trailing_metadata() or ():
        if name == _ERROR_METADATA:
            return refusal_of(local_pb2.Error.FromString(value), status.name)
    if status in _UNREACHABLE:
        unreachable = NodeUnreachable(socket=socket)
        # Shown with a trace only: what the transport said of it.
        unreachable.add_note(f"{status.name}: {failure.details()}")
        return unreachable
    if status is grpc.StatusCode.DEADLINE_EXCEEDED:
        return AnswerTooLate(seconds=int(timeout_seconds))
    return ClientError(ClientError.code, retryable=False, family=status.name, status=status.name)
