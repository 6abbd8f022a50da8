"""Calls about what the whole tree trusts, and what ends by a date."""

from dataclasses import dataclass

from yidao.api.local.v1 import trust_pb2, trust_pb2_grpc
from yidao.node.client.calls import Calls


@dataclass(frozen=True, slots=True, kw_only=True)
class Expiry:
    """Something that ends.

    Attributes:
        kind: `certificate`, `authority`, `root-certificate`, `root-list`, `join-token`,
            `feed` or `pack`.
        name: Which one.
        since_ms, until_ms: Unix milliseconds.
        state: `fine`; `soon` from two thirds of its life on; `over`.
    """

    kind: str
    name: str
    since_ms: int
    until_ms: int
    state: str


def expiry(message: trust_pb2.Expiry) -> Expiry:
    """Read what ends."""
    return Expiry(
        kind=message.kind,
        name=message.name,
        since_ms=message.since_ms,
        until_ms=message.until_ms,
        state=message.state,
    )


class TrustCalls(Calls):
    """What a client asks of the trust of the tree."""

    @property
    def _trust(self) -> trust_pb2_grpc.TrustServiceStub:
        return self._stub(trust_pb2_grpc.TrustServiceStub)

    def publish_root_list(self, data: bytes, *, operator: str) -> int:
        """Send a root list that the holders signed to every node below; at the root alone.

        Returns:
            The version that is in force now.
        """
        request = trust_pb2.PublishRootListRequest(list=data, operator=operator)
        return self._call(self._trust.PublishRootList, request).version

    def root_list(self) -> bytes:
        """Give the file of the root list in force."""
        return self._call(self._trust.GetRootList, trust_pb2.GetRootListRequest()).list
