"""The division tree (行政区划) and how codes succeeded each other.

Codes have six digits here (GB/T 2260); a twelve-digit code of a township or
village stands for the county that it lies in, because the tree ends there.
A division's parent is what the tree says and never a prefix of its code:
districts of 北京 hang directly under the municipality, 仙桃 (429004) directly
under its province, and 东莞 has no counties at all.

Changes come as differences between the code books of successive years, so a
change of year Y is known to hold from 1 January of Y+1, and all changes of one
year happen at once (two codes may swap). The data's own gaps, and where both
files come from, are told in `data/SOURCES.md`.
"""

import csv
import io
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from enum import IntEnum

from yidao.catalog.errors import RegionDataInvalid, RegionUnknown

_DIVISION_COLUMNS = ["code", "name", "level", "parent"]
_CHANGE_COLUMNS = [
    "year", "type", "level", "old_code", "old_name", "new_code", "new_name", "doc_no",
]  # fmt: skip
_MAX_BYTES = 8 * 1024 * 1024
#: Statistical codes that name no division but "the districts" or "the counties
#: directly under": 1101, 5002 in the municipalities, xx90 elsewhere.
_MUNICIPALITIES = ("11", "12", "31", "50")
_MUNICIPAL_FILLERS = ("0100", "0200")
_DIRECT_FILLER = "9000"


class RegionLevel(IntEnum):
    """The tier of a division."""

    PROVINCE = 1
    PREFECTURE = 2
    COUNTY = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Region:
    """A division of today's tree.

    Attributes:
        code: Six digits.
        parent: Six digits, "" for provinces.
    """

    code: str
    name: str
    level: RegionLevel
    parent: str

    @property
    def code12(self) -> str:
        """The twelve-digit code."""
        return f"{self.code}000000"


@dataclass(frozen=True, slots=True, kw_only=True)
class RegionChange:
    """One difference between the code books of two years; absent codes and names are ""."""

    year: int
    kind: str
    level: int
    old_code: str
    old_name: str
    new_code: str
    new_name: str
    doc_no: str


class Regions:
    """The tree and its changes. Immutable once made; make it with `load_regions`."""

    def __init__(self, regions: Iterable[Region], changes: Iterable[RegionChange]) -> None:
        """Index divisions and changes that belong together."""
        self._regions: Mapping[str, Region] = {region.code: region for region in regions}
        self._children: dict[str, list[Region]] = {}
        for region in self._regions.values():
            self._children.setdefault(region.parent, []).append(region)
        # year → old code → where it went; "" says that it went nowhere.
        self._moves: dict[int, dict[str, list[str]]] = {}
        self._changes: dict[str, list[RegionChange]] = {}
        for change in changes:
            for code in {change.old_code, change.new_code} - {""}:
                self._changes.setdefault(code, []).append(change)
            if change.old_code and change.old_code != change.new_code:
                year = self._moves.setdefault(change.year, {})
                year.setdefault(change.old_code, []).append(change.new_code)

    def get(self, code: str) -> Region:
        """Find a division by a code of 6 or 12 digits.

        Raises:
            RegionUnknown: Today's tree has no such division.
        """
        code6 = _six(code)
        region = self._regions.get(code6)
        if region is None and _is_filler(code6):
            region = self._regions.get(f"{code6[:2]}0000")
        if region is None:
            raise RegionUnknown(region=code[:12])
        return region

    def knows(self, code: str) -> bool:
        """Tell whether today's tree has a division of this code."""
        try:
            self.get(code)
        except RegionUnknown:
            return False
        return True

    def children(self, code: str = "") -> tuple[Region, ...]:
        """Give the divisions directly under one, by code; of "" the provinces.

        Raises:
            RegionUnknown: Today's tree has no such division.
        """
        parent = self.get(code).code if code else ""
        return tuple(sorted(self._children.get(parent, ()), key=lambda region: region.code))

    def path(self, code: str) -> tuple[Region, ...]:
        """Give the chain from the province down to the division itself.

        Raises:
            RegionUnknown: Today's tree has no such division.
        """
        chain = [self.get(code)]
        while chain[-1].parent:
            chain.append(self._regions[chain[-1].parent])
        return tuple(reversed(chain))

    def covers(self, ancestor: str, code: str) -> bool:
        """Tell whether a division is another or lies in it.

        Raises:
            RegionUnknown: Today's tree lacks one of the two.
        """
        above = self.get(ancestor)
        return above in self.path(code)

    def counts(self) -> tuple[int, int, int]:
        """Give the numbers of provinces, prefectures and counties."""
        levels = [region.level for region in self._regions.values()]
        return (
            levels.count(RegionLevel.PROVINCE),
            levels.count(RegionLevel.PREFECTURE),
            levels.count(RegionLevel.COUNTY),
        )

    def successors(self, code: str, since: date, on: date) -> tuple[str, ...]:
        """Give the codes that on a day stand for what a code stood for earlier.

        Several codes mean that the sources name several; what share each took
        is not known. None means that the division ended without a successor
        in the data: history then stays under the old code.

        Args:
            code: 6 or 12 digits; it need not be in today's tree.
            since: The day on which the code was meant, since codes are reused.
            on: A later day.

        Raises:
            RegionUnknown: The text is no code.
        """
        current = {_six(code)}
        for year in range(since.year, on.year):
            moves = self._moves.get(year)
            if moves is not None:
                current = {new for old in current for new in _step(old, moves)}
        return tuple(sorted(current))

    def changes_of(self, code: str) -> tuple[RegionChange, ...]:
        """Give the changes in which a code appears, old or new, in the order of years.

        Raises:
            RegionUnknown: The text is no code.
        """
        return tuple(self._changes.get(_six(code), ()))


def _step(code: str, moves: Mapping[str, list[str]]) -> set[str]:
    if code not in moves:
        return {code}
    return set(moves[code]) - {""}


def _six(code: str) -> str:
    if len(code) not in (6, 12) or not (code.isascii() and code.isdigit()):
        raise RegionUnknown(region=code[:12])
    return code[:6]


def _is_filler(code6: str) -> bool:
    if code6[2:] == _DIRECT_FILLER:
        return True
    return code6[:2] in _MUNICIPALITIES and code6[2:] in _MUNICIPAL_FILLERS


def load_regions(divisions: bytes, changes: bytes) -> Regions:
    """Read the two division files.

    Args:
        divisions: CSV with the columns code, name, level, parent.
        changes: CSV with year, type, level, old_code, old_name, new_code, new_name, doc_no.

    Raises:
        RegionDataInvalid: A line breaks the format, a code is there twice, or
            a parent is missing or not of a higher tier.
    """
    regions: dict[str, Region] = {}
    for line, row in _lines(divisions, _DIVISION_COLUMNS):
        code, name, level, parent = row
        if code in regions or not _is_code(code) or not name or level not in ("1", "2", "3"):
            raise RegionDataInvalid(line=line, reason="division")
        regions[code] = Region(code=code, name=name, level=RegionLevel(int(level)), parent=parent)
    for region in regions.values():
        above = regions.get(region.parent)
        if (above is None) is not (region.level is RegionLevel.PROVINCE) or (
            above is not None and above.level >= region.level
        ):
            raise RegionDataInvalid(line=0, reason=f"parent_of_{region.code}")
    return Regions(regions.values(), _changes(changes))


def _changes(data: bytes) -> list[RegionChange]:
    changes = []
    for line, row in _lines(data, _CHANGE_COLUMNS):
        year, kind, level, old_code, old_name, new_code, new_name, doc_no = row
        codes_fit = all(code == "" or _is_code(code) for code in (old_code, new_code))
        if not codes_fit or not year.isdecimal() or level not in ("1", "2", "3"):
            raise RegionDataInvalid(line=line, reason="change")
        changes.append(
            RegionChange(
                year=int(year), kind=kind, level=int(level), old_code=old_code, old_name=old_name,
                new_code=new_code, new_name=new_name, doc_no=doc_no,
            )
        )  # fmt: skip
    return changes


def _lines(data: bytes, columns: list[str]) -> Iterable[tuple[int, list[str]]]:
    if len(data) > _MAX_BYTES:
        raise RegionDataInvalid(line=0, reason="too_large")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        raise RegionDataInvalid(line=0, reason="not_utf8") from None
    rows = csv.reader(io.StringIO(text), strict=True)
    try:
        if next(rows, None) != columns:
            raise RegionDataInvalid(line=1, reason="columns")
        for row in rows:
            if len(row) != len(columns):
                raise RegionDataInvalid(line=rows.line_num, reason="columns")
            yield rows.line_num, row
    except csv.Error:
        raise RegionDataInvalid(line=rows.line_num, reason="csv") from None


def _is_code(text: str) -> bool:
    return len(text) == 6 and text.isascii() and text.isdigit()
