"""What the client takes and gives of the catalog."""

from dataclasses import dataclass

from yidao.api.local.v1 import catalog_pb2
from yidao.catalog.resource import EntryState, Resource
from yidao.catalog.wire import resource_of
from yidao.node.client.values import Placed


@dataclass(frozen=True, slots=True, kw_only=True)
class CatalogEntry:
    """An entry of the catalog, or a working copy of one.

    Attributes:
        owner: Node id of who published the code first.
        owner_path: Where that node stands.
        version: Rises with each publication.
        changed_ms: Unix milliseconds of the record that brought this state.
        reason: Why it was withdrawn, or sent back.
        contested: Another node has published the code too.
        registered_ms: When it was first published; 0 for a working copy.
    """

    code: str
    state: EntryState
    owner: bytes
    owner_path: str
    version: int
    resource: Resource
    record_id: bytes
    changed_ms: int
    changed_by: str
    reason: str
    contested: bool
    registered_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CatalogFault:
    """One thing that a draft lacks."""

    field: str
    code: str
    zh: str
    en: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CatalogDraft:
    """A saved working copy; with `faults`, it cannot be submitted yet."""

    code: str
    version: int
    faults: tuple[CatalogFault, ...]
    position: Placed


@dataclass(frozen=True, slots=True, kw_only=True)
class CatalogFacet:
    """How many of the entries found have a value of `owner`, `class`, `share_type`, …."""

    facet: str
    value: str
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CatalogPage:
    """A page of a search.

    Attributes:
        next: Give it as `after` for the next page; empty at the end.
        total: Entries found, on all pages.
        facets: Of all that was found.
    """

    entries: tuple[CatalogEntry, ...]
    next: str
    total: int
    facets: tuple[CatalogFacet, ...]


def entry_of(message: catalog_pb2.CatalogEntry) -> CatalogEntry:
    """Read an entry."""
    return CatalogEntry(
        code=message.code,
        state=EntryState(message.state),
        owner=message.owner,
        owner_path=message.owner_path,
        version=message.version,
        resource=resource_of(message.resource),
        record_id=message.record_id,
        changed_ms=message.changed_ms,
        changed_by=message.changed_by,
        reason=message.reason,
        contested=message.contested,
        registered_ms=message.registered_ms,
    )
