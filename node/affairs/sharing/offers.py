"""Where offers are found: in the catalog of this node."""

from collections.abc import Iterator
from typing import Protocol

from sqlalchemy import Connection, or_, select

from yidao.catalog.resource import EntryState
from yidao.node.affairs.catalog.queries import Entry, entry_of, find_entry
from yidao.node.affairs.catalog.tables import catalog_entry
from yidao.node.affairs.sharing.rules import Offer
from yidao.sync.ids import Path


class Shelf(Protocol):
    """The catalog, as far as sharing needs it."""

    def offer(self, conn: Connection, code: str) -> Offer | None:
        """Give the resource of a code, published or withdrawn; None if there is none."""

    def offers(
        self, conn: Connection, *, under: Path, code: str = "", pack: str = "", form: str = ""
    ) -> tuple[Offer, ...]:
        """Give the published resources with rows whose owners stand at or below a path, by code.

        Args:
            conn: One snapshot.
            under: The path.
            code: The beginning of their codes.
            pack: With `form`: those whose rows are of that form.
            form: With `pack`.
        """


class CatalogShelf:
    """The merged catalog of this node's subtree."""

    def offer(self, conn: Connection, code: str) -> Offer | None:
        """See `Shelf`."""
        entry = find_entry(conn, code)
        return None if entry is None else offer_of(entry)

    def offers(
        self, conn: Connection, *, under: Path, code: str = "", pack: str = "", form: str = ""
    ) -> tuple[Offer, ...]:
        """See `Shelf`. Entries are read one by one: by code or by path, not by form."""
        found = (offer_of(entry) for entry in _published(conn, under, code))
        return tuple(
            offer
            for offer in found
            if offer.pack and (not pack or (offer.pack, offer.form) == (pack, form))
        )


def offer_of(entry: Entry) -> Offer:
    """Take from an entry of the catalog what decides on sharing."""
    resource = entry.resource
    return Offer(
        code=entry.code,
        owner=entry.owner,
        owner_path=entry.owner_path,
        published=entry.state is EntryState.PUBLISHED,
        share_type=resource.share_type,
        basis=resource.share_basis,
        pack=resource.source.pack,
        form=resource.source.form,
        grades={item.name: item.grade for item in resource.items},
    )


def _published(conn: Connection, under: Path, code: str) -> Iterator[Entry]:
    table = catalog_entry.c
    query = select(catalog_entry).where(table.state == EntryState.PUBLISHED.value)
    if under.depth:
        below = table.owner_path.startswith(f"{under}/", autoescape=True)
        query = query.where(or_(table.owner_path == str(under), below))
    if code:
        query = query.where(table.code.startswith(code, autoescape=True))
    for row in conn.execute(query.order_by(table.code)):
        yield entry_of(row)
