"""The file around a parcel: compressed, encrypted to one node, signed by another.

    yidao-bundle-v1
    {"created_ms":…,"from":"/33","from_id":…,"network":…,"sha256":…,"to":"/33/3301","to_id":…}
    <base64 signature>
    <ciphertext>

The signature is by the sender's cosigning key over the first two lines behind
a prefix of its own; the second line names the ciphertext by its SHA-256. The
ciphertext is HPKE (RFC 9180: X25519, HKDF-SHA256, AES-256-GCM) to the
recipient's key (`sync.curve`) around zlib; its `info` is those two lines with an
empty digest, so that it opens under no other address.
Who writes to whom can be read by the courier, and nothing else.
"""

import base64
import binascii
import hashlib
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import orjson
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite

from yidao.api.errors import YidaoError
from yidao.node.courier.errors import (
    ParcelFileMalformed,
    ParcelSealed,
    ParcelSignatureInvalid,
)
from yidao.sync import suite
from yidao.sync.curve import x25519_public
from yidao.sync.ids import NetworkId, NodeId, Path, id_from_hex
from yidao.sync.parcel import MAX_FILE_BYTES
from yidao.sync.suite import Signer

FORMAT: Final = b"yidao-bundle-v1"
MAX_PARCEL_BYTES: Final = 96 * 1024 * 1024

_DOMAIN: Final = b"yidao-bundle-signature-v1\n"
_MAX_HEAD_BYTES: Final = 2_048
_SUITE: Final = Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM)
_FIELDS: Final = {"created_ms", "from", "from_id", "network", "sha256", "to", "to_id"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """Who sends to whom, in which network, and when it was packed (Unix milliseconds)."""

    network: NetworkId
    sender: NodeId
    sender_path: Path
    recipient: NodeId
    recipient_path: Path
    created_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Envelope:
    """A file taken apart; its address is a claim until `verify` returns."""

    address: Address
    signed: bytes
    signature: bytes
    ciphertext: bytes

    def verify(self, sender_keys: Sequence[bytes]) -> None:
        """Return only if a cosigning key of the sender signed this very file.

        Args:
            sender_keys: Of all its epochs: a bundle may have been on its way for weeks.

        Raises:
            ParcelSignatureInvalid: Somebody else wrote or changed it.
        """
        message = _DOMAIN + self.signed
        for key in sender_keys:
            try:
                suite.verify(suite.ED25519_SHA256, key, self.signature, message)
            except YidaoError:
                continue
            return
        raise ParcelSignatureInvalid(path=str(self.address.sender_path))

    def decrypt(self, keys: Sequence[X25519PrivateKey]) -> bytes:
        """Return the parcel's bytes.

        Args:
            keys: The recipient's, of all its epochs that it still has.

        Raises:
            ParcelSealed: It was encrypted to another key.
            ParcelFileMalformed: What was encrypted is no compressed parcel.
        """
        packed = self._opened(keys)
        inflate = zlib.decompressobj()
        try:
            parcel = inflate.decompress(packed, MAX_PARCEL_BYTES)
        except zlib.error:
            raise ParcelFileMalformed(reason="zlib") from None
        if not inflate.eof or inflate.unused_data:
            raise ParcelFileMalformed(reason="size")
        return parcel

    def _opened(self, keys: Sequence[X25519PrivateKey]) -> bytes:
        for key in keys:
            try:
                return _SUITE.decrypt(self.ciphertext, key, info=_lines(self.address, b""))
            except (InvalidTag, ValueError):
                continue
        raise ParcelSealed


def seal_envelope(
    parcel: bytes, address: Address, *, signer: Signer, recipient_key: bytes
) -> bytes:
    """Return the file; `recipient_key` is the recipient's cosigning key as it is enrolled."""
    public = X25519PublicKey.from_public_bytes(x25519_public(recipient_key))
    ciphertext = _SUITE.encrypt(zlib.compress(parcel), public, info=_lines(address, b""))
    signed = _lines(address, hashlib.sha256(ciphertext).digest())
    signature = base64.b64encode(signer.sign(_DOMAIN + signed))
    return signed + signature + b"\n" + ciphertext


def open_envelope(data: bytes) -> Envelope:
    """Take a file apart; nothing in it is believed yet.

    Raises:
        ParcelFileMalformed: No bundle, cut off, changed, or too large.
    """
    if len(data) > MAX_FILE_BYTES:
        raise ParcelFileMalformed(reason="size")
    pieces = data.split(b"\n", 3)
    if len(pieces) != 4 or pieces[0] != FORMAT or len(pieces[1]) > _MAX_HEAD_BYTES:
        raise ParcelFileMalformed(reason="form")
    address, digest = _read_head(pieces[1])
    signed = pieces[0] + b"\n" + pieces[1] + b"\n"
    if _lines(address, digest) != signed:
        raise ParcelFileMalformed(reason="form")
    if hashlib.sha256(pieces[3]).digest() != digest:
        raise ParcelFileMalformed(reason="cut off or changed")
    try:
        signature = base64.b64decode(pieces[2], validate=True)
    except (binascii.Error, ValueError):
        raise ParcelFileMalformed(reason="signature") from None
    return Envelope(address=address, signed=signed, signature=signature, ciphertext=pieces[3])


def _lines(address: Address, digest: bytes) -> bytes:
    head = orjson.dumps(
        {
            "created_ms": address.created_ms,
            "from": str(address.sender_path),
            "from_id": address.sender.hex(),
            "network": address.network.hex(),
            "sha256": digest.hex(),
            "to": str(address.recipient_path),
            "to_id": address.recipient.hex(),
        },
        option=orjson.OPT_SORT_KEYS,
    )
    return FORMAT + b"\n" + head + b"\n"


def _read_head(line: bytes) -> tuple[Address, bytes]:
    try:
        head = orjson.loads(line)
        if type(head) is not dict or head.keys() != _FIELDS or type(head["created_ms"]) is not int:
            raise ParcelFileMalformed(reason="form")
        address = Address(
            network=NetworkId(id_from_hex(head["network"], "network")),
            sender=NodeId(id_from_hex(head["from_id"], "from_id")),
            sender_path=Path.parse(head["from"]),
            recipient=NodeId(id_from_hex(head["to_id"], "to_id")),
            recipient_path=Path.parse(head["to"]),
            created_ms=head["created_ms"],
        )
        return address, bytes.fromhex(head["sha256"])
    except (orjson.JSONDecodeError, TypeError, ValueError, AttributeError, YidaoError):
        raise ParcelFileMalformed(reason="form") from None
