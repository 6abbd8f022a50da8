from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256

import pytest

from yidao.api.link.v1 import link_pb2 as pb
from yidao.sync import errors
from yidao.sync import message as m
from yidao.sync import partsrun as r
from yidao.sync.ids import JournalId, Lane, NetworkId, NodeId, Path
from yidao.sync.record import Part
from yidao.sync.wire import (
    NUMBER_BYTES,
    decode_control,
    decode_frame,
    encode_control,
    encode_frame,
    with_number,
)

NODE = NodeId(bytes(range(16)))
JOURNAL = JournalId(node_id=NODE, channel="up:15", epoch="1")
PART = Part(name="core", salt=b"s" * 32, body=b'{"v":"1"}')
HOLDING = m.Holding(journal=JOURNAL, size=7)
HELLO = m.Hello(
    network=NetworkId(b"n" * 16),
    node_id=NODE,
    store_id=b"s" * 16,
    path=Path.parse("/33/3301"),
    epoch="2-0123456789abcdef",
    max_version=3,
    chain=(m.EnrolmentProof(header=b"header", core=PART, proof=b"proof"),),
)
RESUME = m.Resume(
    store_id=b"s" * 16,
    credit_bytes=1 << 20,
    cursors=(
        m.LaneCursor(lane=Lane.CONTROL, position=0, checkpoint_sha256=b""),
        m.LaneCursor(lane=Lane.BULK, position=9, checkpoint_sha256=b"c" * 32),
    ),
    holdings=(HOLDING,),
    wanted=(replace(HOLDING, size=3),),
)

CONTROL = {
    "hello": HELLO,
    "resume": RESUME,
    "empty resume": m.Resume(store_id=b"s" * 16, credit_bytes=0),
    "ack": m.Ack(lane=Lane.URGENT, position=(1 << 63) - 1, credit_bytes=5),
    "receipt": m.Receipt(journal=JOURNAL, size=4, cosignatures=("— a b", "— c d")),
    "refusal": m.Refusal(journal=JOURNAL, seq=0, code="SEAL_ROOT_MISMATCH"),
    "heartbeat": m.Heartbeat(now_ms=1_750_000_000_000),
    "heartbeat at time zero": m.Heartbeat(now_ms=0),
    "goodbye": m.Goodbye(code="SESSION_SILENT", retry_after_ms=5000),
}


@pytest.fixture
def frame(make_item: Callable[..., m.Item]) -> m.Frame:
    run = r.PartsRun(
        journal=JOURNAL,
        given=(
            r.RecordParts(seq=3, parts=(PART, PART._replace(name="pii"))),
            r.RecordParts(
                seq=5,
                sealed=(r.SealedPart(name="core", ciphertext=b"sealed"),),
                absent=(
                    r.AbsentPart(name="pii", absence=r.Absence.REDACTED),
                    r.AbsentPart(name="file:1", absence=r.Absence.PRUNED),
                ),
            ),
        ),
    )
    items = (
        make_item(4, count=3, cosignatures=("— name AAAA",), parts=(run,)),
        make_item(9, first_seq=3),
    )
    return m.Frame(lane=Lane.BULK, items=items, after_position=3)


@pytest.mark.parametrize("message", CONTROL.values(), ids=CONTROL.keys())
def test_control_message_comes_back_as_it_went(message: m.Control) -> None:
    """What one side says is what the other side hears."""
    assert decode_control(encode_control(message)) == message


@pytest.mark.parametrize("backfill", [False, True])
def test_frame_comes_back_as_it_went(frame: m.Frame, backfill: bool) -> None:
    """A frame keeps every byte of its seals and parts."""
    sent = replace(frame, backfill=backfill, after_position=0 if backfill else 3)
    assert decode_frame(encode_frame(sent)) == sent


@pytest.mark.parametrize("backfill", [False, True])
def test_a_frame_is_the_bytes_that_protobuf_makes(frame: m.Frame, backfill: bool) -> None:
    """Put together by hand, it is what every other implementation would write."""
    data = encode_frame(replace(frame, backfill=backfill))
    assert pb.DataMessage.FromString(data).SerializeToString() == data


@pytest.mark.parametrize("number", [1, 300, (1 << 63) - 1])
def test_number_is_added_to_finished_bytes(frame: m.Frame, number: int) -> None:
    """A frame gets its number when it goes out, at a cost that is known before."""
    data = encode_frame(frame)
    numbered = with_number(data, number)
    assert len(numbered) == len(data) + NUMBER_BYTES
    assert decode_frame(numbered) == replace(frame, number=number)


def test_item_knows_its_end(frame: m.Frame) -> None:
    """Positions count records, and a cursor names the hash of the checkpoint bytes."""
    item = frame.items[0]
    assert (item.position, item.last_position, item.seal.end_seq) == (4, 6, 3)
    assert item.checkpoint_sha256 == sha256(b"checkpoint of position 4").digest()
    assert frame.last_position == 9


def test_truncated_frame_is_refused_or_whole(frame: m.Frame) -> None:
    """Cut at every byte, a frame raises a typed error; no cut passes as the frame itself."""
    data = encode_frame(frame)
    for length in range(len(data)):
        with pytest.raises(errors.PeerError):
            decode_frame(data[:length])


@pytest.mark.parametrize("message", [HELLO, RESUME, CONTROL["receipt"]])
def test_truncated_control_message_is_refused(message: m.Control) -> None:
    """Cut at every byte, a message raises a typed error."""
    data = encode_control(message)
    for length in range(len(data)):
        with pytest.raises(errors.PeerError):
            decode_control(data[:length])


MALFORMED = {
    "an eleven-byte varint": b"\x08" + b"\xff" * 10 + b"\x01",
    "field number zero": b"\x02\x00",
    "wire type six": b"\x0e",
    "a group that never ends": b"\x0b",
    "a length beyond the end": b"\x0a\x7f\x00",
    "bad UTF-8 in a string": pb.ControlMessage(goodbye=pb.Goodbye(code="xx"))
    .SerializeToString()
    .replace(b"xx", b"\xff\xfe"),
}


@pytest.mark.parametrize("data", MALFORMED.values(), ids=MALFORMED.keys())
def test_bytes_that_are_no_message_are_refused(data: bytes) -> None:
    """Bytes that protobuf cannot read raise WIRE_MALFORMED."""
    with pytest.raises(errors.WireMalformed):
        decode_control(data)


def test_empty_bytes_are_no_message() -> None:
    """Nothing at all is neither a message nor a frame."""
    with pytest.raises(errors.WireFieldInvalid):
        decode_control(b"")
    with pytest.raises(errors.WireFieldInvalid):
        decode_frame(b"")


def test_unknown_fields_are_ignored() -> None:
    """A newer peer may send fields that this version does not know."""
    unknown = b"\xc2\x3e\x03abc"  # field 1000, three bytes
    assert decode_control(encode_control(HELLO) + unknown) == HELLO


@pytest.mark.parametrize("decode", [decode_frame, decode_control])
def test_too_many_bytes_are_refused_before_parsing(decode: Callable[[bytes], object]) -> None:
    """Bytes over the limit are refused for their length, whatever they hold."""
    with pytest.raises(errors.WireTooLarge) as caught:
        decode(b"\xff" * (m.MAX_FRAME_BYTES + 1))
    assert caught.value.params["what"] == "bytes"


def test_frame_over_the_limit_is_not_sent(make_item: Callable[..., m.Item]) -> None:
    """A reader that packs too much is told so, and nothing goes out."""
    items = tuple([make_item(1 + 128 * n, count=128, size_bytes=4096) for n in range(3)])
    with pytest.raises(errors.FrameTooLarge):
        encode_frame(m.Frame(lane=Lane.BULK, items=items))


def _item() -> pb.Item:
    item = pb.Item(position=1)
    _fill(item.seal.journal)
    item.seal.headers.append(b"h")
    item.seal.checkpoint = b"c"
    return item


def _fill(ref: pb.JournalRef) -> None:
    ref.node_id, ref.channel, ref.epoch = NODE, "up:15", "1"


def _frame_bytes(spoil: Callable[[pb.Item], object]) -> bytes:
    item = _item()
    spoil(item)
    return pb.DataMessage(frame=pb.Frame(lane=3, items=[item])).SerializeToString()


def _run(item: pb.Item) -> pb.PartsRun:
    run = item.parts.add()
    _fill(run.journal)
    return run


CROWDED = {
    "runs": lambda item: [item.parts.add() for _ in range(m.MAX_RUNS + 1)],
    "records of a run": lambda item: _run(item).records.extend(
        [pb.RecordParts(seq=n) for n in range(r.MAX_RUN_RECORDS + 1)]
    ),
    "parts of a record": lambda item: _run(item).records.add().parts.extend([pb.Part()] * 17),
    "sealed parts of a record": lambda item: (
        _run(item).records.add().sealed.extend([pb.SealedPart()] * 17)
    ),
    "bytes of a sealed part": lambda item: (
        _run(item).records.add().sealed.append(pb.SealedPart(ciphertext=bytes(257 * 1024)))
    ),
    "bytes of a sealed part's name": lambda item: (
        _run(item).records.add().sealed.append(pb.SealedPart(name="n" * 257))
    ),
    "absent parts of a record": lambda item: (
        _run(item).records.add().absent.extend([pb.AbsentPart(absence=1)] * 17)
    ),
    "bytes of an absent part's name": lambda item: (
        _run(item).records.add().absent.append(pb.AbsentPart(name="n" * 257, absence=1))
    ),
    "headers": lambda item: item.seal.headers.extend([b"h"] * 2000),
    "bytes of a header": lambda item: item.seal.headers.append(b"h" * 8193),
    "bytes of headers": lambda item: item.seal.headers.extend([b"h" * 8192] * 65),
    "bytes of a checkpoint": lambda item: setattr(item.seal, "checkpoint", b"c" * 4097),
    "cosignatures": lambda item: item.seal.cosignatures.extend(["x"] * 33),
    "bytes of a cosignature": lambda item: item.seal.cosignatures.append("x" * 3_585),
    "bytes of a part": lambda item: (
        _run(item)
        .records.add()
        .parts.append(pb.Part(name="core", salt=b"s" * 32, body=b"b" * (256 * 1024 + 1)))
    ),
    "bytes of a part's name": lambda item: (
        _run(item).records.add().parts.append(pb.Part(name="n" * 257, salt=b"s" * 32))
    ),
}


@pytest.mark.parametrize("spoil", CROWDED.values(), ids=CROWDED.keys())
def test_item_beyond_a_limit_is_refused(spoil: Callable[[pb.Item], object]) -> None:
    """Every list and every byte string of an item has a limit."""
    with pytest.raises(errors.WireTooLarge):
        decode_frame(_frame_bytes(spoil))


def test_million_empty_items_are_refused_by_their_number() -> None:
    """Half a million empty messages in one megabyte do not become half a million values."""
    empty = pb.Frame(lane=3).SerializeToString() + b"\x12\x00" * 500_000
    data = b"\x0a" + _varint(len(empty)) + empty
    with pytest.raises(errors.WireTooLarge) as caught:
        decode_frame(data)
    assert caught.value.params["what"] == "items"


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes([*out, value])


WRONG = {
    "position zero": lambda item: setattr(item, "position", 0),
    "position beyond 63 bits": lambda item: setattr(item, "position", 1 << 63),
    "last position beyond 63 bits": lambda item: (
        setattr(item, "position", (1 << 63) - 1),
        item.seal.headers.append(b"h"),
    ),
    "no header": lambda item: item.seal.ClearField("headers"),
    "an empty header": lambda item: item.seal.headers.append(b""),
    "no checkpoint": lambda item: item.seal.ClearField("checkpoint"),
    "sequence beyond 63 bits": lambda item: setattr(item.seal, "first_seq", (1 << 63) - 1),
    "node id of 15 bytes": lambda item: setattr(item.seal.journal, "node_id", b"n" * 15),
    "unknown channel": lambda item: setattr(item.seal.journal, "channel", "sideways"),
    "no journal": lambda item: item.seal.ClearField("journal"),
    "epoch zero": lambda item: setattr(item.seal.journal, "epoch", "0"),
    "salt of 31 bytes": lambda item: (
        _run(item).records.add().parts.append(pb.Part(name="core", salt=b"s" * 31))
    ),
    "parts out of order": lambda item: _run(item).records.extend(
        [pb.RecordParts(seq=2), pb.RecordParts(seq=1)]
    ),
    "parts of one record twice": lambda item: _run(item).records.extend(
        [pb.RecordParts(seq=2), pb.RecordParts(seq=2)]
    ),
    "a run of no journal": lambda item: item.parts.add(),
    "a part that is absent for no reason": lambda item: (
        _run(item).records.add().absent.append(pb.AbsentPart(name="pii"))
    ),
}


@pytest.mark.parametrize("spoil", WRONG.values(), ids=WRONG.keys())
def test_item_with_a_wrong_field_is_refused(spoil: Callable[[pb.Item], object]) -> None:
    """A field that is missing or out of range raises a typed error."""
    decode_frame(_frame_bytes(lambda item: None))
    with pytest.raises(errors.PeerError):
        decode_frame(_frame_bytes(spoil))


ORDERS = {
    "not after the resume point": (5, (5,)),
    "the same position twice": (0, (1, 1)),
    "positions falling": (0, (2, 1)),
}


@pytest.mark.parametrize(("after", "positions"), ORDERS.values(), ids=ORDERS.keys())
def test_items_out_of_order_are_refused(after: int, positions: tuple[int, ...]) -> None:
    """Positions ascend from after_position on."""
    items = []
    for position in positions:
        item = _item()
        item.position = position
        items.append(item)
    frame = pb.Frame(lane=3, items=items, after_position=after)
    with pytest.raises(errors.WireFieldInvalid):
        decode_frame(pb.DataMessage(frame=frame).SerializeToString())


@pytest.mark.parametrize("lane", [0, 4, 77])
def test_unknown_lane_is_refused(lane: int) -> None:
    """There are three lanes."""
    data = pb.DataMessage(frame=pb.Frame(lane=lane, items=[_item()])).SerializeToString()
    with pytest.raises(errors.WireFieldInvalid):
        decode_frame(data)


def _control(spoil: Callable[[pb.ControlMessage], object], of: m.Control) -> bytes:
    message = pb.ControlMessage.FromString(encode_control(of))
    spoil(message)
    return message.SerializeToString()


BAD_CONTROL = {
    "too many holdings": (
        RESUME,
        lambda c: c.resume.holdings.extend([c.resume.holdings[0]] * m.MAX_HOLDINGS),
    ),
    "too many wanted": (
        RESUME,
        lambda c: c.resume.wanted.extend([c.resume.wanted[0]] * m.MAX_WANTED),
    ),
    "four cursors": (RESUME, lambda c: c.resume.cursors.extend([c.resume.cursors[0]] * 2)),
    "one lane twice": (RESUME, lambda c: c.resume.cursors.append(c.resume.cursors[1])),
    "cursor without a hash": (
        RESUME,
        lambda c: c.resume.cursors[1].ClearField("checkpoint_sha256"),
    ),
    "store id of 15 bytes": (RESUME, lambda c: setattr(c.resume, "store_id", b"s" * 15)),
    "credit beyond 63 bits": (RESUME, lambda c: setattr(c.resume, "credit_bytes", 1 << 63)),
    "holding beyond 63 bits": (RESUME, lambda c: setattr(c.resume.holdings[0], "size", 1 << 63)),
    "versions the wrong way": (HELLO, lambda c: setattr(c.hello, "min_version", 4)),
    "version zero": (HELLO, lambda c: setattr(c.hello, "min_version", 0)),
    "network of 17 bytes": (HELLO, lambda c: setattr(c.hello, "network", b"n" * 17)),
    "path with a slash at the end": (HELLO, lambda c: setattr(c.hello, "path", "/33/")),
    "path with full-width digits": (HELLO, lambda c: setattr(c.hello, "path", "/３３")),
    "path too long": (HELLO, lambda c: setattr(c.hello, "path", "/" + "3" * 512)),
    "no epoch": (HELLO, lambda c: c.hello.ClearField("epoch")),
    "chain too long": (HELLO, lambda c: c.hello.chain.extend([c.hello.chain[0]] * 64)),
    "huge proof": (HELLO, lambda c: setattr(c.hello.chain[0], "proof", b"p" * 16385)),
    "negative time": (m.Heartbeat(now_ms=1), lambda c: setattr(c.heartbeat, "now_ms", -1)),
    "goodbye without a code": (m.Goodbye(code="X"), lambda c: c.goodbye.ClearField("code")),
    "code with a line break": (
        m.Goodbye(code="X"),
        lambda c: setattr(c.goodbye, "code", "X\nroot: all is well"),
    ),
    "code too long": (m.Goodbye(code="X"), lambda c: setattr(c.goodbye, "code", "X" * 65)),
    "receipt of nothing": (
        CONTROL["receipt"],
        lambda c: c.receipt.ClearField("cosignatures"),
    ),
    "too many cosignatures": (
        CONTROL["receipt"],
        lambda c: c.receipt.cosignatures.extend(["x"] * 31),
    ),
    "ack of no lane": (CONTROL["ack"], lambda c: setattr(c.ack, "lane", 0)),
}


@pytest.mark.parametrize(("of", "spoil"), BAD_CONTROL.values(), ids=BAD_CONTROL.keys())
def test_wrong_control_message_is_refused(
    of: m.Control, spoil: Callable[[pb.ControlMessage], object]
) -> None:
    """A control message beyond a limit or with a wrong field raises a typed error."""
    decode_control(_control(lambda c: None, of))
    with pytest.raises(errors.PeerError):
        decode_control(_control(spoil, of))
