"""The client library: what other programs, the console and the command line use.

    with Client.open(folder / "local.sock") as client:
        done = client.submit("energy", rows, actor="li@/33/3301", progress=print)
        for result in done.results:
            print(result.row, result.outcome, [fault.zh for fault in result.faults])

A person's calls show their session:

        session = client.sign_in("li", password)
        mine = client.with_token(session.token)

Every call is synchronous, takes and gives plain frozen values, and raises
`ClientError` (the node refused; `error.code` says why), `NodeUnreachable`,
`AnswerTooLate` or `SocketPathTooLong`.
"""

from yidao.node.client.access import AuditEntry, Session, User, WhoAmI
from yidao.node.client.aio import AsyncClient, AsyncFollowing
from yidao.node.client.bundles import Bundle, BundleTaken
from yidao.node.client.calls import Metadata, Progress
from yidao.node.client.catalog_values import (
    CatalogDraft,
    CatalogEntry,
    CatalogFacet,
    CatalogFault,
    CatalogPage,
)
from yidao.node.client.client import Client
from yidao.node.client.cursors import Cursor, CursorFileUnreadable, FileCursor, Mark
from yidao.node.client.errors import (
    AnswerTooLate,
    ClientError,
    NodeUnreachable,
    SocketPathTooLong,
)
from yidao.node.client.following import Event, Following
from yidao.node.client.frames import ExtraMissing
from yidao.node.client.offline import validate_offline
from yidao.node.client.query import RowStream
from yidao.node.client.query_values import QueryColumn, QueryNode, QueryRow
from yidao.node.client.queue import (
    Flushed,
    OfflineQueue,
    Queued,
    QueueFileUnusable,
    QueueKeyReused,
)
from yidao.node.client.reporting_values import (
    BreakDownPage,
    BreakDownRow,
    Due,
    DuePage,
    Missing,
    MissingPage,
    ReturnReceipt,
    Withdrawn,
)
from yidao.node.client.retries import Retries
from yidao.node.client.texts import Explanation, explain, explanations
from yidao.node.client.values import (
    DirectiveInfo,
    EnergyTarget,
    Frontier,
    Issued,
    JournalCut,
    NodeInfo,
    PackInfo,
    Peer,
    Placed,
    Problem,
    Rebuilt,
    RebuiltTable,
    ReturnInfo,
    ReturnPage,
    Reviewed,
    Revoked,
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
    "AsyncClient",
    "AsyncFollowing",
    "AuditEntry",
    "BreakDownPage",
    "BreakDownRow",
    "Bundle",
    "BundleTaken",
    "CatalogDraft",
    "CatalogEntry",
    "CatalogFacet",
    "CatalogFault",
    "CatalogPage",
    "Client",
    "ClientError",
    "Cursor",
    "CursorFileUnreadable",
    "DirectiveInfo",
    "Due",
    "DuePage",
    "EnergyTarget",
    "Event",
    "Explanation",
    "ExtraMissing",
    "FileCursor",
    "Flushed",
    "Following",
    "Frontier",
    "Issued",
    "JournalCut",
    "Mark",
    "Metadata",
    "Missing",
    "MissingPage",
    "NodeInfo",
    "NodeUnreachable",
    "OfflineQueue",
    "PackInfo",
    "Peer",
    "Placed",
    "Problem",
    "Progress",
    "QueryColumn",
    "QueryNode",
    "QueryRow",
    "QueueFileUnusable",
    "QueueKeyReused",
    "Queued",
    "Rebuilt",
    "RebuiltTable",
    "Retries",
    "ReturnInfo",
    "ReturnPage",
    "ReturnReceipt",
    "Reviewed",
    "Revoked",
    "RollUp",
    "Row",
    "RowFault",
    "RowResult",
    "RowStream",
    "Session",
    "SocketPathTooLong",
    "Status",
    "Submitted",
    "Totals",
    "TreeNode",
    "UnitInfo",
    "User",
    "Verified",
    "WhoAmI",
    "Withdrawn",
    "explain",
    "explanations",
    "validate_offline",
]
