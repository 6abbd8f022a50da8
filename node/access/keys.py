"""The second factor: an Ed25519 key of a user, which signs a challenge of this node.

A challenge is `time.random.mac`, made by this process and good for 120 seconds and
one try. It is kept nowhere until it is used: whoever asks for a million of them
fills no memory. The text that is signed names network, node and user, so that a
signature for one node, or one user, opens nothing else.
"""

import hashlib
import hmac
import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import Final

from sqlalchemy import Connection, delete, insert, select

from yidao.node.access.errors import SignKeyInvalid
from yidao.node.access.tables import access_key
from yidao.sync import suite
from yidao.sync.errors import SyncError
from yidao.sync.ids import NetworkId, NodeId

#: A challenge is good for so long.
LIFE_MS: Final = 120_000
_SECRET_BYTES: Final = 32
_RANDOM_BYTES: Final = 16
_MAX_CHARACTERS: Final = 160
# Each one that was used cost a password to be hashed: there are few of them in two minutes.
_MAX_USED: Final = 16_384


class Challenges:
    """Makes challenges and takes each once. Safe for threads."""

    def __init__(
        self,
        network: NetworkId,
        node_id: NodeId,
        *,
        clock_ms: Callable[[], int],
        random: Callable[[int], bytes],
    ) -> None:
        self._origin = f"{network.hex()}/{node_id.hex()}"
        self._clock_ms = clock_ms
        self._random = random
        self._secret = random(_SECRET_BYTES)
        self._used: OrderedDict[str, int] = OrderedDict()
        self._lock = threading.Lock()

    def make(self, user: str) -> str:
        """Give a fresh challenge for a user, whether there is one of that name or not."""
        stem = f"{self._clock_ms()}.{self._random(_RANDOM_BYTES).hex()}"
        return f"{stem}.{self._mac(stem, user)}"

    def text(self, challenge: str, user: str) -> bytes:
        """Give what the key signs."""
        return f"yidao sign-in v1\n{self._origin}\n{user}\n{challenge}\n".encode()

    def take(self, challenge: str, user: str, public_key: bytes, signature: bytes) -> bool:
        """Whether a key signed a challenge of this node for a user, in time and for once."""
        stem, _, mac = challenge.rpartition(".")
        if len(challenge) > _MAX_CHARACTERS or not challenge.isascii():
            return False
        if not hmac.compare_digest(mac, self._mac(stem, user)):
            return False
        if not self._is_first(challenge, int(stem.partition(".")[0])):
            return False
        return signed_by(public_key, signature, self.text(challenge, user))

    def _mac(self, stem: str, user: str) -> str:
        told = f"{stem}\n{user}".encode(errors="replace")
        return hmac.new(self._secret, told, hashlib.sha256).hexdigest()

    def _is_first(self, challenge: str, made_ms: int) -> bool:
        now_ms = self._clock_ms()
        if not 0 <= now_ms - made_ms < LIFE_MS:
            return False
        with self._lock:
            while self._used and now_ms - next(iter(self._used.values())) >= LIFE_MS:
                self._used.popitem(last=False)
            # Rather nobody for two minutes than one of them twice.
            if challenge in self._used or len(self._used) >= _MAX_USED:
                return False
            self._used[challenge] = now_ms
        return True


def check_key(public_key: bytes) -> None:
    """Refuse what is no public key, and those for which one signature fits everything.

    Raises:
        SignKeyInvalid: As said.
    """
    try:
        suite.check_public_key(suite.ED25519_SHA256, public_key)
    except SyncError:
        raise SignKeyInvalid from None


def signed_by(public_key: bytes, signature: bytes, text: bytes) -> bool:
    """Whether a key made a signature over a text."""
    try:
        suite.verify(suite.ED25519_SHA256, public_key, signature, text)
    except SyncError:
        return False
    return True


def read_key(conn: Connection, name: str) -> bytes | None:
    """Read the key of a user."""
    found = conn.execute(
        select(access_key.c.public_key).where(access_key.c.name == name)
    ).scalar_one_or_none()
    return None if found is None else bytes(found)


def holders(conn: Connection) -> frozenset[str]:
    """Read who has a key."""
    return frozenset(conn.execute(select(access_key.c.name)).scalars())


def write_key(conn: Connection, name: str, public_key: bytes, now_ms: int) -> None:
    """Keep the key of a user who has none."""
    conn.execute(insert(access_key).values(name=name, public_key=public_key, added_ms=now_ms))


def delete_key(conn: Connection, name: str) -> bool:
    """Forget a user's key; whether there was one."""
    return bool(conn.execute(delete(access_key).where(access_key.c.name == name)).rowcount)
