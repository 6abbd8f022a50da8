"""What a session asks of the program around it; one frozen value each."""

from dataclasses import dataclass

from yidao.sync.ids import Lane
from yidao.sync.message import Control, Frame, Held, Hello, LaneCursor, Receipt, Refusal


@dataclass(frozen=True, slots=True, kw_only=True)
class SendControl:
    """Write `message` to the control stream, in order."""

    message: Control


@dataclass(frozen=True, slots=True, kw_only=True)
class SendFrame:
    """Write `data`, the bytes of `frame`, to the data stream, in order."""

    frame: Frame
    data: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """The peer said who it is: check its chain, then call `Session.resume`."""

    hello: Hello


@dataclass(frozen=True, slots=True, kw_only=True)
class Locate:
    """Compare the peer's cursors with our store, then call `Session.located`.

    A cursor is right if its position is the last one of a segment of ours whose
    checkpoint has that SHA-256. The data stream may be opened now.

    Attributes:
        held: What the peer holds of our own journals, unverified.
        receipts: What the peer says that we have cosigned, unverified.
    """

    cursors: tuple[LaneCursor, ...]
    held: tuple[Held, ...] = ()
    receipts: tuple[Held, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Ingest:
    """Store `frame` after all before it; once durable call `Session.ingested`."""

    frame: Frame
    size_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreAck:
    """The peer holds everything of this lane up to `position`, perhaps no more than before.

    Credit has come back in any case: look again whether there is something to read.
    """

    lane: Lane
    position: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreReceipt:
    """Verify and keep the peer's cosignatures."""

    receipt: Receipt


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerRefused:
    """The peer refused a journal of ours or one that we passed on: show it."""

    refusal: Refusal


@dataclass(frozen=True, slots=True, kw_only=True)
class Close:
    """End both streams; the session says nothing more.

    Attributes:
        code: Why: an error's code, or one that the closing side chose.
        by_peer: The peer ended it.
        retry_after_ms: When the peer wants to be dialled again, 0 if it does not say.
    """

    code: str
    by_peer: bool = False
    retry_after_ms: int = 0


Effect = (
    SendControl
    | SendFrame
    | Opened
    | Locate
    | Ingest
    | StoreAck
    | StoreReceipt
    | PeerRefused
    | Close
)
Effects = tuple[Effect, ...]
