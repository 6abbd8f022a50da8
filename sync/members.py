"""JSON objects that others wrote, read member by member, each with its check.

What nodes write about nodes (enrolments, epochs, revocations, approvals, removals,
sign-offs) is canonical JSON: sorted members, no spaces, bytes in lower-case hex. Each
of them has an error of its own, which says in `field` what was wrong.
"""

from collections.abc import Mapping
from typing import Final, cast

import orjson

from yidao.sync.errors import PeerError
from yidao.sync.ids import NodeId, Path, RecordId, id_from_hex

_MAX_NUMBER: Final = 2**63


def canonical(members: Mapping[str, object]) -> bytes:
    """Return the one JSON form of an object: sorted members, no spaces, UTF-8."""
    return orjson.dumps(members, option=orjson.OPT_SORT_KEYS)


class Members:
    """An object's members by name; who asks for one says of which type it must be.

    Every method raises the error that the reader was made with, unless it says otherwise.

    Args:
        values: The object.
        malformed: The error; it takes `field`.
    """

    __slots__ = ("_malformed", "_values")

    def __init__(self, values: Mapping[str, object], malformed: type[PeerError]) -> None:
        self._values = values
        self._malformed = malformed

    @classmethod
    def parse(cls, data: bytes | None, malformed: type[PeerError], *, limit: int) -> "Members":
        """Return the members of an object in any spelling, of at most `limit` bytes."""
        if data is None or len(data) > limit:
            raise malformed(field="size")
        try:
            values = orjson.loads(data)
        except orjson.JSONDecodeError:
            raise malformed(field="JSON") from None
        if type(values) is not dict:
            raise malformed(field="JSON")
        return cls(cast("dict[str, object]", values), malformed)

    @classmethod
    def parse_canonical(
        cls, data: bytes | None, malformed: type[PeerError], *, limit: int
    ) -> "Members":
        """Return the members of an object whose canonical form the bytes are."""
        members = cls.parse(data, malformed, limit=limit)
        try:
            # This also refuses repeated members, of which readers disagree on the one that
            # counts.
            is_canonical = members.encode() == data
        except orjson.JSONEncodeError:
            # The library reads deeper nesting than it writes.
            is_canonical = False
        if not is_canonical:
            raise malformed(field="JSON")
        return members

    def encode(self) -> bytes:
        """Return the object in its canonical form."""
        return canonical(self._values)

    def __contains__(self, field: str) -> bool:
        return field in self._values

    def values(self) -> dict[str, object]:
        """Return all of it, as plain values."""
        return dict(self._values)

    def names(self) -> list[str]:
        """Return the names of all members, sorted."""
        return sorted(self._values)

    def text(self, field: str, longest: int | None = None) -> str:
        """Return a text of at most `longest` characters."""
        value = self._values.get(field)
        if type(value) is not str or (longest is not None and len(value) > longest):
            raise self._malformed(field=field)
        return value

    def number(self, field: str) -> int:
        """Return an integer from 0 to 2^63 - 1; `true` is none."""
        value = self._values.get(field)
        if type(value) is not int or not 0 <= value < _MAX_NUMBER:
            raise self._malformed(field=field)
        return value

    def flag(self, field: str) -> bool:
        """Return a truth value."""
        value = self._values.get(field)
        if type(value) is not bool:
            raise self._malformed(field=field)
        return value

    def hex(self, field: str, *sizes: int) -> bytes:
        """Return bytes, written in lower-case hex; where sizes are given, of one of them."""
        text = self.text(field)
        try:
            value = bytes.fromhex(text)
        except ValueError:
            raise self._malformed(field=field) from None
        # fromhex skips spaces and reads upper case.
        if value.hex() != text or (sizes and len(value) not in sizes):
            raise self._malformed(field=field)
        return value

    def node(self, field: str) -> NodeId:
        """Return a node's id; raises `IdInvalid`."""
        return NodeId(id_from_hex(self.text(field), field))

    def record(self, field: str) -> RecordId:
        """Return a record's id; raises `IdInvalid`."""
        return RecordId(id_from_hex(self.text(field), field))

    def path(self, field: str, longest: int | None = None) -> Path:
        """Return a path; raises `PathInvalid`."""
        return Path.parse(self.text(field, longest))

    def list(self, field: str, limit: int) -> list[object]:
        """Return a list of at most `limit` values."""
        value = self._values.get(field)
        if type(value) is not list or len(value) > limit:
            raise self._malformed(field=field)
        return cast("list[object]", value)

    def inner(self, field: str) -> "Members":
        """Return the members of an object in this one."""
        return self._of(self._values.get(field), field)

    def each(self, field: str, limit: int) -> "tuple[Members, ...]":
        """Return the members of each object of a list of at most `limit`."""
        return tuple(self._of(value, field) for value in self.list(field, limit))

    def _of(self, value: object, field: str) -> "Members":
        if type(value) is not dict:
            raise self._malformed(field=field)
        return Members(cast("dict[str, object]", value), self._malformed)
