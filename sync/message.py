"""What two nodes say to each other over a link, as values.

`yidao.sync.wire` makes bytes of them and back; the session speaks only in them.
Sealed bytes (headers, checkpoints, parts) are carried as they are.
"""

import hashlib
from dataclasses import dataclass
from typing import Final

from yidao.sync.ids import JournalId, Lane, NetworkId, NodeId, Path
from yidao.sync.journal import Seal
from yidao.sync.partsrun import PartsRun
from yidao.sync.record import Part

MAX_FRAME_BYTES: Final = 1 << 20
MAX_CONTROL_BYTES: Final = 1 << 20
MAX_ITEMS: Final = 2_048
# Two of each of 15 tiers, and some; a line of ML-DSA-44 has 3,244 characters of
# base64 behind a name of 78.
MAX_COSIGNATURES: Final = 32
MAX_COSIGNATURE_BYTES: Final = 3_584
MAX_CHECKPOINT_BYTES: Final = 4 * 1024
MAX_RUNS: Final = 2_000
MAX_HOLDINGS: Final = 8_192
MAX_WANTED: Final = 1_024
MAX_HELD: Final = 512
MAX_CLAIMS: Final = 256
# Sixteen enrolments of the deepest node, and three changes of keys for each tier.
MAX_CHAIN: Final = 64
MAX_PROOF_BYTES: Final = 16 * 1024
MAX_CODE_BYTES: Final = 64
MAX_EPOCH_BYTES: Final = 32
MAX_PATH_BYTES: Final = 512
# Positions, sequence numbers and sizes live in signed 64-bit columns.
MAX_NUMBER: Final = (1 << 63) - 1

HASH_BYTES: Final = 32
STORE_ID_BYTES: Final = 16
LIFE_BYTES: Final = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class EnrolmentProof:
    """An enrolment record with its core part and its `.tlog-proof`, exact bytes."""

    header: bytes
    core: Part
    proof: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One segment of the sender's store.

    Attributes:
        position: The sender's store position of the seal's first header.
        cosignatures: Lines on the seal's checkpoint; a sidecar, never sealed.
        parts: Parts of this seal, and parts that were released at this position.
    """

    position: int
    seal: Seal
    cosignatures: tuple[str, ...] = ()
    parts: tuple[PartsRun, ...] = ()

    @property
    def last_position(self) -> int:
        """The sender's store position of the seal's last header."""
        return self.position + len(self.seal.headers) - 1

    @property
    def checkpoint_sha256(self) -> bytes:
        """What a cursor at `last_position` says."""
        return hashlib.sha256(self.seal.checkpoint).digest()


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """The unit of transfer: at least one item of one lane, by ascending position.

    Attributes:
        after_position: Last position of the lane's frame before this one; of a
            session's first frame, the resume point, or 0 where the lane starts over.
        backfill: The items are of a wanted journal; no cursor moves.
        number: Counts a session's frames from 1, in whatever lane; 0 until it is sent.
    """

    lane: Lane
    items: tuple[Item, ...]
    after_position: int = 0
    backfill: bool = False
    number: int = 0

    @property
    def last_position(self) -> int:
        """The sender's store position of the last item's last header."""
        return self.items[-1].last_position


@dataclass(frozen=True, slots=True, kw_only=True)
class Hello:
    """Who is speaking; `chain` from a parent only, root first.

    Attributes:
        life: 16 random bytes of the speaking process, empty from one that has none: a
            life that comes back after another one was heard means two processes.
        replaced: The speaker was told that another process speaks as it, and only says so.
    """

    network: NetworkId
    node_id: NodeId
    store_id: bytes
    path: Path
    epoch: str
    min_version: int = 1
    max_version: int = 1
    chain: tuple[EnrolmentProof, ...] = ()
    life: bytes = b""
    replaced: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class LaneCursor:
    """The receiver's resume point of one lane; `checkpoint_sha256` is empty at 0."""

    lane: Lane
    position: int
    checkpoint_sha256: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Holding:
    """The size that the speaker holds of one journal."""

    journal: JournalId
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """A signed checkpoint of a journal, and where it is a receipt, who cosigned it.

    Attributes:
        checkpoint: The origin's signed note, exact bytes.
        cosignature: Empty, or the line of the node that this is said to.
    """

    journal: JournalId
    checkpoint: bytes
    cosignature: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Resume:
    """Where the speaker stands in the store `store_id` of the other side.

    Attributes:
        held: The newest checkpoint that the speaker holds of each journal of the listener.
        receipts: Checkpoints of the speaker that the listener has cosigned: what the
            listener must still hold, unless it was rolled back.
    """

    store_id: bytes
    credit_bytes: int
    cursors: tuple[LaneCursor, ...] = ()
    holdings: tuple[Holding, ...] = ()
    wanted: tuple[Holding, ...] = ()
    held: tuple[Held, ...] = ()
    receipts: tuple[Held, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Ack:
    """Everything up to `position` is durable; `credit_bytes` come back to the sender."""

    lane: Lane
    position: int
    credit_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """Cosignature lines on the checkpoint of size `size`, on their way to the origin."""

    journal: JournalId
    size: int
    cosignatures: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """The speaker refused the journal from `seq` on."""

    journal: JournalId
    seq: int
    code: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Heartbeat:
    """A droppable sign of life with the speaker's clock, Unix milliseconds."""

    now_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Goodbye:
    """The speaker ends the session."""

    code: str
    retry_after_ms: int = 0


Control = Hello | Resume | Ack | Receipt | Refusal | Heartbeat | Goodbye
