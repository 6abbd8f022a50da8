"""Checking sign-offs: who signed, whether they are enough, and that these are the returns.

Every step is over values alone, so that each tier and whoever has the evidence come to
the same; see `yidao.sync.signoff` for what is signed.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from yidao.sync import signofferrors as errors
from yidao.sync.errors import SignatureInvalid
from yidao.sync.merkle import EMPTY_FRONTIER, inclusion_proof
from yidao.sync.signoff import (
    MAX_APPROVERS,
    MAX_NUMBER,
    MAX_RETURNS,
    MAX_SPAN,
    Approver,
    Batch,
    Policy,
    Signature,
    batch_text,
    policy_text,
)
from yidao.sync.suite import verify


@dataclass(frozen=True, slots=True, kw_only=True)
class Signer:
    """An approver whose signature was verified, and when they say they signed."""

    approver: Approver
    time_s: int


def verify_policy(
    policy: Policy, signatures: Sequence[Signature], previous: Policy | None
) -> tuple[Signer, ...]:
    """Return who signed a policy, if it may follow `previous`.

    1. It names `previous`, of the same node and of its form or of all, and the next
       version, or neither and version 1.
    2. Every signature is by an approver of either, each key once, and verifies.
    3. Every approver whom it names has signed.
    4. Of the approvers of `previous`, as many have signed as that demands.

    Raises:
        SignoffPolicyUnknown: It follows another policy.
        SignoffApproverUnknown, SignoffSignatureWrong, SignoffTooFew, SignoffMalformed:
            The first step that fails.
    """
    named = b"" if previous is None else previous.digest()
    number = 1 if previous is None else previous.version + 1
    if policy.previous != named or policy.version != number:
        raise errors.SignoffPolicyUnknown
    if previous is not None and not _may_follow(policy, previous):
        raise errors.SignoffPolicyUnknown
    former = previous.approvers if previous else ()
    known = {each.key: each for each in (*former, *policy.approvers)}
    signers = _verified(policy_text, policy.statement(), signatures, known)
    signed = {each.approver.key for each in signers}
    have = sum(each.key in signed for each in policy.approvers)
    if have < len(policy.approvers):
        raise errors.SignoffTooFew(have=have, need=len(policy.approvers))
    if previous is not None:
        _check_count(sum(each.key in signed for each in former), previous.threshold)
    return signers


def verify_batch(
    batch: Batch, signatures: Sequence[Signature], policy: Policy
) -> tuple[Signer, ...]:
    """Return who signed a batch, if they are enough under the policy.

    Raises:
        SignoffPolicyUnknown: It names another policy, or one of another node.
        SignoffApproverUnknown, SignoffSignatureWrong, SignoffTooFew, SignoffMalformed:
            As named.
    """
    check_policy_of(batch, policy)
    known = {each.key: each for each in policy.approvers}
    signers = _verified(batch_text, batch.statement(), signatures, known)
    _check_count(len(signers), policy.threshold)
    return signers


def _may_follow(policy: Policy, previous: Policy) -> bool:
    """A form's own policy may follow the one for all forms."""
    return (policy.network, policy.node_id) == (
        previous.network,
        previous.node_id,
    ) and previous.scope in {"", policy.scope}


def check_policy_of(batch: Batch, policy: Policy) -> None:
    """Return only if a policy is the one that a batch names, and is about its node and form.

    Raises:
        SignoffPolicyUnknown: It is another one.
    """
    named = (policy.digest(), policy.network, policy.node_id)
    if named != (batch.policy, batch.network, batch.journal.node_id):
        raise errors.SignoffPolicyUnknown
    if policy.scope not in {"", f"{batch.pack}/{batch.form}"}:
        raise errors.SignoffPolicyUnknown


def root_of(leaves: Sequence[bytes]) -> bytes:
    """Return the root over leaf hashes in their order."""
    return EMPTY_FRONTIER.append_many(leaves).root()


def check_root(batch: Batch, leaves: Sequence[bytes]) -> None:
    """Return only if these leaf hashes, in this order, are what was signed.

    Raises:
        SignoffRootWrong: They are not.
    """
    if len(leaves) != batch.count or root_of(leaves) != batch.root:
        raise errors.SignoffRootWrong


def path_to_root(leaves: Sequence[bytes], index: int) -> tuple[bytes, ...]:
    """Return the inclusion path of one leaf hash; raises `TreeRangeInvalid`."""
    _, runs = EMPTY_FRONTIER.grow(leaves)
    nodes = {
        (height, first + offset): value
        for height, first, hashes in runs
        for offset, value in enumerate(hashes)
    }
    return tuple(inclusion_proof(len(leaves), index, lambda height, at: nodes[height, at]))


def check_seqs(seqs: Sequence[int]) -> None:
    """Return only if sequence numbers may be those of a batch: ascending, each once, near.

    Raises:
        SignoffMalformed: They are not, or are none or too many.
    """
    if not 1 <= len(seqs) <= MAX_RETURNS or not 0 <= seqs[0] <= seqs[-1] < MAX_NUMBER:
        raise errors.SignoffMalformed(field="seqs")
    if seqs[-1] - seqs[0] >= MAX_SPAN:
        raise errors.SignoffMalformed(field="seqs")
    if any(one >= other for one, other in pairwise(seqs)):
        raise errors.SignoffMalformed(field="seqs")


def check_two_persons(proposed_by: str, confirmed_by: str) -> None:
    """Return only if a policy is the work of two persons.

    Raises:
        SignoffOnePerson: It is not.
    """
    if proposed_by == confirmed_by:
        raise errors.SignoffOnePerson(actor=proposed_by)


def _verified(
    text_of: Callable[[bytes, int], bytes],
    statement: bytes,
    signatures: Sequence[Signature],
    known: Mapping[bytes, Approver],
) -> tuple[Signer, ...]:
    # Sorted and each key once, so that one person never counts twice.
    if len(signatures) > 2 * MAX_APPROVERS or any(
        one.key >= other.key for one, other in pairwise(signatures)
    ):
        raise errors.SignoffMalformed(field="signatures")
    return tuple(_verified_one(text_of, statement, each, known) for each in signatures)


def _verified_one(
    text_of: Callable[[bytes, int], bytes],
    statement: bytes,
    signature: Signature,
    known: Mapping[bytes, Approver],
) -> Signer:
    approver = known.get(signature.key)
    if approver is None:
        raise errors.SignoffApproverUnknown(key=signature.key.hex())
    text = text_of(statement, signature.time_s)
    try:
        verify(approver.suite, approver.key, signature.signature, text)
    except SignatureInvalid:
        raise errors.SignoffSignatureWrong(actor=approver.actor) from None
    return Signer(approver=approver, time_s=signature.time_s)


def _check_count(have: int, need: int) -> None:
    if have < need:
        raise errors.SignoffTooFew(have=have, need=need)
