"""Who calls: the token that a call shows, passed through to the node as it is."""

import threading
from pathlib import Path
from typing import Annotated, Final
from urllib.parse import unquote

from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from yidao.node.client import Client, ClientError
from yidao.node.gateway.errors import TokenMissing

#: The actor of a call: the node fills in whose session it is, and no caller names another.
AS_SESSION: Final = ""
#: What for fields of grade 3 and 4 are read; UTF-8, percent-encoded.
PURPOSE_HEADER: Final = "X-Yidao-Purpose"
_TIMEOUT_SECONDS: Final = 60.0
_bearer = HTTPBearer(
    scheme_name="session",
    description="The token that `/api/v1/sign-in` gave, or a program's (`yidao token new`).",
    auto_error=False,
)


class Door:
    """The one connection to the node, opened when it is first needed; safe for threads."""

    def __init__(self, socket: Path) -> None:
        self._socket = socket
        self._lock = threading.Lock()
        self._client: Client | None = None
        self._node_knows_sessions = False

    def client(self) -> Client:
        """Give the client without a session: for signing in, and nothing else.

        Raises:
            NodeUnreachable: There is no socket yet.
        """
        with self._lock:
            if self._client is None:
                self._client = Client.open(self._socket, timeout_seconds=_TIMEOUT_SECONDS)
            return self._client

    def session(self, token: str, source: str) -> Client:
        """Give a client of the session with this token.

        A node from before there were sessions would overlook the token, and take
        every caller for the account that it runs under; so it is asked once.

        Raises:
            ClientError: The node knows no sessions, or no node makes such a token.
            NodeUnreachable, AnswerTooLate: As any call.
        """
        client = self.client().with_token(token, source=source)
        if not self._node_knows_sessions:
            try:
                client.who_am_i()
            except ClientError as error:
                if error.family == "UNIMPLEMENTED":
                    raise
            self._node_knows_sessions = True
        return client

    def close(self) -> None:
        """End the connection."""
        with self._lock:
            if self._client is not None:
                self._client.close()


def door_of(request: Request) -> Door:
    """Give the application's connection."""
    door = request.app.state.door
    assert isinstance(door, Door)
    return door


def source_of(request: Request) -> str:
    """Give the address of the caller, for the node's audit."""
    return request.client.host if request.client else ""


def caller(
    request: Request,
    credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)],
) -> Client:
    """Give a client of the session that the call shows.

    Raises:
        TokenMissing: It shows none. Without a token the node would take the gateway's
            own account for the caller.
    """
    if credentials is None or not credentials.credentials:
        raise TokenMissing
    client = door_of(request).session(credentials.credentials, source_of(request))
    # Headers are Latin-1: a purpose in Chinese comes percent-encoded.
    purpose = unquote(request.headers.get(PURPOSE_HEADER, ""))
    return client.with_purpose(purpose) if purpose else client


Caller = Annotated[Client, Depends(caller)]
