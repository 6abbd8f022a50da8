"""The local API of this node's own keys."""

from typing import Any, Protocol

import grpc.aio

from yidao.api.local.v1 import identity_pb2, identity_pb2_grpc
from yidao.node.access.actors import authorise
from yidao.node.api.errors import answered
from yidao.node.keychanges import KeyPair
from yidao.sync.ids import Path

Context = grpc.aio.ServicerContext[Any, Any]


class KeyChangesPort(Protocol):
    """What changes keys; see `KeyChanges`."""

    @property
    def epoch(self) -> str:
        """The epoch in which this node writes."""

    def pairs(self) -> tuple[KeyPair, ...]:
        """Every pair, the oldest first."""

    async def prepare(self) -> KeyPair:
        """Make the next pair."""

    async def activate(self, *, operator: str) -> KeyPair:
        """Go over to it."""

    async def taint(self, keys: str) -> KeyPair:
        """Let a retired pair sign nothing any more."""

    async def revoke(self, keys: str) -> KeyPair:
        """Destroy a tainted pair."""


class IdentityServicer(identity_pb2_grpc.IdentityServiceServicer):
    """Serves `IdentityService`."""

    def __init__(self, changes: KeyChangesPort, own_path: Path) -> None:
        self._changes = changes
        self._own_path = own_path

    @answered
    async def ListKeys(
        self, request: identity_pb2.ListKeysRequest, context: Context
    ) -> identity_pb2.ListKeysResponse:
        """Every pair of keys."""
        pairs = [_message(pair) for pair in self._changes.pairs()]
        return identity_pb2.ListKeysResponse(pairs=pairs, epoch=self._changes.epoch)

    @answered
    async def PrepareKeys(
        self, request: identity_pb2.PrepareKeysRequest, context: Context
    ) -> identity_pb2.PrepareKeysResponse:
        """Make the next pair."""
        authorise(request.operator, self._own_path)
        return identity_pb2.PrepareKeysResponse(pair=_message(await self._changes.prepare()))

    @answered
    async def ActivateKeys(
        self, request: identity_pb2.ActivateKeysRequest, context: Context
    ) -> identity_pb2.ActivateKeysResponse:
        """Go over to the next pair."""
        operator = str(authorise(request.operator, self._own_path))
        pair = await self._changes.activate(operator=operator)
        return identity_pb2.ActivateKeysResponse(pair=_message(pair))

    @answered
    async def TaintKeys(
        self, request: identity_pb2.TaintKeysRequest, context: Context
    ) -> identity_pb2.TaintKeysResponse:
        """Let a retired pair sign nothing any more."""
        authorise(request.operator, self._own_path)
        pair = await self._changes.taint(request.keys)
        return identity_pb2.TaintKeysResponse(pair=_message(pair))

    @answered
    async def RevokeKeys(
        self, request: identity_pb2.RevokeKeysRequest, context: Context
    ) -> identity_pb2.RevokeKeysResponse:
        """Destroy a tainted pair."""
        authorise(request.operator, self._own_path)
        pair = await self._changes.revoke(request.keys)
        return identity_pb2.RevokeKeysResponse(pair=_message(pair))


def _message(pair: KeyPair) -> identity_pb2.KeyPair:
    return identity_pb2.KeyPair(
        keys=pair.keys,
        state=pair.state.value,
        journal_key=pair.journal_key,
        witnessed=pair.witnessed,
    )
