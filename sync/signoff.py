"""Sign-offs: leaders sign the Merkle root of the returns that they let out, with their own keys.

A **policy** says whose keys count at a node, and how many of them must sign. It is
proposed by one person and confirmed by another, and bears the signature of every
approver whom it names: nobody names a key that is not theirs. One that follows
another names it by its digest, and is signed by as many approvers of the former as
that demands. One that names none is a *root policy*: the first of its node, or a
reset; nothing but the node vouches for it, so whoever receives returns files it.

A **batch** is the statement of a root over returns of one form and period, all of one
journal: leaf hashes of the records' headers, in the order of the journal. A header
commits to its figures, so whoever signs the root signs every figure.

Both are signed as text: a line that says what is signed, a line with the approver's own
time, the statement, which is canonical JSON. Journal order says which policy is in
force for a batch, never a clock.
"""

import re
from dataclasses import dataclass
from hashlib import sha256
from itertools import pairwise
from typing import Final

from yidao.sync import signofferrors as errors
from yidao.sync.ed25519 import KEY_BYTES, SIGNATURE_BYTES
from yidao.sync.errors import KeyMalformed, KeyWeak, SuiteUnknown
from yidao.sync.ids import JournalId, NetworkId, NodeId, Path, id_from_hex
from yidao.sync.members import Members, canonical
from yidao.sync.suite import ED25519_SHA256, check_public_key

PROPOSED: Final = "signoff.policy.proposed"
CONFIRMED: Final = "signoff.policy.confirmed"
SIGNED: Final = "signoff.batch.signed"
#: Where the returns are too, so that every tier sees all of them in one order.
CHANNEL: Final = "up:15"
MAX_RETURNS: Final = 2_000
#: From the first return of a batch to the last: how much of a journal is looked through.
MAX_SPAN: Final = 100_000
MAX_APPROVERS: Final = 32
MAX_STATEMENT_BYTES: Final = 32 * 1024

_MAX_NAME_CHARACTERS: Final = 64
_SCOPE: Final = re.compile(r"[a-z][a-z0-9_]{0,62}/[a-z][a-z0-9_]{0,62}")
MAX_NUMBER: Final = 2**63
_MAX_TIME_S: Final = 253_402_300_799
_POLICY_TEXT: Final = b"yidao/signoff-policy/v1"
_BATCH_TEXT: Final = b"yidao/signoff-batch/v1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Approver:
    """A person who may sign.

    Attributes:
        actor: `user@path`.
        name: As given, for people.
        key: Raw public key of `suite`.
    """

    actor: str
    name: str
    key: bytes
    suite: int = ED25519_SHA256


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """Whose signatures count.

    Attributes:
        scope: `<pack>/<form>`, or empty for every form that has no policy of its own.
        version: One more than that of `previous`; 1 for a root policy.
        threshold: How many approvers must sign.
        approvers: Sorted by actor.
        made_ms: Unix milliseconds; makes each policy another one than all before.
        previous: SHA-256 of the statement that this one follows; empty for a root policy.
    """

    network: NetworkId
    node_id: NodeId
    path: Path
    scope: str
    version: int
    threshold: int
    approvers: tuple[Approver, ...]
    made_ms: int
    previous: bytes = b""

    def statement(self) -> bytes:
        """Return the canonical JSON that is signed; raises `SignoffPolicyInvalid`."""
        _check_policy(self)
        return canonical(
            {
                "approvers": [approver_members(each) for each in self.approvers],
                "made_ms": self.made_ms,
                "network": self.network.hex(),
                "node_id": self.node_id.hex(),
                "path": str(self.path),
                "previous": self.previous.hex(),
                "scope": self.scope,
                "threshold": self.threshold,
                "version": self.version,
            }
        )

    @classmethod
    def read(cls, statement: bytes) -> "Policy":
        """Return the policy of a statement.

        Raises:
            SignoffMalformed: Not the one form of a statement.
            SignoffPolicyInvalid: See `check`.
            IdInvalid, PathInvalid: As named.
        """
        members = _parse(statement)
        policy = cls(
            network=NetworkId(id_from_hex(members.text("network"), "network")),
            node_id=members.node("node_id"),
            path=members.path("path"),
            scope=members.text("scope"),
            version=members.number("version"),
            threshold=members.number("threshold"),
            approvers=tuple(map(read_approver, members.each("approvers", MAX_APPROVERS))),
            made_ms=members.number("made_ms"),
            previous=members.hex("previous", 0, 32),
        )
        if policy.statement() != statement:
            raise errors.SignoffMalformed(field="statement")
        return policy

    def digest(self) -> bytes:
        """Return what batches and later policies name it by."""
        return sha256(self.statement()).digest()


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """What approvers sign.

    Attributes:
        journal: Whose records the leaves are.
        period: Empty for forms without periods.
        count: How many returns, 1 to `MAX_RETURNS`.
        root: RFC 6962 root over the leaf hashes of their headers, in journal order.
        policy: Digest of the policy that is in force.
    """

    network: NetworkId
    journal: JournalId
    path: Path
    pack: str
    form: str
    period: str
    count: int
    root: bytes
    policy: bytes

    def statement(self) -> bytes:
        """Return the canonical JSON that is signed."""
        return canonical(
            {
                "count": self.count,
                "form": self.form,
                "journal": self.journal.origin(self.network),
                "pack": self.pack,
                "path": str(self.path),
                "period": self.period,
                "policy": self.policy.hex(),
                "root": self.root.hex(),
            }
        )

    @classmethod
    def read(cls, statement: bytes) -> "Batch":
        """Return the batch of a statement.

        Raises:
            SignoffMalformed: Not the one form of a statement.
            IdInvalid, PathInvalid, OriginInvalid: As named.
        """
        members = _parse(statement)
        network, journal = JournalId.parse_origin(members.text("journal"))
        batch = cls(
            network=network,
            journal=journal,
            path=members.path("path"),
            pack=members.text("pack"),
            form=members.text("form"),
            period=members.text("period"),
            count=members.number("count"),
            root=members.hex("root", 32),
            policy=members.hex("policy", 32),
        )
        if not 1 <= batch.count <= MAX_RETURNS:
            raise errors.SignoffMalformed(field="count")
        if batch.statement() != statement:
            raise errors.SignoffMalformed(field="statement")
        return batch


@dataclass(frozen=True, slots=True, kw_only=True)
class Signature:
    """An approver's signature; `time_s` is Unix seconds by their own clock."""

    key: bytes
    time_s: int
    signature: bytes


def is_scope(text: str) -> bool:
    """Tell whether a text is `<pack>/<form>`, or empty for every form."""
    return not text or _SCOPE.fullmatch(text) is not None


def policy_text(statement: bytes, time_s: int) -> bytes:
    """Return what an approver signs of a policy."""
    return _signed_text(_POLICY_TEXT, statement, time_s)


def batch_text(statement: bytes, time_s: int) -> bytes:
    """Return what an approver signs of a batch."""
    return _signed_text(_BATCH_TEXT, statement, time_s)


def signature_members(signature: Signature) -> dict[str, str | int]:
    """Return a signature as members of JSON."""
    return {
        "key": signature.key.hex(),
        "signature": signature.signature.hex(),
        "time_s": signature.time_s,
    }


def read_signature(members: Members) -> Signature:
    """Return the signature of its members; raises `SignoffMalformed`."""
    time_s = members.number("time_s")
    if time_s > _MAX_TIME_S:
        raise errors.SignoffMalformed(field="time_s")
    return Signature(
        key=members.hex("key", KEY_BYTES),
        time_s=time_s,
        signature=members.hex("signature", SIGNATURE_BYTES),
    )


def _signed_text(what: bytes, statement: bytes, time_s: int) -> bytes:
    return b"%s\ntime %d\n%s" % (what, time_s, statement)


def _check_policy(policy: Policy) -> None:
    approvers = policy.approvers
    if not 1 <= len(approvers) <= MAX_APPROVERS:
        raise errors.SignoffPolicyInvalid(reason="number of approvers")
    if not 1 <= policy.threshold <= len(approvers):
        raise errors.SignoffPolicyInvalid(reason="threshold")
    if any(one.actor >= other.actor for one, other in pairwise(approvers)):
        raise errors.SignoffPolicyInvalid(reason="one person twice")
    if len({each.key for each in approvers}) != len(approvers):
        raise errors.SignoffPolicyInvalid(reason="one key twice")
    if not is_scope(policy.scope):
        raise errors.SignoffPolicyInvalid(reason="scope")
    if (policy.version == 1) != (policy.previous == b"") or policy.version < 1:
        raise errors.SignoffPolicyInvalid(reason="version")
    for each in approvers:
        _check_approver(each, policy.path)


def _check_approver(approver: Approver, path: Path) -> None:
    user, _, at = approver.actor.partition("@")
    if at != str(path):
        raise errors.SignoffPolicyInvalid(reason="approver of another node")
    # Others show both on their screens.
    if not all(_is_name(each) for each in (user, approver.name)):
        raise errors.SignoffPolicyInvalid(reason="name")
    try:
        check_public_key(approver.suite, approver.key)
    except (KeyMalformed, KeyWeak, SuiteUnknown):
        raise errors.SignoffPolicyInvalid(reason="key") from None


def _is_name(text: str) -> bool:
    return 1 <= len(text) <= _MAX_NAME_CHARACTERS and text.isprintable()


def _parse(statement: bytes) -> Members:
    return Members.parse(statement, errors.SignoffMalformed, limit=MAX_STATEMENT_BYTES)


def approver_members(approver: Approver) -> dict[str, str | int]:
    """Return an approver as members of JSON."""
    return {
        "actor": approver.actor,
        "key": approver.key.hex(),
        "name": approver.name,
        "suite": approver.suite,
    }


def read_approver(members: Members) -> Approver:
    """Return the approver of its members; raises `SignoffMalformed`."""
    return Approver(
        actor=members.text("actor"),
        name=members.text("name"),
        key=members.hex("key", KEY_BYTES),
        suite=members.number("suite"),
    )
