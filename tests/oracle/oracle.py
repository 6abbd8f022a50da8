"""Recomputes from the leaves' store files what a tree claims. Imports nothing of the project.

    python tests/oracle/oracle.py FOLDER

FOLDER is what `yidao demo --folder FOLDER` leaves: one folder a node. The files are
opened read-only. Everything is read anew here: blobs by their layout
(`node/store/packing.py` describes it), headers by the protobuf wire format,
trees by RFC 6962, figures by `decimal`.
"""

import base64
import hashlib
import json
import sqlite3
import struct
import sys
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path

SUBMITTED = "reporting.return.submitted"
REFUSED = "reporting.return.refused"
ACCEPTED = "reporting.return.accepted"
WHEN_ACCEPTED = 2
TO_THE_ROOT = 15


@dataclass
class Record:
    """One record as a store holds it."""

    journal: tuple[bytes, str, str]
    seq: int
    header: dict[int, list[bytes | int]]
    raw: bytes
    parts: dict[str, tuple[bytes, bytes]] = field(default_factory=dict)

    def text(self, number: int) -> str:
        """A string field of the header; empty if it is not there."""
        values = self.header.get(number)
        return bytes(values[-1]).decode() if values else ""

    def number(self, number: int) -> int:
        """An integer field of the header."""
        return int(self.header.get(number, [0])[-1])

    @property
    def record_id(self) -> bytes:
        """The record's id."""
        return bytes(self.header[3][-1])

    @property
    def digests(self) -> dict[str, dict[int, list[bytes | int]]]:
        """What the header commits to, by part."""
        found = [fields(bytes(each)) for each in self.header.get(14, [])]
        return {bytes(each[1][-1]).decode(): each for each in found}


@dataclass
class Store:
    """One store, read whole."""

    path: Path
    own: set[tuple[bytes, str, str]]
    records: dict[tuple[tuple[bytes, str, str], int], Record]
    copies: Counter[tuple[tuple[bytes, str, str], int]]
    checkpoints: dict[tuple[bytes, str, str], bytes]
    tree_path: str = ""


def fields(data: bytes) -> dict[int, list[bytes | int]]:
    """Split a protobuf message: field number → values, varints as int, the rest as bytes."""
    found: dict[int, list[bytes | int]] = defaultdict(list)
    at = 0
    while at < len(data):
        key, at = varint(data, at)
        if key & 7 == 0:
            value, at = varint(data, at)
            found[key >> 3].append(value)
        elif key & 7 == 2:
            size, at = varint(data, at)
            found[key >> 3].append(data[at : at + size])
            at += size
        else:
            message = f"wire type {key & 7}"
            raise ValueError(message)
    return dict(found)


def varint(data: bytes, at: int) -> tuple[int, int]:
    """Read a base-128 integer; gives it and where it ends."""
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7


def headers_of(blob: bytes) -> list[bytes]:
    """Split a segment's header blob: u32 count, that many u32 lengths, the bytes."""
    (count,) = struct.unpack_from("<I", blob)
    lengths = struct.unpack_from(f"<{count}I", blob, 4)
    at, found = 4 * (count + 1), []
    for length in lengths:
        found.append(blob[at : at + length])
        at += length
    return found


def parts_of(first_seq: int, blob: bytes) -> list[tuple[int, str, bytes, bytes]]:
    """Split a run of parts: (sequence number, name, salt, body)."""
    if blob[:4] == b"\xff\xff\xff\xff":
        return sent_parts(blob)
    (count,) = struct.unpack_from("<I", blob)
    at, found = 4, []
    for _ in range(count):
        offset, name_size, size = struct.unpack_from("<IBI", blob, at)
        at += 9
        name = blob[at : at + name_size].decode()
        at += name_size
        found.append((first_seq + offset, name, blob[at : at + 32], blob[at + 32 : at + 32 + size]))
        at += 32 + size
    return found


def sent_parts(blob: bytes) -> list[tuple[int, str, bytes, bytes]]:
    """Split a run that lies as it travels: u32 how many, then protobuf `PartsRun`."""
    (count,) = struct.unpack_from("<I", blob, 4)
    found = []
    for record in fields(blob[8:]).get(2, []):
        inner = fields(record)
        (seq,) = inner.get(1, [0])
        for part in inner.get(2, []):
            given = fields(part)
            name, salt, body = (given.get(number, [b""])[-1] for number in (1, 2, 3))
            found.append((seq, name.decode(), salt, body))
    if len(found) != count:
        message = "a run of parts is cut"
        raise ValueError(message)
    return found


def tree_root(leaves: list[bytes]) -> bytes:
    """RFC 6962 §2.1."""
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return hashlib.sha256(b"\x00" + leaves[0]).digest()
    split = 1 << ((len(leaves) - 1).bit_length() - 1)
    left, right = tree_root(leaves[:split]), tree_root(leaves[split:])
    return hashlib.sha256(b"\x01" + left + right).digest()


def read_store(folder: Path) -> Store:
    """Read one node's store."""
    connection = sqlite3.connect(f"file:{folder / 'store.db'}?mode=ro", uri=True)
    try:
        connection.execute("BEGIN")
        names, own, checkpoints = {}, set(), {}
        for key, node, channel, epoch, is_own, checkpoint in connection.execute(
            "SELECT id, node_id, channel, epoch, own, checkpoint FROM journal"
        ):
            names[key] = (node, channel, epoch)
            if is_own:
                own.add(names[key])
            if checkpoint is not None:
                checkpoints[names[key]] = checkpoint
        records, copies = {}, Counter()
        for key, first_seq, blob in connection.execute(
            "SELECT journal_id, first_seq, headers FROM segment"
        ):
            for offset, raw in enumerate(headers_of(blob)):
                leaf = (names[key], first_seq + offset)
                copies[leaf] += 1
                records[leaf] = Record(names[key], leaf[1], fields(raw), raw)
        for key, first_seq, blob in connection.execute(
            "SELECT journal_id, first_seq, blob FROM parts"
        ):
            for seq, name, salt, body in parts_of(first_seq, blob):
                records[names[key], seq].parts[name] = (salt, body)
        tree_path = json.loads((folder / "keys" / "identity.json").read_text())["path"]
    finally:
        connection.close()
    return Store(folder, own, records, copies, checkpoints, tree_path)


def faults(store: Store) -> list[str]:
    """What in a store is not what was sealed: roots of all journals, commitments of all parts."""
    found = []
    by_journal: dict[tuple[bytes, str, str], dict[int, Record]] = defaultdict(dict)
    for (journal, seq), record in store.records.items():
        by_journal[journal][seq] = record
        for name, (salt, body) in record.parts.items():
            digest = record.digests.get(name)
            commitment = hashlib.sha256(salt + body).digest()
            if digest is None or digest[2][-1] != commitment or int(digest[3][-1]) != len(body):
                found.append(f"part {journal[1]} {seq} {name}")
    for journal, checkpoint in store.checkpoints.items():
        lines = checkpoint.decode().split("\n")
        leaves = [by_journal[journal][seq].raw for seq in sorted(by_journal[journal])]
        if int(lines[1]) != len(leaves) or base64.b64decode(lines[2]) != tree_root(leaves):
            found.append(f"root {journal[1]}")
    return found


def accepted_ids(stores: dict[str, Store], leaf: Store) -> set[bytes]:
    """Record ids that the leaf's parent accepted."""
    parent = leaf.tree_path.rpartition("/")[0] or "/"
    return {
        bytes(cause)
        for store in stores.values()
        if store.tree_path == parent
        for record in store.records.values()
        if record.journal in store.own and record.text(4) == ACCEPTED
        for cause in record.header.get(9, [])
    }


def newest_accepted(leaves: list[Store], accepted: set[bytes]) -> list[Record]:
    """The newest accepted version of every return of these leaves."""
    newest: dict[tuple[bytes, str], Record] = {}
    for store in leaves:
        for record in store.records.values():
            if record.journal not in store.own or record.record_id not in accepted:
                continue
            key = (record.journal[0], record.text(7))
            if key not in newest or newest[key].number(8) < record.number(8):
                newest[key] = record
    return list(newest.values())


def totals(returns: list[Record]) -> dict[str, dict[str, str]]:
    """Exact sums by `form period`: integers and decimal strings, whatever the field."""
    sums: dict[str, dict[str, Decimal]] = defaultdict(lambda: defaultdict(Decimal))
    for record in returns:
        cell = sums[f"{record.text(10).rpartition('/')[2]} {record.text(12)}"]
        cell["returns"] += 1
        for name, value in json.loads(record.parts["core"][1]).items():
            cell[name] += amount(value)
    return {
        cell: {name: str(value) for name, value in row.items() if value or name == "returns"}
        for cell, row in sorted(sums.items())
    }


def amount(value: object) -> Decimal:
    """A figure of a row; texts and flags count nothing."""
    if isinstance(value, bool) or not isinstance(value, int | str):
        return Decimal(0)
    if isinstance(value, int):
        return Decimal(value)
    whole, point, cents = value.lstrip("-").partition(".")
    return Decimal(value) if point and whole.isdigit() and cents.isdigit() else Decimal(0)


def missing(leaf: Store, root: Store, accepted: set[bytes]) -> list[str]:
    """Records and parts of the leaf's travelling journals that must be at the root and are not."""
    found = []
    distance = leaf.tree_path.count("/") if leaf.tree_path != "/" else 0
    for (journal, seq), record in leaf.records.items():
        channel = journal[1]
        goes = channel == "node" or channel.startswith(f"up:{TO_THE_ROOT}")
        if journal not in leaf.own or not goes:
            continue
        above = root.records.get((journal, seq))
        if above is None or above.raw != record.raw:
            found.append(f"{channel} {seq}")
            continue
        for name, digest in record.digests.items():
            reach, release = int(digest[5][-1]), int(digest[6][-1])
            waits = release == WHEN_ACCEPTED and distance > 1 and record.record_id not in accepted
            if waits or (reach < distance and reach != TO_THE_ROOT):
                continue
            if name not in record.parts or above.parts.get(name) != record.parts[name]:
                found.append(f"{channel} {seq} {name}")
    return found


def duplicates(store: Store) -> int:
    """Leaves that a store holds more than once, and record ids that an author used again."""
    ids = Counter((journal[0], r.record_id) for (journal, _), r in store.records.items())
    return sum(n - 1 for n in (*store.copies.values(), *ids.values()))


def is_below(path: str, other: str) -> bool:
    """Whether one tree path lies strictly below another."""
    return path != other and path.startswith(other.rstrip("/") + "/")


def examine(folder: Path) -> dict[str, object]:
    """Everything that the oracle knows of a folder of nodes."""
    homes = sorted(each.parent for each in folder.glob("*/store.db"))
    stores = {home.name: read_store(home) for home in homes}
    paths = [store.tree_path for store in stores.values()]
    root = next(store for store in stores.values() if store.tree_path == "/")
    leaves = [
        store
        for store in stores.values()
        if not any(is_below(path, store.tree_path) for path in paths)
    ]
    accepted = set().union(*(accepted_ids(stores, leaf) for leaf in leaves))
    own = [r for leaf in leaves for r in leaf.records.values() if r.journal in leaf.own]
    others = [s for s in stores.values() if s is not root]
    return {
        "returns_submitted": sum(record.text(4) == SUBMITTED for record in own),
        "returns_refused": sum(record.text(4) == REFUSED for record in own),
        "returns_accepted": len(accepted),
        "records_at_root": sum(journal not in root.own for journal, _ in root.records),
        "totals": totals(newest_accepted(leaves, accepted)),
        "missing": [f"{s.tree_path} {each}" for s in others for each in missing(s, root, accepted)],
        "duplicated": sum(map(duplicates, stores.values())),
        "faults": [f"{name} {fault}" for name, s in stores.items() for fault in faults(s)],
    }


if __name__ == "__main__":
    print(json.dumps(examine(Path(sys.argv[1])), ensure_ascii=False, indent=1))
