"""The JSON of records' `core` parts: written canonically, read strictly.

Every affair states its payload as a frozen dataclass and reads it back through
`Core`, which gives typed values or raises one error, so that no projector meets
a payload of a shape that it does not know.
"""

from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Self, TypeAlias

import orjson

from yidao.node.affairs.errors import AffairError

Json: TypeAlias = "str | int | bool | Sequence[Json] | Mapping[str, Json] | None"

_MAX_CORE_BYTES = 256 * 1024


class CoreMalformed(AffairError):
    """A record's core part has another shape than its kind demands (params: field)."""

    code = "CORE_MALFORMED"


def encode_core(value: Mapping[str, Json]) -> bytes:
    """Write a core part: sorted keys, compact, UTF-8; equal values give equal bytes."""
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)


def payload_digest(core: bytes, pii: bytes) -> bytes:
    """Give the digest that recognises a row; canonical JSON holds no line break of its own."""
    return sha256(core + b"\n" + pii).digest()


class Core:
    """A JSON object whose members are asked for by name and type."""

    __slots__ = ("_members",)

    def __init__(self, members: Mapping[str, object]) -> None:
        self._members = members

    @property
    def members(self) -> Mapping[str, object]:
        """All of it, for a reader that is strict by itself."""
        return self._members

    @classmethod
    def decode(cls, data: bytes | None) -> Self:
        """Read a core part.

        Raises:
            CoreMalformed: The part is absent, too large, or no JSON object.
        """
        if data is None or len(data) > _MAX_CORE_BYTES:
            raise CoreMalformed(field="core")
        try:
            parsed = orjson.loads(data)
        except orjson.JSONDecodeError:
            raise CoreMalformed(field="core") from None
        if not isinstance(parsed, dict):
            raise CoreMalformed(field="core")
        return cls(parsed)

    def text(self, name: str) -> str:
        """Give a string; absent is empty. Raises `CoreMalformed` for another type."""
        value = self._members.get(name, "")
        if not isinstance(value, str):
            raise CoreMalformed(field=name)
        return value

    def integer(self, name: str) -> int:
        """Give an integer of 64 bits; absent is 0. Raises `CoreMalformed` for another type."""
        value = self._members.get(name, 0)
        if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 2**63:
            raise CoreMalformed(field=name)
        return value

    def flag(self, name: str) -> bool:
        """Give a boolean; absent is false. Raises `CoreMalformed` for another type."""
        value = self._members.get(name, False)
        if not isinstance(value, bool):
            raise CoreMalformed(field=name)
        return value

    def id16(self, name: str) -> bytes:
        """Give the 16 bytes of 32 hex digits. Raises `CoreMalformed` otherwise."""
        try:
            value = bytes.fromhex(self.text(name))
        except ValueError:
            raise CoreMalformed(field=name) from None
        if len(value) != 16:
            raise CoreMalformed(field=name)
        return value

    def texts(self, name: str) -> tuple[str, ...]:
        """Give a list of strings. Raises `CoreMalformed` otherwise."""
        values = self._list(name)
        texts = tuple(value for value in values if isinstance(value, str))
        if len(texts) != len(values):
            raise CoreMalformed(field=name)
        return texts

    def integers(self, name: str) -> tuple[int, ...]:
        """Give a list of integers of 64 bits. Raises `CoreMalformed` otherwise."""
        values = self._list(name)
        numbers = tuple(value for value in values if type(value) is int and 0 <= value < 2**63)
        if len(numbers) != len(values):
            raise CoreMalformed(field=name)
        return numbers

    def cores(self, name: str) -> tuple["Core", ...]:
        """Give a list of objects. Raises `CoreMalformed` otherwise."""
        values = self._list(name)
        cores = tuple(Core(value) for value in values if isinstance(value, dict))
        if len(cores) != len(values):
            raise CoreMalformed(field=name)
        return cores

    def _list(self, name: str) -> list[object]:
        value = self._members.get(name, [])
        if not isinstance(value, list):
            raise CoreMalformed(field=name)
        return value
