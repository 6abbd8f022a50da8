"""The fields of a form, drawn from its standard, each with its faults in place."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Final

from yidao.catalog.pack.model import Field, FieldKind, Form, Pack, Severity
from yidao.node.client import RowFault
from yidao.node.console.widgets.faults import fault_text
from yidao.node.console.widgets.html import Tag, options
from yidao.node.console.words import Words

_NUMBERS: Final = frozenset({FieldKind.INT, FieldKind.DECIMAL})


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldView:
    """A field on a page, with the place of its faults."""

    control: Tag
    fault: Tag

    def tell(self, words: Words, faults: list[RowFault]) -> None:
        """Show the faults of this field, or take them away."""
        self.fault.set_text("\n".join(fault_text(words, each) for each in faults))
        wrong = any(each.severity == "error" for each in faults)
        self.control.put("aria_invalid", "true" if wrong else None)


def element_id(name: str) -> str:
    """Name the element of a field on the page."""
    return f"field-{name}"


def draw_fields(
    words: Words,
    pack: Pack,
    form: Form,
    texts: Mapping[str, str],
    *,
    fixed: frozenset[str],
    on: date,
) -> dict[str, FieldView]:
    """Draw all fields in their groups: what identifies the return, its content, what is computed.

    Args:
        words: The language.
        pack: The version in force.
        form: One of its forms.
        texts: What the fields hold at first.
        fixed: Fields that are not to be changed here.
        on: The day by which dated codes are offered.
    """
    helps = _helps(words, pack, form)
    views: dict[str, FieldView] = {}
    for title, fields in _groups(form).items():
        if not fields:
            continue
        with Tag("fieldset", classes="card"):
            Tag("legend", words(title))
            with Tag("div", classes="fields"):
                for field in fields:
                    text = texts.get(field.name, "")
                    views[field.name] = _draw(
                        words,
                        pack,
                        field,
                        text,
                        locked=field.name in fixed,
                        on=on,
                        help_text=helps.get(field.name, ""),
                    )
    return views


def _groups(form: Form) -> dict[str, list[Field]]:
    key = [field for field in form.fields.values() if field.name in form.key]
    computed = [field for field in form.fields.values() if field.computed]
    rest = [f for f in form.fields.values() if f not in key and f not in computed]
    return {"fill.key": key, "fill.content": rest, "fill.computed": computed}


def _helps(words: Words, pack: Pack, form: Form) -> dict[str, str]:
    """What each field must agree with, in the standard's own words."""
    helps: dict[str, str] = {}
    for rule in pack.rules:
        if rule.form == form.id and rule.severity is Severity.ERROR:
            said = words.of(rule.label)
            helps[rule.field] = f"{helps[rule.field]}; {said}" if rule.field in helps else said
    return helps


def _draw(
    words: Words, pack: Pack, field: Field, text: str, *, locked: bool, on: date, help_text: str
) -> FieldView:
    name = element_id(field.name)
    with Tag("div", classes="field"):
        with Tag("label", for_=name):
            Tag("span", words.of(field.label))
            if field.unit:
                Tag("span", words("fill.unit", unit=field.unit), classes="unit")
            if field.required and not field.computed:
                Tag("span", words("fill.required"), classes="required")
        hint = "; ".join(part for part in (_form_of(words, field), help_text) if part)
        if hint:
            Tag("p", hint, classes="help", id=f"{name}-help")
        control = _control(words, pack, field, text, locked=locked, on=on)
        fault = Tag("p", classes="field-fault", id=f"{name}-fault")
        described = f"{name}-help {name}-fault" if hint else f"{name}-fault"
        control.put("aria_describedby", described)
        control.put("aria_required", "true" if field.required and not field.computed else None)
    return FieldView(control=control, fault=fault)


def _form_of(words: Words, field: Field) -> str:
    """How the value is to be written."""
    if field.computed:
        return words("fill.by_system")
    if field.kind is FieldKind.DECIMAL:
        return words("fill.decimals", scale=field.scale)
    if field.kind is FieldKind.INT:
        return words("fill.whole")
    if field.kind is FieldKind.STR and field.max_length:
        return words("fill.length", length=field.max_length)
    return ""


def _control(words: Words, pack: Pack, field: Field, text: str, *, locked: bool, on: date) -> Tag:
    name = element_id(field.name)
    if field.kind in (FieldKind.CODE, FieldKind.BOOL) and not locked:
        with Tag("select", id=name, name=field.name) as control:
            options([("", words("fill.choose")), *_choices(words, pack, field, text, on)], text)
        return control
    control = Tag("input", type="text", id=name, name=field.name, autocomplete="off")
    if field.computed:
        control.put("readonly", value=True)
        control.put("value", text)
        return control
    control.put("readonly", value=locked)
    control.put("defaultValue", text)
    if field.kind in _NUMBERS:
        control.put("inputmode", "decimal")
        control.classes("number")
    return control


def _choices(words: Words, pack: Pack, field: Field, text: str, on: date) -> list[tuple[str, str]]:
    if field.kind is FieldKind.BOOL:
        return [("true", words("fill.yes")), ("false", words("fill.no"))]
    items = pack.lists[field.list_id].items.values()
    return [
        (item.code, f"{item.code} {words.of(item.label)}")
        for item in items
        if item.valid_on(on) or item.code == text
    ]
