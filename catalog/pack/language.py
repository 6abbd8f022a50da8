"""The language of rules: a small, bounded part of CEL over exact integers.

A rule is a CEL condition such as

    row.water_m3 == row.water_tap_m3 + row.water_well_m3
    row.elec_kwh == 0 || ratio_within(row.elec_fee, row.elec_kwh, "0.2", "2.5")

Names are `row.F`, `prev.F` (the version that this row replaces), `year_ago.F`
(the same period of last year), `children.F` (the roll-up of the parts) and
`forms.FORM.F` (another form, same unit and period). An absent number counts
as 0, an absent text as "", an absent flag as false.

CEL itself would turn decimals into doubles and, above 64 bits, integers too.
So before it compiles a rule, this module brings every number of the rule,
fields and literals alike, to the finest scale among them, as integers; then
`+ - < <= == …` are exact and true to the units. `* / %` would not be, and are
not in the language: ratios go through functions, whose bounds are texts.
There are no macros, methods or regular expressions, so an evaluation costs no
more than the length of its text.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from yidao.catalog.errors import PackInvalid
from yidao.catalog.numbers import INT64_MAX
from yidao.catalog.pack.model import Field, FieldKind, Form, Rule, Value

if TYPE_CHECKING:
    from cel import Context, Program

_MAX_CHARS = 1_000
_MAX_NESTING = 24
_CONTEXTS = ("row", "prev", "year_ago", "children")
_TOKEN = re.compile(
    r"\s*(?:(?P<path>(?:row|prev|year_ago|children|forms\.[a-z][a-z0-9_]*)\.[a-z][a-z0-9_]*)\b"
    r"|(?P<function>[a-z_]+(?=\())"
    r"|(?P<word>true|false)\b"
    r"|(?P<number>[0-9]{1,15}(?:\.[0-9]{1,9})?)(?![\w.])"
    r'|(?P<text>"[^"\\\x00-\x1f]{0,200}")'
    r"|(?P<sign>&&|\|\||==|!=|<=|>=|[-<>!+(),?:]))"
)
_PLAIN = re.compile(r"-?[0-9]{1,19}(?:\.[0-9]{1,12})?")
_NUMBERS = (FieldKind.INT, FieldKind.DECIMAL)
_BOUND = re.compile(r"-?[0-9]{1,12}(?:\.[0-9]{1,9})?")


def ratio_within(part: object, whole: object, low: object, high: object) -> bool | None:
    """Tell whether low ≤ part/whole ≤ high, exactly; no ratio to a `whole` of 0 or less is.

    Given anything but integers and bounds it gives null, which makes the rule
    not computable. It must not raise: the library prints what a function
    raises on the standard error stream.
    """
    if not (isinstance(part, int) and isinstance(whole, int)):
        return None
    lowest, highest = _bound(low), _bound(high)
    if lowest is None or highest is None:
        return None
    if whole <= 0:
        return False
    return lowest[0] * whole <= part * lowest[1] and part * highest[1] <= highest[0] * whole


def change_within(now: object, before: object, limit: object) -> bool | None:
    """Tell whether |now − before| ≤ limit · before, exactly; no change from 0 or less is."""
    bound = _bound(limit)
    if not (isinstance(now, int) and isinstance(before, int)) or bound is None:
        return None
    return before > 0 and abs(now - before) * bound[1] <= bound[0] * before


@lru_cache(maxsize=512)
def _bound(text: object) -> tuple[int, int] | None:
    """Read a bound as numerator and denominator."""
    if not isinstance(text, str) or _BOUND.fullmatch(text) is None:
        return None
    digits = len(text.partition(".")[2])
    return int(text.replace(".", "")), 10**digits


#: What the evaluator raises, and `Operand.value_in`.
EVALUATION_ERRORS = (ArithmeticError, LookupError, RuntimeError, TypeError, ValueError)

FUNCTIONS: Mapping[str, Callable[..., bool | None]] = {
    "ratio_within": ratio_within,
    "change_within": change_within,
}


def compile_cel(text: str) -> "Program":
    """Compile a CEL text.

    Raises:
        ValueError: CEL cannot parse it.
    """
    # Loading the library costs 180 ms (it brings its own command line along),
    # which a command that merely names a pack must not pay.
    import cel

    return cel.compile(text)


def new_context(resolve: Callable[[str], Value | None]) -> "Context":
    """Give a context with the functions, whose variables come from a resolver."""
    import cel

    context = cel.Context(functions=dict(FUNCTIONS))
    context.set_variable_resolver(resolve)
    return context


@dataclass(frozen=True, slots=True, kw_only=True)
class Operand:
    """One field that a rule reads.

    Attributes:
        context: "row", "prev", "year_ago", "children" or "forms.<form>".
        variable: The CEL variable; its capitals cannot clash with a field name.
        scale: The rule's scale, to which numbers are brought.
        factor: From the field's own scale to the rule's.
    """

    context: str
    field: str
    kind: FieldKind
    variable: str
    scale: int
    factor: int

    @property
    def is_number(self) -> bool:
        """Whether the field holds a number."""
        return self.kind in _NUMBERS

    def value_in(self, row: Mapping[str, Value]) -> Value:
        """Give the field's value as the rule sees it.

        Raises:
            ValueError: The value is no number of at most the rule's scale, or too large.
        """
        value = row.get(self.field)
        if self.is_number:
            return _scaled(value, self.scale)
        if self.kind is FieldKind.BOOL:
            return value is True
        return "" if value is None else str(value)


def _scaled(value: Value | None, scale: int) -> int:
    if value is None:
        return 0
    if isinstance(value, str):
        # Rows of other contexts were checked elsewhere, perhaps under another version.
        if _PLAIN.fullmatch(value) is None:
            raise ValueError("not a plain decimal")
        whole, _, fraction = value.partition(".")
        if len(fraction) > scale:
            raise ValueError("more decimals than the rule's scale")
        number = int(whole + fraction.ljust(scale, "0"))
    else:
        number = int(str(int(value)) + "0" * scale)
    # Past 64 bits CEL would silently go on in doubles.
    if not -INT64_MAX <= number <= INT64_MAX:
        raise ValueError("a number leaves 64 bits")
    return number


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """A rule in CEL, with the operands that it reads."""

    rule: Rule
    cel_text: str
    operands: tuple[Operand, ...]


def translate(rule: Rule, forms: Mapping[str, Form]) -> Condition:
    """Turn a rule into CEL over scaled integers, checking all that it names.

    Raises:
        PackInvalid: Unknown symbol, field, form or function; a context that is
            used but not declared or the reverse; or CEL cannot parse it.
    """
    at = f"rules/{rule.id}/expr"
    tokens = _split(rule.expr, at)
    _check_bounds(tokens, at)
    paths = sorted({symbol for group, symbol in tokens if group == "path"})
    fields = {path: _resolve(path, rule, forms, at) for path in paths}
    used = {path.rpartition(".")[0] for path in paths}
    if used != set(rule.needs):
        raise PackInvalid(at=f"rules/{rule.id}/needs", reason="contexts_differ_from_expression")
    literals = [len(symbol.partition(".")[2]) for group, symbol in tokens if group == "number"]
    scale = max([field.scale for field in fields.values()] + literals, default=0)
    names = {path: f"V_{path.replace('.', '_D_')}_S{scale}" for path in paths}
    text = " ".join(_cel_token(group, symbol, names, scale) for group, symbol in tokens)
    try:
        compile_cel(text)
    except ValueError:
        raise PackInvalid(at=at, reason="not_cel") from None
    operands = tuple(_operand(path, field, names[path], scale) for path, field in fields.items())
    return Condition(rule=rule, cel_text=text, operands=operands)


def _operand(path: str, field: Field, variable: str, scale: int) -> Operand:
    return Operand(
        context=path.rpartition(".")[0],
        field=field.name,
        kind=field.kind,
        variable=variable,
        scale=scale,
        factor=int(10 ** (scale - field.scale)),
    )


def _split(text: str, at: str) -> list[tuple[str, str]]:
    """Cut the text into the tokens of the language."""
    if len(text) > _MAX_CHARS:
        raise PackInvalid(at=at, reason="expression_too_long")
    tokens: list[tuple[str, str]] = []
    place, nesting, stripped = 0, 0, text.rstrip()
    while place < len(stripped):
        match = _TOKEN.match(stripped, place)
        if match is None or match.lastgroup is None:
            raise PackInvalid(at=at, reason="not_in_the_language")
        group, symbol = match.lastgroup, match[match.lastgroup]
        if group == "function" and symbol not in FUNCTIONS:
            raise PackInvalid(at=at, reason="unknown_function")
        nesting += (symbol == "(") - (symbol == ")")
        if nesting > _MAX_NESTING:
            raise PackInvalid(at=at, reason="expression_too_deep")
        tokens.append((group, symbol))
        place = match.end()
    return tokens


def _check_bounds(tokens: list[tuple[str, str]], at: str) -> None:
    """Refuse texts in the arguments of a function that are no bounds."""
    inside = 0
    for place, (group, symbol) in enumerate(tokens):
        if symbol == "(" and (inside or tokens[place - 1][0] == "function"):
            inside += 1
        elif symbol == ")" and inside:
            inside -= 1
        elif group == "text" and inside and _bound(symbol.strip('"')) is None:
            raise PackInvalid(at=at, reason="bound")


def _resolve(path: str, rule: Rule, forms: Mapping[str, Form], at: str) -> Field:
    context, _, name = path.rpartition(".")
    form_id = rule.form if context in _CONTEXTS else context.removeprefix("forms.")
    if form_id not in forms:
        raise PackInvalid(at=at, reason=f"unknown_form:{form_id}")
    field = forms[form_id].fields.get(name)
    if field is None:
        raise PackInvalid(at=at, reason=f"unknown_field:{name}")
    return field


def _cel_token(group: str, symbol: str, names: Mapping[str, str], scale: int) -> str:
    if group == "path":
        return names[symbol]
    if group == "number":
        return str(_scaled(symbol, scale))
    return symbol
