"""The bare parts of the ceiling: SHA-256 Merkle, one Ed25519 seal a batch, SQLite, mTLS keys.

A batch is one message: where it begins, how many records, the origin's signature over the
tree that they lead to, then the records, all of one size, so that nothing has to be parsed.
"""

import hashlib
import sqlite3
import struct
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

RECORD_BYTES: Final = 1024
# As the product has it: with the default of 1,000 pages both would wait for checkpoints.
AUTOCHECKPOINT_PAGES: Final = 20_000
KEY: Final = Ed25519PrivateKey.from_private_bytes(hashlib.sha256(b"the ceiling's journal").digest())
HEAD: Final = struct.Struct(">QI64s")
ACKNOWLEDGEMENT: Final = struct.Struct(">Q32s")


class Tree:
    """The frontier of an RFC 6962 tree."""

    def __init__(self) -> None:
        self.size = 0
        self.peaks: list[bytes] = []

    def extend(self, body: bytes) -> None:
        """Append the records of a batch."""
        sha256, peaks = hashlib.sha256, self.peaks
        for start in range(0, len(body), RECORD_BYTES):
            node = sha256(b"\0" + body[start : start + RECORD_BYTES]).digest()
            size = self.size
            while size & 1:
                node = sha256(b"\1" + peaks.pop() + node).digest()
                size >>= 1
            peaks.append(node)
            self.size += 1

    def root(self) -> bytes:
        """The root over all records; there is at least one."""
        *larger, root = self.peaks
        for peak in reversed(larger):
            root = hashlib.sha256(b"\1" + peak + root).digest()
        return root

    def checkpoint(self) -> bytes:
        """What the origin signs."""
        return b"ceiling\n%d\n%s\n" % (self.size, self.root().hex().encode())


class Store:
    """Batches as rows of a file of their own, each with the frontier that it leads to."""

    def __init__(self, path: Path) -> None:
        self.tree = Tree()
        self._database = sqlite3.connect(path, isolation_level=None)
        assert self._database.execute("PRAGMA journal_mode = WAL").fetchone() == ("wal",)
        self._database.execute("PRAGMA synchronous = FULL")
        assert self._database.execute("PRAGMA synchronous").fetchone() == (2,)
        self._database.execute(f"PRAGMA wal_autocheckpoint = {AUTOCHECKPOINT_PAGES}")
        self._database.execute(
            "CREATE TABLE segment (first_seq INTEGER PRIMARY KEY, frontier BLOB, message BLOB)"
        )

    def seal(self, body: bytes) -> bytes:
        """Append a batch at its origin and return the message, once it is durable."""
        first_seq = self.tree.size
        self.tree.extend(body)
        signature = KEY.sign(self.tree.checkpoint())
        message = HEAD.pack(first_seq, len(body) // RECORD_BYTES, signature) + body
        self._commit(first_seq, message)
        return message

    def receive(self, message: bytes) -> bytes:
        """Verify a batch from its origin and return the acknowledgement, once it is durable."""
        first_seq, count, signature = HEAD.unpack_from(message)
        body = message[HEAD.size :]
        assert (first_seq, count * RECORD_BYTES) == (self.tree.size, len(body)), "out of order"
        self.tree.extend(body)
        KEY.public_key().verify(signature, self.tree.checkpoint())
        self._commit(first_seq, message)
        return self.acknowledgement()

    def acknowledgement(self) -> bytes:
        """What is held: size and root."""
        return ACKNOWLEDGEMENT.pack(self.tree.size, self.tree.root())

    def messages(self) -> Iterator[bytes]:
        """All batches in order."""
        for (message,) in self._database.execute("SELECT message FROM segment ORDER BY first_seq"):
            yield message

    def _commit(self, first_seq: int, message: bytes) -> None:
        row = (first_seq, b"".join(self.tree.peaks), message)
        self._database.execute("INSERT INTO segment VALUES (?, ?, ?)", row)


def write_credentials(folder: Path) -> None:
    """Write `ca.pem`, and for either side `<side>.pem` and `<side>.key`, valid for a day."""
    authority = ec.generate_private_key(ec.SECP256R1())
    issuer = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "ceiling")])
    for name, key in (
        ("ca", authority),
        ("parent", ec.generate_private_key(ec.SECP256R1())),
        ("child", ec.generate_private_key(ec.SECP256R1())),
    ):
        subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
        now = datetime.now(UTC)
        certificate = (
            x509.CertificateBuilder()
            .subject_name(issuer if name == "ca" else subject)
            .issuer_name(issuer)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(hours=1))
            .not_valid_after(now + timedelta(days=1))
            .add_extension(x509.BasicConstraints(name == "ca", None), critical=True)
            .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
            .sign(authority, hashes.SHA256())
        )
        pem = certificate.public_bytes(serialization.Encoding.PEM)
        (folder / f"{name}.pem").write_bytes(pem)
        private = key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        (folder / f"{name}.key").write_bytes(private)


def credentials(folder: Path, side: str) -> tuple[bytes, bytes, bytes]:
    """The authority's certificate, a side's certificate and its key, PEM."""
    files = ("ca.pem", f"{side}.pem", f"{side}.key")
    authority, certificate, key = ((folder / name).read_bytes() for name in files)
    return authority, certificate, key
