"""Check a row against the version of a standard that is in force: all faults at once.

    checks = Checks()
    row = checks.complete(pack, "consumption", row)
    verdict = checks.check(pack, "consumption", row, Contexts(year_ago=last_year))
    if not verdict.ok:
        for fault in verdict.errors: print(fault.text.zh)

First the structure of the values (`structure`), then the computed fields, then
the rules (`pack.rules`). Rules are not run over values that are not even
numbers: their findings would only repeat the structural ones.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from types import MappingProxyType

from yidao.catalog import faults
from yidao.catalog.errors import NumberOverflow
from yidao.catalog.faults import Fault, field_fault
from yidao.catalog.pack.model import Form, Pack, Severity, Text, Value
from yidao.catalog.pack.rules import Contexts, Finding, RuleSet
from yidao.catalog.rows import Computation, Numbers
from yidao.catalog.structure import Structure

_NO_CONTEXTS = Contexts()
_NO_PARAMS: Mapping[str, str | int] = MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What checking a row came to.

    Attributes:
        faults: Structural faults in the order of the form, then rules in the order of the pack.
        skipped: Ids of rules that look at a context which was not given.
    """

    faults: tuple[Fault, ...]
    skipped: tuple[str, ...]

    @property
    def ok(self) -> bool:
        """Whether the row may be accepted: it has no error, warnings aside."""
        return not self.errors

    @property
    def errors(self) -> tuple[Fault, ...]:
        """The faults that refuse the row."""
        return tuple(fault for fault in self.faults if fault.severity is Severity.ERROR)

    @property
    def warnings(self) -> tuple[Fault, ...]:
        """The faults that ask a person to look."""
        return tuple(fault for fault in self.faults if fault.severity is Severity.WARN)


class FormCheck:
    """One form of one pack version, compiled. One thread at a time."""

    def __init__(self, pack: Pack, form_id: str) -> None:
        """Compile schema, computations and rules.

        Raises:
            FormUnknown: The pack has no such form.
        """
        self._form: Form = pack.form(form_id)
        self._structure = Structure(pack, self._form)
        self._numbers = Numbers(self._form)
        self._computation = Computation(pack, form_id)
        self._rules = RuleSet(pack, self._form)

    def check(
        self, row: Mapping[str, Value], contexts: Contexts = _NO_CONTEXTS, on: date | None = None
    ) -> Verdict:
        """Check one row; see `Checks.check`."""
        structural = self._structure.faults(row, on)
        if structural:
            return Verdict(faults=self._without_consequences(structural), skipped=())
        numbers = self._numbers.checked_row(row)
        computed = self._computed(row, numbers)
        findings, skipped = self._rules.run(row, numbers, contexts)
        broken = tuple(self._fault(finding) for finding in findings)
        return Verdict(faults=(*computed, *broken), skipped=skipped)

    def _without_consequences(self, found: tuple[Fault, ...]) -> tuple[Fault, ...]:
        """Leave out faults of computed figures where a stated one is at fault: they follow."""
        stated = tuple(each for each in found if each.field not in self._computation.names)
        return stated or found

    def complete(self, row: Mapping[str, Value]) -> dict[str, Value]:
        """Fill in the computed fields that the row lacks; see `Checks.complete`."""
        return {**self._computation.values(self._numbers.any_row(row)), **row}

    def _computed(self, row: Mapping[str, Value], numbers: Mapping[str, int]) -> tuple[Fault, ...]:
        try:
            values: Mapping[str, str] = self._computation.values(numbers)
        except NumberOverflow:
            # The true figure needs more than 64 bits, so no stated one can equal it.
            values = dict.fromkeys(self._computation.names, "")
        return tuple(
            field_fault(faults.VALUE_DIFFERS_FROM_COMPUTED, name, self._form.fields[name].label)
            for name, value in values.items()
            if name in row and row[name] != value
        )

    def _fault(self, finding: Finding) -> Fault:
        rule = finding.rule
        text = rule.fault
        if finding.failed:
            label = self._form.fields[rule.field].label
            words = {
                "rule_zh": rule.label.zh,
                "rule_en": rule.label.en,
                "label_zh": label.zh,
                "label_en": label.en,
            }
            template = faults.TEXTS[faults.RULE_NOT_COMPUTABLE]
            text = Text(zh=template.zh.format(**words), en=template.en.format(**words))
        return Fault(
            field=rule.field,
            rule=rule.id,
            code=faults.RULE_NOT_COMPUTABLE if finding.failed else faults.RULE_BROKEN,
            severity=rule.severity,
            params=_NO_PARAMS,
            text=text,
        )


class Checks:
    """Forms compiled on first use and kept. One thread at a time."""

    def __init__(self) -> None:
        """Start with nothing compiled."""
        self._compiled: dict[tuple[bytes, str], FormCheck] = {}

    def form(self, pack: Pack, form_id: str) -> FormCheck:
        """Give the compiled form of exactly this pack.

        Raises:
            FormUnknown: The pack has no such form.
        """
        found = self._compiled.get((pack.digest, form_id))
        if found is None:
            found = self._compiled[pack.digest, form_id] = FormCheck(pack, form_id)
        return found

    def check(
        self,
        pack: Pack,
        form_id: str,
        row: Mapping[str, Value],
        contexts: Contexts = _NO_CONTEXTS,
        on: date | None = None,
    ) -> Verdict:
        """Check one row and report everything that is wrong with it.

        Args:
            pack: The version in force for the row's period (`PackSet.in_force`).
            form_id: The form that the row belongs to.
            row: Complete; see `complete`.
            contexts: What the rules may look at besides the row.
            on: The day by which dated codes are judged, for forms without a
                period; otherwise the first day of the row's period is taken.

        Raises:
            FormUnknown: The pack has no such form.
        """
        return self.form(pack, form_id).check(row, contexts, on)

    def complete(self, pack: Pack, form_id: str, row: Mapping[str, Value]) -> dict[str, Value]:
        """Give the row with the computed fields that it lacks; do this before `check`.

        What is stated is left as it is: `check` tells whether it is right.

        Raises:
            FormUnknown: The pack has no such form.
            NumberOverflow: A computed sum does not fit 64 bits.
        """
        return self.form(pack, form_id).complete(row)
