"""How a server of ours is started: uvicorn with its doors closed.

No `Server` header, no trust in forwarding headers (a proxy's address would be
anybody's to claim), no access log (an address may hold what nobody should
read), one worker, and the limits of `protocol`.
"""

import logging
import signal
import socket
import ssl
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import structlog
import uvicorn

from yidao.node.web import errors, protocol

log = structlog.get_logger()

_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)
_MAX_SOCKET_MESSAGE_BYTES: Final = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Listen:
    """Where to listen.

    Attributes:
        host: A name or an address; IPv6 with or without brackets.
        port: 0 for any.
        certificate: PEM file with the chain; with it people come by TLS.
        key: PEM file with its private key.
    """

    host: str
    port: int
    certificate: Path | None = None
    key: Path | None = None


class _Server(uvicorn.Server):
    """Ends in order on a signal, and leaves with exit code 0 as every verb does."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        previous = {number: signal.signal(number, self.handle_exit) for number in _SIGNALS}
        try:
            yield
        finally:
            for number, handler in previous.items():
                signal.signal(number, handler)


def serve(app: Any, listen: Listen, *, sockets: bool = False) -> None:
    """Serve until SIGTERM or SIGINT.

    Args:
        app: ASGI, with its guard outermost.
        listen: Where.
        sockets: Whether websockets are served.

    Raises:
        ListenRefused: The address cannot be listened on.
        TlsFileRefused: Certificate or key cannot be used.
    """
    context = _tls(listen)
    config = config_of(app, context, sockets=sockets)
    with closing(_bound(listen)) as bound:
        port = bound.getsockname()[1]
        log.info("web.server.started", host=listen.host, port=port, tls=context is not None)
        _Server(config).run(sockets=[bound])
    log.info("web.server.stopped", host=listen.host, port=port)


def config_of(
    app: Any, context: ssl.SSLContext | None = None, *, sockets: bool = False
) -> uvicorn.Config:
    """Give uvicorn's settings for any server of ours, and quieten it."""
    _silence()
    return uvicorn.Config(
        app,
        loop="uvloop",
        ws="websockets-sansio" if sockets else "none",
        ws_max_size=_MAX_SOCKET_MESSAGE_BYTES,
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        ssl_context_factory=(lambda _config, _default: context) if context else None,
        **protocol.limits(),
    )


def _silence() -> None:
    """Let uvicorn say nothing: it prints what an exception says, which may be data.

    The guard tells what it refused, and what failed without its words.
    """
    for name in ("uvicorn.error", "uvicorn.asgi", "websockets"):
        logger = logging.getLogger(name)
        logger.handlers = [logging.NullHandler()]
        logger.propagate = False


def _bound(listen: Listen) -> socket.socket:
    host = listen.host.strip("[]")
    try:
        family, kind, number, _, address = socket.getaddrinfo(
            host, listen.port, type=socket.SOCK_STREAM
        )[0]
        bound = socket.socket(family, kind, number)
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            bound.bind(address)
        except OSError:
            bound.close()
            raise
    except OSError as error:
        where = f"{listen.host}:{listen.port}"
        raise errors.ListenRefused(address=where, reason=error.strerror or "") from None
    return bound


def _tls(listen: Listen) -> ssl.SSLContext | None:
    if listen.certificate is None and listen.key is None:
        return None
    for file in (listen.certificate, listen.key):
        if file is None or not file.is_file():
            raise errors.TlsFileRefused(path=str(file or ""), reason="no such file")
    assert listen.certificate is not None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        # Without a function for it, OpenSSL would ask the terminal for a passphrase.
        context.load_cert_chain(listen.certificate, listen.key, password=lambda: "")
    except (OSError, ssl.SSLError) as error:
        reason = error.strerror or type(error).__name__
        raise errors.TlsFileRefused(path=str(listen.certificate), reason=reason) from None
    return context
