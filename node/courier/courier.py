"""Packs and takes in bundles: the store's side of a session that is written down."""

import asyncio
from collections.abc import Callable, Iterator
from typing import Final

from yidao.node.courier.envelope import Address, open_envelope, seal_envelope
from yidao.node.courier.errors import ParcelForAnother, ParcelPeerUnknown
from yidao.node.keys import KeyFolder
from yidao.node.link.errors import PeerRevoked
from yidao.node.link.hub import Hub
from yidao.node.store.store import Store
from yidao.node.store.transaction import Tx
from yidao.node.store.values import EnrolledNode, Outcome, Peer
from yidao.sync.ids import Lane, Path
from yidao.sync.message import Frame, Resume
from yidao.sync.parcel import (
    Packed,
    Parcel,
    ParcelMalformed,
    TakenIn,
    read_parcel,
    write_parcel,
)
from yidao.sync.routing import is_adjacent
from yidao.sync.wire import encode_frame, with_number

DEFAULT_BYTES: Final = 32 * 1024 * 1024
MAX_BYTES: Final = 64 * 1024 * 1024
_FRAME_BYTES: Final = 256 * 1024
_RECEIPTS: Final = 4_096
_NOWHERE: Final = bytes(16)


class Courier:
    """The bundles of one node."""

    def __init__(
        self, store: Store, hub: Hub, keys: KeyFolder, clock_ms: Callable[[], int]
    ) -> None:
        self._store = store
        self._hub = hub
        self._keys = keys
        self._clock_ms = clock_ms

    def pack(self, path: Path, max_bytes: int = 0) -> Packed:
        """Pack what waits for a neighbour, from where it last said that it stands.

        `max_bytes` counts before compression; 0 means 32 MiB, and 64 MiB is the most.
        Packing moves nothing: until the neighbour's own bundle (or its line) says
        what it holds, the same records go into the next bundle too.

        Raises:
            ParcelPeerUnknown: The path is not this node's parent or child.
        """
        identity = self._store.identity
        known = self._neighbour(self._store.enrolled_at(path), path)
        peer = self._peer(known)
        frames = _Frames(self._store, peer, min(max_bytes or DEFAULT_BYTES, MAX_BYTES))
        resume = Resume(
            store_id=peer.store_id,
            credit_bytes=0,
            cursors=() if peer.store_id == _NOWHERE else self._store.cursors(peer),
        )
        receipts, _ = self._store.receipts(peer, 0, _RECEIPTS)
        parcel = write_parcel(self._hub.hello(), resume, receipts, frames)
        address = Address(
            network=identity.network,
            sender=identity.node_id,
            sender_path=identity.path,
            recipient=known.node_id,
            recipient_path=known.path,
            created_ms=self._clock_ms(),
        )
        file = seal_envelope(
            parcel,
            address,
            signer=self._keys.load_parcel_signer(),
            recipient_key=self._store.keys_of(known.node_id)[-1].cosign_key,
        )
        return Packed(file=file, records=frames.records, left=frames.left)

    async def take_in(self, file: bytes) -> TakenIn:
        """Take in a neighbour's bundle; everything in it is judged as on the link.

        Raises:
            ParcelFileMalformed, ParcelSealed, ParcelSignatureInvalid: The file.
            ParcelForAnother, ParcelPeerUnknown: It is not from a neighbour for this node.
            PeerRevoked: It is from one whose authority was taken away.
            ParcelMalformed, WireError: Its content.
            LaneGap: An earlier bundle is missing; what came before the gap is kept.
        """
        envelope = await asyncio.to_thread(open_envelope, file)
        address, identity = envelope.address, self._store.identity
        here = (identity.network, identity.node_id)
        if (address.network, address.recipient) != here:
            raise ParcelForAnother(path=str(address.recipient_path))
        known = self._neighbour(self._store.enrolled(address.sender), address.sender_path)
        envelope.verify([key.cosign_key for key in self._store.keys_of(known.node_id)])
        box_keys = await asyncio.to_thread(self._keys.load_box_keys)
        parcel = read_parcel(await asyncio.to_thread(envelope.decrypt, box_keys))
        hello = parcel.hello
        if (hello.network, hello.node_id, hello.path) != (
            identity.network,
            known.node_id,
            known.path,
        ):
            raise ParcelMalformed(reason="hello")
        if known.path.is_ancestor_of(identity.path):
            await self._hub.learn_chain(hello)
        peer = Peer(node_id=known.node_id, path=known.path, store_id=hello.store_id)
        return await asyncio.to_thread(self._ingest, peer, parcel, address.created_ms)

    def _ingest(self, peer: Peer, parcel: Parcel, created_ms: int) -> TakenIn:
        store = self._store
        records = duplicates = 0
        refused: list[str] = []
        acked = _acked(store, parcel.resume)

        def note(tx: Tx) -> None:
            for lane, position in acked.items():
                tx.peer_acked(peer, lane, position)
            for receipt in parcel.receipts:
                tx.add_receipt(peer, receipt)

        store.run(note)
        for frame in parcel.frames:
            outcome = _take_frame(store, peer, frame)
            records += outcome.records
            duplicates += outcome.duplicates
            refused += [refusal.code for refusal in outcome.refusals]
        return TakenIn(
            path=peer.path,
            created_ms=created_ms,
            records=records,
            duplicates=duplicates,
            receipts=len(parcel.receipts),
            refused=tuple(refused),
            position=store.last_position(),
        )

    def _neighbour(self, known: EnrolledNode | None, path: Path) -> EnrolledNode:
        own = self._store.identity.path
        if known is None or known.path != path or not is_adjacent(own, path):
            raise ParcelPeerUnknown(path=str(path))
        if known.revoked:
            raise PeerRevoked(path=str(path))
        return known

    def _peer(self, known: EnrolledNode) -> Peer:
        store_id = self._store.store_id_of(known.node_id) or _NOWHERE
        return Peer(node_id=known.node_id, path=known.path, store_id=store_id)


class _Frames:
    """The frames that wait for a peer, read as they are packed.

    Attributes:
        records: Packed so far.
        left: Records that did not fit; known once all was read.
    """

    def __init__(self, store: Store, peer: Peer, max_bytes: int) -> None:
        self._store = store
        self._peer = peer
        self._room_bytes = max_bytes
        self.records = 0
        self.left = 0

    def __iter__(self) -> Iterator[bytes]:
        head = self._store.last_position()
        acked = self._store.acknowledged(self._peer.node_id)
        number = 0
        for lane in Lane:
            after = scanned = acked.get(lane, 0)
            while scanned < head:
                items, scanned = self._store.read_lane(
                    self._peer, lane, scanned, head, _FRAME_BYTES
                )
                if not items:
                    continue
                count = sum(len(item.seal.headers) for item in items)
                if self._room_bytes <= 0:
                    self.left += count
                    continue
                number += 1
                frame = Frame(lane=lane, items=items, after_position=after)
                data = with_number(encode_frame(frame), number)
                self._room_bytes -= len(data)
                self.records += count
                after = items[-1].last_position
                yield data


def _take_frame(store: Store, peer: Peer, frame: Frame) -> Outcome:
    return store.run(lambda tx: tx.ingest(peer, frame))


def _acked(store: Store, resume: Resume) -> dict[Lane, int]:
    """Up to where the sender holds this store's records; 0 where it does not know this store."""
    if resume.store_id != store.store_id:
        return dict.fromkeys(Lane, 0) if resume.cursors else {}
    return {
        cursor.lane: cursor.position if store.cursor_is_ours(cursor) else 0
        for cursor in resume.cursors
    }
