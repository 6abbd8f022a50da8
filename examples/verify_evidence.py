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

from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.x509 import load_pem_x509_certificate

Node = tuple[str, str]
"""Network and node id, in hex."""
Cuts = dict[str, dict[str, int]]
"""Of a revoked node: how many records of each journal stay valid; of others none."""


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


def cosigners(
    proof: bytes, leaf: bytes, author: Node, keys: dict[str, bytes], cuts: Cuts
) -> list[str]:
    """Check that the author's journal holds a leaf; give whose cosignatures are good."""
    head, note = proof.decode().split("\n\n", 1)
    text, lines = note.rsplit("\n\n", 1)
    origin, size, root = text.split("\n")
    _, *of, channel, epoch = origin.split("/")
    check(tuple(of) == author, "another node's journal")
    index, *path = head.split("\n")[1:]
    at = int(index.removeprefix("index "))
    check(0 <= at < int(size), "no place in that tree")
    if (cut := cuts.get(author[1])) is not None:
        check(at < cut.get(f"{channel}/{epoch}", 0), "written after its node was revoked")
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
            # The word of a revoked node counts for nothing: its key is in other hands.
            good += [name] if name.split("/")[2] not in cuts else []
    check("author" in good, "not signed by its author")
    return [name for name in good if name != "author"]


def keys_of(author: Node, journal_key: str, cosign_key: str) -> dict[str, bytes]:
    """Name a node's two keys: that of its journals, and that of its cosignatures."""
    cosigner = f"yidao/{author[0]}/{author[1]}/cosign"
    return {"/".join(author): bytes.fromhex(journal_key), cosigner: bytes.fromhex(cosign_key)}


def revocations(
    files: dict[str, bytes], nodes: dict[Node, str], keys: dict[str, bytes]
) -> tuple[Cuts, str]:
    """Read what the file says of revocations: the cuts, and who knew of them as of when."""
    if "revocations/state" not in files:
        return {}, ""
    text, line = files["revocations/state"].decode().rstrip("\n").split("\n\n")
    _, network, teller, as_of_ms, count = text.split("\n")
    _, name, encoded = line.split(" ")
    check((network, teller) in nodes, "said by another node")
    check(name == f"yidao/{network}/{teller}/cosign", "signed by another node")
    signed = b64decode(encoded)[4:]
    Ed25519PublicKey.from_public_bytes(keys[name]).verify(signed, text.encode() + b"\n")
    cuts: Cuts = {}
    found = []
    for folder in (f"revocations/{number:02}" for number in range(int(count))):
        header, body = files[f"{folder}/header"], files[f"{folder}/parts/0/body"]
        of, core = fields(header), loads(body)
        author = (of[1][0].hex(), of[2][0].hex())
        check(of[4] == [b"node.child.revoked"] and author in nodes, "no revocation")
        salted = files[f"{folder}/parts/0/salt"] + body
        check(fields(of[14][0])[2] == [sha256(salted).digest()], "another revocation")
        check(core["path"].startswith(nodes[author].rstrip("/") + "/"), "revoked from elsewhere")
        proof = files[f"{folder}/proof.tlog-proof"]
        cosigners(proof, header, author, keys, {})
        found.append(([*nodes].index(author), folder, proof, header, author, core))
    # From the top: what a node wrote beyond its own cut revokes nobody.
    for *_, proof, header, author, core in sorted(found, key=lambda each: each[:2]):
        try:
            cosigners(proof, header, author, keys, cuts)
        except ValueError:
            continue
        sizes = {f"{line['channel']}/{line['epoch']}": line["size"] for line in core["cut"]}
        before = cuts.get(core["node_id"], sizes)
        cuts[core["node_id"]] = {name: min(sizes.get(name, 0), before[name]) for name in before}
    told = f"{len(cuts)} nodes of it were revoked, says {nodes[network, teller]} at {as_of_ms}"
    return cuts, told


def chain_of(
    files: dict[str, bytes], root_pem: bytes, cuts: Cuts
) -> tuple[dict[Node, str], dict[str, bytes]]:
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
        cosigners(proof, header, author, keys, cuts)
        enrolled = loads(body)
        below = enrolled["path"].startswith(above.rstrip("/") + "/")
        check(below or (step == 0 and enrolled["node_id"] == node), "not below its enroller")
        author, above = (network, enrolled["node_id"]), enrolled["path"]
        nodes[author] = above
        keys |= keys_of(author, enrolled["journal_key"], enrolled["cosign_key"])
    return nodes, keys


def verify(evidence: Path, root_pem: Path) -> str:
    """Verify a record, or each record of a return; raises where something does not hold.

    That the records of a return are by those who may decide on it stands in their lines.
    """
    with zipfile.ZipFile(evidence) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    nodes, keys = chain_of(files, root_pem.read_bytes(), {})
    cuts, told = revocations(files, nodes, keys)
    chain_of(files, root_pem.read_bytes(), cuts)
    names = [name for name in files if name.startswith("record")]
    said, returns = [], set()
    for folder in sorted({name[:10] if "records/" in name else "record" for name in names}):
        header = files[f"{folder}/header"]
        of = fields(header)
        author = (of[1][0].hex(), of[2][0].hex())
        # Those above write too: verdicts on a return, and the standard.
        check(author in [*nodes][0 if "/" in folder else -1 :], "written by another node")
        held_by = cosigners(files[f"{folder}/proof.tlog-proof"], header, author, keys, cuts)
        for index, part in enumerate(of.get(14, [])):
            if (body := files.get(f"{folder}/parts/{index}/body")) is not None:
                salted = files[f"{folder}/parts/{index}/salt"] + body
                check(fields(part)[2] == [sha256(salted).digest()], "a part was changed")
        if of[7][0].startswith(b"return/"):
            returns.add(of[7][0])
        kind, actor = of[4][0].decode(), of[5][0].decode()
        said.append(f"{kind} by {actor} at {nodes[author]}, held by {len(held_by)} nodes")
    check(said and len(returns) < 2, "no record, or records of several returns")
    return "\n".join([*said, told] if told else said)


if __name__ == "__main__":
    print(verify(*map(Path, sys.argv[1:])))
