"""A mapping of a pack file, read key by key, in which no key may be left over.

An unknown key in a standard is a mistake or a feature that this version does
not know; either way going on would mean applying half a standard.
"""

import re
from collections.abc import Iterator
from datetime import date
from enum import Enum
from fractions import Fraction
from typing import TypeVar

from yidao.catalog.errors import PackInvalid
from yidao.catalog.pack.model import Text
from yidao.catalog.pack.source import Node

E = TypeVar("E", bound=Enum)

_NAME = re.compile(r"[a-z][a-z0-9_]{0,62}")
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_DECIMAL = re.compile(r"-?[0-9]{1,18}(?:\.[0-9]{1,12})?")
_FIRST_YEAR, _LAST_YEAR = 1980, 2199

# Names become column headers, JSON keys and CEL identifiers. They are never
# pasted into SQL, but a field called `select` would mislead every reader.
_RESERVED_WORDS = """
    all alter and as asc begin between break by case cast check column commit const constraint
    continue create cross default delete desc distinct double drop else end except exists false
    float for foreign from full function grant group having if import in index inner insert int
    intersect into is join key left let like limit loop map namespace natural not null offset on
    or order outer package primary references return revoke right rollback row rows select set
    string table then to trigger true uint union unique update using values var view void when
    where while with
"""
_RESERVED = frozenset(_RESERVED_WORDS.split())


class Section:
    """One mapping at a place in the file."""

    def __init__(self, node: Node, at: str) -> None:
        """Take a node that must be a mapping.

        Raises:
            PackInvalid: It is none.
        """
        if not isinstance(node, dict):
            raise PackInvalid(at=at, reason="expected_mapping")
        self.at = at
        self._left = dict(node)

    def refuse(self, key: str, reason: str) -> PackInvalid:
        """Make the error for a key of this mapping."""
        return PackInvalid(at=f"{self.at}/{key}", reason=reason)

    def _take(self, key: str) -> "Node | None":
        return self._left.pop(key, None)

    def text(self, key: str, default: str | None = None) -> str:
        """Take a text; without a default it is required and not blank."""
        node = self._take(key)
        if node is None and default is not None:
            return default
        if node is None:
            raise self.refuse(key, "missing")
        if not isinstance(node, str):
            raise self.refuse(key, "expected_text")
        if not node.strip():
            raise self.refuse(key, "blank")
        return node.strip()

    def name(self, key: str) -> str:
        """Take a name of the form [a-z][a-z0-9_]{0,62}."""
        return checked_name(self.text(key), f"{self.at}/{key}")

    def bilingual(self, at: str = "") -> Text:
        """Take the two keys `zh` and `en`, or the mapping under `at` that has them."""
        section = self.section(at) if at else self
        text = Text(zh=section.text("zh"), en=section.text("en"))
        if at:
            section.done()
        return text

    def integer(self, key: str, default: int, *, least: int, most: int) -> int:
        """Take an integer within bounds."""
        node = self._take(key)
        if node is None:
            return default
        if isinstance(node, bool) or not isinstance(node, int) or not least <= node <= most:
            raise self.refuse(key, "expected_integer")
        return node

    def flag(self, key: str) -> bool:
        """Take true or false; absent is false."""
        node = self._take(key)
        if node is None:
            return False
        if not isinstance(node, bool):
            raise self.refuse(key, "expected_true_or_false")
        return node

    def day(self, key: str, *, required: bool = False) -> date | None:
        """Take a day YYYY-MM-DD of the years 1980 to 2199."""
        text = self.text(key) if required or key in self._left else ""
        if not text:
            return None
        try:
            day = date.fromisoformat(text) if _DATE.fullmatch(text) else None
        except ValueError:
            day = None
        if day is None or not _FIRST_YEAR <= day.year <= _LAST_YEAR:
            raise self.refuse(key, "expected_day")
        return day

    def number(self, key: str) -> Fraction | None:
        """Take an exact decimal, or None where there is none."""
        node = self._take(key)
        if node is None:
            return None
        if isinstance(node, bool) or not isinstance(node, str | int):
            raise self.refuse(key, "expected_number")
        if _DECIMAL.fullmatch(str(node)) is None:
            raise self.refuse(key, "expected_number")
        return Fraction(str(node))

    def choice(self, key: str, kinds: type[E], default: E | None = None) -> E:
        """Take the spelling of one member of an enumeration."""
        text = self.text(key, None if default is None else str(default.value))
        try:
            return kinds(text)
        except ValueError:
            raise self.refuse(key, "not_one_of_the_choices") from None

    def texts(self, key: str) -> tuple[str, ...]:
        """Take a list of texts; absent is empty."""
        node = self._left.pop(key, [])
        if not isinstance(node, list) or not all(isinstance(item, str) for item in node):
            raise self.refuse(key, "expected_list_of_texts")
        return tuple(str(item) for item in node)

    def section(self, key: str) -> "Section":
        """Take a mapping; absent is empty."""
        return Section(self._left.pop(key, {}), f"{self.at}/{key}")

    def sections(self, key: str, *, most: int) -> Iterator["Section"]:
        """Take a list of mappings; absent is empty.

        Raises:
            PackInvalid: It is no list, or longer than `most`.
        """
        node = self._left.pop(key, [])
        if not isinstance(node, list):
            raise self.refuse(key, "expected_list")
        if len(node) > most:
            raise self.refuse(key, "too_many")
        for place, item in enumerate(node):
            yield Section(item, f"{self.at}/{key}[{place}]")

    def named_sections(self, *, most: int) -> Iterator[tuple[str, "Section"]]:
        """Take every key of this mapping; each value is a mapping."""
        if len(self._left) > most:
            raise PackInvalid(at=self.at, reason="too_many")
        for key in list(self._left):
            yield key, self.section(key)

    def numbers(self) -> dict[str, Fraction]:
        """Take every key of this mapping; each value is an exact decimal."""
        numbers = {}
        for key in list(self._left):
            number = self.number(key)
            if number is not None:
                numbers[key] = number
        return numbers

    def done(self) -> None:
        """Raise for the first key that nobody took.

        Raises:
            PackInvalid: There is one.
        """
        for key in self._left:
            raise PackInvalid(at=f"{self.at}/{key[:80]}", reason="unknown_key")


def checked_name(text: str, at: str) -> str:
    """Return a text that is a proper name.

    Raises:
        PackInvalid: It is not, or it is a reserved word of SQL or CEL.
    """
    if _NAME.fullmatch(text) is None:
        raise PackInvalid(at=at, reason="name")
    if text in _RESERVED:
        raise PackInvalid(at=at, reason="reserved_name")
    return text
