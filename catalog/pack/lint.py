"""What the parts of a pack must mean together; `load_pack` ends with it.

- A form has fields, and its key names required ones of them.
- A form with a period has the required field `period` and the due form exists.
- A `code` field names a list of the pack, and only a `code` field does.
- Roll-ups fit the kind of the field; ratios do not exist as fields to be summed.
- A retired name is not also a field.
- A computed field is a decimal and a weighted sum of number fields and factors.
- Rule ids are unique; rules compile and read what they declare (`language`).
- Indicators read only fields that roll up to one number, and known factors.
"""

from collections.abc import Mapping
from fractions import Fraction

from yidao.catalog.calendar import PeriodKind
from yidao.catalog.errors import PackInvalid
from yidao.catalog.formula import Formula
from yidao.catalog.pack.language import translate
from yidao.catalog.pack.model import Field, FieldKind, Form, Pack, RollupKind

_NUMBERS = (FieldKind.INT, FieldKind.DECIMAL)
_ORDERED = (*_NUMBERS, FieldKind.DATE, FieldKind.PERIOD)
#: Units of quantities that are quotients already: their sum means nothing.
_RATIO_UNITS = ("/", "%", "‰")

_FITTING: Mapping[RollupKind, tuple[FieldKind, ...]] = {
    RollupKind.SUM: _NUMBERS,
    RollupKind.COUNT: tuple(FieldKind),
    RollupKind.COUNT_DISTINCT: (FieldKind.STR, FieldKind.CODE, FieldKind.USCC, FieldKind.REGION),
    RollupKind.HISTOGRAM: (FieldKind.CODE, FieldKind.BOOL, FieldKind.PERIOD),
    RollupKind.MIN: _ORDERED,
    RollupKind.MAX: _ORDERED,
    RollupKind.LATEST: tuple(FieldKind),
    RollupKind.NONE: tuple(FieldKind),
}


def lint(pack: Pack) -> None:
    """Check the pack as a whole.

    Raises:
        PackInvalid: At the first promise that does not hold.
    """
    if not pack.forms:
        raise PackInvalid(at="/forms", reason="missing")
    for form in pack.forms.values():
        _form(pack, form)
    for form_id in pack.dues:
        if form_id not in pack.forms or pack.forms[form_id].period is PeriodKind.ON_CHANGE:
            raise PackInvalid(at=f"/dues/{form_id}", reason="unknown_form")
    _rules(pack)
    _indicators(pack)


def _form(pack: Pack, form: Form) -> None:
    at = f"/forms/{form.id}"
    if not form.key:
        raise PackInvalid(at=f"{at}/key", reason="missing")
    for name in form.key:
        if name not in form.fields or not form.fields[name].required:
            raise PackInvalid(at=f"{at}/key", reason=f"not_a_required_field:{name}")
    period = form.fields.get("period")
    has_period = period is not None and period.kind is FieldKind.PERIOD and period.required
    if has_period is (form.period is PeriodKind.ON_CHANGE):
        raise PackInvalid(at=f"{at}/period", reason="period_field")
    for name in form.retired:
        if name in form.fields:
            raise PackInvalid(at=f"{at}/retired", reason=f"still_a_field:{name}")
    for field in form.fields.values():
        _field(pack, form, field, f"{at}/fields/{field.name}")


def _field(pack: Pack, form: Form, field: Field, at: str) -> None:
    if (field.kind is FieldKind.CODE) is not bool(field.list_id):
        raise PackInvalid(at=at, reason="list_missing" if not field.list_id else "list_unexpected")
    if field.list_id and field.list_id not in pack.lists:
        raise PackInvalid(at=at, reason=f"unknown_list:{field.list_id}")
    if field.kind not in _FITTING[field.rollup]:
        raise PackInvalid(at=at, reason="rollup_does_not_fit_type")
    if field.rollup is RollupKind.SUM and any(sign in field.unit for sign in _RATIO_UNITS):
        raise PackInvalid(at=at, reason="rollup_of_a_ratio")
    if field.pii and field.rollup not in (RollupKind.NONE, RollupKind.COUNT):
        raise PackInvalid(at=at, reason="rollup_of_personal_data")
    if field.computed:
        _computed(pack, form, field, f"{at}/computed")


def _computed(pack: Pack, form: Form, field: Field, at: str) -> None:
    weights = Formula.parse(field.computed, at).weights(factor_names(pack))
    if field.kind is not FieldKind.DECIMAL or weights is None:
        raise PackInvalid(at=at, reason="not_a_weighted_sum")
    for name in weights:
        source = form.fields.get(name)
        if source is None or source.kind not in _NUMBERS or source.computed:
            raise PackInvalid(at=at, reason=f"unknown_field:{name}")


def factor_names(pack: Pack) -> Mapping[str, Fraction]:
    """Give every factor under the name that formulas use: "kgce.elec_kwh"."""
    return {
        f"{factors.id}.{name}": value
        for factors in pack.factors.values()
        for name, value in factors.values.items()
    }


def _rules(pack: Pack) -> None:
    seen: set[str] = set()
    for rule in pack.rules:
        at = f"/rules/{rule.id}"
        if rule.id in seen:
            raise PackInvalid(at=at, reason="duplicate_id")
        seen.add(rule.id)
        if rule.form not in pack.forms or rule.field not in pack.forms[rule.form].fields:
            raise PackInvalid(at=at, reason="unknown_field")
        translate(rule, pack.forms)


def _indicators(pack: Pack) -> None:
    factors = factor_names(pack)
    seen: set[str] = set()
    for indicator in pack.indicators:
        at = f"/indicators/{indicator.id}"
        if indicator.id in seen:
            raise PackInvalid(at=at, reason="duplicate_id")
        seen.add(indicator.id)
        for name in Formula.parse(indicator.formula, at).names:
            if name not in factors:
                _indicator_operand(pack, name, at)


def _indicator_operand(pack: Pack, name: str, at: str) -> None:
    """Refuse what is not one number after rolling up: a mean of ratios cannot be written down."""
    form_id, _, field_name = name.partition(".")
    form = pack.forms.get(form_id)
    field = None if form is None else form.fields.get(field_name)
    if field is None or field.rollup not in (
        RollupKind.SUM,
        RollupKind.COUNT,
        RollupKind.COUNT_DISTINCT,
    ):
        raise PackInvalid(at=at, reason=f"unknown_field:{name}")
