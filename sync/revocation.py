"""Revocations: from where on a node's journals are no longer its own word.

A node is revoked by whoever stands above it, by the record `node.child.revoked`.
Time decides nothing in it, since whoever holds a stolen key may write any time
into a record: it lists a size for each journal of the node, and what lies before
it stays valid and provable for ever. Of a journal that is not listed nothing does.

Several tiers may revoke one node. Then the smallest size of each journal counts, so
that the order in which the revocations arrive makes no difference.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from itertools import pairwise
from typing import Final, cast

import orjson

from yidao.sync import errors
from yidao.sync.ids import JournalId, NodeId, Path, id_from_hex

KIND: Final = "node.child.revoked"
#: To the root, and to everybody below the revoker.
CHANNELS: Final = ("node", "down.control")
#: A node has some ten journals an epoch.
MAX_LINES: Final = 1_000
MAX_CORE_BYTES: Final = 128 * 1024
MAX_OPERATOR_CHARS: Final = 512

_MAX_SIZE: Final = 2**63


class Reason(Enum):
    """Why a node is revoked."""

    KEY_STOLEN = "key-stolen"
    MACHINE_LOST = "machine-lost"
    REPLACED = "replaced"
    CLOSED = "closed"


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class CutLine:
    """What of one journal stays valid: its first `size` records."""

    channel: str
    epoch: str
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Revocation:
    """The core of `node.child.revoked`.

    Attributes:
        path: Where the node stands; it may be enrolled anew there, as another node.
        operator: The actor who decided it.
        cut: Sorted, each journal once.
    """

    node_id: NodeId
    path: Path
    reason: Reason
    operator: str
    cut: tuple[CutLine, ...]

    def encode(self) -> bytes:
        """Return the JSON bytes of the core part: sorted keys, the id in hex.

        Raises:
            RevocationMalformed: More journals than a revocation can list.
        """
        if len(self.cut) > MAX_LINES:
            raise errors.RevocationMalformed(field="cut")
        return orjson.dumps(
            {
                "node_id": self.node_id.hex(),
                "path": str(self.path),
                "reason": self.reason.value,
                "operator": self.operator,
                "cut": [
                    {"channel": line.channel, "epoch": line.epoch, "size": line.size}
                    for line in self.cut
                ],
            },
            option=orjson.OPT_SORT_KEYS,
        )

    @classmethod
    def decode(cls, data: bytes) -> "Revocation":
        """Return the revocation that `data` is the canonical JSON of.

        Members that a newer version adds are allowed.

        Raises:
            RevocationMalformed: Other JSON, or a member is missing or wrong.
            IdInvalid, PathInvalid, ChannelInvalid, EpochInvalid: As named.
        """
        members = _parse(data)
        node_id = NodeId(id_from_hex(_text(members, "node_id"), "node_id"))
        reasons = {each.value: each for each in Reason}
        reason = reasons.get(_text(members, "reason"))
        if reason is None:
            raise errors.RevocationMalformed(field="reason")
        operator = _text(members, "operator")
        if len(operator) > MAX_OPERATOR_CHARS:
            raise errors.RevocationMalformed(field="operator")
        return cls(
            node_id=node_id,
            path=Path.parse(_text(members, "path")),
            reason=reason,
            operator=operator,
            cut=_cut(members.get("cut"), node_id),
        )

    def size_of(self, journal: JournalId) -> int:
        """Return how many records of a journal of that node stay valid."""
        for line in self.cut:
            if (line.channel, line.epoch) == (journal.channel, journal.epoch):
                return line.size
        return 0


def check_authority(revocation: Revocation, writer: Path) -> None:
    """Return only if a node at `writer` may write that revocation.

    Raises:
        RevocationUnauthorised: It does not stand above the node.
    """
    if not writer.is_ancestor_of(revocation.path):
        raise errors.RevocationUnauthorised(path=str(revocation.path), by=str(writer))


def valid_size(revocations: Iterable[Revocation], journal: JournalId) -> int | None:
    """Return how many records of a journal stay valid; None if nobody revoked its node."""
    return min((each.size_of(journal) for each in revocations), default=None)


def _parse(data: bytes) -> dict[str, object]:
    if len(data) > MAX_CORE_BYTES:
        raise errors.RevocationMalformed(field="size")
    try:
        members = orjson.loads(data)
    except orjson.JSONDecodeError:
        raise errors.RevocationMalformed(field="JSON") from None
    # Equality with the canonical form also refuses repeated members, of which
    # readers disagree on the one that counts.
    if type(members) is not dict or orjson.dumps(members, option=orjson.OPT_SORT_KEYS) != data:
        raise errors.RevocationMalformed(field="JSON")
    return cast("dict[str, object]", members)


def _text(members: dict[str, object], field: str) -> str:
    value = members.get(field)
    if type(value) is not str:
        raise errors.RevocationMalformed(field=field)
    return value


def _cut(value: object, node_id: NodeId) -> tuple[CutLine, ...]:
    if type(value) is not list or len(value) > MAX_LINES:
        raise errors.RevocationMalformed(field="cut")
    lines = tuple(_line(each, node_id) for each in cast("list[object]", value))
    names = [(line.channel, line.epoch) for line in lines]
    # Of two lines for one journal readers would disagree on the one that counts.
    if any(first >= second for first, second in pairwise(names)):
        raise errors.RevocationMalformed(field="cut")
    return lines


def _line(value: object, node_id: NodeId) -> CutLine:
    if type(value) is not dict:
        raise errors.RevocationMalformed(field="cut")
    members = cast("dict[str, object]", value)
    size = members.get("size")
    if type(size) is not int or not 0 <= size < _MAX_SIZE:
        raise errors.RevocationMalformed(field="size")
    line = CutLine(channel=_text(members, "channel"), epoch=_text(members, "epoch"), size=size)
    JournalId(node_id=node_id, channel=line.channel, epoch=line.epoch)
    return line
