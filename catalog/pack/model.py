"""What a pack says: a data standard as data, every part of it immutable.

A pack fixes the forms that offices fill in, their fields, code lists and
rules, how figures roll up, which indicators are formed from the totals, and
when a return is due. One pack has several versions; each has days on which it
is in force. Nothing here reads YAML (see `loader`) or a row (see
`yidao.catalog.validate`).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from enum import Enum
from fractions import Fraction

from yidao.catalog.calendar import PeriodKind
from yidao.catalog.errors import FieldUnknown, FormUnknown

Value = str | int | bool
"""What a row holds: decimals, dates and codes are strings. Never a float, never null."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Text:
    """One text in Chinese and in English."""

    zh: str
    en: str


class FieldKind(Enum):
    """The type of a field; the value is its spelling in packs.

    `money` and `area` of a pack file are decimals of fixed size: dec(18,2), dec(14,2).
    """

    STR = "str"
    INT = "int"
    BOOL = "bool"
    DATE = "date"
    CODE = "code"
    USCC = "uscc"
    REGION = "region"
    PERIOD = "period"
    DECIMAL = "dec"


class RollupKind(Enum):
    """How the values of a field become one value of a whole region."""

    SUM = "sum"
    COUNT = "count"
    COUNT_DISTINCT = "countd"
    HISTOGRAM = "hist"
    MIN = "min"
    MAX = "max"
    LATEST = "latest"
    NONE = "none"


class Severity(Enum):
    """An error refuses the row; a warning asks a person to look."""

    ERROR = "error"
    WARN = "warn"


@dataclass(frozen=True, slots=True, kw_only=True)
class CodeItem:
    """One entry of a code list and the days on which it may be used (both ends included)."""

    code: str
    label: Text
    valid_from: date | None = None
    valid_to: date | None = None

    def valid_on(self, day: date) -> bool:
        """Tell whether the entry may be used on a day."""
        return (self.valid_from is None or self.valid_from <= day) and (
            self.valid_to is None or day <= self.valid_to
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class CodeList:
    """A code list; the order of its items is the order of presentation."""

    id: str
    title: Text
    items: Mapping[str, CodeItem]


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """One field of a form.

    Attributes:
        precision: Digits in all, for decimals; 0 for other kinds.
        scale: Digits after the point, for decimals; 0 for other kinds.
        unit: For display ("kWh"); empty where there is none.
        pii: The value is personal: it travels in the part `pii`.
        grade: Data grade 1 (lowest) to 4 (GB/T 39477 practice).
        list_id: The code list of a `code` field, else empty.
        minimum: Smallest value, scaled by `scale`; None for kinds without order.
        maximum: Largest value, likewise.
        max_length: Characters, for strings.
        computed: Formula of a weighted sum over the row's own fields, else empty.
        formerly: Labels that earlier versions gave the field: importers match them too.
    """

    name: str
    label: Text
    kind: FieldKind
    precision: int
    scale: int
    unit: str
    required: bool
    rollup: RollupKind
    pii: bool
    grade: int
    list_id: str
    minimum: int | None
    maximum: int | None
    max_length: int
    computed: str
    formerly: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Retired:
    """A field of earlier versions that this version refuses, by name and with the reason."""

    name: str
    label: Text
    since_version: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """A form: what one row of it holds and what identifies a row.

    Attributes:
        key: Names of the fields that together identify a row.
        period: What kind of period the field `period` of a row must name.
        stays_local: Rows never leave the node where they are written.
    """

    id: str
    title: Text
    key: tuple[str, ...]
    period: PeriodKind
    stays_local: bool
    fields: Mapping[str, Field]
    retired: Mapping[str, Retired]

    def field(self, name: str) -> Field:
        """Give a field.

        Raises:
            FieldUnknown: The form has none of that name.
        """
        try:
            return self.fields[name]
        except KeyError:
            raise FieldUnknown(form=self.id, field=name) from None

    def key_of(self, row: Mapping[str, Value]) -> tuple[str, ...]:
        """Give the values that identify a row, as strings, in the order of `key`.

        Raises:
            FieldUnknown: The row lacks one of them.
        """
        for name in self.key:
            if name not in row:
                raise FieldUnknown(form=self.id, field=name)
        return tuple(str(row[name]) for name in self.key)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """A relation that rows of a form must satisfy.

    Attributes:
        id: Stable across versions, "EN-01".
        field: The field under which a fault is shown.
        needs: The contexts that the expression reads: "row", "prev",
            "year_ago", "children", "forms.<form>".
        fault: What a clerk reads when the rule does not hold.
        expr: See `yidao.catalog.pack.language`.
    """

    id: str
    form: str
    field: str
    severity: Severity
    label: Text
    fault: Text
    needs: tuple[str, ...]
    expr: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Indicator:
    """A ratio or total that is always formed from rolled-up figures, never averaged.

    Attributes:
        scale: Digits after the point for display.
        better: "lower", "higher" or "none".
        formula: See `yidao.catalog.formula`; names are `<form>.<field>` and
            `<factor set>.<name>`.
    """

    id: str
    label: Text
    unit: str
    scale: int
    better: str
    formula: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Due:
    """When returns of a form are due: days after the period's last day, moved to a workday."""

    form: str
    after_days: int
    basis: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FactorSet:
    """Conversion factors by field name, exact, with where they come from."""

    id: str
    label: Text
    basis: str
    values: Mapping[str, Fraction]


@dataclass(frozen=True, slots=True, kw_only=True)
class Benchmark:
    """Published values of indicators, to judge whether figures are plausible."""

    id: str
    label: Text
    source: str
    values: Mapping[str, Fraction]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pack:
    """One version of a data standard.

    Attributes:
        basis: On what the pack rests and what it does not claim.
        valid_from: First day in force.
        valid_to: Last day in force, or None while it is open.
        source: The exact bytes that it was read from.
        digest: SHA-256 of `source`; record headers carry it.
    """

    id: str
    version: str
    title: Text
    basis: str
    valid_from: date
    valid_to: date | None
    lists: Mapping[str, CodeList]
    forms: Mapping[str, Form]
    rules: tuple[Rule, ...]
    indicators: tuple[Indicator, ...]
    dues: Mapping[str, Due]
    factors: Mapping[str, FactorSet]
    benchmarks: tuple[Benchmark, ...]
    source: bytes
    digest: bytes

    def form(self, form_id: str) -> Form:
        """Give a form.

        Raises:
            FormUnknown: The pack has none of that name.
        """
        try:
            return self.forms[form_id]
        except KeyError:
            raise FormUnknown(pack=self.id, form=form_id) from None

    def schema_id(self, form_id: str) -> str:
        """Name a form of this version as record headers do: "energy/2022/consumption".

        Raises:
            FormUnknown: The pack has none of that name.
        """
        return f"{self.id}/{self.version}/{self.form(form_id).id}"

    def in_force(self, on: date) -> bool:
        """Tell whether the version is valid on a day."""
        return self.valid_from <= on and (self.valid_to is None or on <= self.valid_to)
