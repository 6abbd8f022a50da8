"""The servicers of all affairs, over one pair of worker pools."""

from yidao.node.affairs.affairs import Affairs
from yidao.node.api.catalog_service import CatalogServicer
from yidao.node.api.directives_service import DirectivesServicer
from yidao.node.api.registry_service import RegistryServicer
from yidao.node.api.reporting_service import ReportingServicer
from yidao.node.api.standards_service import StandardsServicer
from yidao.node.api.workers import Workers


def affair_servicers(affairs: Affairs) -> tuple[object, ...]:
    """Give what `LocalServer` serves besides the node's own service."""
    workers = Workers()
    return (
        StandardsServicer(affairs.desk, workers),
        RegistryServicer(affairs.desk, workers),
        ReportingServicer(affairs, workers),
        DirectivesServicer(affairs.desk, workers),
        CatalogServicer(affairs.desk, workers),
    )
