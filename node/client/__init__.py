"""The client library: what other programs, the console and the command line use.

    from yidao.node.client import Client, FileCursor, Row

    with Client.open("yidao-data/local.sock") as client:
        row = Row.of("profile", cells, period="2025-Q2", key="erp-2025-0001")
        for result in client.submit("energy", [row], actor="li@/33/3301").results:
            print(result.row, result.outcome, [fault.en for fault in result.faults])
        for event in client.follow(cursor=FileCursor("cursor.json"), forms=["profile"]):
            print(event.position, event.kind, event.object)

The calls of `Client`, by what they are about:

- Returns: `submit`, `validate`, `returns`, `review`, `review_all`, `count_reviewable`,
  `withdraw`, `due`, `missing`, `roll_up`, `break_down`, `receipt`; `export_evidence`,
  `export_return_evidence`.
- What leaders sign off: `propose_policy`, `confirm_policy`, `file_policy`, `demand_signoff`;
  `prepare_signoff`, `submit_signoff`, `signoff`, `unsigned`.
- Standards and units: `packs`, `pack`, `publish_pack`, `units`, `unit_page`, `hand_over_units`.
- The catalog: `search_catalog`, `entry`, `export_dcat`; `issue_code`, `draft_from_form`,
  `save_draft`, `working_copy`, `working_copies`, `submit_entry`, `review_entry`,
  `send_back_entry`, `publish_entry`, `withdraw_entry`.
- Rows where they are: `query_rows` gives a `RowStream`; its `answer()` is a table too.
- Records of your own: `publish` appends any number, `publisher` many at a time.
- What happens: `follow` gives events in order; a `FileCursor` outlives the program.
- Directives: `issue`, `report`, `directives`, `tree`.
- The node: `status`, `list_tree`, `export_bundle`, `import_bundle`, `verify_store`, `rebuild`.
- Nodes below: `add_child`, `add_child_code`, `open_requests`, `decide_join`,
  `ask_reenrolment`, `revoke_child`.
- Keys and roots: `list_keys`, `prepare_keys`, `activate_keys`, `taint_keys`, `revoke_keys`;
  `root_list`, `publish_root_list`.
- What became of a node: `incidents`, `settle_incidents`, `open_epoch`, `release_node`.
- Parts of records: `parts`, `part`, `redact`, `prune`.
- Who acts: `sign_in`, `sign_out`, `who_am_i`, `change_password`; `users`, `put_user`,
  `unlock_user`, `audit`, `register_key`, `remove_key`.
- Who may do what: `give_token`, `tokens`, `revoke_token` for programs; `requests`,
  `decide_request` for what takes two; `field_policy`, `set_field_policy`.

Without a token a client acts as the account that owns the socket. A person's calls show their
session:

    session = client.sign_in("li", password)
    mine = client.with_token(session.token)

A program shows the secret of its token (`give_token`) in the same way. `with_purpose` says what
for fields of grade 3 and 4 are read.

Beside it: `AsyncClient` has the same calls, to be awaited. `OfflineQueue` keeps rows in a file
until a node takes them. `validate_offline` judges rows by a pack alone. Pages and answers have
`to_pandas()`, `to_arrow()` and `to_csv(path)`. `explain(code, "en")` says what a code means.

Calls take and give plain frozen values. Figures are decimal strings, never floats; times are
Unix milliseconds. A call raises `ClientError` (the node refused; `error.code` says why and
`error.retryable` whether to try again), `NodeUnreachable`, `AnswerTooLate` or
`SocketPathTooLong`; all of them are a `YidaoError`.
"""

from yidao.api.errors import YidaoError
from yidao.node.client.access import AuditEntry, Session, User, WhoAmI
from yidao.node.client.admission import ChildCode, OpenRequest, ReenrolmentAsked
from yidao.node.client.aio import AsyncClient, AsyncFollowing, AsyncPublisher, AsyncRows
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
from yidao.node.client.duties import FieldPolicy, FieldRule, GivenToken, PairRequest, Token
from yidao.node.client.errors import (
    AnswerTooLate,
    ClientError,
    NodeUnreachable,
    SocketPathTooLong,
)
from yidao.node.client.following import Event, Following
from yidao.node.client.frames import ExtraMissing
from yidao.node.client.identity import KeyPair, NodeKeys
from yidao.node.client.offline import validate_offline
from yidao.node.client.parts import PartInfo, Pruned, Redacted
from yidao.node.client.publishing import NewRecord, Published, Publisher
from yidao.node.client.query import RowStream
from yidao.node.client.query_values import QueryAnswer, QueryColumn, QueryNode, QueryRow
from yidao.node.client.queue import (
    Flushed,
    OfflineQueue,
    Queued,
    QueueFileUnusable,
    QueueKeyReused,
)
from yidao.node.client.recovery import Incident, Incidents
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
from yidao.node.client.signoff_values import (
    BatchPrepared,
    PolicyProposed,
    SignoffBatch,
    SignoffPolicy,
    SignoffRefused,
    SignoffSigner,
    SignoffStanding,
    SignoffWaiting,
)
from yidao.node.client.texts import Explanation, explain, explanations
from yidao.node.client.trust import Expiry
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
    "AsyncPublisher",
    "AsyncRows",
    "AuditEntry",
    "BatchPrepared",
    "BreakDownPage",
    "BreakDownRow",
    "Bundle",
    "BundleTaken",
    "CatalogDraft",
    "CatalogEntry",
    "CatalogFacet",
    "CatalogFault",
    "CatalogPage",
    "ChildCode",
    "Client",
    "ClientError",
    "Cursor",
    "CursorFileUnreadable",
    "DirectiveInfo",
    "Due",
    "DuePage",
    "EnergyTarget",
    "Event",
    "Expiry",
    "Explanation",
    "ExtraMissing",
    "FieldPolicy",
    "FieldRule",
    "FileCursor",
    "Flushed",
    "Following",
    "Frontier",
    "GivenToken",
    "Incident",
    "Incidents",
    "Issued",
    "JournalCut",
    "KeyPair",
    "Mark",
    "Metadata",
    "Missing",
    "MissingPage",
    "NewRecord",
    "NodeInfo",
    "NodeKeys",
    "NodeUnreachable",
    "OfflineQueue",
    "OpenRequest",
    "PackInfo",
    "PairRequest",
    "PartInfo",
    "Peer",
    "Placed",
    "PolicyProposed",
    "Problem",
    "Progress",
    "Pruned",
    "Published",
    "Publisher",
    "QueryAnswer",
    "QueryColumn",
    "QueryNode",
    "QueryRow",
    "QueueFileUnusable",
    "QueueKeyReused",
    "Queued",
    "Rebuilt",
    "RebuiltTable",
    "Redacted",
    "ReenrolmentAsked",
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
    "SignoffBatch",
    "SignoffPolicy",
    "SignoffRefused",
    "SignoffSigner",
    "SignoffStanding",
    "SignoffWaiting",
    "SocketPathTooLong",
    "Status",
    "Submitted",
    "Token",
    "Totals",
    "TreeNode",
    "UnitInfo",
    "User",
    "Verified",
    "WhoAmI",
    "Withdrawn",
    "YidaoError",
    "explain",
    "explanations",
    "validate_offline",
]
