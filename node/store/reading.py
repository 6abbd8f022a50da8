"""What is read from a store, each call in a snapshot of its own."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager

from sqlalchemy import Connection, select

from yidao.node.keys import Identity
from yidao.node.store import (
    absences,
    aside,
    epochs,
    problems,
    proving,
    records,
    rootlists,
    tables,
    trust,
)
from yidao.node.store.absences import Gone
from yidao.node.store.journals import head_of
from yidao.node.store.values import (
    EnrolledNode,
    JournalHead,
    Problem,
    Proven,
    StoredRecord,
)
from yidao.sync.enrolment import CosignKey
from yidao.sync.epoch import EpochKey, EpochOpened
from yidao.sync.ids import JournalId, NodeId, Path
from yidao.sync.message import EnrolmentProof
from yidao.sync.record import Part


class StoreReads(ABC):
    """The reading half of a store. Any thread may call it."""

    @property
    @abstractmethod
    def identity(self) -> Identity:
        """The node that the store serves."""

    @abstractmethod
    def read(self) -> AbstractContextManager[Connection]:
        """Open a read-only snapshot."""

    def records(self, after: int, limit: int) -> tuple[StoredRecord, ...]:
        """Return records after a position (see `records.read_records`)."""
        with self.read() as conn:
            return tuple(records.read_records(conn, after, limit)[0])

    def record_at(self, position: int) -> StoredRecord | None:
        """Return the record at a position."""
        with self.read() as conn:
            return records.record_at(conn, position)

    def lookup(self, record_id: bytes) -> int | None:
        """Return the position of an own record."""
        with self.read() as conn:
            return records.position_of_id(conn, record_id)

    def parts_of(
        self, journal_pk: int, seqs: Sequence[int], at_position: int | None = None
    ) -> Mapping[int, Mapping[str, Part]]:
        """Return the parts held of records, by sequence number and name."""
        with self.read() as conn:
            return records.parts_of(conn, journal_pk, seqs, at_position)

    def heads(self) -> tuple[JournalHead, ...]:
        """Return how far every declared journal is held."""
        with self.read() as conn:
            rows = conn.execute(
                select(tables.journal)
                .where(tables.journal.c.public_key.is_not(None))
                .order_by(tables.journal.c.id)
            )
            heads = [head_of(row) for row in rows]
        return tuple(
            JournalHead(
                pk=head.pk,
                journal=head.journal,
                size=head.size,
                root=head.state.frontier.root(),
                checkpoint=head.checkpoint,
                own=head.own,
                quarantine_code=head.quarantine_code,
                quarantined_at_seq=head.quarantined_at_seq,
            )
            for head in heads
        )

    def enrolments(self) -> tuple[EnrolledNode, ...]:
        """Return every node that is enrolled now, by path."""
        return self._enrolments(revoked=False)

    def revoked(self) -> tuple[EnrolledNode, ...]:
        """Return every node that was enrolled and revoked, by path."""
        return self._enrolments(revoked=True)

    def _enrolments(self, *, revoked: bool) -> tuple[EnrolledNode, ...]:
        table = tables.enrolment
        query = select(table).where(table.c.revoked.is_(revoked)).order_by(table.c.path)
        with self.read() as conn:
            return tuple(trust.enrolled_of(row) for row in conn.execute(query))

    def enrolled(self, node_id: NodeId) -> EnrolledNode | None:
        """Return the enrolment of a node."""
        with self.read() as conn:
            return trust.enrolled(conn, node_id)

    def is_aside(self, node_id: NodeId) -> bool:
        """Whether a child's sessions are refused until an operator lets it in again."""
        with self.read() as conn:
            return aside.is_aside(conn, node_id)

    def enrolled_at(self, path: Path) -> EnrolledNode | None:
        """Return the enrolment of the node that stands at a path now."""
        with self.read() as conn:
            return trust.enrolled_at(conn, path)

    def suites(self) -> tuple[int, ...]:
        """Return the suites of all keys that are enrolled, sorted."""
        with self.read() as conn:
            return trust.suites(conn)

    def root_list(self) -> rootlists.HeldRootList | None:
        """Return the root list in force; None in a network without one. Needs no `bind`."""
        with self.read() as conn:
            return rootlists.newest(conn)

    def opened_epochs(self, node_id: NodeId) -> tuple[EpochOpened, ...]:
        """Return the epochs that a node has opened after its first, in order."""
        with self.read() as conn:
            return epochs.opened_of(conn, node_id)

    def position_opened(self, opened: EpochOpened) -> int | None:
        """Return where the record stands that opened an epoch, if it is here."""
        with self.read() as conn:
            return epochs.position_of(conn, opened)

    def keys_of(self, node_id: NodeId) -> tuple[EpochKey, ...]:
        """Return the keys of all epochs of a node, the live one last; none if it is unknown."""
        with self.read() as conn:
            node = trust.enrolled(conn, node_id)
            return () if node is None else epochs.keys_of(conn, node)

    def cosign_keys_of(self, node_id: NodeId) -> tuple[CosignKey, ...]:
        """Return suite and key of every cosignature that a node may have made."""
        with self.read() as conn:
            node = trust.enrolled(conn, node_id)
            return () if node is None else epochs.cosign_keys_of(conn, node)

    def problems(self, *, open_only: bool = True, code: str | None = None) -> tuple[Problem, ...]:
        """Return problems, the latest seen first; with `code` those of that code alone."""
        with self.read() as conn:
            return problems.read_problems(conn, open_only=open_only, code=code)

    def absences(self, journal: JournalId, seq: int) -> tuple[Gone, ...]:
        """Return which parts of a record are gone, and by which records."""
        with self.read() as conn:
            pk = conn.execute(
                select(tables.journal.c.id).where(
                    tables.journal.c.node_id == journal.node_id,
                    tables.journal.c.channel == journal.channel,
                    tables.journal.c.epoch == journal.epoch,
                )
            ).scalar_one()
            return tuple(absences.read_absences(conn, pk, seq, seq + 1))

    def prove(self, position: int) -> Proven:
        """Return a record with its proof (see `proving.prove`)."""
        with self.read() as conn:
            return proving.prove(conn, self.identity, position)

    def prove_epochs(self, node_id: NodeId) -> tuple[EnrolmentProof, ...]:
        """Return the steps by which a node changed keys (see `proving.prove_epochs`)."""
        with self.read() as conn:
            return proving.prove_epochs(conn, self.identity, node_id)
