"""The root list: which root certificates count, decided by a threshold of holders.

A root certificate's key lies on one machine. What the network trusts is therefore
said by a list that several people sign, each with a key of their own that is on no
node: by default three of five. The rules are those of TUF (specification 1.0.33,
section 5.3):

1. Version N+1 follows version N, and nothing else does. No number can be skipped, so
   that none can be used up.
2. It is signed by the threshold of the holders of N, by N's threshold, and by that of
   the holders of N+1.
3. A holder is a key. A key counts once, however often it signs or is listed; keys that
   verify anything, or that have a second spelling, are refused.
4. What was accepted is kept, and no earlier version counts ever again.

A file is canonical JSON with two members: `signed`, and `signatures`, a list of `key`
and `signature` in hex. Signed is `yidao-root-list-v1`, a newline, and the canonical
JSON of `signed`.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from hashlib import sha256
from itertools import pairwise
from typing import Final, cast

import orjson
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from yidao.sync import ed25519, errors, suite
from yidao.sync.ids import NetworkId, id_from_hex
from yidao.sync.members import Members, canonical
from yidao.sync.rootstatement import MAX_CERTIFICATES, certificate_key
from yidao.sync.trusterrors import (
    RootListForeign,
    RootListMalformed,
    RootListUnsigned,
    RootListVersionWrong,
)

MAX_LIST_BYTES: Final = 16 * 1024
MAX_HOLDERS: Final = 16
MAX_SUITES: Final = 16
#: Keys of two lists may sign one file.
MAX_SIGNATURES: Final = 2 * MAX_HOLDERS
DEFAULT_THRESHOLD: Final = 3
FIRST_VERSION: Final = 1
KIND: Final = "node.root.listed"
CHANNEL: Final = "down.control"

_PREFIX: Final = b"yidao-root-list-v1\n"
_MAX_NUMBER: Final = 2**63
# 9999-12-31; a later time cannot be shown as a date.
_MAX_TIME_MS: Final = 253_402_300_799_000
_SIGNATURE_HEX_CHARS: Final = 2 * ed25519.SIGNATURE_BYTES


@dataclass(frozen=True, slots=True, kw_only=True)
class RootList:
    """What the holders sign.

    Attributes:
        version: From 1; a list follows the one that is one lower.
        issued_ms, expires_ms: Unix milliseconds; by `expires_ms` the next list is due.
        threshold: How many of `holders` must sign, this list and the next.
        holders: Raw Ed25519 keys, sorted, each once.
        certificates: Root certificates that count, each one PEM block of its only
            spelling; the newest first.
        suites: Numbers of the suites that nodes of this network may use, sorted.
    """

    network: NetworkId
    version: int
    issued_ms: int
    expires_ms: int
    threshold: int
    holders: tuple[bytes, ...]
    certificates: tuple[bytes, ...]
    suites: tuple[int, ...] = (suite.ED25519_SHA256,)

    @property
    def pem(self) -> bytes:
        """The certificates as one text, as TLS takes them."""
        return b"".join(self.certificates)

    def members(self) -> dict[str, object]:
        """Return what is signed, as plain values."""
        return {
            "network": self.network.hex(),
            "version": self.version,
            "issued_ms": self.issued_ms,
            "expires_ms": self.expires_ms,
            "threshold": self.threshold,
            "holders": [key.hex() for key in self.holders],
            "certificates": [
                {"spki_sha256": spki_sha256(pem).hex(), "pem": pem.decode("ascii")}
                for pem in self.certificates
            ],
            "suites": list(self.suites),
        }

    def check(self) -> None:
        """Return only if a list may say this.

        Raises:
            RootListMalformed: A number is out of range, or something stands twice.
            KeyMalformed, KeyWeak: A holder's key is unfit.
            RootStatementInvalid: A certificate is none of a root.
        """
        _require("version", holds=FIRST_VERSION <= self.version < _MAX_NUMBER)
        _require("expires_ms", holds=0 < self.issued_ms < self.expires_ms <= _MAX_TIME_MS)
        _require("holders", holds=1 <= len(self.holders) <= MAX_HOLDERS)
        _require("threshold", holds=1 <= self.threshold <= len(self.holders))
        _require("holders", holds=all(a < b for a, b in pairwise(self.holders)))
        for key in self.holders:
            suite.check_public_key(suite.ED25519_SHA256, key)
        _require("certificates", holds=1 <= len(self.certificates) <= MAX_CERTIFICATES)
        names = [spki_sha256(pem) for pem in self.certificates]
        _require("certificates", holds=len(set(names)) == len(names))
        _require("suites", holds=1 <= len(self.suites) <= MAX_SUITES)
        _require("suites", holds=all(a < b for a, b in pairwise(self.suites)))
        _require("suites", holds=self.suites[0] >= 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedRootList:
    """A list of the right form, with signatures that nobody has looked at.

    Attributes:
        signed: The exact bytes that are signed.
        signatures: By key.
    """

    content: RootList
    signed: bytes
    signatures: tuple[tuple[bytes, bytes], ...] = ()

    @classmethod
    def of(cls, content: RootList) -> "SignedRootList":
        """Return a list that nobody has signed yet; raises as `RootList.check`."""
        content.check()
        return cls(content=content, signed=_PREFIX + canonical(content.members()))

    @classmethod
    def decode(cls, data: bytes) -> "SignedRootList":
        """Return the list of a file. Members that a newer version adds are allowed.

        Raises:
            RootListMalformed, KeyMalformed, KeyWeak, RootStatementInvalid, IdInvalid: As
                named, and see `RootList.check`.
        """
        members = _parse(data)
        signed = members.get("signed")
        if type(signed) is not dict:
            raise RootListMalformed(field="signed")
        content = _content(cast("dict[str, object]", signed))
        content.check()
        signatures = _signatures(members.get("signatures"))
        return cls(content=content, signed=_PREFIX + canonical(signed), signatures=signatures)

    def encode(self) -> bytes:
        """Return the file."""
        signed = orjson.loads(self.signed.removeprefix(_PREFIX))
        signatures = [
            {"key": key.hex(), "signature": signature.hex()} for key, signature in self.signatures
        ]
        return canonical({"signed": signed, "signatures": signatures})

    def sign(self, signer: suite.Signer) -> "SignedRootList":
        """Return the list with one signature more; one by the same key is replaced."""
        found = dict(self.signatures) | {signer.public_key: signer.sign(self.signed)}
        return replace(self, signatures=tuple(sorted(found.items())))

    def combine(self, others: Iterable["SignedRootList"]) -> "SignedRootList":
        """Return the list with the signatures of all files of it.

        Raises:
            RootListMalformed: A file is of another list.
        """
        found = dict(self.signatures)
        for other in others:
            if other.signed != self.signed:
                raise RootListMalformed(field="signed")
            found |= dict(other.signatures)
        return replace(self, signatures=tuple(sorted(found.items())))

    def signers(self, holders: Iterable[bytes]) -> frozenset[bytes]:
        """Return which of these holders signed; a signature that fails is none."""
        wanted = frozenset(holders)
        return frozenset(
            key
            for key, signature in self.signatures
            if key in wanted and self._is_by(key, signature)
        )

    def _is_by(self, key: bytes, signature: bytes) -> bool:
        try:
            suite.verify(suite.ED25519_SHA256, key, signature, self.signed)
        except errors.PeerError:
            return False
        return True


def open_first(data: bytes, network: NetworkId) -> SignedRootList:
    """Return a list that its own holders signed.

    Whether to believe it is the caller's question: one from a join bundle is believed
    as the bundle is; the first of a network is the root node's word.

    Raises:
        RootListForeign: It is of another network.
        RootListUnsigned: Too few of its holders signed.
        RootListMalformed, …: See `SignedRootList.decode`.
    """
    found = SignedRootList.decode(data)
    if found.content.network != network:
        raise RootListForeign(reason="network")
    _check_threshold(found, found.content)
    return found


def open_next(held: RootList, data: bytes) -> SignedRootList:
    """Return the list that follows the one that is held.

    1. It is of this network, and exactly one version later.
    2. The threshold of the holders of the held list signed it.
    3. The threshold of its own holders signed it.

    That it may have expired is no reason to refuse it: the one after it may be there
    already, and is only reached through it.

    Raises:
        RootListForeign, RootListVersionWrong, RootListUnsigned: The first step that fails.
        RootListMalformed, …: See `SignedRootList.decode`.
    """
    found = SignedRootList.decode(data)
    if found.content.network != held.network:  # (1)
        raise RootListForeign(reason="network")
    expected = held.version + 1
    if found.content.version != expected:
        raise RootListVersionWrong(found=found.content.version, expected=expected)
    _check_threshold(found, held)  # (2)
    _check_threshold(found, found.content)  # (3)
    return found


def spki_sha256(pem: bytes) -> bytes:
    """Return the name of a root certificate's key: SHA-256 of its SubjectPublicKeyInfo.

    Raises:
        RootStatementInvalid: It is not one certificate with a P-256 key.
    """
    spki = certificate_key(pem).public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return sha256(spki).digest()


def _check_threshold(found: SignedRootList, by: RootList) -> None:
    signers = found.signers(by.holders)
    if len(signers) < by.threshold:
        raise RootListUnsigned(version=by.version, found=len(signers), needed=by.threshold)


def _require(field: str, *, holds: bool) -> None:
    if not holds:
        raise RootListMalformed(field=field)


def _parse(data: bytes) -> dict[str, object]:
    # One spelling only: of repeated members readers disagree on the one that counts.
    return Members.parse_canonical(data, RootListMalformed, limit=MAX_LIST_BYTES).values()


def _content(members: dict[str, object]) -> RootList:
    network = members.get("network")
    if type(network) is not str:
        raise RootListMalformed(field="network")
    return RootList(
        network=NetworkId(id_from_hex(network, "network")),
        version=_number(members, "version"),
        issued_ms=_number(members, "issued_ms"),
        expires_ms=_number(members, "expires_ms"),
        threshold=_number(members, "threshold"),
        holders=tuple(
            _hex(key, 2 * ed25519.KEY_BYTES, "holders") for key in _list(members, "holders")
        ),
        certificates=tuple(_certificate(each) for each in _list(members, "certificates")),
        suites=tuple(_suite(each) for each in _list(members, "suites")),
    )


def _certificate(value: object) -> bytes:
    members = value if type(value) is dict else {}
    text, digest = members.get("pem"), members.get("spki_sha256")
    if type(text) is not str or not text.isascii():
        raise RootListMalformed(field="certificates")
    pem = text.encode()
    # What the library reads back in the same spelling: nothing stands before or after it.
    if spki_sha256(pem).hex() != digest or _respelt(pem) != pem:
        raise RootListMalformed(field="certificates")
    return pem


def _respelt(pem: bytes) -> bytes:
    return x509.load_pem_x509_certificate(pem).public_bytes(Encoding.PEM)


def _signatures(value: object) -> tuple[tuple[bytes, bytes], ...]:
    if type(value) is not list or len(value) > MAX_SIGNATURES:
        raise RootListMalformed(field="signatures")
    found = []
    for each in value:
        members = each if type(each) is dict else {}
        key = _key(members.get("key"), "signatures")
        found.append((key, _hex(members.get("signature"), _SIGNATURE_HEX_CHARS, "signatures")))
    return tuple(found)


def _list(members: dict[str, object], field: str) -> list[object]:
    value = members.get(field)
    if type(value) is not list or len(value) > MAX_SIGNATURES:
        raise RootListMalformed(field=field)
    return value


def _number(members: dict[str, object], field: str) -> int:
    value = members.get(field)
    if type(value) is not int:
        raise RootListMalformed(field=field)
    return value


def _suite(value: object) -> int:
    if type(value) is not int:
        raise RootListMalformed(field="suites")
    return value


def _key(value: object, field: str) -> bytes:
    return _hex(value, 2 * ed25519.KEY_BYTES, field)


def _hex(value: object, chars: int, field: str) -> bytes:
    try:
        data = bytes.fromhex(value) if type(value) is str else b""
    except ValueError:
        raise RootListMalformed(field=field) from None
    if data.hex() != value or len(data.hex()) != chars:
        raise RootListMalformed(field=field)
    return data


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """The core of `node.root.listed`, which the root writes for everybody below.

    Attributes:
        data: The file of the list.
        statement: The root statement by a certificate of the list.
    """

    data: bytes
    statement: bytes

    def encode(self) -> bytes:
        """Return the JSON bytes of the core part."""
        return canonical({"list": self.data.decode(), "statement": self.statement.decode("ascii")})

    @classmethod
    def decode(cls, core: bytes) -> "Listing":
        """Return what a core says; nothing in it is verified. Raises `RootListMalformed`."""
        try:
            members = orjson.loads(core)
        except orjson.JSONDecodeError:
            raise RootListMalformed(field="JSON") from None
        texts = members if type(members) is dict else {}
        data, statement = texts.get("list"), texts.get("statement")
        if type(data) is not str or type(statement) is not str:
            raise RootListMalformed(field="list")
        return cls(data=data.encode(), statement=statement.encode())
