"""Who is at the other end: our own check of a peer's certificates, for every stream.

TLS alone is not enough. gRPC resumes sessions, and a resumed session accepts a
certificate that has expired meanwhile; an open connection never looks again. So
the chain that TLS reports is checked here, from nothing but bytes and a time, in
these steps:

1. The chain is a clean list of at most 15 small certificates.
2. Every key is P-256, and every certificate is valid now.
3. The chain leads to a pinned root: signatures, name constraints, path lengths,
   key usages, unknown critical extensions (cryptography's verifier).
4. It is presented in order and complete, each certificate once, and nothing else
   came with it.
5. The peer's certificate names one URI and one DNS name of the same path, of this
   network; every authority above is fenced to exactly the next path up.
6. The peer is enrolled, at that path, with that key, and was not revoked.
"""

import hashlib
import re
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, TypeVar

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import SignatureAlgorithmOID
from cryptography.x509.verification import PolicyBuilder, Store, VerificationError

from yidao.api.errors import YidaoError
from yidao.node.link import errors
from yidao.node.link.certificates import (
    DNS_ROOT,
    MAX_DNS_NAME_CHARS,
    URI_SCHEME,
    dns_name,
    key_sha256,
)
from yidao.sync.ids import MAX_DEPTH, NetworkId, NodeId, Path

# A node at depth 15 and the authorities of 14 tiers; the root is never sent.
MAX_CERTIFICATES: Final = MAX_DEPTH
# An honest certificate of this profile has about 700 bytes.
MAX_CERTIFICATE_BYTES: Final = 4096
MAX_CHAIN_BYTES: Final = MAX_CERTIFICATES * MAX_CERTIFICATE_BYTES
# Chains whose proof is remembered, at less than 1 KB each.
MAX_REMEMBERED: Final = 16_384

_Extension = TypeVar("_Extension", bound=x509.ExtensionType)

_BLOCK: Final = re.compile(
    rb"-----BEGIN CERTIFICATE-----\r?\n[A-Za-z0-9+/=\r\n]+-----END CERTIFICATE-----\s*"
)
_URI: Final = re.compile(rf"{URI_SCHEME}://([0-9a-f]{{32}})/([0-9a-f]{{32}})(/.*)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Enrolled:
    """What this node knows of a peer that is enrolled now.

    Attributes:
        tls_sha256: SHA-256 of the SubjectPublicKeyInfo of its TLS key.
        revoked: Its authority was taken away; it is told so.
    """

    path: Path
    tls_sha256: bytes
    revoked: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """A node whose certificates passed every step."""

    node_id: NodeId
    path: Path
    tls_sha256: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class _Names:
    network: NetworkId
    node_id: NodeId
    path: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Proved:
    """What a chain proves by itself, steps 1 to 5; it does so from `since` to `until`."""

    node_id: NodeId
    path: Path
    tls_sha256: bytes
    since: datetime
    until: datetime


class ProvedChains:
    """Remembers what chains prove, so that whoever comes back costs no signature check again.

    A chain proves the same under the same roots for as long as all its certificates are
    valid; who is enrolled is asked each time. What was refused is not remembered.
    """

    def __init__(self, limit: int = MAX_REMEMBERED) -> None:
        self._limit = limit
        self._known: OrderedDict[bytes, Proved] = OrderedDict()

    def prove(
        self, chain_pem: bytes, *, root_pem: bytes, network: NetworkId, now: datetime
    ) -> Proved:
        """Return what `prove_chain` does, which see; for one network."""
        digest = hashlib.sha256(root_pem + b"\0" + chain_pem).digest()
        known = self._known.get(digest)
        if known is None or not known.since <= now <= known.until:
            known = prove_chain(chain_pem, root_pem=root_pem, network=network, now=now)
            self._known[digest] = known
            if len(self._known) > self._limit:
                self._known.popitem(last=False)
        self._known.move_to_end(digest)
        return known


def peer_chain(auth_context: Mapping[str, Sequence[bytes]]) -> bytes:
    """Return the PEM chain of a gRPC connection's other end.

    Args:
        auth_context: `ServicerContext.auth_context()` of the call.

    Raises:
        PeerTransportWeak: The connection is not TLS, is older than TLS 1.3, or
            came without a certificate.
    """
    version = _first(auth_context, "ssl_tls_version")
    if version != b"TLSv1.3":
        raise errors.PeerTransportWeak(found=version.decode("ascii", "replace") or "none")
    leaf = _first(auth_context, "x509_pem_cert")
    if not leaf:
        raise errors.PeerTransportWeak(found="no certificate")
    # A server is told the leaf and the certificates after it apart, as OpenSSL's
    # SSL_get_peer_cert_chain does; a client gets the leaf in both places.
    chain = _first(auth_context, "x509_pem_cert_chain")
    return chain if chain.startswith(leaf) else leaf + chain


def check_peer(
    chain_pem: bytes,
    *,
    root_pem: bytes,
    network: NetworkId,
    now: datetime,
    enrolled: Callable[[NodeId], Enrolled | None],
) -> Peer:
    """Return the peer that a certificate chain proves, after all steps above.

    Args:
        chain_pem: As sent, the peer's own certificate first.
        root_pem: This network's root certificates, the only trust anchors.
        network: This network's id.
        now: The time at which everything must be valid, aware.
        enrolled: Finds the enrolment of a node, if there is one.

    Raises:
        PeerCheckError: The first step that fails.
    """
    proved = prove_chain(chain_pem, root_pem=root_pem, network=network, now=now)
    return check_enrolment(proved, enrolled(proved.node_id))  # (6)


def prove_chain(chain_pem: bytes, *, root_pem: bytes, network: NetworkId, now: datetime) -> Proved:
    """Return what a chain proves without the enrolment: steps 1 to 5.

    Raises:
        PeerCheckError: The first step that fails.
    """
    chain = load_chain(chain_pem)  # (1)
    for depth, certificate in enumerate(chain):  # (2)
        _check_key(certificate, depth)
        _check_time(certificate, depth, now)
    verified = _verify(chain, root_pem, now)  # (3)
    if verified[:-1] != chain:  # (4)
        raise errors.PeerChainMalformed(reason="order")
    names = _names(chain[0])  # (5)
    if names.network != network:
        raise errors.PeerNetworkMismatch
    _check_authorities(chain[1:], names.path)
    key = chain[0].public_key()
    assert isinstance(key, EllipticCurvePublicKey), "step 2 lets nothing else through"
    return Proved(
        node_id=names.node_id,
        path=names.path,
        tls_sha256=key_sha256(key),
        since=max(each.not_valid_before_utc for each in verified),
        until=min(each.not_valid_after_utc for each in verified),
    )


def load_chain(chain_pem: bytes) -> list[x509.Certificate]:
    """Return the certificates of a PEM text that holds nothing else.

    Raises:
        PeerChainMalformed: Junk, a private key, or a certificate that cannot be
            parsed.
        PeerChainTooLong: More or larger certificates than a tree here has.
    """
    if len(chain_pem) > MAX_CHAIN_BYTES:
        raise errors.PeerChainTooLong(found=len(chain_pem), limit=MAX_CHAIN_BYTES)
    blocks = _BLOCK.findall(chain_pem)
    if not blocks or b"".join(blocks) != chain_pem:
        raise errors.PeerChainMalformed(reason="pem")
    if len(blocks) > MAX_CERTIFICATES:
        raise errors.PeerChainTooLong(found=len(blocks), limit=MAX_CERTIFICATES)
    try:
        chain = [x509.load_pem_x509_certificate(block) for block in blocks]
        # Keys and extensions are parsed lazily; a malformed one must fail here, not later.
        for certificate in chain:
            _ = certificate.public_key(), certificate.extensions
    except (ValueError, UnsupportedAlgorithm, x509.DuplicateExtension, x509.InvalidVersion):
        raise errors.PeerChainMalformed(reason="certificate") from None
    for certificate in chain:
        # The signature field is the one place outside what is signed; the library
        # ignores the count of unused bits there, which DER wants to be 0.
        if not certificate.public_bytes(Encoding.DER).endswith(b"\0" + certificate.signature):
            raise errors.PeerChainMalformed(reason="certificate")
    return chain


def _check_key(certificate: x509.Certificate, depth: int) -> None:
    try:
        key = certificate.public_key()
    except (ValueError, UnsupportedAlgorithm):
        raise errors.PeerKeyForbidden(depth=depth) from None
    if not isinstance(key, EllipticCurvePublicKey) or not isinstance(key.curve, SECP256R1):
        raise errors.PeerKeyForbidden(depth=depth)
    if certificate.signature_algorithm_oid != SignatureAlgorithmOID.ECDSA_WITH_SHA256:
        raise errors.PeerKeyForbidden(depth=depth)


def _check_time(certificate: x509.Certificate, depth: int, now: datetime) -> None:
    since, until = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    if now > until:
        raise errors.PeerCertificateExpired(depth=depth, until=until.isoformat())
    if now < since:
        raise errors.PeerCertificateEarly(depth=depth, since=since.isoformat())


def _verify(
    chain: list[x509.Certificate], root_pem: bytes, now: datetime
) -> list[x509.Certificate]:
    """Return the path from leaf to root that cryptography's verifier finds.

    The verifier for *clients* serves for both ends: it asks for no name, and the
    names of this profile are checked below, against the enrolment.
    """
    roots = x509.load_pem_x509_certificates(root_pem)
    verifier = (
        PolicyBuilder()
        .store(Store(roots))
        .time(now)
        .max_chain_depth(MAX_CERTIFICATES)
        .build_client_verifier()
    )
    try:
        return verifier.verify(chain[0], chain[1:]).chain
    except VerificationError as error:
        # The library's own words, without the certificate's printout behind them.
        reason = str(error).partition(" (encountered")[0]
        raise errors.PeerChainUntrusted(reason=reason) from None


def _names(certificate: x509.Certificate) -> _Names:
    names = list(_extension(certificate, x509.SubjectAlternativeName))
    uris = [name.value for name in names if isinstance(name, x509.UniformResourceIdentifier)]
    hosts = [name.value for name in names if isinstance(name, x509.DNSName)]
    if len(names) != 2 or len(uris) != 1 or len(hosts) != 1:
        raise errors.PeerNamesInvalid(reason="count")
    found = _URI.fullmatch(uris[0])
    if found is None:
        raise errors.PeerNamesInvalid(reason="uri")
    try:
        # The parser accepts the canonical form only: no percent signs, no upper
        # case, no empty or dotted labels.
        path = Path.parse(found[3])
        expected_host = dns_name(path)
    except YidaoError:
        raise errors.PeerNamesInvalid(reason="path") from None
    if hosts[0] != expected_host:
        raise errors.PeerNamesInvalid(reason="dns")
    network, node = bytes.fromhex(found[1]), bytes.fromhex(found[2])
    return _Names(network=NetworkId(network), node_id=NodeId(node), path=path)


def _check_authorities(authorities: list[x509.Certificate], path: Path) -> None:
    """Require that each tier signed only for nodes directly below itself.

    Name constraints alone would let a province sign for a county past its city.
    """
    above = path
    for depth, certificate in enumerate(authorities, start=1):
        parent = above.parent
        if parent is None or _fence(certificate) != parent:
            raise errors.PeerAuthorityWrong(depth=depth)
        above = parent
    # The root's own certificate, which is not in the chain, signed the last one:
    # for the root itself or for a node directly below.
    if above.depth > 1:
        raise errors.PeerAuthorityWrong(depth=len(authorities) + 1)


def _fence(certificate: x509.Certificate) -> Path | None:
    """Return the path whose subtree an authority is constrained to, if it is one."""
    constraints = _extension(certificate, x509.NameConstraints)
    permitted = constraints.permitted_subtrees or []
    if constraints.excluded_subtrees or len(permitted) != 1:
        return None
    name = permitted[0]
    if not isinstance(name, x509.DNSName) or len(name.value) > MAX_DNS_NAME_CHARS:
        return None
    labels = name.value.removesuffix(f".{DNS_ROOT}").split(".")
    try:
        path = Path(tuple(reversed(labels)))
        return path if dns_name(path) == name.value else None
    except YidaoError:
        return None


def check_enrolment(proved: Proved, known: Enrolled | None) -> Peer:
    """Return the peer if its chain is that of the node that is enrolled: step 6.

    Raises:
        PeerCheckError: It is not.
    """
    if known is None:
        raise errors.PeerNotEnrolled(node=proved.node_id.hex())
    if known.path != proved.path:
        raise errors.PeerPathMismatch(expected=str(known.path), found=str(proved.path))
    if proved.tls_sha256 != known.tls_sha256:
        raise errors.PeerKeyMismatch(path=str(proved.path))
    # Last: only who holds the enrolled key is told what became of the node.
    if known.revoked:
        raise errors.PeerRevoked(path=str(proved.path))
    return Peer(node_id=proved.node_id, path=proved.path, tls_sha256=proved.tls_sha256)


def _extension(certificate: x509.Certificate, kind: type[_Extension]) -> _Extension:
    try:
        return certificate.extensions.get_extension_for_class(kind).value
    except x509.ExtensionNotFound:
        raise errors.PeerNamesInvalid(reason="missing") from None


def _first(context: Mapping[str, Sequence[bytes]], name: str) -> bytes:
    values = context.get(name, ())
    return values[0] if values else b""
