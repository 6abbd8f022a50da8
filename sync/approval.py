"""Approvals: a node is put in another one's place only if one tier above says yes.

Where a path had a node that was revoked or has moved away, its parent alone could
put a node of its own there and speak in the office's name. So it asks, by the
record `node.reenrolment.asked` in its `node` journal, and the node above it answers
by `node.reenrolment.decided`. Both name the new node with its keys; the enrolment
then cites the decision, and every tier compares. Right below the root nobody
stands above the parent: there the root decides, and another operator than the one
who asked.
"""

import base64
import hashlib
from dataclasses import dataclass
from typing import Final

from yidao.sync import ed25519, sm2
from yidao.sync.admissionerrors import FourEyesNeeded, PaperUnauthorised
from yidao.sync.enrolment import Enrolment
from yidao.sync.ids import NodeId, Path, RecordId
from yidao.sync.members import Members, canonical
from yidao.sync.papers import MAX_TEXT_CHARS, paper_members

KIND_ASKED: Final = "node.reenrolment.asked"
KIND_DECIDED: Final = "node.reenrolment.decided"
ASKED_CHANNEL: Final = "node"
#: To the root, and to everybody below the node that decides.
DECIDED_CHANNELS: Final = ("node", "down.control")

_DOMAIN: Final = b"yidao-claim-v1\n"
_ID_CHARS: Final = 16
_KEY_BYTES: Final = (ed25519.KEY_BYTES, sm2.KEY_BYTES)
_DIGEST_BYTES: Final = 32
# 100 bits, which nobody finds a second set of keys for.
_FINGERPRINT_BYTES: Final = 15
_FINGERPRINT_CHARS: Final = 20
_GROUP_CHARS: Final = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """Who wants to stand where, with which keys.

    Attributes:
        tls_sha256: SHA-256 of the SubjectPublicKeyInfo of the TLS key.
    """

    node_id: NodeId
    path: Path
    journal_key: bytes
    cosign_key: bytes
    tls_sha256: bytes

    @property
    def digest(self) -> bytes:
        """SHA-256 over all of it: the length of the two keys first, the path last."""
        fixed = b"%d\n" % len(self.journal_key)
        fixed += self.node_id + self.journal_key + self.cosign_key + self.tls_sha256
        return hashlib.sha256(_DOMAIN + fixed + str(self.path).encode()).digest()

    @property
    def claim_id(self) -> str:
        """What people and programs call it: 16 hex digits, the same at every tier."""
        return self.digest.hex()[:_ID_CHARS]

    @property
    def fingerprint(self) -> str:
        """What two people compare by phone: five groups of four letters and digits."""
        text = base64.b32encode(self.digest[-_FINGERPRINT_BYTES:]).decode().lower()
        starts = range(0, _FINGERPRINT_CHARS, _GROUP_CHARS)
        return "-".join(text[start : start + _GROUP_CHARS] for start in starts)

    @property
    def decider(self) -> Path:
        """Where the node stands that decides: one tier above the parent; the root for its own."""
        parent = self.path.parent or Path()
        return parent.parent or parent


def claim_of(enrolment: Enrolment) -> Claim:
    """Return what an enrolment makes true."""
    return Claim(
        node_id=enrolment.node_id,
        path=enrolment.path,
        journal_key=enrolment.journal_key,
        cosign_key=enrolment.cosign_key,
        tls_sha256=enrolment.tls_sha256,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """The core of `node.reenrolment.asked`.

    Attributes:
        reason: What became of the former node, in the operator's words.
        operator: The actor at the parent who asks.
    """

    claim: Claim
    reason: str
    operator: str

    def encode(self) -> bytes:
        """Return the JSON bytes of the core part."""
        members = _claim_members(self.claim)
        return canonical({**members, "reason": self.reason, "operator": self.operator})

    @classmethod
    def decode(cls, core: bytes | None, writer: Path) -> "Asked":
        """Return what a node at `writer` asks.

        Raises:
            PaperMalformed, IdInvalid, PathInvalid: Its form.
            PaperUnauthorised: The path is not right below the writer.
        """
        members = paper_members(core)
        found = cls(
            claim=_read_claim(members),
            reason=members.text("reason", MAX_TEXT_CHARS),
            operator=members.text("operator", MAX_TEXT_CHARS),
        )
        if found.claim.path.parent != writer:
            raise PaperUnauthorised(path=str(found.claim.path), by=str(writer))
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Decided:
    """The core of `node.reenrolment.decided`.

    Attributes:
        record_id: Of the decision in the decider's `node` journal; what an enrolment
            cites. The copy for the nodes below names it too.
        asked: The record that asked.
        asked_by: The actor who asked, as that record says.
        reason: Why not; may be empty where it is approved.
        operator: The actor who decided.
    """

    claim: Claim
    record_id: RecordId
    asked: RecordId
    asked_by: str
    approved: bool
    reason: str
    operator: str

    def encode(self) -> bytes:
        """Return the JSON bytes of the core part."""
        return canonical(
            {
                **_claim_members(self.claim),
                "record_id": self.record_id.hex(),
                "asked": self.asked.hex(),
                "asked_by": self.asked_by,
                "approved": self.approved,
                "reason": self.reason,
                "operator": self.operator,
            }
        )

    @classmethod
    def decode(cls, core: bytes | None, writer: Path) -> "Decided":
        """Return what a node at `writer` decided.

        Raises:
            PaperMalformed, IdInvalid, PathInvalid: Its form.
            PaperUnauthorised: Another node decides on that path.
            FourEyesNeeded: The root's operator approves what that very person asked.
        """
        members = paper_members(core)
        found = cls(
            claim=_read_claim(members),
            record_id=members.record("record_id"),
            asked=members.record("asked"),
            asked_by=members.text("asked_by", MAX_TEXT_CHARS),
            approved=members.flag("approved"),
            reason=members.text("reason", MAX_TEXT_CHARS),
            operator=members.text("operator", MAX_TEXT_CHARS),
        )
        path = found.claim.path
        if path.depth == 0 or found.claim.decider != writer:
            raise PaperUnauthorised(path=str(path), by=str(writer))
        if path.parent == writer and found.approved and found.operator == found.asked_by:
            raise FourEyesNeeded(operator=found.operator)
        return found


def _claim_members(claim: Claim) -> dict[str, object]:
    return {
        "node_id": claim.node_id.hex(),
        "path": str(claim.path),
        "journal_key": claim.journal_key.hex(),
        "cosign_key": claim.cosign_key.hex(),
        "tls_sha256": claim.tls_sha256.hex(),
    }


def _read_claim(members: Members) -> Claim:
    journal_key = members.hex("journal_key", *_KEY_BYTES)
    return Claim(
        node_id=members.node("node_id"),
        path=members.path("path", MAX_TEXT_CHARS),
        journal_key=journal_key,
        # Both are of one suite.
        cosign_key=members.hex("cosign_key", len(journal_key)),
        tls_sha256=members.hex("tls_sha256", _DIGEST_BYTES),
    )
