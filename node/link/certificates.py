"""Certificates of a tree: their profile, their issuing, and nothing else.

Profile (docs/adr/0009; what libraries enforce was tried out):

- Every key is ECDSA P-256 with SHA-256: gRPC's TLS knows no Ed25519 certificates.
- A node's own certificate (30 days) names it twice, by one URI
  `yidao://<network>/<node_id><path>` and one DNS name, the path written backwards
  under `yidao.internal`: `330106.3301.33.yidao.internal`; the root is
  `yidao.internal` itself, so that no label of a child can collide with it.
- A tier's authority (1 year) is another key. It carries a critical name constraint
  to the DNS subtree of its path, since URI names cannot be fenced by X.509, and a
  path length that shrinks tier by tier.
- The root's certificate (20 years) is the trust anchor of the whole network.

A key is identified by SHA-256 of its SubjectPublicKeyInfo, which renewal keeps.
"""

import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ec import (
    SECP256R1,
    EllipticCurvePrivateKey,
    EllipticCurvePublicKey,
    generate_private_key,
)
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from yidao.node.link import errors
from yidao.sync.ids import MAX_DEPTH, NetworkId, NodeId, Path

DNS_ROOT: Final = "yidao.internal"
URI_SCHEME: Final = "yidao"
MAX_DNS_NAME_CHARS: Final = 253

# A leaf lives long enough that an office whose line is down over a long holiday
# comes back by itself; an authority is renewed once a year with its parent.
LEAF_LIFE: Final = timedelta(days=30)
TIER_LIFE: Final = timedelta(days=365)
ROOT_LIFE: Final = timedelta(days=365 * 20)
# Certificates are valid from a little before their making, for clocks that lag.
BACKDATE: Final = timedelta(minutes=5)
# A node at the greatest depth has the authorities of 14 tiers between itself and
# the root's certificate.
ROOT_PATH_LENGTH: Final = MAX_DEPTH - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Authority:
    """A key that signs certificates, and its own certificate.

    Attributes:
        chain_pem: The authority's certificates for a peer, leaf first, the root
            left out: empty at the root.
    """

    key: EllipticCurvePrivateKey
    certificate: x509.Certificate
    chain_pem: bytes

    @property
    def path_length(self) -> int:
        """How many tiers of authorities may stand below."""
        constraints = self.certificate.extensions.get_extension_for_class(x509.BasicConstraints)
        return constraints.value.path_length or 0


def generate_key() -> EllipticCurvePrivateKey:
    """Return a new P-256 key from the system's generator."""
    return generate_private_key(SECP256R1())


def key_sha256(key: EllipticCurvePublicKey) -> bytes:
    """Return the name of a key: SHA-256 of its SubjectPublicKeyInfo."""
    spki = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return hashlib.sha256(spki).digest()


def dns_name(path: Path) -> str:
    """Return the DNS name of the node at `path`.

    Raises:
        ChildPathUnfit: It would be longer than DNS allows, or a label begins or
            ends with a hyphen, which verifiers of certificates refuse.
    """
    if any(label.startswith("-") or label.endswith("-") for label in path.labels):
        raise errors.ChildPathUnfit(path=str(path), reason="hyphen")
    name = ".".join((*reversed(path.labels), DNS_ROOT))
    if len(name) > MAX_DNS_NAME_CHARS:
        raise errors.ChildPathUnfit(path=str(path), reason="length")
    return name


def uri(network: NetworkId, node: NodeId, path: Path) -> str:
    """Return the URI that names a node in its certificate."""
    return f"{URI_SCHEME}://{network.hex()}/{node.hex()}{path}"


def issue_root(key: EllipticCurvePrivateKey, network: NetworkId, now: datetime) -> x509.Certificate:
    """Return the self-signed certificate of a network's root."""
    name = _common_name(f"yidao root {network.hex()}")
    builder = _authority_builder(key.public_key(), Path(), ROOT_PATH_LENGTH)
    return _sign(builder, name, key, name, now, ROOT_LIFE)


def issue_tier(
    parent: Authority, key: EllipticCurvePublicKey, node: NodeId, path: Path, now: datetime
) -> x509.Certificate | None:
    """Return the certificate of a child's authority, fenced to the child's subtree.

    None if the parent stands as low as authorities may.
    """
    if parent.path_length < 1:
        return None
    builder = _authority_builder(key, path, parent.path_length - 1)
    name = _common_name(f"yidao tier {node.hex()}")
    issuer = parent.certificate
    return _sign(builder, name, parent.key, issuer.subject, now, TIER_LIFE, issuer)


def issue_leaf(
    parent: Authority,
    key: EllipticCurvePublicKey,
    network: NetworkId,
    node: NodeId,
    path: Path,
    now: datetime,
) -> x509.Certificate:
    """Return a node's own certificate, for both ends of TLS.

    Every name in it comes from the arguments; nothing of a certificate request
    but its key is ever used.
    """
    names = [
        x509.UniformResourceIdentifier(uri(network, node, path)),
        x509.DNSName(dns_name(path)),
    ]
    usages = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
    builder = (
        x509.CertificateBuilder()
        .public_key(key)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(is_authority=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage(usages), critical=False)
        # RFC 5280 §4.2.1.6: critical because the subject is empty.
        .add_extension(x509.SubjectAlternativeName(names), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )
    issuer = parent.certificate
    return _sign(builder, x509.Name([]), parent.key, issuer.subject, now, LEAF_LIFE, issuer)


def is_issued_by(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    """Whether a certificate names that issuer and bears the signature of its key."""
    try:
        certificate.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def to_pem(certificate: x509.Certificate) -> bytes:
    """Return one certificate as PEM."""
    return certificate.public_bytes(Encoding.PEM)


def _authority_builder(
    key: EllipticCurvePublicKey, path: Path, path_length: int
) -> x509.CertificateBuilder:
    subtree = x509.NameConstraints([x509.DNSName(dns_name(path))], None)
    return (
        x509.CertificateBuilder()
        .public_key(key)
        .add_extension(x509.BasicConstraints(ca=True, path_length=path_length), critical=True)
        .add_extension(_key_usage(is_authority=True), critical=True)
        .add_extension(subtree, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _sign(
    builder: x509.CertificateBuilder,
    subject: x509.Name,
    issuer_key: EllipticCurvePrivateKey,
    issuer_name: x509.Name,
    now: datetime,
    life: timedelta,
    issuer: x509.Certificate | None = None,
) -> x509.Certificate:
    until = now + life
    if issuer is not None:
        # A certificate that outlives its issuer would only fail later and elsewhere.
        until = min(until, issuer.not_valid_after_utc)
    identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key())
    return (
        builder.subject_name(subject)
        .issuer_name(issuer_name)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - BACKDATE)
        .not_valid_after(until)
        .add_extension(identifier, critical=False)
        .sign(issuer_key, hashes.SHA256())
    )


def _key_usage(*, is_authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not is_authority,
        key_cert_sign=is_authority,
        crl_sign=is_authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _common_name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])
