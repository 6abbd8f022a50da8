"""Verify evidence without Yidao: `python examples/verify_evidence.py EVIDENCE.zip ROOT.pem`.

Written from public formats (RFC 9162; C2SP signed-note, tlog-checkpoint, tlog-cosignature and
tlog-proof) with nothing but `cryptography`. Whoever trusts nobody writes these lines again.
"""

import sys
import zipfile
from base64 import b64decode
from collections.abc import Iterator
from hashlib import sha256
from json import dumps, loads
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.x509 import load_pem_x509_certificate

Node = tuple[str, str]
"""Network and node id, in hex."""


def check(true: object, otherwise: str) -> None:
    """Stop at the first thing that does not hold."""
    if not true:
        raise ValueError(otherwise)


def fields(data: bytes) -> dict[int, list[bytes]]:
    """Read protobuf as far as a header needs it: the byte strings, by field number."""
    found: dict[int, list[bytes]] = {}
    rest: Iterator[int] = iter(data)
    for tag in rest:
        length = _varint(rest, next(rest))
        if tag & 7 == 2:
            found.setdefault(tag >> 3, []).append(bytes(next(rest) for _ in range(length)))
    return found


def _varint(rest: Iterator[int], byte: int) -> int:
    return byte if byte < 128 else byte - 128 + (_varint(rest, next(rest)) << 7)


def root_of(leaf: bytes, index: int, last: int, path: list[str]) -> bytes:
    """Compute the root that an inclusion path leads to (RFC 9162, 2.1.3.2)."""
    value = sha256(b"\0" + leaf).digest()
    for line in path:
        check(last, "the path is too long")
        pair = (value, b64decode(line))
        if index & 1 or index == last:
            pair = pair[::-1]
            while not index & 1:
                index, last = index >> 1, last >> 1
        value = sha256(b"\1" + pair[0] + pair[1]).digest()
        index, last = index >> 1, last >> 1
    check(last == 0, "the path is too short")
    return value


class Chain:
    """Where nodes stand, in order from the root down, and which keys are theirs in which epoch.

    A node changes its key by a record that the old key and the new one have signed. It ends
    each journal of the old epoch at a size: beyond that the old key is good for nothing.
    """

    def __init__(self, network: str, node: str, journal_key: str, cosign_key: str) -> None:
        self.nodes: dict[Node, str] = {}
        self.epochs: dict[Node, str] = {}
        self.keys: dict[str, bytes] = {}
        self.ends: dict[str, int] = {}
        self.enrol((network, node), "/", journal_key, cosign_key)

    def enrol(self, node: Node, path: str, journal_key: str, cosign_key: str) -> None:
        """Take over who a node is, as whoever stands above it has said."""
        self.nodes[node] = path
        self.open(node, "1", journal_key, cosign_key)

    def open(self, node: Node, epoch: str, journal_key: str, cosign_key: str) -> None:
        """Name a node's two keys in an epoch: that of its journals, that of its cosignatures."""
        name, cosigner = "/".join(node), f"yidao/{'/'.join(node)}/cosign"
        self.epochs[node] = epoch
        self.keys[f"{name}/{epoch}"] = bytes.fromhex(journal_key)
        hint = sha256(f"{cosigner}\n\4".encode() + bytes.fromhex(cosign_key)).digest()[:4]
        self.keys[f"{cosigner}+{hint.hex()}"] = bytes.fromhex(cosign_key)

    def journal_key(self, node: Node, epoch: str) -> bytes:
        """Give the key of a node's journals of one epoch."""
        key = self.keys.get("/".join([*node, epoch]))
        check(key is not None, "an epoch that nothing has opened")
        return key or b""

    def change(self, node: Node, said: dict[str, Any]) -> None:
        """Take over the next epoch of a node, which both of its journal keys have signed."""
        name, before, after = "/".join(node), said["previous"]["epoch"], said["epoch"]
        check(before == self.epochs[node], "not the epoch after the last")
        text = {key: value for key, value in said.items() if not key.endswith("_signature")}
        signed = b"yidao-epoch-v1\n" + dumps(text, sort_keys=True, separators=(",", ":")).encode()
        old, new = self.journal_key(node, before), bytes.fromhex(said["journal_key"])
        for key, which in ((old, "old_signature"), (new, "new_signature")):
            Ed25519PublicKey.from_public_bytes(key).verify(bytes.fromhex(said[which]), signed)
        ends = {
            f"{name}/{end['channel']}/{end['epoch']}": end["size"]
            for end in said["previous"]["cut"]
        }
        self.ends |= {f"{name}/{before}": 0, **ends}
        self.open(node, after, said["journal_key"], said["cosign_key"])

    def cosigners(self, proof: bytes, leaf: bytes, author: Node) -> list[str]:
        """Check that the author's journal holds a leaf; give whose cosignatures are good."""
        head, note = proof.decode().split("\n\n", 1)
        text, lines = note.rsplit("\n\n", 1)
        origin, size, root = text.split("\n")
        _, *node, channel, epoch = origin.split("/")
        check(tuple(node) == author, "another node's journal")
        closed = self.ends.get("/".join([*node, epoch]))
        end = self.ends.get("/".join([*node, channel, epoch]), closed)
        check(end is None or int(size) <= end, "beyond the end of its epoch")
        index, *path = head.split("\n")[1:]
        at = int(index.removeprefix("index "))
        check(0 <= at < int(size), "no place in that tree")
        check(root_of(leaf, at, int(size) - 1, path) == b64decode(root), "not in that tree")
        message, good = text.encode() + b"\n", []
        for _, name, encoded in (line.split(" ") for line in lines.strip().split("\n")):
            hint, signature = b64decode(encoded)[:4], b64decode(encoded)[4:]
            key = self.keys.get(f"{name}+{hint.hex()}")
            if name == origin:
                key = self.journal_key(author, epoch)
                Ed25519PublicKey.from_public_bytes(key).verify(signature, message)
                good.append("author")
            elif key is not None:
                time = b"cosignature/v1\ntime %d\n" % int.from_bytes(signature[:8], "big")
                Ed25519PublicKey.from_public_bytes(key).verify(signature[8:], time + message)
                good.append(name)
        check("author" in good, "not signed by its author")
        return [name for name in good if name != "author"]


def chain_of(files: dict[str, bytes], root_pem: bytes) -> Chain:
    """Go from the root certificate down, step by step."""
    *lines, signature = files["root-statement"].strip().split(b"\n")
    certified = load_pem_x509_certificate(root_pem).public_key()
    check(isinstance(certified, EllipticCurvePublicKey), "no root certificate")
    certified.verify(b64decode(signature), b"\n".join([*lines, b""]), ECDSA(SHA256()))
    network, root, *root_keys = (line.decode() for line in lines[1:])
    chain, author = Chain(network, root, *root_keys), (network, root)
    steps = [name for name in files if name.startswith("chain/") and name.endswith("/header")]
    for step in range(len(steps)):
        header, salt, body, proof = (
            files[f"chain/{step:02}/{name}"]
            for name in ("header", "salt", "body", "proof.tlog-proof")
        )
        of, said, above = fields(header), loads(body), chain.nodes[author]
        check((of[1][0].hex(), of[2][0].hex()) == author, "said by another node")
        check(fields(of[14][0])[2] == [sha256(salt + body).digest()], "another statement")
        if of[4] == [b"node.epoch.opened"]:
            check(said["node_id"] == author[1], "another node's epoch")
            if said["journal_key"] != chain.journal_key(author, chain.epochs[author]).hex():
                # A new key is believed from a journal that the old one has signed.
                chain.cosigners(proof, header, author)
            chain.change(author, said)
            chain.cosigners(proof, header, author)
            continue
        check(of[4] == [b"node.child.enrolled"], "no enrolment")
        chain.cosigners(proof, header, author)
        below = said["path"].startswith(above.rstrip("/") + "/")
        check(below or (step == 0 and said["node_id"] == root), "not below its enroller")
        author = (network, said["node_id"])
        chain.enrol(author, said["path"], said["journal_key"], said["cosign_key"])
    return chain


def verify(evidence: Path, root_pem: Path) -> str:
    """Verify a record, or each record of a return; raises where something does not hold.

    That the records of a return are by those who may decide on it stands in their lines.
    """
    with zipfile.ZipFile(evidence) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    chain = chain_of(files, root_pem.read_bytes())
    names = [name for name in files if name.startswith("record")]
    said, returns = [], set()
    for folder in sorted({name[:10] if "records/" in name else "record" for name in names}):
        header = files[f"{folder}/header"]
        of = fields(header)
        author = (of[1][0].hex(), of[2][0].hex())
        # Those above write too: verdicts on a return, and the standard.
        check(author in [*chain.nodes][0 if "/" in folder else -1 :], "written by another node")
        held_by = chain.cosigners(files[f"{folder}/proof.tlog-proof"], header, author)
        for index, part in enumerate(of.get(14, [])):
            if (body := files.get(f"{folder}/parts/{index}/body")) is not None:
                salted = files[f"{folder}/parts/{index}/salt"] + body
                check(fields(part)[2] == [sha256(salted).digest()], "a part was changed")
        if of[7][0].startswith(b"return/"):
            returns.add(of[7][0])
        kind, actor = of[4][0].decode(), of[5][0].decode()
        said.append(f"{kind} by {actor} at {chain.nodes[author]}, held by {len(held_by)} nodes")
    check(said and len(returns) < 2, "no record, or records of several returns")
    return "\n".join(said)


if __name__ == "__main__":
    print(verify(*map(Path, sys.argv[1:])))
