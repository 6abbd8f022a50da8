"""What is wrong with a row, said so that the clerk who wrote it can put it right.

A fault names the field, a stable code, and for broken rules the rule. Its
text, Chinese and English, is formed here from the labels of the pack, because
the pack is what gives the field its name. A value is never part of a fault:
faults travel in verdict records to other nodes, and the value may be personal.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from yidao.catalog.pack.model import Severity, Text

VALUE_MISSING: Final = "VALUE_MISSING"
VALUE_TYPE: Final = "VALUE_TYPE"
VALUE_SPELLING: Final = "VALUE_SPELLING"
VALUE_RANGE: Final = "VALUE_RANGE"
VALUE_TOO_LONG: Final = "VALUE_TOO_LONG"
VALUE_NOT_IN_LIST: Final = "VALUE_NOT_IN_LIST"
VALUE_CHECK_DIGIT: Final = "VALUE_CHECK_DIGIT"
VALUE_PERIOD_KIND: Final = "VALUE_PERIOD_KIND"
VALUE_DIFFERS_FROM_COMPUTED: Final = "VALUE_DIFFERS_FROM_COMPUTED"
VALUE_TWICE: Final = "VALUE_TWICE"
FIELD_NOT_IN_FORM: Final = "FIELD_NOT_IN_FORM"
FIELD_RETIRED: Final = "FIELD_RETIRED"
RULE_BROKEN: Final = "RULE_BROKEN"
RULE_NOT_COMPUTABLE: Final = "RULE_NOT_COMPUTABLE"

#: The texts of faults that no rule words itself. `label_zh` and `label_en` are always given.
TEXTS: Final[Mapping[str, Text]] = {
    VALUE_MISSING: Text(zh="“{label_zh}”未填写", en="{label_en} is missing"),
    VALUE_TYPE: Text(
        zh="“{label_zh}”的数据类型不对,应为{expected}", en="{label_en} must be of type {expected}"
    ),
    VALUE_SPELLING: Text(
        zh="“{label_zh}”的写法不符合要求,应为{expected}",
        en="{label_en} is not written as required: {expected}",
    ),
    VALUE_RANGE: Text(
        zh="“{label_zh}”应在 {low} 至 {high} 之间",
        en="{label_en} must be between {low} and {high}",
    ),
    VALUE_TOO_LONG: Text(
        zh="“{label_zh}”过长,最多 {most} 个字符", en="{label_en} is longer than {most} characters"
    ),
    VALUE_NOT_IN_LIST: Text(
        zh="“{label_zh}”不在代码表 {list} 的有效代码之内",
        en="{label_en} is not a valid code of list {list}",
    ),
    VALUE_CHECK_DIGIT: Text(
        zh="“{label_zh}”的校验码不对", en="{label_en} has a wrong check character"
    ),
    VALUE_PERIOD_KIND: Text(
        zh="“{label_zh}”与本表的报告期类别({expected})不符",
        en="{label_en} does not name a period of the form's kind ({expected})",
    ),
    VALUE_DIFFERS_FROM_COMPUTED: Text(
        zh="“{label_zh}”与按本标准系数计算的结果不一致",
        en="{label_en} differs from the value that the standard's factors give",
    ),
    VALUE_TWICE: Text(zh="“{label_zh}”中有重复", en="{label_en} names something twice"),
    FIELD_NOT_IN_FORM: Text(
        zh="本表没有“{label_zh}”这一指标", en="the form has no field {label_en}"
    ),
    FIELD_RETIRED: Text(
        zh="“{label_zh}”自 {since} 版制度起已停用,不再填报",
        en="{label_en} is retired since version {since} and is not collected any more",
    ),
    RULE_NOT_COMPUTABLE: Text(
        zh="审核关系“{rule_zh}”无法计算,请检查“{label_zh}”及相关指标",
        en="the check “{rule_en}” cannot be computed; see {label_en} and what it is compared with",
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One thing wrong with a row.

    Attributes:
        field: The field to look at; "" where the row as a whole is meant.
        rule: The id of the broken rule, "" for faults of a single field.
        code: One of the constants of this module.
        params: What the text is formed with; never a value of the row.
        text: What the clerk reads.
    """

    field: str
    rule: str
    code: str
    severity: Severity
    params: Mapping[str, str | int]
    text: Text


def field_fault(code: str, field: str, label: Text, **params: str | int) -> Fault:
    """Make the fault of a single field, which is always an error."""
    words = {**params, "label_zh": label.zh, "label_en": label.en}
    template = TEXTS[code]
    return Fault(
        field=field,
        rule="",
        code=code,
        severity=Severity.ERROR,
        params=params,
        text=Text(zh=template.zh.format(**words), en=template.en.format(**words)),
    )
