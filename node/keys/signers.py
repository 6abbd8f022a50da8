"""Private keys in a folder, each in the form that its suite has for files."""

import re
from collections.abc import Callable
from typing import Final

import orjson
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from yidao.node import errors
from yidao.node.keys.files import PrivateFolder
from yidao.node.keys.forms import read_sm2_pem, sm2_pem
from yidao.node.keys.names import (
    COSIGN_KEY,
    COSIGN_PQ_KEY,
    FIRST_EPOCH,
    TAINTED,
    epoch_count,
    key_names,
)
from yidao.sync import sm2
from yidao.sync.errors import KeyMalformed
from yidao.sync.mldsa44 import SEED_BYTES, MlDsa44Signer
from yidao.sync.sealing import BoxKey, Sm2Box, X25519Box
from yidao.sync.sm2 import SM2_SM3, Sm2Signer
from yidao.sync.suite import Ed25519Signer, Signer

_EPOCH: Final = re.compile(r"[1-9][0-9]{0,9}(-[0-9a-f]{16})?")


class SignerFolder(PrivateFolder):
    """The keys of a folder, and which of them must sign nothing any more."""

    def write_signer(self, name: str, seed: bytes) -> Signer:
        """Keep a new Ed25519 key, given as its 32-byte seed, and return its signer."""
        key = Ed25519PrivateKey.from_private_bytes(seed)
        self.write(name, key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        return Ed25519Signer(seed)

    def make_signer(self, name: str, suite: int, random: Callable[[int], bytes]) -> Signer:
        """Keep a new key of a suite of journals and return its signer.

        A key of SM2 comes out of the library's own generator.

        Raises:
            SuiteUnavailable: The library of the suite is not installed.
        """
        if suite != SM2_SM3:
            return self.write_signer(name, random(SEED_BYTES))
        private, public = sm2.generate()
        self.write(name, sm2_pem(private, public))
        return Sm2Signer(private, public)

    def make_pq_signer(self, random: Callable[[int], bytes]) -> Signer:
        """Keep a new second cosigning key, of ML-DSA-44, and return its signer."""
        signer = MlDsa44Signer(random(SEED_BYTES))
        self.write(COSIGN_PQ_KEY, signer.pem())
        return signer

    def load_signer(self, name: str) -> Signer:
        """Return the signer of a kept key, of the suite that its file is of.

        Raises:
            KeyFileError: See `read`; no key of a suite of journals is malformed.
            SuiteUnavailable: The library of the suite is not installed.
        """
        halves = read_sm2_pem(self.read(name))
        if halves is None:
            return Ed25519Signer(self._ed25519_seed(name))
        try:
            return Sm2Signer(*halves)
        except KeyMalformed:
            raise errors.KeyFileMalformed(name=name) from None

    def load_pq_signer(self) -> Signer | None:
        """Return the signer of the second cosigning key; None where there is none."""
        if not self.has(COSIGN_PQ_KEY):
            return None
        key = _load_private_key(self.read(COSIGN_PQ_KEY), COSIGN_PQ_KEY)
        if not isinstance(key, MLDSA44PrivateKey):
            raise errors.KeyFileMalformed(name=COSIGN_PQ_KEY)
        return MlDsa44Signer(key.private_bytes_raw())

    def load_box_key(self, name: str = COSIGN_KEY) -> BoxKey:
        """Return the key that is used to open what was sealed to this node."""
        halves = read_sm2_pem(self.read(name))
        return X25519Box(self._ed25519_seed(name)) if halves is None else Sm2Box(*halves)

    def load_box_keys(self) -> tuple[BoxKey, ...]:
        """Return the keys that bundles for this node may be encrypted to, the newest first."""
        names = [key_names(epoch)[1] for epoch in reversed(self.key_epochs())]
        return tuple(self.load_box_key(name) for name in names)

    def key_epochs(self) -> tuple[str, ...]:
        """Return the epochs whose private keys are in this folder, the oldest first."""
        found = [FIRST_EPOCH] if self.has(COSIGN_KEY) else []
        for file in self.path.glob("cosign-*.key"):
            epoch = file.name.removeprefix("cosign-").removesuffix(".key")
            if _EPOCH.fullmatch(epoch):
                found.append(epoch)
        return tuple(sorted(found, key=epoch_count))

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

    def write_tls_key(self, name: str, key: EllipticCurvePrivateKey) -> None:
        """Keep a new P-256 key of TLS or of the node's authority."""
        self.write(name, key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))

    def load_tls_key(self, name: str) -> EllipticCurvePrivateKey:
        """Return a kept P-256 key."""
        return load_tls_key(self.read(name), name)

    def _ed25519_seed(self, name: str) -> bytes:
        key = _load_private_key(self.read(name), name)
        if not isinstance(key, Ed25519PrivateKey):
            raise errors.KeyFileMalformed(name=name)
        return key.private_bytes_raw()


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
