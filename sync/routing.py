"""Which journal goes over which link, in which lane, and which parts go with it.

Everything follows from names that are signed or certified: the channel of the
journal, the path of its origin, the paths of the two ends of the link. So the
sender and the receiver of a link derive the same answer, and a receiver can
refuse what should never have come.

Paths are those of today: a journal whose origin moved is routed by where the
origin stands now.
"""

from functools import lru_cache

from yidao.sync import errors
from yidao.sync.ids import REACH_ROOT, Audience, Channel, Lane, Path


def is_adjacent(own_path: Path, peer_path: Path) -> bool:
    """Whether one of the two is the other's parent."""
    return _is_parent(own_path, peer_path) or _is_parent(peer_path, own_path)


def lane_of(channel: str) -> Lane | None:
    """Return the lane that a channel's journals travel in, or None if they stay.

    Raises:
        ChannelInvalid: No such channel.
    """
    parsed = Channel.parse(channel)
    return None if parsed.audience is Audience.LOCAL else parsed.lane


def lanes_for(
    channel: str,
    origin_path: Path,
    own_path: Path,
    peer_path: Path,
    target_path: Path | None = None,
) -> Lane | None:
    """Return the lane in which a journal goes from `own_path` to `peer_path`, or None.

    A receiver asks the same question with the sender as `own_path` and itself as
    `peer_path`.

    Args:
        channel: The journal's channel.
        origin_path: Where the node stands that writes it.
        own_path: Where the sender stands.
        peer_path: Where the receiver stands, the sender's parent or child.
        target_path: For a `to` channel, where its recipient stands; None if that is
            not known. A node knows everybody below it, so then the journal climbs.

    Raises:
        ChannelInvalid: No such channel.
        NotAdjacent: The two ends are not parent and child.
    """
    target = None if target_path is None else target_path.labels
    return _lane(channel, origin_path.labels, own_path.labels, peer_path.labels, target)


_Labels = tuple[str, ...]


# A store asks this for every segment that it reads; the answers are few. By labels: to hash
# and compare paths would take longer than all the rest.
@lru_cache(maxsize=65_536)
def _lane(
    channel: str, origin: _Labels, own: _Labels, peer: _Labels, target: _Labels | None
) -> Lane | None:
    origin_path, own_path, peer_path = Path(origin), Path(own), Path(peer)
    if not is_adjacent(own_path, peer_path):
        raise errors.NotAdjacent(own=str(own_path), peer=str(peer_path))
    parsed = Channel.parse(channel)
    goes = False
    match parsed.audience:
        case Audience.NODE | Audience.UP:
            goes = _climbs(origin_path, own_path, peer_path, parsed.reach or REACH_ROOT)
        case Audience.DOWN:
            goes = own_path.is_within(origin_path) and own_path.is_ancestor_of(peer_path)
        case Audience.TO:
            if target is None:
                goes = _climbs(origin_path, own_path, peer_path, REACH_ROOT)
            else:
                goes = _nears(origin_path, own_path, peer_path, Path(target))
        case Audience.LOCAL:
            pass
    return parsed.lane if goes else None


def part_goes(  # noqa: PLR0913 (each is one fact of the rule, and named at the call)
    channel: str,
    origin_path: Path,
    own_path: Path,
    peer_path: Path,
    *,
    reach: int,
    release_when_accepted: bool,
    attached_to_acceptance: bool,
    target_path: Path | None = None,
) -> bool:
    """Whether a part goes along when its record (or its acceptance) goes to `peer_path`.

    A part never goes where its record does not: an acceptance may travel further
    than the journal of what it accepts. Reach counts tiers up, so that it binds
    `up` and `node` journals only.

    Args:
        channel: The channel of the part's record.
        origin_path: Where that record was written.
        own_path: Where the sender stands.
        peer_path: Where the receiver stands.
        reach: How many tiers up the body may travel; 15 is the root.
        release_when_accepted: The part waits for an acceptance.
        attached_to_acceptance: The item at hand is that acceptance, not the record.
        target_path: As for `lanes_for`.

    Returns:
        True if the part belongs into this item. A part that waits goes with its
        header on the first hop only, since the origin's parent is who accepts;
        from there on with the acceptance, exactly once.
    """
    if lanes_for(channel, origin_path, own_path, peer_path, target_path) is None:
        return False
    audience = Channel.parse(channel).audience
    if audience in (Audience.NODE, Audience.UP) and not _within_reach(
        origin_path, peer_path, reach
    ):
        return False
    first_hop = own_path == origin_path
    waits = release_when_accepted and not first_hop
    return waits == attached_to_acceptance


def _is_parent(upper: Path, lower: Path) -> bool:
    # Without its last label an empty path would be its own parent.
    return bool(lower.labels) and lower.labels[:-1] == upper.labels


def _within_reach(origin_path: Path, peer_path: Path, reach: int) -> bool:
    return reach == REACH_ROOT or origin_path.depth - peer_path.depth <= reach


def _climbs(origin_path: Path, own_path: Path, peer_path: Path, reach: int) -> bool:
    upward = _is_parent(peer_path, own_path)
    return (
        upward and origin_path.is_within(own_path) and _within_reach(origin_path, peer_path, reach)
    )


def _nears(origin_path: Path, own_path: Path, peer_path: Path, target_path: Path) -> bool:
    # The way is fixed: up from the origin to the common ancestor, then down. A node
    # off that way sends nothing, whatever came to it.
    top = origin_path.common_ancestor(target_path)
    if _is_parent(peer_path, own_path):
        return origin_path.is_within(own_path) and peer_path.is_within(top)
    return own_path.is_within(top) and target_path.is_within(peer_path)
