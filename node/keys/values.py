"""What a key folder holds, as values."""

from dataclasses import dataclass, field
from typing import Final

from yidao.sync import ids
from yidao.sync.message import EnrolmentProof
from yidao.sync.sealing import BoxKey
from yidao.sync.suite import ED25519_SHA256, Signer


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Who a node is, the signers that speak for it, and what opens its letters.

    Attributes:
        cosign_pq: Makes a second cosignature, of ML-DSA-44; None where the node has
            no such key.
        boxes: The cosigning key as it opens letters, with those before it: letters may
            have been sealed to an older one.
    """

    network: ids.NetworkId
    node_id: ids.NodeId
    path: ids.Path
    epoch: str
    suite: int
    journal: Signer
    cosign: Signer
    cosign_pq: Signer | None = None
    boxes: tuple[BoxKey, ...] = field(default=(), compare=False, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyKinds:
    """Of what kind the keys are that a new node makes for itself.

    Attributes:
        suite: Of the journal and the cosigning key.
        pq: Whether there is a second cosigning key, of ML-DSA-44.
    """

    suite: int = ED25519_SHA256
    pq: bool = False


STANDARD_KEYS: Final = KeyKinds()


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeCertificates:
    """What TLS and the enrolment of children need, as PEM.

    Attributes:
        tls_chain_pem: The node's own certificate and the authorities above it,
            leaf first, the root's certificate left out.
        root_pem: Every root certificate that counts, one after the other.
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
