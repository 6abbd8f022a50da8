"""The join bundle: the one file that a new child is given, on paper or a stick.

It carries everything that the child must know beforehand, above all the root's
certificate, so that the first connection is already checked, and a secret that
works once. A checksum finds a file that was cut off or edited by hand; it is no
protection, since whoever holds the file holds the secret.
"""

import base64
import hashlib
import os
import re
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path as FilePath
from typing import Any, Final

import orjson
from cryptography import x509

from yidao.api.errors import YidaoError
from yidao.node import errors as node_errors
from yidao.node.clock import utc
from yidao.node.datadir import sync_folder
from yidao.node.keys import read_private
from yidao.node.link import errors
from yidao.node.link.certificates import to_pem
from yidao.sync import ids
from yidao.sync.rootlist import open_first
from yidao.sync.rootstatement import open_root_statement

FORMAT: Final = "yidao-join-1"
MAX_BUNDLE_BYTES: Final = 32 * 1024
MAX_ADDRESSES: Final = 8
MAX_ADDRESS_CHARS: Final = 260
SECRET_BYTES: Final = 32
TOKEN_ID_BYTES: Final = 8
# 9999-12-31; a later time cannot be shown as a date.
MAX_EXPIRES_MS: Final = 253_402_300_799_000

_FIELDS: Final = {
    "format",
    "addresses",
    "link_address",
    "root_pem",
    "root_statement",
    "network",
    "parent_path",
    "path",
    "token_id",
    "secret",
    "expires_ms",
    "checksum",
}
# Only in bundles of a test network, so that those of real ones are what they always were.
_KIND: Final = "network_kind"
_TEST: Final = "test"
# Only in bundles of a network that has a root list.
_LIST: Final = "root_list"


@dataclass(frozen=True, slots=True, kw_only=True)
class JoinBundle:
    """What a child is given to join.

    Attributes:
        addresses: `host:port` of the parent's join service, tried in order.
        link_address: `host:port` of the parent's link, for the time after.
        root_pem: The network's root certificate, one PEM block; with a root list, all
            that the list names.
        root_statement: Exact bytes by which the root's key names the root's
            journal and cosigning key.
        path: Where the child will stand; directly below `parent_path`.
        token_id: 16 hex digits; no secret.
        secret: 32 random bytes, known to the parent and to this file alone.
        expires_ms: Unix milliseconds after which the parent refuses it.
        test_network: Whether the parent's network is for trying things out.
        root_list: The root list in force, the file; empty where there is none.
    """

    addresses: tuple[str, ...]
    link_address: str
    root_pem: bytes
    root_statement: bytes
    network: ids.NetworkId
    parent_path: ids.Path
    path: ids.Path
    token_id: str
    secret: bytes
    expires_ms: int
    test_network: bool = False
    root_list: bytes = b""

    def __repr__(self) -> str:
        # The generated one would print the secret into logs and tracebacks.
        return f"JoinBundle(path={self.path}, token_id={self.token_id})"

    def encode(self) -> bytes:
        """Return the file's content: JSON of one form."""
        fields = self._fields()
        fields["checksum"] = _checksum(fields)
        return orjson.dumps(fields, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)

    @classmethod
    def decode(cls, data: bytes) -> "JoinBundle":
        """Return the bundle of a file's content, with root, statement and network checked.

        Raises:
            BundleMalformed: It is cut off, no JSON, or a field is missing or wrong.
            BundleEdited: The checksum does not fit.
            BundleNetworkMismatch: The root statement is not this root's, or is of
                another network.
        """
        if len(data) > MAX_BUNDLE_BYTES:
            raise errors.BundleMalformed(reason="size")
        try:
            fields = orjson.loads(data)
        except orjson.JSONDecodeError:
            raise errors.BundleMalformed(reason="json") from None
        if not isinstance(fields, dict) or fields.keys() - {_KIND, _LIST} != _FIELDS:
            raise errors.BundleMalformed(reason="fields")
        if fields["format"] != FORMAT:
            raise errors.BundleMalformed(reason="format")
        checksum = fields.pop("checksum")
        if checksum != _checksum(fields):
            raise errors.BundleEdited
        bundle = _from_fields(fields)
        _check_root(bundle)
        return bundle

    def check_time(self, now: datetime) -> None:
        """Raise `BundleExpired` if its time is over by this machine's clock."""
        expires = utc(self.expires_ms)
        if now >= expires:
            raise errors.BundleExpired(expired=expires.isoformat(timespec="minutes"))

    def save(self, path: FilePath) -> None:
        """Write the file, 0600, never over another one.

        Raises:
            KeyFileExists: There is a file of that name.
            FolderNotWritable: The disk refuses.
        """
        try:
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
            with os.fdopen(os.open(path, flags, 0o600), "wb") as file:
                file.write(self.encode())
                file.flush()
                os.fsync(file.fileno())
            sync_folder(path.absolute().parent)
        except FileExistsError:
            raise node_errors.KeyFileExists(name=str(path)) from None
        except OSError as error:
            raise node_errors.FolderNotWritable(
                path=str(path.parent), reason=error.strerror or ""
            ) from None

    @classmethod
    def load(cls, path: FilePath) -> "JoinBundle":
        """Return the bundle in a file that only this user can read.

        Raises:
            KeyFileError: The file is missing, exposed, foreign or not regular.
            BundleError: As `decode`.
        """
        return cls.decode(read_private(path))

    def _fields(self) -> dict[str, Any]:
        fields: dict[str, Any] = {
            "format": FORMAT,
            "addresses": list(self.addresses),
            "link_address": self.link_address,
            "root_pem": self.root_pem.decode("ascii"),
            "root_statement": base64.b64encode(self.root_statement).decode("ascii"),
            "network": self.network.hex(),
            "parent_path": str(self.parent_path),
            "path": str(self.path),
            "token_id": self.token_id,
            "secret": self.secret.hex(),
            "expires_ms": self.expires_ms,
        }
        if self.test_network:
            fields[_KIND] = _TEST
        if self.root_list:
            fields[_LIST] = self.root_list.decode()
        return fields


def _checksum(fields: dict[str, Any]) -> str:
    return hashlib.sha256(orjson.dumps(fields, option=orjson.OPT_SORT_KEYS)).hexdigest()


def _from_fields(fields: dict[str, Any]) -> JoinBundle:
    addresses, expires_ms = fields["addresses"], fields["expires_ms"]
    if not isinstance(addresses, list) or not 1 <= len(addresses) <= MAX_ADDRESSES:
        raise errors.BundleMalformed(reason="addresses")
    if fields.get(_KIND, _TEST) != _TEST:
        raise errors.BundleMalformed(reason=_KIND)
    if type(expires_ms) is not int or not 0 < expires_ms <= MAX_EXPIRES_MS:
        raise errors.BundleMalformed(reason="expires_ms")
    texts = [value for key, value in fields.items() if key not in ("addresses", "expires_ms")]
    if not all(isinstance(value, str) for value in (*texts, *addresses)):
        raise errors.BundleMalformed(reason="type")
    if any(len(address) > MAX_ADDRESS_CHARS for address in (*addresses, fields["link_address"])):
        raise errors.BundleMalformed(reason="addresses")
    try:
        return JoinBundle(
            addresses=tuple(addresses),
            link_address=fields["link_address"],
            root_pem=fields["root_pem"].encode("ascii"),
            root_statement=base64.b64decode(fields["root_statement"], validate=True),
            network=ids.NetworkId(ids.id_from_hex(fields["network"], "network")),
            parent_path=ids.Path.parse(fields["parent_path"]),
            path=ids.Path.parse(fields["path"]),
            token_id=_hex(fields["token_id"], TOKEN_ID_BYTES).hex(),
            secret=_hex(fields["secret"], SECRET_BYTES),
            expires_ms=expires_ms,
            test_network=_KIND in fields,
            root_list=fields.get(_LIST, "").encode(),
        )
    except (YidaoError, ValueError):
        raise errors.BundleMalformed(reason="value") from None


def _hex(text: str, length_bytes: int) -> bytes:
    if re.fullmatch(r"[0-9a-f]+", text) is None or len(text) != 2 * length_bytes:
        raise errors.BundleMalformed(reason="hex")
    return bytes.fromhex(text)


def _check_root(bundle: JoinBundle) -> None:
    """Require that certificate, statement and network are of one root."""
    if bundle.path.parent != bundle.parent_path:
        raise errors.BundleMalformed(reason="path")
    _check_anchors(bundle)
    try:
        statement = open_root_statement(bundle.root_statement, bundle.root_pem)
    except YidaoError:
        raise errors.BundleNetworkMismatch from None
    if statement.network != bundle.network:
        raise errors.BundleNetworkMismatch


def _check_anchors(bundle: JoinBundle) -> None:
    """Require that nothing but the root certificate, or those of the list, become anchors."""
    if bundle.root_list:
        try:
            named = open_first(bundle.root_list, bundle.network).content.pem
        except YidaoError:
            raise errors.BundleMalformed(reason=_LIST) from None
        if named != bundle.root_pem:
            raise errors.BundleMalformed(reason=_LIST)
        return
    try:
        certificates = x509.load_pem_x509_certificates(bundle.root_pem)
    except (ValueError, x509.InvalidVersion):
        raise errors.BundleMalformed(reason="root_pem") from None
    # Exactly our own form.
    if [to_pem(certificate) for certificate in certificates] != [bundle.root_pem]:
        raise errors.BundleMalformed(reason="root_pem")
