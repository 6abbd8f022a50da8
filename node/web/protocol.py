"""HTTP/1.1 by h11, with what uvicorn leaves out: a clock on the head, a cap on connections.

Of the parsers that uvicorn knows, h11 is the strict one: it refuses two lengths
that differ, unknown encodings, signs and spaces in a length or a chunk's size,
and control characters in headers. (httptools lets body bytes after a closed
message pass, which uvicorn switches on.) What h11 allows, a length beside an
encoding, the guard refuses. `tests/corpus/test_http.py` sends all of it.
"""

import asyncio
from typing import Any, Final

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from yidao.node.web.errors import WebError
from yidao.node.web.refusal import refusal_of

#: From the first byte of a head to its end, and from the connection to the first byte.
HEAD_SECONDS: Final = 10.0
#: Idle ones too: beyond it the newest is closed at once.
MAX_CONNECTIONS: Final = 512
#: Of the head, before anything of it is given to an application.
MAX_HEAD_BYTES: Final = 32 * 1024


class GuardedProtocol(H11Protocol):
    """One connection."""

    _deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin; the head must come in time."""
        super().connection_made(transport)
        if len(self.connections) > MAX_CONNECTIONS:
            transport.abort()
            return
        self._arm()

    def connection_lost(self, exc: Exception | None) -> None:
        """End."""
        self._disarm()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take bytes; a head that has begun must end in time, however slowly its bytes drip."""
        super().data_received(data)
        self._watch_head()

    def on_response_complete(self) -> None:
        """Go on with the next request of the connection, whose head may have begun."""
        super().on_response_complete()
        self._watch_head()

    def handle_websocket_upgrade(self, event: h11.Request) -> None:
        """Hand the connection over."""
        self._disarm()
        super().handle_websocket_upgrade(event)

    def send_400_response(self, msg: str) -> None:
        """Refuse what is no HTTP, in the one form of all refusals, and close."""
        del msg
        if self.cycle is not None and not self.cycle.response_complete:
            # The application learns that its caller is gone, and does not answer any more.
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        if self.conn.our_state in {h11.IDLE, h11.SEND_RESPONSE}:
            answer = refusal_of(WebError(), (), ())
            headers = [*answer.headers, (b"x-content-type-options", b"nosniff")]
            for event in (
                h11.Response(status_code=answer.status, headers=headers, reason=b"Bad Request"),
                h11.Data(data=answer.body),
                h11.EndOfMessage(),
            ):
                self.transport.write(self.conn.send(event) or b"")
        self.transport.close()

    def _watch_head(self) -> None:
        if self.conn.their_state is not h11.IDLE or self.transport.is_closing():
            self._disarm()
        elif self._deadline is None and self.conn.trailing_data[0]:
            self._arm()

    def _arm(self) -> None:
        self._deadline = self.loop.call_later(HEAD_SECONDS, self.transport.close)

    def _disarm(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None


def limits() -> dict[str, Any]:
    """Give uvicorn's own limits that go with this protocol."""
    return {
        "http": GuardedProtocol,
        "h11_max_incomplete_event_size": MAX_HEAD_BYTES,
        "limit_concurrency": MAX_CONNECTIONS,
        "backlog": 256,
        "timeout_keep_alive": 15,
        "timeout_graceful_shutdown": 5,
    }
