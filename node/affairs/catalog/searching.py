"""Searching the merged catalog: words, filters, exact counts, pages by key.

Entries whose title holds all words come first, then the others; within both,
the entry that was registered last comes first. A page ends with a key of rank
and number, so entries that come in between two pages shift nothing.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import reduce
from operator import and_

from sqlalchemy import Connection, select

from yidao.catalog.errors import SearchInvalid
from yidao.catalog.resource import EntryState
from yidao.catalog.terms import query_grams
from yidao.node.affairs.catalog.facets import Facet, in_title, owner_facet
from yidao.node.affairs.catalog.postings import read_facets, read_grams, read_value
from yidao.node.affairs.catalog.queries import DEFAULT_LIMIT, MAX_LIMIT, Entry, entry_of
from yidao.node.affairs.catalog.tables import catalog_entry
from yidao.node.affairs.errors import CursorInvalid
from yidao.sync.errors import PathInvalid
from yidao.sync.ids import Path

_CURSOR = re.compile(r"([01])\.(0|[1-9][0-9]{0,17})")
_MAX_VALUE_CHARACTERS = 512


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """What to look for.

    Attributes:
        query: Words; an entry must hold all of them. Empty finds every entry.
        filters: One value a facet; without `STATE`, published entries. `OWNER`
            is a path and takes in what lies below it.
        after: The key of the page before, or empty.
        limit: Entries a page; 0 for 50, at most 500.
    """

    query: str = ""
    filters: Mapping[Facet, str] = field(default_factory=dict)
    after: str = ""
    limit: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class FacetCount:
    """How many of the entries found have a value."""

    facet: Facet
    value: str
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchPage:
    """A page of what was found, and the counts of all that was found.

    Attributes:
        next: The key of the next page; empty at the end.
        total: Entries found, on all pages.
        facets: Values that some entry has, each facet by count, the largest
            first. Owners are counted below each child, and this node's own.
    """

    entries: tuple[Entry, ...]
    next: str
    total: int
    facets: tuple[FacetCount, ...]


def search_catalog(conn: Connection, own: Path, search: Search) -> SearchPage:
    """Search the catalog of this node's subtree.

    Raises:
        SearchInvalid: See `terms.query_grams`; or a filter's value is too long.
        CursorInvalid: `after` is no key of a page.
    """
    grams = query_grams(search.query)
    rank, below = _cursor(search.after)
    facets = _read(conn, own)
    found = _filtered(conn, facets, search.filters)
    first = 0
    if grams:
        held = read_grams(conn, [*grams, *map(in_title, grams)])
        found = reduce(and_, (held[gram] for gram in grams), found)
        first = reduce(and_, (held[in_title(gram)] for gram in grams), found)
    limit = min(search.limit or DEFAULT_LIMIT, MAX_LIMIT)
    keys = list(_page((first, found & ~first), rank, below, limit + 1))
    shown = keys[:limit]
    return SearchPage(
        entries=_entries(conn, [doc for _, doc in shown]),
        next="{}.{}".format(*shown[-1]) if len(keys) > limit else "",
        total=found.bit_count(),
        facets=tuple(_counted(facets, own, found)),
    )


def _read(conn: Connection, own: Path) -> dict[Facet, dict[str, int]]:
    names = {facet.value: facet for facet in Facet if facet is not Facet.OWNER}
    children = owner_facet(own.depth + 1)
    values = read_facets(conn, [*names, children])
    return {facet: values[name] for name, facet in names.items()} | {Facet.OWNER: values[children]}


def _filtered(
    conn: Connection, facets: Mapping[Facet, Mapping[str, int]], filters: Mapping[Facet, str]
) -> int:
    chosen = {Facet.STATE: EntryState.PUBLISHED.value} | dict(filters)
    sets = []
    for facet, value in chosen.items():
        if len(value) > _MAX_VALUE_CHARACTERS:
            raise SearchInvalid(field=facet.value, limit=_MAX_VALUE_CHARACTERS)
        if facet is Facet.OWNER:
            sets.append(_owned(conn, value))
        else:
            sets.append(facets[facet].get(value, 0))
    return reduce(and_, sets)


def _owned(conn: Connection, value: str) -> int:
    try:
        path = Path.parse(value)
    except PathInvalid:
        raise SearchInvalid(field=Facet.OWNER.value, limit=_MAX_VALUE_CHARACTERS) from None
    return read_value(conn, owner_facet(path.depth), str(path))


def _cursor(after: str) -> tuple[int, int | None]:
    if not after:
        return 0, None
    found = _CURSOR.fullmatch(after)
    if found is None:
        raise CursorInvalid(field="after")
    return int(found[1]), int(found[2])


def _page(
    ranks: tuple[int, int], rank: int, below: int | None, limit: int
) -> Iterator[tuple[int, int]]:
    """Give (rank, number) from a key on, highest number first."""
    for each in range(rank, len(ranks)):
        bits = ranks[each]
        if below is not None and each == rank and below < bits.bit_length():
            bits &= (1 << below) - 1
        while bits and limit:
            doc = bits.bit_length() - 1
            yield each, doc
            bits ^= 1 << doc
            limit -= 1


def _entries(conn: Connection, docs: list[int]) -> tuple[Entry, ...]:
    if not docs:
        return ()
    rows = {
        row.doc: row
        for row in conn.execute(select(catalog_entry).where(catalog_entry.c.doc.in_(docs)))
    }
    return tuple(entry_of(rows[doc]) for doc in docs)


def _counted(
    facets: Mapping[Facet, Mapping[str, int]], own: Path, found: int
) -> Iterator[FacetCount]:
    total = found.bit_count()
    for facet in Facet:
        counts = {value: (bits & found).bit_count() for value, bits in facets[facet].items()}
        if facet is Facet.OWNER:
            # Each entry stands below one child, or is this node's own.
            counts[str(own)] = total - sum(counts.values())
        for value, count in sorted(counts.items(), key=lambda each: (-each[1], each[0])):
            if count:
                yield FacetCount(facet=facet, value=value, count=count)
