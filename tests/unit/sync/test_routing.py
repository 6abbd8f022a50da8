from itertools import pairwise

import pytest

from yidao.sync import errors
from yidao.sync.ids import Lane, Path
from yidao.sync.routing import lane_of, lanes_for, part_goes

ROOT, PROVINCE, CITY = Path(), Path.parse("/33"), Path.parse("/33/3301")
COUNTY, AGENCY = Path.parse("/33/3301/330106"), Path.parse("/33/3301/330106/a")
SISTER, OTHER_CITY = Path.parse("/33/3301/330110"), Path.parse("/33/3302")
TREE = (ROOT, PROVINCE, CITY, COUNTY, AGENCY, SISTER, OTHER_CITY)
TO = "to:" + "ab" * 16

ROUTES = {
    "node climbs to the root": ("node", AGENCY, PROVINCE, ROOT, Lane.CONTROL),
    "node of the sender": ("node", COUNTY, COUNTY, CITY, Lane.CONTROL),
    "node does not come down": ("node", CITY, CITY, COUNTY, None),
    "node of a sister stays away": ("node", SISTER, CITY, COUNTY, None),
    "local stays": ("local", COUNTY, COUNTY, CITY, None),
    "up climbs to the root": ("up:15", AGENCY, PROVINCE, ROOT, Lane.BULK),
    "up does not come down": ("up:15", CITY, CITY, COUNTY, None),
    "up by one tier reaches the parent": ("up:1", AGENCY, AGENCY, COUNTY, Lane.BULK),
    "up by one tier stops there": ("up:1", AGENCY, COUNTY, CITY, None),
    "up by two tiers reaches the second": ("up:2.urgent", AGENCY, COUNTY, CITY, Lane.URGENT),
    "up by two tiers stops there": ("up:2.urgent", AGENCY, CITY, PROVINCE, None),
    "up of somebody else's child": ("up:15", OTHER_CITY, CITY, PROVINCE, None),
    "down reaches a child": ("down", CITY, CITY, COUNTY, Lane.URGENT),
    "down reaches a grandchild": ("down.control", ROOT, CITY, COUNTY, Lane.CONTROL),
    "down does not climb": ("down", CITY, CITY, PROVINCE, None),
    "down of a child does not come back": ("down", AGENCY, COUNTY, AGENCY, None),
    "down of a sister": ("down", SISTER, CITY, COUNTY, None),
}


@pytest.mark.parametrize(
    ("channel", "origin", "own", "peer", "lane"), ROUTES.values(), ids=ROUTES.keys()
)
def test_route(channel: str, origin: Path, own: Path, peer: Path, lane: Lane | None) -> None:
    """A journal goes where its channel's audience is, in its channel's lane."""
    assert lanes_for(channel, origin, own, peer) is lane


def hops(channel: str, origin: Path, target: Path | None = None) -> set[tuple[str, str]]:
    links = [(a, b) for a in TREE for b in TREE if a.parent == b or b.parent == a]
    return {
        (str(own), str(peer))
        for own, peer in links
        if lanes_for(channel, origin, own, peer, target) is not None
    }


WAYS = {
    "to a cousin, through the common ancestor": (
        AGENCY,
        OTHER_CITY,
        [AGENCY, COUNTY, CITY, PROVINCE, OTHER_CITY],
    ),
    "to an ancestor": (AGENCY, PROVINCE, [AGENCY, COUNTY, CITY, PROVINCE]),
    "to a descendant": (PROVINCE, AGENCY, [PROVINCE, CITY, COUNTY, AGENCY]),
    "to a sister": (COUNTY, SISTER, [COUNTY, CITY, SISTER]),
}


@pytest.mark.parametrize(("origin", "target", "way"), WAYS.values(), ids=WAYS.keys())
def test_addressed_journal_takes_the_one_way(origin: Path, target: Path, way: list[Path]) -> None:
    """A `to` journal takes the way through the common ancestor, and no other link."""
    names = [str(path) for path in way]
    assert hops(TO, origin, target) == set(pairwise(names))


def test_addressed_journal_climbs_to_who_knows_the_recipient() -> None:
    """Whoever does not know the recipient's place passes the journal up, never down."""
    assert hops(TO, COUNTY, None) == {
        (str(COUNTY), str(CITY)),
        (str(CITY), str(PROVINCE)),
        (str(PROVINCE), str(ROOT)),
    }


@pytest.mark.parametrize("channel", ["node", "up:15", "up:1", "up:15.urgent", "down", TO])
def test_no_journal_comes_back(channel: str) -> None:
    """No link carries a journal both ways, so nothing circles."""
    for origin in TREE:
        for target in TREE:
            taken = hops(channel, origin, target)
            assert not {(b, a) for a, b in taken} & taken


@pytest.mark.parametrize("peer", [ROOT, PROVINCE, SISTER, COUNTY])
def test_strangers_have_no_link(peer: Path) -> None:
    """A question about two nodes that are not parent and child is a mistake of ours."""
    with pytest.raises(errors.NotAdjacent):
        lanes_for("up:15", COUNTY, COUNTY, peer)


def test_lane_of_a_channel() -> None:
    """Each channel that travels has one lane."""
    channels = ["node", "down.control", "down", TO, "up:15.urgent", "up:3", "local"]
    assert [lane_of(channel) for channel in channels] == [
        Lane.CONTROL,
        Lane.CONTROL,
        Lane.URGENT,
        Lane.URGENT,
        Lane.URGENT,
        Lane.BULK,
        None,
    ]


PARTS = {
    # reach, waits, attached, own, peer, goes
    "open part, first hop": (15, False, False, AGENCY, COUNTY, True),
    "open part, last hop": (15, False, False, PROVINCE, ROOT, True),
    "open part, with an acceptance again": (15, False, True, COUNTY, CITY, False),
    "part of reach two at its last tier": (2, False, False, COUNTY, CITY, True),
    "part of reach two beyond it": (2, False, False, CITY, PROVINCE, False),
    "part of reach zero stays": (0, False, False, AGENCY, COUNTY, False),
    "waiting part goes to the parent": (15, True, False, AGENCY, COUNTY, True),
    "waiting part goes no further with its header": (15, True, False, COUNTY, CITY, False),
    "waiting part goes on with the acceptance": (15, True, True, COUNTY, CITY, True),
    "waiting part goes on further up": (15, True, True, PROVINCE, ROOT, True),
    "accepted part beyond its reach": (2, True, True, CITY, PROVINCE, False),
}


@pytest.mark.parametrize(
    ("reach", "waits", "attached", "own", "peer", "goes"), PARTS.values(), ids=PARTS.keys()
)
def test_part_goes_as_far_as_it_may(
    reach: int, waits: bool, attached: bool, own: Path, peer: Path, goes: bool
) -> None:
    """A part travels within its reach, once a hop, and early only to the origin's parent."""
    assert goes is part_goes(
        "up:15",
        AGENCY,
        own,
        peer,
        reach=reach,
        release_when_accepted=waits,
        attached_to_acceptance=attached,
    )


def test_part_goes_nowhere_without_its_record() -> None:
    """The acceptance of a record that stays at the parent takes no part of it further."""
    rule = {"reach": 15, "release_when_accepted": True, "attached_to_acceptance": True}
    assert part_goes("up:2", AGENCY, COUNTY, CITY, **rule)
    assert not part_goes("up:1", AGENCY, COUNTY, CITY, **rule)


def test_reach_does_not_bind_what_goes_down() -> None:
    """Reach counts tiers up; a directive's body goes to everybody below."""
    rule = {"reach": 1, "release_when_accepted": False, "attached_to_acceptance": False}
    assert part_goes("down", ROOT, CITY, COUNTY, **rule)
    assert not part_goes("local", CITY, CITY, PROVINCE, **rule)
