"""All rules of one form, compiled: one CEL program for the good row, one each for the report.

Almost every row is right, so the conjunction of all rules that apply is tried
first. Only when it is not plainly true are the rules run one by one, to say
which field broke which rule. A rule whose context was not given is neither
passed nor broken: it is reported as skipped.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from yidao.catalog.numbers import INT64_MAX
from yidao.catalog.pack.language import (
    EVALUATION_ERRORS,
    FUNCTIONS,
    Condition,
    compile_cel,
    new_context,
    translate,
)
from yidao.catalog.pack.model import Form, Pack, Rule, Value

if TYPE_CHECKING:
    from cel import Program

Row = Mapping[str, Value]


@dataclass(frozen=True, slots=True, kw_only=True)
class Contexts:
    """What a rule may look at besides the row; None and absent mean "not known here".

    Attributes:
        prev: The accepted version that this row replaces.
        year_ago: The same form, unit and period of the year before.
        forms: Rows of other forms of the pack for the same unit and period.
        children: Roll-up totals of the parts, by field name.
    """

    prev: Row | None = None
    year_ago: Row | None = None
    forms: Mapping[str, Row] = field(default_factory=dict)
    children: Row | None = None

    def rows(self, row: Row) -> dict[str, Row]:
        """Give what is known, by the context names of the rule language."""
        alone = {"prev": self.prev, "year_ago": self.year_ago, "children": self.children}
        known = {name: other for name, other in alone.items() if other is not None}
        known.update({f"forms.{form_id}": other for form_id, other in self.forms.items()})
        known["row"] = row
        return known


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """A rule that did not hold, or (failed) that could not be computed for this row."""

    rule: Rule
    failed: bool


class _Conjunction:
    """The rules that apply when a certain set of contexts is known, as one program."""

    def __init__(self, conditions: tuple[Condition, ...], available: frozenset[str]) -> None:
        self.applying = tuple(
            place for place, each in enumerate(conditions) if available.issuperset(each.rule.needs)
        )
        self.skipped = tuple(
            each.rule.id for each in conditions if not available.issuperset(each.rule.needs)
        )
        chosen = [conditions[place] for place in self.applying]
        text = " && ".join(f"({each.cel_text})" for each in chosen) or "true"
        self._program = compile_cel(text)
        self._operands = {operand.variable: operand for each in chosen for operand in each.operands}
        self._context = new_context(self._resolve)
        self._row_numbers = {
            variable: (operand.field, operand.factor)
            for variable, operand in self._operands.items()
            if operand.context == "row" and operand.is_number
        }
        self._known: Mapping[str, Row] = {}
        self._numbers: Mapping[str, int] = {}
        self._unreadable = False

    def holds(self, known: Mapping[str, Row], numbers: Mapping[str, int]) -> bool:
        """Tell whether every rule plainly holds; False says nothing but "look closer"."""
        self._known, self._numbers, self._unreadable = known, numbers, False
        try:
            held = self._program.execute(self._context)
        except EVALUATION_ERRORS:
            return False
        finally:
            self._known, self._numbers = {}, {}
        return held is True and not self._unreadable

    def _resolve(self, variable: str) -> Value | None:
        """Give a variable when the program asks for it: half the cost of giving all of them.

        It must not raise, for the library would print the error, value and all.
        """
        own = self._row_numbers.get(variable)
        if own is not None:
            number = self._numbers.get(own[0], 0) * own[1]
            if -INT64_MAX <= number <= INT64_MAX:
                return number
        operand = self._operands.get(variable)
        if operand is None:
            return None
        try:
            return operand.value_in(self._known[operand.context])
        except ValueError:
            self._unreadable = True
            return 0


class RuleSet:
    """The compiled rules of one form. Its memory of programs makes it single-threaded."""

    def __init__(self, pack: Pack, form: Form) -> None:
        """Compile the rules.

        Raises:
            PackInvalid: A rule is not of the language; `load_pack` has refused it before.
        """
        self._conditions: tuple[Condition, ...] = tuple(
            translate(rule, pack.forms) for rule in pack.rules if rule.form == form.id
        )
        self._programs = tuple(compile_cel(each.cel_text) for each in self._conditions)
        self._needed = frozenset(need for each in self._conditions for need in each.rule.needs)
        self._conjunctions: dict[frozenset[str], _Conjunction] = {}

    def run(
        self, row: Row, numbers: Mapping[str, int], contexts: Contexts
    ) -> tuple[tuple[Finding, ...], tuple[str, ...]]:
        """Run the rules over a row without structural faults.

        Args:
            row: The row.
            numbers: Its numbers as scaled integers.
            contexts: What else is known.

        Returns:
            Every finding, in the order of the pack, and the ids of the skipped rules.
        """
        known = contexts.rows(row)
        all_rules = self._conjunction(self._needed.intersection(known))
        if all_rules.holds(known, numbers):
            return (), all_rules.skipped
        return tuple(self._findings(all_rules.applying, known)), all_rules.skipped

    def _conjunction(self, available: frozenset[str]) -> _Conjunction:
        found = self._conjunctions.get(available)
        if found is None:
            found = self._conjunctions[available] = _Conjunction(self._conditions, available)
        return found

    def _findings(self, applying: tuple[int, ...], known: Mapping[str, Row]) -> Iterator[Finding]:
        for place in applying:
            held = _holds(self._programs[place], self._conditions[place], known)
            if held is not True:
                yield Finding(rule=self._conditions[place].rule, failed=held is None)


def _holds(program: "Program", condition: Condition, known: Mapping[str, Row]) -> bool | None:
    """Evaluate one rule; None means that no boolean came out of it."""
    try:
        variables: dict[str, object] = {
            operand.variable: operand.value_in(known[operand.context])
            for operand in condition.operands
        }
        held = program.execute({**variables, **FUNCTIONS})
    except EVALUATION_ERRORS:
        # Overflow, a type, a value that is no number: one and the same fault to
        # the clerk, the rule could not be computed for this row.
        return None
    return held if isinstance(held, bool) else None
