"""The node itself: health, evidence."""

from typing import Annotated

from fastapi import APIRouter, Path, Query, Request, Response
from pydantic import Field

from yidao.node.client import ClientError
from yidao.node.gateway.pages import Wanted
from yidao.node.gateway.problems import described
from yidao.node.gateway.session import Caller, door_of
from yidao.node.gateway.shapes import Count, Frontier, Hex, Shape

router = APIRouter(tags=["node"])

_ZIP = "application/zip"


class Health(Shape):
    """That the gateway runs and its node answers."""

    node: str = Field(description="`reachable`; otherwise the answer is an error.")


class Trouble(Shape):
    """Something that a person should look at."""

    code: str
    params: dict[str, str]
    first_ms: Count
    last_ms: Count
    count: Count


class Peer(Shape):
    """A node at the other end of a link."""

    node_id: Hex
    path: str
    role: str = Field(description="`parent` or `child`.")
    state: str = Field(description="`connected`, `connecting`, `never`, `lost` or `revoked`.")
    lag: Count = Field(description="Records that wait for it.")
    last_seen_ms: Count
    next_retry_ms: Count


class Status(Shape):
    """Health of a node."""

    network: Hex
    node_id: Hex
    path: str
    epoch: str
    state: str
    last_position: Count
    applied_position: Count
    records: Count
    peers: list[Peer]
    problems: list[Trouble]
    journals: list[Frontier]
    durability: str
    version: str
    receipts_current: Count
    receipts_expected: Count
    office_name: str
    test_network: bool
    certificate_until_ms: Count
    parent_error: str = Field(description="Code of why the last dial to the parent failed.")


class NodeInfo(Shape):
    """A node of the subtree, as it is known."""

    path: str
    node_id: Hex
    state: str = Field(
        description="`self`, `connected`, `connecting`, `lost`, `never`; `unknown`: no answer."
    )
    lag_down: Count = Field(description="Records of its parent that wait for it.")
    lag_up: Count = Field(description="Records of its own that wait for its parent.")
    last_seen_ms: Count
    next_retry_ms: Count
    problems: Count
    as_of_ms: Count
    version: str
    office_name: str


@router.get("/health", responses=described(session=False))
def health(request: Request) -> Health:
    """Tell whether the node can be reached. Needs no session and tells nothing else."""
    try:
        # Any answer will do, also a refusal.
        door_of(request).client().who_am_i()
    except ClientError:
        return Health(node="reachable")
    return Health(node="reachable")


@router.get("/status", responses=described(missing="There is no such node below."))
def status(client: Caller, path: Wanted = "") -> Status:
    """Give the health of this node, or of one below it, asked live."""
    return Status.of(client.status(path=path))


@router.get("/nodes", responses=described())
def list_nodes(
    client: Caller,
    *,
    live: Annotated[bool, Query(description="Ask every connected node below.")] = False,
    deadline_ms: Annotated[int, Query(ge=100, le=20_000)] = 3_000,
) -> list[NodeInfo]:
    """List every node of the subtree with its health, by path."""
    return [NodeInfo.of(each) for each in client.list_tree(live=live, deadline_ms=deadline_ms)]


@router.get(
    "/evidence/{record_id}",
    response_class=Response,
    responses={
        200: {
            "description": "A zip that `yidao evidence verify` reads, offline.",
            "content": {_ZIP: {"schema": {"type": "string", "format": "binary"}}},
        },
        **described(missing="The node does not hold the record."),
    },
)
def evidence(
    client: Caller,
    record_id: Annotated[str, Path(pattern=r"^[0-9a-f]{32}$", description="Of any record.")],
) -> Response:
    """Give the evidence of one record."""
    return Response(client.export_evidence(bytes.fromhex(record_id)), media_type=_ZIP)
