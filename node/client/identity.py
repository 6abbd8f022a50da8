"""Calls about the node's own keys."""

from dataclasses import dataclass

from yidao.api.local.v1 import identity_pb2, identity_pb2_grpc
from yidao.node.client.calls import Calls


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyPair:
    """One pair of keys: that of the journals and that of the cosignatures.

    Attributes:
        keys: The epoch that began with it; of a prepared pair, the one that will.
        state: `prepared`, `active`, `retired`, `tainted`, `revoked`.
        journal_key: The public journal key, 32 bytes.
        witnessed: The parent holds the record by which the pair became active.
    """

    keys: str
    state: str
    journal_key: bytes
    witnessed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeKeys:
    """Every pair of a node, the oldest first, and the epoch in which it writes."""

    epoch: str
    pairs: tuple[KeyPair, ...]


class IdentityCalls(Calls):
    """What a client asks of the node's keys."""

    @property
    def _identity(self) -> identity_pb2_grpc.IdentityServiceStub:
        return self._stub(identity_pb2_grpc.IdentityServiceStub)

    def list_keys(self) -> NodeKeys:
        """Every pair of keys that the node has or had."""
        answer = self._call(self._identity.ListKeys, identity_pb2.ListKeysRequest())
        return NodeKeys(epoch=answer.epoch, pairs=tuple(_pair(each) for each in answer.pairs))

    def prepare_keys(self, *, operator: str) -> KeyPair:
        """Make the next pair; nothing else changes. Again gives the same pair."""
        request = identity_pb2.PrepareKeysRequest(operator=operator)
        return _pair(self._call(self._identity.PrepareKeys, request).pair)

    def activate_keys(self, *, operator: str) -> KeyPair:
        """Write in a new epoch under the prepared pair.

        Raises:
            ClientError: `KEYS_NOT_PREPARED`.
        """
        request = identity_pb2.ActivateKeysRequest(operator=operator)
        return _pair(self._call(self._identity.ActivateKeys, request).pair)

    def taint_keys(self, keys: str, *, operator: str) -> KeyPair:
        """Let a retired pair sign nothing any more.

        Raises:
            ClientError: `KEYS_UNKNOWN`.
        """
        request = identity_pb2.TaintKeysRequest(keys=keys, operator=operator)
        return _pair(self._call(self._identity.TaintKeys, request).pair)

    def revoke_keys(self, keys: str, *, operator: str) -> KeyPair:
        """Destroy the private halves of a tainted pair.

        Raises:
            ClientError: `KEYS_UNKNOWN`, or `KEY_CHANGE_UNWITNESSED` until the parent
                holds the change.
        """
        request = identity_pb2.RevokeKeysRequest(keys=keys, operator=operator)
        return _pair(self._call(self._identity.RevokeKeys, request).pair)


def _pair(message: identity_pb2.KeyPair) -> KeyPair:
    return KeyPair(
        keys=message.keys,
        state=message.state,
        journal_key=message.journal_key,
        witnessed=message.witnessed,
    )
