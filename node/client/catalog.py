"""Calls about the catalog of resources."""

from collections.abc import Callable, Iterator, Mapping

from yidao.api.local.v1 import catalog_pb2, catalog_pb2_grpc
from yidao.catalog.dcat import document
from yidao.catalog.resource import Resource
from yidao.catalog.wire import resource_message
from yidao.node.client import convert
from yidao.node.client.calls import Calls
from yidao.node.client.catalog_values import (
    CatalogDraft,
    CatalogEntry,
    CatalogFacet,
    CatalogFault,
    CatalogPage,
    entry_of,
)
from yidao.node.client.values import Placed

_Step = Callable[..., catalog_pb2.EntryStepResponse]
_DRAFTS_AT_ONCE = 500


class CatalogCalls(Calls):
    """What a client asks of the catalog."""

    @property
    def _catalog(self) -> catalog_pb2_grpc.CatalogServiceStub:
        return self._stub(catalog_pb2_grpc.CatalogServiceStub)

    def issue_code(self, class_code: str, *, actor: str) -> str:
        """Take the next free resource code of a class at this node."""
        request = catalog_pb2.IssueCodeRequest(actor=actor, class_code=class_code)
        return self._call(self._catalog.IssueCode, request).code

    def save_draft(self, resource: Resource, *, actor: str) -> CatalogDraft:
        """Save a working copy, finished or not; without a code, under the next free one."""
        request = catalog_pb2.SaveDraftRequest(actor=actor, resource=resource_message(resource))
        return _draft(self._call(self._catalog.SaveDraft, request))

    def draft_from_form(  # noqa: PLR0913 (what a form does not say, each by name)
        self,
        *,
        actor: str,
        pack: str,
        form: str,
        class_code: str,
        unit: str,
        title: str = "",
        share_type: int = 0,
        share_text: str = "",
    ) -> CatalogDraft:
        """Save a working copy made from a form of a pack in force.

        Args:
            actor: Who.
            pack: `energy`.
            form: `consumption`.
            class_code: 类项目细目; the code is the next free one.
            unit: The unit that answers for the data.
            title: Another title than the form's.
            share_type: 1 to 3; 0 is 2, on conditions.
            share_text: The condition, or for 3 the legal basis.
        """
        request = catalog_pb2.DraftFromFormRequest(
            actor=actor,
            pack=pack,
            form=form,
            class_code=class_code,
            unit=unit,
            title=title,
            share_type=share_type,
            share_text=share_text,
        )
        return _draft(self._call(self._catalog.DraftFromForm, request))

    def submit_entry(self, code: str, *, actor: str) -> Placed:
        """Submit a working copy for review."""
        return self._step(self._catalog.SubmitEntry, actor, code)

    def review_entry(self, code: str, *, actor: str) -> Placed:
        """Pass what another person submitted."""
        return self._step(self._catalog.ReviewEntry, actor, code)

    def send_back_entry(self, code: str, *, actor: str, reason: str) -> Placed:
        """Make what was submitted or reviewed a draft again."""
        return self._step(self._catalog.SendBackEntry, actor, code, reason)

    def publish_entry(self, code: str, *, actor: str) -> Placed:
        """Publish what was reviewed, to this node and all above."""
        return self._step(self._catalog.PublishEntry, actor, code)

    def withdraw_entry(self, code: str, *, actor: str, reason: str) -> Placed:
        """Withdraw a published entry; a tombstone stays."""
        return self._step(self._catalog.WithdrawEntry, actor, code, reason)

    def entry(self, code: str) -> CatalogEntry:
        """Give what is published or withdrawn under a code, else this node's working copy."""
        request = catalog_pb2.GetEntryRequest(code=code)
        answer = self._call(self._catalog.GetEntry, request)
        return entry_of(answer.entry if answer.HasField("entry") else answer.working_copy)

    def working_copy(self, code: str) -> CatalogEntry | None:
        """Give this node's working copy of a code, if there is one beside the entry or alone."""
        request = catalog_pb2.GetEntryRequest(code=code)
        answer = self._call(self._catalog.GetEntry, request)
        return entry_of(answer.working_copy) if answer.HasField("working_copy") else None

    def working_copies(self) -> Iterator[CatalogEntry]:
        """Give this node's working copies by code, page by page."""
        after = ""
        while True:
            request = catalog_pb2.ListDraftsRequest(after=after, limit=_DRAFTS_AT_ONCE)
            answer = self._call(self._catalog.ListDrafts, request)
            yield from (entry_of(each) for each in answer.entries)
            if not answer.entries:
                return
            after = answer.entries[-1].code

    def search_catalog(
        self,
        query: str = "",
        *,
        filters: Mapping[str, str] | None = None,
        after: str = "",
        limit: int = 0,
    ) -> CatalogPage:
        """Search the merged catalog of this node's subtree.

        Args:
            query: Words; an entry holds all of them. Empty finds every entry.
            filters: By `owner` (a path and what lies below it), `class` (three
                digits), `share_type`, `format`, `update_cycle`, `state`;
                published entries unless `state` is given.
            after: `next` of the page before.
            limit: Entries a page; 0 is 50, at most 500.
        """
        request = catalog_pb2.SearchCatalogRequest(
            query=query, filters=dict(filters or {}), after=after, limit=limit
        )
        answer = self._call(self._catalog.SearchCatalog, request)
        return CatalogPage(
            entries=tuple(entry_of(each) for each in answer.entries),
            next=answer.next,
            total=answer.total,
            facets=tuple(
                CatalogFacet(facet=each.facet, value=each.value, count=each.count)
                for each in answer.facets
            ),
        )

    def export_dcat(self) -> bytes:
        """Give the merged catalog as DCAT 3, one JSON-LD document, UTF-8."""
        return document(self._pieces())

    def _pieces(self) -> Iterator[bytes]:
        after = ""
        while True:
            request = catalog_pb2.ExportCatalogRequest(after=after)
            answer = self._call(self._catalog.ExportCatalog, request)
            yield answer.nodes
            if not answer.next:
                return
            after = answer.next

    def _step(self, method: _Step, actor: str, code: str, reason: str = "") -> Placed:
        request = catalog_pb2.EntryStepRequest(actor=actor, code=code, reason=reason)
        return convert.placed(self._call(method, request).position)


def _draft(answer: catalog_pb2.SaveDraftResponse) -> CatalogDraft:
    return CatalogDraft(
        code=answer.code,
        version=answer.version,
        faults=tuple(
            CatalogFault(field=each.field, code=each.code, zh=each.zh, en=each.en)
            for each in answer.faults
        ),
        position=convert.placed(answer.position),
    )
