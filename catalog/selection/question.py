"""A question about rows as it is signed: one small JSON object, read strictly.

Members: `resource` (a code) or `pack` and `form`; `where` (see `conditions`);
`select`, `by` (columns); `aggregate` (`count`, `sum elec_kwh`); `order`
(`elec_kwh`, `-elec_kwh`); `limit`. What is empty is left out.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Final, Self

import orjson

from yidao.catalog.selection.conditions import Condition, parse_condition
from yidao.catalog.selection.errors import QuestionInvalid

MAX_BYTES: Final = 12 * 1024
MAX_COLUMNS: Final = 64
MAX_MEASURES: Final = 16
MAX_BY: Final = 4
MAX_ORDER: Final = 4
DEFAULT_LIMIT: Final = 1_000
MAX_LIMIT: Final = 10_000

_COLUMN = re.compile(r"[a-z][a-z0-9_]{0,62}")
_NAME = re.compile(r"(?:[a-z][a-z0-9_]{0,62})?")
_CODE = re.compile(r"[0-9A-Za-z/._-]{0,64}")


class Function(Enum):
    """What is formed of the rows of a group; the value is its spelling."""

    COUNT = "count"
    SUM = "sum"
    MIN = "min"
    MAX = "max"
    AVG = "avg"


@dataclass(frozen=True, slots=True)
class Measure:
    """One aggregate. `column` is empty for `count`, which counts rows."""

    function: Function
    column: str

    def __str__(self) -> str:
        return f"{self.function.value} {self.column}".rstrip()

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `sum elec_kwh`; raises `QuestionInvalid`."""
        name, _, column = text.partition(" ")
        if name not in {each.value for each in Function}:
            raise QuestionInvalid(part="aggregate", reason="function_unknown")
        function = Function(name)
        if function is Function.COUNT and not column:
            return cls(function, "")
        if function is Function.COUNT or _COLUMN.fullmatch(column) is None:
            raise QuestionInvalid(part="aggregate", reason="column_expected")
        return cls(function, column)


@dataclass(frozen=True, slots=True)
class Order:
    """One column to sort by; of groups also an aggregate, `sum elec_kwh`."""

    column: str
    descending: bool

    def __str__(self) -> str:
        return f"-{self.column}" if self.descending else self.column

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `elec_kwh` or `-elec_kwh`."""
        column = text.removeprefix("-")
        return cls(column, text.startswith("-"))


@dataclass(frozen=True, slots=True, kw_only=True)
class RowsQuestion:
    """What is asked of a resource's rows.

    Attributes:
        resource: Its code; empty where `pack` and `form` say which.
        where: The text of the condition; `condition` is it, read.
        limit: Rows or groups, 1 to 10,000.
    """

    resource: str = ""
    pack: str = ""
    form: str = ""
    where: str = ""
    condition: Condition | None = None
    select: tuple[str, ...] = ()
    aggregate: tuple[Measure, ...] = ()
    by: tuple[str, ...] = ()
    order: tuple[Order, ...] = ()
    limit: int = DEFAULT_LIMIT

    @classmethod
    def make(  # noqa: PLR0913 (the members of a question, each by name)
        cls,
        *,
        resource: str = "",
        pack: str = "",
        form: str = "",
        where: str = "",
        select: Sequence[str] = (),
        aggregate: Sequence[str] = (),
        by: Sequence[str] = (),
        order: Sequence[str] = (),
        limit: int = 0,
    ) -> Self:
        """Make a question of texts as people write them.

        Raises:
            QuestionInvalid: A member breaks the language or a limit.
        """
        if _CODE.fullmatch(resource) is None:
            raise QuestionInvalid(part="resource", reason="spelling")
        if _NAME.fullmatch(pack) is None or _NAME.fullmatch(form) is None:
            raise QuestionInvalid(part="form", reason="spelling")
        if bool(resource) == bool(pack) or bool(pack) != bool(form):
            raise QuestionInvalid(part="resource", reason="one_of_code_and_form")
        if not 0 <= limit <= MAX_LIMIT:
            raise QuestionInvalid(part="limit", reason="out_of_range")
        for part, texts, most in (
            ("select", select, MAX_COLUMNS),
            ("aggregate", aggregate, MAX_MEASURES),
            ("by", by, MAX_BY),
            ("order", order, MAX_ORDER),
        ):
            _check_list(part, texts, most)
        if (aggregate and select) or (by and not aggregate):
            raise QuestionInvalid(part="aggregate", reason="select_or_aggregate")
        for column in (*select, *by):
            if _COLUMN.fullmatch(column) is None:
                raise QuestionInvalid(part="select", reason="column_expected")
        ordered = tuple(Order.parse(text) for text in order)
        _check_order(ordered, (*select, *by, *aggregate))
        return cls(
            resource=resource,
            pack=pack,
            form=form,
            where=where,
            condition=parse_condition(where),
            select=tuple(select),
            aggregate=tuple(Measure.parse(text) for text in aggregate),
            by=tuple(by),
            order=ordered,
            limit=limit or DEFAULT_LIMIT,
        )

    def encode(self) -> bytes:
        """Write the question; equal questions give equal bytes.

        Raises:
            QuestionInvalid: It is longer than may be signed.
        """
        members = {
            "resource": self.resource,
            "pack": self.pack,
            "form": self.form,
            "where": self.where,
            "select": self.select,
            "aggregate": [str(each) for each in self.aggregate],
            "by": self.by,
            "order": [str(each) for each in self.order],
            "limit": self.limit,
        }
        try:
            data = orjson.dumps(
                {name: value for name, value in members.items() if value},
                option=orjson.OPT_SORT_KEYS,
            )
        except orjson.JSONEncodeError:
            raise QuestionInvalid(part="where", reason="not_text") from None
        if len(data) > MAX_BYTES:
            raise QuestionInvalid(part="question", reason="too_long")
        return data

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Read a question.

        Raises:
            QuestionInvalid: It is not one, or breaks a limit.
        """
        if len(data) > MAX_BYTES:
            raise QuestionInvalid(part="question", reason="too_long")
        try:
            members = orjson.loads(data)
        except orjson.JSONDecodeError:
            raise QuestionInvalid(part="question", reason="not_json") from None
        if not isinstance(members, dict) or members.keys() - _MEMBERS.keys():
            raise QuestionInvalid(part="question", reason="members")
        for name, value in members.items():
            if type(value) is not _MEMBERS[name]:
                raise QuestionInvalid(part=name, reason="type")
            if isinstance(value, list) and not all(type(each) is str for each in value):
                raise QuestionInvalid(part=name, reason="type")
        return cls.make(**members)


_MEMBERS: Final[dict[str, type]] = {
    "resource": str,
    "pack": str,
    "form": str,
    "where": str,
    "select": list,
    "aggregate": list,
    "by": list,
    "order": list,
    "limit": int,
}


def _check_list(part: str, texts: Sequence[str], most: int) -> None:
    if len(texts) > most:
        raise QuestionInvalid(part=part, reason="too_many")
    if len(set(texts)) != len(texts):
        raise QuestionInvalid(part=part, reason="twice")


def _check_order(order: Sequence[Order], shown: Sequence[str]) -> None:
    """Answers of several nodes are put in order by what they show."""
    for each in order:
        if shown and each.column not in shown:
            raise QuestionInvalid(part="order", reason="not_selected")
        if not shown and _COLUMN.fullmatch(each.column) is None:
            raise QuestionInvalid(part="order", reason="column_expected")
