r"""The form of a backup file: chunks that are each authenticated, and a signature over all.

    yidao-backup-v1\n
    {"chunk_bytes":…,"created_ms":…,"epoch":…,"lock":{…},"network":…,"node_id":…,"path":…,"signer":…}\n
    (4-byte big-endian length, ChaCha20-Poly1305 ciphertext) …
    4 zero bytes
    base64 signature\n

A random 32-byte key encrypts the chunks; the nonce is the chunk's number in 11 bytes
and a last byte that is 1 on the last chunk (the STREAM construction of Hoang,
Reyhanitabar, Rogaway and Vizár), the associated data SHA-256 of the first two lines.
So no chunk can be changed, moved, left out or taken from another file. `lock` says
how that key is had: from a passphrase by scrypt (RFC 7914), or with the private key
of an X25519 public key by HPKE (RFC 9180). The signature is by the node's cosigning
key over SHA-256 of all bytes before it: who has no passphrase can still tell whether
a file is whole.
"""

import base64
import binascii
import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO, Final

import orjson
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from yidao.api.errors import YidaoError
from yidao.node.backup.errors import BackupDamaged, BackupForeign, BackupLocked
from yidao.sync import suite
from yidao.sync.suite import Signer

FORMAT: Final = b"yidao-backup-v1\n"
CHUNK_BYTES: Final = 1024 * 1024
SIGNATURE_DOMAIN: Final = b"yidao-backup-signature-v1\n"

_HPKE: Final = Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM)
_INFO: Final = b"yidao-backup-key-v1"
_TAG_BYTES: Final = 16
_LENGTH_BYTES: Final = 4
_MAX_LINE_BYTES: Final = 4_096
# 128 MiB and about half a second: OWASP's smallest advice for scrypt, 2^17.
_SCRYPT_COST: Final = 1 << 17
_MAX_SCRYPT_COST: Final = 1 << 20

Unlock = Callable[[dict[str, Any]], bytes]


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """What a file says of itself in the open."""

    created_ms: int
    network: str
    node_id: str
    path: str
    epoch: str
    signer: bytes
    lock: dict[str, Any]

    def line(self) -> bytes:
        """Return the second line."""
        members = {
            "chunk_bytes": CHUNK_BYTES,
            "created_ms": self.created_ms,
            "epoch": self.epoch,
            "lock": self.lock,
            "network": self.network,
            "node_id": self.node_id,
            "path": self.path,
            "signer": self.signer.hex(),
        }
        return orjson.dumps(members, option=orjson.OPT_SORT_KEYS) + b"\n"


def lock_with_passphrase(key: bytes, passphrase: str, salt: bytes) -> dict[str, Any]:
    """Return the lock that a passphrase opens."""
    kek = Scrypt(salt=salt, length=32, n=_SCRYPT_COST, r=8, p=1).derive(passphrase.encode())
    wrapped = ChaCha20Poly1305(kek).encrypt(bytes(12), key, _INFO)
    return {
        "kind": "passphrase",
        "n": _SCRYPT_COST,
        "r": 8,
        "p": 1,
        "salt": salt.hex(),
        "wrapped": wrapped.hex(),
    }


def lock_to(key: bytes, recipient: X25519PublicKey) -> dict[str, Any]:
    """Return the lock that the recipient's private key opens."""
    wrapped = _HPKE.encrypt(key, recipient, info=_INFO)
    return {"kind": "key", "to": recipient.public_bytes_raw().hex(), "wrapped": wrapped.hex()}


def by_passphrase(passphrase: str) -> Unlock:
    """Return what opens a lock with a passphrase."""

    def unlock(lock: dict[str, Any]) -> bytes:
        cost = lock["n"]
        if lock["kind"] != "passphrase" or not 2 <= cost <= _MAX_SCRYPT_COST:
            raise ValueError
        salt = bytes.fromhex(lock["salt"])
        kek = Scrypt(salt=salt, length=32, n=cost, r=8, p=1).derive(passphrase.encode())
        return ChaCha20Poly1305(kek).decrypt(bytes(12), bytes.fromhex(lock["wrapped"]), _INFO)

    return unlock


def by_key(key: X25519PrivateKey) -> Unlock:
    """Return what opens a lock with a private key."""

    def unlock(lock: dict[str, Any]) -> bytes:
        if lock["kind"] != "key":
            raise ValueError
        return _HPKE.decrypt(bytes.fromhex(lock["wrapped"]), key, info=_INFO)

    return unlock


class SealedWriter:
    """Writes a file; `finish` makes it whole."""

    def __init__(self, out: BinaryIO, head: Head, key: bytes) -> None:
        self._out = out
        self._cipher = ChaCha20Poly1305(key)
        self._digest = hashlib.sha256()
        self._waiting = bytearray()
        self._number = 0
        lines = FORMAT + head.line()
        self._bound = hashlib.sha256(lines).digest()
        self._put(lines)

    def write(self, data: bytes) -> None:
        """Add plain bytes."""
        self._waiting += data
        # The last chunk is known only at the end, so one always waits.
        while len(self._waiting) > CHUNK_BYTES:
            self._chunk(bytes(self._waiting[:CHUNK_BYTES]), last=False)
            del self._waiting[:CHUNK_BYTES]

    def finish(self, signer: Signer) -> None:
        """Write the last chunk and the signature."""
        self._chunk(bytes(self._waiting), last=True)
        self._put(bytes(_LENGTH_BYTES))
        signature = signer.sign(SIGNATURE_DOMAIN + self._digest.digest())
        self._out.write(base64.b64encode(signature) + b"\n")

    def _chunk(self, data: bytes, *, last: bool) -> None:
        sealed = self._cipher.encrypt(_nonce(self._number, last=last), data, self._bound)
        self._number += 1
        self._put(len(sealed).to_bytes(_LENGTH_BYTES, "big") + sealed)

    def _put(self, data: bytes) -> None:
        self._digest.update(data)
        self._out.write(data)


def read_head(file: BinaryIO, name: str) -> tuple[Head, bytes]:
    """Return a file's head and its first two lines.

    Raises:
        BackupForeign: It is none of ours.
    """
    first, line = file.readline(_MAX_LINE_BYTES), file.readline(_MAX_LINE_BYTES)
    try:
        members = orjson.loads(line)
        head = Head(
            created_ms=int(members["created_ms"]),
            network=str(members["network"]),
            node_id=str(members["node_id"]),
            path=str(members["path"]),
            epoch=str(members["epoch"]),
            signer=bytes.fromhex(members["signer"]),
            lock=dict(members["lock"]),
        )
    except (orjson.JSONDecodeError, KeyError, TypeError, ValueError):
        raise BackupForeign(file=name) from None
    if first != FORMAT or head.line() != line:
        raise BackupForeign(file=name)
    return head, first + line


def check_whole(file: BinaryIO, name: str) -> Head:
    """Return a file's head if every byte of it is as its node signed it; needs no secret.

    Raises:
        BackupForeign, BackupDamaged: As they say.
    """
    head, lines = read_head(file, name)
    digest = hashlib.sha256(lines)
    for size, sealed in _sealed(file, name):
        digest.update(size + sealed)
    digest.update(bytes(_LENGTH_BYTES))
    _check_signature(file, name, head, digest.digest())
    return head


def opened(file: BinaryIO, name: str, unlock: Unlock) -> Iterator[bytes]:
    """Yield the plain bytes of a file, chunk by chunk, each of them authenticated.

    Whoever acts on them waits for the end: only then the file is known to be whole.

    Raises:
        BackupForeign, BackupDamaged: As they say.
        BackupLocked: The secret is another one.
    """
    head, lines = read_head(file, name)
    try:
        cipher = ChaCha20Poly1305(unlock(head.lock))
    except (InvalidTag, KeyError, TypeError, ValueError):
        raise BackupLocked(file=name) from None
    digest, bound = hashlib.sha256(lines), hashlib.sha256(lines).digest()
    is_last = False
    for number, (size, sealed) in enumerate(_sealed(file, name)):
        if is_last:
            raise BackupDamaged(file=name, reason="chunk after the last", usable="")
        digest.update(size + sealed)
        plain, is_last = _decrypt(cipher, number, sealed, bound, name)
        yield plain
    if not is_last:
        raise BackupDamaged(file=name, reason="cut off", usable="")
    digest.update(bytes(_LENGTH_BYTES))
    _check_signature(file, name, head, digest.digest())


def _decrypt(
    cipher: ChaCha20Poly1305, number: int, sealed: bytes, bound: bytes, name: str
) -> tuple[bytes, bool]:
    for last in (False, True):
        try:
            return cipher.decrypt(_nonce(number, last=last), sealed, bound), last
        except InvalidTag:
            continue
    raise BackupDamaged(file=name, reason=f"chunk {number}", usable="")


def _sealed(file: BinaryIO, name: str) -> Iterator[tuple[bytes, bytes]]:
    """Yield the chunks as they lie in the file, up to the mark of the end."""
    while True:
        size = file.read(_LENGTH_BYTES)
        if size == bytes(_LENGTH_BYTES):
            return
        count = int.from_bytes(size, "big")
        if len(size) < _LENGTH_BYTES or not _TAG_BYTES <= count <= CHUNK_BYTES + _TAG_BYTES:
            raise BackupDamaged(file=name, reason="length", usable="")
        sealed = file.read(count)
        if len(sealed) < count:
            raise BackupDamaged(file=name, reason="cut off", usable="")
        yield size, sealed


def _check_signature(file: BinaryIO, name: str, head: Head, digest: bytes) -> None:
    line, rest = file.readline(_MAX_LINE_BYTES), file.read(1)
    try:
        signature = base64.b64decode(line.rstrip(b"\n"), validate=True)
        suite.verify(suite.of_key(head.signer), head.signer, signature, SIGNATURE_DOMAIN + digest)
    except (YidaoError, binascii.Error, ValueError):
        raise BackupDamaged(file=name, reason="signature", usable="") from None
    if rest or not line.endswith(b"\n"):
        raise BackupDamaged(file=name, reason="bytes after the end", usable="")


def _nonce(number: int, *, last: bool) -> bytes:
    return number.to_bytes(11, "big") + (b"\x01" if last else b"\x00")
