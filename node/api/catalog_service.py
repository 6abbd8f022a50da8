"""The local API of the catalog."""

from typing import Any

import grpc.aio

from yidao.api.local.v1 import catalog_pb2, catalog_pb2_grpc
from yidao.catalog.errors import SearchInvalid
from yidao.catalog.resource import ShareType
from yidao.catalog.wire import resource_message, resource_of, share_type_of
from yidao.node.affairs.catalog.commands import (
    Drafted,
    draft_from_form,
    issue_code,
    save_draft,
    take_step,
)
from yidao.node.affairs.catalog.errors import EntryUnknown
from yidao.node.affairs.catalog.exporting import ExportPage, export_page
from yidao.node.affairs.catalog.facets import Facet
from yidao.node.affairs.catalog.queries import Entry, find_copy, find_entry, list_copies
from yidao.node.affairs.catalog.rules import Step
from yidao.node.affairs.catalog.searching import Search, SearchPage, search_catalog
from yidao.node.affairs.desk import Desk
from yidao.node.api.errors import answered
from yidao.node.api.standards_service import position_message
from yidao.node.api.workers import Workers

Context = grpc.aio.ServicerContext[Any, Any]


class CatalogServicer(catalog_pb2_grpc.CatalogServiceServicer):
    """Serves `CatalogService`."""

    def __init__(self, desk: Desk, workers: Workers) -> None:
        self._desk = desk
        self._workers = workers

    @answered
    async def IssueCode(
        self, request: catalog_pb2.IssueCodeRequest, context: Context
    ) -> catalog_pb2.IssueCodeResponse:
        """Take the next free code."""
        code, placed = await self._workers.write(
            lambda: issue_code(self._desk, request.actor, request.class_code)
        )
        return catalog_pb2.IssueCodeResponse(code=code, position=position_message(placed))

    @answered
    async def SaveDraft(
        self, request: catalog_pb2.SaveDraftRequest, context: Context
    ) -> catalog_pb2.SaveDraftResponse:
        """Save a working copy."""
        resource = resource_of(request.resource)
        drafted = await self._workers.write(lambda: save_draft(self._desk, request.actor, resource))
        return _drafted(drafted)

    @answered
    async def DraftFromForm(
        self, request: catalog_pb2.DraftFromFormRequest, context: Context
    ) -> catalog_pb2.SaveDraftResponse:
        """Save a working copy made from a form."""
        share_type = share_type_of(request.share_type or ShareType.CONDITIONAL.value)
        drafted = await self._workers.write(
            lambda: draft_from_form(
                self._desk,
                request.actor,
                request.pack,
                request.form,
                class_code=request.class_code,
                unit=request.unit,
                title=request.title,
                share_type=share_type,
                share_text=request.share_text,
            )
        )
        return _drafted(drafted)

    @answered
    async def SubmitEntry(
        self, request: catalog_pb2.EntryStepRequest, context: Context
    ) -> catalog_pb2.EntryStepResponse:
        """Submit for review."""
        return await self._step(request, Step.SUBMIT)

    @answered
    async def ReviewEntry(
        self, request: catalog_pb2.EntryStepRequest, context: Context
    ) -> catalog_pb2.EntryStepResponse:
        """Pass what another person submitted."""
        return await self._step(request, Step.REVIEW)

    @answered
    async def SendBackEntry(
        self, request: catalog_pb2.EntryStepRequest, context: Context
    ) -> catalog_pb2.EntryStepResponse:
        """Make it a draft again."""
        return await self._step(request, Step.SEND_BACK)

    @answered
    async def PublishEntry(
        self, request: catalog_pb2.EntryStepRequest, context: Context
    ) -> catalog_pb2.EntryStepResponse:
        """Register it upward."""
        return await self._step(request, Step.PUBLISH)

    @answered
    async def WithdrawEntry(
        self, request: catalog_pb2.EntryStepRequest, context: Context
    ) -> catalog_pb2.EntryStepResponse:
        """Leave a tombstone."""
        return await self._step(request, Step.WITHDRAW)

    @answered
    async def GetEntry(
        self, request: catalog_pb2.GetEntryRequest, context: Context
    ) -> catalog_pb2.GetEntryResponse:
        """Give entry and working copy."""
        entry, copy = await self._workers.read(lambda: self._find(request.code))
        if entry is None and copy is None:
            raise EntryUnknown(resource=request.code[:64])
        return catalog_pb2.GetEntryResponse(
            entry=None if entry is None else _entry(entry),
            working_copy=None if copy is None else _entry(copy),
        )

    @answered
    async def ListDrafts(
        self, request: catalog_pb2.ListDraftsRequest, context: Context
    ) -> catalog_pb2.ListDraftsResponse:
        """List working copies."""
        found = await self._workers.read(lambda: self._copies(request))
        return catalog_pb2.ListDraftsResponse(entries=[_entry(each) for each in found])

    @answered
    async def SearchCatalog(
        self, request: catalog_pb2.SearchCatalogRequest, context: Context
    ) -> catalog_pb2.SearchCatalogResponse:
        """Search with facets."""
        search = _search(request)
        page = await self._workers.read(lambda: self._searched(search))
        return catalog_pb2.SearchCatalogResponse(
            entries=[_entry(each) for each in page.entries],
            next=page.next,
            total=page.total,
            facets=[
                catalog_pb2.CatalogFacet(facet=each.facet.value, value=each.value, count=each.count)
                for each in page.facets
            ],
        )

    @answered
    async def ExportCatalog(
        self, request: catalog_pb2.ExportCatalogRequest, context: Context
    ) -> catalog_pb2.ExportCatalogResponse:
        """Give a piece of the DCAT document."""
        page = await self._workers.read(lambda: self._exported(request.after))
        return catalog_pb2.ExportCatalogResponse(nodes=page.nodes, next=page.next)

    async def _step(
        self, request: catalog_pb2.EntryStepRequest, step: Step
    ) -> catalog_pb2.EntryStepResponse:
        placed = await self._workers.write(
            lambda: take_step(self._desk, request.actor, request.code, step, request.reason)
        )
        return catalog_pb2.EntryStepResponse(position=position_message(placed))

    def _find(self, code: str) -> tuple[Entry | None, Entry | None]:
        with self._desk.read() as conn:
            return find_entry(conn, code), find_copy(conn, self._desk, code)

    def _copies(self, request: catalog_pb2.ListDraftsRequest) -> tuple[Entry, ...]:
        with self._desk.read() as conn:
            return list_copies(conn, self._desk, after=request.after, limit=request.limit)

    def _searched(self, search: Search) -> SearchPage:
        with self._desk.read() as conn:
            return search_catalog(conn, self._desk.path, search)

    def _exported(self, after: str) -> ExportPage:
        with self._desk.read() as conn:
            return export_page(conn, self._desk.path, after)


def _search(request: catalog_pb2.SearchCatalogRequest) -> Search:
    known = {facet.value: facet for facet in Facet}
    for name in request.filters:
        if name not in known:
            raise SearchInvalid(field=name[:64], limit=len(known))
    return Search(
        query=request.query,
        filters={known[name]: value for name, value in request.filters.items()},
        after=request.after,
        limit=request.limit,
    )


def _drafted(drafted: Drafted) -> catalog_pb2.SaveDraftResponse:
    return catalog_pb2.SaveDraftResponse(
        code=drafted.code,
        version=drafted.version,
        faults=[
            catalog_pb2.CatalogFault(
                field=each.field, code=each.code, zh=each.text.zh, en=each.text.en
            )
            for each in drafted.faults
        ],
        position=position_message(drafted.placed),
    )


def _entry(entry: Entry) -> catalog_pb2.CatalogEntry:
    return catalog_pb2.CatalogEntry(
        code=entry.code,
        state=entry.state.value,
        owner=entry.owner,
        owner_path=str(entry.owner_path),
        version=entry.version,
        resource=resource_message(entry.resource),
        record_id=entry.record_id,
        changed_ms=entry.changed_ms,
        changed_by=entry.changed_by,
        reason=entry.reason,
        contested=entry.contested,
        registered_ms=entry.registered_ms,
    )
