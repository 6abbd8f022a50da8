"""Journals: an origin seals headers, every other node extends what it holds by verified seals.

A seal is one commit of one journal: header bytes and the checkpoint that the
origin signed over the tree that they lead to. One signature covers the batch.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from yidao.sync import errors, tiles
from yidao.sync.checkpoint import Checkpoint, open_checkpoint, sign_checkpoint
from yidao.sync.ids import JournalId, NetworkId
from yidao.sync.merkle import EMPTY_FRONTIER, Frontier, leaf_hashes
from yidao.sync.record import MAX_HEADER_BYTES
from yidao.sync.suite import ED25519_SHA256, Signer

MAX_SEAL_RECORDS: Final = 2_000
MAX_SEAL_HEADER_BYTES: Final = 512 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Seal:
    """One commit of one journal, exact bytes.

    Attributes:
        first_seq: Leaf index of the first header.
        headers: 1 to 2,000 headers, 512 KiB in all.
        checkpoint: The origin's signed note of size `end_seq`.
    """

    journal: JournalId
    first_seq: int
    headers: tuple[bytes, ...]
    checkpoint: bytes

    @property
    def end_seq(self) -> int:
        """The journal's size once this seal is held."""
        return self.first_seq + len(self.headers)


@dataclass(frozen=True, slots=True, kw_only=True)
class JournalState:
    """What must be known of a journal to seal or extend it."""

    journal: JournalId
    frontier: Frontier = EMPTY_FRONTIER

    @property
    def size(self) -> int:
        """Number of records held."""
        return self.frontier.size

    @property
    def suite(self) -> int:
        """The suite of the journal's key and tree, as its enrolment or declaration gives it."""
        return self.frontier.suite


@dataclass(frozen=True, slots=True, kw_only=True)
class Sealed:
    """A seal that the origin made, with the state and tile entries to store with it."""

    seal: Seal
    state: JournalState
    tiles: tuple[tiles.TileEntries, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Extended:
    """What a verified seal leads to.

    Attributes:
        duplicate: The seal was held already; `state` is unchanged.
    """

    state: JournalState
    tiles: tuple[tiles.TileEntries, ...]
    duplicate: bool = False


def seal(
    state: JournalState, headers: Sequence[bytes], network: NetworkId, signer: Signer
) -> Sealed:
    """Sign the tree that `headers` extend the journal to.

    The checkpoint must not leave the process before the seal is durable.

    Raises:
        SealEmpty, SealTooLarge: The headers do not fit one seal.
    """
    _check_limits(headers)
    assert signer.suite == state.suite, "a journal is sealed by a key of its suite"
    frontier, entries = tiles.grow(state.frontier, leaf_hashes(headers, state.suite))
    checkpoint = Checkpoint(
        origin=state.journal.origin(network), size=frontier.size, root=frontier.root()
    )
    made = Seal(
        journal=state.journal,
        first_seq=state.size,
        headers=tuple(headers),
        checkpoint=sign_checkpoint(checkpoint, signer),
    )
    grown = JournalState(journal=state.journal, frontier=frontier)
    return Sealed(seal=made, state=grown, tiles=entries)


def extend(state: JournalState, seal: Seal, network: NetworkId, public_key: bytes) -> Extended:
    """Verify a seal against what is held and return what it leads to.

    1. It is of this journal.
    2. It is within the limits.
    3. It begins where the journal ends. A seal that is held whole is a duplicate
       without effect; whether it is also equal is `check_held`'s question.
    4. The checkpoint is signed by the journal's key under the journal's origin.
    5. The checkpoint's size is where the seal ends.
    6. The headers lead from the held frontier to the signed root.

    Args:
        state: What is held, an empty state for a new journal.
        seal: What came; untrusted.
        network: This deployment.
        public_key: The journal's key as its enrolment or declaration gives it.

    Raises:
        PeerError: The first step that fails; `state` is never changed.
    """
    if seal.journal != state.journal:
        raise errors.SealJournalMismatch
    _check_limits(seal.headers)
    if seal.first_seq > state.size:
        raise errors.SealGap(held=state.size, first_seq=seal.first_seq)
    if seal.first_seq < state.size:
        if seal.first_seq < 0 or seal.end_seq > state.size:
            raise errors.SealOverlap(held=state.size, first_seq=seal.first_seq)
        return Extended(state=state, tiles=(), duplicate=True)
    signed = _open(seal, network, public_key, state.suite)
    frontier, entries = tiles.grow(state.frontier, leaf_hashes(seal.headers, state.suite))
    if frontier.root() != signed.root:
        raise errors.SealRootMismatch(size=signed.size)
    grown = JournalState(journal=state.journal, frontier=frontier)
    return Extended(state=grown, tiles=entries)


def check_held(
    seal: Seal,
    held_root: bytes,
    network: NetworkId,
    public_key: bytes,
    suite: int = ED25519_SHA256,
) -> None:
    """Return only if a duplicate seal says of its end what is held there.

    Args:
        seal: A seal that `extend` called a duplicate.
        held_root: The root that is held for size `seal.end_seq`.
        network: This deployment.
        public_key: The journal's key.
        suite: Its suite.

    Raises:
        SealFork: The origin signed another root for that size. The seal and the
            held checkpoint together prove it to anybody.
        PeerError: The seal is not the origin's at all.
    """
    if _open(seal, network, public_key, suite).root != held_root:
        raise errors.SealFork(size=seal.end_seq)


def _open(seal: Seal, network: NetworkId, public_key: bytes, suite: int) -> Checkpoint:
    signed = open_checkpoint(seal.checkpoint, seal.journal.origin(network), public_key, suite)
    if signed.size != seal.end_seq:
        raise errors.SealSizeMismatch(expected=seal.end_seq, found=signed.size)
    return signed


def _check_limits(headers: Sequence[bytes]) -> None:
    if len(headers) > MAX_SEAL_RECORDS:
        raise errors.SealTooLarge(what="records", size=len(headers), limit=MAX_SEAL_RECORDS)
    sizes = [len(header) for header in headers]
    if not sizes or min(sizes) == 0:
        raise errors.SealEmpty
    if max(sizes) > MAX_HEADER_BYTES:
        raise errors.SealTooLarge(what="header", size=max(sizes), limit=MAX_HEADER_BYTES)
    if sum(sizes) > MAX_SEAL_HEADER_BYTES:
        raise errors.SealTooLarge(what="headers", size=sum(sizes), limit=MAX_SEAL_HEADER_BYTES)
