"""What one commit of the model store leaves behind, and what it is made of."""

from dataclasses import dataclass, field
from functools import lru_cache
from hashlib import sha256
from typing import Any

from yidao.sync.epoch import FIRST, EpochKey, EpochOpened
from yidao.sync.ids import JournalId, Lane, NetworkId, NodeId, Path, RecordId
from yidao.sync.journal import JournalState
from yidao.sync.merkle import EMPTY_FRONTIER, leaf_hashes
from yidao.sync.message import Item, LaneCursor, Refusal
from yidao.sync.record import Part, Release
from yidao.sync.record import decode_header as _decode_header
from yidao.sync.suite import ED25519_SHA256, Ed25519Signer

NETWORK = NetworkId(sha256(b"sample network of the simulator").digest()[:16])
OPENED = "node.journal.opened"
ENROLLED = "node.child.enrolled"
ACCEPTED = "reporting.return.accepted"
SUBMITTED = "reporting.return.submitted"

# Thirteen nodes in one process read the same headers.
decode_header = lru_cache(maxsize=16_384)(_decode_header)

RecordKey = tuple[JournalId, int]
# No node of the simulator cosigns, but an epoch names a key for it.
COSIGN_KEY = Ed25519Signer(sha256(b"sample cosigning key").digest()).public_key


@dataclass(frozen=True, slots=True, kw_only=True)
class Enrolled:
    """What a node knows of another: where it stands and its journal key."""

    node_id: NodeId
    path: Path
    public_key: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A record before it has a place."""

    channel: str
    record_id: RecordId
    kind: str = SUBMITTED
    object_id: str = "sample"
    parts: tuple[tuple[Part, int, Release], ...] = ()
    releases: tuple[RecordKey, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What an ingest refused, and which own journals came back with another history."""

    refusals: tuple[Refusal, ...] = ()
    forked: tuple[JournalId, ...] = ()


@dataclass(slots=True)
class State:
    """Everything that one commit leaves behind; replaced, never changed, once made."""

    segments: list[Item] = field(default_factory=list)
    next_position: int = 1
    journals: dict[JournalId, JournalState] = field(default_factory=dict)
    headers: dict[JournalId, tuple[bytes, ...]] = field(default_factory=dict)
    parts: dict[tuple[JournalId, int, str], Part] = field(default_factory=dict)
    released: dict[int, tuple[RecordKey, ...]] = field(default_factory=dict)
    cursors: dict[tuple[NodeId, Lane], tuple[bytes, LaneCursor]] = field(default_factory=dict)
    # How far what was refused reaches; in the order of refusal, since what was refused
    # later may depend on what was first.
    wanted: dict[JournalId, int] = field(default_factory=dict)
    enrolled: dict[NodeId, Enrolled] = field(default_factory=dict)
    declared: set[JournalId] = field(default_factory=set)
    record_ids: dict[RecordId, RecordKey] = field(default_factory=dict)
    # What each node has opened after its first epoch, in order.
    epochs: dict[NodeId, tuple[EpochOpened, ...]] = field(default_factory=dict)
    # Which of its own checkpoints a neighbour has said to hold: the product's receipts.
    receipts: dict[tuple[NodeId, JournalId], bytes] = field(default_factory=dict)
    # Names this line of positions; another line begins where a store was set back.
    store_id: bytes = b""
    decided_position: int = 0
    lane_heads: dict[tuple[bool, Lane], int] = field(default_factory=dict)

    def copy(self) -> "State":
        """Return a state that can be changed without changing this one."""
        return State(**{name: _copied(getattr(self, name)) for name in self.__slots__})

    @property
    def head(self) -> int:
        """The last position."""
        return self.next_position - 1


def _copied(value: Any) -> Any:
    return value.copy() if isinstance(value, list | dict | set) else value


@lru_cache(maxsize=16_384)
def root_of(headers: tuple[bytes, ...]) -> bytes:
    """Return the root of a journal's first records."""
    return EMPTY_FRONTIER.append_many(leaf_hashes(headers)).root()


def live_epoch(state: State, node: Enrolled) -> EpochKey:
    """Return the epoch in which a node writes now, as is known here."""
    opened = state.epochs.get(node.node_id)
    return opened[-1].key if opened else _first(node)


def add_epoch(state: State, opened: EpochOpened) -> None:
    """Note an epoch that was checked."""
    known = state.epochs.get(opened.node_id, ())
    state.epochs[opened.node_id] = (*known, opened)


@lru_cache(maxsize=64)
def _first(node: Enrolled) -> EpochKey:
    return EpochKey(
        epoch=FIRST, suite=ED25519_SHA256, journal_key=node.public_key, cosign_key=COSIGN_KEY
    )
