"""What the local API says of the health of nodes, and whom it asks for it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from yidao.api.local.v1 import node_pb2, trust_pb2
from yidao.sync.ids import NodeId


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerView:
    """What `status` says of one peer.

    Attributes:
        role: `parent` or `child`.
        state: `connected`, `connecting`, `never`, `lost` or `revoked`.
        lag: Records of this store that the peer has not acknowledged.
    """

    node_id: NodeId
    path: str
    role: str
    state: str
    lag: int
    last_seen_ms: int
    next_retry_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpiryView:
    """Something that ends; `state` is `fine`, `soon` or `over`."""

    kind: str
    name: str
    since_ms: int
    until_ms: int
    state: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What a node knows of itself beside its records.

    Attributes:
        office_name: What people call the office; empty if nobody said.
        test_network: Whether the network is for trying things out.
        certificate_until_ms: When the node's own certificate ends.
        parent_error: Why the last dial to the parent failed; empty if it did not.
        expiries: Everything here that ends by a date, the next first.
    """

    office_name: str
    test_network: bool
    certificate_until_ms: int
    parent_error: str
    expiries: tuple[ExpiryView, ...] = ()


class HealthPort(Protocol):
    """What the daemon knows of its links and receipts, and of the nodes below."""

    def peers(self) -> list[PeerView]:
        """The parent and all children."""

    def receipts(self) -> tuple[int, int]:
        """Own journals whose newest checkpoint the parent holds, and how many there are."""

    def standing(self) -> Standing:
        """What the node is called, and how long it may go on."""


class TreePort(Protocol):
    """Knows the nodes of the subtree, and asks them."""

    async def status_of(self, path: str) -> node_pb2.StatusResponse:
        """Ask one node below for its status."""

    async def nodes(self, *, live: bool, deadline_ms: int) -> Sequence[node_pb2.NodeInfo]:
        """Every node of the subtree, by path; who does not answer in time is `unknown`."""


def expiry_message(view: ExpiryView) -> trust_pb2.Expiry:
    """Write what ends."""
    return trust_pb2.Expiry(
        kind=view.kind,
        name=view.name,
        since_ms=view.since_ms,
        until_ms=view.until_ms,
        state=view.state,
    )


def peer_message(view: PeerView) -> node_pb2.Peer:
    """Write a peer."""
    return node_pb2.Peer(
        node_id=view.node_id,
        path=view.path,
        role=view.role,
        state=view.state,
        lag=max(view.lag, 0),
        last_seen_ms=view.last_seen_ms,
        next_retry_ms=view.next_retry_ms,
    )
