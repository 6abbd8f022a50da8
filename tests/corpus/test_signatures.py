"""Bad signatures, keys, seals, proofs and notes, rows 41 to 64: one typed error each.

Row 62 (a type string in another spelling) and the hash links of row 63 name a
design that was left: here the type of a signature is in its key id and in what
is signed, and order is the tree's. Their rows attack what took their place.
"""

from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import (
    decode_dss_signature,
    encode_dss_signature,
)

from yidao.sync import errors
from yidao.sync.checkpoint import (
    Checkpoint,
    cosign,
    open_checkpoint,
    sign_checkpoint,
    verify_cosignature,
)
from yidao.sync.ids import JournalId, NetworkId, NodeId
from yidao.sync.journal import JournalState, Seal, check_held, extend, seal
from yidao.sync.merkle import verify_consistency, verify_inclusion
from yidao.sync.note import sign_note
from yidao.sync.suite import ED25519_SHA256, Ed25519Signer, check_public_key, verify

NETWORK = NetworkId(bytes(range(16)))
JOURNAL = JournalId(node_id=NodeId(bytes(range(1, 17))), channel="up:15", epoch="2")
ORIGIN = JOURNAL.origin(NETWORK)
SIGNER = Ed25519Signer(sha256(b"sample journal key").digest())
OTHER = Ed25519Signer(sha256(b"another sample key").digest())
KEY = SIGNER.public_key
MESSAGE = b"sample message"
SIGNATURE = SIGNER.sign(MESSAGE)
GROUP_ORDER = 2**252 + 27742317777372353535851937790883648493
FIELD_PRIME = 2**255 - 19

EMPTY = JournalState(journal=JOURNAL)
FIRST = seal(EMPTY, [b"a", b"b"], NETWORK, SIGNER)
SECOND = seal(FIRST.state, [b"c"], NETWORK, SIGNER)
HELD = SECOND.state
ROOT = HELD.frontier.root()
CHECKPOINT = SECOND.seal.checkpoint
TEXT = Checkpoint(origin=ORIGIN, size=3, root=ROOT).text()
ROOT_LINE = TEXT.split("\n")[2]


def weak_keys() -> list[bytes]:
    eighths = (
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
    )
    points = [0, 1, FIELD_PRIME - 1]
    points += [int.from_bytes(bytes.fromhex(text), "little") for text in eighths]
    points += [y + FIELD_PRIME for y in points if y + FIELD_PRIME < 2**255]
    return [(y | sign).to_bytes(32, "little") for y in points for sign in (0, 1 << 255)]


def shifted() -> bytes:
    s = int.from_bytes(SIGNATURE[32:], "little") + GROUP_ORDER
    return SIGNATURE[:32] + s.to_bytes(32, "little")


def offer(state: JournalState, made: Seal, key: bytes = KEY) -> None:
    extend(state, made, NETWORK, key)


def open_text(text: str) -> None:
    open_checkpoint(sign_note(text, ORIGIN, SIGNER), ORIGIN, KEY)


def open_raw(data: bytes) -> None:
    open_checkpoint(data, ORIGIN, KEY)


def cosigned_by_the_wrong_type() -> None:
    """A log's own signature line offered as a receipt."""
    line = CHECKPOINT.decode().splitlines()[-1]
    verify_cosignature(CHECKPOINT, line, ORIGIN, KEY)


def sealed_by_a_receipt() -> None:
    """A receipt offered as the log's signature."""
    line = cosign(CHECKPOINT, ORIGIN, SIGNER, 1)
    open_raw(f"{TEXT}\n{line}\n".encode())


def renamed_receipt() -> None:
    """The key name in the line is not signed, so the key id must carry it."""
    line = cosign(CHECKPOINT, "yidao/a/cosign", OTHER, 1).replace("/a/", "/b/")
    verify_cosignature(CHECKPOINT, line, "yidao/b/cosign", OTHER.public_key)


def forked() -> None:
    other = seal(EMPTY, [b"b", b"a"], NETWORK, SIGNER)
    check_held(other.seal, FIRST.state.frontier.root(), NETWORK, KEY)


LINE = CHECKPOINT.decode().splitlines()[-1]
BROKEN_LINE = sign_checkpoint(Checkpoint(origin=ORIGIN, size=9, root=ROOT), SIGNER)
HASHES = [sha256(b"%d" % number).digest() for number in range(64)]

ROWS: dict[str, tuple[Callable[[], object], type[errors.PeerError]]] = {
    "41 signature all zero": (
        lambda: verify(ED25519_SHA256, KEY, bytes(64), MESSAGE),
        errors.SignatureInvalid,
    ),
    "42 signature of 63 bytes": (
        lambda: verify(ED25519_SHA256, KEY, SIGNATURE[:-1], MESSAGE),
        errors.SignatureInvalid,
    ),
    "42 signature of 65 bytes": (
        lambda: verify(ED25519_SHA256, KEY, SIGNATURE + b"\0", MESSAGE),
        errors.SignatureInvalid,
    ),
    "43 S + L": (
        lambda: verify(ED25519_SHA256, KEY, shifted(), MESSAGE),
        errors.SignatureInvalid,
    ),
    **{
        f"{row} weak key {key.hex()[:8]}…{key.hex()[-2:]}": (
            lambda key=key: check_public_key(ED25519_SHA256, key),  # type: ignore[misc]
            errors.KeyWeak,
        )
        for row, key in enumerate(weak_keys(), start=44)
    },
    "59 key of a suite that it is not of": (
        lambda: verify(2, KEY, SIGNATURE, MESSAGE),
        errors.SuiteUnknown,
    ),
    "60 checkpoint by another node's key": (
        lambda: offer(EMPTY, FIRST.seal, OTHER.public_key),
        errors.NoteUnsigned,
    ),
    "61 log signature as a receipt": (cosigned_by_the_wrong_type, errors.CosignatureInvalid),
    "61 receipt as a log signature": (sealed_by_a_receipt, errors.NoteUnsigned),
    "62 receipt under another name": (renamed_receipt, errors.CosignatureInvalid),
    "63 same sequence number, other body": (forked, errors.SealFork),
    "63 sequence gap": (lambda: offer(EMPTY, SECOND.seal), errors.SealGap),
    "63 sequence repeated in part": (
        lambda: offer(FIRST.state, replace(FIRST.seal, first_seq=1)),
        errors.SealOverlap,
    ),
    "63 epoch back": (
        lambda: offer(EMPTY, replace(FIRST.seal, journal=replace(JOURNAL, epoch="1"))),
        errors.SealJournalMismatch,
    ),
    "63 epoch two ahead": (
        lambda: offer(
            JournalState(journal=replace(JOURNAL, epoch="4")),
            replace(FIRST.seal, journal=replace(JOURNAL, epoch="4")),
        ),
        errors.NoteUnsigned,
    ),
    "64 other network": (
        lambda: extend(EMPTY, FIRST.seal, NetworkId(bytes(16)), KEY),
        errors.NoteUnsigned,
    ),
    "64 inclusion proof with a hash too many": (
        lambda: verify_inclusion(HASHES[0], 0, 1, HASHES[:1], HASHES[0]),
        errors.ProofInvalid,
    ),
    "64 inclusion proof with a hash missing": (
        lambda: verify_inclusion(HASHES[0], 0, 2, [], HASHES[0]),
        errors.ProofInvalid,
    ),
    "64 inclusion proof of 64 hashes": (
        lambda: verify_inclusion(HASHES[0], 0, 2**63 - 1, HASHES, HASHES[0]),
        errors.ProofInvalid,
    ),
    "64 consistency proof of 64 hashes": (
        lambda: verify_consistency(1, 2**63 - 1, HASHES, HASHES[0], HASHES[0]),
        errors.ProofInvalid,
    ),
    "64 size with a leading zero": (
        lambda: open_text(f"{ORIGIN}\n03\n{ROOT_LINE}\n"),
        errors.CheckpointMalformed,
    ),
    "64 size -0": (
        lambda: open_text(f"{ORIGIN}\n-0\n{ROOT_LINE}\n"),
        errors.CheckpointMalformed,
    ),
    "64 size 2^64": (
        lambda: open_text(f"{ORIGIN}\n{2**64}\n{ROOT_LINE}\n"),
        errors.CheckpointMalformed,
    ),
    "64 U+2028 after the size": (
        lambda: open_text(f"{ORIGIN}\n3\u2028\n{ROOT_LINE}\n"),
        errors.CheckpointMalformed,
    ),
    "64 two blank lines": (lambda: open_text(f"{TEXT}\n"), errors.CheckpointMalformed),
    "64 CRLF": (lambda: open_raw(CHECKPOINT.replace(b"\n", b"\r\n")), errors.NoteMalformed),
    "64 missing final newline": (lambda: open_raw(CHECKPOINT[:-1]), errors.NoteMalformed),
    "64 thirty-three signatures": (
        lambda: open_raw(f"{TEXT}\n{(LINE + chr(10)) * 33}".encode()),
        errors.NoteMalformed,
    ),
    "64 base64 of URLs": (
        lambda: open_text(f"{ORIGIN}\n3\n{'-_' * 21}-=\n"),
        errors.CheckpointMalformed,
    ),
    "64 base64 with a space": (
        lambda: open_text(f"{ORIGIN}\n3\n {ROOT_LINE}\n"),
        errors.CheckpointMalformed,
    ),
    "64 known key with a bad signature beside a good one": (
        lambda: open_raw(CHECKPOINT + BROKEN_LINE.split(b"\n\n")[1]),
        errors.NoteSignatureInvalid,
    ),
}


@pytest.mark.parametrize(("attack", "error"), ROWS.values(), ids=ROWS.keys())
def test_each_row_has_a_typed_error(
    attack: Callable[[], object], error: type[errors.PeerError]
) -> None:
    """Every attack is refused, and by the error that names it."""
    with pytest.raises(error):
        attack()


def test_the_honest_pieces_of_this_table_pass() -> None:
    """Nothing but the named flaw makes a row fail."""
    verify(ED25519_SHA256, KEY, SIGNATURE, MESSAGE)
    offer(EMPTY, FIRST.seal)
    offer(FIRST.state, SECOND.seal)
    assert open_checkpoint(CHECKPOINT, ORIGIN, KEY).root == ROOT
    check_held(FIRST.seal, FIRST.state.frontier.root(), NETWORK, KEY)
    assert len(weak_keys()) == len(set(weak_keys())) == 14


def test_58_an_ecdsa_signature_is_never_an_identifier() -> None:
    """(r, n - s) verifies as well, so signature bytes stand in no leaf and no key."""
    key = ec.derive_private_key(7, ec.SECP256R1())
    order = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
    r, s = decode_dss_signature(key.sign(MESSAGE, ec.ECDSA(hashes.SHA256())))
    twin = encode_dss_signature(r, order - s)
    key.public_key().verify(twin, MESSAGE, ec.ECDSA(hashes.SHA256()))
    # The leaf is the header alone: the seal's signature changes, the tree does not.
    assert seal(EMPTY, [b"a"], NETWORK, OTHER).state == seal(EMPTY, [b"a"], NETWORK, SIGNER).state
