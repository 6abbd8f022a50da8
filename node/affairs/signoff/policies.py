"""Naming approvers: proposed by one person, signed by the approvers, confirmed by another."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import select

from yidao.node.affairs.desk import Desk, Placed
from yidao.node.affairs.signoff import records
from yidao.node.affairs.signoff.errors import (
    SignoffFilingUnknown,
    SignoffMixed,
    SignoffScopeInvalid,
)
from yidao.node.affairs.signoff.queries import policy_in_force
from yidao.node.affairs.signoff.tables import signoff_policy
from yidao.node.store.values import Draft, DraftPart
from yidao.sync.signoff import Approver, Policy, Signature, is_scope
from yidao.sync.signoffcheck import check_two_persons, verify_policy
from yidao.sync.signofferrors import SignoffPolicyUnknown
from yidao.sync.signofffile import SignatureFile, policy_file


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposed:
    """A policy that waits for signatures, and the file that its approvers sign."""

    policy: Policy
    file: bytes
    position: int


class Policies:
    """Writes policies, filings and demands."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def propose(
        self,
        actor: str,
        scope: str,
        threshold: int,
        approvers: Sequence[Approver],
        *,
        reset: bool = False,
    ) -> Proposed:
        """Propose who signs for a form, or for all that have no policy of their own.

        It follows the policy in force, whose approvers must sign it too. With `reset` it
        follows none: for keys that are lost. Every tier shows that, and the parent must
        file it anew.

        Raises:
            SignoffScopeInvalid: The scope is none.
            SignoffPolicyInvalid: The approvers cannot be.
            ActorInvalid, ActorElsewhere: The actor may not act here.
        """
        desk = self._desk
        author = str(desk.authorise(actor))
        check_scope(scope)
        with desk.deciding():
            with desk.read() as conn:
                row = policy_in_force(conn, desk.identity.node_id, scope)
            former = None if row is None or reset else Policy.read(bytes(row.statement))
            policy = Policy(
                network=desk.identity.network,
                node_id=desk.identity.node_id,
                path=desk.path,
                scope=scope,
                version=1 if former is None else former.version + 1,
                threshold=threshold,
                approvers=tuple(sorted(approvers, key=lambda each: each.actor)),
                made_ms=desk.clock_ms(),
                previous=b"" if former is None else former.digest(),
            )
            core = records.Proposal(statement=policy.statement()).encode()
            position = self._append(
                records.CHANNEL,
                kind=records.PROPOSED,
                actor=author,
                object_id=records.policy_object(scope),
                object_version=policy.version,
                core=core,
            )
        return Proposed(policy=policy, file=policy_file(policy, former), position=position)

    def confirm(self, actor: str, files: Sequence[SignatureFile]) -> Placed:
        """Let a proposed policy come into force, with the signatures of its approvers.

        Raises:
            SignoffMixed: The files are of several statements, or there is none.
            SignoffPolicyUnknown: It is not proposed here, or follows another policy.
            SignoffOnePerson: The actor proposed it.
            SignoffApproverUnknown, SignoffSignatureWrong, SignoffTooFew: See `verify_policy`.
            ActorInvalid, ActorElsewhere: The actor may not act here.
        """
        desk = self._desk
        author = str(desk.authorise(actor))
        policy = Policy.read(one_statement(files))
        table = signoff_policy.c
        with desk.deciding():
            with desk.read() as conn:
                proposal = conn.execute(
                    select(signoff_policy).where(
                        table.node_id == desk.identity.node_id,
                        table.digest == policy.digest(),
                        table.confirmed_at == 0,
                    )
                ).first()
                if proposal is None:
                    raise SignoffPolicyUnknown
                row = policy_in_force(conn, desk.identity.node_id, policy.scope)
            check_two_persons(proposal.proposed_by, author)
            former = Policy.read(bytes(row.statement)) if row and policy.previous else None
            signatures = merged(files)
            verify_policy(policy, signatures, former)
            position = self._append(
                records.CHANNEL,
                kind=records.CONFIRMED,
                actor=author,
                object_id=records.policy_object(policy.scope),
                object_version=policy.version,
                core=records.Confirmation(signatures=signatures).encode(),
                causes=(bytes(proposal.record_id),),
            )
        return Placed(position=position, record_id=b"")

    def file(self, actor: str, policy: bytes) -> Placed:
        """Believe a root policy of a child from now on.

        Raises:
            SignoffFilingUnknown: No child has a root policy of that digest in force.
            ActorInvalid, ActorElsewhere: The actor may not act here.
        """
        desk = self._desk
        author = str(desk.authorise(actor))
        table = signoff_policy.c
        with desk.deciding():
            with desk.read() as conn:
                row = conn.execute(
                    select(signoff_policy).where(
                        table.digest == policy, table.base == policy, table.confirmed_at > 0
                    )
                ).first()
            node = desk.store.enrolled(Policy.read(bytes(row.statement)).node_id) if row else None
            if node is None or node.path.parent != desk.path:
                raise SignoffFilingUnknown(policy=policy.hex()[:64])
            position = self._append(
                records.CHANNEL,
                kind=records.FILED,
                actor=author,
                object_id=f"signoff/filing/{policy.hex()}",
                object_version=1,
                core=records.Filing(node_id=node.node_id, policy=policy).encode(),
            )
        return Placed(position=position, record_id=b"")

    def demand(self, actor: str, scope: str, *, demanded: bool) -> Placed:
        """Want the signatures of children for a form, or for every form; or want them no longer.

        Raises:
            SignoffScopeInvalid: The scope is none.
            ActorInvalid, ActorElsewhere: The actor may not act here.
        """
        author = str(self._desk.authorise(actor))
        check_scope(scope)
        with self._desk.deciding():
            position = self._append(
                records.DEMAND_CHANNEL,
                kind=records.DEMANDED,
                actor=author,
                object_id=records.demand_object(scope),
                object_version=1,
                core=records.Demand(scope=scope, demanded=demanded).encode(),
            )
        return Placed(position=position, record_id=b"")

    def _append(
        self,
        channel: str,
        *,
        kind: str,
        actor: str,
        object_id: str,
        object_version: int,
        core: bytes,
        causes: tuple[bytes, ...] = (),
    ) -> int:
        return append_one(
            self._desk,
            channel,
            Draft(
                record_id=self._desk.mint(),
                kind=kind,
                actor=actor,
                object_id=object_id,
                object_version=object_version,
                created_ms=self._desk.clock_ms(),
                causes=causes,
                parts=(DraftPart(name="core", body=core),),
            ),
        )


def append_one(desk: Desk, channel: str, draft: Draft) -> int:
    """Append a record and wait until the views show it; give its position."""
    [ticket] = desk.store.run(lambda tx: tx.append(channel, [draft]))
    desk.settle(ticket.position)
    return ticket.position


def check_scope(scope: str) -> None:
    """Return only if a scope is `<pack>/<form>` or empty; raises `SignoffScopeInvalid`."""
    if not is_scope(scope):
        raise SignoffScopeInvalid


def one_statement(files: Sequence[SignatureFile]) -> bytes:
    """Give the statement that all files are of; raises `SignoffMixed`."""
    statements = {(each.statement, each.seqs) for each in files}
    if len(statements) != 1:
        raise SignoffMixed
    return files[0].statement


def merged(files: Sequence[SignatureFile]) -> tuple[Signature, ...]:
    """Give the signatures in order, of each key the first: handing in twice counts once."""
    found: dict[bytes, Signature] = {}
    for each in files:
        found.setdefault(each.signature.key, each.signature)
    return tuple(found[key] for key in sorted(found))
