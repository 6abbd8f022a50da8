"""A resource of the catalog (政务信息资源): what it is, who answers for it, who may see it.

The fields are the 13 core metadata items of 政务信息资源目录编制指南（试行）
(发改高技〔2017〕1272号), and where the rows of the resource are, so that they can
be asked for.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from enum import Enum, IntEnum
from typing import Final

import orjson

from yidao.catalog.errors import ResourceMalformed

#: A record's part holds 256 KiB, and more than the resource stands in it.
MAX_RESOURCE_BYTES: Final = 200 * 1024


class ShareType(IntEnum):
    """共享类型; the numbers are those of the guide's list."""

    #: 无条件共享
    UNCONDITIONAL = 1
    #: 有条件共享
    CONDITIONAL = 2
    #: 不予共享; a legal basis must be named.
    NONE = 3


class EntryState(Enum):
    """Where an entry of the catalog stands."""

    DRAFT = "draft"
    SUBMITTED = "submitted"
    REVIEWED = "reviewed"
    PUBLISHED = "published"
    WITHDRAWN = "withdrawn"


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """信息项: one column of a resource.

    Attributes:
        name: As in the rows, `floor_area`.
        title: As people call it, 建筑面积.
        type: 字符型 C, 数值型 N, 日期型 D, 日期时间型 T, 布尔型 L, 其他 O.
        length: Characters or digits; 0 where it has none.
        grade: 1 to 4, how sensitive the column is; above 2 it is masked for
            everybody who has no permission for it.
    """

    name: str
    title: str
    type: str
    length: int = 0
    grade: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Where a resource's rows are at its owner: accepted and submitted returns of a form.

    Attributes:
        pack, form: `energy`, `consumption`; both empty for a resource that is
            only described here.
    """

    pack: str = ""
    form: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Resource:
    """What the owner says of a resource.

    Attributes:
        code: 信息资源代码, `306037330106000001/000001`.
        class_code: 类项目细目, the part of `code` before the slash.
        share_basis: The legal basis; required where nothing is shared.
        extra: Further descriptive items that travel along, by name.
    """

    code: str
    title: str
    class_code: str
    provider_name: str
    provider_uscc: str
    description: str
    format: str
    items: tuple[Item, ...]
    share_type: ShareType
    share_condition: str
    share_mode: str
    share_basis: str
    open: bool
    open_condition: str
    update_cycle: str
    issued: str
    related: tuple[str, ...] = ()
    theme: str = ""
    region_code: str = ""
    source: Source = field(default_factory=Source)
    extra: Mapping[str, str] = field(default_factory=dict)


def encode_resource(resource: Resource) -> bytes:
    """Give the canonical JSON of a resource: sorted keys, compact, UTF-8.

    Raises:
        ResourceMalformed: A text is no Unicode, or the whole is over `MAX_RESOURCE_BYTES`.
    """
    try:
        data = orjson.dumps(asdict(resource), option=orjson.OPT_SORT_KEYS)
    except (orjson.JSONEncodeError, TypeError):
        raise ResourceMalformed(field="resource") from None
    if len(data) > MAX_RESOURCE_BYTES:
        raise ResourceMalformed(field="size")
    return data


def decode_resource(data: bytes) -> Resource:
    """Read the JSON of a resource, strictly: every member known, of its type, said once.

    Members that have a default in `Resource` may be left out.

    Raises:
        ResourceMalformed: The first member that is wrong, by name.
    """
    if len(data) > MAX_RESOURCE_BYTES:
        raise ResourceMalformed(field="size")
    try:
        loaded = orjson.loads(data)
    except orjson.JSONDecodeError:
        # Also depth past the parser's bound, NaN, lone surrogates.
        raise ResourceMalformed(field="json") from None
    if orjson.dumps(loaded, option=orjson.OPT_SORT_KEYS) != data:
        # The fast parser keeps the last of two equal keys; canonical bytes hide none.
        json.loads(data, object_pairs_hook=_refuse_duplicates)
    members = _members(loaded, Resource, "resource")
    listed = _listed(members.pop("items"), "items")
    return Resource(
        items=tuple(_item(each) for each in listed),
        share_type=_share_type(members.pop("share_type")),
        open=_flag(members.pop("open")),
        related=_texts(members.pop("related", [])),
        source=_source(members.pop("source", {})),
        extra=_extra(members.pop("extra", {})),
        **{name: _text(value, name) for name, value in members.items()},
    )


def _members(value: object, kind: type, at: str) -> dict[str, object]:
    """Give an object's members: all of them known, and none missing that has no default."""
    if not isinstance(value, dict):
        raise ResourceMalformed(field=at)
    known = {each.name: each for each in fields(kind)}
    for name in value:
        if name not in known:
            raise ResourceMalformed(field=str(name)[:64])
    optional = _DEFAULTED[kind]
    for name in known:
        if name not in value and name not in optional:
            raise ResourceMalformed(field=name)
    return dict(value)


def _item(value: object) -> Item:
    members = _members(value, Item, "items")
    numbers = {
        name: _number(members.pop(name), name) for name in ("length", "grade") if name in members
    }
    texts = {name: _text(each, name) for name, each in members.items()}
    return Item(**texts, **numbers)  # type: ignore[arg-type]


def _source(value: object) -> Source:
    return Source(
        **{name: _text(each, name) for name, each in _members(value, Source, "source").items()}
    )


def _extra(value: object) -> Mapping[str, str]:
    if not isinstance(value, dict):
        raise ResourceMalformed(field="extra")
    return {name: _text(each, "extra") for name, each in value.items()}


def _share_type(value: object) -> ShareType:
    try:
        return ShareType(_number(value, "share_type"))
    except ValueError:
        raise ResourceMalformed(field="share_type") from None


def _text(value: object, name: str) -> str:
    if not isinstance(value, str):
        raise ResourceMalformed(field=name)
    return value


def _texts(value: object) -> tuple[str, ...]:
    return tuple(_text(each, "related") for each in _listed(value, "related"))


def _number(value: object, name: str) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 2**31:
        raise ResourceMalformed(field=name)
    return value


def _flag(value: object) -> bool:
    if not isinstance(value, bool):
        raise ResourceMalformed(field="open")
    return value


def _listed(value: object, name: str) -> Sequence[object]:
    if not isinstance(value, list):
        raise ResourceMalformed(field=name)
    return value


def _refuse_duplicates(pairs: list[tuple[str, object]]) -> dict[str, object]:
    collected = dict(pairs)
    if len(collected) != len(pairs):
        raise ResourceMalformed(field="json")
    return collected


_DEFAULTED: Final[Mapping[type, frozenset[str]]] = {
    Resource: frozenset({"related", "theme", "region_code", "source", "extra"}),
    Item: frozenset({"length", "grade"}),
    Source: frozenset({"pack", "form"}),
}
