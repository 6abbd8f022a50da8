"""All rules of one form, compiled: one CEL program for the good row, one each for the report.

Almost every row is right, so the conjunction of all rules that apply is tried
first. Only when it is not plainly true are the rules run one by one, to say
which field broke which rule. A rule whose context was not given is neither
passed nor broken: it is reported as skipped.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import cel

from yidao.catalog.pack.language import FUNCTIONS, Condition, Operand, translate
from yidao.catalog.pack.model import Form, Pack, Rule, Value

Row = Mapping[str, Value]

#: What the evaluator raises, and the operands' own ValueError.
_EVALUATION_ERRORS = (ArithmeticError, LookupError, RuntimeError, TypeError, ValueError)


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


@dataclass(frozen=True, slots=True, kw_only=True)
class _Batch:
    """The rules that apply when a certain set of contexts is known."""

    program: cel.Program | None
    operands: tuple[Operand, ...]
    applying: tuple[int, ...]
    skipped: tuple[str, ...]


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
        self._programs = tuple(cel.compile(each.cel_text) for each in self._conditions)
        self._needed = frozenset(need for each in self._conditions for need in each.rule.needs)
        self._batches: dict[frozenset[str], _Batch] = {}

    def run(self, row: Row, contexts: Contexts) -> tuple[tuple[Finding, ...], tuple[str, ...]]:
        """Give every finding, in the order of the pack, and the ids of the skipped rules."""
        known = contexts.rows(row)
        batch = self._batch(self._needed.intersection(known))
        if batch.program is None or _holds(batch.program, batch.operands, known) is True:
            return (), batch.skipped
        return tuple(self._findings(batch, known)), batch.skipped

    def _batch(self, available: frozenset[str]) -> _Batch:
        batch = self._batches.get(available)
        if batch is None:
            batch = self._batches[available] = self._assemble(available)
        return batch

    def _assemble(self, available: frozenset[str]) -> _Batch:
        applying = tuple(
            place
            for place, each in enumerate(self._conditions)
            if available.issuperset(each.rule.needs)
        )
        chosen = [self._conditions[place] for place in applying]
        operands = {operand.variable: operand for each in chosen for operand in each.operands}
        text = " && ".join(f"({each.cel_text})" for each in chosen)
        return _Batch(
            program=cel.compile(text) if chosen else None,
            operands=tuple(operands.values()),
            applying=applying,
            skipped=tuple(
                each.rule.id
                for each in self._conditions
                if not available.issuperset(each.rule.needs)
            ),
        )

    def _findings(self, batch: _Batch, known: Mapping[str, Row]) -> Iterator[Finding]:
        for place in batch.applying:
            condition = self._conditions[place]
            held = _holds(self._programs[place], condition.operands, known)
            if held is not True:
                yield Finding(rule=condition.rule, failed=held is None)


def _holds(
    program: cel.Program, operands: tuple[Operand, ...], known: Mapping[str, Row]
) -> bool | None:
    """Evaluate; None means that no boolean came out of it."""
    try:
        variables: dict[str, object] = {
            operand.variable: operand.value_in(known[operand.context]) for operand in operands
        }
        variables.update(FUNCTIONS)
        held = program.execute(variables)
    except _EVALUATION_ERRORS:
        # Whatever the evaluator raises (overflow, type, divisor) is one and the
        # same fault to the clerk: the rule could not be computed for this row.
        return None
    return held if isinstance(held, bool) else None
