"""The servicers of all affairs, over one pair of worker pools."""

from collections.abc import Mapping, Sequence

from yidao.node.affairs.affairs import Affairs
from yidao.node.affairs.reporting.ownership import units_of
from yidao.node.api.access_service import AccessServicer
from yidao.node.api.catalog_service import CatalogServicer
from yidao.node.api.directives_service import DirectivesServicer
from yidao.node.api.guard import AccessGuard
from yidao.node.api.registry_service import RegistryServicer
from yidao.node.api.reporting_service import ReportingServicer
from yidao.node.api.signoff_service import SignoffServicer
from yidao.node.api.standards_service import StandardsServicer
from yidao.node.api.workers import Workers


def affair_servicers(affairs: Affairs) -> tuple[object, ...]:
    """Give what `LocalServer` serves besides the node's own service.

    The first of them brings the guard that stands before all.
    """
    workers, desk = Workers(), affairs.desk

    def owners(record_ids: Sequence[bytes]) -> Mapping[bytes, frozenset[str]]:
        with desk.read() as conn:
            return units_of(conn, record_ids)

    guard = AccessGuard(affairs.access, workers, owners)
    return (
        AccessServicer(affairs.access, desk, workers, guard),
        StandardsServicer(desk, workers),
        RegistryServicer(desk, workers),
        ReportingServicer(affairs, workers),
        SignoffServicer(affairs, workers),
        DirectivesServicer(desk, workers),
        CatalogServicer(desk, workers),
    )
