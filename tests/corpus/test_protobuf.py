"""Bad protobuf bytes, rows 19 to 40: each is refused by a typed error, quickly and whole.

Signed bytes (headers) are read strictly: one header has one byte form. Link
messages are read once and never re-serialised, so other encodings of the same
message are harmless there; what counts are sizes, ranges and nesting.
"""

from collections.abc import Callable
from hashlib import sha256

import pytest
from google.protobuf.descriptor import Descriptor

from yidao.api.link.v1 import link_pb2
from yidao.api.record.v1 import record_pb2
from yidao.sync import errors
from yidao.sync.checkpoint import open_checkpoint
from yidao.sync.ids import JournalId, Lane, NetworkId, NodeId, RecordId
from yidao.sync.journal import JournalState, Seal, seal
from yidao.sync.message import Ack, Frame, Heartbeat, Item
from yidao.sync.record import MAX_HEADER_BYTES, Header, Part, decode_header
from yidao.sync.suite import Ed25519Signer
from yidao.sync.wire import (
    MAX_FRAME_BYTES,
    decode_control,
    decode_frame,
    encode_control,
    encode_frame,
)

VARINT, LENGTH, GROUP, END_GROUP, FIXED32 = 0, 2, 3, 4, 5
FIELD = {name: field.number for name, field in record_pb2.Header.DESCRIPTOR.fields_by_name.items()}


def varint(value: int) -> bytes:
    """Return the minimal varint of a value below 2**64."""
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def tag(number: int, wire_type: int) -> bytes:
    return varint(number << 3 | wire_type)


def field(number: int, value: int | bytes) -> bytes:
    """Return one field in its minimal encoding."""
    if isinstance(value, int):
        return tag(number, VARINT) + varint(value)
    return tag(number, LENGTH) + varint(len(value)) + value


PART = (
    field(1, b"core") + field(2, bytes(32)) + field(3, 9) + field(4, 2) + field(5, 15) + field(6, 1)
)
# Each field of a good header by itself, so that a row can leave out, repeat,
# reorder or replace one.
GOOD: dict[str, bytes] = {
    "network": field(FIELD["network"], bytes(range(16))),
    "node_id": field(FIELD["node_id"], bytes(range(1, 17))),
    "record_id": field(FIELD["record_id"], bytes(range(2, 18))),
    "kind": field(FIELD["kind"], b"reporting.return.submitted"),
    "actor": field(FIELD["actor"], b"li.na@/33"),
    "object": field(FIELD["object"], b"return:1"),
    "object_version": field(FIELD["object_version"], 300),
    "created_ms": field(FIELD["created_ms"], 1_750_000_000_000),
    "parts": field(FIELD["parts"], PART),
}


def header(**changes: bytes) -> bytes:
    return b"".join((GOOD | changes).values())


def late(data: bytes) -> bytes:
    """Return a good header with `data` after the last known field."""
    return header() + data


def part(**changes: bytes) -> bytes:
    pieces = {
        "name": field(1, b"core"),
        "commitment": field(2, bytes(32)),
        "length": field(3, 9),
        "grade": field(4, 2),
        "reach": field(5, 15),
        "release": field(6, 1),
    }
    return header(parts=field(FIELD["parts"], b"".join((pieces | changes).values())))


def test_the_good_header_of_this_table_is_good() -> None:
    """Nothing but the named flaw makes a row fail."""
    assert decode_header(header()).object_version == 300
    assert decode_header(header()).encode() == header()
    assert part() == header()


BAD_HEADERS: dict[str, tuple[bytes, type[errors.PeerError]]] = {
    "20 eleven-byte varint": (
        header(object_version=tag(8, VARINT) + b"\x80" * 10 + b"\x01"),
        errors.HeaderMalformed,
    ),
    "20 endless varint": (header() + tag(16, VARINT) + b"\xff" * 100, errors.HeaderMalformed),
    "21 field zero": (late(b"\x00\x01"), errors.HeaderMalformed),
    "22 wire type 6": (late(tag(16, 6)), errors.HeaderMalformed),
    "22 wire type 7": (late(tag(16, 7)), errors.HeaderMalformed),
    "23 unknown group": (late(tag(16, GROUP) + tag(16, END_GROUP)), errors.HeaderNotCanonical),
    "23 unknown group in a part": (
        part(release=field(6, 1) + tag(7, GROUP) + tag(7, END_GROUP)),
        errors.HeaderNotCanonical,
    ),
    "23 group start alone": (late(tag(16, GROUP)), errors.HeaderMalformed),
    "23 group end alone": (late(tag(16, END_GROUP)), errors.HeaderMalformed),
    "23 group ends as another": (
        late(tag(16, GROUP) + tag(17, END_GROUP)),
        errors.HeaderMalformed,
    ),
    "24 depth 101": (
        late(tag(16, GROUP) * 101 + tag(16, END_GROUP) * 101),
        errors.HeaderMalformed,
    ),
    "24 depth 10,000": (
        tag(16, GROUP) * 10_000 + tag(16, END_GROUP) * 10_000,
        errors.HeaderTooLarge,
    ),
    "25 length over the buffer": (late(tag(16, LENGTH) + b"\x7f"), errors.HeaderMalformed),
    "25 length of 2^32": (
        late(tag(16, LENGTH) + varint(2**32)),
        errors.HeaderMalformed,
    ),
    "25 part length over its message": (
        header(parts=tag(14, LENGTH) + varint(len(PART) + 1) + PART),
        errors.HeaderMalformed,
    ),
    "26 text that is not UTF-8": (header(object=field(7, b"\xff\xfe")), errors.HeaderMalformed),
    "26 overlong UTF-8": (header(object=field(7, b"\xc0\xaf")), errors.HeaderMalformed),
    "27 surrogate": (header(object=field(7, b"\xed\xa0\x80")), errors.HeaderMalformed),
    "28 NUL in a path": (header(actor=field(5, b"li@/3\x003")), errors.HeaderFieldInvalid),
    "28 newline after a path": (header(actor=field(5, b"li@/33\n")), errors.HeaderFieldInvalid),
    "28 control character in the object": (
        header(object=field(7, b"a\x1bb")),
        errors.HeaderFieldInvalid,
    ),
    "28 text that runs the other way": (
        header(object=field(7, "a\u202eb".encode())),
        errors.HeaderFieldInvalid,
    ),
    "29 repeated scalar": (
        header(object_version=field(8, 1) + field(8, 300)),
        errors.HeaderNotCanonical,
    ),
    "29 repeated scalar at the end": (late(field(8, 300)), errors.HeaderNotCanonical),
    "29 repeated scalar in a part": (
        part(length=field(3, 1) + field(3, 9)),
        errors.HeaderNotCanonical,
    ),
    "29 default written out": (
        header(actor=GOOD["actor"] + field(6, b"")),
        errors.HeaderNotCanonical,
    ),
    "30 non-minimal value": (
        header(object_version=tag(8, VARINT) + b"\xac\x82\x00"),
        errors.HeaderNotCanonical,
    ),
    "30 non-minimal tag": (
        header(object_version=b"\xc0\x00" + varint(300)),
        errors.HeaderNotCanonical,
    ),
    "30 non-minimal length": (
        header(object=tag(7, LENGTH) + b"\x88\x00" + b"return:1"),
        errors.HeaderNotCanonical,
    ),
    "30 version of more than 64 bits": (
        header(object_version=tag(8, VARINT) + b"\xff" * 9 + b"\x7f"),
        errors.HeaderNotCanonical,
    ),
    "31 reordered fields": (b"".join(reversed(GOOD.values())), errors.HeaderNotCanonical),
    "31 unknown field before a known one": (
        field(16, b"new") + header(),
        errors.HeaderNotCanonical,
    ),
    "32 unknown field of 900 KiB": (late(field(1000, bytes(900 * 1024))), errors.HeaderTooLarge),
    "33 unknown critical feature": (
        late(field(FIELD["critical"], varint(99))),
        errors.HeaderCriticalUnknown,
    ),
    "33 critical features one by one": (
        late(field(FIELD["critical"], 1)),
        errors.HeaderNotCanonical,
    ),
    "35 grade out of range": (part(grade=field(4, 5)), errors.HeaderFieldInvalid),
    "35 negative grade": (part(grade=field(4, 2**64 - 1)), errors.HeaderFieldInvalid),
    "35 no grade": (part(grade=b""), errors.HeaderFieldInvalid),
    "35 release out of range": (part(release=field(6, 3)), errors.HeaderFieldInvalid),
    "35 reach out of range": (part(reach=field(5, 16)), errors.HeaderFieldInvalid),
    "35 known field in another wire type": (
        late(tag(8, FIXED32) + bytes(4)),
        errors.HeaderNotCanonical,
    ),
    "37 two million empty parts": (
        header(parts=field(14, b"") * 2_000_000),
        errors.HeaderTooLarge,
    ),
    "37 empty parts to the limit": (
        header(parts=field(14, b"") * 3_900),
        errors.HeaderFieldInvalid,
    ),
    "37 empty causes to the limit": (
        header(object_version=field(8, 300) + field(9, b"") * 3_900),
        errors.HeaderFieldInvalid,
    ),
    "38 packed integers of 4 MiB": (late(field(15, b"\x01" * 4_194_304)), errors.HeaderTooLarge),
    "38 packed integers to the limit": (
        late(field(15, b"\x01" * 7_000)),
        errors.HeaderCriticalUnknown,
    ),
    "39 version 0": (header(object_version=b""), errors.HeaderFieldInvalid),
    "39 version 2^63": (header(object_version=field(8, 2**63)), errors.HeaderFieldInvalid),
    "39 version 2^64-1": (header(object_version=field(8, 2**64 - 1)), errors.HeaderFieldInvalid),
    "39 negative time": (header(created_ms=field(13, 2**64 - 1)), errors.HeaderFieldInvalid),
    "39 time 2^63-1": (header(created_ms=field(13, 2**63 - 1)), errors.HeaderFieldInvalid),
    "39 length 2^64-1": (part(length=field(3, 2**64 - 1)), errors.HeaderFieldInvalid),
    "40 empty message": (b"", errors.HeaderFieldInvalid),
}


@pytest.mark.parametrize(("data", "error"), BAD_HEADERS.values(), ids=BAD_HEADERS.keys())
def test_bad_header_bytes_have_a_typed_error(data: bytes, error: type[errors.PeerError]) -> None:
    """Each row is refused, and by the error that names what is wrong."""
    with pytest.raises(error):
        decode_header(data)


def test_19_a_header_cut_at_any_byte_is_refused() -> None:
    """Without its parts, every field of this header is required."""
    whole = header(parts=b"")
    decode_header(whole)
    for end in range(len(whole)):
        with pytest.raises(errors.PeerError):
            decode_header(whole[:end])


def test_19_a_part_cut_at_any_byte_is_refused_or_leaves_no_part() -> None:
    """The only shorter header is the one that commits to no part."""
    whole, without = header(), header(parts=b"")
    for end in range(len(without) + 1, len(whole)):
        with pytest.raises(errors.PeerError):
            decode_header(whole[:end])
    assert decode_header(without).parts == ()


def test_each_required_field_is_missed() -> None:
    """A header without any one of them is refused by the field's name."""
    for name in GOOD.keys() - {"parts"}:
        with pytest.raises(errors.HeaderFieldInvalid) as caught:
            decode_header(header(**{name: b""}))
        assert str(caught.value.params["field"]).startswith(name)


def test_32_new_fields_of_a_later_version_are_kept() -> None:
    """A header from a newer node is readable, and its bytes are its own."""
    newer = late(field(16, b"new") + field(1000, 7))
    assert decode_header(newer) == decode_header(header())
    in_part = part(release=field(6, 1) + field(7, 3))
    assert decode_header(in_part) == decode_header(header())


NETWORK = NetworkId(bytes(range(16)))
NODE = NodeId(bytes(range(1, 17)))
SIGNER = Ed25519Signer(sha256(b"sample corpus key").digest())
JOURNAL = JournalId(node_id=NODE, channel="up:15", epoch="1")


def sample_item() -> Item:
    made = Header(
        network=NETWORK,
        node_id=NODE,
        record_id=RecordId(bytes(16)),
        kind="reporting.return.submitted",
        actor="li.na@/33",
        object_id="return:1",
        object_version=1,
        created_ms=1,
        parts=(Part(name="core", salt=bytes(32), body=b"{}").digest(),),
    )
    sealed = seal(JournalState(journal=JOURNAL), [made.encode()], NETWORK, SIGNER)
    return Item(position=1, seal=sealed.seal)


FRAME = encode_frame(Frame(lane=Lane.BULK, items=(sample_item(),)))
ACK = encode_control(Ack(lane=Lane.BULK, position=5, credit_bytes=7))


def item_frame(change: Callable[[link_pb2.Item], None]) -> bytes:
    message = link_pb2.DataMessage.FromString(FRAME)
    change(message.frame.items[0])
    return message.SerializeToString()


def raw_frame(items: bytes) -> bytes:
    return field(1, field(1, 3) + items)


DEEP = tag(16, GROUP) * 10_000 + tag(16, END_GROUP) * 10_000

BAD_FRAMES: dict[str, tuple[bytes, type[errors.PeerError]]] = {
    "20 eleven-byte varint": (
        raw_frame(tag(3, VARINT) + b"\x80" * 10 + b"\x01"),
        errors.WireMalformed,
    ),
    "21 field zero": (FRAME + b"\x00\x01", errors.WireMalformed),
    "22 wire type 6": (FRAME + tag(16, 6), errors.WireMalformed),
    "23 group without an end": (FRAME + tag(16, GROUP), errors.WireMalformed),
    "24 depth 10,000": (FRAME + DEEP, errors.WireMalformed),
    "25 length over the buffer": (FRAME + tag(16, LENGTH) + b"\x7f", errors.WireMalformed),
    "26 channel that is not UTF-8": (
        FRAME.replace(field(2, b"up:15"), field(2, b"up:\xff5")),
        errors.WireMalformed,
    ),
    "28 NUL in a channel": (
        FRAME.replace(field(2, b"up:15"), field(2, b"up:\x005")),
        errors.ChannelInvalid,
    ),
    "35 lane out of range": (FRAME.replace(field(1, 3), field(1, 9), 1), errors.WireFieldInvalid),
    "37 two million empty items": (
        raw_frame(field(2, b"") * 2_000_000),
        errors.WireTooLarge,
    ),
    "37 half a million empty items": (raw_frame(field(2, b"") * 500_000), errors.WireTooLarge),
    "37 half a million empty headers": (
        item_frame(lambda item: item.seal.headers.extend([b""] * 400_000)),
        errors.WireTooLarge,
    ),
    "37 half a million empty runs": (
        raw_frame(field(2, field(1, 1) + field(3, b"") * 400_000)),
        errors.WireTooLarge,
    ),
    "38 a frame of 4 MiB": (FRAME + field(1000, bytes(4_194_304)), errors.WireTooLarge),
    "39 position 0": (
        item_frame(lambda item: item.ClearField("position")),
        errors.WireFieldInvalid,
    ),
    "39 position 2^63": (
        item_frame(lambda item: setattr(item, "position", 2**63)),
        errors.WireFieldInvalid,
    ),
    "39 sequence number 2^63-1": (
        item_frame(lambda item: setattr(item.seal, "first_seq", 2**63 - 1)),
        errors.WireFieldInvalid,
    ),
    "39 sequence number 2^64-1": (
        item_frame(lambda item: setattr(item.seal, "first_seq", 2**64 - 1)),
        errors.WireFieldInvalid,
    ),
    "40 empty message": (b"", errors.PeerError),
    "40 empty frame": (field(1, b""), errors.PeerError),
    "40 empty item": (raw_frame(field(2, b"")), errors.PeerError),
}


@pytest.mark.parametrize(("data", "error"), BAD_FRAMES.values(), ids=BAD_FRAMES.keys())
def test_bad_frame_bytes_have_a_typed_error(data: bytes, error: type[errors.PeerError]) -> None:
    """Each row is refused whole, before anything of it is used."""
    with pytest.raises(error):
        decode_frame(data)


def test_19_a_frame_cut_at_any_byte_is_refused() -> None:
    """No shorter frame hides in a frame."""
    assert decode_frame(FRAME).items == (sample_item(),)
    for end in range(len(FRAME)):
        with pytest.raises(errors.PeerError):
            decode_frame(FRAME[:end])


def test_19_a_control_message_cut_at_any_byte_is_refused() -> None:
    """Nor in a control message."""
    for end in range(len(ACK)):
        with pytest.raises(errors.PeerError):
            decode_control(ACK[:end])


BAD_CONTROL: dict[str, bytes] = {
    "21 field zero": ACK + b"\x00\x01",
    "23 group without an end": ACK + tag(16, GROUP),
    "24 depth 10,000": ACK + DEEP,
    "35 lane out of range": field(3, field(1, 9) + field(2, 5)),
    "37 two million holdings": field(2, field(3, b"") * 2_000_000),
    "37 half a million cursors": field(2, field(2, b"") * 500_000),
    "39 position 2^64-1": field(3, field(1, 3) + field(2, 2**64 - 1)),
    "40 empty message": b"",
    "40 empty hello": field(1, b""),
    "40 empty resume": field(2, b""),
    "40 empty receipt": field(4, b""),
}


@pytest.mark.parametrize("data", BAD_CONTROL.values(), ids=BAD_CONTROL.keys())
def test_bad_control_bytes_have_a_typed_error(data: bytes) -> None:
    """Whatever a peer sends, the answer is a `PeerError`."""
    with pytest.raises(errors.PeerError):
        decode_control(data)


def test_34_of_two_bodies_in_one_message_the_last_counts() -> None:
    """One message is read as one body, the same by every reader, never as both."""
    heartbeat = encode_control(Heartbeat(now_ms=9))
    assert decode_control(ACK + heartbeat) == Heartbeat(now_ms=9)
    assert decode_control(heartbeat + ACK) == Ack(lane=Lane.BULK, position=5, credit_bytes=7)


def test_36_no_message_of_a_protocol_has_a_map() -> None:
    """A map would have repeated keys and no order; there is none to attack."""

    def maps(descriptor: Descriptor) -> list[str]:
        found = [d.full_name for d in descriptor.nested_types if d.GetOptions().map_entry]
        return found + [name for nested in descriptor.nested_types for name in maps(nested)]

    for module in (record_pb2, link_pb2):
        for descriptor in module.DESCRIPTOR.message_types_by_name.values():
            assert maps(descriptor) == []


def test_no_bad_row_is_large_work() -> None:
    """The limits stand well below what a peer may send in one call."""
    assert MAX_HEADER_BYTES == 8 * 1024
    assert MAX_FRAME_BYTES == 1024 * 1024


def test_a_frame_that_decodes_still_proves_nothing() -> None:
    """Shape is not truth: the seal inside is verified on its own."""

    def lie(item: link_pb2.Item) -> None:
        item.seal.checkpoint = item.seal.checkpoint.replace(b"\n1\n", b"\n2\n")

    received: Seal = decode_frame(item_frame(lie)).items[0].seal
    with pytest.raises(errors.NoteSignatureInvalid):
        open_checkpoint(received.checkpoint, JOURNAL.origin(NETWORK), SIGNER.public_key)
