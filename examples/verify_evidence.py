"""Verify evidence without Yidao: `python examples/verify_evidence.py EVIDENCE.zip ROOT.pem`.

Written from public formats (RFC 9162; C2SP signed-note, tlog-checkpoint, tlog-cosignature and
tlog-proof) with nothing but `cryptography`. Whoever trusts nobody writes these lines again.
"""

import sys
import zipfile
from base64 import b64decode
from collections.abc import Iterator
from hashlib import sha256
from json import loads
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.x509 import load_pem_x509_certificate

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


def cosigners(proof: bytes, leaf: bytes, author: Node, keys: dict[str, bytes]) -> list[str]:
    """Check that the author's journal holds a leaf; give whose cosignatures are good."""
    head, note = proof.decode().split("\n\n", 1)
    text, lines = note.rsplit("\n\n", 1)
    origin, size, root = text.split("\n")
    check(tuple(origin.split("/")[1:3]) == author, "another node's journal")
    index, *path = head.split("\n")[1:]
    at = int(index.removeprefix("index "))
    check(0 <= at < int(size), "no place in that tree")
    check(root_of(leaf, at, int(size) - 1, path) == b64decode(root), "not in that tree")
    message, good = text.encode() + b"\n", []
    for _, name, encoded in (line.split(" ") for line in lines.strip().split("\n")):
        signature, key = b64decode(encoded)[4:], keys.get(name)
        if name == origin:
            Ed25519PublicKey.from_public_bytes(keys["/".join(author)]).verify(signature, message)
            good.append("author")
        elif key is not None:
            time = b"cosignature/v1\ntime %d\n" % int.from_bytes(signature[:8], "big")
            Ed25519PublicKey.from_public_bytes(key).verify(signature[8:], time + message)
            good.append(name)
    check("author" in good, "not signed by its author")
    return [name for name in good if name != "author"]


def keys_of(author: Node, journal_key: str, cosign_key: str) -> dict[str, bytes]:
    """Name a node's two keys: that of its journals, and that of its cosignatures."""
    cosigner = f"yidao/{author[0]}/{author[1]}/cosign"
    return {"/".join(author): bytes.fromhex(journal_key), cosigner: bytes.fromhex(cosign_key)}


def chain_of(files: dict[str, bytes], root_pem: bytes) -> tuple[dict[Node, str], dict[str, bytes]]:
    """Go from the root certificate down: where the nodes stand, in order, and their keys."""
    *lines, signature = files["root-statement"].strip().split(b"\n")
    certified = load_pem_x509_certificate(root_pem).public_key()
    check(isinstance(certified, EllipticCurvePublicKey), "no root certificate")
    certified.verify(b64decode(signature), b"\n".join([*lines, b""]), ECDSA(SHA256()))
    network, node, *root_keys = (line.decode() for line in lines[1:])
    author, above = (network, node), "/"
    nodes, keys = {author: above}, keys_of(author, *root_keys)
    chain = [name for name in files if name.startswith("chain/") and name.endswith("/header")]
    for step in range(len(chain)):
        header, salt, body, proof = (
            files[f"chain/{step:02}/{name}"]
            for name in ("header", "salt", "body", "proof.tlog-proof")
        )
        of = fields(header)
        check(of[4] == [b"node.child.enrolled"], "no enrolment")
        check((of[1][0].hex(), of[2][0].hex()) == author, "not enrolled by the node above")
        check(fields(of[14][0])[2] == [sha256(salt + body).digest()], "another enrolment")
        cosigners(proof, header, author, keys)
        enrolled = loads(body)
        below = enrolled["path"].startswith(above.rstrip("/") + "/")
        check(below or (step == 0 and enrolled["node_id"] == node), "not below its enroller")
        author, above = (network, enrolled["node_id"]), enrolled["path"]
        nodes[author] = above
        keys |= keys_of(author, enrolled["journal_key"], enrolled["cosign_key"])
    return nodes, keys


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
    nodes, keys = chain_of(files, root_pem.read_bytes())
    names = [name for name in files if name.startswith("record")]
    said, returns, own = [], set(), []
    for folder in sorted({name[:10] if "records/" in name else "record" for name in names}):
        header = files[f"{folder}/header"]
        of = fields(header)
        author = (of[1][0].hex(), of[2][0].hex())
        # Those above write too: verdicts on a return, and the standard.
        check(author in [*nodes][0 if "/" in folder else -1 :], "written by another node")
        held_by = cosigners(files[f"{folder}/proof.tlog-proof"], header, author, keys)
        for index, part in enumerate(of.get(14, [])):
            if (body := files.get(f"{folder}/parts/{index}/body")) is not None:
                salted = files[f"{folder}/parts/{index}/salt"] + body
                check(fields(part)[2] == [sha256(salted).digest()], "a part was changed")
        if of[7][0].startswith(b"return/"):
            returns.add(of[7][0])
        if of[4][0].startswith(b"signoff.") and author == [*nodes][-1]:
            own.append((of, loads(files[f"{folder}/parts/0/body"])))
        kind, actor = of[4][0].decode(), of[5][0].decode()
        said.append(f"{kind} by {actor} at {nodes[author]}, held by {len(held_by)} nodes")
    for name in (name for name in names if name.endswith("/signed-off")):
        header = files[name.replace("signed-off", "header")]
        said.append(signed_off(files[name], header, own))
    check(said and len(returns) < 2, "no record, or records of several returns")
    return "\n".join(said)


if __name__ == "__main__":
    print(verify(*map(Path, sys.argv[1:])))
