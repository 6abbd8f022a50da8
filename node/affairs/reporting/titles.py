"""What people call the keys of a roll-up that is taken apart."""

from collections.abc import Iterable
from functools import lru_cache
from importlib.resources import files

from sqlalchemy import Connection, select

from yidao.catalog.errors import RegionUnknown
from yidao.catalog.pack.model import Pack
from yidao.catalog.region import Regions, load_regions
from yidao.node.affairs.registry.views import unit
from yidao.sync.ids import Path

_TYPE_FIELD = "inst_type"


def unit_names(conn: Connection, codes: Iterable[str]) -> dict[str, str]:
    """Give the names of units that are known here."""
    query = select(unit.c.uscc, unit.c.name).where(unit.c.uscc.in_(list(codes)))
    return {row.uscc: row.name for row in conn.execute(query)}


def region_name(code: str) -> str:
    """Give the name of a division; empty if there is none of that code today."""
    try:
        return _regions().get(code).name
    except RegionUnknown:
        return ""


def type_name(pack: Pack, code: str) -> str:
    """Give the label of a class of units, as the pack's registry form lists it; empty if none."""
    for form in pack.forms.values():
        if (field := form.fields.get(_TYPE_FIELD)) is not None:
            item = pack.lists[field.list_id].items.get(code)
            return "" if item is None else item.label.zh
    return ""


def path_label(path: str) -> str:
    """Give the last label of a path; the root is `/`."""
    labels = Path.parse(path).labels
    return labels[-1] if labels else path


@lru_cache(maxsize=1)
def _regions() -> Regions:
    # 3,000 lines of the wheel, read once a process and only when somebody asks.
    data = files("yidao.catalog") / "data"
    return load_regions((data / "divisions.csv").read_bytes(), (data / "changes.csv").read_bytes())
