"""What a client gets about sign-offs."""

from dataclasses import dataclass

from yidao.api.local.v1 import signoff_pb2
from yidao.sync.signoff import Approver


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyProposed:
    """A proposed policy: the file that its approvers sign, and its digest (32 bytes)."""

    file: bytes
    digest: bytes
    position: int


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchPrepared:
    """The file that approvers sign; `left` returns of the choice are not in it."""

    file: bytes
    returns: int
    left: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SignoffPolicy:
    """A policy of a node: see `SignoffPolicy` in `signoff.proto`."""

    path: str
    scope: str
    version: int
    threshold: int
    approvers: tuple[Approver, ...]
    state: str
    digest: bytes
    base: bytes
    proposed_by: str
    confirmed_by: str
    is_reset: bool
    filed_by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SignoffSigner:
    """Who signed, and when by their own clock, in Unix seconds."""

    actor: str
    name: str
    time_s: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SignoffBatch:
    """Returns that are signed off: `threshold` of `approvers` must sign."""

    path: str
    pack: str
    form: str
    period: str
    returns: int
    signers: tuple[SignoffSigner, ...]
    threshold: int
    approvers: int
    submitted_by: str
    created_ms: int
    position: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SignoffRefused:
    """What a node said of its sign-offs and is not believed, with the code of the error."""

    path: str
    kind: str
    code: str
    position: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SignoffWaiting:
    """Returns that wait for a signature, of this node or of a child."""

    path: str
    pack: str
    form: str
    period: str
    returns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SignoffStanding:
    """All that a node knows of sign-offs, newest first.

    Attributes:
        demanded: Forms, `<pack>/<form>`, for which this node demands signatures of its
            children; an empty text is every form.
        demanded_by_parent: Those for which its parent does.
    """

    policies: tuple[SignoffPolicy, ...]
    batches: tuple[SignoffBatch, ...]
    refused: tuple[SignoffRefused, ...]
    waiting: tuple[SignoffWaiting, ...]
    demanded: tuple[str, ...]
    demanded_by_parent: tuple[str, ...]


def standing(answer: signoff_pb2.ListSignoffResponse) -> SignoffStanding:
    """Read an answer."""
    return SignoffStanding(
        policies=tuple(_policy(each) for each in answer.policies),
        batches=tuple(_batch(each) for each in answer.batches),
        refused=tuple(
            SignoffRefused(path=each.path, kind=each.kind, code=each.code, position=each.position)
            for each in answer.refused
        ),
        waiting=tuple(
            SignoffWaiting(
                path=each.path,
                pack=each.pack,
                form=each.form,
                period=each.period,
                returns=each.returns,
            )
            for each in answer.waiting
        ),
        demanded=tuple(answer.demanded),
        demanded_by_parent=tuple(answer.demanded_by_parent),
    )


def _policy(each: signoff_pb2.SignoffPolicy) -> SignoffPolicy:
    return SignoffPolicy(
        path=each.path,
        scope=each.scope,
        version=each.version,
        threshold=each.threshold,
        approvers=tuple(
            Approver(actor=one.actor, name=one.name, key=one.key, suite=one.suite)
            for one in each.approvers
        ),
        state=each.state,
        digest=each.digest,
        base=each.base,
        proposed_by=each.proposed_by,
        confirmed_by=each.confirmed_by,
        is_reset=each.is_reset,
        filed_by=each.filed_by,
    )


def _batch(each: signoff_pb2.SignoffBatch) -> SignoffBatch:
    return SignoffBatch(
        path=each.path,
        pack=each.pack,
        form=each.form,
        period=each.period,
        returns=each.returns,
        signers=tuple(
            SignoffSigner(actor=one.actor, name=one.name, time_s=one.time_s) for one in each.signers
        ),
        threshold=each.threshold,
        approvers=each.approvers,
        submitted_by=each.submitted_by,
        created_ms=each.created_ms,
        position=each.position,
    )
