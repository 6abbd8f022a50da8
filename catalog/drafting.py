"""Drafts an entry of the catalog from a form, so that an office need not type what a pack says."""

from typing import Final

from yidao.catalog.calendar import PeriodKind
from yidao.catalog.pack.model import Field, FieldKind, Pack
from yidao.catalog.resource import Item, Resource, ShareType, Source

#: What a draft says until its office says something else.
SHARE_CONDITION: Final = "向提供方提出申请，说明用途，经提供方同意后使用。"

_TYPES: Final = {
    FieldKind.INT: "N",
    FieldKind.DECIMAL: "N",
    FieldKind.BOOL: "L",
    FieldKind.DATE: "D",
}
_CYCLES: Final = {
    PeriodKind.MONTH: "4",
    PeriodKind.QUARTER: "5",
    PeriodKind.YEAR: "7",
    PeriodKind.ON_CHANGE: "8",
}
#: Personal fields are never of a lower grade: see `Item.grade`.
_PERSONAL_GRADE: Final = 3
_DATABASE, _INTERFACE = "3", "1"


def resource_of_form(  # noqa: PLR0913 - what a form does not say, each by name
    pack: Pack,
    form_id: str,
    *,
    class_code: str,
    provider_name: str,
    provider_uscc: str,
    region_code: str = "",
    title: str = "",
    share_type: ShareType = ShareType.CONDITIONAL,
    share_text: str = "",
) -> Resource:
    """Make a draft, without a code, whose rows are the returns of a form.

    Args:
        pack: The version in force.
        form_id: One of its forms.
        class_code: 类项目细目.
        provider_name: The unit that answers for the data.
        provider_uscc: Its code.
        region_code: Where it is.
        title: Another title than the form's.
        share_type: As the office decides; on conditions by default.
        share_text: The condition, or the legal basis of not sharing.

    Raises:
        FormUnknown: The pack has none of that name.
    """
    form = pack.form(form_id)
    conditional = share_type is ShareType.CONDITIONAL
    return Resource(
        code="",
        title=title or form.title.zh,
        class_code=class_code,
        provider_name=provider_name,
        provider_uscc=provider_uscc,
        description=f"{pack.title.zh}：{form.title.zh}。",
        format=_DATABASE,
        items=tuple(_item(each) for each in form.fields.values()),
        share_type=share_type,
        share_condition=(share_text or SHARE_CONDITION) if conditional else "",
        share_mode="" if share_type is ShareType.NONE else _INTERFACE,
        share_basis=share_text if share_type is ShareType.NONE else "",
        open=False,
        open_condition="",
        update_cycle=_CYCLES[form.period],
        issued="",
        theme=pack.title.zh,
        region_code=region_code,
        source=Source(pack=pack.id, form=form.id),
    )


def _item(field: Field) -> Item:
    return Item(
        name=field.name,
        title=field.label.zh,
        type=_TYPES.get(field.kind, "C"),
        length=field.precision or field.max_length,
        grade=max(field.grade, _PERSONAL_GRADE) if field.pii else field.grade,
    )
