"""Records: header bytes are made once and read strictly, parts are checked against them.

Only `Header.encode` makes header bytes; from then on they are a value that is
stored, hashed and sent as it is. `decode_header` accepts exactly one byte string
for each header, so no two readers can understand one leaf differently.
"""

import hashlib
import re
from enum import IntEnum
from typing import Final, NamedTuple, cast

from google.protobuf.message import DecodeError, EncodeError, Message
from google.protobuf.unknown_fields import UnknownFieldSet

from yidao.api.record.v1 import record_pb2
from yidao.sync import errors
from yidao.sync.ids import ID_BYTES, REACH_ROOT, NetworkId, NodeId, RecordId

MAX_HEADER_BYTES: Final = 8 * 1024
MAX_PART_BYTES: Final = 256 * 1024
MAX_PARTS: Final = 16
MAX_CAUSES: Final = 256
SALT_BYTES: Final = 32
HASH_BYTES: Final = 32
# The largest value that SQLite, PostgreSQL and JSON readers alike can hold.
MAX_VERSION: Final = 2**63 - 1
MAX_CREATED_MS: Final = 253_402_300_799_999  # 9999-12-31T23:59:59.999Z
# No feature has needed a number yet; a reader that meets one must refuse.
KNOWN_CRITICAL: Final[frozenset[int]] = frozenset()

_WIRE_TYPE_GROUP: Final = 3
_KIND_AT: Final = 3 * (2 + ID_BYTES)
_KIND_TAG: Final = b"\x22"
_KIND: Final = re.compile(r"[a-z][a-z0-9_-]{0,31}(\.[a-z][a-z0-9_-]{0,31}){2}")
_UNIT: Final = re.compile(r"[0-9A-Z]{18}")
_PATH: Final = "/(?:[a-z0-9-]{1,32}(?:/[a-z0-9-]{1,32})*)?"
_PART_NAME: Final = re.compile(f"core|pii|ext:{_PATH}|file:[0-9]{{1,4}}")
# Control characters, line separators and the marks that reorder text on a screen:
# a name that looks like another one must not get into signed bytes.
_UNSAFE: Final = "\x00-\x1f\x7f-\x9f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff"
_OBJECT: Final = re.compile(f"[^{_UNSAFE}]{{1,256}}")
_SCHEMA: Final = re.compile(f"[^{_UNSAFE}]{{1,128}}")
_PERIOD: Final = re.compile("[0-9A-Za-z-]{1,32}")
_ACTOR: Final = re.compile(f"[^{_UNSAFE}@]{{1,64}}@{_PATH}")


class Grade(IntEnum):
    """How sensitive a part is (政务数据分级, levels 1 to 4)."""

    L1 = 1
    L2 = 2
    L3 = 3
    L4 = 4


class Release(IntEnum):
    """When a part may go further than the origin's parent."""

    AT_ONCE = 1
    WHEN_ACCEPTED = 2


_GRADES: Final = {int(grade): grade for grade in Grade}
_RELEASES: Final = {int(release): release for release in Release}


class PartDigest(NamedTuple):
    """What a header commits to of one part; a tuple, since it is made once a record.

    Attributes:
        name: `core`, `pii`, `ext:<path>` or `file:<n>`.
        commitment: 32 bytes, see `commitment`.
        length: Length of the body in bytes.
        reach: Tiers up that the body may travel: 0 stays, 15 goes to the root.
    """

    name: str
    commitment: bytes
    length: int
    grade: Grade = Grade.L2
    reach: int = REACH_ROOT
    release: Release = Release.AT_ONCE


class Part(NamedTuple):
    """One part's bytes with the 32-byte salt of its commitment."""

    name: str
    salt: bytes
    body: bytes

    def digest(
        self,
        *,
        grade: Grade = Grade.L2,
        reach: int = REACH_ROOT,
        release: Release = Release.AT_ONCE,
    ) -> PartDigest:
        """Return what a header says of this part."""
        return PartDigest(
            name=self.name,
            commitment=commitment(self.salt, self.body),
            length=len(self.body),
            grade=grade,
            reach=reach,
            release=release,
        )


class Header(NamedTuple):
    """A record's header; the fields are those of `record.proto`. A tuple: one for each record.

    Attributes:
        object_id: The object that the record is about (`object` on the wire).
        unit: 统一社会信用代码 or "".
        created_ms: Unix milliseconds by the caller's clock; never used for order.
    """

    network: NetworkId
    node_id: NodeId
    record_id: RecordId
    kind: str
    actor: str
    object_id: str
    object_version: int
    created_ms: int
    unit: str = ""
    causes: tuple[RecordId, ...] = ()
    schema: str = ""
    schema_sha256: bytes = b""
    period: str = ""
    parts: tuple[PartDigest, ...] = ()
    critical: tuple[int, ...] = ()

    def part(self, name: str) -> PartDigest | None:
        """Return the digest of the part of that name, or None."""
        return next((digest for digest in self.parts if digest.name == name), None)

    def encode(self) -> bytes:
        """Return the header bytes, the only ones that `decode_header` accepts for it.

        Raises:
            HeaderFieldInvalid: A field is out of range.
            HeaderCriticalUnknown: `critical` names an unknown feature.
            HeaderTooLarge: The bytes are over 8 KiB.
        """
        _check_header(self)
        try:
            data = _to_message(self).SerializeToString(deterministic=True)
        except (EncodeError, UnicodeError, ValueError, TypeError):
            raise errors.HeaderFieldInvalid(field="encoding") from None
        if len(data) > MAX_HEADER_BYTES:
            raise errors.HeaderTooLarge(size_bytes=len(data), limit_bytes=MAX_HEADER_BYTES)
        return data


def commitment(salt: bytes, body: bytes) -> bytes:
    """Return SHA-256(salt || body), which hides the body until the salt is known."""
    return hashlib.sha256(salt + body).digest()


def is_object_id(text: str) -> bool:
    """Whether a header may name an object so."""
    return _OBJECT.fullmatch(text) is not None


def is_unit(text: str) -> bool:
    """Whether a header may name an institution so; it may also name none."""
    return _UNIT.fullmatch(text) is not None


def decode_header(data: bytes) -> Header:
    """Return the header that `data` is the canonical encoding of.

    Unknown fields are allowed where a newer version appends them: after the known
    ones, with a new number. They stay in the bytes, which nobody rebuilds.

    Raises:
        HeaderTooLarge: Over 8 KiB; nothing is parsed.
        HeaderMalformed: No protobuf message, or text that is not UTF-8.
        HeaderNotCanonical: Reordered, repeated, non-minimal or disguised fields.
        HeaderFieldInvalid: A field is missing or out of range.
        HeaderCriticalUnknown: The record needs a feature unknown here.
    """
    header = _from_message(_parse(data))
    _check_header(header)
    return header


def kind_begins(data: bytes, start: bytes) -> bool:
    """Whether the kind in header bytes begins so; False also where that takes a closer look.

    The fields before it have one length in every header: three ids of 16 bytes.
    """
    return data.startswith(_KIND_TAG, _KIND_AT) and data.startswith(start, _KIND_AT + 2)


class HeaderReader:
    """Reads headers as strictly as `decode_header`.

    What comes again, as kinds, actors and the rules of parts do, is checked once. Make one
    for a batch.
    """

    def __init__(self) -> None:
        self._texts: set[tuple[str, str, str, bytes, str]] = set()
        self._rules: dict[tuple[str, int, int, int], PartDigest] = {}

    def read(self, data: bytes) -> Header:
        """Return the header.

        Raises:
            PeerError: What `decode_header` raises.
        """
        message = _parse(data)
        network, node_id, record_id = message.network, message.node_id, message.record_id
        kind, actor, schema, schema_sha256, period = texts = (
            message.kind,
            message.actor,
            message.schema,
            message.schema_sha256,
            message.period,
        )
        unit, object_id = message.unit, message.object
        version, created_ms = message.object_version, message.created_ms
        causes = tuple(message.causes)
        if (
            texts not in self._texts
            or len(network) != ID_BYTES
            or len(node_id) != ID_BYTES
            or len(record_id) != ID_BYTES
            or not 1 <= version <= MAX_VERSION
            or not 1 <= created_ms <= MAX_CREATED_MS
            or _OBJECT.fullmatch(object_id) is None
            or message.critical
            or (unit and _UNIT.fullmatch(unit) is None)
            or (causes and (len(causes) > MAX_CAUSES or set(map(len, causes)) != {ID_BYTES}))
        ):
            return self._read_in_full(message)
        parts: list[PartDigest] = []
        for part in message.parts:
            digest, length = part.commitment, part.length
            rule = self._rules.get((part.name, part.grade, part.reach, part.release))
            if rule is None or len(digest) != HASH_BYTES or length > MAX_PART_BYTES:
                return self._read_in_full(message)
            name, _, _, grade, reach, release = rule
            parts.append(PartDigest(name, digest, length, grade, reach, release))
        if len(parts) > 1 and (
            len(parts) > MAX_PARTS or len({digest.name for digest in parts}) != len(parts)
        ):
            return self._read_in_full(message)
        return Header(
            NetworkId(network),
            NodeId(node_id),
            RecordId(record_id),
            kind,
            actor,
            object_id,
            version,
            created_ms,
            unit,
            cast("tuple[RecordId, ...]", causes),
            schema,
            schema_sha256,
            period,
            tuple(parts),
        )

    def _read_in_full(self, message: record_pb2.Header) -> Header:
        header = _from_message(message)
        _check_header(header)
        self._texts.add(
            (header.kind, header.actor, header.schema, header.schema_sha256, header.period)
        )
        for part in header.parts:
            self._rules[part.name, int(part.grade), part.reach, int(part.release)] = part
        return header


def _parse(data: bytes) -> record_pb2.Header:
    if len(data) > MAX_HEADER_BYTES:
        raise errors.HeaderTooLarge(size_bytes=len(data), limit_bytes=MAX_HEADER_BYTES)
    try:
        message = record_pb2.Header.FromString(data)
    except DecodeError:
        raise errors.HeaderMalformed from None
    message.DiscardUnknownFields()
    if message.SerializeToString(deterministic=True) != data:
        _check_unknown_fields(data)
    return message


def check_part(digest: PartDigest, part: Part) -> None:
    """Return only if `part` is the part that `digest` commits to.

    Raises:
        PartUnknown: Another name.
        PartTooLarge: The body is over 256 KiB.
        PartCommitmentMismatch: Other bytes, length or salt.
    """
    if part.name != digest.name:
        raise errors.PartUnknown(part=part.name)
    if len(part.body) > MAX_PART_BYTES:
        raise errors.PartTooLarge(
            part=part.name, size_bytes=len(part.body), limit_bytes=MAX_PART_BYTES
        )
    # The salt's length is checked because salt || body alone would let bytes move
    # between the two.
    if (
        len(part.salt) != SALT_BYTES
        or len(part.body) != digest.length
        or commitment(part.salt, part.body) != digest.commitment
    ):
        raise errors.PartCommitmentMismatch(part=part.name)


def _check_unknown_fields(data: bytes) -> None:
    """Accept `data` only if all that keeps it from the plain encoding is new fields."""
    message = record_pb2.Header.FromString(data)
    if message.SerializeToString(deterministic=True) != data:
        raise errors.HeaderNotCanonical(reason="encoding")
    messages: list[Message] = [message, *message.parts]
    for known in messages:
        numbers = known.DESCRIPTOR.fields_by_number
        unknown = UnknownFieldSet(known)
        for field in (unknown[at] for at in range(len(unknown))):
            if field.wire_type == _WIRE_TYPE_GROUP:
                raise errors.HeaderNotCanonical(reason="group")
            if field.field_number in numbers:
                raise errors.HeaderNotCanonical(reason="wire type")


def _to_message(header: Header) -> record_pb2.Header:
    return record_pb2.Header(
        network=header.network,
        node_id=header.node_id,
        record_id=header.record_id,
        kind=header.kind,
        actor=header.actor,
        unit=header.unit,
        object=header.object_id,
        object_version=header.object_version,
        causes=header.causes,
        schema=header.schema,
        schema_sha256=header.schema_sha256,
        period=header.period,
        created_ms=header.created_ms,
        parts=[
            record_pb2.PartDigest(
                name=part.name,
                commitment=part.commitment,
                length=part.length,
                grade=record_pb2.Grade.ValueType(part.grade),
                reach=part.reach,
                release=record_pb2.Release.ValueType(part.release),
            )
            for part in header.parts
        ],
        critical=header.critical,
    )


def _from_message(message: record_pb2.Header) -> Header:
    # Positional on purpose would be quicker still, but no reader could check it;
    # tuple(list) instead of a generator saves a tenth of the whole decoding.
    return Header(
        network=NetworkId(message.network),
        node_id=NodeId(message.node_id),
        record_id=RecordId(message.record_id),
        kind=message.kind,
        actor=message.actor,
        unit=message.unit,
        object_id=message.object,
        object_version=message.object_version,
        causes=cast("tuple[RecordId, ...]", tuple(message.causes)),
        schema=message.schema,
        schema_sha256=message.schema_sha256,
        period=message.period,
        created_ms=message.created_ms,
        parts=tuple([_from_part(part) for part in message.parts]),
        critical=tuple(message.critical),
    )


def _from_part(message: record_pb2.PartDigest) -> PartDigest:
    grade = _GRADES.get(message.grade)
    release = _RELEASES.get(message.release)
    if grade is None or release is None:
        raise errors.HeaderFieldInvalid(field="parts")
    return PartDigest(
        message.name, message.commitment, message.length, grade, message.reach, release
    )


def _check_header(header: Header) -> None:
    if header.critical:
        _check_critical(header.critical)
    _check_ids(header)
    _check_texts(header)
    if not 1 <= header.object_version <= MAX_VERSION:
        raise errors.HeaderFieldInvalid(field="object_version")
    if not 1 <= header.created_ms <= MAX_CREATED_MS:
        raise errors.HeaderFieldInvalid(field="created_ms")
    if len(header.schema_sha256) not in (0, HASH_BYTES):
        raise errors.HeaderFieldInvalid(field="schema_sha256")
    if header.parts:
        _check_parts(header.parts)


def _check_ids(header: Header) -> None:
    if len(header.network) != ID_BYTES:
        raise errors.HeaderFieldInvalid(field="network")
    if len(header.node_id) != ID_BYTES:
        raise errors.HeaderFieldInvalid(field="node_id")
    if len(header.record_id) != ID_BYTES:
        raise errors.HeaderFieldInvalid(field="record_id")
    if len(header.causes) > MAX_CAUSES:
        raise errors.HeaderFieldInvalid(field="causes")
    for cause in header.causes:
        if len(cause) != ID_BYTES:
            raise errors.HeaderFieldInvalid(field="causes")


def _check_texts(header: Header) -> None:
    if _KIND.fullmatch(header.kind) is None:
        raise errors.HeaderFieldInvalid(field="kind")
    if _ACTOR.fullmatch(header.actor) is None:
        raise errors.HeaderFieldInvalid(field="actor")
    if header.unit and _UNIT.fullmatch(header.unit) is None:
        raise errors.HeaderFieldInvalid(field="unit")
    if not header.object_id or _OBJECT.fullmatch(header.object_id) is None:
        raise errors.HeaderFieldInvalid(field="object_id")
    if header.schema and _SCHEMA.fullmatch(header.schema) is None:
        raise errors.HeaderFieldInvalid(field="schema")
    if header.period and _PERIOD.fullmatch(header.period) is None:
        raise errors.HeaderFieldInvalid(field="period")


def _check_critical(critical: tuple[int, ...]) -> None:
    for feature in critical:
        if feature not in KNOWN_CRITICAL:
            raise errors.HeaderCriticalUnknown(feature=feature)


def _check_parts(parts: tuple[PartDigest, ...]) -> None:
    if len(parts) > MAX_PARTS or len({part.name for part in parts}) != len(parts):
        raise errors.HeaderFieldInvalid(field="parts")
    for part in parts:
        if (
            _PART_NAME.fullmatch(part.name) is None
            or len(part.commitment) != HASH_BYTES
            or not 0 <= part.length <= MAX_PART_BYTES
            or not 0 <= part.reach <= REACH_ROOT
        ):
            raise errors.HeaderFieldInvalid(field="parts")
