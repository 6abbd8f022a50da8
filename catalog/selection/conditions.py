"""Which rows are meant: `elec_kwh > 1000 and (period = '2025-Q3' or unit in ('…', '…'))`.

A comparison is a column, an operator and a value. Values are written bare or
in quotes and have no type of their own: the column gives it. `and` binds
closer than `or`. A row without a value for the column fulfils no comparison,
`!=` neither.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Final, TypeAlias

from yidao.catalog.selection.errors import QuestionInvalid

MAX_TEXT_CHARACTERS: Final = 2_000
MAX_COMPARISONS: Final = 32
MAX_DEPTH: Final = 8
MAX_LIST: Final = 100
MAX_VALUE_CHARACTERS: Final = 200


class Operator(Enum):
    """How a value is compared; the value is its spelling."""

    EQUAL = "="
    UNEQUAL = "!="
    LESS = "<"
    AT_MOST = "<="
    GREATER = ">"
    AT_LEAST = ">="
    CONTAINS = "~"
    IN = "in"


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """One comparison; `values` has one value, but for `in`."""

    column: str
    operator: Operator
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class AllOf:
    """Fulfilled where all of them are."""

    conditions: "tuple[Condition, ...]"


@dataclass(frozen=True, slots=True)
class AnyOf:
    """Fulfilled where one of them is."""

    conditions: "tuple[Condition, ...]"


Condition: TypeAlias = Comparison | AllOf | AnyOf

_TOKEN = re.compile(
    r"""\s*(?:(?P<sign><=|>=|!=|[=<>~(),])
        |'(?P<single>(?:[^']|'')*)'
        |"(?P<double>(?:[^"]|"")*)"
        |(?P<word>[^\s<>=!~(),'"]+))""",
    re.VERBOSE,
)
_COLUMN = re.compile(r"[a-z][a-z0-9_]{0,62}")
_SIGNS = {each.value: each for each in Operator if each is not Operator.IN}


@dataclass(frozen=True, slots=True)
class _Token:
    text: str
    quoted: bool = False
    sign: bool = False

    def is_word(self, word: str) -> bool:
        return not self.quoted and not self.sign and self.text.lower() == word

    def is_sign(self, sign: str) -> bool:
        return self.sign and self.text == sign


_END: Final = _Token("", sign=True)


def parse_condition(text: str) -> Condition | None:
    """Read a condition; an empty one is None and lets every row through.

    Raises:
        QuestionInvalid: It breaks the language, or is longer or deeper than allowed.
    """
    if len(text) > MAX_TEXT_CHARACTERS:
        raise QuestionInvalid(part="where", reason="too_long")
    if not text.strip():
        return None
    return _Parser(text).whole()


def comparisons(condition: Condition | None) -> Iterator[Comparison]:
    """Give every comparison in a condition."""
    if isinstance(condition, Comparison):
        yield condition
    elif condition is not None:
        for each in condition.conditions:
            yield from comparisons(each)


def _tokens(text: str) -> Iterator[_Token]:
    place, end = 0, len(text.rstrip())
    while place < end:
        match = _TOKEN.match(text, place)
        if match is None:
            raise QuestionInvalid(part="where", reason="spelling")
        place = match.end()
        if match["sign"] is not None:
            yield _Token(match["sign"], sign=True)
        elif match["single"] is not None:
            yield _Token(match["single"].replace("''", "'"), quoted=True)
        elif match["double"] is not None:
            yield _Token(match["double"].replace('""', '"'), quoted=True)
        else:
            yield _Token(match["word"])


class _Parser:
    """Recursive descent, as deep as `MAX_DEPTH`."""

    def __init__(self, text: str) -> None:
        self._tokens = _tokens(text)
        self._next = next(self._tokens, _END)
        self._comparisons = 0

    def whole(self) -> Condition:
        condition = self._any_of(0)
        if self._next is not _END:
            raise QuestionInvalid(part="where", reason="unexpected")
        return condition

    def _take(self) -> _Token:
        token = self._next
        self._next = next(self._tokens, _END)
        return token

    def _any_of(self, depth: int) -> Condition:
        found = [self._all_of(depth)]
        while self._next.is_word("or"):
            self._take()
            found.append(self._all_of(depth))
        return found[0] if len(found) == 1 else AnyOf(tuple(found))

    def _all_of(self, depth: int) -> Condition:
        found = [self._term(depth)]
        while self._next.is_word("and"):
            self._take()
            found.append(self._term(depth))
        return found[0] if len(found) == 1 else AllOf(tuple(found))

    def _term(self, depth: int) -> Condition:
        if not self._next.is_sign("("):
            return self._comparison()
        if depth >= MAX_DEPTH:
            raise QuestionInvalid(part="where", reason="too_deep")
        self._take()
        inner = self._any_of(depth + 1)
        self._expect(")")
        return inner

    def _comparison(self) -> Comparison:
        self._comparisons += 1
        if self._comparisons > MAX_COMPARISONS:
            raise QuestionInvalid(part="where", reason="too_many_comparisons")
        column, operator = self._take(), self._take()
        if column.sign or column.quoted or _COLUMN.fullmatch(column.text) is None:
            raise QuestionInvalid(part="where", reason="column_expected")
        if operator.is_word("in"):
            return Comparison(column=column.text, operator=Operator.IN, values=self._list())
        if not operator.sign or operator.text not in _SIGNS:
            raise QuestionInvalid(part="where", reason="operator_expected")
        return Comparison(
            column=column.text, operator=_SIGNS[operator.text], values=(self._value(),)
        )

    def _list(self) -> tuple[str, ...]:
        self._expect("(")
        values = [self._value()]
        while self._next.is_sign(","):
            self._take()
            values.append(self._value())
            if len(values) > MAX_LIST:
                raise QuestionInvalid(part="where", reason="list_too_long")
        self._expect(")")
        return tuple(values)

    def _value(self) -> str:
        token = self._take()
        if token.sign:
            raise QuestionInvalid(part="where", reason="value_expected")
        if len(token.text) > MAX_VALUE_CHARACTERS:
            raise QuestionInvalid(part="where", reason="value_too_long")
        return token.text

    def _expect(self, sign: str) -> None:
        if not self._take().is_sign(sign):
            raise QuestionInvalid(part="where", reason="bracket_expected")
