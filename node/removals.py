"""Removes parts of records: one by an order, or many by age."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from yidao.node.access.actors import authorise
from yidao.node.access.retention import is_kept
from yidao.node.affairs.openbusiness import open_business
from yidao.node.store import absences, pruning
from yidao.node.store.parterrors import PartAbsent, PartPruned, PartRedacted
from yidao.node.store.pruning import KeepRules, PruneOrder
from yidao.node.store.store import Store
from yidao.node.store.transaction import Tx
from yidao.node.store.values import Draft, DraftPart, StoredRecord
from yidao.sync.ids import JournalId
from yidao.sync.partsrun import Absence
from yidao.sync.record import Header, Part, PartDigest
from yidao.sync.removal import (
    KIND_PRUNED,
    KIND_REDACTED,
    Pruning,
    Redaction,
    check_erasable,
    check_texts,
)

PRESENT = "present"
WITHHELD = "withheld"
PRUNED = "pruned"
REDACTED = "redacted"


@dataclass(frozen=True, slots=True, kw_only=True)
class PartState:
    """What a node has of a part, and why not if it has nothing.

    Attributes:
        state: `present`, `withheld`, `pruned` or `redacted`.
        reason: With `basis`, `operator` and `position` from the record that says why;
            empty and 0 where only another node's word is known.
    """

    digest: PartDigest
    state: str
    reason: str = ""
    basis: str = ""
    operator: str = ""
    position: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Redacted:
    """A redaction; `everywhere` says whether it binds others, or this node alone."""

    redaction: Redaction
    position: int
    everywhere: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far a pruning is.

    Attributes:
        position: Looked at up to here, of `up_to`.
        kept: Records that stay for a rule: `audit`, `open`, `unacknowledged`.
    """

    position: int
    up_to: int
    records: int
    bodies_bytes: int
    kept: Mapping[str, int]
    is_last: bool


class Removals:
    """Removals of one node.

    Args:
        locate: Finds where the record of an id lies.
    """

    def __init__(self, store: Store, locate: Callable[[bytes], int | None]) -> None:
        self._store = store
        self._locate = locate

    def states(self, record_id: bytes) -> tuple[PartState, ...]:
        """Return what there is of each part of a record; raises `PartAbsent`."""
        record = self._record(record_id, "")
        held = self._store.parts_of(record.journal_pk, [record.seq]).get(record.seq, {})
        with self._store.read() as conn:
            gone = {
                each.name: each
                for each in absences.read_absences(
                    conn, record.journal_pk, record.seq, record.seq + 1
                )
            }
        found = []
        for digest in record.header.parts:
            if digest.name in held:
                found.append(PartState(digest=digest, state=PRESENT))
            elif digest.name in gone:
                found.append(self._why(digest, gone[digest.name]))
            else:
                found.append(PartState(digest=digest, state=WITHHELD))
        return tuple(found)

    def part(self, record_id: bytes, name: str) -> tuple[Header, Part]:
        """Return a part of a record, and the header that commits to it.

        Raises:
            PartPruned, PartRedacted, PartAbsent: It is not here, and why.
        """
        record = self._record(record_id, name)
        held = self._store.parts_of(record.journal_pk, [record.seq]).get(record.seq, {})
        if name in held:
            return record.header, held[name]
        states = {each.digest.name: each.state for each in self.states(record_id)}
        refused = {PRUNED: PartPruned, REDACTED: PartRedacted}.get(states.get(name, ""), PartAbsent)
        raise refused(part=name, record_id=record_id.hex())

    def redact(
        self,
        record_id: bytes,
        part: str,
        *,
        reason: str,
        basis: str,
        operator: str,
        dry_run: bool = False,
    ) -> Redacted:
        """Erase a part of a record for good, here and, of an own record, wherever it went.

        When this returns, the redaction is durable, views have forgotten the part, and
        its bytes are gone from the files of this node.

        Args:
            record_id: Own, or of a node below.
            part: `pii`, `ext:<path>`, `file:<n>`; `core` of a refused row.
            reason: Why, in words.
            basis: The law, judgment or order that it rests on.
            operator: The actor who decided it.
            dry_run: Say what would go, and write nothing.

        Raises:
            PartAbsent: There is no such record or part.
            PartRedacted: It was erased before.
            PartNotErasable: Others rest on what it says.
            RemovalMalformed: Reason or basis is empty or too long.
            ActorInvalid, ActorElsewhere: The operator is nobody of this node.
        """
        self._authorise(operator)
        record = self._record(record_id, part)
        is_own = record.header.node_id == self._store.identity.node_id
        if record.header.part(part) is None:
            raise PartAbsent(part=part, record_id=record_id.hex())
        check_erasable(record.header.kind, part)
        redaction = Redaction(
            journal=record.journal,
            seq=record.seq,
            record_id=record.header.record_id,
            part=part,
            reason=reason,
            basis=basis,
            operator=operator,
        )
        core = redaction.encode()

        def decide(tx: Tx) -> int:
            if (record.seq, part) in absences.erased(tx.conn, record.journal_pk, [record.seq]):
                raise PartRedacted(part=part, record_id=record_id.hex())
            if dry_run:
                return 0
            draft = Draft(
                record_id=tx.mint(),
                kind=KIND_REDACTED,
                actor=operator,
                object_id=f"part/{record_id.hex()}/{part}",
                object_version=1,
                created_ms=tx.now_ms,
                causes=(record.header.record_id,),
                parts=(DraftPart(name="core", body=core),),
            )
            channel = record.journal.channel if is_own else "local"
            ticket = tx.append(channel, [draft])[0]
            tx.after_commit.append(lambda: placed.append(ticket.position))
            return 1

        placed: list[int] = []
        self._store.run(decide)
        position = placed[0] if placed else 0
        if position:
            self._forget(position)
        return Redacted(redaction=redaction, position=position, everywhere=is_own)

    def prune(self, order: PruneOrder, *, dry_run: bool = False) -> Iterator[Progress]:
        """Remove parts by age, step by step; what was removed stays removed if it is cut short.

        First the projected tables are sealed as they are, so that a rebuild comes to
        the same without the parts.

        Raises:
            PruningUnready: The views do not show everything yet.
            RemovalMalformed: The reason is empty or too long.
            ActorInvalid, ActorElsewhere: The operator is nobody of this node.
        """
        self._authorise(order.operator)
        check_texts(reason=order.reason)
        store = self._store
        up_to = store.last_position() if dry_run else store.seal_snapshot().position
        position, is_last = 0, False
        while not is_last:
            step = self._step(order, position, up_to, dry_run=dry_run)
            position, is_last = step.after, step.is_last
            yield Progress(
                position=up_to if is_last else position,
                up_to=up_to,
                records=step.records,
                bodies_bytes=step.bodies_bytes,
                kept=dict(step.kept),
                is_last=is_last,
            )
        if not dry_run:
            store.checkpoint_wal()

    def _step(
        self, order: PruneOrder, after: int, up_to: int, *, dry_run: bool
    ) -> pruning.PruneStep:
        store = self._store
        own = store.identity
        tickets = []

        def find(tx: Tx) -> pruning.PruneStep:
            rules = KeepRules(is_open=open_business, is_retained=_is_audit, now_ms=tx.now_ms)
            step = pruning.find_step(tx.conn, own, order, rules, after, up_to)
            if step.gone and not dry_run:
                tickets.append(pruning.announce(tx, order, step, up_to))
            return step

        step = store.run(find)
        if tickets:
            position = tickets[0].position
            store.run(lambda tx: pruning.remove(tx, step, position))
        return step

    def _authorise(self, operator: str) -> None:
        """Return only if somebody may remove parts here: nothing brings them back."""
        authorise(operator, self._store.identity.path)

    def _forget(self, position: int) -> None:
        """Wait until views and store have forgotten, and the log of the file with them."""
        store = self._store
        store.applied(position).result()
        store.checkpoint_wal()

    def _record(self, record_id: bytes, part: str) -> StoredRecord:
        position = self._store.lookup(record_id) or self._locate(record_id)
        record = None if position is None else self._store.record_at(position)
        if record is None:
            raise PartAbsent(part=part, record_id=record_id.hex())
        return record

    def _why(self, digest: PartDigest, gone: absences.Gone) -> PartState:
        state = REDACTED if gone.absence is Absence.REDACTED else PRUNED
        record = self._store.record_at(gone.position) if gone.position else None
        core = None if record is None else record.parts.get("core")
        if record is None or core is None:
            return PartState(digest=digest, state=state)
        if record.header.kind == KIND_REDACTED:
            redaction = Redaction.decode(core)
            return PartState(
                digest=digest,
                state=state,
                reason=redaction.reason,
                basis=redaction.basis,
                operator=redaction.operator,
                position=gone.position,
            )
        assert record.header.kind == KIND_PRUNED, "nothing else removes parts"
        pruned = Pruning.decode(core)
        return PartState(
            digest=digest,
            state=state,
            reason=pruned.reason,
            operator=pruned.operator,
            position=gone.position,
        )


def _is_audit(journal: JournalId, header: Header, now_ms: int) -> bool:
    return is_kept(
        channel=journal.channel,
        kind=header.kind,
        created_ms=header.created_ms,
        now_ms=now_ms,
    )
