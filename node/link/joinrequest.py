"""The request to join: made by the child, read by the parent, each piece proved.

`body` is what everything else covers, as exact bytes. The MAC shows that whoever
made it holds the token's secret and chose these keys, so that a stolen request is
of no use with other keys; two signatures show that the journal and the cosigning
key are the child's own; each certificate request proves its own key.
"""

import hashlib
import hmac
from dataclasses import dataclass
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ec import (
    SECP256R1,
    EllipticCurvePrivateKey,
    EllipticCurvePublicKey,
)
from cryptography.hazmat.primitives.serialization import Encoding
from google.protobuf.message import DecodeError

from yidao.api.errors import YidaoError
from yidao.api.link.v1 import link_pb2
from yidao.node.link import errors
from yidao.node.link.bundle import JoinBundle
from yidao.node.link.certificates import key_sha256
from yidao.sync import ids, suite
from yidao.sync.errors import SuiteUnknown
from yidao.sync.mldsa44 import SIGNATURE_BYTES as PQ_SIGNATURE_BYTES
from yidao.sync.suite import Signer
from yidao.sync.suiteerrors import SuiteUnavailable

MAC_PREFIX: Final = b"yidao-join-v1\n"
PROOF_PREFIX: Final = b"yidao-join-pop-v1\n"
# A P-256 certificate request without extensions has about 250 bytes.
MAX_CSR_BYTES: Final = 2048
MAX_BODY_BYTES: Final = 8192
MAC_BYTES: Final = 32
SIGNATURE_BYTES: Final = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class ChildKeys:
    """The keys that a child makes for itself; it need not have the last one."""

    tls: EllipticCurvePrivateKey
    ca: EllipticCurvePrivateKey
    journal: Signer
    cosign: Signer
    cosign_pq: Signer | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A request of the right form; nothing in it is proved yet.

    Attributes:
        body: The exact bytes that MAC and proofs cover.
        tls_csr: PKCS#10 DER; so is `ca_csr`, which is empty for no authority.
    """

    body: bytes
    mac: bytes
    journal_key_proof: bytes
    cosign_key_proof: bytes
    token_id: str
    network: ids.NetworkId
    path: ids.Path
    node_id: ids.NodeId
    tls_csr: bytes
    ca_csr: bytes
    journal_key: bytes
    cosign_key: bytes
    suite: int
    cosign_pq: bytes
    cosign_pq_proof: bytes

    @property
    def sha256(self) -> bytes:
        """The request's name: only the same bytes under the same secret share it."""
        return hashlib.sha256(self.body + self.mac).digest()


@dataclass(frozen=True, slots=True, kw_only=True)
class ProvedKeys:
    """The TLS keys of a candidate, proved to be the sender's; `ca` is None for none asked."""

    tls: EllipticCurvePublicKey
    ca: EllipticCurvePublicKey | None

    @property
    def tls_sha256(self) -> bytes:
        """Name of the TLS key."""
        return key_sha256(self.tls)

    @property
    def ca_sha256(self) -> bytes:
        """Name of the authority's key; b"" for none."""
        return b"" if self.ca is None else key_sha256(self.ca)


def make_request(bundle: JoinBundle, node_id: ids.NodeId, keys: ChildKeys) -> link_pb2.JoinRequest:
    """Return the request that spends `bundle` for a node of that id and those keys."""
    body = link_pb2.JoinBody(
        token_id=bundle.token_id,
        network=bundle.network,
        path=str(bundle.path),
        node_id=node_id,
        tls_csr=make_csr(keys.tls),
        ca_csr=make_csr(keys.ca),
        journal_key=keys.journal.public_key,
        cosign_key=keys.cosign.public_key,
        suite=keys.journal.suite,
        cosign_pq_key=b"" if keys.cosign_pq is None else keys.cosign_pq.public_key,
    ).SerializeToString()
    second = keys.cosign_pq
    return link_pb2.JoinRequest(
        body=body,
        mac=_mac(bundle.secret, body),
        journal_key_proof=keys.journal.sign(PROOF_PREFIX + body),
        cosign_key_proof=keys.cosign.sign(PROOF_PREFIX + body),
        cosign_pq_proof=b"" if second is None else second.sign(PROOF_PREFIX + body),
    )


def read_request(request: link_pb2.JoinRequest) -> Candidate:
    """Return the candidate of a request, its form and sizes checked.

    Raises:
        JoinRequestMalformed: Anything missing, too long, or not in canonical form.
    """
    if len(request.body) > MAX_BODY_BYTES:
        raise errors.JoinRequestMalformed
    sizes = (len(request.mac), len(request.journal_key_proof), len(request.cosign_key_proof))
    if sizes != (MAC_BYTES, SIGNATURE_BYTES, SIGNATURE_BYTES):
        raise errors.JoinRequestMalformed
    try:
        body = link_pb2.JoinBody.FromString(request.body)
        if len(request.cosign_pq_proof) != (PQ_SIGNATURE_BYTES if body.cosign_pq_key else 0):
            raise errors.JoinRequestMalformed
        if max(len(body.tls_csr), len(body.ca_csr)) > MAX_CSR_BYTES:
            raise errors.JoinRequestMalformed
        return Candidate(
            body=request.body,
            mac=request.mac,
            journal_key_proof=request.journal_key_proof,
            cosign_key_proof=request.cosign_key_proof,
            token_id=body.token_id,
            network=ids.network_id(body.network),
            path=ids.Path.parse(body.path),
            node_id=ids.node_id(body.node_id),
            tls_csr=body.tls_csr,
            ca_csr=body.ca_csr,
            journal_key=body.journal_key,
            cosign_key=body.cosign_key,
            suite=body.suite,
            cosign_pq=body.cosign_pq_key,
            cosign_pq_proof=request.cosign_pq_proof,
        )
    except (DecodeError, YidaoError):
        raise errors.JoinRequestMalformed from None


def check_mac(candidate: Candidate, secret: bytes) -> None:
    """Raise `JoinMacWrong` unless the request was made with the token's secret."""
    if not hmac.compare_digest(_mac(secret, candidate.body), candidate.mac):
        raise errors.JoinMacWrong


def prove_keys(candidate: Candidate) -> ProvedKeys:
    """Return the TLS keys once all keys are fit and proved to be the sender's.

    Raises:
        JoinKeyUnfit: A key is weak, used twice, or not proved.
        JoinSuiteUnsupported: This machine cannot verify what they sign.
        JoinCsrInvalid: A certificate request is malformed, unsigned or not P-256.
    """
    if candidate.journal_key == candidate.cosign_key:
        raise errors.JoinKeyUnfit
    proofs = [
        (candidate.suite, candidate.journal_key, candidate.journal_key_proof),
        (candidate.suite, candidate.cosign_key, candidate.cosign_key_proof),
    ]
    if candidate.cosign_pq:
        proofs.append((suite.ML_DSA_44, candidate.cosign_pq, candidate.cosign_pq_proof))
    try:
        suite.hasher(candidate.suite)
        for number, key, proof in proofs:
            # A proof of possession does not stop weak keys, so they are looked
            # for first: one signature verifies under them for any message.
            suite.check_public_key(number, key)
            suite.verify(number, key, proof, PROOF_PREFIX + candidate.body)
    except (SuiteUnknown, SuiteUnavailable):
        raise errors.JoinSuiteUnsupported(suite=candidate.suite) from None
    except YidaoError:
        raise errors.JoinKeyUnfit from None
    tls = csr_key(candidate.tls_csr)
    ca = csr_key(candidate.ca_csr) if candidate.ca_csr else None
    if tls == ca:
        raise errors.JoinKeyUnfit
    return ProvedKeys(tls=tls, ca=ca)


def _mac(secret: bytes, body: bytes) -> bytes:
    return hmac.digest(secret, MAC_PREFIX + hashlib.sha256(body).digest(), "sha256")


def make_csr(key: EllipticCurvePrivateKey) -> bytes:
    """Return a certificate request of a key, PKCS#10 DER."""
    # No names: the parent would ignore them.
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
    return builder.sign(key, hashes.SHA256()).public_bytes(Encoding.DER)


def csr_key(der: bytes) -> EllipticCurvePublicKey:
    """Return the key of a certificate request that is signed by it; nothing else is read."""
    try:
        csr = x509.load_der_x509_csr(der)
        key = csr.public_key()
        is_signed = csr.is_signature_valid
    except (ValueError, x509.InvalidVersion, UnsupportedAlgorithm, InvalidSignature):
        raise errors.JoinCsrInvalid from None
    if not is_signed or not isinstance(key, EllipticCurvePublicKey):
        raise errors.JoinCsrInvalid
    if not isinstance(key.curve, SECP256R1):
        raise errors.JoinCsrInvalid
    return key
