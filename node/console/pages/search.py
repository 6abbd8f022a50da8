"""The catalog of this node and all below: search, narrow by what was found, read an entry."""

from collections.abc import Iterator, Mapping
from typing import Final

from yidao.catalog.pack.model import Text
from yidao.catalog.resource import Resource
from yidao.catalog.resourcecheck import (
    FORMATS,
    ITEM_TYPES,
    LABELS,
    SHARE_MODES,
    SHARE_TYPES,
    UPDATE_CYCLES,
)
from yidao.node.client import CatalogEntry, CatalogPage
from yidao.node.console.pages.receipt import moment
from yidao.node.console.visit import Visit, address
from yidao.node.console.widgets.html import Tag, hidden, link
from yidao.node.console.widgets.tables import badge, table
from yidao.node.console.words import Words

_ROWS: Final = 20
_MAX_QUERY_CHARACTERS: Final = 200
FACETS: Final = ("share_type", "owner", "class", "format", "update_cycle", "state")
_LISTS: Final[Mapping[str, Mapping[str, Text]]] = {
    "share_type": SHARE_TYPES,
    "share_mode": SHARE_MODES,
    "format": FORMATS,
    "update_cycle": UPDATE_CYCLES,
}
OTHER: Final = "other"
#: Core items that are drawn by themselves: the title heads the page, its code stands below.
_DRAWN: Final = frozenset({"title", "code", "items", "share_type", "source"})


async def draw(visit: Visit) -> None:
    """Draw the search, by the words and filters of the address."""
    words, query = visit.words, visit.query
    sought = query.get("q", "")[:_MAX_QUERY_CHARACTERS]
    filters = {name: query[name] for name in FACETS if query.get(name)}
    _form(words, sought, filters)
    page = await visit.ask(
        lambda client: client.search_catalog(
            sought, filters=filters, after=query.get("after", ""), limit=_ROWS
        )
    )
    _facets(visit, page, filters)
    if not page.entries:
        Tag("p", words("search.none"), classes="card empty")
        return
    headings = [words(f"search.{each}") for each in ("entry", "provider", "share", "cycle")]
    with table(words("search.found", count=page.total), headings) as row:
        for each in page.entries:
            row(
                lambda each=each: _named(words, each),
                f"{each.resource.provider_name} {each.owner_path}".strip(),
                _label(words, "share_type", str(each.resource.share_type.value)),
                _label(words, "update_cycle", each.resource.update_cycle),
            )
    if page.next:
        more = address("/catalog", **{**query, "after": page.next})
        link(words("frame.more"), more, classes="button")


def _form(words: Words, sought: str, filters: Mapping[str, str]) -> None:
    with Tag("form", method="get", action="/catalog", classes="card choose", role="search"):
        with Tag("div"):
            Tag("label", words("search.query"), for_="q")
            Tag("input", id="q", name="q", type="search", value=sought, autocomplete="off")
        for name, value in filters.items():
            hidden(name, value)
        Tag("button", words("search.go"), classes="button main", type="submit")


def _facets(visit: Visit, page: CatalogPage, filters: Mapping[str, str]) -> None:
    """Draw what was found by each value: a chosen one leads back out, any other one in."""
    words = visit.words
    if not page.facets and not filters:
        return
    with Tag("section", classes="card facets", aria_label=words("search.narrow")):
        for name in FACETS:
            values = {each.value: each.count for each in page.facets if each.facet == name}
            chosen = filters.get(name, "")
            if not values and not chosen:
                continue
            with Tag("p", classes="doing"):
                Tag("strong", words(f"search.by_{name}"))
                if chosen:
                    text = words("search.leave", value=_label(words, name, chosen))
                    link(text, _narrowed(visit, name, ""), aria_current="true")
                for value, count in sorted(values.items()):
                    if value != chosen:
                        label = words("search.count", value=_label(words, name, value), count=count)
                        link(label, _narrowed(visit, name, value))


def _narrowed(visit: Visit, name: str, value: str) -> str:
    return address("/catalog", **{**visit.query, name: value, "after": ""})


def _named(words: Words, each: CatalogEntry) -> None:
    with Tag("div"):
        link(each.resource.title or each.code, address("/entry", code=each.code))
        Tag("p", each.code, classes="help")
        if each.state.value != "published":
            badge(_label(words, "state", each.state.value), each.state.value)


def _label(words: Words, facet: str, value: str) -> str:
    if facet == "state":
        return words.named("search", f"state_{value}")
    known = _LISTS.get(facet, {}).get(value)
    if known is not None:
        return words.of(known)
    return words("search.value_other") if value == OTHER else value


async def draw_entry(visit: Visit) -> None:
    """Draw one entry: its core items, then its columns."""
    words, code = visit.words, visit.query.get("code", "")
    entry = await visit.ask(lambda client: client.entry(code))
    with Tag("section", classes="card"):
        Tag("h2", entry.resource.title or entry.code)
        badge(_label(words, "state", entry.state.value), entry.state.value)
        if entry.reason:
            Tag("p", words("search.reason", reason=entry.reason))
        with Tag("dl"):
            for name, text in _facts(words, entry):
                Tag("dt", name)
                Tag("dd", text)
    _columns(words, entry.resource)
    link(words("search.back"), "/catalog", classes="button")


def _facts(words: Words, entry: CatalogEntry) -> Iterator[tuple[str, str]]:
    """Give label and value of what is filled in."""
    resource = entry.resource
    yield words.of(LABELS["code"]), entry.code
    share = _label(words, "share_type", str(resource.share_type.value))
    yield words("search.share"), share
    for name, label in LABELS.items():
        value = getattr(resource, name)
        if name not in _DRAWN and isinstance(value, str) and value:
            yield words.of(label), _label(words, name, value) if name in _LISTS else value
    yield words("search.owner"), words("search.owned", path=entry.owner_path, version=entry.version)
    yield words("search.changed"), f"{moment(entry.changed_ms)} {entry.changed_by}".strip()


def _columns(words: Words, resource: Resource) -> None:
    headings = [words(f"search.item_{each}") for each in ("title", "name", "type", "grade")]
    with table(words("search.items", count=len(resource.items)), headings) as row:
        for item in resource.items:
            known = ITEM_TYPES.get(item.type)
            kind = words.of(known) if known else item.type
            row(item.title, item.name, kind, str(item.grade))
