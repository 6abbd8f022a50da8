from typing import Any

import pytest

from yidao.sync import errors
from yidao.sync.base64text import encode_base64
from yidao.sync.ids import JournalId
from yidao.sync.merkle import MAX_PROOF_HASHES
from yidao.sync.proof import TlogProof, parse_proof, verify_proof

HEADER = b"sample header bytes"
HASH_LINE = encode_base64(bytes(32))
CHECKPOINT = b"log\n1\nroot\n\n\xe2\x80\x94 log AAAAAAAA\n"


@pytest.mark.parametrize("extra", [None, b"", b"note to the reader"])
def test_a_proof_file_is_read_and_written_alike(tree: Any, extra: bytes | None) -> None:
    """The checkpoint is carried verbatim, whatever it holds."""
    made = tree.prove(tree.enrolments[1], HEADER, cosigners=tree.enrolments[:1])
    proof = TlogProof(index=made.index, path=made.path, checkpoint=made.checkpoint, extra=extra)
    data = proof.encode()
    assert parse_proof(data) == proof
    assert data.startswith(b"c2sp.org/tlog-proof@v1\n" + (b"extra " if extra is not None else b"i"))
    assert data.endswith(b"\n\n" + made.checkpoint)


def test_a_proof_of_a_tree_of_one_has_no_path() -> None:
    """The shortest proof is an index and a checkpoint."""
    data = b"c2sp.org/tlog-proof@v1\nindex 0\n\n" + CHECKPOINT
    assert parse_proof(data) == TlogProof(index=0, path=(), checkpoint=CHECKPOINT)


MALFORMED = {
    "empty": b"",
    "another version": b"c2sp.org/tlog-proof@v2\nindex 0\n\n" + CHECKPOINT,
    "no index": b"c2sp.org/tlog-proof@v1\n\n" + CHECKPOINT,
    "leading zero": b"c2sp.org/tlog-proof@v1\nindex 01\n\n" + CHECKPOINT,
    "negative index": b"c2sp.org/tlog-proof@v1\nindex -1\n\n" + CHECKPOINT,
    "index 2^63": b"c2sp.org/tlog-proof@v1\nindex %d\n\n" % 2**63 + CHECKPOINT,
    "two indexes": b"c2sp.org/tlog-proof@v1\nindex 0\nindex 0\n\n" + CHECKPOINT,
    "extra after index": b"c2sp.org/tlog-proof@v1\nindex 0\nextra AA==\n\n" + CHECKPOINT,
    "bad extra": b"c2sp.org/tlog-proof@v1\nextra ?\nindex 0\n\n" + CHECKPOINT,
    "short hash": b"c2sp.org/tlog-proof@v1\nindex 0\nAAAA\n\n" + CHECKPOINT,
    "64 hashes": b"c2sp.org/tlog-proof@v1\nindex 0\n"
    + f"{HASH_LINE}\n".encode() * (MAX_PROOF_HASHES + 1)
    + b"\n"
    + CHECKPOINT,
    "CRLF": b"c2sp.org/tlog-proof@v1\r\nindex 0\r\n\r\n" + CHECKPOINT,
    "no empty line": b"c2sp.org/tlog-proof@v1\nindex 0\n",
    "no checkpoint": b"c2sp.org/tlog-proof@v1\nindex 0\n\n",
    "not ASCII": b"c2sp.org/tlog-proof@v1\nindex \xef\xbc\x90\n\n" + CHECKPOINT,
    "too large": b"c2sp.org/tlog-proof@v1\nindex 0\n\n" + bytes(100_000),
}


@pytest.mark.parametrize("data", MALFORMED.values(), ids=MALFORMED.keys())
def test_bytes_that_are_no_proof_file_are_refused(data: bytes) -> None:
    """Each departure from the form has a typed error."""
    with pytest.raises(errors.ProofMalformed):
        parse_proof(data)


def test_a_proof_holds_for_its_record_place_and_log_only(tree: Any) -> None:
    """Another header, index, log or key is refused."""
    node = tree.enrolments[1]
    proof = tree.prove(node, HEADER)
    origin = JournalId(node_id=node.node_id, channel="node", epoch="1").origin(
        tree.header(node, "a.b.c", tree.proofs[0].core).network
    )
    checkpoint = verify_proof(proof, HEADER, origin, node.journal_key)
    assert (checkpoint.size, checkpoint.origin) == (5, origin)
    with pytest.raises(errors.ProofInvalid):
        verify_proof(proof, HEADER + b" ", origin, node.journal_key)
    moved = TlogProof(index=2, path=proof.path, checkpoint=proof.checkpoint)
    with pytest.raises(errors.ProofInvalid):
        verify_proof(moved, HEADER, origin, node.journal_key)
    with pytest.raises(errors.NoteUnsigned):
        verify_proof(proof, HEADER, origin[:-1] + "2", node.journal_key)
    with pytest.raises(errors.NoteUnsigned):
        verify_proof(proof, HEADER, origin, node.cosign_key)
