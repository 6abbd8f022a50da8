"""The key folder: private files of one node, and the identity that they make up.

`keys/` holds every secret of a node. A file of it is used only if it is a
regular file of this user that nobody else can read; the check is made on the
open file, not on its name, so that nothing can be exchanged in between. Files
are written once, completely, and survive a power loss before the call returns.
`identity.json` is written last: where it stands, the node is enrolled. It names
the epoch in which the node writes and the keys of that, so that a change of keys
is one file put in the place of another.
"""

import base64
import os
import re
import stat
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path as FilePath
from typing import Final, Self

import orjson
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from yidao.api.errors import YidaoError
from yidao.node import errors
from yidao.node.datadir import sync_folder
from yidao.sync import ids
from yidao.sync.curve import x25519_private
from yidao.sync.epoch import FIRST
from yidao.sync.message import EnrolmentProof
from yidao.sync.record import Part
from yidao.sync.suite import ED25519_SHA256, Ed25519Signer, Signer

FOLDER_NAME: Final = "keys"
TLS_KEY: Final = "tls.key"
TLS_CHAIN: Final = "tls.chain.pem"
CA_KEY: Final = "ca.key"
CA_CHAIN: Final = "ca.chain.pem"
JOURNAL_KEY: Final = "journal.key"
COSIGN_KEY: Final = "cosign.key"
ROOT_CERTIFICATE: Final = "root.pem"
ROOT_STATEMENT: Final = "root.statement"
CHAIN: Final = "chain.json"
IDENTITY: Final = "identity.json"
TAINTED: Final = "tainted.json"

# The largest, chain.json of a node 15 tiers down, stays far below.
MAX_FILE_BYTES: Final = 1024 * 1024
FIRST_EPOCH: Final = FIRST

_EPOCH: Final = re.compile(r"[1-9][0-9]{0,9}(-[0-9a-f]{16})?")
_IDENTITY_FIELDS: Final = {"format", "network", "node_id", "path", "epoch", "suite", "keys"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Who a node is, and the two signers that speak for it."""

    network: ids.NetworkId
    node_id: ids.NodeId
    path: ids.Path
    epoch: str
    suite: int
    journal: Signer
    cosign: Signer


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeCertificates:
    """What TLS and the enrolment of children need, as PEM.

    Attributes:
        tls_chain_pem: The node's own certificate and the authorities above it,
            leaf first, the root's certificate left out.
        ca_key_pem: None on a node that may enrol nobody.
        ca_chain_pem: As `tls_chain_pem` for the node's authority; empty at the
            root, whose authority is the root certificate itself.
    """

    tls_key_pem: bytes
    tls_chain_pem: bytes
    root_pem: bytes
    ca_key_pem: bytes | None
    ca_chain_pem: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Chain:
    """What proves a node's place and keys to anybody who has the root's certificate.

    Kept beside the keys, because a node shows it to children, and because no
    record of an ancestor's journal need be in this node's store.

    Attributes:
        statement: The root statement's exact bytes.
        proofs: Enrolments from the root's own to this node's.
    """

    statement: bytes
    proofs: tuple[EnrolmentProof, ...]


class KeyFolder:
    """Reads and writes the files of `<data folder>/keys`."""

    def __init__(self, data_dir: FilePath) -> None:
        self.path: Final = data_dir / FOLDER_NAME

    @classmethod
    def create(cls, data_dir: FilePath) -> Self:
        """Make the folder (0700) if it is missing, and return it."""
        folder = cls(data_dir)
        try:
            folder.path.mkdir(mode=0o700)
            sync_folder(data_dir)
        except FileExistsError:
            pass
        except OSError as error:
            raise errors.FolderNotWritable(
                path=str(folder.path), reason=error.strerror or ""
            ) from None
        return folder

    def has(self, name: str) -> bool:
        """Whether a file of that name is there, whatever its state."""
        return os.path.lexists(self.path / name)

    def is_enrolled(self) -> bool:
        """Whether this node has an identity."""
        return self.has(IDENTITY)

    def write(self, name: str, data: bytes) -> None:
        """Write a new file, 0600 and fsynced; never over one that is there.

        Raises:
            KeyFileExists: A file of that name is there.
            FolderNotWritable: The disk refuses.
        """
        if self.has(name):
            raise errors.KeyFileExists(name=name)
        self.replace(name, data)

    def replace(self, name: str, data: bytes) -> None:
        """Write a file, putting it in the place of an older one in one step."""
        staged = self.path / f".{name}.new"
        try:
            staged.unlink(missing_ok=True)
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
            with os.fdopen(os.open(staged, flags, 0o600), "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            staged.replace(self.path / name)
            sync_folder(self.path)
        except OSError as error:
            staged.unlink(missing_ok=True)
            raise errors.FolderNotWritable(
                path=str(self.path), reason=error.strerror or ""
            ) from None

    def remove(self, name: str) -> None:
        """Remove a file for good; one that is not there is no error."""
        (self.path / name).unlink(missing_ok=True)
        sync_folder(self.path)

    def read(self, name: str) -> bytes:
        """Return a file's bytes if it can be trusted.

        Raises:
            KeyFileMissing, KeyFileNotRegular, KeyFileForeign, KeyFileExposed:
                As the entry on the disk is.
            KeyFileMalformed: It is far too long for any file of this folder.
        """
        return read_private(self.path / name)

    def write_signer(self, name: str, seed: bytes) -> Signer:
        """Keep a new Ed25519 key, given as its 32-byte seed, and return its signer."""
        key = Ed25519PrivateKey.from_private_bytes(seed)
        self.write(name, key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        return Ed25519Signer(seed)

    def load_epoch(self, identity: Identity, epoch: str, keys: str) -> Identity:
        """Return a node's identity in an epoch.

        Args:
            identity: The node in any epoch.
            epoch: The epoch.
            keys: The epoch whose keys are used, which may be an earlier one.

        Raises:
            KeyTainted: Nothing may be signed with them any more.
            KeyFileError: A file is missing, exposed, foreign or malformed.
        """
        if keys in self.tainted():
            raise errors.KeyTainted(keys=keys)
        journal, cosign = key_names(keys)
        return replace(
            identity,
            epoch=epoch,
            journal=self.load_signer(journal),
            cosign=self.load_signer(cosign),
        )

    def tainted(self) -> tuple[str, ...]:
        """Return the epochs whose keys must sign nothing any more."""
        if not self.has(TAINTED):
            return ()
        try:
            names = orjson.loads(self.read(TAINTED))
        except orjson.JSONDecodeError:
            raise errors.KeyFileMalformed(name=TAINTED) from None
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise errors.KeyFileMalformed(name=TAINTED)
        return tuple(names)

    def taint(self, keys: str) -> None:
        """Let the keys of an epoch sign nothing any more; again changes nothing."""
        names = sorted({*self.tainted(), keys})
        self.replace(TAINTED, orjson.dumps(names, option=orjson.OPT_APPEND_NEWLINE))

    def destroy(self, name: str) -> None:
        """Overwrite a private file and remove it; one that is not there is no error.

        What a copying file system or a worn disk keeps of it is beyond us.
        """
        file = self.path / name
        if file.is_symlink() or not file.is_file():
            return
        with file.open("r+b") as opened:
            opened.write(bytes(file.stat().st_size))
            opened.flush()
            os.fsync(opened.fileno())
        self.remove(name)

    def load_signer(self, name: str) -> Signer:
        """Return the signer of a kept Ed25519 key."""
        key = _load_private_key(self.read(name), name)
        if not isinstance(key, Ed25519PrivateKey):
            raise errors.KeyFileMalformed(name=name)
        return Ed25519Signer(key.private_bytes_raw())

    def load_box_key(self, name: str = COSIGN_KEY) -> X25519PrivateKey:
        """Return the key that bundles for this node are encrypted to (see `sync.curve`)."""
        key = _load_private_key(self.read(name), name)
        if not isinstance(key, Ed25519PrivateKey):
            raise errors.KeyFileMalformed(name=name)
        return X25519PrivateKey.from_private_bytes(x25519_private(key.private_bytes_raw()))

    def key_epochs(self) -> tuple[str, ...]:
        """Return the epochs whose private keys are in this folder, the oldest first."""
        found = [FIRST_EPOCH] if self.has(COSIGN_KEY) else []
        for file in self.path.glob("cosign-*.key"):
            epoch = file.name.removeprefix("cosign-").removesuffix(".key")
            if _EPOCH.fullmatch(epoch):
                found.append(epoch)
        return tuple(sorted(found, key=epoch_count))

    def load_box_keys(self) -> tuple[X25519PrivateKey, ...]:
        """Return the keys that bundles for this node may be encrypted to, the newest first."""
        names = [key_names(epoch)[1] for epoch in reversed(self.key_epochs())]
        return tuple(self.load_box_key(name) for name in names)

    def load_parcel_signer(self) -> Signer:
        """Return the cosigning key that a neighbour surely knows.

        A neighbour without a line learns a new key from a bundle: that is signed with the
        key before it, as long as this is here and not tainted.
        """
        active, tainted = self.active_keys(), self.tainted()
        usable = [each for each in self.key_epochs() if each not in tainted]
        older = [each for each in usable if epoch_count(each) < epoch_count(active)]
        return self.load_signer(key_names(older[-1] if older else active)[1])

    def write_tls_key(self, name: str, key: EllipticCurvePrivateKey) -> None:
        """Keep a new P-256 key of TLS or of the node's authority."""
        self.write(name, key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))

    def load_tls_key(self, name: str) -> EllipticCurvePrivateKey:
        """Return a kept P-256 key."""
        return load_tls_key(self.read(name), name)

    def write_identity(self, identity: Identity) -> None:
        """Make this folder the home of `identity`; everything else must be written before."""
        self.write(IDENTITY, _identity_json(identity, FIRST_EPOCH))

    def switch_identity(self, identity: Identity, keys: str) -> None:
        """Go over to another epoch, in one step; the keys of it must be in the folder.

        Args:
            identity: The node in that epoch.
            keys: The epoch whose keys are used, which may be an earlier one.
        """
        self.replace(IDENTITY, _identity_json(identity, keys))

    def active_keys(self) -> str:
        """Return the epoch whose keys this node uses."""
        return _identity_fields(self.read(IDENTITY))["keys"]

    def load_identity(self) -> Identity:
        """Return the node's identity with its signers.

        Raises:
            NotEnrolled: There is none in this folder.
            KeyTainted: The keys that it names must sign nothing any more.
            KeyFileError: A file is missing, exposed, foreign or malformed.
        """
        if not self.is_enrolled():
            raise errors.NotEnrolled(path=str(self.path.parent))
        fields = _identity_fields(self.read(IDENTITY))
        try:
            node_id = ids.NodeId(ids.id_from_hex(fields["node_id"], "node_id"))
            for epoch in (fields["epoch"], fields["keys"]):
                ids.JournalId(node_id=node_id, channel="node", epoch=epoch)
        except YidaoError:
            raise errors.KeyFileMalformed(name=IDENTITY) from None
        if fields["keys"] in self.tainted():
            raise errors.KeyTainted(keys=fields["keys"])
        names = key_names(fields["keys"])
        journal, cosign = (self.load_signer(name) for name in names)
        try:
            return Identity(
                network=ids.NetworkId(ids.id_from_hex(fields["network"], "network")),
                node_id=node_id,
                path=ids.Path.parse(fields["path"]),
                epoch=fields["epoch"],
                suite=ED25519_SHA256,
                journal=journal,
                cosign=cosign,
            )
        except YidaoError:
            raise errors.KeyFileMalformed(name=IDENTITY) from None

    def load_certificates(self) -> NodeCertificates:
        """Return the node's certificates and TLS keys.

        Raises:
            KeyFileError: A file is missing, exposed, foreign or malformed.
        """
        return NodeCertificates(
            tls_key_pem=self.read(TLS_KEY),
            tls_chain_pem=self.read(TLS_CHAIN),
            root_pem=self.read(ROOT_CERTIFICATE),
            ca_key_pem=self.read(CA_KEY) if self.has(CA_KEY) else None,
            ca_chain_pem=self.read(CA_CHAIN) if self.has(CA_CHAIN) else b"",
        )

    def save_chain(self, chain: Chain) -> None:
        """Keep a verified chain, in the place of an older one."""
        entries = [
            {
                "header": _base64(proof.header),
                "part": proof.core.name,
                "salt": _base64(proof.core.salt),
                "body": _base64(proof.core.body),
                "proof": _base64(proof.proof),
            }
            for proof in chain.proofs
        ]
        self.replace(ROOT_STATEMENT, chain.statement)
        self.replace(CHAIN, orjson.dumps(entries, option=orjson.OPT_INDENT_2))

    def load_chain(self) -> Chain:
        """Return the kept chain; whoever relies on it verifies it.

        Raises:
            KeyFileError: A file is missing, exposed, foreign or malformed.
        """
        statement, data = self.read(ROOT_STATEMENT), self.read(CHAIN)
        try:
            proofs = tuple(_proof(entry) for entry in orjson.loads(data))
        except (ValueError, KeyError, TypeError):
            raise errors.KeyFileMalformed(name=CHAIN) from None
        return Chain(statement=statement, proofs=proofs)


def key_names(epoch: str) -> tuple[str, str]:
    """Return the file names of an epoch's journal key and cosigning key."""
    if epoch == FIRST_EPOCH:
        return JOURNAL_KEY, COSIGN_KEY
    return f"journal-{epoch}.key", f"cosign-{epoch}.key"


def epoch_count(epoch: str) -> int:
    """Return the number of an epoch, whatever mark it bears."""
    return int(epoch.partition("-")[0])


def _identity_json(identity: Identity, keys: str) -> bytes:
    members: dict[str, str | int] = {
        "format": 1,
        "network": identity.network.hex(),
        "node_id": identity.node_id.hex(),
        "path": str(identity.path),
        "epoch": identity.epoch,
        "suite": identity.suite,
    }
    if keys != FIRST_EPOCH:
        members["keys"] = keys
    return orjson.dumps(members, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


def read_private(path: FilePath) -> bytes:
    """Return the bytes of a file that only this user can read (see `KeyFolder.read`)."""
    name = path.name
    try:
        # O_NONBLOCK keeps a FIFO that was put in the file's place from hanging us.
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        descriptor = os.open(path, flags)
    except FileNotFoundError:
        raise errors.KeyFileMissing(name=name) from None
    except OSError:
        raise errors.KeyFileNotRegular(name=name) from None
    try:
        entry = os.fstat(descriptor)
        if not stat.S_ISREG(entry.st_mode):
            raise errors.KeyFileNotRegular(name=name)
        if entry.st_uid != os.geteuid():
            raise errors.KeyFileForeign(name=name)
        if entry.st_mode & 0o077:
            raise errors.KeyFileExposed(name=name, mode=f"{stat.S_IMODE(entry.st_mode):04o}")
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            data = file.read(MAX_FILE_BYTES + 1)
    finally:
        os.close(descriptor)
    if len(data) > MAX_FILE_BYTES:
        raise errors.KeyFileMalformed(name=name)
    return data


def load_tls_key(pem: bytes, name: str) -> EllipticCurvePrivateKey:
    """Return the P-256 key of a PEM text; raise `KeyFileMalformed` for any other."""
    key = _load_private_key(pem, name)
    if not isinstance(key, EllipticCurvePrivateKey) or not isinstance(key.curve, SECP256R1):
        raise errors.KeyFileMalformed(name=name)
    return key


def _load_private_key(pem: bytes, name: str) -> object:
    try:
        return load_pem_private_key(pem, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise errors.KeyFileMalformed(name=name) from None


def _proof(entry: Mapping[str, str]) -> EnrolmentProof:
    salt, body = (base64.b64decode(entry[name], validate=True) for name in ("salt", "body"))
    return EnrolmentProof(
        header=base64.b64decode(entry["header"], validate=True),
        core=Part(name=entry["part"], salt=salt, body=body),
        proof=base64.b64decode(entry["proof"], validate=True),
    )


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def _identity_fields(data: bytes) -> Mapping[str, str]:
    try:
        fields = orjson.loads(data)
    except orjson.JSONDecodeError:
        raise errors.KeyFileMalformed(name=IDENTITY) from None
    if not isinstance(fields, dict) or fields.keys() | {"keys"} != _IDENTITY_FIELDS:
        raise errors.KeyFileMalformed(name=IDENTITY)
    if fields.pop("format") != 1 or fields.pop("suite") != ED25519_SHA256:
        raise errors.KeyFileMalformed(name=IDENTITY)
    if not all(isinstance(value, str) for value in fields.values()):
        raise errors.KeyFileMalformed(name=IDENTITY)
    # A node that has changed no keys has those that it was enrolled with.
    return {"keys": FIRST_EPOCH} | fields
