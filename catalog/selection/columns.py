"""What may be asked of a resource: the columns of its form, over all versions of the standard."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Final

from yidao.catalog.masks import Outcome
from yidao.catalog.pack.model import Field, FieldKind, Form
from yidao.catalog.selection.errors import ColumnUnknown

#: From this grade on a field is masked for everybody who has no permission for it.
MASKED_FROM_GRADE: Final = 3

Cell = str | int | bool | None
"""What stands in an answer: decimals are strings; None where a row has no value."""


class Kind(Enum):
    """The type of a column; the value is its spelling in answers."""

    TEXT = "text"
    INTEGER = "integer"
    DECIMAL = "decimal"
    BOOLEAN = "boolean"


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One column.

    Attributes:
        scale: Digits after the point, of decimals.
        masked: Its values are shown masked, and nothing may depend on them.
        refused: Its values are not shown at all.
        personal: Its values are in another part of the record.
        label: The field's Chinese title.
    """

    name: str
    kind: Kind
    scale: int = 0
    masked: bool = False
    refused: bool = False
    personal: bool = False
    label: str = ""


#: What every row has beside the fields of its form; they hide fields of the same names.
BUILT_IN: Final[Mapping[str, Column]] = {
    "unit": Column(name="unit", kind=Kind.TEXT, label="统一社会信用代码"),
    "period": Column(name="period", kind=Kind.TEXT, label="报告期"),
    "state": Column(name="state", kind=Kind.TEXT, label="状态"),
    "version": Column(name="version", kind=Kind.INTEGER, label="版次"),
}

_KINDS: Final[Mapping[FieldKind, Kind]] = {
    FieldKind.INT: Kind.INTEGER,
    FieldKind.DECIMAL: Kind.DECIMAL,
    FieldKind.BOOL: Kind.BOOLEAN,
}


def mask_sensitive(grade: int) -> Outcome:
    """Decide for a reader of whom nothing is known."""
    return Outcome.MASK if grade >= MASKED_FROM_GRADE else Outcome.SHOW


def columns_of(
    forms: Iterable[Form],
    grades: Mapping[str, int],
    judge: Callable[[int], Outcome] = mask_sensitive,
) -> Mapping[str, Column]:
    """Give the columns of a resource by name, built-in ones first.

    Args:
        forms: One form in every version of its standard, oldest first. A field
            that changed its kind between them is left out: its values cannot be
            compared. Of two scales the finer holds.
        grades: The grade of each column that the resource offers. Other fields
            of the form are no columns of the resource. Of the two grades that
            resource and standard give, the higher holds.
        judge: What becomes of a column of a grade; personal ones are at least of grade 3.
    """
    fields: dict[str, list[Field]] = {}
    for form in forms:
        for field in form.fields.values():
            if field.name in grades and field.name not in BUILT_IN:
                fields.setdefault(field.name, []).append(field)
    columns = dict(BUILT_IN)
    for name in grades:
        versions = fields.get(name, [])
        if len({field.kind for field in versions}) == 1:
            columns[name] = _column(versions, grades[name], judge)
    return columns


def _column(versions: list[Field], grade: int, judge: Callable[[int], Outcome]) -> Column:
    newest = versions[-1]
    personal = any(field.pii for field in versions)
    grade = max(grade, *(field.grade for field in versions))
    outcome = judge(max(grade, MASKED_FROM_GRADE) if personal else grade)
    return Column(
        name=newest.name,
        kind=_KINDS.get(newest.kind, Kind.TEXT),
        scale=max(field.scale for field in versions),
        masked=outcome is not Outcome.SHOW,
        refused=outcome is Outcome.REFUSE,
        personal=personal,
        label=newest.label.zh,
    )


def column(columns: Mapping[str, Column], name: str) -> Column:
    """Give a column; raises `ColumnUnknown`."""
    try:
        return columns[name]
    except KeyError:
        raise ColumnUnknown(column=name) from None
