"""What a decoder under attack is, and the sample values that inputs are made of."""

from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256

from yidao.api.errors import YidaoError
from yidao.sync.ids import JournalId, NetworkId, NodeId
from yidao.sync.suite import Ed25519Signer


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A decoder under attack.

    Attributes:
        take: Reads the bytes.
        seeds: Bytes that it accepts, to start from.
    """

    take: Callable[[bytes], object]
    seeds: tuple[bytes, ...]

    def survives(self, data: bytes) -> bool:
        """Read the bytes; whether they were accepted. Any error but a typed one escapes.

        No lines at all is what is read from a statement that proves nothing.
        """
        try:
            return self.take(data) != ()
        except YidaoError:
            return False


def digest(text: str) -> bytes:
    """Return 32 bytes that a text stands for."""
    return sha256(text.encode()).digest()


def same(again: bytes, data: bytes) -> None:
    """Return only if what was read is written back as it came."""
    if again != data:
        raise AssertionError("two byte forms of one value")


NETWORK = NetworkId(digest("network")[:16])
NODE = NodeId(digest("node")[:16])
JOURNAL = JournalId(node_id=NODE, channel="up:15", epoch="1")
SIGNER = Ed25519Signer(digest("journal key"))
COSIGNER = Ed25519Signer(digest("cosigning key"))
