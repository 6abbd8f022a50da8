"""Checkpoints and cosignatures: an origin's word on its tree, and a tier's word that it saw it.

A checkpoint (C2SP tlog-checkpoint v1.0.0) is a signed note of exactly three
lines: origin, size in decimal, base64 root. Extension lines are refused. A
receipt is a C2SP tlog-cosignature line on it, made with another key.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from yidao.sync import errors
from yidao.sync.base64text import decode_base64, encode_base64
from yidao.sync.keytypes import cosigner_type, log_type
from yidao.sync.merkle import HASH_BYTES, MAX_TREE_SIZE
from yidao.sync.note import (
    NoteSignature,
    VerifierKey,
    cosignature,
    open_note,
    parse_note,
    parse_signature_line,
    sign_note,
    verify_signature,
)
from yidao.sync.suite import ED25519_SHA256, Signer

MAX_TIME_S: Final = 253_402_300_799  # 9999-12-31T23:59:59Z

_SIZE: Final = re.compile(r"0|[1-9][0-9]{0,18}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """A tree's size and root under its log's name."""

    origin: str
    size: int
    root: bytes

    def text(self) -> str:
        """Return the note text: three lines."""
        return f"{self.origin}\n{self.size}\n{encode_base64(self.root)}\n"


def sign_checkpoint(checkpoint: Checkpoint, signer: Signer) -> bytes:
    """Return the checkpoint as a note signed by its log.

    The caller must never sign two roots for one size of one origin.
    """
    return sign_note(checkpoint.text(), checkpoint.origin, signer)


def parse_checkpoint(data: bytes) -> Checkpoint:
    """Return what a checkpoint says; nothing is verified.

    Raises:
        NoteMalformed: No signed note.
        CheckpointMalformed: Not three lines of that form.
    """
    return _from_text(parse_note(data).text)


def open_checkpoint(
    data: bytes, origin: str, public_key: bytes, suite: int = ED25519_SHA256
) -> Checkpoint:
    """Return the checkpoint of log `origin`, signed by `public_key` of that suite.

    Raises:
        NoteMalformed, NoteUnsigned, NoteSignatureInvalid: See `note.open_note`.
        CheckpointMalformed: Not three lines of that form.
        CheckpointOriginMismatch: Well signed, but the text names another log.
        KeyMalformed, KeyWeak: `public_key` is unfit.
    """
    key = VerifierKey(name=origin, key_type=log_type(suite), public_key=public_key)
    checkpoint = _from_text(open_note(data, (key,)).text)
    if checkpoint.origin != origin:
        raise errors.CheckpointOriginMismatch(expected=origin, found=checkpoint.origin)
    return checkpoint


def cosign(checkpoint: bytes, name: str, signer: Signer, time_s: int) -> str:
    """Return a cosignature line (without newline) on a checkpoint.

    The caller has verified the checkpoint, holds the whole tree up to its size,
    and has stored that size as cosigned before it lets the line go.

    Args:
        checkpoint: The signed note; its signature lines are not covered.
        name: The cosigner's key name, see `ids.cosigner_name`.
        signer: The cosigning key, never the journal key.
        time_s: Now, Unix seconds.
    """
    return cosignature(parse_note(checkpoint).text, name, signer, time_s).line()


def verify_cosignature(
    checkpoint: bytes, line: str, name: str, public_key: bytes, suite: int = ED25519_SHA256
) -> int:
    """Return when `public_key` of that suite, known as `name`, cosigned, in Unix seconds.

    Raises:
        NoteMalformed: The checkpoint or the line has the wrong form.
        CosignatureInvalid: The line is of another key, fails, or has an absurd time.
        KeyMalformed, KeyWeak: `public_key` is unfit.
    """
    key = VerifierKey(name=name, key_type=cosigner_type(suite), public_key=public_key)
    signature = parse_signature_line(line)
    try:
        time_s = verify_signature(parse_note(checkpoint).text, signature, key)
    except errors.SignatureInvalid:
        raise errors.CosignatureInvalid(cosigner=name) from None
    if time_s is None or not 0 < time_s <= MAX_TIME_S:
        raise errors.CosignatureInvalid(cosigner=name)
    return time_s


def with_cosignatures(checkpoint: bytes, lines: Iterable[str]) -> bytes:
    """Return the note with cosignature lines appended, each line once.

    Raises:
        NoteMalformed: A line has the wrong form, or there are over 32 in all.
    """
    parsed = parse_note(checkpoint)
    signatures: dict[NoteSignature, None] = dict.fromkeys(parsed.signatures)
    signatures.update(dict.fromkeys(parse_signature_line(line) for line in lines))
    body = "\n".join(signature.line() for signature in signatures)
    data = f"{parsed.text}\n{body}\n".encode()
    parse_note(data)
    return data


def _from_text(text: str) -> Checkpoint:
    lines = text.split("\n")
    if len(lines) != 4:
        raise errors.CheckpointMalformed(reason="lines")
    origin, size_text, root_text, _ = lines
    if not origin:
        raise errors.CheckpointMalformed(reason="origin")
    if _SIZE.fullmatch(size_text) is None or int(size_text) > MAX_TREE_SIZE:
        raise errors.CheckpointMalformed(reason="size")
    root = decode_base64(root_text)
    if root is None or len(root) != HASH_BYTES:
        raise errors.CheckpointMalformed(reason="root")
    return Checkpoint(origin=origin, size=int(size_text), root=root)
