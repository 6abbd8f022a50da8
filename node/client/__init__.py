"""The client library: what other programs, the console and the command line use.

    with Client.open(folder / "local.sock") as client:
        done = client.submit("energy", rows, actor="li@/33/3301", progress=print)
        for result in done.results:
            print(result.row, result.outcome, [fault.zh for fault in result.faults])

Every call is synchronous, takes and gives plain frozen values, and raises
`ClientError` (the node refused; `error.code` says why), `NodeUnreachable`,
`AnswerTooLate` or `SocketPathTooLong`.
"""

from yidao.node.client.calls import Progress
from yidao.node.client.catalog_values import (
    CatalogDraft,
    CatalogEntry,
    CatalogFacet,
    CatalogFault,
    CatalogPage,
)
from yidao.node.client.client import Client
from yidao.node.client.errors import (
    AnswerTooLate,
    ClientError,
    NodeUnreachable,
    SocketPathTooLong,
)
from yidao.node.client.query import RowStream
from yidao.node.client.query_values import QueryColumn, QueryNode, QueryRow
from yidao.node.client.values import (
    DirectiveInfo,
    EnergyTarget,
    Frontier,
    Issued,
    PackInfo,
    Peer,
    Placed,
    Problem,
    Rebuilt,
    RebuiltTable,
    ReturnInfo,
    ReturnPage,
    Reviewed,
    RollUp,
    Row,
    RowFault,
    RowResult,
    Status,
    Submitted,
    Totals,
    TreeNode,
    UnitInfo,
    Verified,
)

__all__ = [
    "AnswerTooLate",
    "CatalogDraft",
    "CatalogEntry",
    "CatalogFacet",
    "CatalogFault",
    "CatalogPage",
    "Client",
    "ClientError",
    "DirectiveInfo",
    "EnergyTarget",
    "Frontier",
    "Issued",
    "NodeUnreachable",
    "PackInfo",
    "Peer",
    "Placed",
    "Problem",
    "Progress",
    "QueryColumn",
    "QueryNode",
    "QueryRow",
    "Rebuilt",
    "RebuiltTable",
    "ReturnInfo",
    "ReturnPage",
    "Reviewed",
    "RollUp",
    "Row",
    "RowFault",
    "RowResult",
    "RowStream",
    "SocketPathTooLong",
    "Status",
    "Submitted",
    "Totals",
    "TreeNode",
    "UnitInfo",
    "Verified",
]
