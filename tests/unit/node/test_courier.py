"""A bundle opens for its recipient alone, says who packed it, and no byte of it can change."""

import base64
import hashlib
from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from hypothesis import given
from hypothesis import strategies as st

from yidao.node.courier.envelope import (
    MAX_PARCEL_BYTES,
    Address,
    Envelope,
    open_envelope,
    seal_envelope,
)
from yidao.node.courier.errors import (
    ParcelFileMalformed,
    ParcelSealed,
    ParcelSignatureInvalid,
)
from yidao.sync.curve import x25519_private, x25519_public
from yidao.sync.errors import KeyWeak, PeerError
from yidao.sync.ids import JournalId, Lane, NetworkId, NodeId, Path
from yidao.sync.journal import JournalState, seal
from yidao.sync.message import MAX_FRAME_BYTES, Ack, Frame, Hello, Item, Receipt, Resume
from yidao.sync.parcel import ParcelMalformed, read_parcel, write_parcel
from yidao.sync.suite import Ed25519Signer
from yidao.sync.wire import encode_control, encode_frame

SENDER_SEED, RECIPIENT_SEED = b"s" * 32, b"r" * 32
SENDER, RECIPIENT = Ed25519Signer(SENDER_SEED), Ed25519Signer(RECIPIENT_SEED)
KEY = X25519PrivateKey.from_private_bytes(x25519_private(RECIPIENT_SEED))
ADDRESS = Address(
    network=NetworkId(bytes(16)),
    sender=NodeId(b"s" * 16),
    sender_path=Path.parse("/33/3301"),
    recipient=NodeId(b"r" * 16),
    recipient_path=Path.parse("/33"),
    created_ms=1_790_000_000_000,
)
FILE = seal_envelope(
    b"a sample parcel" * 20, ADDRESS, signer=SENDER, recipient_key=RECIPIENT.public_key
)
JOURNAL = JournalId(node_id=NodeId(b"s" * 16), channel="up:15", epoch="1")
HELLO = Hello(
    network=ADDRESS.network,
    node_id=ADDRESS.sender,
    store_id=b"t" * 16,
    path=ADDRESS.sender_path,
    epoch="1",
)
RESUME = Resume(store_id=b"u" * 16, credit_bytes=0)
RECEIPT = Receipt(journal=JOURNAL, size=1, cosignatures=("— sample line",))


def frame() -> bytes:
    sealed = seal(JournalState(journal=JOURNAL), [b"header"], ADDRESS.network, SENDER).seal
    return encode_frame(Frame(lane=Lane.BULK, items=(Item(position=1, seal=sealed),)))


def test_the_recipient_reads_what_the_sender_packed() -> None:
    """Address, content and author come out, and the content cannot be seen outside."""
    envelope = open_envelope(FILE)
    assert envelope.address == ADDRESS
    envelope.verify([SENDER.public_key])
    assert envelope.decrypt([KEY]) == b"a sample parcel" * 20
    assert b"sample parcel" not in FILE


def test_nobody_else_opens_it_or_speaks_in_the_senders_name() -> None:
    """Another node's key opens nothing; another node's signature is not the sender's."""
    envelope = open_envelope(FILE)
    other = X25519PrivateKey.from_private_bytes(x25519_private(SENDER_SEED))
    with pytest.raises(ParcelSealed):
        envelope.decrypt([other])
    with pytest.raises(ParcelSignatureInvalid):
        envelope.verify([RECIPIENT.public_key])


def test_a_content_does_not_open_under_another_address() -> None:
    """Whoever moves the ciphertext under a head of their own gets nothing out."""
    envelope = open_envelope(FILE)
    moved = replace(envelope.address, sender_path=Path.parse("/33/3302"))
    stolen = Envelope(address=moved, signed=b"", signature=b"", ciphertext=envelope.ciphertext)
    with pytest.raises(ParcelSealed):
        stolen.decrypt([KEY])


def test_every_flipped_bit_is_noticed() -> None:
    """One bit of each byte in turn: the form, the digest or the signature says so."""
    for at in range(len(FILE)):
        damaged = FILE[:at] + bytes([FILE[at] ^ 1]) + FILE[at + 1 :]
        with pytest.raises((ParcelFileMalformed, ParcelSignatureInvalid)):
            open_envelope(damaged).verify([SENDER.public_key])


def test_an_address_has_one_spelling_though_the_sender_signed_another() -> None:
    """Readers must not disagree on what was signed."""
    lines = FILE.split(b"\n", 3)
    spaced = lines[1].replace(b":", b": ", 1)
    signed = lines[0] + b"\n" + spaced + b"\n"
    signature = base64.b64encode(SENDER.sign(b"yidao-bundle-signature-v1\n" + signed))
    with pytest.raises(ParcelFileMalformed):
        open_envelope(signed + signature + b"\n" + lines[3])


def test_a_parcel_that_unpacks_without_end_is_refused() -> None:
    """Sixty kilobytes may not become the machine's memory."""
    bomb = seal_envelope(
        bytes(MAX_PARCEL_BYTES + 1), ADDRESS, signer=SENDER, recipient_key=RECIPIENT.public_key
    )
    assert len(bomb) < 1024 * 1024
    with pytest.raises(ParcelFileMalformed):
        open_envelope(bomb).decrypt([KEY])


@given(st.binary(max_size=300))
def test_any_bytes_as_a_bundle_have_a_typed_error(data: bytes) -> None:
    """Nothing else comes out."""
    with pytest.raises(ParcelFileMalformed):
        open_envelope(data)


def test_the_two_forms_of_a_key_belong_together() -> None:
    """The public form is that of the private one, for many keys; weak keys have none."""
    for number in range(50):
        seed = hashlib.sha256(b"%d" % number).digest()
        private = X25519PrivateKey.from_private_bytes(x25519_private(seed))
        public = X25519PublicKey.from_public_bytes(x25519_public(Ed25519Signer(seed).public_key))
        assert private.public_key() == public
    with pytest.raises(KeyWeak):
        x25519_public(bytes([1]) + bytes(31))


def test_a_parcel_comes_back_as_it_was_packed() -> None:
    """Hello, resume, receipts and frames, in that order."""
    parcel = read_parcel(write_parcel(HELLO, RESUME, [RECEIPT], [frame(), frame()]))
    assert (parcel.hello, parcel.resume, parcel.receipts) == (HELLO, RESUME, (RECEIPT,))
    assert len(parcel.frames) == 2


def piece(kind: bytes, body: bytes) -> bytes:
    return kind + len(body).to_bytes(4, "big") + body


BAD_PARCELS = {
    "nothing": b"",
    "no resume": piece(b"c", encode_control(HELLO)),
    "resume first": piece(b"c", encode_control(RESUME)) + piece(b"c", encode_control(HELLO)),
    "hello twice": piece(b"c", encode_control(HELLO)) * 2,
    "a frame before the resume": piece(b"c", encode_control(HELLO)) + piece(b"d", frame()),
    "a receipt behind a frame": write_parcel(HELLO, RESUME, [], [frame()])
    + piece(b"c", encode_control(RECEIPT)),
    "a word of a live session": write_parcel(HELLO, RESUME, [], [])
    + piece(b"c", encode_control(Ack(lane=Lane.BULK, position=1, credit_bytes=1))),
    "another kind": write_parcel(HELLO, RESUME, [], []) + piece(b"x", b""),
    "a length without bytes": write_parcel(HELLO, RESUME, [], []) + b"d\x00\x00\x00\x05",
    "a message over the limit": write_parcel(HELLO, RESUME, [], [])
    + piece(b"d", bytes(MAX_FRAME_BYTES + 1)),
}


@pytest.mark.parametrize("data", BAD_PARCELS.values(), ids=BAD_PARCELS.keys())
def test_a_parcel_in_another_order_is_refused(data: bytes) -> None:
    """Nothing of it is taken in."""
    with pytest.raises(ParcelMalformed):
        read_parcel(data)


def test_a_parcel_cut_at_any_byte_is_refused_or_ends_between_messages() -> None:
    """A cut inside of a message is noticed."""
    whole = write_parcel(HELLO, RESUME, [RECEIPT], [frame()])
    ends = 0
    for at in range(len(whole)):
        try:
            read_parcel(whole[:at])
        except PeerError:
            continue
        ends += 1
    assert ends == 2
