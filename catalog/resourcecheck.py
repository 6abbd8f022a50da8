"""What an entry of the catalog must say, and the lists that it chooses from.

The required items are the 13 core metadata items of 政务信息资源目录编制指南（试行）
(发改高技〔2017〕1272号). Its share types are numbered there; the numbers of the
other lists are ours, in the order in which the guide names the values.
"""

import re
from collections.abc import Iterator, Mapping
from datetime import date
from typing import Final

from yidao.catalog import faults
from yidao.catalog.codes import uscc_ok
from yidao.catalog.errors import ClassCodeInvalid
from yidao.catalog.faults import Fault, field_fault
from yidao.catalog.pack.model import Text
from yidao.catalog.resource import Item, Resource, ShareType

#: 共享类型
SHARE_TYPES: Final[Mapping[str, Text]] = {
    "1": Text(zh="无条件共享", en="shared without conditions"),
    "2": Text(zh="有条件共享", en="shared on conditions"),
    "3": Text(zh="不予共享", en="not shared"),
}
#: 共享方式
SHARE_MODES: Final[Mapping[str, Text]] = {
    "1": Text(zh="共享平台接口", en="interface of the sharing platform"),
    "2": Text(zh="库表交换", en="exchange of tables"),
    "3": Text(zh="文件", en="file"),
    "4": Text(zh="邮件或介质", en="mail or medium"),
}
#: 信息资源格式
FORMATS: Final[Mapping[str, Text]] = {
    "1": Text(zh="电子文件", en="document"),
    "2": Text(zh="电子表格", en="spreadsheet"),
    "3": Text(zh="数据库", en="database"),
    "4": Text(zh="图形图像", en="image"),
    "5": Text(zh="流媒体", en="stream"),
    "6": Text(zh="自描述格式", en="self-describing"),
}
#: 更新周期
UPDATE_CYCLES: Final[Mapping[str, Text]] = {
    "1": Text(zh="实时", en="continuous"),
    "2": Text(zh="每日", en="daily"),
    "3": Text(zh="每周", en="weekly"),
    "4": Text(zh="每月", en="monthly"),
    "5": Text(zh="每季度", en="quarterly"),
    "6": Text(zh="每半年", en="every half year"),
    "7": Text(zh="每年", en="yearly"),
    "8": Text(zh="不定期", en="irregular"),
}
#: 数据类型 of an item
ITEM_TYPES: Final[Mapping[str, Text]] = {
    "C": Text(zh="字符型", en="text"),
    "N": Text(zh="数值型", en="number"),
    "D": Text(zh="日期型", en="date"),
    "T": Text(zh="日期时间型", en="date and time"),
    "L": Text(zh="布尔型", en="boolean"),
    "O": Text(zh="其他", en="other"),
}
LABELS: Final[Mapping[str, Text]] = {
    "code": Text(zh="信息资源代码", en="Resource code"),
    "title": Text(zh="信息资源名称", en="Title"),
    "class_code": Text(zh="信息资源分类", en="Class code"),
    "provider_name": Text(zh="信息资源提供方", en="Provider"),
    "provider_uscc": Text(zh="信息资源提供方代码", en="Provider's code"),
    "description": Text(zh="信息资源摘要", en="Description"),
    "format": Text(zh="信息资源格式", en="Format"),
    "items": Text(zh="信息项信息", en="Items"),
    "share_condition": Text(zh="共享条件", en="Condition of sharing"),
    "share_mode": Text(zh="共享方式", en="Mode of sharing"),
    "share_basis": Text(zh="不予共享的依据", en="Legal basis of not sharing"),
    "open_condition": Text(zh="开放条件", en="Condition of opening"),
    "update_cycle": Text(zh="更新周期", en="Update cycle"),
    "issued": Text(zh="发布日期", en="Date of issue"),
    "related": Text(zh="关联资源代码", en="Related resources"),
    "theme": Text(zh="主题", en="Theme"),
    "region_code": Text(zh="行政区划代码", en="Region code"),
    "source": Text(zh="数据来源", en="Source"),
    "extra": Text(zh="其他元数据", en="Further metadata"),
}

CLASS_PATTERN: Final = r"[123][0-9]{2}[0-9]{3}[0-9A-Z]{0,20}"
_CLASS = re.compile(CLASS_PATTERN)
_CODE = re.compile(rf"({CLASS_PATTERN})/([0-9]{{1,10}})")
_REGION = re.compile(r"[0-9]{6}(?:[0-9]{6})?")
_ITEM_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}")
_SOURCE_NAME = re.compile(r"[a-z][a-z0-9_]{0,63}")
_EXTRA_NAME = re.compile(r"[^\x00-\x1f\x7f]{1,64}")
_SEQUENCE_DIGITS: Final = 6
_MAX_SEQUENCE: Final = 10**10 - 1
_MAX_ITEMS: Final = 500
_MAX_RELATED: Final = 100
_MAX_EXTRA: Final = 50
_MOST: Final[Mapping[str, int]] = {
    "title": 200,
    "provider_name": 200,
    "description": 4_000,
    "share_condition": 1_000,
    "share_basis": 1_000,
    "open_condition": 1_000,
    "theme": 100,
}


def class_code(kind: str, entry: str, body: str, region: str, domain: str) -> str:
    """Form a 类项目细目 code: 类 1 digit, 项 2, 目 3, then 12 of the region and 2 of the domain.

    Raises:
        ClassCodeInvalid: A piece is no number of its width.
    """
    pieces = {"class": kind, "item": entry, "body": body, "region": region, "domain": domain}
    widths = {"class": 1, "item": 2, "body": 3, "region": 12, "domain": 2}
    for name, piece in pieces.items():
        if re.fullmatch(f"[0-9]{{{widths[name]}}}", piece) is None:
            raise ClassCodeInvalid(field=name)
    return check_class("".join(pieces.values()))


def check_class(text: str) -> str:
    """Give a class code back; raises `ClassCodeInvalid` if it is none."""
    if _CLASS.fullmatch(text) is None:
        raise ClassCodeInvalid(field="class_code")
    return text


def resource_code(class_code: str, number: int) -> str:
    """Give the resource code of a class and a sequence number from 1.

    Raises:
        ClassCodeInvalid: It is no class code, or its numbers are used up.
    """
    if not 0 < number <= _MAX_SEQUENCE:
        raise ClassCodeInvalid(field="sequence")
    return f"{check_class(class_code)}/{number:0{_SEQUENCE_DIGITS}d}"


def split_code(code: str) -> tuple[str, int] | None:
    """Give class code and sequence number of a resource code; None if it is none."""
    found = _CODE.fullmatch(code)
    return None if found is None else (found[1], int(found[2]))


def check_resource(resource: Resource) -> tuple[Fault, ...]:
    """Name everything that is wrong with a resource, in the order of the core items."""
    return tuple(
        fault
        for check in (_identity, _texts, _items, _sharing, _dates, _links, _further)
        for fault in check(resource)
    )


def _fault(code: str, name: str, **params: str | int) -> Fault:
    return field_fault(code, name, LABELS[name], **params)


def _missing(resource: Resource, *names: str) -> Iterator[Fault]:
    for name in names:
        if not str(getattr(resource, name)).strip():
            yield _fault(faults.VALUE_MISSING, name)


def _identity(resource: Resource) -> Iterator[Fault]:
    pieces = split_code(resource.code)
    if pieces is None:
        yield _fault(faults.VALUE_SPELLING, "code", expected="30603733010600000001/000001")
    elif pieces[0] != resource.class_code:
        yield _fault(faults.VALUE_SPELLING, "class_code", expected=pieces[0])
    if not resource.provider_uscc:
        yield _fault(faults.VALUE_MISSING, "provider_uscc")
    elif not uscc_ok(resource.provider_uscc):
        yield _fault(faults.VALUE_CHECK_DIGIT, "provider_uscc")


def _texts(resource: Resource) -> Iterator[Fault]:
    yield from _missing(resource, "title", "provider_name", "description")
    for name, most in _MOST.items():
        if len(getattr(resource, name)) > most:
            yield _fault(faults.VALUE_TOO_LONG, name, most=most)
    yield from _listed(resource, "format", FORMATS)


def _listed(resource: Resource, name: str, values: Mapping[str, Text]) -> Iterator[Fault]:
    value = getattr(resource, name)
    if not value:
        yield _fault(faults.VALUE_MISSING, name)
    elif value not in values:
        yield _fault(faults.VALUE_NOT_IN_LIST, name, list="/".join(values))


def _items(resource: Resource) -> Iterator[Fault]:
    if not resource.items:
        yield _fault(faults.VALUE_MISSING, "items")
    if len(resource.items) > _MAX_ITEMS:
        yield _fault(faults.VALUE_RANGE, "items", low=1, high=_MAX_ITEMS)
    names = [item.name for item in resource.items]
    if len(set(names)) != len(names):
        yield _fault(faults.VALUE_TWICE, "items")
    for number, item in enumerate(resource.items):
        yield from _item(number, item)


def _item(number: int, item: Item) -> Iterator[Fault]:
    def fault(code: str, member: str, zh: str, en: str, **params: str | int) -> Fault:
        at = f"items.{number}.{member}"
        label = Text(zh=f"第 {number + 1} 个信息项的{zh}", en=f"{en} of item {number + 1}")
        return field_fault(code, at, label, **params)

    if _ITEM_NAME.fullmatch(item.name) is None:
        yield fault(faults.VALUE_SPELLING, "name", "名称", "The name", expected="[A-Za-z0-9_]")
    if not 0 < len(item.title.strip()) <= 200:
        yield fault(faults.VALUE_MISSING, "title", "中文名", "The title")
    if item.type not in ITEM_TYPES:
        yield fault(
            faults.VALUE_NOT_IN_LIST, "type", "数据类型", "The type", list="/".join(ITEM_TYPES)
        )
    if not 1 <= item.grade <= 4:
        yield fault(faults.VALUE_RANGE, "grade", "分级", "The grade", low=1, high=4)


def _sharing(resource: Resource) -> Iterator[Fault]:
    if resource.share_type is ShareType.CONDITIONAL:
        yield from _missing(resource, "share_condition")
    if resource.share_type is ShareType.NONE:
        # The guide: what is not shared names the law or the State Council's document.
        yield from _missing(resource, "share_basis")
    if resource.share_type is not ShareType.NONE or resource.share_mode:
        yield from _listed(resource, "share_mode", SHARE_MODES)
    yield from _listed(resource, "update_cycle", UPDATE_CYCLES)


def _dates(resource: Resource) -> Iterator[Fault]:
    if not resource.issued:
        yield _fault(faults.VALUE_MISSING, "issued")
        return
    try:
        day = date.fromisoformat(resource.issued)
    except ValueError:
        day = None
    if day is None or day.isoformat() != resource.issued:
        yield _fault(faults.VALUE_SPELLING, "issued", expected="2026-11-26")


def _links(resource: Resource) -> Iterator[Fault]:
    if len(resource.related) > _MAX_RELATED:
        yield _fault(faults.VALUE_RANGE, "related", low=0, high=_MAX_RELATED)
    if len(set(resource.related)) != len(resource.related):
        yield _fault(faults.VALUE_TWICE, "related")
    if any(split_code(each) is None for each in resource.related):
        yield _fault(faults.VALUE_SPELLING, "related", expected="30603733010600000001/000001")
    source = resource.source
    named = [bool(source.pack), bool(source.form)]
    spelled = all(_SOURCE_NAME.fullmatch(each) for each in (source.pack, source.form) if each)
    if any(named) and not (all(named) and spelled):
        yield _fault(faults.VALUE_SPELLING, "source", expected="energy/consumption")


def _further(resource: Resource) -> Iterator[Fault]:
    if resource.region_code and _REGION.fullmatch(resource.region_code) is None:
        yield _fault(faults.VALUE_SPELLING, "region_code", expected="330106")
    if len(resource.extra) > _MAX_EXTRA:
        yield _fault(faults.VALUE_RANGE, "extra", low=0, high=_MAX_EXTRA)
    if any(_EXTRA_NAME.fullmatch(name) is None for name in resource.extra):
        yield _fault(faults.VALUE_SPELLING, "extra", expected="1-64")
    if any(len(value) > 2_000 for value in resource.extra.values()):
        yield _fault(faults.VALUE_TOO_LONG, "extra", most=2_000)
