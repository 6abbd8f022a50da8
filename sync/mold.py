"""Header bytes of one node's records, put together from pieces that most of them share.

`Header.encode` makes and checks a message of fifteen fields for each record. Within a
node's appends nearly all of them repeat: network and node always, kind and actor mostly,
the names and rules of parts as well. A mold keeps the encoded pieces of those, each checked
once, and joins them with what differs. What does not fit goes through `Header.encode`,
which makes the same bytes for what is right and names the fault of what is wrong.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from yidao.sync.ids import ID_BYTES, NetworkId, NodeId, RecordId
from yidao.sync.record import (
    HASH_BYTES,
    MAX_CAUSES,
    MAX_CREATED_MS,
    MAX_HEADER_BYTES,
    MAX_PART_BYTES,
    MAX_PARTS,
    MAX_VERSION,
    Header,
    PartDigest,
    is_object_id,
    is_unit,
)
from yidao.sync.varint import varint

# Enough for every kind, actor and schema that a node uses at a time.
_MAX_PIECES: Final = 4_096
_MAX_ONE_BYTE: Final = 0x7F
_UNIT_TAG: Final = b"\x32\x12"
_CAUSE_TAG: Final = b"\x4a\x10"


@dataclass(frozen=True, slots=True, kw_only=True)
class Described:
    """What an author says of a record; the fields are those of `Header`."""

    record_id: bytes
    kind: str
    actor: str
    object_id: str
    object_version: int
    created_ms: int
    unit: str = ""
    causes: tuple[bytes, ...] = ()
    schema: str = ""
    schema_sha256: bytes = b""
    period: str = ""


class Mold:
    """Makes header bytes of one node. Not for several threads at once."""

    def __init__(self, network: NetworkId, node_id: NodeId) -> None:
        self._network = network
        self._node_id = node_id
        self._start = b"\x0a\x10" + network + b"\x12\x10" + node_id + b"\x1a\x10"
        self._texts: dict[tuple[str, str, str, bytes, str], tuple[bytes, bytes]] = {}
        self._rules: dict[tuple[str, int, int, int], tuple[bytes, bytes]] = {}
        self._numbers: dict[int, bytes] = {}

    def header(self, given: Described, parts: Sequence[PartDigest]) -> bytes:
        """Return the bytes of the header that says this, and commits to these parts.

        Raises:
            HeaderFieldInvalid, HeaderTooLarge: As `Header.encode`.
        """
        key = (given.kind, given.actor, given.schema, given.schema_sha256, given.period)
        texts = self._texts.get(key)
        named, unit, causes = given.object_id, given.unit, given.causes
        if (
            texts is None
            or len(given.record_id) != ID_BYTES
            or len(named) > _MAX_ONE_BYTE
            or not named.isascii()
            or not is_object_id(named)
            or not 1 <= given.object_version <= MAX_VERSION
            or not 1 <= given.created_ms <= MAX_CREATED_MS
            or (unit and not is_unit(unit))
            or (causes and (len(causes) > MAX_CAUSES or set(map(len, causes)) != {ID_BYTES}))
            or len(parts) > MAX_PARTS
        ):
            return self._in_full(key, given, parts)
        pieces = [
            self._start,
            given.record_id,
            texts[0],
            _UNIT_TAG + unit.encode() if unit else b"",
            b"\x3a%c" % len(named),
            named.encode(),
            b"\x40",
            self._number(given.object_version),
            *[_CAUSE_TAG + cause for cause in causes],
            texts[1],
            b"\x68",
            self._number(given.created_ms),
        ]
        for name, commitment, length, grade, reach, release in parts:
            rule = self._rules.get((name, grade, reach, release))
            if rule is None or len(commitment) != HASH_BYTES or not 0 < length <= MAX_PART_BYTES:
                return self._in_full(key, given, parts)
            before, after = rule
            size = self._number(length)
            in_all = len(before) + HASH_BYTES + 1 + len(size) + len(after)
            pieces += (b"\x72%c" % in_all, before, commitment, b"\x18", size, after)
        data = b"".join(pieces)
        if len(data) > MAX_HEADER_BYTES or (
            len(parts) > 1 and len({part.name for part in parts}) != len(parts)
        ):
            return self._in_full(key, given, parts)
        return data

    def _number(self, number: int) -> bytes:
        """Encode a number; versions, times and lengths come again and again."""
        known = self._numbers.get(number)
        if known is None:
            if len(self._numbers) >= _MAX_PIECES:
                self._numbers = {}
            known = self._numbers[number] = varint(number)
        return known

    def _in_full(
        self,
        key: tuple[str, str, str, bytes, str],
        given: Described,
        parts: Sequence[PartDigest],
    ) -> bytes:
        """Make the header field by field, and keep the pieces that were found right."""
        kind, actor, schema, schema_sha256, period = key
        data = Header(
            network=self._network,
            node_id=self._node_id,
            record_id=RecordId(given.record_id),
            kind=kind,
            actor=actor,
            object_id=given.object_id,
            object_version=given.object_version,
            created_ms=given.created_ms,
            unit=given.unit,
            causes=tuple(RecordId(cause) for cause in given.causes),
            schema=schema,
            schema_sha256=schema_sha256,
            period=period,
            parts=tuple(parts),
        ).encode()
        if len(self._texts) + len(self._rules) > _MAX_PIECES:
            self._texts, self._rules = {}, {}
        digest = b"\x5a\x20" + schema_sha256 if schema_sha256 else b""
        self._texts[key] = (
            _text(b"\x22", kind) + _text(b"\x2a", actor),
            _text(b"\x52", schema) + digest + _text(b"\x62", period),
        )
        for name, _, _, grade, reach, release in parts:
            far = b"\x28%c" % reach if reach else b""
            rule = (
                _text(b"\x0a", name) + b"\x12\x20",
                b"\x20%c" % grade + far + b"\x30%c" % release,
            )
            if len(rule[0]) < _MAX_ONE_BYTE // 2:
                self._rules[name, grade, reach, release] = rule
        return data


def _text(tag: bytes, text: str) -> bytes:
    """Encode a string field; protobuf leaves out what is empty."""
    data = text.encode()
    return tag + varint(len(data)) + data if data else b""
