"""Enrolments: who stands where and signs with which keys, provable from the root down.

A parent enrols a child by the record `node.child.enrolled` in its own `node`
journal. Authority for a node is the root statement, then one such record for
each tier, each with an inclusion proof under the journal key of its enroller.
Anybody who has the root certificate can check it without asking anyone.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from yidao.sync import epoch, errors, suite
from yidao.sync.checkpoint import parse_checkpoint
from yidao.sync.epoch import FIRST, EpochKey, EpochOpened
from yidao.sync.epocherrors import EpochClosed, EpochUnknown
from yidao.sync.ids import JournalId, NetworkId, NodeId, Path
from yidao.sync.members import Members, canonical
from yidao.sync.message import MAX_CHAIN, EnrolmentProof
from yidao.sync.proof import parse_proof, verify_proof
from yidao.sync.record import check_part, decode_header
from yidao.sync.rootstatement import RootStatement, open_root_statement

KIND: Final = "node.child.enrolled"
CHANNEL: Final = "node"
# A second cosigning key takes 2,624 digits of it.
MAX_CORE_BYTES: Final = 8 * 1024
# One for the root itself and one for each of 15 tiers, and the epochs that these opened.
MAX_PROOFS: Final = MAX_CHAIN

#: Suite and public key of a cosigner.
CosignKey = tuple[int, bytes]

_DIGEST_BYTES: Final = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Enrolment:
    """The core of `node.child.enrolled`.

    Attributes:
        tls_sha256: SHA-256 of the SubjectPublicKeyInfo of the node's TLS key.
        ca_sha256: The same of its CA key; b"" if it may have no children.
        token_id: The join token that was spent; "" where none was.
        operator: The actor who made the token; "" where none did.
        cosign_pq: A second cosigning key, of ML-DSA-44; b"" where there is none.
        basis: The record, in hex, that lets this node in where another one stood, or
            lets it move here; "" where none is needed, and then not in the JSON.
        changes: The epochs that the node opened since, in order, as a chain proves
            them. No part of the record.
    """

    node_id: NodeId
    path: Path
    journal_key: bytes
    cosign_key: bytes
    suite: int = suite.ED25519_SHA256
    tls_sha256: bytes = b""
    ca_sha256: bytes = b""
    token_id: str = ""
    operator: str = ""
    cosign_pq: bytes = b""
    basis: str = ""
    changes: tuple[EpochOpened, ...] = ()

    def key_of(self, epoch: str) -> EpochKey:
        """Return what verifies the node's journals of one epoch.

        Raises:
            EpochUnknown: Nothing of the chain opened it.
        """
        for opened in self.changes:
            if opened.epoch == epoch:
                return opened.key
        if epoch != FIRST:
            raise EpochUnknown(epoch=epoch)
        return EpochKey(
            epoch=FIRST,
            suite=self.suite,
            journal_key=self.journal_key,
            cosign_key=self.cosign_key,
        )

    @property
    def live(self) -> EpochKey:
        """The epoch in which the node writes now, as far as the chain tells."""
        return self.changes[-1].key if self.changes else self.key_of(FIRST)

    @property
    def cosign_keys(self) -> tuple[CosignKey, ...]:
        """Suite and key of every cosignature that the node may have made, each once."""
        keys = [(self.suite, self.cosign_key)]
        keys += ((opened.suite, opened.cosign_key) for opened in self.changes)
        if self.cosign_pq:
            keys.append((suite.ML_DSA_44, self.cosign_pq))
        return tuple(dict.fromkeys(keys))

    def check_end(self, journal: JournalId, size: int) -> None:
        """Return only if the first `size` records of a journal belong to its epoch.

        Raises:
            EpochClosed: The epoch was closed before.
        """
        for opened in self.changes:
            if opened.previous == journal.epoch and size > opened.size_of(journal):
                raise EpochClosed(size=size, valid=opened.size_of(journal))

    def encode(self) -> bytes:
        """Return the JSON bytes of the core part: sorted keys, ids and keys in hex.

        `cosign_pq` and `basis` are members only where there is such a thing.
        """
        second = {"cosign_pq": self.cosign_pq.hex()} if self.cosign_pq else {}
        basis = {"basis": self.basis} if self.basis else {}
        return canonical(
            {
                **second,
                **basis,
                "node_id": self.node_id.hex(),
                "path": str(self.path),
                "journal_key": self.journal_key.hex(),
                "cosign_key": self.cosign_key.hex(),
                "suite": self.suite,
                "tls_sha256": self.tls_sha256.hex(),
                "ca_sha256": self.ca_sha256.hex(),
                "token_id": self.token_id,
                "operator": self.operator,
            }
        )

    @classmethod
    def decode(cls, data: bytes) -> "Enrolment":
        """Return the enrolment that `data` is the canonical JSON of.

        Members that a newer version adds are allowed.

        Raises:
            EnrolmentMalformed: Other JSON, or a member is missing or wrong.
            IdInvalid, PathInvalid, SuiteUnknown, KeyMalformed, KeyWeak: As named.
        """
        members = Members.parse_canonical(data, errors.EnrolmentMalformed, limit=MAX_CORE_BYTES)
        enrolment = cls(
            node_id=members.node("node_id"),
            path=members.path("path"),
            journal_key=members.hex("journal_key"),
            cosign_key=members.hex("cosign_key"),
            suite=members.number("suite"),
            tls_sha256=members.hex("tls_sha256", 0, _DIGEST_BYTES),
            ca_sha256=members.hex("ca_sha256", 0, _DIGEST_BYTES),
            token_id=members.text("token_id"),
            operator=members.text("operator"),
            cosign_pq=members.hex("cosign_pq") if "cosign_pq" in members else b"",
            basis=members.text("basis") if "basis" in members else "",
        )
        enrolment.check_keys()
        return enrolment

    def check_keys(self) -> None:
        """Return only if both keys are fit for the suite and differ, and a second one is fit.

        Raises:
            SuiteUnknown: Also where it is a suite of no journals.
            KeyMalformed, KeyWeak: See `suite.check_public_key`.
            EnrolmentMalformed: One key for two purposes.
        """
        suite.hasher(self.suite)
        suite.check_public_key(self.suite, self.journal_key)
        suite.check_public_key(self.suite, self.cosign_key)
        if self.journal_key == self.cosign_key:
            raise errors.EnrolmentMalformed(field="cosign_key")
        if self.cosign_pq:
            suite.check_public_key(suite.ML_DSA_44, self.cosign_pq)


def verify_chain(
    root_certificate_pem: bytes, statement: bytes, proofs: Sequence[EnrolmentProof]
) -> tuple[Enrolment, ...]:
    """Return the enrolments from the root to the last node that `proofs` prove.

    Each proof verifies under the journal key that those before it gave for the epoch of
    its journal. It gives a path strictly below that node's, or a new epoch of that node
    itself. The first element returned is always the root; the caller compares the last
    with the node that it is about.

    Args:
        root_certificate_pem: The caller's own copy; see `open_root_statement`.
        statement: The root statement file; untrusted.
        proofs: From the root down; untrusted. The root's own enrolment, a record
            in its own journal, may stand first.

    Raises:
        RootStatementInvalid: The statement is not by the root certificate's key.
        EnrolmentChainBroken: No authority for a step (params: step, reason).
        PeerError: A header, part, proof or key of a step is wrong.
    """
    root = open_root_statement(statement, root_certificate_pem)
    if len(proofs) > MAX_PROOFS:
        raise errors.EnrolmentChainBroken(step=MAX_PROOFS, reason="length")
    chain = [root_enrolment(root)]
    for step, proof in enumerate(proofs):
        if decode_header(proof.header).kind == epoch.KIND:
            opened = verify_epoch(proof, chain[-1], root.network)
            chain[-1] = replace(chain[-1], changes=(*chain[-1].changes, opened))
            continue
        enrolment = verify_enrolment(proof, chain[-1], root.network)
        if step == 0 and _is_root_itself(enrolment, root):
            chain = [enrolment]
        elif chain[-1].path.is_ancestor_of(enrolment.path):
            chain.append(enrolment)
        else:
            raise errors.EnrolmentChainBroken(step=step, reason="path not below enroller")
    return tuple(chain)


def root_enrolment(root: RootStatement) -> Enrolment:
    """Return what the statement alone says of the root."""
    return Enrolment(
        node_id=root.node_id,
        path=Path(),
        journal_key=root.journal_key,
        cosign_key=root.cosign_key,
        suite=root.suite,
    )


def verify_enrolment(proof: EnrolmentProof, enroller: Enrolment, network: NetworkId) -> Enrolment:
    """Return the enrolment that one proof shows to be in the enroller's `node` journal.

    1. The record is an enrolment of this network by that enroller.
    2. Its core is the bytes that the header commits to, in the right form.
    3. The header is in a `node` journal of the enroller, of an epoch that the chain
       opened, before its end, under the key of that epoch.

    Whether the enroller may give that path is `verify_chain`'s question.

    Raises:
        EnrolmentMalformed: Another kind of record, network or journal.
        PeerError: The header, the part, the proof or a key is wrong.
    """
    _verify_step(proof, enroller, network, KIND)
    return Enrolment.decode(proof.core.body)


def verify_epoch(proof: EnrolmentProof, node: Enrolment, network: NetworkId) -> EpochOpened:
    """Return the epoch that one proof shows to be opened in the node's own `node` journal.

    1. The record is one of this network by that node, in a `node` journal of it, under
       the key of that journal's epoch, and its core is what the header commits to.
    2. The epoch follows the one in which the node wrote, signed by both keys.
    3. The record stands last in the old epoch; or first in the new one, under the same key.

    Raises:
        EpochConflict, EpochUnproven, EpochMalformed: (2) or (3)
        PeerError: The header, the part, the proof or a key is wrong.
    """
    opened = EpochOpened.decode(proof.core.body)
    if opened.node_id != node.node_id:
        raise errors.EnrolmentMalformed(field="origin")
    before = node.live
    epoch.check(opened, before)
    # With the new epoch, so that its own journal has a key, and the old one its end.
    grown = replace(node, changes=(*node.changes, opened))
    journal, seq = _verify_step(proof, grown, network, epoch.KIND)
    epoch.check_place(opened, journal, seq, before)
    return opened


def _verify_step(
    proof: EnrolmentProof, writer: Enrolment, network: NetworkId, kind: str
) -> tuple[JournalId, int]:
    """Return in which `node` journal of its writer the record of a step stands, and where."""
    header = decode_header(proof.header)
    if header.kind != kind:
        raise errors.EnrolmentMalformed(field="kind")
    if header.network != network or header.node_id != writer.node_id:
        raise errors.EnrolmentMalformed(field="origin")
    digest = header.part("core")
    if digest is None:
        raise errors.EnrolmentMalformed(field="core")
    check_part(digest, proof.core)
    tlog = parse_proof(proof.proof)
    origin = parse_checkpoint(tlog.checkpoint).origin
    origin_network, journal = JournalId.parse_origin(origin)
    if (origin_network, journal.node_id, journal.channel) != (network, writer.node_id, CHANNEL):
        raise errors.EnrolmentMalformed(field="journal")
    key = writer.key_of(journal.epoch)
    signed = verify_proof(tlog, proof.header, origin, key.journal_key, key.suite)
    writer.check_end(journal, signed.size)
    return journal, tlog.index


def _is_root_itself(enrolment: Enrolment, root: RootStatement) -> bool:
    return (
        enrolment.path == Path()
        and enrolment.node_id == root.node_id
        and enrolment.suite == root.suite
        and enrolment.journal_key == root.journal_key
        and enrolment.cosign_key == root.cosign_key
    )
