"""C2SP signed notes, v1.0.0: text with signature lines, read strictly, verified as a whole.

A note is UTF-8 text that ends in a newline, an empty line, then signature lines
`— <key name> <base64(4-byte key id || signature)>`. A signature by an unknown
key is ignored; one by a known key that fails refuses the whole note; a note that
bears no signature of a known key is refused.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Final, Self

from yidao.sync import errors, suite
from yidao.sync.base64text import decode_base64, encode_base64
from yidao.sync.keytypes import TYPES, KeyType, cosigned_message, cosigner_type, log_type

MAX_NOTE_BYTES: Final = 64 * 1024
# The author, and two cosignatures of each of 15 tiers; 64 KiB hold them all.
MAX_SIGNATURES: Final = 32
MAX_NAME_CHARS: Final = 255

_KEY_ID_BYTES: Final = 4
_TIME_BYTES: Final = 8
_LINE_START: Final = "— "
# All below the space but the newline.
_CONTROL: Final = re.compile(r"[\x00-\x09\x0b-\x1f]")


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifierKey:
    """A key that notes may be verified with.

    Attributes:
        name: Key name, for a log its origin.
        key_type: See `keytypes`.
        public_key: Raw, as the suite of the type has it.
    """

    name: str
    key_type: KeyType
    public_key: bytes

    def __post_init__(self) -> None:
        if not _is_key_name(self.name):
            raise errors.KeyMalformed(reason="name")
        suite.check_public_key(self.key_type.suite, self.public_key)

    @property
    def key_id(self) -> bytes:
        """The 4 bytes that signature lines point at this key with; a hint only."""
        return key_id(self.name, self.key_type, self.public_key)

    def encode(self) -> str:
        """Return the vkey text, `<name>+<hex key id>+<base64(type || key)>`."""
        material = encode_base64(self.key_type.marker + self.public_key)
        return f"{self.name}+{self.key_id.hex()}+{material}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the key of a vkey text.

        Raises:
            KeyMalformed: Another form, or the key id is not this key's.
            KeyWeak: See `suite.check_public_key`.
        """
        # Base64 may hold a `+` of its own, so only the first two separate.
        pieces = text.split("+", 2)
        if len(pieces) != 3:
            raise errors.KeyMalformed(reason="form")
        material = decode_base64(pieces[2])
        if not material:
            raise errors.KeyMalformed(reason="base64")
        found = [each for each in TYPES if material.startswith(each.marker)]
        if not found:
            raise errors.KeyMalformed(reason="type")
        public_key = material[len(found[0].marker) :]
        key = cls(name=pieces[0], key_type=found[0], public_key=public_key)
        if key.key_id.hex() != pieces[1]:
            raise errors.KeyMalformed(reason="key id")
        return key


@dataclass(frozen=True, slots=True)
class NoteSignature:
    """One signature line, taken apart; `payload` is what follows the key id."""

    name: str
    key_id: bytes
    payload: bytes

    def line(self) -> str:
        """Return the line without its newline."""
        return f"{_LINE_START}{self.name} {encode_base64(self.key_id + self.payload)}"


@dataclass(frozen=True, slots=True)
class Note:
    """A note that is well formed; whether anything in it is true is another matter."""

    text: str
    signatures: tuple[NoteSignature, ...]


def key_id(name: str, key_type: KeyType, public_key: bytes) -> bytes:
    """Return the first 4 bytes of SHA-256(name || 0x0A || type || key), in every suite."""
    return sha256(name.encode() + b"\n" + key_type.marker + public_key).digest()[:_KEY_ID_BYTES]


def sign_note(text: str, name: str, signer: suite.Signer) -> bytes:
    """Return `text` as a note signed by the key `name`.

    Raises:
        NoteMalformed: The text does not end in a newline or holds control characters.
        KeyMalformed: Not a key name.
    """
    _check_text(text)
    if not _is_key_name(name):
        raise errors.KeyMalformed(reason="name")
    body = text.encode()
    signature = NoteSignature(
        name, key_id(name, log_type(signer.suite), signer.public_key), signer.sign(body)
    )
    return body + b"\n" + signature.line().encode() + b"\n"


def parse_note(data: bytes) -> Note:
    """Return the text and the signature lines of a note; nothing is verified.

    Raises:
        NoteMalformed: Any departure from the form, or over a limit (64 KiB, 32 lines).
    """
    if len(data) > MAX_NOTE_BYTES:
        raise errors.NoteMalformed(reason="too large")
    try:
        whole = data.decode("utf-8")
    except UnicodeDecodeError:
        raise errors.NoteMalformed(reason="UTF-8") from None
    at = whole.rfind("\n\n")
    if at < 0 or not whole.endswith("\n"):
        raise errors.NoteMalformed(reason="form")
    text, lines = whole[: at + 1], whole[at + 2 :].split("\n")[:-1]
    _check_text(text)
    if not 1 <= len(lines) <= MAX_SIGNATURES:
        raise errors.NoteMalformed(reason="signature count")
    return Note(text, tuple(parse_signature_line(line) for line in lines))


def parse_signature_line(line: str) -> NoteSignature:
    """Return a signature line (without its newline) taken apart.

    Raises:
        NoteMalformed: Any departure from the form.
    """
    if not line.startswith(_LINE_START):
        raise errors.NoteMalformed(reason="signature line")
    name, _, encoded = line[len(_LINE_START) :].partition(" ")
    data = decode_base64(encoded)
    if not _is_key_name(name) or data is None or len(data) <= _KEY_ID_BYTES:
        raise errors.NoteMalformed(reason="signature line")
    return NoteSignature(name, data[:_KEY_ID_BYTES], data[_KEY_ID_BYTES:])


def open_note(data: bytes, keys: Sequence[VerifierKey]) -> Note:
    """Return the note's text with exactly those signatures that known keys made.

    Raises:
        NoteMalformed: See `parse_note`.
        NoteSignatureInvalid: A known key's signature fails.
        NoteUnsigned: No known key signed.
    """
    parsed = parse_note(data)
    known = {(key.name, key.key_id): key for key in keys}
    verified = []
    for signature in parsed.signatures:
        key = known.get((signature.name, signature.key_id))
        if key is None:
            continue
        try:
            verify_signature(parsed.text, signature, key)
        except errors.SignatureInvalid:
            raise errors.NoteSignatureInvalid(key=key.name) from None
        verified.append(signature)
    if not verified:
        raise errors.NoteUnsigned
    return Note(parsed.text, tuple(verified))


def verify_signature(text: str, signature: NoteSignature, key: VerifierKey) -> int | None:
    """Return only if `signature` on the note `text` is by `key`.

    Returns:
        The time in a cosignature, Unix seconds; None for a plain signature.

    Raises:
        SignatureInvalid: It is not.
    """
    if (signature.name, signature.key_id) != (key.name, key.key_id):
        raise errors.SignatureInvalid
    message, payload, time_s = text.encode(), signature.payload, None
    if key.key_type.is_cosignature:
        time_s = int.from_bytes(payload[:_TIME_BYTES], "big")
        message = cosigned_message(key.key_type, text, key.name, time_s)
        payload = payload[_TIME_BYTES:]
    suite.verify(key.key_type.suite, key.public_key, payload, message)
    return time_s


def cosignature(text: str, name: str, signer: suite.Signer, time_s: int) -> NoteSignature:
    """Return the timestamped cosignature of `signer`, known as `name`, on a note's text."""
    key_type = cosigner_type(signer.suite)
    message = cosigned_message(key_type, text, name, time_s)
    payload = time_s.to_bytes(_TIME_BYTES, "big") + signer.sign(message)
    return NoteSignature(name, key_id(name, key_type, signer.public_key), payload)


def _is_key_name(name: str) -> bool:
    # Printable without spaces; str.isprintable refuses every separator but U+0020.
    return (
        0 < len(name) <= MAX_NAME_CHARS
        and name.isprintable()
        and " " not in name
        and "+" not in name
    )


def _check_text(text: str) -> None:
    if not text.endswith("\n"):
        raise errors.NoteMalformed(reason="last newline")
    if _CONTROL.search(text):
        raise errors.NoteMalformed(reason="control character")
