"""Write the golden vectors once; refuse to touch one that exists.

A vector that is written is a promise to every node that already signed bytes of
that form. If a change of the code makes `test_vectors.py` fail, the code is
wrong. A new form gets a new file.

    .venv/bin/python tests/vectors/generate.py
"""

import sys
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import orjson

from yidao.sync import enrolment as enrolments
from yidao.sync.checkpoint import cosign, with_cosignatures
from yidao.sync.ids import JournalId, NetworkId, NodeId, RecordId, cosigner_name
from yidao.sync.ids import Path as TreePath
from yidao.sync.journal import JournalState, seal
from yidao.sync.keytypes import (
    TYPE_COSIGNATURE,
    TYPE_ED25519,
    TYPE_MLDSA_COSIGNATURE,
    TYPE_SM2,
    TYPE_SM2_COSIGNATURE,
    KeyType,
)
from yidao.sync.merkle import (
    Frontier,
    consistency_proof,
    inclusion_proof,
    leaf_hash,
    leaf_hashes,
)
from yidao.sync.mldsa44 import MlDsa44Signer
from yidao.sync.note import VerifierKey
from yidao.sync.proof import TlogProof
from yidao.sync.record import Grade, Header, Part, Release
from yidao.sync.rootstatement import RootStatement
from yidao.sync.sm2 import Sm2Signer
from yidao.sync.suite import SM2_SM3, Ed25519Signer, Signer
from yidao.sync.tiles import node_reader

FOLDER = Path(__file__).parent
NETWORK = NetworkId(bytes.fromhex("00112233445566778899aabbccddeeff"))
NODE = NodeId(bytes.fromhex("0f1e2d3c4b5a69788796a5b4c3d2e1f0"))
JOURNAL = JournalId(node_id=NODE, channel="up:15", epoch="1")
JOURNAL_SEED = sha256(b"yidao vector journal key").digest()
COSIGN_SEED = sha256(b"yidao vector cosigning key").digest()
SM2_EXAMPLE = (
    bytes.fromhex("3945208f7b2144b13f36e38ac6d39f95889393692860b51a42fb81ef4df7c5b8"),
    bytes.fromhex(
        "09f9df311e5421a150dd7d161e4bc5c672179fad1833fc076bb08ff356f35020"
        "ccea490ce26775a52dc6ea718cc1aa600aed05fbf35e084a6632f6072da9ad13"
    ),
)
TIME_S = 1_750_000_000
# Leaf inputs of the Certificate Transparency reference implementation.
CT_LEAVES = ("", "00", "10", "2021", "3031", "40414243", "5051525354555657",
             "606162636465666768696a6b6c6d6e6f")  # fmt: skip

SAMPLE_PARTS = (
    Part(name="core", salt=bytes(range(32)), body='{"产值":"12.50"}'.encode()),
    Part(name="pii", salt=bytes(range(32, 64)), body=b'{"contact":"sample"}'),
    Part(name="ext:/33", salt=bytes(range(64, 96)), body=b""),
)


def sample_headers() -> dict[str, Header]:
    core, pii, extension = SAMPLE_PARTS
    minimal = Header(
        network=NETWORK,
        node_id=NODE,
        record_id=RecordId(bytes(15) + b"\x01"),
        kind="node.epoch.opened",
        actor="admin@/",
        object_id="epoch:1",
        object_version=1,
        created_ms=1,
    )
    full = Header(
        network=NETWORK,
        node_id=NODE,
        record_id=RecordId(bytes.fromhex("01975f0e8c007000800000000000002a")),
        kind="reporting.return.submitted",
        actor="李娜@/33/3301/330106",
        unit="91330100MA27X00X0X",
        object_id="return:sample/form-1:2025-Q2:91330100MA27X00X0X",
        object_version=2**63 - 1,
        causes=(RecordId(bytes(16)), RecordId(b"\xff" * 16)),
        schema="sample/form-1@1",
        schema_sha256=sha256(b"sample pack").digest(),
        period="2025-Q2",
        created_ms=1_750_000_000_123,
        parts=(
            core.digest(),
            pii.digest(grade=Grade.L3, reach=1, release=Release.WHEN_ACCEPTED),
            extension.digest(grade=Grade.L1, reach=0),
        ),
    )
    bare_part = minimal._replace(record_id=RecordId(b"\x01" * 16), parts=(core.digest(),))
    return {"minimal": minimal, "full": full, "one part": bare_part}


def headers() -> dict[str, Any]:
    return {
        "what": "Header bytes: the leaf input of a journal (record.proto, deterministic encoding)",
        "headers": {
            name: {"encoded": made.encode().hex(), "leaf": leaf_hash(made.encode()).hex()}
            for name, made in sample_headers().items()
        },
    }


def commitments() -> dict[str, Any]:
    return {
        "what": "Part commitments: SHA-256(salt || body)",
        "parts": [
            {
                "name": part.name,
                "salt": part.salt.hex(),
                "body": part.body.hex(),
                "commitment": part.digest().commitment.hex(),
            }
            for part in SAMPLE_PARTS
        ],
    }


def trees() -> dict[str, Any]:
    leaves = leaf_hashes(bytes.fromhex(text) for text in CT_LEAVES)
    node_at = node_reader(lambda _, first, count: leaves[first : first + count])
    sizes = range(len(leaves) + 1)
    return {
        "what": "RFC 6962 trees over the leaf inputs of the Certificate Transparency test data",
        "leaves": list(CT_LEAVES),
        "leaf_hashes": [leaf.hex() for leaf in leaves],
        "roots": [Frontier().append_many(leaves[:size]).root().hex() for size in sizes],
        "frontiers": [Frontier().append_many(leaves[:size]).to_bytes().hex() for size in sizes],
        "inclusion": [
            {
                "size": size,
                "index": index,
                "path": [value.hex() for value in inclusion_proof(size, index, node_at)],
            }
            for size in sizes
            for index in range(size)
        ],
        "consistency": [
            {
                "old": old,
                "new": new,
                "proof": [value.hex() for value in consistency_proof(old, new, node_at)],
            }
            for new in sizes
            for old in range(1, new)
        ],
    }


def notes() -> dict[str, Any]:
    return {
        "what": "The example of the C2SP signed-note specification, v1.0.0",
        "vkey": "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",
        "text": "This is an example message.\n",
        "note": "This is an example message.\n\n— example.com/foo Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YE"
        "q6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n",
    }


def seals() -> dict[str, Any]:
    journal_key, cosign_key = Ed25519Signer(JOURNAL_SEED), Ed25519Signer(COSIGN_SEED)
    state, made = JournalState(journal=JOURNAL), []
    encoded = [header.encode() for header in sample_headers().values()]
    for batch in (encoded[:2], encoded[2:]):
        sealed = seal(state, batch, NETWORK, journal_key)
        state = sealed.state
        made.append(sealed.seal)
    name = cosigner_name(NETWORK, NODE)
    checkpoint = made[-1].checkpoint
    line = cosign(checkpoint, name, cosign_key, TIME_S)
    hashes = leaf_hashes(encoded)
    path = inclusion_proof(3, 1, node_reader(lambda _, first, n: hashes[first : first + n]))
    proof = TlogProof(index=1, path=tuple(path), checkpoint=with_cosignatures(checkpoint, [line]))
    return {
        "what": "Two seals of one journal, a cosignature on the second, a proof of record 1",
        "network": NETWORK.hex(),
        "node_id": NODE.hex(),
        "channel": JOURNAL.channel,
        "epoch": JOURNAL.epoch,
        "origin": JOURNAL.origin(NETWORK),
        "journal_seed": JOURNAL_SEED.hex(),
        "journal_vkey": vkey(JOURNAL.origin(NETWORK), TYPE_ED25519, journal_key),
        "seals": [
            {
                "first_seq": one.first_seq,
                "headers": [header.hex() for header in one.headers],
                "checkpoint": one.checkpoint.decode(),
            }
            for one in made
        ],
        "cosigner": name,
        "cosign_seed": COSIGN_SEED.hex(),
        "cosign_vkey": vkey(name, TYPE_COSIGNATURE, cosign_key),
        "cosigned_at_s": TIME_S,
        "cosignature": line,
        "proof": proof.encode().decode(),
    }


def enrolment() -> dict[str, Any]:
    journal_key, cosign_key = Ed25519Signer(JOURNAL_SEED), Ed25519Signer(COSIGN_SEED)
    statement = RootStatement(
        network=NETWORK,
        node_id=NODE,
        journal_key=journal_key.public_key,
        cosign_key=cosign_key.public_key,
    )
    core = enrolments.Enrolment(
        node_id=NODE,
        path=TreePath.parse("/33/3301"),
        journal_key=journal_key.public_key,
        cosign_key=cosign_key.public_key,
        tls_sha256=sha256(b"sample TLS key").digest(),
        token_id="sample-1",
        operator="admin@/33",
    )
    return {
        "what": "The core of node.child.enrolled, and the signed text of a root statement",
        "network": NETWORK.hex(),
        "core": core.encode().decode(),
        "root_statement_text": statement.text().decode(),
    }


def suites() -> dict[str, Any]:
    """Signatures of SM2 are made anew each time: what is frozen here is verified, not remade."""
    journal_key, second = Sm2Signer(*SM2_EXAMPLE), MlDsa44Signer(COSIGN_SEED)
    state = JournalState(journal=JOURNAL, frontier=Frontier(suite=SM2_SM3))
    encoded = [header.encode() for header in sample_headers().values()]
    sealed = seal(state, encoded, NETWORK, journal_key)
    name = cosigner_name(NETWORK, NODE)
    statement = RootStatement(
        network=NETWORK,
        node_id=NODE,
        journal_key=journal_key.public_key,
        cosign_key=journal_key.public_key,
        suite=SM2_SM3,
    )
    checkpoint = sealed.seal.checkpoint
    hashes = leaf_hashes(encoded, SM2_SM3)
    return {
        "what": "A seal of suite 3 by the key of GB/T 32918.5 A.2, cosigned by SM2 and ML-DSA-44",
        "origin": JOURNAL.origin(NETWORK),
        "journal_vkey": vkey(JOURNAL.origin(NETWORK), TYPE_SM2, journal_key),
        "headers": [header.hex() for header in encoded],
        "leaf_hashes": [each.hex() for each in hashes],
        "root": sealed.state.frontier.root().hex(),
        "checkpoint": checkpoint.decode(),
        "cosigner": name,
        "cosigned_at_s": TIME_S,
        "sm2_cosign_vkey": vkey(name, TYPE_SM2_COSIGNATURE, journal_key),
        "sm2_cosignature": cosign(checkpoint, name, journal_key, TIME_S),
        "mldsa_seed": COSIGN_SEED.hex(),
        "mldsa_cosign_vkey": vkey(name, TYPE_MLDSA_COSIGNATURE, second),
        "mldsa_cosignature": cosign(checkpoint, name, second, TIME_S),
        "root_statement_text": statement.text().decode(),
    }


def vkey(name: str, key_type: KeyType, signer: Signer) -> str:
    return VerifierKey(name=name, key_type=key_type, public_key=signer.public_key).encode()


VECTORS: dict[str, Callable[[], dict[str, Any]]] = {
    "header-v1.json": headers,
    "commitment-v1.json": commitments,
    "tree-v1.json": trees,
    "note-v1.json": notes,
    "seal-v1.json": seals,
    "enrolment-v1.json": enrolment,
    "suites-v1.json": suites,
}
#: What holds randomness, and differs each time it is made.
SIGNED_ANEW = {"suites-v1.json": ("checkpoint", "sm2_cosignature", "mldsa_cosignature")}


def main() -> int:
    """Write the vectors that do not exist yet."""
    for name, make in VECTORS.items():
        file = FOLDER / name
        if file.exists():
            sys.stderr.write(f"{name}: exists, kept as it is\n")
            continue
        file.write_bytes(orjson.dumps(make(), option=orjson.OPT_INDENT_2) + b"\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
