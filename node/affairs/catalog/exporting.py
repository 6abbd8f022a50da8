"""Gives the merged catalog as DCAT 3, page by page."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import Connection, select

from yidao.catalog.dcat import Registered, catalog_nodes, encode_nodes, entry_nodes
from yidao.node.affairs.catalog.queries import Entry, entry_of
from yidao.node.affairs.catalog.tables import catalog_entry
from yidao.node.affairs.errors import CursorInvalid
from yidao.sync.ids import Path

_ENTRIES_AT_ONCE = 200
_CURSOR = re.compile(r"0|[1-9][0-9]{0,17}")


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportPage:
    """A piece of the document (see `yidao.catalog.dcat.document`) and the key of the next."""

    nodes: bytes
    next: str


def export_page(conn: Connection, own: Path, after: str) -> ExportPage:
    """Give the next entries, in the order of registration; the first page has the catalogs too.

    Raises:
        CursorInvalid: `after` is no key of a page.
    """
    if after and _CURSOR.fullmatch(after) is None:
        raise CursorInvalid(field="after")
    query = select(catalog_entry).order_by(catalog_entry.c.doc).limit(_ENTRIES_AT_ONCE + 1)
    if after:
        query = query.where(catalog_entry.c.doc > int(after))
    rows = conn.execute(query).all()
    nodes = [] if after else catalog_nodes(str(own), _owners(conn))
    shown = rows[:_ENTRIES_AT_ONCE]
    for row in shown:
        nodes.extend(entry_nodes(_registered(entry_of(row))))
    return ExportPage(
        nodes=encode_nodes(nodes), next=str(shown[-1].doc) if len(rows) > len(shown) else ""
    )


def _owners(conn: Connection) -> list[str]:
    return list(conn.execute(select(catalog_entry.c.owner_path).distinct()).scalars())


def _registered(entry: Entry) -> Registered:
    return Registered(
        resource=entry.resource,
        state=entry.state,
        owner_path=str(entry.owner_path),
        version=entry.version,
        registered=_iso(entry.registered_ms),
        changed=_iso(entry.changed_ms),
    )


def _iso(moment_ms: int) -> str:
    return datetime.fromtimestamp(moment_ms / 1000, tz=UTC).isoformat(timespec="milliseconds")
