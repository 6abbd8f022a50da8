"""Sample identities and records, all from fixed seeds, so that a failure repeats."""

import itertools
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from yidao.sync.checkpoint import cosign, with_cosignatures
from yidao.sync.enrolment import Enrolment, verify_chain
from yidao.sync.epoch import KIND, Cause, EpochOpened
from yidao.sync.ids import JournalId, NetworkId, NodeId, Path, RecordId, cosigner_name
from yidao.sync.journal import JournalState, Seal, seal
from yidao.sync.merkle import inclusion_proof, leaf_hashes
from yidao.sync.message import EnrolmentProof, Item
from yidao.sync.proof import TlogProof
from yidao.sync.record import Header, Part
from yidao.sync.revocation import CutLine
from yidao.sync.rootstatement import RootStatement
from yidao.sync.suite import Ed25519Signer
from yidao.sync.tiles import node_reader

NETWORK = NetworkId(sha256(b"sample network").digest()[:16])
NODE = NodeId(sha256(b"sample node").digest()[:16])


@pytest.fixture
def network() -> NetworkId:
    return NETWORK


@pytest.fixture
def journal() -> JournalId:
    return JournalId(node_id=NODE, channel="up:15", epoch="1")


@pytest.fixture
def signer() -> Ed25519Signer:
    return Ed25519Signer(sha256(b"sample journal key").digest())


@pytest.fixture
def cosigner() -> Ed25519Signer:
    return Ed25519Signer(sha256(b"sample cosigning key").digest())


@pytest.fixture
def make_part() -> Callable[..., Part]:
    def make(name: str = "core", body: bytes = b'{"v":"1"}') -> Part:
        return Part(name=name, salt=sha256(b"salt" + name.encode()).digest(), body=body)

    return make


@pytest.fixture
def make_header(make_part: Callable[..., Part]) -> Callable[..., Header]:
    def make(number: int = 0, **changes: object) -> Header:
        fields: dict[str, object] = {
            "network": NETWORK,
            "node_id": NODE,
            "record_id": RecordId(sha256(b"record %d" % number).digest()[:16]),
            "kind": "reporting.return.submitted",
            "actor": "li.na@/33/3301",
            "object_id": f"return:{number}",
            "object_version": 1,
            "created_ms": 1_750_000_000_000 + number,
            "unit": "91330100MA27X00X0X",
            "schema": "sample/form-1@1",
            "schema_sha256": sha256(b"sample pack").digest(),
            "period": "2025-Q2",
            "parts": (make_part().digest(),),
        }
        return Header(**(fields | changes))  # type: ignore[arg-type]

    return make


@pytest.fixture
def make_item() -> Callable[..., Item]:
    """Items with sample bytes: for what moves sealed bytes and never opens them."""

    def make(
        position: int = 1,
        *,
        channel: str = "up:15",
        first_seq: int = 0,
        count: int = 1,
        size_bytes: int = 10,
        **changes: object,
    ) -> Item:
        journal = JournalId(node_id=NODE, channel=channel, epoch="1")
        seal = Seal(
            journal=journal,
            first_seq=first_seq,
            headers=(b"h" * size_bytes,) * count,
            checkpoint=b"checkpoint of position %d" % position,
        )
        return Item(position=position, seal=seal, **changes)  # type: ignore[arg-type]

    return make


class SampleTree:
    """A root, a province and a city with their keys, and what proves them."""

    def __init__(self) -> None:
        self.root_key = ec.derive_private_key(
            int.from_bytes(sha256(b"sample root key").digest()), ec.SECP256R1()
        )
        self.root_pem = certificate_of(self.root_key)
        self.enrolments = [self.enrolment(path) for path in ("/", "/33", "/33/3301")]
        root = self.enrolments[0]
        self.statement = RootStatement(
            network=NETWORK,
            node_id=root.node_id,
            journal_key=root.journal_key,
            cosign_key=root.cosign_key,
        ).sign(self.root_key)
        self.proofs = [
            self.enrol(parent, child) for parent, child in itertools.pairwise(self.enrolments)
        ]

    @staticmethod
    def signer(path: str, purpose: str) -> Ed25519Signer:
        return Ed25519Signer(sha256(f"sample {purpose} key of {path}".encode()).digest())

    def enrolment(self, path: str) -> Enrolment:
        return Enrolment(
            node_id=NodeId(sha256(f"sample node {path}".encode()).digest()[:16]),
            path=Path.parse(path),
            journal_key=self.signer(path, "journal").public_key,
            cosign_key=self.signer(path, "cosigning").public_key,
            tls_sha256=sha256(b"tls" + path.encode()).digest(),
            token_id="sample-1",
            operator="admin@/",
        )

    def header(self, origin: Enrolment, kind: str, part: Part, **changes: object) -> Header:
        fields: dict[str, object] = {
            "network": NETWORK,
            "node_id": origin.node_id,
            "record_id": RecordId(sha256(kind.encode() + part.body).digest()[:16]),
            "kind": kind,
            "actor": f"admin@{origin.path}",
            "object_id": "sample",
            "object_version": 1,
            "created_ms": 1_750_000_000_000,
            "parts": (part.digest(),),
        }
        return Header(**(fields | changes))  # type: ignore[arg-type]

    def prove(
        self,
        origin: Enrolment,
        header: bytes,
        *,
        channel: str = "node",
        epoch: str = "1",
        cosigners: Sequence[Enrolment] = (),
        index: int = 3,
        signer: Ed25519Signer | None = None,
    ) -> TlogProof:
        """Put a header at an index of a journal of five and prove it."""
        journal = JournalId(node_id=origin.node_id, channel=channel, epoch=epoch)
        headers = [b"a", b"b", b"c", b"d", b"e"]
        headers[index] = header
        signer = signer or self.signer(str(origin.path), "journal")
        sealed = seal(JournalState(journal=journal), headers, NETWORK, signer)
        hashes = leaf_hashes(headers)
        path = inclusion_proof(5, index, node_reader(lambda _, first, n: hashes[first : first + n]))
        checkpoint = sealed.seal.checkpoint
        lines = [
            cosign(
                checkpoint,
                cosigner_name(NETWORK, tier.node_id),
                self.signer(str(tier.path), "cosigning"),
                1_750_000_000 + tier.path.depth,
            )
            for tier in cosigners
        ]
        return TlogProof(
            index=index, path=tuple(path), checkpoint=with_cosignatures(checkpoint, lines)
        )

    def enrol(self, parent: Enrolment, child: Enrolment, **changes: object) -> EnrolmentProof:
        """Return the proof of a true record by `parent`, whatever it says."""
        core = Part(name="core", salt=sha256(b"sample salt").digest(), body=child.encode())
        header = self.header(parent, "node.child.enrolled", core, **changes).encode()
        return EnrolmentProof(header=header, core=core, proof=self.prove(parent, header).encode())


def certificate_of(key: ec.EllipticCurvePrivateKey) -> bytes:
    """A self-signed certificate that expired long ago, which must not matter."""
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "sample root")])
    start = datetime(2025, 1, 1, tzinfo=UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(start)
        .not_valid_after(start + timedelta(days=1))
    )
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


@pytest.fixture(scope="session")
def tree() -> SampleTree:
    return SampleTree()


@pytest.fixture(scope="session")
def other_root_pem() -> bytes:
    """The root certificate of another network."""
    return certificate_of(ec.derive_private_key(7, ec.SECP256R1()))


class Rotated:
    """The sample tree, whose province has changed both keys."""

    def __init__(self, tree: SampleTree) -> None:
        self.tree = tree
        self.root, self.province, self.city = tree.enrolments
        self.old = tree.signer("/33", "journal")
        self.new, self.cosign = (
            Ed25519Signer(sha256(f"sample epoch key {name}".encode()).digest())
            for name in ("new", "cosign")
        )
        self.opened = self.open()
        self.grown = replace(self.province, changes=(self.opened,))
        self.before, self.enrolled_before = tree.proofs
        self.step = self.proof(self.opened, index=4)

    def open(self, **changes: Any) -> EpochOpened:
        """The province's second epoch, or a variant of it."""
        given: dict[str, Any] = {
            "node_id": self.province.node_id,
            "epoch": "2",
            "suite": 1,
            "journal_key": self.new.public_key,
            "cosign_key": self.cosign.public_key,
            "cause": Cause.KEY_ROTATED,
            "previous": "1",
            "cut": (
                CutLine(channel="node", epoch="1", size=5),
                CutLine(channel="up:15", epoch="1", size=5),
            ),
        }
        same = changes.get("journal_key") == self.old.public_key
        opened = EpochOpened(**(given | changes))
        return opened.sign(self.old, self.old if same else self.new)

    def proof(self, opened: EpochOpened, **where: Any) -> EnrolmentProof:
        """The record of a new epoch, proved in a journal of the province."""
        return self.record(KIND, opened.encode(), **where)

    def enrolled(self, **where: Any) -> EnrolmentProof:
        """The city's enrolment, proved somewhere."""
        return self.record("node.child.enrolled", self.city.encode(), **where)

    def record(self, kind: str, body: bytes, **where: Any) -> EnrolmentProof:
        """A record of the province with that core, proved in its `node` journal."""
        core = Part(name="core", salt=sha256(b"sample salt").digest(), body=body)
        header = self.tree.header(self.province, kind, core).encode()
        proof = self.tree.prove(self.province, header, **where)
        return EnrolmentProof(header=header, core=core, proof=proof.encode())

    def verify(self, *proofs: EnrolmentProof) -> tuple[Enrolment, ...]:
        """Verify a chain from the root certificate alone."""
        return verify_chain(self.tree.root_pem, self.tree.statement, proofs)


@pytest.fixture(scope="session")
def rotated(tree: SampleTree) -> Rotated:
    """The sample tree after a change of the province's keys."""
    return Rotated(tree)
