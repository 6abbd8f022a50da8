"""The frozen bytes: whatever changes in the code, these come out and these are accepted.

What a vector claims is also recomputed here with hashlib and `cryptography`
alone, as an outsider would.
"""

import importlib.util
from base64 import b64decode
from hashlib import new, sha256
from pathlib import Path
from types import ModuleType
from typing import Any

import orjson
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PublicKey

from yidao.sync import note
from yidao.sync.checkpoint import open_checkpoint, verify_cosignature
from yidao.sync.enrolment import Enrolment
from yidao.sync.ids import JournalId
from yidao.sync.journal import JournalState, Seal, extend
from yidao.sync.merkle import Frontier, verify_consistency, verify_inclusion
from yidao.sync.proof import parse_proof, verify_proof
from yidao.sync.record import Part, check_part, decode_header
from yidao.sync.suite import SM2_SM3

FOLDER = Path(__file__).parent


def load(name: str) -> Any:
    return orjson.loads((FOLDER / name).read_bytes())


@pytest.fixture(scope="module")
def generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("vector_generator", FOLDER / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_todays_code_makes_exactly_the_frozen_bytes(generator: ModuleType) -> None:
    """Every vector comes out byte for byte as it was first written.

    Signatures of SM2 and ML-DSA-44 hold randomness; the frozen ones are verified below.
    """
    files = {file.name for file in FOLDER.glob("*.json")}
    assert files == set(generator.VECTORS)
    for name, make in generator.VECTORS.items():
        made, frozen = orjson.loads(orjson.dumps(make())), load(name)
        for signed in generator.SIGNED_ANEW.get(name, ()):
            made[signed] = frozen[signed]
        assert made == frozen, name


def test_the_generator_keeps_what_exists(
    generator: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second run changes nothing."""
    monkeypatch.setattr(generator, "FOLDER", tmp_path)
    (tmp_path / "note-v1.json").write_text("kept")
    assert generator.main() == 0
    assert (tmp_path / "note-v1.json").read_text() == "kept"
    assert {file.name for file in tmp_path.iterdir()} == set(generator.VECTORS)
    assert (tmp_path / "seal-v1.json").read_bytes() == (FOLDER / "seal-v1.json").read_bytes()


def test_frozen_headers_are_read_and_hash_to_their_leaves() -> None:
    """Leaf = SHA-256(0x00 || header bytes)."""
    for vector in load("header-v1.json")["headers"].values():
        data = bytes.fromhex(vector["encoded"])
        assert decode_header(data).encode() == data
        assert sha256(b"\x00" + data).hexdigest() == vector["leaf"]


def test_frozen_commitments_are_plain_hashes_that_parts_pass() -> None:
    """Commitment = SHA-256(salt || body), and the header's digests are these."""
    full = decode_header(bytes.fromhex(load("header-v1.json")["headers"]["full"]["encoded"]))
    for vector in load("commitment-v1.json")["parts"]:
        salt, body = bytes.fromhex(vector["salt"]), bytes.fromhex(vector["body"])
        assert sha256(salt + body).hexdigest() == vector["commitment"]
        digest = full.part(vector["name"])
        assert digest is not None
        check_part(digest, Part(name=vector["name"], salt=salt, body=body))


def test_frozen_trees_and_proofs_verify() -> None:
    """Roots, frontiers, inclusion and consistency proofs of sizes 0 to 8."""
    vectors = load("tree-v1.json")
    leaves = [bytes.fromhex(text) for text in vectors["leaf_hashes"]]
    roots = [bytes.fromhex(text) for text in vectors["roots"]]
    assert [sha256(b"\x00" + bytes.fromhex(text)).digest() for text in vectors["leaves"]] == leaves
    for size, root in enumerate(roots):
        frontier = Frontier.from_bytes(bytes.fromhex(vectors["frontiers"][size]))
        assert (frontier.size, frontier.root()) == (size, root)
    assert (len(vectors["inclusion"]), len(vectors["consistency"])) == (36, 28)
    for vector in vectors["inclusion"]:
        path = [bytes.fromhex(text) for text in vector["path"]]
        verify_inclusion(
            leaves[vector["index"]], vector["index"], vector["size"], path, roots[vector["size"]]
        )
    for vector in vectors["consistency"]:
        proof = [bytes.fromhex(text) for text in vector["proof"]]
        old, new = vector["old"], vector["new"]
        verify_consistency(old, new, proof, roots[old], roots[new])


def test_the_specifications_note_opens() -> None:
    """Text and signature of the C2SP example."""
    vector = load("note-v1.json")
    key = note.VerifierKey.parse(vector["vkey"])
    assert note.open_note(vector["note"].encode(), [key]).text == vector["text"]


def test_frozen_seals_extend_a_journal() -> None:
    """A receiver ends at the signed root, and record 1 is proved under it."""
    vector = load("seal-v1.json")
    network, journal = JournalId.parse_origin(vector["origin"])
    key = note.VerifierKey.parse(vector["journal_vkey"]).public_key
    state = JournalState(journal=journal)
    for frozen in vector["seals"]:
        received = Seal(
            journal=journal,
            first_seq=frozen["first_seq"],
            headers=tuple(bytes.fromhex(text) for text in frozen["headers"]),
            checkpoint=frozen["checkpoint"].encode(),
        )
        state = extend(state, received, network, key).state
    newest = open_checkpoint(vector["seals"][-1]["checkpoint"].encode(), vector["origin"], key)
    assert (newest.size, newest.root) == (state.size, state.frontier.root())
    proof = parse_proof(vector["proof"].encode())
    header = bytes.fromhex(vector["seals"][0]["headers"][1])
    assert verify_proof(proof, header, vector["origin"], key) == newest


def test_the_frozen_cosignature_verifies() -> None:
    """Name, key and time are those of the vector."""
    vector = load("seal-v1.json")
    checkpoint = vector["seals"][-1]["checkpoint"].encode()
    key = note.VerifierKey.parse(vector["cosign_vkey"]).public_key
    time_s = verify_cosignature(checkpoint, vector["cosignature"], vector["cosigner"], key)
    assert time_s == vector["cosigned_at_s"]


def test_an_outsider_verifies_the_frozen_proof_without_yidao() -> None:
    """Thirty lines with hashlib and an Ed25519 library, by the C2SP texts alone."""
    vector = load("seal-v1.json")
    head, text, signatures = vector["proof"].split("\n\n")
    lines = head.split("\n")
    assert lines[:2] == ["c2sp.org/tlog-proof@v1", "index 1"]
    left, right = (b64decode(line) for line in lines[2:])
    header = bytes.fromhex(vector["seals"][0]["headers"][1])
    # Index 1 of 3: the sibling stands to the left, the third leaf to the right.
    inner = sha256(b"\x01" + left + sha256(b"\x00" + header).digest()).digest()
    root = sha256(b"\x01" + inner + right).digest()
    origin, size, encoded_root = text.split("\n")
    assert (origin, size, b64decode(encoded_root)) == (vector["origin"], "3", root)

    body = f"{text}\n".encode()
    log_line, cosigner_line = signatures.strip().split("\n")
    log_key, cosigner_key = (
        b64decode(vector[name].split("+", 2)[2]) for name in ("journal_vkey", "cosign_vkey")
    )
    name, payload = log_line.removeprefix("— ").split(" ")
    signed = b64decode(payload)
    assert signed[:4] == sha256(name.encode() + b"\n" + log_key).digest()[:4]
    Ed25519PublicKey.from_public_bytes(log_key[1:]).verify(signed[4:], body)

    name, payload = cosigner_line.removeprefix("— ").split(" ")
    signed = b64decode(payload)
    assert signed[:4] == sha256(name.encode() + b"\n" + cosigner_key).digest()[:4]
    time_s = int.from_bytes(signed[4:12], "big")
    message = f"cosignature/v1\ntime {time_s}\n".encode() + body
    Ed25519PublicKey.from_public_bytes(cosigner_key[1:]).verify(signed[12:], message)


def test_the_frozen_enrolment_is_read() -> None:
    """The core's JSON and the root statement's text keep their form."""
    vector = load("enrolment-v1.json")
    enrolment = Enrolment.decode(vector["core"].encode())
    assert enrolment.encode().decode() == vector["core"]
    assert vector["root_statement_text"] == (
        f"yidao-root-v1\n{vector['network']}\n{enrolment.node_id.hex()}\n"
        f"{enrolment.journal_key.hex()}\n{enrolment.cosign_key.hex()}\n"
    )


def test_frozen_bytes_of_suite_3_and_of_second_cosignatures_verify() -> None:
    """A receiver comes to the frozen root; each line verifies under its key's own type."""
    vector = load("suites-v1.json")
    network, journal = JournalId.parse_origin(vector["origin"])
    key = note.VerifierKey.parse(vector["journal_vkey"])
    checkpoint = vector["checkpoint"].encode()
    headers = tuple(bytes.fromhex(text) for text in vector["headers"])
    received = Seal(journal=journal, first_seq=0, headers=headers, checkpoint=checkpoint)
    state = JournalState(journal=journal, frontier=Frontier(suite=SM2_SM3))
    state = extend(state, received, network, key.public_key).state
    assert state.frontier.root().hex() == vector["root"]
    for suite, line, vkey in (
        (3, "sm2_cosignature", "sm2_cosign_vkey"),
        (4, "mldsa_cosignature", "mldsa_cosign_vkey"),
    ):
        cosigner = note.VerifierKey.parse(vector[vkey])
        assert cosigner.key_type.suite == suite
        time_s = verify_cosignature(
            checkpoint, vector[line], vector["cosigner"], cosigner.public_key, suite
        )
        assert time_s == vector["cosigned_at_s"]


def test_an_outsider_comes_to_the_frozen_bytes_of_suite_3_without_yidao() -> None:
    """SM3 of Python's own library gives the root; `cryptography` verifies ML-DSA-44."""
    vector = load("suites-v1.json")
    headers = [bytes.fromhex(text) for text in vector["headers"]]
    leaves = [sm3(b"\x00" + header) for header in headers]
    assert [leaf.hex() for leaf in leaves] == vector["leaf_hashes"]
    root = sm3(b"\x01" + sm3(b"\x01" + leaves[0] + leaves[1]) + leaves[2])
    assert root.hex() == vector["root"]
    origin, size, encoded = vector["checkpoint"].split("\n")[:3]
    assert (origin, size, b64decode(encoded)) == (vector["origin"], "3", root)

    name = vector["cosigner"].encode()
    material = b64decode(vector["mldsa_cosign_vkey"].split("+", 2)[2])
    line = b64decode(vector["mldsa_cosignature"].split(" ")[2])
    assert material[:1] == b"\x06"
    assert line[:4] == sha256(name + b"\n" + material).digest()[:4]
    message = (
        b"subtree/v1\n\0"
        + bytes([len(name)])
        + name
        + vector["cosigned_at_s"].to_bytes(8, "big")
        + bytes([len(origin)])
        + origin.encode()
        + bytes(8)
        + (3).to_bytes(8, "big")
        + root
    )
    assert line[4:12] == message[13 + len(name) : 21 + len(name)]
    MLDSA44PublicKey.from_public_bytes(material[1:]).verify(line[12:], message)


def sm3(data: bytes) -> bytes:
    return new("sm3", data).digest()
