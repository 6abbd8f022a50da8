"""What the machine gives a node: libraries, room, addresses, a clock, the right to run."""

import errno
import fcntl
import os
import shutil
import socket
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from cryptography import x509
from google.protobuf.internal import api_implementation

from yidao.node.assembly import SOCKET_NAME
from yidao.node.client import Client, NodeUnreachable, SocketPathTooLong, Status
from yidao.node.client.errors import AnswerTooLate
from yidao.node.config import Settings
from yidao.node.datadir import LOCK_NAME
from yidao.node.doctor import errors
from yidao.node.keys import KeyFolder
from yidao.node.link.errors import LinkPortTaken
from yidao.sync.selftest import self_test_for
from yidao.sync.suite import SUITES, is_available

_FREE_BYTES: Final = 512 * 1024 * 1024
_WARNING_DAYS: Final = 10
_ANSWER_SECONDS: Final = 10.0
# `sun_path` of unix(7), with its closing zero.
_SOCKET_PATH_BYTES: Final = 107
_EVERYWHERE: Final = ("0.0.0.0", "[::]")  # noqa: S104 (looked for, not listened on)


def check_libraries() -> None:
    """Require what a daemon does at its start, for every suite whose library is here."""
    self_test_for(number for number in SUITES if is_available(number))
    if api_implementation.Type() != "upb":
        raise errors.LibraryUnfit(library="protobuf", found=api_implementation.Type())


def check_socket_path(data: Path) -> None:
    """Require that the local API's socket has a path that the system takes."""
    size_bytes = len(os.fsencode(data.absolute() / SOCKET_NAME))
    if size_bytes > _SOCKET_PATH_BYTES:
        raise SocketPathTooLong(size_bytes=size_bytes, limit_bytes=_SOCKET_PATH_BYTES)


def check_certificate(folder: KeyFolder, now: datetime) -> None:
    """Require that the node's own certificate holds, and will for some days."""
    leaf = x509.load_pem_x509_certificates(folder.load_certificates().tls_chain_pem)[0]
    until = leaf.not_valid_after_utc
    if now < leaf.not_valid_before_utc:
        begins = leaf.not_valid_before_utc.isoformat(timespec="minutes")
        raise errors.CertificateNotYetValid(begins=begins)
    if now >= until:
        raise errors.CertificateEnded(until=until.date().isoformat())
    if until - now < timedelta(days=_WARNING_DAYS):
        raise errors.CertificateEndsSoon(until=until.date().isoformat(), days=(until - now).days)


def check_disk(data: Path) -> None:
    """Require some room for the store to grow."""
    free = shutil.disk_usage(data).free
    if free < _FREE_BYTES:
        raise errors.DiskNearlyFull(
            path=str(data), free_mib=free >> 20, needed_mib=_FREE_BYTES >> 20
        )


def live_status(data: Path) -> Status:
    """Return what the daemon of this folder says of itself.

    Raises:
        NodeNotRunning: There is none.
        NodeSilent: There is one, and it does not answer.
    """
    holder = _holder(data)
    if not holder:
        raise errors.NodeNotRunning(path=str(data))
    try:
        with Client.open(data / SOCKET_NAME, timeout_seconds=_ANSWER_SECONDS) as client:
            return client.status()
    except (NodeUnreachable, AnswerTooLate):
        raise errors.NodeSilent(pid=holder) from None


def check_addresses(settings: Settings) -> None:
    """Require that children are told addresses that lead here."""
    for setting, seen in (("listen", "listen_seen"), ("join_listen", "join_listen_seen")):
        address = str(getattr(settings, setting))
        if address.rpartition(":")[0] in _EVERYWHERE and getattr(settings, seen) is None:
            raise errors.AddressUnseen(setting=seen, address=address)


def check_ports(settings: Settings) -> None:
    """Require that a daemon could listen where it is told to; ask only if none runs."""
    for setting in ("listen", "join_listen", "metrics_listen"):
        address = getattr(settings, setting)
        if address is not None:
            _check_port(setting, address)


def _check_port(setting: str, address: str) -> None:
    host, _, port = address.rpartition(":")
    try:
        found = socket.getaddrinfo(host.strip("[]"), int(port), type=socket.SOCK_STREAM)
        family, _, _, _, where = found[0]
        with socket.socket(family, socket.SOCK_STREAM) as trial:
            trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            trial.bind(where)
    except socket.gaierror:
        raise errors.AddressNotOurs(setting=setting, address=address) from None
    except OSError as error:
        if error.errno == errno.EADDRNOTAVAIL:
            raise errors.AddressNotOurs(setting=setting, address=address) from None
        raise LinkPortTaken(address=address) from None


def _holder(data: Path) -> str:
    """Return the process id that holds the folder's lock, empty if none does."""
    try:
        descriptor = os.open(data / LOCK_NAME, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return ""
    try:
        # Shared, so that two doctors do not take each other for a daemon.
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return os.pread(descriptor, 32, 0).decode("ascii", "replace").strip() or "?"
    finally:
        os.close(descriptor)
    return ""
