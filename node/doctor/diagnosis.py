"""The diagnostics bundle: what somebody else needs to find a fault, and no secret.

Secrets are kept out three times: only what is named here is collected, fields and
lines that look like secrets are struck out, and at the end every secret that lies in
this node's own files is looked for in the finished text.
"""

import base64
import platform
import re
import sqlite3
import sys
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qsl, quote, unquote, urlsplit

import orjson
from cryptography import x509
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from yidao.api.errors import YidaoError
from yidao.node.clock import system_clock_ms, utc
from yidao.node.config import Settings
from yidao.node.doctor import checks, machine, storecheck
from yidao.node.keys import FOLDER_NAME, KeyFolder
from yidao.node.logging import REDACTED, is_secret
from yidao.node.messages import message

FORMAT: Final = "yidao-diagnosis-1"
_LOG_LINES: Final = 300
_LOG_BYTES: Final = 256 * 1024
# A line of base64 in a key file has 64 characters; a shorter secret could be a word.
_SHORTEST_SECRET: Final = 6
_LIBRARIES: Final = ("grpcio", "protobuf", "sqlalchemy", "cryptography", "pydantic", "typer")
_SECRET_TEXT: Final = re.compile(
    r"-----BEGIN[^-]*PRIVATE KEY-----.*"
    r"|(?i:bearer\s+)\S+"
    r"|(?<=://)[^\s/@]+:[^\s/@]*(?=@)"
    r"|(?i:(?:password|passwd|secret|token|private_key)[\"']?\s*[=:]\s*)[\"']?[^\s\"',}]+"
)


def diagnose(data: Path, findings: Sequence[checks.Finding]) -> bytes:
    """Return the bundle of the node in `data`: JSON, indented, without secrets."""
    now = utc(system_clock_ms()).isoformat(timespec="seconds")
    found: dict[str, Any] = {
        "format": FORMAT,
        "made": now,
        "machine": _machine(),
        "checks": [_finding(each) for each in findings],
        "files": _files(data),
    }
    secrets = _key_secrets(data)
    try:
        settings = checks.load(data)
    except YidaoError as error:
        found["settings"] = {"error": error.code}
    else:
        secrets |= _setting_secrets(settings)
        found["settings"] = _settings(settings)
        found["store"] = _store(settings)
        found["log"] = _log(settings)
    found["identity"] = _identity(data)
    found["status"] = _status(data)
    text = orjson.dumps(found, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE).decode()
    return sieve(text, secrets).encode()


def sieve(text: str, secrets: Iterable[str]) -> str:
    """Strike out every secret, as it is and as JSON writes it."""
    for secret in sorted(secrets, key=len, reverse=True):
        for form in {secret, orjson.dumps(secret).decode()[1:-1]}:
            text = text.replace(form, REDACTED)
    return text


def struck(line: str) -> str:
    """Strike out what looks like a secret in a line that somebody wrote."""
    return _SECRET_TEXT.sub(REDACTED, line)


def _machine() -> dict[str, Any]:
    return {
        "yidao": version("yidao"),
        "python": sys.version.split()[0],
        "system": platform.platform(),
        "sqlite": sqlite3.sqlite_version,
        "libraries": {name: version(name) for name in _LIBRARIES},
    }


def _finding(finding: checks.Finding) -> dict[str, Any]:
    said: dict[str, Any] = {"check": finding.check, "ok": not finding.code}
    if finding.code:
        texts = {lang: message(finding.code, finding.params, lang) for lang in ("zh", "en")}
        said["code"] = finding.code
        said |= {f"text_{lang}": struck(text.text) for lang, text in texts.items()}
        said |= {f"hint_{lang}": text.hint for lang, text in texts.items()}
    return said


def _settings(settings: Settings) -> dict[str, Any]:
    shown: dict[str, Any] = {}
    for name, value in settings.model_dump(mode="json").items():
        if name == "database_url" and value:
            shown[name] = _without_login(value)
        elif name == "proxy" and value:
            parts = urlsplit(value)
            shown[name] = f"http://{parts.hostname}:{parts.port}"
        else:
            shown[name] = REDACTED if is_secret(name) and value else value
    return shown


def _without_login(url: str) -> str:
    try:
        parsed = make_url(url)
    except ArgumentError:
        return REDACTED
    # A query may hold a password, a passfile or a key.
    place = f"{parsed.host or ''}:{parsed.port or ''}/{parsed.database or ''}"
    return f"{parsed.get_backend_name()}://{place}"


def _store(settings: Settings) -> dict[str, Any]:
    if not storecheck.has_store(settings):
        return {"error": "NEVER_RAN"}
    try:
        with storecheck.opened(settings) as connection:
            problems = [
                {
                    "code": code,
                    "params": {name: struck(str(value)) for name, value in params.items()},
                }
                for code, params in storecheck.open_problems(connection)
            ]
            return {**asdict(storecheck.inventory(connection)), "problems": problems}
    except YidaoError as error:
        return {"error": error.code, "params": dict(error.params)}


def _log(settings: Settings) -> list[str]:
    if settings.log_file is None:
        return []
    try:
        with settings.log_file.open("rb") as file:
            file.seek(max(settings.log_file.stat().st_size - _LOG_BYTES, 0))
            tail = file.read().decode("utf-8", "replace")
    except OSError as error:
        return [f"unreadable: {error.strerror}"]
    return [struck(line) for line in tail.splitlines()[-_LOG_LINES:]]


def _files(data: Path) -> list[dict[str, Any]]:
    """Names, sizes and modes of what lies in the folder; of the keys their names alone count."""
    places = sorted([*data.glob("*"), *data.glob(f"{FOLDER_NAME}/*")])
    stats = [(place.relative_to(data), place.lstat()) for place in places]
    return [
        {"name": str(name), "bytes": stat.st_size, "mode": f"{stat.st_mode & 0o7777:04o}"}
        for name, stat in stats
    ]


def _identity(data: Path) -> dict[str, Any]:
    folder = KeyFolder(data)
    try:
        identity = folder.load_identity()
        certificates = x509.load_pem_x509_certificates(folder.load_certificates().tls_chain_pem)
    except YidaoError as error:
        return {"error": error.code}
    return {
        "network": identity.network.hex(),
        "node_id": identity.node_id.hex(),
        "path": str(identity.path),
        "epoch": identity.epoch,
        "certificates": [
            {
                "from": each.not_valid_before_utc.isoformat(),
                "until": each.not_valid_after_utc.isoformat(),
            }
            for each in certificates
        ],
    }


def _status(data: Path) -> dict[str, Any]:
    try:
        status = machine.live_status(data)
    except YidaoError as error:
        return {"error": error.code}
    return {
        "last_position": status.last_position,
        "applied_position": status.applied_position,
        "records": status.records,
        "receipts": [status.receipts_current, status.receipts_expected],
        "test_network": status.test_network,
        "parent_error": struck(status.parent_error),
        "peers": [
            {
                "path": peer.path,
                "role": peer.role,
                "state": peer.state,
                "lag": peer.lag,
                "last_seen_ms": peer.last_seen_ms,
                "next_retry_ms": peer.next_retry_ms,
            }
            for peer in status.peers
        ],
    }


def _key_secrets(data: Path) -> set[str]:
    """Every line of a private key that lies in the key folder, and its bytes in other writings."""
    found: set[str] = set()
    for file in (data / FOLDER_NAME).glob("*.key"):
        try:
            raw = file.read_bytes()
        except OSError:
            # What this user cannot read, no line of the bundle can hold.
            continue
        lines = raw.decode("ascii", "replace").splitlines()
        body = [line for line in lines if line and not line.startswith("-----")]
        found |= {line for line in body if len(line) >= _SHORTEST_SECRET}
        joined = "".join(body)
        try:
            der = base64.b64decode(joined, validate=True)
        except ValueError:
            continue
        # An Ed25519 seed is the end of its PKCS #8 form (RFC 8410, 7).
        found |= {joined, der.hex(), der[-32:].hex(), base64.b64encode(der[-32:]).decode()}
    return found


def _setting_secrets(settings: Settings) -> set[str]:
    found: set[str] = set()
    for url in (settings.database_url, settings.proxy):
        if url and (password := urlsplit(url).password):
            found |= {password, unquote(password)}
        for name, value in parse_qsl(urlsplit(url or "").query):
            if is_secret(name) or "pass" in name:
                found |= {value, quote(value)}
    return {each for each in found if len(each) >= _SHORTEST_SECRET}
