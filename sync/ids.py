"""Names of nodes, paths, channels and journals; a value that exists is valid.

Every constructor refuses what is not in canonical form, so that two equal names
are always two equal strings and a name can stand in a signed text, a file name
or an SQL key without another look at it.
"""

import re
from dataclasses import dataclass
from enum import Enum, IntEnum
from functools import lru_cache
from typing import Final, NewType, Self

from yidao.sync import errors

NetworkId = NewType("NetworkId", bytes)
NodeId = NewType("NodeId", bytes)
RecordId = NewType("RecordId", bytes)

ID_BYTES: Final = 16
# Of a record id: what is not its time.
CHANCE_BYTES: Final = 10
MAX_DEPTH: Final = 15
REACH_ROOT: Final = 15

_LABEL: Final = re.compile(r"[a-z0-9-]{1,32}")
_HEX_ID: Final = re.compile(r"[0-9a-f]{32}")
_EPOCH: Final = re.compile(r"[1-9][0-9]{0,9}(-[0-9a-f]{16})?")


def _checked_id(value: bytes, field: str) -> bytes:
    if type(value) is not bytes or len(value) != ID_BYTES:
        raise errors.IdInvalid(field=field)
    return value


def network_id(value: bytes) -> NetworkId:
    """Return `value` as a network id; raise `IdInvalid` unless it is 16 bytes."""
    return NetworkId(_checked_id(value, "network"))


def node_id(value: bytes) -> NodeId:
    """Return `value` as a node id; raise `IdInvalid` unless it is 16 bytes."""
    return NodeId(_checked_id(value, "node_id"))


def record_id(value: bytes) -> RecordId:
    """Return `value` as a record id; raise `IdInvalid` unless it is 16 bytes."""
    return RecordId(_checked_id(value, "record_id"))


def new_record_id(now_ms: int, chance: bytes) -> RecordId:
    """Return a new record id as RFC 9562 describes UUID version 7: ids sort as they are made.

    Args:
        now_ms: Unix milliseconds.
        chance: 10 random bytes.
    """
    assert len(chance) == CHANCE_BYTES, "48 bits of time, and the rest"
    version, variant = 0x70 | chance[0] & 0x0F, 0x80 | chance[2] & 0x3F
    return RecordId(now_ms.to_bytes(6) + bytes((version, chance[1], variant)) + chance[3:])


def id_from_hex(text: str, field: str) -> bytes:
    """Return the 16 bytes of 32 lower-case hex digits; raise `IdInvalid` otherwise."""
    if _HEX_ID.fullmatch(text) is None:
        raise errors.IdInvalid(field=field)
    return bytes.fromhex(text)


class Lane(IntEnum):
    """A priority class of a link; the smaller value goes first."""

    CONTROL = 1
    URGENT = 2
    BULK = 3

    # An enum's own one hashes its name anew each time, and lanes are keys everywhere.
    __hash__ = int.__hash__


@dataclass(frozen=True, slots=True, order=True)
class Path:
    """Where a node stands in the tree; no labels is the root."""

    labels: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if len(self.labels) > MAX_DEPTH:
            raise errors.PathInvalid(reason="depth", limit=MAX_DEPTH)
        for label in self.labels:
            if _LABEL.fullmatch(label) is None:
                raise errors.PathInvalid(reason="label")

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the path that `text` writes, `/` or `/33/3301`.

        Raises:
            PathInvalid: Anything but the canonical form, such as a slash at
                the end, an empty label, upper case or full-width digits.
        """
        if text == "/":
            return cls()
        if not text.startswith("/"):
            raise errors.PathInvalid(reason="slash")
        return cls(tuple(text[1:].split("/")))

    def __str__(self) -> str:
        return "/" + "/".join(self.labels)

    @property
    def depth(self) -> int:
        """How many tiers below the root; the root has 0."""
        return len(self.labels)

    @property
    def parent(self) -> "Path | None":
        """The path one tier up, or None for the root."""
        return _parent(self)

    def child(self, label: str) -> Self:
        """Return the path of a child by its label."""
        return type(self)((*self.labels, label))

    def is_ancestor_of(self, other: "Path") -> bool:
        """Whether `other` lies strictly below this path."""
        depth = len(self.labels)
        return depth < len(other.labels) and other.labels[:depth] == self.labels

    def is_within(self, other: "Path") -> bool:
        """Whether this path is `other` or lies below it."""
        return self == other or other.is_ancestor_of(self)

    def common_ancestor(self, other: "Path") -> Self:
        """Return the lowest path that both are within."""
        shared = 0
        for mine, theirs in zip(self.labels, other.labels, strict=False):
            if mine != theirs:
                break
            shared += 1
        return type(self)(self.labels[:shared])


# Who walks up a tree asks for the same paths again and again.
@lru_cache(maxsize=8192)
def _parent(path: Path) -> Path | None:
    return Path(path.labels[:-1]) if path.labels else None


class Audience(Enum):
    """For whom a journal is written."""

    NODE = "node"
    LOCAL = "local"
    UP = "up"
    DOWN = "down"
    TO = "to"


@dataclass(frozen=True, slots=True, kw_only=True)
class Channel:
    """A channel, taken apart; `str()` gives its only text form back.

    Attributes:
        reach: Tiers up that an `up` journal travels, 1 to 15; 15 is the root.
            0 for every other audience.
        to: The node that a `to` journal is for.
    """

    audience: Audience
    lane: Lane
    reach: int = 0
    to: NodeId | None = None

    @classmethod
    def parse(cls, text: str) -> "Channel":
        """Return the channel that `text` names; raise `ChannelInvalid` otherwise."""
        return _parse_channel(text)

    def __str__(self) -> str:
        match self.audience:
            case Audience.UP:
                return f"up:{self.reach}" + (".urgent" if self.lane is Lane.URGENT else "")
            case Audience.DOWN:
                return "down.control" if self.lane is Lane.CONTROL else "down"
            case Audience.TO:
                return f"to:{(self.to or b'').hex()}"
            case _:
                return str(self.audience.value)


_FIXED_CHANNELS: Final = {
    "node": Channel(audience=Audience.NODE, lane=Lane.CONTROL),
    # A local journal never enters a link; bulk is the lane with no privilege.
    "local": Channel(audience=Audience.LOCAL, lane=Lane.BULK),
    "down": Channel(audience=Audience.DOWN, lane=Lane.URGENT),
    "down.control": Channel(audience=Audience.DOWN, lane=Lane.CONTROL),
}
_UP: Final = re.compile(r"up:([1-9]|1[0-5])(\.urgent)?")
_TO: Final = re.compile(r"to:([0-9a-f]{32})")


@lru_cache(maxsize=4096)
def _parse_channel(text: str) -> Channel:
    fixed = _FIXED_CHANNELS.get(text)
    if fixed is not None:
        return fixed
    if up := _UP.fullmatch(text):
        lane = Lane.URGENT if up[2] else Lane.BULK
        return Channel(audience=Audience.UP, lane=lane, reach=int(up[1]))
    if to := _TO.fullmatch(text):
        to_node = NodeId(bytes.fromhex(to[1]))
        return Channel(audience=Audience.TO, lane=Lane.URGENT, to=to_node)
    raise errors.ChannelInvalid(reason="unknown")


@dataclass(frozen=True, slots=True, kw_only=True)
class JournalId:
    """A journal's name: who writes, for whom, in which epoch."""

    node_id: NodeId
    channel: str
    epoch: str

    def __post_init__(self) -> None:
        _checked_id(self.node_id, "node_id")
        _parse_channel(self.channel)
        if _EPOCH.fullmatch(self.epoch) is None:
            raise errors.EpochInvalid

    @property
    def audience(self) -> Channel:
        """The channel, taken apart."""
        return _parse_channel(self.channel)

    def origin(self, network: NetworkId) -> str:
        """Return the checkpoint origin, which is also the log key's name.

        The form is `yidao/<network>/<node_id>/<channel>/<epoch>` with ids in hex.
        It holds neither space nor `+`, as C2SP demands of a key name.
        """
        return f"yidao/{network.hex()}/{self.node_id.hex()}/{self.channel}/{self.epoch}"

    @classmethod
    def parse_origin(cls, text: str) -> tuple[NetworkId, Self]:
        """Return network and journal of a checkpoint origin.

        Raises:
            OriginInvalid: The form is another one.
            IdInvalid, ChannelInvalid, EpochInvalid: A piece is not canonical.
        """
        pieces = text.split("/")
        if len(pieces) != 5 or pieces[0] != "yidao":
            raise errors.OriginInvalid(reason="form")
        network = NetworkId(id_from_hex(pieces[1], "network"))
        node = NodeId(id_from_hex(pieces[2], "node_id"))
        return network, cls(node_id=node, channel=pieces[3], epoch=pieces[4])


def cosigner_name(network: NetworkId, node: NodeId) -> str:
    """Return the name of a node's cosigning key, `yidao/<network>/<node_id>/cosign`."""
    return f"yidao/{network.hex()}/{node.hex()}/cosign"
