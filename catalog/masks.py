"""Masks of personal and sensitive values: what may be shown of them.

A value whose shape is known keeps a part of itself: 身份证号 `110105********002X`,
手机号 `138****1234`, 银行卡号 the last four, 号牌 `京A***12`, a person's name its
family name. Everything else, numbers too, becomes `***`. The parts follow the
usual practice of 数据脱敏; the pattern of plates is that of GA 36 with new-energy
plates.
"""

import re
from enum import StrEnum
from typing import Final

from yidao.catalog.pack.model import Value

HIDDEN: Final = "***"


class Outcome(StrEnum):
    """What becomes of a sensitive value for who reads it."""

    SHOW = "show"
    MASK = "mask"
    REFUSE = "refuse"


_ID = re.compile(r"[1-9][0-9]{16}[0-9Xx]")
_MOBILE = re.compile(r"1[3-9][0-9]{9}")
_BANK = re.compile(r"[1-9][0-9]{14,18}")
_PLATE = re.compile(
    r"[京津沪渝冀豫云辽黑湘皖鲁新苏浙赣鄂桂甘晋蒙陕吉闽贵粤青藏川宁琼][A-HJ-NP-Z]"
    r"(?:[A-HJ-NP-Z0-9]{4}[A-HJ-NP-Z0-9挂学警港澳]|[A-HJK][A-HJ-NP-Z0-9][0-9]{4}|[0-9]{5}[A-HJK])"
)
_PERSON = re.compile(r"姓名|负责人|联系人|经办人|驾驶员|法定代表人")
_HAN = re.compile(r"[\u4e00-\u9fff·]{2,8}")
#: Family names of two characters that are in common use.
_DOUBLE: Final = frozenset({"欧阳", "司马", "上官", "诸葛", "东方", "皇甫", "尉迟", "公孙", "慕容"})


def mask(value: Value, label: str) -> str:
    """Give what may be shown of a value.

    Args:
        value: As it stands in a row.
        label: The field's Chinese title; it tells a person's name from other texts.
    """
    if not isinstance(value, str):
        return HIDDEN
    # An identity number of digits alone has the shape of a bank card too: it goes first.
    if _ID.fullmatch(value):
        return f"{value[:6]}********{value[14:]}"
    if _MOBILE.fullmatch(value):
        return f"{value[:3]}****{value[7:]}"
    if _BANK.fullmatch(value):
        return f"{HIDDEN}{value[-4:]}"
    if _PLATE.fullmatch(value):
        return f"{value[:2]}{HIDDEN}{value[-2:]}"
    if _PERSON.search(label) and _HAN.fullmatch(value):
        kept = 2 if value[:2] in _DOUBLE and len(value) > 2 else 1
        return f"{value[:kept]}*"
    return HIDDEN
