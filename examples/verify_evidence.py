"""Verify evidence without Yidao: `python examples/verify_evidence.py EVIDENCE.zip ROOT.pem`.

Written from public formats (RFC 9162; C2SP signed-note, tlog-checkpoint, tlog-cosignature and
tlog-proof) with nothing but `cryptography`. Whoever trusts nobody writes these lines again.
It does Ed25519 and SHA-256; evidence through a node of SM2 and SM3 it refuses by name.
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

# A second cosignature, of ML-DSA-44, is longer; it is passed over.
ED25519_COSIGNATURE_BYTES = 8 + 64
Node = tuple[str, str]
"""Network and node id, in hex."""
Json = dict[str, Any]
Said = tuple[dict[int, list[bytes]], Json]
"""The fields of a header, and its core."""


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
        # Of a revoked node: how many records of each journal stay valid; of others none.
        self.cuts: dict[str, dict[str, int]] = {}
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
        if (cut := self.cuts.get(author[1])) is not None:
            check(at < cut.get(f"{channel}/{epoch}", 0), "written after its node was revoked")
        check(root_of(leaf, at, int(size) - 1, path) == b64decode(root), "not in that tree")
        message, good = text.encode() + b"\n", []
        for _, name, encoded in (line.split(" ") for line in lines.strip().split("\n")):
            hint, signature = b64decode(encoded)[:4], b64decode(encoded)[4:]
            key = self.keys.get(f"{name}+{hint.hex()}")
            if name == origin:
                key = self.journal_key(author, epoch)
                Ed25519PublicKey.from_public_bytes(key).verify(signature, message)
                good.append("author")
            elif key is not None and len(signature) == ED25519_COSIGNATURE_BYTES:
                time = b"cosignature/v1\ntime %d\n" % int.from_bytes(signature[:8], "big")
                Ed25519PublicKey.from_public_bytes(key).verify(signature[8:], time + message)
                # The word of a revoked node counts for nothing: its key is in other hands.
                good += [name] if name.split("/")[2] not in self.cuts else []
        check("author" in good, "not signed by its author")
        return [name for name in good if name != "author"]


def revocations(files: dict[str, bytes], chain: Chain) -> str:
    """Tell the chain what the file says of revocations; say who knew of them, as of when."""
    if "revocations/state" not in files:
        return ""
    text, line = files["revocations/state"].decode().rstrip("\n").split("\n\n")
    _, network, teller, as_of_ms, count = text.split("\n")
    _, name, encoded = line.split(" ")
    check((network, teller) in chain.nodes, "said by another node")
    check(name == f"yidao/{network}/{teller}/cosign", "signed by another node")
    # By whichever of the node's keys: the state is a plain signature, of type 1.
    keys = [key for known, key in chain.keys.items() if known.startswith(f"{name}+")]
    hint, signature = b64decode(encoded)[:4], b64decode(encoded)[4:]
    [key] = [each for each in keys if sha256(f"{name}\n\1".encode() + each).digest()[:4] == hint]
    Ed25519PublicKey.from_public_bytes(key).verify(signature, text.encode() + b"\n")
    found = []
    for folder in (f"revocations/{number:02}" for number in range(int(count))):
        header, body = files[f"{folder}/header"], files[f"{folder}/parts/0/body"]
        of, core = fields(header), loads(body)
        author = (of[1][0].hex(), of[2][0].hex())
        check(of[4] == [b"node.child.revoked"] and author in chain.nodes, "no revocation")
        salted = files[f"{folder}/parts/0/salt"] + body
        check(fields(of[14][0])[2] == [sha256(salted).digest()], "another revocation")
        above = chain.nodes[author].rstrip("/") + "/"
        # By where the node stands in the chain: the path in the record is the author's own word.
        stands = chain.nodes.get((network, core["node_id"]), "")
        is_below = stands.startswith(above) and core["node_id"] != author[1]
        check(is_below and core["path"].startswith(above), "revoked from elsewhere")
        proof = files[f"{folder}/proof.tlog-proof"]
        chain.cosigners(proof, header, author)
        found.append(([*chain.nodes].index(author), folder, proof, header, author, core))
    # From the top: what a node wrote beyond its own cut revokes nobody.
    for *_, proof, header, author, core in sorted(found, key=lambda each: each[:2]):
        try:
            chain.cosigners(proof, header, author)
        except ValueError:
            continue
        sizes = {f"{line['channel']}/{line['epoch']}": line["size"] for line in core["cut"]}
        before = chain.cuts.get(core["node_id"], sizes)
        chain.cuts[core["node_id"]] = {
            name: min(sizes.get(name, 0), before[name]) for name in before
        }
    by = chain.nodes[network, teller]
    return f"{len(chain.cuts)} nodes of it were revoked, says {by} at {as_of_ms}"


def chain_of(files: dict[str, bytes], root_pem: bytes, cuts: dict[str, dict[str, int]]) -> Chain:
    """Go from the root certificate down, step by step, over nothing that lies beyond a cut."""
    *lines, signature = files["root-statement"].strip().split(b"\n")
    certified = load_pem_x509_certificate(root_pem).public_key()
    check(isinstance(certified, EllipticCurvePublicKey), "no root certificate")
    certified.verify(b64decode(signature), b"\n".join([*lines, b""]), ECDSA(SHA256()))
    check(lines[0] == b"yidao-root-v1", "signed with other algorithms: use `yidao evidence verify`")
    network, root, *root_keys = (line.decode() for line in lines[1:])
    chain, author = Chain(network, root, *root_keys), (network, root)
    chain.cuts = cuts
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
            check(said["suite"] == 1, "signed with other algorithms: use `yidao evidence verify`")
            if said["journal_key"] != chain.journal_key(author, chain.epochs[author]).hex():
                # A new key is believed from a journal that the old one has signed.
                chain.cosigners(proof, header, author)
            chain.change(author, said)
            chain.cosigners(proof, header, author)
            continue
        check(of[4] == [b"node.child.enrolled"], "no enrolment")
        check(said["suite"] == 1, "signed with other algorithms: use `yidao evidence verify`")
        chain.cosigners(proof, header, author)
        below = said["path"].startswith(above.rstrip("/") + "/")
        check(below or (step == 0 and said["node_id"] == root), "not below its enroller")
        author = (network, said["node_id"])
        chain.enrol(author, said["path"], said["journal_key"], said["cosign_key"])
    return chain


def signers(core: Json, what: str, statement: str, known: set[str]) -> set[str]:
    """Check approvers' signatures over a statement; give the keys that they are by."""
    for each in core["signatures"]:
        check(each["key"] in known, "signed off by a stranger")
        text = f"yidao/signoff-{what}/v1\ntime {each['time_s']}\n{statement}".encode()
        key = Ed25519PublicKey.from_public_bytes(bytes.fromhex(each["key"]))
        key.verify(bytes.fromhex(each["signature"]), text)
    return {each["key"] for each in core["signatures"]}


def policy_of(digest: str, said: list[Said]) -> Json:
    """Find who may sign: named by two persons, by themselves, and by enough of those before."""
    [(name, proposer, core)] = [
        (of[3][0], of[5][0], core)
        for of, core in said
        if of[4] == [b"signoff.policy.proposed"]
        and sha256(core["statement"].encode()).hexdigest() == digest
    ]
    [(confirmer, signed)] = [
        (of[5][0], core)
        for of, core in said
        if of[4] == [b"signoff.policy.confirmed"] and of[9] == [name]
    ]
    check(proposer != confirmer, "one person alone named those who sign off")
    policy: Json = loads(core["statement"])
    before = policy_of(policy["previous"], said) if policy["previous"] else None
    new, old = ({each["key"] for each in (p or {}).get("approvers", ())} for p in (policy, before))
    by = signers(signed, "policy", core["statement"], new | old)
    check(new <= by, "somebody was named to sign off who did not agree")
    check(not before or len(old & by) >= before["threshold"], "named against those before")
    return policy


def signed_off(place: bytes, header: bytes, said: list[Said]) -> str:
    """Check that a return stands under a root which enough of those who may have signed."""
    _, name, index, *path = place.decode().strip().split("\n")
    [core] = [core for of, core in said if of[3] == [bytes.fromhex(name)]]
    batch = loads(core["statement"])
    at, last = int(index.removeprefix("index ")), batch["count"] - 1
    check(0 <= at <= last, "no place among the returns that are signed off")
    root = root_of(header, at, last, path)
    check(root.hex() == batch["root"], "not among the returns that are signed off")
    policy = policy_of(batch["policy"], said)
    people = {each["key"]: each["actor"] for each in policy["approvers"]}
    by = signers(core, "batch", core["statement"], set(people))
    check(len(by) >= policy["threshold"], "signed off by too few")
    return "signed off by " + ", ".join(sorted(people[key] for key in by))


def verify(evidence: Path, root_pem: Path) -> str:
    """Verify a record, or each record of a return; raises where something does not hold.

    That the records of a return are by those who may decide on it stands in their lines.
    """
    with zipfile.ZipFile(evidence) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    chain = chain_of(files, root_pem.read_bytes(), {})
    told = revocations(files, chain)
    chain_of(files, root_pem.read_bytes(), chain.cuts)
    names = [name for name in files if name.startswith("record")]
    said, returns, own = [], set(), []
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
        if of[4][0].startswith(b"signoff.") and author == [*chain.nodes][-1]:
            own.append((of, loads(files[f"{folder}/parts/0/body"])))
        kind, actor = of[4][0].decode(), of[5][0].decode()
        said.append(f"{kind} by {actor} at {chain.nodes[author]}, held by {len(held_by)} nodes")
    for name in (name for name in names if name.endswith("/signed-off")):
        header = files[name.replace("signed-off", "header")]
        said.append(signed_off(files[name], header, own))
    check(said and len(returns) < 2, "no record, or records of several returns")
    return "\n".join([*said, told] if told else said)


if __name__ == "__main__":
    print(verify(*map(Path, sys.argv[1:])))
