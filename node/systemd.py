"""The units with which systemd runs a node and its console, and how a node says that it is up.

The words are those of systemd.service(5), systemd.exec(5) and sd_notify(3). A node
needs its data folder, the network and nothing else of the machine; the unit says so.
"""

import os
import socket
from pathlib import Path
from typing import Final

from yidao.node.errors import NodeError

_STOP_SECONDS: Final = 60

_SERVICE: Final = """\
Restart=always
RestartSec=5
TimeoutStartSec=300
TimeoutStopSec={stop_seconds}
LimitNOFILE=65536
UMask=0077
NoNewPrivileges=yes
PrivateTmp=yes
PrivateDevices=yes
ProtectSystem=strict
ProtectHome={home}
ProtectClock=yes
ProtectHostname=yes
ProtectKernelTunables=yes
ProtectKernelModules=yes
ProtectKernelLogs=yes
ProtectControlGroups=yes
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
LockPersonality=yes
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallFilter=~@privileged @resources
SystemCallErrorNumber=EPERM
CapabilityBoundingSet=
AmbientCapabilities=
ReadWritePaths={data}
"""

# Where the node remembers, until the machine boots, how far its store was.
_REMEMBERED: Final = "RuntimeDirectory=yidao\nRuntimeDirectoryPreserve=yes\n"

# A manager of a user may not drop what only root can give.
_ROOT_ONLY: Final = frozenset(
    (
        "PrivateDevices",
        "ProtectClock",
        "ProtectHostname",
        "ProtectKernelTunables",
        "ProtectKernelModules",
        "ProtectKernelLogs",
        "CapabilityBoundingSet",
        "AmbientCapabilities",
    )
)


class UnitPathUnfit(NodeError):
    """A path cannot stand in a unit file (params: path)."""

    code = "UNIT_PATH_UNFIT"


def node_unit(data: Path, *, program: Path, account: str | None) -> str:
    """Return the unit of the node in `data`.

    Args:
        data: The data folder, absolute.
        program: The command `yidao`, absolute.
        account: The system's account that it runs as; None makes a unit of a user.

    Raises:
        UnitPathUnfit: A path has characters that systemd reads in its own way.
    """
    started = f"ExecStart={_word(program)} run --data {_word(data)} --log-format json"
    reload = "ExecReload=/bin/kill -HUP $MAINPID"
    return _unit(
        title=f"Yidao node in {data}",
        after="network-online.target time-sync.target",
        service=f"Type=notify\nNotifyAccess=main\n{started}\n{reload}\n{_REMEMBERED}",
        paths=(data, program),
        account=account,
    )


def console_unit(data: Path, *, program: Path, account: str | None) -> str:
    """Return the unit of the web console beside the node in `data`; arguments as `node_unit`."""
    return _unit(
        title=f"Yidao console of the node in {data}",
        after="yidao.service",
        service=f"Type=simple\nExecStart={_word(program)} console --data {_word(data)}\n",
        paths=(data, program),
        account=account,
    )


def notify_ready() -> None:
    """Tell systemd that the node is up, where systemd wants to be told.

    Raises:
        OSError: `NOTIFY_SOCKET` names no socket.
    """
    name = os.environ.get("NOTIFY_SOCKET")
    if not name:
        return
    # A name with @ lies in the kernel's own space of names and not on disk (unix(7)).
    address = "\0" + name[1:] if name.startswith("@") else name
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as line:
        line.connect(address)
        line.sendall(b"READY=1")


def _unit(
    *, title: str, after: str, service: str, paths: tuple[Path, Path], account: str | None
) -> str:
    shared = _SERVICE.format(
        stop_seconds=_STOP_SECONDS,
        data=_word(paths[0]),
        home="read-only" if account is None or any(map(_is_in_a_home, paths)) else "yes",
    )
    if account is None:
        kept = (line for line in shared.splitlines() if line.split("=")[0] not in _ROOT_ONLY)
        shared = "\n".join(kept) + "\n"
    who = "" if account is None else f"User={account}\nGroup={account}\n"
    target = "default.target" if account is None else "multi-user.target"
    return (
        f"[Unit]\nDescription={title}\n"
        f"Wants=network-online.target\nAfter={after}\n\n"
        f"[Service]\n{who}{service}{shared}\n"
        f"[Install]\nWantedBy={target}\n"
    )


def _is_in_a_home(path: Path) -> bool:
    """Whether ProtectHome=yes would hide it."""
    return any(path.is_relative_to(home) for home in ("/home", "/root", "/run/user"))


def _word(path: Path) -> str:
    """Return a path as one word of a unit file."""
    text = str(path)
    if not text.isprintable() or any(mark in text for mark in " \"'\\$%;"):
        raise UnitPathUnfit(path=text)
    return text
