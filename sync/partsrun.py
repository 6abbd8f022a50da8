"""Parts on their way: of which records of one journal, and how they lie in a message.

A run is made of values or of bytes. A store keeps runs as the bytes that travel, so a run
that passes on as it came is copied, not taken apart and put together again.
"""

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from enum import IntEnum
from functools import lru_cache
from typing import Final, NamedTuple

from google.protobuf.message import DecodeError

from yidao.api.link.v1 import link_pb2 as pb
from yidao.sync import errors
from yidao.sync.ids import JournalId, node_id
from yidao.sync.record import MAX_PART_BYTES, MAX_PARTS, SALT_BYTES, Part

MAX_RUN_RECORDS: Final = 2_000
MAX_PART_NAME_BYTES: Final = 256
# Salt, encapsulated key and tag of whatever algorithm.
MAX_SEALED_OVERHEAD_BYTES: Final = 512
MAX_SEALED_BYTES: Final = MAX_PART_BYTES + MAX_SEALED_OVERHEAD_BYTES
# Sequence numbers live in signed 64-bit columns.
MAX_SEQ: Final = (1 << 63) - 1


class Absence(IntEnum):
    """Why a node holds a part no longer: removed by age, or erased by an order."""

    PRUNED = 1
    REDACTED = 2


_ABSENCES: Final = {int(absence): absence for absence in Absence}


@dataclass(frozen=True, slots=True, kw_only=True)
class SealedPart:
    """A part of a letter that only its recipient can open."""

    name: str
    ciphertext: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class AbsentPart:
    """A part that the sender held once."""

    name: str
    absence: Absence


class RecordParts(NamedTuple):
    """The parts that are present of record `seq`, and those that are known to be gone.

    A tuple, since it is made once a record.
    """

    seq: int
    parts: tuple[Part, ...] = ()
    sealed: tuple[SealedPart, ...] = ()
    absent: tuple[AbsentPart, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class PartsRun:
    """Parts of records of one journal, by ascending `seq`.

    Attributes:
        given: The records as values, or none.
        packed: The records as `pack_records` gives them, or nothing. What came in a
            message has both.
    """

    journal: JournalId
    given: tuple[RecordParts, ...] = ()
    packed: bytes = field(default=b"", compare=False)

    @property
    def records(self) -> tuple[RecordParts, ...]:
        """The records as values, read from the bytes if there are no others."""
        if self.given or not self.packed:
            return self.given
        return _read_records(pb.PartsRun.FromString(self.packed))


def pack_records(parts: Sequence[tuple[int, Part]]) -> bytes:
    """Return parts, each with its record's number, ascending, as they lie in a message."""
    run = pb.PartsRun()
    add = run.records.add
    last, record = -1, None
    for seq, part in parts:
        if record is None or seq != last:
            last, record = seq, add(seq=seq)
        name, salt, body = part
        record.parts.add(name=name, salt=salt, body=body)
    return run.SerializeToString()


def unpack_records(
    data: bytes, only: AbstractSet[int] | None = None
) -> tuple[list[tuple[int, Part]], int]:
    """Return what `pack_records` was given, and how many parts that are.

    Args:
        data: The bytes.
        only: Read the parts of these records alone; the others are counted.

    Raises:
        WireMalformed: The bytes are no such run.
    """
    try:
        run = pb.PartsRun.FromString(data)
    except DecodeError as error:
        raise errors.WireMalformed from error
    found: list[tuple[int, Part]] = []
    for record in run.records:
        seq = record.seq
        if only is None or seq in only:
            found += [(seq, Part(part.name, part.salt, part.body)) for part in record.parts]
    if only is None:
        return found, len(found)
    return found, sum([len(record.parts) for record in run.records])


def run_bytes(run: PartsRun) -> bytes:
    """Return a run as message bytes."""
    out = pb.PartsRun()
    write_journal(out.journal, run.journal)
    if run.packed:
        # Fields of one message may be joined.
        return out.SerializeToString() + run.packed
    for record in run.given:
        out_record = out.records.add(seq=record.seq)
        for name, salt, body in record.parts:
            out_record.parts.add(name=name, salt=salt, body=body)
        for sealed in record.sealed:
            out_record.sealed.add(name=sealed.name, ciphertext=sealed.ciphertext)
        for absent in record.absent:
            out_record.absent.add(name=absent.name, absence=pb.Absence.ValueType(absent.absence))
    return out.SerializeToString()


def read_run(run: pb.PartsRun) -> PartsRun:
    """Return the run of a message, every part of it within its limits.

    Raises:
        WireTooLarge, WireFieldInvalid, IdInvalid, ChannelInvalid, EpochInvalid: It is not.
    """
    _limit("run_records", len(run.records), MAX_RUN_RECORDS)
    journal, given = read_journal(run.journal), _read_records(run)
    # What nobody here has checked is not stored, nor passed on.
    run.DiscardUnknownFields()
    run.ClearField("journal")
    return PartsRun(journal=journal, given=given, packed=run.SerializeToString())


def read_part(part: pb.Part) -> Part:
    """Return a part of a message within its limits.

    Raises:
        WireTooLarge, WireFieldInvalid: It is not.
    """
    # Once a record on the hot path, so the limits are asked in one go.
    name, salt, body = part.name, part.salt, part.body
    if len(salt) != SALT_BYTES or len(body) > MAX_PART_BYTES or len(name) > MAX_PART_NAME_BYTES:
        _limit("part_name", len(name), MAX_PART_NAME_BYTES)
        _limit("part_body", len(body), MAX_PART_BYTES)
        raise errors.WireFieldInvalid(field="salt")
    return Part(name, salt, body)


def read_journal(ref: pb.JournalRef) -> JournalId:
    """Return the journal that a message names."""
    return _journal(ref.node_id, ref.channel, ref.epoch)


# Every item of every frame names one, and a node hears of the same few all day.
@lru_cache(maxsize=8192)
def _journal(node: bytes, channel: str, epoch: str) -> JournalId:
    return JournalId(node_id=node_id(node), channel=channel, epoch=epoch)


def write_journal(out: pb.JournalRef, journal: JournalId) -> None:
    """Name a journal in a message."""
    out.node_id = journal.node_id
    out.channel = journal.channel
    out.epoch = journal.epoch


def _read_records(run: pb.PartsRun) -> tuple[RecordParts, ...]:
    records = []
    floor = -1
    for record in run.records:
        seq, parts = record.seq, record.parts
        if not floor < seq <= MAX_SEQ:
            raise errors.WireFieldInvalid(field="seq")
        floor = seq
        if len(parts) > MAX_PARTS:
            raise errors.WireTooLarge(what="record_parts", size=len(parts), limit=MAX_PARTS)
        made = tuple([read_part(part) for part in parts])
        sealed, absent = record.sealed, record.absent
        if sealed or absent:
            records.append(RecordParts(seq, made, _read_sealed(sealed), _read_absent(absent)))
        else:
            records.append(RecordParts(seq, made))
    return tuple(records)


def _read_sealed(parts: Sequence[pb.SealedPart]) -> tuple[SealedPart, ...]:
    _limit("sealed_parts", len(parts), MAX_PARTS)
    for part in parts:
        _limit("part_name", len(part.name), MAX_PART_NAME_BYTES)
        _limit("sealed_part", len(part.ciphertext), MAX_SEALED_BYTES)
    return tuple(SealedPart(name=part.name, ciphertext=part.ciphertext) for part in parts)


def _read_absent(parts: Sequence[pb.AbsentPart]) -> tuple[AbsentPart, ...]:
    _limit("absent_parts", len(parts), MAX_PARTS)
    found = []
    for part in parts:
        _limit("part_name", len(part.name), MAX_PART_NAME_BYTES)
        absence = _ABSENCES.get(part.absence)
        if absence is None:
            raise errors.WireFieldInvalid(field="absence")
        found.append(AbsentPart(name=part.name, absence=absence))
    return tuple(found)


def _limit(what: str, size: int, limit: int) -> None:
    if size > limit:
        raise errors.WireTooLarge(what=what, size=size, limit=limit)
