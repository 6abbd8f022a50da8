"""Revocations: from where on a node's journals are no longer its own word.

A node is revoked by whoever stands above it, by the record `node.child.revoked`.
Time decides nothing in it, since whoever holds a stolen key may write any time
into a record: it lists a size for each journal of the node, and what lies before
it stays valid and provable for ever. Of a journal that is not listed nothing does.

Several tiers may revoke one node. Then the smallest size of each journal counts, so
that the order in which the revocations arrive makes no difference.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum
from itertools import pairwise
from typing import Final

from yidao.sync import errors
from yidao.sync.ids import JournalId, NodeId, Path
from yidao.sync.members import Members, canonical

KIND: Final = "node.child.revoked"
#: To the root, and to everybody below the revoker.
CHANNELS: Final = ("node", "down.control")
#: A node has some ten journals an epoch.
MAX_LINES: Final = 1_000
MAX_CORE_BYTES: Final = 128 * 1024
MAX_OPERATOR_CHARS: Final = 512


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
        return canonical(
            {
                "node_id": self.node_id.hex(),
                "path": str(self.path),
                "reason": self.reason.value,
                "operator": self.operator,
                "cut": [
                    {"channel": line.channel, "epoch": line.epoch, "size": line.size}
                    for line in self.cut
                ],
            }
        )

    @classmethod
    def decode(cls, data: bytes) -> "Revocation":
        """Return the revocation that `data` is the canonical JSON of.

        Members that a newer version adds are allowed.

        Raises:
            RevocationMalformed: Other JSON, or a member is missing or wrong.
            IdInvalid, PathInvalid, ChannelInvalid, EpochInvalid: As named.
        """
        members = Members.parse_canonical(data, errors.RevocationMalformed, limit=MAX_CORE_BYTES)
        node_id = members.node("node_id")
        reason = {each.value: each for each in Reason}.get(members.text("reason"))
        if reason is None:
            raise errors.RevocationMalformed(field="reason")
        return cls(
            node_id=node_id,
            path=members.path("path"),
            reason=reason,
            operator=members.text("operator", MAX_OPERATOR_CHARS),
            cut=_cut(members.each("cut", MAX_LINES), node_id),
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


def _cut(found: Sequence[Members], node_id: NodeId) -> tuple[CutLine, ...]:
    lines = tuple(_line(each, node_id) for each in found)
    names = [(line.channel, line.epoch) for line in lines]
    # Of two lines for one journal readers would disagree on the one that counts.
    if any(first >= second for first, second in pairwise(names)):
        raise errors.RevocationMalformed(field="cut")
    return lines


def _line(members: Members, node_id: NodeId) -> CutLine:
    line = CutLine(
        channel=members.text("channel"), epoch=members.text("epoch"), size=members.number("size")
    )
    JournalId(node_id=node_id, channel=line.channel, epoch=line.epoch)
    return line
