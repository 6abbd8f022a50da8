"""What goes into the store and comes out of it, as values."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple

from yidao.node.store import errors
from yidao.sync.ids import REACH_ROOT, JournalId, NodeId, Path, RecordId
from yidao.sync.message import Receipt, Refusal
from yidao.sync.mold import Described
from yidao.sync.record import Grade, Header, Part, Release, kind_begins

# A seal with its parts must fit one frame of 1 MiB; the rest is for lengths,
# names, salts and the checkpoint.
MAX_SEGMENT_BYTES: Final = 900 * 1024
MAX_GROUP_RECORDS: Final = 2_000


#: What kinds of programs begin with: nobody folds them, so they are not even read for it.
PROGRAM_KINDS: Final = "app."
_PROGRAM_KINDS: Final = PROGRAM_KINDS.encode()


def is_folded(headers: Iterable[bytes]) -> bool:
    """Whether a projection or a decision may care for one of these records."""
    return not all(kind_begins(each, _PROGRAM_KINDS) for each in headers)


class DraftPart(NamedTuple):
    """A part that is still to be salted."""

    name: str
    body: bytes
    grade: Grade = Grade.L2
    reach: int = REACH_ROOT
    release: Release = Release.AT_ONCE


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft(Described):
    """A record as its author gives it; the store adds network, node and salts.

    Attributes:
        record_id: 16 bytes chosen by the author: the idempotency key.
        created_ms: Unix milliseconds; no part of the content that a repeated
            record id is compared by, since a retry may read the clock again.
        releases: (journal key, sequence number) of records of children whose
            waiting parts go further with this record.
    """

    parts: tuple[DraftPart, ...] = ()
    releases: tuple[tuple[int, int], ...] = ()


@dataclass(slots=True, kw_only=True)
class Ticket:
    """Where an appended record stands; complete once its group is sealed.

    Attributes:
        repeat: The record was there already; the ticket is of the first time.
    """

    record_id: RecordId
    journal: JournalId
    journal_pk: int
    seq: int
    repeat: bool = False
    sealed_at: int | None = None

    @property
    def position(self) -> int:
        """The record's store position; `TicketUnsealed` inside the job that appended it."""
        if self.sealed_at is None:
            raise errors.TicketUnsealed
        return self.sealed_at


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """The other end of a link, as its certificate and its Hello say."""

    node_id: NodeId
    path: Path
    store_id: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredRecord:
    """A record at its position.

    Attributes:
        raw: The header's exact bytes, the leaf of its journal.
        parts: Bodies of the parts that came with it, by name; parts that were
            released later are read by `Reader.parts`.
    """

    position: int
    journal: JournalId
    journal_pk: int
    seq: int
    header: Header
    raw: bytes
    parts: Mapping[str, bytes]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fork:
    """Two signed checkpoints of one journal that no one history has.

    Attributes:
        held: What is here, or what was here first.
        other: The other one.
    """

    journal: JournalId
    held: bytes
    other: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What ingesting one frame did.

    Attributes:
        records: New records.
        duplicates: Records that were held already.
        refusals: For the sender; at most one for a journal, and only what is news.
        refused_items: How many items were refused, news or not: each cost its checks.
        last_position: The last position of this store.
        forked: Own journals of which another history came back.
        receipts: Cosignatures made of what came, for the sender.
    """

    records: int
    duplicates: int
    refusals: tuple[Refusal, ...]
    last_position: int
    refused_items: int = 0
    forked: tuple[Fork, ...] = ()
    receipts: tuple[Receipt, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Proven:
    """A record with its proof, checked before it was given out.

    Attributes:
        proof: A `.tlog-proof` whose checkpoint bears the cosignatures.
        cosigners: Nodes whose cosignatures are on it.
    """

    position: int
    journal: JournalId
    seq: int
    header: bytes
    parts: tuple[Part, ...]
    proof: bytes
    checkpoint: bytes
    cosigners: tuple[NodeId, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class JournalHead:
    """How far a journal is held."""

    pk: int
    journal: JournalId
    size: int
    root: bytes
    checkpoint: bytes | None
    own: bool
    quarantine_code: str | None
    quarantined_at_seq: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class EnrolledNode:
    """An enrolment as the store knows it.

    Attributes:
        parent_id: Who enrolled it; the root's is its own.
        position: Where its record stands; None if it was learned from a chain.
        cosign_pq: A second cosigning key, of ML-DSA-44; b"" for none.
        revoked: Somebody above it took its authority away; its path may have another node.
    """

    node_id: NodeId
    path: Path
    parent_id: NodeId
    journal_key: bytes
    cosign_key: bytes
    suite: int
    tls_sha256: bytes
    ca_sha256: bytes
    position: int | None
    cosign_pq: bytes = b""
    revoked: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """Something that a person should know, until it is mended.

    Attributes:
        journal: Origin text without the network, `<node_id>/<channel>/<epoch>`; "" if none.
        seq: -1 if none.
        times: How often it was seen.
    """

    problem_id: int
    code: str
    journal: str
    seq: int
    peer: bytes
    params: Mapping[str, str | int]
    first_ms: int
    last_ms: int
    times: int
    cleared_ms: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """A place where the store does not hold what was sealed."""

    journal: JournalId
    seq: int
    position: int
    code: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ScrubReport:
    """What a walk over everything stored found."""

    records: int
    parts: int
    faults: tuple[Fault, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class TableDigest:
    """A projected table before and after a rebuild, as SHA-256 over its rows in key order."""

    name: str
    rows: int
    before: bytes
    after: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class RebuildReport:
    """What a rebuild folded and whether it came to the same tables."""

    records: int
    tables: tuple[TableDigest, ...]

    @property
    def equal(self) -> bool:
        """Whether every table came out as it was."""
        return all(table.before == table.after for table in self.tables)
