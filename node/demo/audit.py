"""Compares what the nodes of a tree hold, from their store files alone.

Reads the SQLite files read-only, beside the running daemons: what an auditor
with access to the machines would do. Nothing here asks a daemon anything.
"""

import sqlite3
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path as FilePath

from yidao.node.store.packing import unpack_headers, unpack_parts
from yidao.sync.checkpoint import verify_cosignature
from yidao.sync.ids import (
    REACH_ROOT,
    Audience,
    Channel,
    JournalId,
    NetworkId,
    NodeId,
    Path,
    cosigner_name,
)
from yidao.sync.record import Release, decode_header

Leaf = tuple[JournalId, int]

ACCEPTED = "reporting.return.accepted"
SUBMITTED = "reporting.return.submitted"


@dataclass(slots=True)
class Holdings:
    """What one store holds.

    Attributes:
        headers: Header bytes by journal and sequence number.
        parts: (journal, sequence number, part name) → body.
        seen: How many segments hold each leaf; more than one is a duplicate.
    """

    node_id: NodeId
    path: Path
    network: NetworkId
    headers: dict[Leaf, bytes] = field(default_factory=dict)
    parts: dict[tuple[JournalId, int, str], bytes] = field(default_factory=dict)
    seen: Counter[Leaf] = field(default_factory=Counter)
    own: set[JournalId] = field(default_factory=set)

    def accepted(self) -> set[bytes]:
        """Record ids that this node's own journals accept."""
        ids: set[bytes] = set()
        for (journal, _), data in self.headers.items():
            if journal in self.own:
                header = decode_header(data)
                if header.kind == ACCEPTED:
                    ids.update(header.causes)
        return ids


def read_holdings(file: FilePath, node_id: NodeId, path: Path) -> Holdings:
    """Read everything that one store holds."""
    connection = sqlite3.connect(f"file:{file}?mode=ro", uri=True)
    try:
        connection.execute("BEGIN")
        (network,) = connection.execute("SELECT value FROM meta WHERE key = 'network'").fetchone()
        held = Holdings(node_id=node_id, path=path, network=NetworkId(network))
        names: dict[int, JournalId] = {}
        for pk, node, channel, epoch, own in connection.execute(
            "SELECT id, node_id, channel, epoch, own FROM journal"
        ):
            names[pk] = JournalId(node_id=NodeId(node), channel=channel, epoch=epoch)
            if own:
                held.own.add(names[pk])
        for pk, first_seq, blob in connection.execute(
            "SELECT journal_id, first_seq, headers FROM segment"
        ):
            for offset, header in enumerate(unpack_headers(blob)):
                leaf = (names[pk], first_seq + offset)
                held.headers[leaf] = header
                held.seen[leaf] += 1
        for pk, first_seq, blob in connection.execute(
            "SELECT journal_id, first_seq, blob FROM parts"
        ):
            for seq, part in unpack_parts(first_seq, blob):
                held.parts[names[pk], seq, part.name] = part.body
    finally:
        connection.close()
    return held


def missing_above(below: Holdings, above: Holdings, accepted: set[bytes]) -> list[str]:
    """Name what of `below`'s own journals must be at its ancestor `above` and is not.

    Args:
        below: The origin.
        above: An ancestor of it.
        accepted: Record ids accepted by the origin's parent.
    """
    distance = below.path.depth - above.path.depth
    missing = []
    for (journal, seq), data in below.headers.items():
        if journal not in below.own or not _goes_up(journal, distance):
            continue
        if above.headers.get((journal, seq)) != data:
            missing.append(f"{journal.channel} {seq}")
            continue
        header = decode_header(data)
        for digest in header.parts:
            if digest.reach != REACH_ROOT and digest.reach < distance:
                continue
            if (
                digest.release is Release.WHEN_ACCEPTED
                and distance > 1
                and header.record_id not in accepted
            ):
                continue
            key = (journal, seq, digest.name)
            if key not in above.parts or above.parts[key] != below.parts.get(key):
                missing.append(f"{journal.channel} {seq} {digest.name}")
    return missing


def missing_below(above: Holdings, below: Holdings) -> list[str]:
    """Name what of `above`'s own downward journals must be at `below` and is not."""
    missing = []
    for (journal, seq), data in above.headers.items():
        if journal not in above.own:
            continue
        channel = Channel.parse(journal.channel)
        is_meant = channel.audience is Audience.DOWN or (
            channel.audience is Audience.TO and channel.to == below.node_id
        )
        if is_meant and below.headers.get((journal, seq)) != data:
            missing.append(f"{journal.channel} {seq}")
    return missing


def duplicates(stores: Iterable[Holdings]) -> int:
    """Count leaves that a store holds more than once and record ids that an origin used twice."""
    count = 0
    for held in stores:
        count += sum(times - 1 for times in held.seen.values())
        ids = Counter(
            (journal.node_id, decode_header(data).record_id)
            for (journal, _), data in held.headers.items()
        )
        count += sum(times - 1 for times in ids.values())
    return count


def submissions(leaves: Iterable[Holdings]) -> int:
    """Count the submitted returns in the leaves' own journals, every version."""
    return sum(
        decode_header(data).kind == SUBMITTED
        for held in leaves
        for (journal, _), data in held.headers.items()
        if journal in held.own
    )


def cosigners(file: FilePath, network: NetworkId) -> dict[bytes, tuple[str, bytes]]:
    """Every node's cosigning name and key, as the store of the root knows them."""
    connection = sqlite3.connect(f"file:{file}?mode=ro", uri=True)
    try:
        rows = connection.execute("SELECT node_id, cosign_key FROM enrolment").fetchall()
    finally:
        connection.close()
    return {node_id: (cosigner_name(network, node_id), key) for node_id, key in rows}


def verified_receipts(file: FilePath, cosigners: Mapping[bytes, tuple[str, bytes]]) -> int:
    """Count the cosignatures in a node's store that verify, on its own journals.

    Args:
        file: The store of the node whose journals were cosigned.
        cosigners: Node id → (cosigner's key name, its public key).
    """
    connection = sqlite3.connect(f"file:{file}?mode=ro", uri=True)
    try:
        rows = connection.execute(
            "SELECT c.cosigner, c.line, s.checkpoint FROM cosignature c"
            " JOIN journal j ON j.id = c.journal_id AND j.own"
            " JOIN segment s ON s.journal_id = j.id AND s.first_seq + s.record_count = c.size"
        ).fetchall()
    finally:
        connection.close()
    for cosigner, line, checkpoint in rows:
        name, key = cosigners[cosigner]
        verify_cosignature(checkpoint, line, name, key)
    return len(rows)


def _goes_up(journal: JournalId, distance: int) -> bool:
    channel = Channel.parse(journal.channel)
    if channel.audience is Audience.NODE:
        return True
    return channel.audience is Audience.UP and (
        channel.reach == REACH_ROOT or channel.reach >= distance
    )
