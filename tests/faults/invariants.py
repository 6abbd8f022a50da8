"""The one checker of all fault tests: what must be true of the stores that a fault left behind.

It reads store files as they lie there, read-only and by its own queries, so that a fault
which the product's reading would hide is seen. The stores of one tree are made into the
views that the simulator's checker knows; beside it stands what only real stores have:
pages, signatures, receipts, acknowledged positions, what clients were told.
"""

import contextlib
import sqlite3
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path

from tests.sim.invariants import (
    NodeView,
    PartKey,
    Promise,
    TreeView,
    always,
    decode_header,
    healed,
    name,
)
from yidao.api.errors import YidaoError
from yidao.node.store.packing import unpack_headers, unpack_parts
from yidao.sync.checkpoint import open_checkpoint as _open_checkpoint
from yidao.sync.checkpoint import verify_cosignature as _verify_cosignature
from yidao.sync.errors import SyncError
from yidao.sync.ids import JournalId, NetworkId, NodeId, cosigner_name
from yidao.sync.ids import Path as TreePath
from yidao.sync.merkle import Frontier, leaf_hashes

# The same signatures are seen on many nodes and at many moments.
open_checkpoint = lru_cache(maxsize=16_384)(_open_checkpoint)
verify_cosignature = lru_cache(maxsize=16_384)(_verify_cosignature)

_CITES = "reporting.return.accepted"


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A cosignature that a store holds: `cosigner` said that it holds `size` records."""

    journal: JournalId
    size: int
    cosigner: NodeId
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """One store, read whole.

    Attributes:
        own: Its node's own journals.
        keys: The signing key and suite of each journal.
        checkpoints: The signed note of each journal by size.
        lanes: For each (journal, end): the store position of the last record, and the lanes
            up and down that a segment goes by.
        acked: (peer, lane) → up to where the peer said that it holds everything.
        cosigner_keys: Every key that a known node may have cosigned with.
        paths: Where the known nodes stand.
        indexed: Record id → store position, as the idempotency index has it.
        positions: The same, as the segments have it.
    """

    folder: Path
    network: NetworkId
    view: NodeView
    own: frozenset[JournalId]
    keys: Mapping[JournalId, tuple[bytes, int]]
    checkpoints: Mapping[JournalId, Mapping[int, bytes]]
    lanes: Mapping[tuple[JournalId, int], tuple[int, int | None, int | None, str | None]]
    acked: Mapping[tuple[NodeId, int], int]
    lines: Sequence[Line]
    cosigner_keys: Mapping[NodeId, Sequence[tuple[bytes, int]]]
    paths: Mapping[NodeId, TreePath]
    indexed: Mapping[bytes, int]
    positions: Mapping[tuple[JournalId, int], int]
    faults: Sequence[str] = field(default=())

    def record_ids(self) -> Counter[tuple[NodeId, bytes]]:
        """How often each record id of each author stands in the store."""
        return Counter(
            (journal.node_id, bytes(decode_header(raw).record_id))
            for journal, headers in self.view.headers.items()
            for raw in headers
        )


def check(
    folders: Sequence[Path],
    *,
    acked: Mapping[Path, Collection[bytes]] | None = None,
    settled: bool = False,
) -> list[str]:
    """Return everything that is wrong with the stores of one tree, as sentences.

    Args:
        folders: Data folders of nodes at rest, or of copies of them. Journals whose author
            is not among them are looked at alone.
        acked: Folder → ids of records that clients of its node were told are durable.
        settled: All faults are over and every node had the time to send everything.
    """
    try:
        stores = [read(folder) for folder in folders]
    except (YidaoError, sqlite3.Error) as error:
        return [f"UNREADABLE: {error}"]
    found = [fault for store in stores for fault in alone(store)]
    found += together(stores, settled=settled)
    for store in stores:
        held = store.record_ids()
        mine = store.view.node_id
        for record_id in (acked or {}).get(store.folder, ()):
            if not held[mine, bytes(record_id)]:
                found.append(f"LOST: record {record_id.hex()} was acknowledged by {store.folder}")
    return found


def alone(store: Held) -> Iterator[str]:
    """What is wrong within one store."""
    where = store.folder.name
    yield from (f"{fault} at {where}" for fault in store.faults)
    yield from (f"{fault} at {where}" for fault in _chain(store))
    yield from (f"{fault} at {where}" for fault in _receipts(store))
    for (author, record_id), times in store.record_ids().items():
        if times > 1:
            yield f"TWICE: record {record_id.hex()} of {author.hex()[:8]} {times} times at {where}"
    for journal in store.own:
        for seq, raw in enumerate(store.view.headers.get(journal, ())):
            record_id = bytes(decode_header(raw).record_id)
            if store.indexed.get(record_id) != store.positions.get((journal, seq)):
                yield f"INDEX: record {record_id.hex()} is not found by its id at {where}"


def together(stores: Sequence[Held], *, settled: bool) -> list[str]:
    """What is wrong between the stores of one tree."""
    known = frozenset(store.view.node_id for store in stores)
    nodes = {store.view.node_id: _among(store.view, known) for store in stores}
    promises = [promise for store in stores for promise in promised(store, known)]
    tree = TreeView(nodes=nodes, promises=promises)
    return healed(tree) if settled else always(tree)


def promised(store: Held, known: Collection[NodeId]) -> Iterator[Promise]:
    """What this store was told that others hold: acknowledged positions, receipts."""
    told = str(store.view.path)
    for line in store.lines:
        if line.cosigner in known and line.journal.node_id in known:
            yield Promise(
                holder=line.cosigner, journal=line.journal, seq=line.size - 1, told_by=told
            )
    for (peer, lane), acked in store.acked.items():
        if peer not in known:
            continue
        is_parent = store.paths.get(peer) == store.view.path.parent
        for (journal, end), (last, up_lane, down_lane, target) in store.lanes.items():
            goes = up_lane == lane if is_parent else down_lane == lane and not target
            if goes and last <= acked and journal.node_id in known and journal.node_id != peer:
                yield Promise(holder=peer, journal=journal, seq=end - 1, told_by=told)


def read(folder: Path) -> Held:
    """Read the store of a node that does not run."""
    connection = sqlite3.connect(f"file:{folder / 'store.db'}?mode=ro", uri=True)
    with contextlib.closing(connection):
        connection.execute("BEGIN")
        return _read(folder, connection)


def _read(folder: Path, conn: sqlite3.Connection) -> Held:
    meta = dict(conn.execute("SELECT key, value FROM meta"))
    node_id, network = NodeId(meta["node_id"]), NetworkId(meta["network"])
    journals = {
        key: (JournalId(node_id=NodeId(node), channel=channel, epoch=epoch), rest)
        for key, node, channel, epoch, *rest in conn.execute(
            "SELECT id, node_id, channel, epoch, own, public_key, suite, frontier FROM journal"
        )
    }
    ids = {key: journal for key, (journal, _) in journals.items()}
    faults = [f"PAGES: {row}" for (row,) in conn.execute("PRAGMA integrity_check") if row != "ok"]
    headers: dict[JournalId, list[bytes]] = {ids[key]: [] for key in ids}
    effects: list[tuple[JournalId, int]] = []
    positions: dict[tuple[JournalId, int], int] = {}
    checkpoints: dict[JournalId, dict[int, bytes]] = {ids[key]: {} for key in ids}
    lanes = {}
    for key, first, position, blob, note, up, down, target in conn.execute(
        "SELECT journal_id, first_seq, position, headers, checkpoint, up_lane, down_lane,"
        " down_target FROM segment ORDER BY position"
    ):
        journal = ids[key]
        raws = unpack_headers(blob)
        if first != len(headers[journal]):
            faults.append(
                f"GAP: {name(journal)} goes on with {first} after {len(headers[journal])}"
            )
        for offset, raw in enumerate(raws):
            headers[journal].append(raw)
            effects.append((journal, first + offset))
            positions[journal, first + offset] = position + offset
        end = first + len(raws)
        checkpoints[journal][end] = note
        lanes[journal, end] = (position + len(raws) - 1, up, down, target)
    faults += _heads(conn, ids, headers, positions)
    parts: dict[PartKey, tuple[bytes, bytes]] = {}
    for key, first, blob in conn.execute("SELECT journal_id, first_seq, blob FROM parts"):
        for seq, part in unpack_parts(first, blob):
            parts[ids[key], seq, part.name] = (part.salt, part.body)
    cosigner_keys: dict[NodeId, list[tuple[bytes, int]]] = {}
    paths: dict[NodeId, TreePath] = {}
    for node, path, cosign_key, suite in conn.execute(
        "SELECT node_id, path, cosign_key, suite FROM enrolment"
    ):
        paths[NodeId(node)] = TreePath.parse(path)
        cosigner_keys.setdefault(NodeId(node), []).append((cosign_key, suite))
    for node, cosign_key, suite in conn.execute("SELECT node_id, cosign_key, suite FROM epoch"):
        cosigner_keys.setdefault(NodeId(node), []).append((cosign_key, suite))
    whole = {journal: tuple(raws) for journal, raws in headers.items() if raws}
    return Held(
        folder=folder,
        network=network,
        view=NodeView(
            node_id=node_id,
            path=paths[node_id],
            headers=whole,
            roots={
                ids[key]: Frontier.from_bytes(rest[3], rest[2]).root()
                for key, (_, rest) in journals.items()
                if rest[1] is not None
            },
            effects=tuple(effects),
            parts=parts,
            releases=_releases(whole),
        ),
        own=frozenset(journal for journal, rest in journals.values() if rest[0]),
        keys={
            journal: (rest[1], rest[2])
            for journal, rest in journals.values()
            if rest[1] is not None
        },
        checkpoints=checkpoints,
        lanes=lanes,
        acked={
            (NodeId(peer), lane): position
            for peer, lane, position in conn.execute(
                "SELECT peer_node_id, lane, position FROM peer_ack"
            )
        },
        lines=[
            Line(journal=ids[key], size=size, cosigner=NodeId(cosigner), text=line)
            for key, size, cosigner, line in conn.execute(
                "SELECT journal_id, size, cosigner, line FROM cosignature"
            )
        ],
        cosigner_keys=cosigner_keys,
        paths=paths,
        indexed=dict(conn.execute("SELECT record_id, position FROM record_id")),
        positions=positions,
        faults=faults,
    )


def _heads(
    conn: sqlite3.Connection,
    ids: Mapping[int, JournalId],
    headers: Mapping[JournalId, Sequence[bytes]],
    positions: Mapping[tuple[JournalId, int], int],
) -> Iterator[str]:
    """What the heads say and the segments do not."""
    for key, size in conn.execute("SELECT id, size FROM journal"):
        held = len(headers[ids[key]])
        if size != held:
            yield f"HEAD: {name(ids[key])} has {held} records, its head says {size}"
    (last,) = conn.execute("SELECT last_position FROM store_head").fetchone()
    if last < max(positions.values(), default=0):
        yield f"HEAD: the store ends at {max(positions.values())}, its head says {last}"


def _chain(store: Held) -> Iterator[str]:
    """Every checkpoint is signed by its journal's key, over the tree that the headers make."""
    for journal, notes in store.checkpoints.items():
        if not notes:
            continue
        if journal not in store.keys:
            yield f"CHAIN: {name(journal)} has records and no key"
            continue
        key, suite = store.keys[journal]
        frontier = Frontier(suite=suite)
        raws = store.view.headers[journal]
        for size, note in sorted(notes.items()):
            frontier = frontier.append_many(leaf_hashes(raws[frontier.size : size], suite))
            try:
                signed = open_checkpoint(note, journal.origin(store.network), key, suite)
            except SyncError as error:
                yield f"CHAIN: {name(journal)} {size} is not signed: {error.code}"
                break
            if (signed.size, signed.root) != (frontier.size, frontier.root()):
                yield f"CHAIN: {name(journal)} {size} is not the tree that was signed"
                break


def _receipts(store: Held) -> Iterator[str]:
    """Every cosignature verifies, on a checkpoint that is here."""
    for line in store.lines:
        note = store.checkpoints.get(line.journal, {}).get(line.size)
        if note is None:
            yield f"RECEIPT: {name(line.journal)} {line.size} is on no checkpoint"
        elif not any(
            _verifies(store.network, line, note, key, suite)
            for key, suite in store.cosigner_keys.get(line.cosigner, ())
        ):
            yield f"RECEIPT: {name(line.journal)} {line.size} does not verify"


def _verifies(network: NetworkId, line: Line, note: bytes, key: bytes, suite: int) -> bool:
    try:
        verify_cosignature(note, line.text, cosigner_name(network, line.cosigner), key, suite)
    except SyncError:
        return False
    return True


def _among(view: NodeView, known: Collection[NodeId]) -> NodeView:
    """The view of a store without the journals of authors that are not looked at."""
    return replace(
        view,
        headers={j: raws for j, raws in view.headers.items() if j.node_id in known},
        roots={j: root for j, root in view.roots.items() if j.node_id in known},
        effects=tuple(each for each in view.effects if each[0].node_id in known),
        parts={key: part for key, part in view.parts.items() if key[0].node_id in known},
    )


def _releases(headers: Mapping[JournalId, Sequence[bytes]]) -> frozenset[tuple[JournalId, int]]:
    """The records that acceptances cite."""
    places = {}
    cited: list[bytes] = []
    for journal, raws in headers.items():
        for seq, raw in enumerate(raws):
            header = decode_header(raw)
            places[bytes(header.record_id)] = (journal, seq)
            if header.kind == _CITES:
                cited += map(bytes, header.causes)
    return frozenset(places[each] for each in cited if each in places)
