"""The pages of an answer: JSON that is written in pieces and read strictly.

    {"resource": code, "as_of_ms": time, "cut": more rows matched,
     "columns": [[name, kind, scale, masked], …],
     "rows": [[cell, …], …], or
     "groups": [[[cell, …], rows, [[rows, value], …]], …]}

Every page states the same columns: those of the rows, or those of the groups'
keys followed by one a measure.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeVar

import orjson

from yidao.catalog.numbers import INT64_MAX
from yidao.catalog.selection.columns import Cell, Column, Kind
from yidao.catalog.selection.errors import AnswerMalformed
from yidao.catalog.selection.groups import MAX_GROUPS, Group, Part
from yidao.catalog.selection.question import MAX_COLUMNS, MAX_LIMIT

#: A page is filled to about this size.
PAGE_BYTES: Final = 48 * 1024
MAX_PAGE_BYTES: Final = 256 * 1024
# Sixty-four fields, the built-in ones, and the measures.
_MAX_ANSWER_COLUMNS: Final = 256 + MAX_COLUMNS
_MAX_TEXT: Final = 4_000
_MAX_SCALE: Final = 18
_NAME = re.compile(r"(?:(?:sum|min|max|avg) )?[a-z][a-z0-9_]{0,62}")
_DECIMAL = re.compile(r"-?[0-9]{1,19}(?:\.[0-9]{1,18})?")
T = TypeVar("T")

_KINDS: Final = {each.value: each for each in Kind}


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """One page.

    Attributes:
        resource: The code of the resource that was answered from.
        as_of_ms: Unix milliseconds of the state that the answer shows.
        cut: More rows matched than the answer gives.
    """

    resource: str
    as_of_ms: int
    cut: bool
    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...] = ()
    groups: tuple[Group, ...] = ()


def write_pages(
    *,
    resource: str,
    as_of_ms: int,
    cut: bool,
    columns: Sequence[Column],
    rows: Iterable[Sequence[Cell]] = (),
    groups: Iterable[Group] = (),
) -> Iterator[bytes]:
    """Write an answer, at least one page."""
    head = {
        "resource": resource,
        "as_of_ms": as_of_ms,
        "cut": cut,
        "columns": [[c.name, c.kind.value, c.scale, c.masked] for c in columns],
    }
    plain = [
        [group.key, group.rows, [[part.rows, part.value] for part in group.parts]]
        for group in groups
    ]
    name = "groups" if plain else "rows"
    piece: list[Any] = []
    size_bytes = 0
    pages = 0
    for each in plain or rows:
        size_bytes += len(orjson.dumps(each)) + 1
        if piece and size_bytes > PAGE_BYTES:
            yield orjson.dumps({**head, name: piece})
            piece, size_bytes = [], len(orjson.dumps(each)) + 1
            pages += 1
        piece.append(each)
    if piece or not pages:
        yield orjson.dumps({**head, name: piece})


def read_page(data: bytes, *, keys: int, measures: int) -> Page:
    """Read a page that another node wrote.

    Args:
        data: Its bytes; nothing of them is believed.
        keys: How many columns the question groups by.
        measures: How many measures it forms; 0 for a question for rows.

    Raises:
        AnswerMalformed: It has another shape, or a cell of another kind than its column.
    """
    if len(data) > MAX_PAGE_BYTES:
        raise AnswerMalformed(reason="too_long")
    try:
        members = orjson.loads(data)
    except orjson.JSONDecodeError:
        raise AnswerMalformed(reason="not_json") from None
    if not isinstance(members, dict):
        raise AnswerMalformed(reason="members")
    columns = tuple(_column(each) for each in _list(members.get("columns"), _MAX_ANSWER_COLUMNS))
    if measures and len(columns) != keys + measures:
        raise AnswerMalformed(reason="columns")
    return Page(
        resource=_typed(members.get("resource", ""), str)[:64],
        as_of_ms=_natural(members.get("as_of_ms")),
        cut=_typed(members.get("cut"), bool),
        columns=columns,
        rows=tuple(
            _cells(each, columns)
            for each in ([] if measures else _list(members.get("rows", []), MAX_LIMIT))
        ),
        groups=tuple(
            _group(each, columns[:keys], columns[keys:])
            for each in (_list(members.get("groups", []), MAX_GROUPS) if measures else [])
        ),
    )


def _column(value: Any) -> Column:
    name, kind, scale, masked = _several(value, 4)
    if _NAME.fullmatch(_typed(name, str)) is None or _typed(kind, str) not in _KINDS:
        raise AnswerMalformed(reason="columns")
    if _natural(scale) > _MAX_SCALE:
        raise AnswerMalformed(reason="columns")
    return Column(name=name, kind=_KINDS[kind], scale=scale, masked=_typed(masked, bool))


def _group(value: Any, keys: Sequence[Column], measures: Sequence[Column]) -> Group:
    key, rows, parts = _several(value, 3)
    found = []
    for part, source in zip(_several(parts, len(measures)), measures, strict=True):
        counted, held = _several(part, 2)
        found.append(Part(_natural(counted), _cell(held, source)))
    return Group(_cells(key, keys), _natural(rows), tuple(found))


def _cells(value: Any, columns: Sequence[Column]) -> tuple[Cell, ...]:
    cells = _several(value, len(columns))
    return tuple(_cell(each, source) for each, source in zip(cells, columns, strict=True))


def _cell(value: Any, source: Column) -> Cell:
    if value is None:
        return None
    if source.kind is Kind.INTEGER:
        number = _typed(value, int)
        if abs(number) > INT64_MAX:
            raise AnswerMalformed(reason="cell")
        return number
    if source.kind is Kind.BOOLEAN:
        return _typed(value, bool)
    text = _typed(value, str)
    if len(text) > _MAX_TEXT:
        raise AnswerMalformed(reason="cell")
    if source.kind is Kind.DECIMAL and not _is_decimal(text, source.scale):
        raise AnswerMalformed(reason="cell")
    return text


def _is_decimal(text: str, scale: int) -> bool:
    return _DECIMAL.fullmatch(text) is not None and len(text.partition(".")[2]) <= scale


def _typed(value: Any, kind: type[T]) -> T:
    # `type` and not `isinstance`: a boolean is no number here.
    if type(value) is not kind:
        raise AnswerMalformed(reason="type")
    return value


def _natural(value: Any) -> int:
    number = _typed(value, int)
    if not 0 <= number <= INT64_MAX:
        raise AnswerMalformed(reason="number")
    return number


def _list(value: Any, most: int) -> list[Any]:
    found = _typed(value, list)
    if len(found) > most:
        raise AnswerMalformed(reason="too_many")
    return found


def _several(value: Any, count: int) -> list[Any]:
    found = _typed(value, list)
    if len(found) != count:
        raise AnswerMalformed(reason="count")
    return found
