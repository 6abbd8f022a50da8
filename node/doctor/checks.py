"""The checks, in the order in which a node depends on them."""

import os
import shutil
import socket
import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509
from google.protobuf.internal import api_implementation

from yidao.api.errors import YidaoError
from yidao.node import datadir
from yidao.node.clock import check_clock, system_clock_ms, utc
from yidao.node.config import Settings, load_settings
from yidao.node.errors import NodeError
from yidao.node.keys import KeyFolder
from yidao.node.setup import CONFIG_NAME
from yidao.sync import suite

_FREE_BYTES = 512 * 1024 * 1024
_DIAL_SECONDS = 3.0
_WARNING_DAYS = 10


class DiskNearlyFull(NodeError):
    """Too little room is left for the store (params: path, free_mib, needed_mib)."""

    code = "DISK_NEARLY_FULL"


class ParentUnreachable(NodeError):
    """Nothing answers at the parent's address (params: address, reason)."""

    code = "PARENT_UNREACHABLE"
    retryable = True


class CertificateEndsSoon(NodeError):
    """This node's certificate ends soon (params: until, days)."""

    code = "CERTIFICATE_ENDS_SOON"


class LibraryUnfit(NodeError):
    """A library does not do what is relied on (params: library, found)."""

    code = "LIBRARY_UNFIT"


class DatabaseDamaged(NodeError):
    """The database file fails its own check (params: path, reason)."""

    code = "DATABASE_DAMAGED"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What one check found.

    Attributes:
        error: What is wrong; None if all is well.
    """

    check: str
    error: YidaoError | None


def examine(data: Path) -> tuple[Finding, ...]:
    """Run every check on the node whose data folder this is. Changes nothing."""
    findings = [_run("clock", lambda: check_clock(system_clock_ms()))]
    findings.append(_run("libraries", _check_libraries))
    findings.append(_run("folder", lambda: datadir.prepare(data, create=False)))
    if findings[-1].error is not None:
        return tuple(findings)
    folder = KeyFolder(data)
    findings += [
        _run("settings", lambda: _settings(data)),
        _run("keys", folder.load_identity),
        _run("certificate", lambda: _check_certificate(folder, utc(system_clock_ms()))),
        _run("disk", lambda: _check_disk(data)),
        _run("database", lambda: _check_database(data / "store.db")),
        _run("parent", lambda: _check_parent(data)),
    ]
    return tuple(findings)


def sound(findings: Sequence[Finding]) -> bool:
    """Whether nothing is wrong."""
    return all(finding.error is None for finding in findings)


def _run(check: str, question: Callable[[], object]) -> Finding:
    try:
        question()
    except YidaoError as error:
        return Finding(check=check, error=error)
    return Finding(check=check, error=None)


def _settings(data: Path) -> Settings:
    file = data / CONFIG_NAME
    return load_settings(file if file.exists() else None, os.environ, data_dir=data)


def _check_libraries() -> None:
    suite.self_test()
    if api_implementation.Type() != "upb":
        raise LibraryUnfit(library="protobuf", found=api_implementation.Type())


def _check_certificate(folder: KeyFolder, now: datetime) -> None:
    chain = x509.load_pem_x509_certificates(folder.load_certificates().tls_chain_pem)
    left = chain[0].not_valid_after_utc - now
    if left < timedelta(days=_WARNING_DAYS):
        raise CertificateEndsSoon(
            until=chain[0].not_valid_after_utc.date().isoformat(), days=left.days
        )


def _check_disk(data: Path) -> None:
    free = shutil.disk_usage(data).free
    if free < _FREE_BYTES:
        raise DiskNearlyFull(path=str(data), free_mib=free >> 20, needed_mib=_FREE_BYTES >> 20)


def _check_database(file: Path) -> None:
    if not file.exists():
        return
    connection = sqlite3.connect(f"file:{file}?mode=ro", uri=True)
    try:
        (verdict,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    except sqlite3.DatabaseError as error:
        raise DatabaseDamaged(path=str(file), reason=str(error)) from None
    finally:
        connection.close()
    if verdict != "ok":
        raise DatabaseDamaged(path=str(file), reason=verdict)


def _check_parent(data: Path) -> None:
    address = _settings(data).parent_address
    if address is None:
        return
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), _DIAL_SECONDS).close()
    except OSError as error:
        raise ParentUnreachable(address=address, reason=error.strerror or str(error)) from None
