"""Messages of the link as bytes.

With `yidao.sync.partsrun` the only module that reads or writes the session part of
`link.proto`. Sealed bytes (headers, checkpoints, parts) pass through untouched. A message
is refused by its length before it is parsed and by the length of each list before a value
is made of it; a value that exists is within its limits.

Nothing here is signed, so unknown fields are ignored (a newer peer may send
them) and an encoding need not be canonical.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Final, TypeVar

from google.protobuf.message import DecodeError, Message

from yidao.api.link.v1 import link_pb2 as pb
from yidao.sync import errors
from yidao.sync.ids import Lane, Path, network_id, node_id
from yidao.sync.journal import MAX_SEAL_HEADER_BYTES, MAX_SEAL_RECORDS, Seal
from yidao.sync.message import (
    HASH_BYTES,
    LIFE_BYTES,
    MAX_CHAIN,
    MAX_CHECKPOINT_BYTES,
    MAX_CLAIMS,
    MAX_CODE_BYTES,
    MAX_CONTROL_BYTES,
    MAX_COSIGNATURE_BYTES,
    MAX_COSIGNATURES,
    MAX_EPOCH_BYTES,
    MAX_FRAME_BYTES,
    MAX_HELD,
    MAX_HOLDINGS,
    MAX_ITEMS,
    MAX_NUMBER,
    MAX_PATH_BYTES,
    MAX_PROOF_BYTES,
    MAX_RUNS,
    MAX_WANTED,
    STORE_ID_BYTES,
    Ack,
    Control,
    EnrolmentProof,
    Frame,
    Goodbye,
    Heartbeat,
    Held,
    Hello,
    Holding,
    Item,
    LaneCursor,
    Receipt,
    Refusal,
    Resume,
)
from yidao.sync.partsrun import read_journal, read_part, read_run, run_bytes, write_journal
from yidao.sync.record import MAX_HEADER_BYTES
from yidao.sync.varint import varint

_FRAME_TAG, _ITEM_TAG, _PARTS_TAG = (
    bytes([kind.DESCRIPTOR.fields_by_name[name].number << 3 | 2])
    for kind, name in ((pb.DataMessage, "frame"), (pb.Frame, "items"), (pb.Item, "parts"))
)
# One byte of tag, eight of value.
NUMBER_BYTES: Final = 9

_Message = TypeVar("_Message", bound=Message)


def encode_frame(frame: Frame) -> bytes:
    """Return the `DataMessage` bytes of a frame, still without its number.

    Raises:
        FrameTooLarge: It would be over 1 MiB; the reader packed too much.
    """
    # In the order of their numbers, as protobuf itself writes them.
    lane = pb.Frame(lane=pb.Lane.ValueType(frame.lane))
    where = pb.Frame(after_position=frame.after_position, backfill=frame.backfill)
    inner = b"".join(
        [lane.SerializeToString(), *map(_item_bytes, frame.items), where.SerializeToString()]
    )
    data = _nested(_FRAME_TAG, inner)
    limit = MAX_FRAME_BYTES - NUMBER_BYTES
    if len(data) > limit:
        raise errors.FrameTooLarge(size_bytes=len(data), limit_bytes=limit)
    return data


def with_number(data: bytes, number: int) -> bytes:
    """Return `encode_frame`'s bytes with the number that the frame has in its session.

    It is known only when the frame goes out, after any wait for credit. Protobuf
    lets fields be appended, and a fixed-width one keeps the size foreseeable.
    """
    return data + pb.DataMessage(number=number).SerializeToString()


def decode_frame(data: bytes) -> Frame:
    """Return the frame that came as `DataMessage` bytes.

    Raises:
        WireTooLarge, WireMalformed, WireFieldInvalid, IdInvalid, ChannelInvalid,
        EpochInvalid: The bytes are refused whole.
    """
    message = _parse(data, pb.DataMessage(), MAX_FRAME_BYTES)
    frame = message.frame
    _limit("items", len(frame.items), MAX_ITEMS)
    if not frame.items:
        raise errors.WireFieldInvalid(field="items")
    items = tuple([_read_item(item) for item in frame.items])
    after_position = _number("after_position", frame.after_position)
    # A backfill lies before the resume point, everything else after it.
    floor = 0 if frame.backfill else after_position
    for item in items:
        if item.position <= floor:
            raise errors.WireFieldInvalid(field="position")
        floor = _number("position", item.last_position)
    return Frame(
        lane=_lane(frame.lane),
        items=items,
        after_position=after_position,
        backfill=frame.backfill,
        number=_number("number", message.number),
    )


def encode_control(message: Control) -> bytes:
    """Return the `ControlMessage` bytes of a message."""
    out = pb.ControlMessage()
    match message:
        case Hello():
            _write_hello(out.hello, message)
        case Resume():
            _write_resume(out.resume, message)
        case Ack():
            out.ack.lane = pb.Lane.ValueType(message.lane)
            out.ack.position = message.position
            out.ack.credit_bytes = message.credit_bytes
        case Receipt():
            write_journal(out.receipt.journal, message.journal)
            out.receipt.size = message.size
            out.receipt.cosignatures.extend(message.cosignatures)
        case Refusal():
            write_journal(out.refusal.journal, message.journal)
            out.refusal.seq = message.seq
            out.refusal.code = message.code
        case Heartbeat():
            # An all-default heartbeat must still be the one that is set.
            out.heartbeat.SetInParent()
            out.heartbeat.now_ms = message.now_ms
        case Goodbye():
            out.goodbye.code = message.code
            out.goodbye.retry_after_ms = message.retry_after_ms
    return out.SerializeToString()


def decode_control(data: bytes) -> Control:
    """Return the message that came as `ControlMessage` bytes.

    Raises:
        WireTooLarge, WireMalformed, WireFieldInvalid, IdInvalid, PathInvalid,
        ChannelInvalid, EpochInvalid: The bytes are refused whole.
    """
    message = _parse(data, pb.ControlMessage(), MAX_CONTROL_BYTES)
    body = message.WhichOneof("body")
    if body is None:
        raise errors.WireFieldInvalid(field="body")
    return _READERS[body](getattr(message, body))


def _parse(data: bytes, into: _Message, limit: int) -> _Message:
    _limit("bytes", len(data), limit)
    try:
        into.ParseFromString(data)
    except DecodeError as error:
        raise errors.WireMalformed from error
    return into


def _limit(what: str, size: int, limit: int) -> None:
    if size > limit:
        raise errors.WireTooLarge(what=what, size=size, limit=limit)


def _number(field: str, value: int) -> int:
    if not 0 <= value <= MAX_NUMBER:
        raise errors.WireFieldInvalid(field=field)
    return value


def _exact(field: str, value: bytes, size: int) -> bytes:
    if len(value) != size:
        raise errors.WireFieldInvalid(field=field)
    return value


def _lane(value: int) -> Lane:
    try:
        return Lane(value)
    except ValueError as error:
        raise errors.WireFieldInvalid(field="lane") from error


def _code(value: str) -> str:
    if not (0 < len(value) <= MAX_CODE_BYTES and value.isascii() and value.isprintable()):
        raise errors.WireFieldInvalid(field="code")
    return value


def _read_item(item: pb.Item) -> Item:
    _limit("parts_runs", len(item.parts), MAX_RUNS)
    if _number("position", item.position) == 0:
        raise errors.WireFieldInvalid(field="position")
    return Item(
        position=item.position,
        seal=_read_seal(item.seal),
        cosignatures=_read_lines(item.seal.cosignatures),
        parts=tuple([read_run(run) for run in item.parts]),
    )


def _read_seal(seal: pb.Seal) -> Seal:
    _limit("headers", len(seal.headers), MAX_SEAL_RECORDS)
    _limit("checkpoint", len(seal.checkpoint), MAX_CHECKPOINT_BYTES)
    headers = tuple(seal.headers)
    sizes = [len(header) for header in headers]
    if not sizes or min(sizes) == 0:
        raise errors.WireFieldInvalid(field="headers")
    _limit("header", max(sizes), MAX_HEADER_BYTES)
    _limit("seal_headers", sum(sizes), MAX_SEAL_HEADER_BYTES)
    if not seal.checkpoint:
        raise errors.WireFieldInvalid(field="checkpoint")
    _number("first_seq", seal.first_seq + len(headers))
    return Seal(
        journal=read_journal(seal.journal),
        first_seq=seal.first_seq,
        headers=headers,
        checkpoint=seal.checkpoint,
    )


def _read_lines(lines: Sequence[str]) -> tuple[str, ...]:
    _limit("cosignatures", len(lines), MAX_COSIGNATURES)
    for line in lines:
        _limit("cosignature", len(line), MAX_COSIGNATURE_BYTES)
    return tuple(lines)


def _item_bytes(item: Item) -> bytes:
    """Return an item as a field of its frame; parts that lie ready are only copied."""
    head = pb.Item(position=item.position)
    seal = head.seal
    write_journal(seal.journal, item.seal.journal)
    seal.first_seq = item.seal.first_seq
    seal.headers.extend(item.seal.headers)
    seal.checkpoint = item.seal.checkpoint
    seal.cosignatures.extend(item.cosignatures)
    runs = [_nested(_PARTS_TAG, run_bytes(run)) for run in item.parts]
    return _nested(_ITEM_TAG, b"".join([head.SerializeToString(), *runs]))


def _nested(tag: bytes, data: bytes) -> bytes:
    """Return bytes as a field of a message that holds them as a message."""
    return b"".join((tag, varint(len(data)), data))


def _write_hello(out: pb.Hello, hello: Hello) -> None:
    out.min_version = hello.min_version
    out.max_version = hello.max_version
    out.network = hello.network
    out.node_id = hello.node_id
    out.store_id = hello.store_id
    out.path = str(hello.path)
    out.epoch = hello.epoch
    for proof in hello.chain:
        out_proof = out.chain.add()
        out_proof.header = proof.header
        name, salt, body = proof.core
        out_proof.core.CopyFrom(pb.Part(name=name, salt=salt, body=body))
        out_proof.proof = proof.proof
    out.life = hello.life
    out.replaced = hello.replaced


def _read_hello(hello: pb.Hello) -> Hello:
    _limit("chain", len(hello.chain), MAX_CHAIN)
    _limit("path", len(hello.path), MAX_PATH_BYTES)
    if not 0 < hello.min_version <= hello.max_version:
        raise errors.WireFieldInvalid(field="versions")
    if not (0 < len(hello.epoch) <= MAX_EPOCH_BYTES and hello.epoch.isascii()):
        raise errors.WireFieldInvalid(field="epoch")
    return Hello(
        network=network_id(hello.network),
        node_id=node_id(hello.node_id),
        store_id=_exact("store_id", hello.store_id, STORE_ID_BYTES),
        path=Path.parse(hello.path),
        epoch=hello.epoch,
        min_version=hello.min_version,
        max_version=hello.max_version,
        chain=tuple([_read_proof(proof) for proof in hello.chain]),
        life=_exact("life", hello.life, LIFE_BYTES if hello.life else 0),
        replaced=hello.replaced,
    )


def _read_proof(proof: pb.EnrolmentProof) -> EnrolmentProof:
    _limit("header", len(proof.header), MAX_HEADER_BYTES)
    _limit("proof", len(proof.proof), MAX_PROOF_BYTES)
    return EnrolmentProof(header=proof.header, core=read_part(proof.core), proof=proof.proof)


def _write_resume(out: pb.Resume, resume: Resume) -> None:
    out.store_id = resume.store_id
    out.credit_bytes = resume.credit_bytes
    for cursor in resume.cursors:
        out_cursor = out.cursors.add()
        out_cursor.lane = pb.Lane.ValueType(cursor.lane)
        out_cursor.position = cursor.position
        out_cursor.checkpoint_sha256 = cursor.checkpoint_sha256
    for out_list, holdings in ((out.holdings, resume.holdings), (out.wanted, resume.wanted)):
        for holding in holdings:
            out_holding = out_list.add()
            write_journal(out_holding.journal, holding.journal)
            out_holding.size = holding.size
    for out_held, said in ((out.held, resume.held), (out.receipts, resume.receipts)):
        for each in said:
            entry = out_held.add()
            write_journal(entry.journal, each.journal)
            entry.checkpoint = each.checkpoint
            entry.cosignature = each.cosignature


def _read_resume(resume: pb.Resume) -> Resume:
    _limit("cursors", len(resume.cursors), len(Lane))
    _limit("holdings", len(resume.holdings), MAX_HOLDINGS)
    _limit("wanted", len(resume.wanted), MAX_WANTED)
    _limit("held", len(resume.held), MAX_HELD)
    _limit("receipts", len(resume.receipts), MAX_CLAIMS)
    cursors = tuple([_read_cursor(cursor) for cursor in resume.cursors])
    if len({cursor.lane for cursor in cursors}) != len(cursors):
        raise errors.WireFieldInvalid(field="cursors")
    return Resume(
        store_id=_exact("store_id", resume.store_id, STORE_ID_BYTES),
        credit_bytes=_number("credit_bytes", resume.credit_bytes),
        cursors=cursors,
        holdings=tuple([_read_holding(holding) for holding in resume.holdings]),
        wanted=tuple([_read_holding(holding) for holding in resume.wanted]),
        held=tuple([_read_held(held) for held in resume.held]),
        receipts=tuple([_read_held(held) for held in resume.receipts]),
    )


def _read_cursor(cursor: pb.LaneCursor) -> LaneCursor:
    # At position 0 nothing has been received, so there is no checkpoint to name.
    size = HASH_BYTES if cursor.position else 0
    return LaneCursor(
        lane=_lane(cursor.lane),
        position=_number("position", cursor.position),
        checkpoint_sha256=_exact("checkpoint_sha256", cursor.checkpoint_sha256, size),
    )


def _read_holding(holding: pb.Holding) -> Holding:
    return Holding(journal=read_journal(holding.journal), size=_number("size", holding.size))


def _read_held(held: pb.Held) -> Held:
    _limit("checkpoint", len(held.checkpoint), MAX_CHECKPOINT_BYTES)
    _limit("cosignature", len(held.cosignature), MAX_COSIGNATURE_BYTES)
    return Held(
        journal=read_journal(held.journal),
        checkpoint=held.checkpoint,
        cosignature=held.cosignature,
    )


def _read_ack(ack: pb.Ack) -> Ack:
    return Ack(
        lane=_lane(ack.lane),
        position=_number("position", ack.position),
        credit_bytes=_number("credit_bytes", ack.credit_bytes),
    )


def _read_receipt(receipt: pb.Receipt) -> Receipt:
    if not receipt.cosignatures:
        raise errors.WireFieldInvalid(field="cosignatures")
    return Receipt(
        journal=read_journal(receipt.journal),
        size=_number("size", receipt.size),
        cosignatures=_read_lines(receipt.cosignatures),
    )


def _read_refusal(refusal: pb.Refusal) -> Refusal:
    return Refusal(
        journal=read_journal(refusal.journal),
        seq=_number("seq", refusal.seq),
        code=_code(refusal.code),
    )


def _read_heartbeat(heartbeat: pb.Heartbeat) -> Heartbeat:
    return Heartbeat(now_ms=_number("now_ms", heartbeat.now_ms))


def _read_goodbye(goodbye: pb.Goodbye) -> Goodbye:
    return Goodbye(code=_code(goodbye.code), retry_after_ms=goodbye.retry_after_ms)


_READERS: Final[Mapping[str, Callable[..., Control]]] = {
    "hello": _read_hello,
    "resume": _read_resume,
    "ack": _read_ack,
    "receipt": _read_receipt,
    "refusal": _read_refusal,
    "heartbeat": _read_heartbeat,
    "goodbye": _read_goodbye,
}
