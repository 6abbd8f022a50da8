"""How every call goes out: one channel, one stub a service, one translation of errors."""

import re
from collections.abc import Callable
from typing import Final, TypeAlias, TypeVar

import grpc

from yidao.node.client.errors import SESSION_ENDED, ClientError, error_of

Progress = Callable[[int], None]
Metadata: TypeAlias = tuple[tuple[str, str | bytes], ...]
_Response = TypeVar("_Response")
_Stub = TypeVar("_Stub")

# What a node's own tokens look like, with room: the rest must not reach a header.
_TOKEN: Final = re.compile(r"[A-Za-z0-9_-]{1,128}")
_PURPOSE: Final = "x-yidao-purpose-bin"
_NO_SOURCE: Final = re.compile(r"[^0-9A-Za-z.:%_-]")
_MAX_SOURCE_CHARACTERS: Final = 64
_MAX_PURPOSE_CHARACTERS: Final = 200


def metadata_of(token: str, source: str = "") -> Metadata:
    """Give the metadata of the calls of one session.

    Args:
        token: Of `sign_in`.
        source: Where the person sits, for the audit; other characters than those of an
            address or a host name are left out, and what is over 64.

    Raises:
        ClientError: `SESSION_ENDED`: an empty token, or one that no node makes. Without
            this check a lost token would turn a person's call into one of the machine's account.
    """
    if _TOKEN.fullmatch(token) is None:
        raise ClientError(SESSION_ENDED, retryable=False, family="UNAUTHENTICATED")
    metadata: Metadata = (("authorization", f"Bearer {token}"),)
    if where := _NO_SOURCE.sub("", source)[:_MAX_SOURCE_CHARACTERS]:
        metadata += (("x-yidao-source", where),)
    return metadata


def with_purpose(metadata: Metadata, purpose: str) -> Metadata:
    """Give the metadata of calls that read for a purpose; more than 200 characters are left out."""
    others = tuple(each for each in metadata if each[0] != _PURPOSE)
    text = purpose.strip()[:_MAX_PURPOSE_CHARACTERS]
    return (*others, (_PURPOSE, text.encode())) if text else others


class Calls:
    """The base of each service's calls.

    Args:
        channel: Open to one node.
        socket: Where to, for errors.
        timeout_seconds: How long a call may take.
        metadata: Goes with every call: whose session it is, see `metadata_of`.
    """

    def __init__(
        self,
        channel: grpc.Channel,
        socket: str,
        timeout_seconds: float,
        metadata: Metadata = (),
    ) -> None:
        self._channel = channel
        self._socket = socket
        self._timeout_seconds = timeout_seconds
        self._metadata = metadata
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
            return method(request, timeout=self._timeout_seconds, metadata=self._metadata)
        except grpc.RpcError as failure:
            raise error_of(failure, self._socket, self._timeout_seconds) from None
