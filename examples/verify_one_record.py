"""Sixty lines that verify a record: `python examples/verify_one_record.py EVIDENCE.zip ROOT.pem`.

For a record whose nodes all kept their first keys; any other is refused. Revocations are not
looked at. `verify_evidence.py` beside it reads everything that evidence can hold.
"""

import sys
import zipfile
from base64 import b64decode
from hashlib import sha256
from json import loads
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.x509 import load_pem_x509_certificate


def check(true: object) -> None:
    """Stop at the first thing that does not hold."""
    if not true:
        raise ValueError("this evidence proves nothing")


def fields(data: bytes) -> dict[int, bytes]:
    """Read protobuf: the first byte string of each field."""
    found: dict[int, bytes] = {}
    at = 0

    def varint() -> int:
        nonlocal at
        at += 1
        return data[at - 1] if data[at - 1] < 128 else data[at - 1] - 128 + (varint() << 7)

    while at < len(data):
        tag, length = varint(), varint()
        if tag & 7 == 2:
            at, value = at + length, data[at : at + length]
            found.setdefault(tag >> 3, value)
    return found


def held(proof: bytes, header: bytes, network: str, node: str, key: str) -> None:
    """Check that a header is in the node's journal (RFC 9162, signed-note, tlog-proof)."""
    head, text, lines = proof.decode().split("\n\n")
    origin, size, root = text.split("\n")
    check(origin.startswith(f"yidao/{network}/{node}/") and origin.endswith("/1"))
    index, *path = head.split("\n")[1:]
    at, last, value = int(index[6:]), int(size) - 1, sha256(b"\0" + header).digest()
    check(0 <= at <= last)
    for sibling in map(b64decode, path):
        check(last)
        is_right = at & 1 or at == last
        value = sha256(b"\1" + (sibling + value if is_right else value + sibling)).digest()
        while is_right and not at & 1:
            at, last = at >> 1, last >> 1
        at, last = at >> 1, last >> 1
    check(last == 0 and value == b64decode(root))
    [line] = [line for line in lines.split("\n") if line.startswith(f"\u2014 {origin} ")]
    signature = b64decode(line.split(" ")[2])[4:]
    Ed25519PublicKey.from_public_bytes(bytes.fromhex(key)).verify(signature, text.encode() + b"\n")


def verify(evidence: Path, root_pem: Path) -> str:
    """Go from the root certificate down to the record; say its kind, actor and node."""
    with zipfile.ZipFile(evidence) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    *lines, signature = files["root-statement"].strip().split(b"\n")
    certified = load_pem_x509_certificate(root_pem.read_bytes()).public_key()
    assert isinstance(certified, EllipticCurvePublicKey)
    certified.verify(b64decode(signature), b"\n".join([*lines, b""]), ECDSA(SHA256()))
    check(lines[0] == b"yidao-root-v1")
    network, node, key, path, step = *map(bytes.decode, lines[1:4]), "", "chain/00"
    while f"{step}/header" in files:
        header, body = files[f"{step}/header"], files[f"{step}/body"]
        held(files[f"{step}/proof.tlog-proof"], header, network, node, key)
        digest, said = sha256(files[f"{step}/salt"] + body).digest(), loads(body)
        check(fields(header)[4] == b"node.child.enrolled" and said["suite"] == 1)
        check(fields(fields(header)[14])[2] == digest)
        check(said["path"].startswith(path + "/"))
        check(said["path"] != "/" or said["node_id"] == node)
        node, key, path = said["node_id"], said["journal_key"], said["path"].rstrip("/")
        step = f"chain/{int(step[6:]) + 1:02}"
    held(files["record/proof.tlog-proof"], files["record/header"], network, node, key)
    of = fields(files["record/header"])
    if (core := files.get("record/parts/0/body")) is not None:
        check(fields(of[14])[2] == sha256(files["record/parts/0/salt"] + core).digest())
    return f"{of[4].decode()} by {of[5].decode()} at {path or '/'}"


if __name__ == "__main__":
    print(verify(Path(sys.argv[1]), Path(sys.argv[2])))
