"""The root statement: the one signature that ties the tree's keys to the root certificate.

A file of six lines: five that are signed, then the base64 of an
ECDSA-P256-SHA256 signature (DER) over those five by the root certificate's key.

    yidao-root-v1
    <network, hex>
    <the root's node id, hex>
    <the root's journal key, hex>
    <the root's cosigning key, hex>
    <base64 signature>

Where the root's own keys are of another suite than 1, the first line is
`yidao-root-v2` and the number of the suite stands in a line of its own behind the
node id. The certificate's key is P-256 all the same: TLS has no other.
"""

from dataclasses import dataclass
from itertools import combinations
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import (
    ECDSA,
    SECP256R1,
    EllipticCurvePrivateKey,
    EllipticCurvePublicKey,
)
from cryptography.hazmat.primitives.hashes import SHA256

from yidao.sync import errors, suite
from yidao.sync.base64text import decode_base64, encode_base64
from yidao.sync.ids import NetworkId, NodeId, network_id, node_id

MAX_STATEMENT_BYTES: Final = 1024
MAX_CERTIFICATE_BYTES: Final = 16 * 1024
#: Root certificates that may count at one time.
MAX_CERTIFICATES: Final = 4

_FIRST_LINE: Final = "yidao-root-v1"
_FIRST_LINE_SUITE: Final = "yidao-root-v2"


@dataclass(frozen=True, slots=True, kw_only=True)
class RootStatement:
    """Which network this is, which node is its root, and that node's two keys."""

    network: NetworkId
    node_id: NodeId
    journal_key: bytes
    cosign_key: bytes
    suite: int = suite.ED25519_SHA256

    def text(self) -> bytes:
        """Return the exact bytes that are signed."""
        keys = [self.journal_key.hex(), self.cosign_key.hex()]
        lines = [_FIRST_LINE, self.network.hex(), self.node_id.hex(), *keys]
        if self.suite != suite.ED25519_SHA256:
            names = [self.network.hex(), self.node_id.hex()]
            lines = [_FIRST_LINE_SUITE, *names, str(self.suite), *keys]
        return "".join(f"{line}\n" for line in lines).encode()

    def sign(self, key: EllipticCurvePrivateKey) -> bytes:
        """Return the statement file, signed by the root certificate's key.

        Raises:
            SuiteUnknown, KeyMalformed, KeyWeak: One of the two keys is unfit.
        """
        self.check_keys()
        signature = key.sign(self.text(), ECDSA(SHA256()))
        return self.text() + encode_base64(signature).encode() + b"\n"

    def check_keys(self) -> None:
        """Return only if both keys are fit for the suite; see `suite.check_public_key`."""
        suite.hasher(self.suite)
        suite.check_public_key(self.suite, self.journal_key)
        suite.check_public_key(self.suite, self.cosign_key)


def open_root_statement(data: bytes, root_certificate_pem: bytes) -> RootStatement:
    """Return the statement that the key of the root certificate signed.

    Args:
        data: The statement file; untrusted.
        root_certificate_pem: The caller's own copy of the root certificate, or of all
            that the newest root list names: all trust comes from them. Their dates do
            not matter; records outlive them.

    Raises:
        RootStatementInvalid: No such certificate, another form, or a signature
            that fails under each of them.
        SuiteUnknown, KeyMalformed, KeyWeak: The statement names an unfit key.
    """
    keys = _certificate_keys(root_certificate_pem)
    # Verified before anything in it is read.
    text, signature = _split(data)
    try:
        _verify(keys, signature, text)
    except InvalidSignature:
        raise errors.RootStatementInvalid(reason="signature") from None
    statement = _read(text)
    statement.check_keys()
    if statement.text() != text:
        raise errors.RootStatementInvalid(reason="form")
    return statement


def _split(data: bytes) -> tuple[bytes, bytes]:
    """Return the signed text and the signature."""
    whole = data if len(data) <= MAX_STATEMENT_BYTES else b""
    at = whole.rfind(b"\n", 0, -1) + 1
    text, line = whole[:at], whole[at:]
    signature = None
    if line.isascii() and line.endswith(b"\n"):
        signature = decode_base64(line[:-1].decode("ascii"))
    if not text or not signature:
        raise errors.RootStatementInvalid(reason="form")
    return text, signature


def _read(text: bytes) -> RootStatement:
    """Return what a text states; the caller compares it with the text that it would make."""
    first, *lines = text.split(b"\n")
    number = suite.ED25519_SHA256
    try:
        if first == _FIRST_LINE_SUITE.encode():
            number = int(lines.pop(2).decode("ascii"))
        network, node, journal_key, cosign_key = (
            bytes.fromhex(line.decode("ascii")) for line in lines[:-1]
        )
    except (ValueError, IndexError):
        raise errors.RootStatementInvalid(reason="form") from None
    return RootStatement(
        network=network_id(network),
        node_id=node_id(node),
        journal_key=journal_key,
        cosign_key=cosign_key,
        suite=number,
    )


def certificate_key(pem: bytes) -> EllipticCurvePublicKey:
    """Return the P-256 key of exactly one certificate.

    Raises:
        RootStatementInvalid: It is none, or several.
    """
    keys = _certificate_keys(pem)
    if len(keys) != 1:
        raise errors.RootStatementInvalid(reason="certificate")
    return keys[0]


def _verify(keys: list[EllipticCurvePublicKey], signature: bytes, text: bytes) -> None:
    """Return only if one of the keys signed the text; raise `InvalidSignature` otherwise."""
    for key in keys[:-1]:
        try:
            return key.verify(signature, text, ECDSA(SHA256()))
        except InvalidSignature:
            continue
    return keys[-1].verify(signature, text, ECDSA(SHA256()))


def _certificate_keys(pem: bytes) -> list[EllipticCurvePublicKey]:
    if len(pem) > MAX_CERTIFICATE_BYTES:
        raise errors.RootStatementInvalid(reason="certificate")
    try:
        keys = [each.public_key() for each in x509.load_pem_x509_certificates(pem)]
    except (ValueError, x509.InvalidVersion, UnsupportedAlgorithm):
        raise errors.RootStatementInvalid(reason="certificate") from None
    fit = [
        key
        for key in keys
        if isinstance(key, EllipticCurvePublicKey) and isinstance(key.curve, SECP256R1)
    ]
    is_repeated = any(key == other for key, other in combinations(fit, 2))
    if not 1 <= len(fit) <= MAX_CERTIFICATES or len(fit) != len(keys) or is_repeated:
        raise errors.RootStatementInvalid(reason="certificate")
    return fit
