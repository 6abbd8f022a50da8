"""C2SP `.tlog-proof` files: one record is in one journal, checkable with no network.

c2sp.org/tlog-proof@v1
extra <base64>            (optional, not authenticated)
index <n>
<base64 hash>             (the path, from the leaf's sibling up; none for a tree of 1)
(empty line)
<the checkpoint with its signature lines, verbatim>
"""

import re
from dataclasses import dataclass
from typing import Final

from yidao.sync import errors
from yidao.sync.base64text import decode_base64, encode_base64
from yidao.sync.checkpoint import Checkpoint, open_checkpoint
from yidao.sync.merkle import (
    HASH_BYTES,
    MAX_PROOF_HASHES,
    MAX_TREE_SIZE,
    leaf_hash,
    verify_inclusion,
)
from yidao.sync.note import MAX_NOTE_BYTES
from yidao.sync.suite import ED25519_SHA256

MAX_EXTRA_BYTES: Final = 4 * 1024
MAX_PROOF_FILE_BYTES: Final = MAX_NOTE_BYTES + 16 * 1024

_FIRST_LINE: Final = "c2sp.org/tlog-proof@v1"
_INDEX: Final = re.compile(r"index (0|[1-9][0-9]{0,18})")


@dataclass(frozen=True, slots=True, kw_only=True)
class TlogProof:
    """A proof file, taken apart; `checkpoint` is the exact signed note.

    Attributes:
        index: The record's sequence number in its journal.
        path: Hashes from the leaf's sibling up.
        extra: Bytes that nothing authenticates, or None.
    """

    index: int
    path: tuple[bytes, ...]
    checkpoint: bytes
    extra: bytes | None = None

    def encode(self) -> bytes:
        """Return the file's bytes."""
        lines = [_FIRST_LINE]
        if self.extra is not None:
            lines.append(f"extra {encode_base64(self.extra)}")
        lines.append(f"index {self.index}")
        lines.extend(encode_base64(value) for value in self.path)
        return "\n".join(lines).encode() + b"\n\n" + self.checkpoint


def parse_proof(data: bytes) -> TlogProof:
    """Return the proof file taken apart; nothing is verified.

    Raises:
        ProofMalformed: Any departure from the form, or over a limit.
    """
    if len(data) > MAX_PROOF_FILE_BYTES:
        raise errors.ProofMalformed(reason="too large")
    head, separator, checkpoint = data.partition(b"\n\n")
    try:
        lines = head.decode("ascii").split("\n")
    except UnicodeDecodeError:
        raise errors.ProofMalformed(reason="ASCII") from None
    if not separator or not checkpoint or lines.pop(0) != _FIRST_LINE:
        raise errors.ProofMalformed(reason="form")
    extra = None
    if lines and lines[0].startswith("extra "):
        extra = decode_base64(lines.pop(0).removeprefix("extra "))
        if extra is None or len(extra) > MAX_EXTRA_BYTES:
            raise errors.ProofMalformed(reason="extra")
    match = _INDEX.fullmatch(lines.pop(0)) if lines else None
    if match is None or int(match[1]) >= MAX_TREE_SIZE:
        raise errors.ProofMalformed(reason="index")
    return TlogProof(
        index=int(match[1]), path=_parse_path(lines), checkpoint=checkpoint, extra=extra
    )


def verify_proof(
    proof: TlogProof, header: bytes, origin: str, public_key: bytes, suite: int = ED25519_SHA256
) -> Checkpoint:
    """Return the checkpoint that binds `header` to log `origin` at `proof.index`.

    Raises:
        NoteMalformed, NoteUnsigned, NoteSignatureInvalid, CheckpointMalformed,
        CheckpointOriginMismatch: The checkpoint is not the log's.
        ProofInvalid: The header is not in the tree at that index.
    """
    checkpoint = open_checkpoint(proof.checkpoint, origin, public_key, suite)
    leaf = leaf_hash(header, suite)
    verify_inclusion(leaf, proof.index, checkpoint.size, proof.path, checkpoint.root, suite)
    return checkpoint


def _parse_path(lines: list[str]) -> tuple[bytes, ...]:
    if len(lines) > MAX_PROOF_HASHES:
        raise errors.ProofMalformed(reason="path length")
    path = []
    for line in lines:
        value = decode_base64(line)
        if value is None or len(value) != HASH_BYTES:
            raise errors.ProofMalformed(reason="path")
        path.append(value)
    return tuple(path)
