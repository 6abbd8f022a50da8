"""A resource of the catalog (政务信息资源): what it is, who answers for it, who may see it.

The fields are the 13 core metadata items of 政务信息资源目录编制指南（试行）
(发改高技〔2017〕1272号), and where the rows of the resource are, so that they can
be asked for.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum, IntEnum


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
