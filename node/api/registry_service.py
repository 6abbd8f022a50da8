"""The local API of the registry."""

from typing import Any

import grpc.aio

from yidao.api.local.v1 import registry_pb2, registry_pb2_grpc
from yidao.node.affairs.desk import Desk
from yidao.node.affairs.registry.queries import UnitRow, count_units, list_units
from yidao.node.api.errors import answered
from yidao.node.api.workers import Workers

Context = grpc.aio.ServicerContext[Any, Any]


class RegistryServicer(registry_pb2_grpc.RegistryServiceServicer):
    """Serves `RegistryService`."""

    def __init__(self, desk: Desk, workers: Workers) -> None:
        self._desk = desk
        self._workers = workers

    @answered
    async def ListUnits(
        self, request: registry_pb2.ListUnitsRequest, context: Context
    ) -> registry_pb2.ListUnitsResponse:
        """List units by code."""
        return await self._workers.read(lambda: self._list(request.after, request.limit))

    def _list(self, after: str, limit: int) -> registry_pb2.ListUnitsResponse:
        with self._desk.read() as conn:
            return registry_pb2.ListUnitsResponse(
                units=[_unit(each) for each in list_units(conn, after, limit)],
                total=count_units(conn),
            )


def _unit(row: UnitRow) -> registry_pb2.Unit:
    return registry_pb2.Unit(
        unit=row.unit,
        name=row.name,
        region_code=row.region_code,
        inst_type=row.inst_type,
        origin_path=row.origin_path,
        version=row.version,
        record_id=row.record_id,
        contested=row.contested,
    )
