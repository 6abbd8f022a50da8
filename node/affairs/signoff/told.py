"""What the evidence of a return tells of its sign-offs, judged from verified bytes alone.

As every tier judges it, but for one thing: whoever made the file may have left a later
policy out, so that it proves who signed under which policy, and not that the policy
was still in force.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain

from yidao.node.affairs.signoff import records
from yidao.sync.errors import EvidenceIncomplete, EvidenceMismatch
from yidao.sync.evidencefiles import ProvenRecord
from yidao.sync.ids import Path
from yidao.sync.merkle import leaf_hash
from yidao.sync.returnevidence import ReturnEvidence
from yidao.sync.signoff import Batch, Policy
from yidao.sync.signoffcheck import (
    Signer,
    check_two_persons,
    verify_batch,
    verify_policy,
)
from yidao.sync.signofffile import check_return


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyTold:
    """A policy with the records that brought it into force, and the one that it followed."""

    policy: Policy
    proposal: ProvenRecord
    confirmation: ProvenRecord
    previous: "PolicyTold | None"

    @property
    def line(self) -> "tuple[PolicyTold, ...]":
        """This policy and all that it descends from, the root policy last."""
        return (self, *(self.previous.line if self.previous else ()))


@dataclass(frozen=True, slots=True, kw_only=True)
class SignoffTold:
    """A version that is signed off.

    Attributes:
        record: Of the batch.
        filing: The parent believes the root policy; None if the file does not say so.
    """

    version: bytes
    record: ProvenRecord
    batch: Batch
    signers: tuple[Signer, ...]
    policy: PolicyTold
    filing: ProvenRecord | None

    @property
    def background(self) -> tuple[ProvenRecord, ...]:
        """The records that it rests on, besides its own."""
        found = chain.from_iterable((each.proposal, each.confirmation) for each in self.policy.line)
        return (*found, *((self.filing,) if self.filing else ()))


def read_signoffs(
    evidence: ReturnEvidence, versions: Sequence[ProvenRecord]
) -> Mapping[bytes, SignoffTold]:
    """Give the sign-offs of versions, by the headers of those.

    1. Policies are of the node that handed the return in, each confirmed by another
       person than proposed it, signed as it must be, after the one that it follows.
    2. A batch is of that node, later in its journals than its policy, and bears enough
       good signatures.
    3. A version has its place under the root of the batch, and the batch lists where
       it lies.
    4. A filing is of the parent, and is of the root policy of a batch here.
    5. Nothing of it is here for no version.

    Raises:
        EvidenceMismatch: A record does not belong to it.
        EvidenceIncomplete: A record or a part that the claim needs is missing.
        PeerError, CoreMalformed: The first step that fails.
    """
    said = [each for each in evidence.records if each.header.kind in records.ALL]
    origin = evidence.chain[-1]
    own = sorted(
        (each for each in said if each.header.kind in records.OF_NODE), key=_place_in_journals
    )
    if any(each.origin != origin or each.journal.channel != records.CHANNEL for each in own):
        raise EvidenceMismatch(reason="sign-off of another node or journal")
    policies = _policies(own)
    filings = _filings(said, origin.path)
    batches: dict[bytes, ProvenRecord] = {
        each.header.record_id: each for each in own if each.header.kind == records.SIGNED
    }
    found = {}
    for version in versions:
        place = evidence.signed_places.get(version.raw)
        if place is None:
            continue
        record = batches.get(place.batch)
        if record is None:
            raise EvidenceIncomplete(missing="batch of a sign-off")
        core = records.SignedBatch.decode(_core(record))
        batch = Batch.read(core.statement)
        policy = policies.get(batch.policy)
        if policy is None:
            raise EvidenceIncomplete(missing="policy of a sign-off")
        if _place_in_journals(policy.confirmation) > _place_in_journals(record):
            raise EvidenceMismatch(reason="sign-off before its policy")
        signers = verify_batch(batch, core.signatures, policy.policy)
        check_return(version.header, batch)
        place.check(batch, leaf_hash(version.raw))
        listed = core.seqs[place.index : place.index + 1]
        if batch.journal != version.journal or listed != (version.seq,):
            raise EvidenceMismatch(reason="place in a batch")
        found[version.raw] = SignoffTold(
            version=version.raw,
            record=record,
            batch=batch,
            signers=signers,
            policy=policy,
            filing=filings.get(policy.line[-1].policy.digest()),
        )
    used = {each.raw for told in found.values() for each in (told.record, *told.background)}
    if evidence.signed_places.keys() - found or {each.raw for each in said} - used:
        raise EvidenceMismatch(reason="sign-off of no version here")
    return found


def _policies(own: Sequence[ProvenRecord]) -> Mapping[bytes, PolicyTold]:
    """Replay the policies in the order of the journals."""
    proposals: dict[bytes, ProvenRecord] = {}
    found: dict[bytes, PolicyTold] = {}
    for record in own:
        if record.header.kind == records.PROPOSED:
            proposals[record.header.record_id] = record
        elif record.header.kind == records.CONFIRMED:
            told = _confirmed(record, proposals, found)
            found[told.policy.digest()] = told
    return found


def _confirmed(
    record: ProvenRecord,
    proposals: Mapping[bytes, ProvenRecord],
    known: Mapping[bytes, PolicyTold],
) -> PolicyTold:
    proposal = proposals.get((record.header.causes[:1] or (b"",))[0])
    if proposal is None:
        raise EvidenceIncomplete(missing="proposal of a policy")
    check_two_persons(proposal.header.actor, record.header.actor)
    policy = Policy.read(records.Proposal.decode(_core(proposal)).statement)
    if (policy.network, policy.node_id) != (record.header.network, record.header.node_id):
        raise EvidenceMismatch(reason="policy of another node")
    previous = known.get(policy.previous)
    if policy.previous and previous is None:
        raise EvidenceIncomplete(missing="policy before")
    signatures = records.Confirmation.decode(_core(record)).signatures
    verify_policy(policy, signatures, previous.policy if previous else None)
    return PolicyTold(policy=policy, proposal=proposal, confirmation=record, previous=previous)


def _filings(said: Sequence[ProvenRecord], origin: Path) -> Mapping[bytes, ProvenRecord]:
    found = {}
    for record in said:
        if record.header.kind != records.FILED:
            continue
        filing = records.Filing.decode(_core(record))
        if record.origin.path != origin.parent or record.journal.channel != records.CHANNEL:
            raise EvidenceMismatch(reason="filing of another author or journal")
        found[filing.policy] = record
    return found


def _place_in_journals(record: ProvenRecord) -> tuple[int, int]:
    """Order the records of one node's channel: by epoch, then by place."""
    return int(record.journal.epoch.partition("-")[0]), record.seq


def _core(record: ProvenRecord) -> bytes:
    body = record.body("core")
    if body is None:
        raise EvidenceIncomplete(missing=f"core of {record.header.kind}")
    return body
