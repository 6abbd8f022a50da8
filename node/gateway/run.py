"""Running the gateway: settings, guard, server."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from yidao.node.config import load_settings
from yidao.node.gateway.app import guarded, rules_of
from yidao.node.logging import configure
from yidao.node.web.rules import hosts_of
from yidao.node.web.serve import Listen, serve

# Both stand in every data folder; the gateway reads nothing else of it.
_CONFIG: Final = "config.toml"
_SOCKET: Final = "local.sock"


def run(data: Path, overrides: Mapping[str, str | Path | None]) -> None:
    """Serve until told to stop.

    Args:
        data: The node's data folder; the node itself may come later.
        overrides: Settings by name, stronger than file and environment.

    Raises:
        ConfigError: A setting is wrong.
        ListenRefused: The address cannot be listened on.
        TlsFileRefused: Certificate or key cannot be used.
    """
    folder = data.absolute()
    file = folder / _CONFIG
    settings = load_settings(
        file if file.exists() else None, os.environ, data_dir=folder, **overrides
    )
    configure(level=settings.log_level, format=settings.log_format)
    host, _, port = settings.gateway_listen.rpartition(":")
    names = [name.strip() for name in settings.gateway_hosts.split(",") if name.strip()]
    hosts = hosts_of(settings.gateway_listen, *names)
    listen = Listen(
        host=host,
        port=int(port),
        certificate=settings.gateway_certificate,
        key=settings.gateway_key,
    )
    app = guarded(folder / _SOCKET, rules_of(hosts, tls=listen.certificate is not None))
    serve(app, listen)
