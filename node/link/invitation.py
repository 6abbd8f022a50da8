"""Telling a child that has but a code what a bundle would have told it: the parent's side.

Whoever asks is told the root's certificate; it proves nothing, and the child compares
it with its code. What a token is for is told under a MAC by the token's secret, over a
number of the child's: so the child knows that it speaks with who made the token, and
no other node of the tree can lead it elsewhere.
"""

import asyncio
import hashlib
import hmac
from collections.abc import Callable
from typing import Final

from yidao.api.link.v1 import admission_pb2 as pb
from yidao.node.keys import Identity
from yidao.node.link import errors, tokens
from yidao.node.link.tokens import Anchor
from yidao.node.store.store import Store

MAC_PREFIX: Final = b"yidao-join-invite-v1\n"
NONCE_BYTES: Final = 32


def invitation_mac(secret: bytes, nonce: bytes, body: bytes) -> bytes:
    """Return the MAC of an invitation."""
    digest = hashlib.sha256(nonce + hashlib.sha256(body).digest()).digest()
    return hmac.digest(secret, MAC_PREFIX + digest, "sha256")


class Invitations:
    """Answers on the join port beside `Admission`, which counts its callers too."""

    def __init__(
        self,
        *,
        store: Store,
        identity: Identity,
        anchor: Callable[[], Anchor],
        link_address: str,
        test_network: bool,
        clock_ms: Callable[[], int],
    ) -> None:
        self._store = store
        self._anchor = anchor
        self._path = identity.path
        self._network = identity.network
        self._link_address = link_address
        self._test_network = test_network
        self._clock_ms = clock_ms

    def introduce(self) -> pb.IntroduceResponse:
        """Say which root this node stands under."""
        return pb.IntroduceResponse(root=self._anchor().root_pem, path=str(self._path))

    async def invite(self, request: pb.InviteRequest) -> pb.InviteResponse:
        """Say what a token is for.

        Raises:
            JoinRequestMalformed, JoinTokenUnknown, JoinTokenKilled, JoinTokenUsed,
            JoinTokenExpired: As named.
        """
        if len(request.nonce) != NONCE_BYTES:
            raise errors.JoinRequestMalformed
        token = await asyncio.to_thread(self._find, request.token_id)
        if token is None:
            raise errors.JoinTokenUnknown
        if token.killed_ms is not None:
            raise errors.JoinTokenKilled
        if token.used_ms is not None or token.secret is None:
            raise errors.JoinTokenUsed
        if self._clock_ms() >= token.expires_ms:
            raise errors.JoinTokenExpired
        body = pb.Invitation(
            root_statement=self._anchor().statement,
            network=self._network,
            parent_path=str(self._path),
            path=str(token.path),
            link_address=self._link_address,
            expires_ms=token.expires_ms,
            test_network=self._test_network,
        ).SerializeToString()
        mac = invitation_mac(token.secret, request.nonce, body)
        return pb.InviteResponse(body=body, mac=mac)

    def _find(self, token_id: str) -> tokens.Token | None:
        with self._store.read() as conn:
            return tokens.find_token(conn, token_id)
