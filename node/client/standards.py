"""Calls about standards and units."""

from collections.abc import Iterator

from yidao.api.local.v1 import registry_pb2, registry_pb2_grpc, standards_pb2, standards_pb2_grpc
from yidao.node.client import convert, values
from yidao.node.client.calls import Calls


class StandardsCalls(Calls):
    """What a client asks of packs and of the registry."""

    @property
    def _registry(self) -> registry_pb2_grpc.RegistryServiceStub:
        return self._stub(registry_pb2_grpc.RegistryServiceStub)

    @property
    def _standards(self) -> standards_pb2_grpc.StandardsServiceStub:
        return self._stub(standards_pb2_grpc.StandardsServiceStub)

    def publish_pack(self, pack: bytes, *, actor: str) -> values.Placed:
        """Publish a version of a pack to the whole tree; only at the root."""
        answer = self._call(
            self._standards.PublishPack,
            standards_pb2.PublishPackRequest(pack=pack, actor=actor),
        )
        return convert.placed(answer.position)

    def packs(self) -> tuple[values.PackInfo, ...]:
        """List every published version."""
        answer = self._call(
            self._standards.ListPacks,
            standards_pb2.ListPacksRequest(),
        )
        return tuple(convert.pack(each) for each in answer.packs)

    def pack(self, pack_id: str, *, version: str = "", on: str = "") -> bytes:
        """Give the exact bytes of a version, or of the one in force on an ISO date."""
        request = standards_pb2.GetPackRequest(id=pack_id, version=version, on=on)
        return self._call(self._standards.GetPack, request).pack

    def units(self) -> Iterator[values.UnitInfo]:
        """Give every unit by code, page by page."""
        after = ""
        while True:
            page = self.unit_page(after=after, limit=1_000)
            yield from page
            if len(page) < 1_000:
                return
            after = page[-1].unit

    def unit_page(self, *, after: str = "", limit: int = 200) -> tuple[values.UnitInfo, ...]:
        """Give units in the order of their codes, at most 1,000.

        Args:
            after: The last code of the page before; a page that is not full is the last one.
            limit: Units of the page.
        """
        request = registry_pb2.ListUnitsRequest(after=after, limit=limit)
        answer = self._call(self._registry.ListUnits, request)
        return tuple(convert.unit(each) for each in answer.units)
