"""The files that go to an approver's machine and come back, as JSON.

What goes there is whole: the headers that have the root, the figures that the headers
commit to, the standard that they name. So the approver's own machine recomputes what
is shown, and need not believe the node that made the file. What comes back holds the
statement, one signature, and where the returns lie.
"""

from base64 import b64decode, b64encode
from binascii import Error as Base64Error
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Final, cast

from yidao.sync import signofferrors as errors
from yidao.sync.members import Members, canonical
from yidao.sync.merkle import leaf_hash
from yidao.sync.record import Header, Part, check_part, decode_header
from yidao.sync.signoff import (
    CHANNEL,
    MAX_RETURNS,
    Approver,
    Batch,
    Policy,
    Signature,
    approver_members,
    read_approver,
    read_signature,
    signature_members,
)
from yidao.sync.signoffcheck import check_policy_of, check_root, check_seqs

BATCH_FORMAT: Final = "yidao-signoff-batch-v1"
POLICY_FORMAT: Final = "yidao-signoff-policy-v1"
SIGNATURE_FORMAT: Final = "yidao-signoff-signature-v1"
APPROVER_FORMAT: Final = "yidao-approver-v1"
#: 2,000 returns with their figures have a few million.
MAX_FILE_BYTES: Final = 12 * 1024 * 1024

_MAX_PACKS: Final = 8
_SUBMITTED: Final = "reporting.return.submitted"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReturnLine:
    """One return of a batch: where it lies in its journal, its header, its figures."""

    seq: int
    header: bytes
    core: Part


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenedReturn:
    """A return that was checked against the root; `core` is what its header commits to."""

    seq: int
    header: Header
    core: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenedBatch:
    """What a batch file shows once it was recomputed.

    Attributes:
        statement: What is signed.
        packs: Exact bytes of the standards, by the digest that headers name.
    """

    statement: bytes
    batch: Batch
    policy: Policy
    returns: tuple[OpenedReturn, ...]
    packs: Mapping[bytes, bytes]


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenedPolicy:
    """What a policy file shows; `previous` is None for a root policy."""

    statement: bytes
    policy: Policy
    previous: Policy | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SignatureFile:
    """What comes back from an approver.

    Attributes:
        statement: Of a batch or of a policy.
        seqs: Of a batch: where its returns lie; empty for a policy.
    """

    statement: bytes
    seqs: tuple[int, ...]
    signature: Signature

    def encode(self) -> bytes:
        """Return the file."""
        return _dump(
            SIGNATURE_FORMAT,
            {
                "seqs": list(self.seqs),
                "signature": signature_members(self.signature),
                "statement": self.statement.decode(),
            },
        )

    @classmethod
    def decode(cls, data: bytes) -> "SignatureFile":
        """Return the contents of a file; raises `SignoffMalformed`."""
        members = _load(data, SIGNATURE_FORMAT)
        seqs = members.list("seqs", MAX_RETURNS)
        if not all(type(seq) is int for seq in seqs):
            raise errors.SignoffMalformed(field="seqs")
        numbers = tuple(cast("list[int]", seqs))
        if numbers:
            check_seqs(numbers)
        return cls(
            statement=members.text("statement").encode(),
            seqs=numbers,
            signature=read_signature(members.inner("signature")),
        )


def format_of(data: bytes) -> str:
    """Return which of these files it says that it is; raises `SignoffMalformed`."""
    return _parse(data).text("format")


def batch_file(
    batch: Batch, policy: Policy, returns: Sequence[ReturnLine], packs: Sequence[bytes]
) -> bytes:
    """Return the file of a batch for its approvers."""
    return _dump(
        BATCH_FORMAT,
        {
            "packs": [_b64(each) for each in packs],
            "policy": policy.statement().decode(),
            "returns": [
                {
                    "core": _b64(each.core.body),
                    "header": _b64(each.header),
                    "salt": _b64(each.core.salt),
                    "seq": each.seq,
                }
                for each in returns
            ],
            "statement": batch.statement().decode(),
        },
    )


def open_batch_file(data: bytes) -> OpenedBatch:
    """Return what a batch file shows, recomputed from its own bytes.

    1. The policy is the one that the statement names.
    2. The headers have the root.
    3. Each is a return of the form and period, by the node whose journal it is.
    4. The figures are what their headers commit to; packs are those that headers name.

    Raises:
        SignoffMalformed, SignoffPolicyUnknown, SignoffRootWrong, SignoffForeign,
        PeerError: The first step that fails.
    """
    members = _load(data, BATCH_FORMAT)
    statement = members.text("statement").encode()
    batch = Batch.read(statement)
    policy = Policy.read(members.text("policy").encode())
    check_policy_of(batch, policy)
    lines = [_line(each) for each in members.each("returns", MAX_RETURNS)]
    check_seqs([line.seq for line in lines])
    check_root(batch, [leaf_hash(line.header) for line in lines])
    returns = tuple(_opened(line, batch) for line in lines)
    named = {each.header.schema_sha256 for each in returns}
    packs = {sha256(body).digest(): body for body in _packs(members)}
    if not packs.keys() <= named:
        raise errors.SignoffForeign(field="pack")
    return OpenedBatch(
        statement=statement, batch=batch, policy=policy, returns=returns, packs=packs
    )


def check_return(header: Header, batch: Batch) -> None:
    """Return only if a header is of a return that a batch may hold.

    Raises:
        SignoffForeign: It is of another kind, node, form or period.
    """
    if header.kind != _SUBMITTED or batch.journal.channel != CHANNEL:
        raise errors.SignoffForeign(field="kind")
    if (header.network, header.node_id) != (batch.network, batch.journal.node_id):
        raise errors.SignoffForeign(field="node")
    schema = header.schema.split("/")
    if len(schema) != 3 or (schema[0], schema[2]) != (batch.pack, batch.form):
        raise errors.SignoffForeign(field="form")
    if header.period != batch.period:
        raise errors.SignoffForeign(field="period")


def policy_file(policy: Policy, previous: Policy | None) -> bytes:
    """Return the file of a proposed policy for those who must sign it."""
    return _dump(
        POLICY_FORMAT,
        {
            "previous": "" if previous is None else previous.statement().decode(),
            "statement": policy.statement().decode(),
        },
    )


def open_policy_file(data: bytes) -> OpenedPolicy:
    """Return what a policy file shows; raises `SignoffMalformed`, `SignoffPolicyInvalid`."""
    members = _load(data, POLICY_FORMAT)
    statement = members.text("statement").encode()
    policy = Policy.read(statement)
    former = members.text("previous").encode()
    previous = Policy.read(former) if former else None
    if policy.previous != (b"" if previous is None else previous.digest()):
        raise errors.SignoffPolicyUnknown
    return OpenedPolicy(statement=statement, policy=policy, previous=previous)


def approver_file(approver: Approver) -> bytes:
    """Return the file by which an approver is named: who they are, and the public key."""
    return _dump(APPROVER_FORMAT, approver_members(approver))


def open_approver_file(data: bytes) -> Approver:
    """Return who a file names; raises `SignoffMalformed`."""
    return read_approver(_load(data, APPROVER_FORMAT))


def _opened(line: ReturnLine, batch: Batch) -> OpenedReturn:
    header = decode_header(line.header)
    check_return(header, batch)
    digest = next((each for each in header.parts if each.name == "core"), None)
    if digest is None:
        raise errors.SignoffMalformed(field="core")
    check_part(digest, line.core)
    return OpenedReturn(seq=line.seq, header=header, core=line.core.body)


def _line(members: Members) -> ReturnLine:
    core = Part(name="core", salt=_bytes(members, "salt"), body=_bytes(members, "core"))
    return ReturnLine(seq=members.number("seq"), header=_bytes(members, "header"), core=core)


def _packs(members: Members) -> list[bytes]:
    return [_decoded(each, "packs") for each in members.list("packs", _MAX_PACKS)]


def _dump(format_: str, members: Mapping[str, object]) -> bytes:
    return canonical({"format": format_, **members})


def _parse(data: bytes) -> Members:
    # In any spelling: the statements in it are canonical, and nothing else is signed.
    return Members.parse(data, errors.SignoffMalformed, limit=MAX_FILE_BYTES)


def _load(data: bytes, format_: str) -> Members:
    members = _parse(data)
    if members.text("format") != format_:
        raise errors.SignoffMalformed(field="format")
    return members


def _bytes(members: Members, field: str) -> bytes:
    return _decoded(members.text(field), field)


def _decoded(value: object, field: str) -> bytes:
    if type(value) is not str:
        raise errors.SignoffMalformed(field=field)
    try:
        return b64decode(value, validate=True)
    except (Base64Error, ValueError):
        raise errors.SignoffMalformed(field=field) from None


def _b64(data: bytes) -> str:
    return b64encode(data).decode()
