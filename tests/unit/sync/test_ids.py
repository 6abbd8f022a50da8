import pytest

from yidao.sync import errors
from yidao.sync.ids import (
    Audience,
    Channel,
    JournalId,
    Lane,
    NetworkId,
    NodeId,
    Path,
    cosigner_name,
    id_from_hex,
    node_id,
)

NODE = NodeId(bytes(range(16)))
NETWORK = NetworkId(bytes(16))


@pytest.mark.parametrize(
    "text", ["/", "/33", "/33/3301", "/a-b/0", "/" + "/".join("abcdefghijklmno")]
)
def test_a_path_is_read_and_written_alike(text: str) -> None:
    """Every canonical path comes back as the same text."""
    assert str(Path.parse(text)) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "33",
        "//",
        "/33/",
        "/33//3301",
        "/AB",
        "/３３",
        "/33.1",
        "/..",
        "/%2e",
        "/33\n",
        "/33\x00",
        "/é",
        "/" + "a" * 33,
        "/" + "/".join("abcdefghijklmnop"),
    ],
)
def test_a_path_in_any_other_form_is_refused(text: str) -> None:
    """No second spelling of a path exists (corpus rows 28 and 74)."""
    with pytest.raises(errors.PathInvalid):
        Path.parse(text)


def test_paths_know_who_stands_above_whom() -> None:
    """Ancestry goes by whole labels, and a node is not its own ancestor."""
    province, city, other = Path.parse("/33"), Path.parse("/33/3301"), Path.parse("/330")
    assert Path().is_ancestor_of(province)
    assert province.is_ancestor_of(city)
    assert not province.is_ancestor_of(province)
    assert not province.is_ancestor_of(other)
    assert city.is_within(province)
    assert city.is_within(city)
    assert not other.is_within(province)
    assert city.parent == province
    assert Path().parent is None
    assert province.child("3301") == city
    assert city.common_ancestor(Path.parse("/33/3302/x")) == province
    assert city.common_ancestor(other) == Path()
    assert (Path().depth, city.depth) == (0, 2)


@pytest.mark.parametrize(
    ("text", "audience", "lane", "reach"),
    [
        ("node", Audience.NODE, Lane.CONTROL, 0),
        ("local", Audience.LOCAL, Lane.BULK, 0),
        ("up:1", Audience.UP, Lane.BULK, 1),
        ("up:15", Audience.UP, Lane.BULK, 15),
        ("up:15.urgent", Audience.UP, Lane.URGENT, 15),
        ("down", Audience.DOWN, Lane.URGENT, 0),
        ("down.control", Audience.DOWN, Lane.CONTROL, 0),
        ("to:" + NODE.hex(), Audience.TO, Lane.URGENT, 0),
    ],
)
def test_a_channel_names_audience_lane_and_reach(
    text: str, audience: Audience, lane: Lane, reach: int
) -> None:
    """Each channel is in exactly one lane and has one text form."""
    channel = Channel.parse(text)
    assert (channel.audience, channel.lane, channel.reach) == (audience, lane, reach)
    assert str(channel) == text
    assert channel.to == (NODE if audience is Audience.TO else None)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "up",
        "up:0",
        "up:16",
        "up:015",
        "up:1.bulk",
        "Node",
        "to:",
        "to:" + "0" * 31,
        "to:" + "A" * 32,
        "down.urgent",
        "node ",
        "up:1\n",
        "up:१",
    ],
)
def test_an_unknown_channel_is_refused(text: str) -> None:
    """A channel that names no audience does not exist."""
    with pytest.raises(errors.ChannelInvalid):
        Channel.parse(text)
    with pytest.raises(errors.ChannelInvalid):
        JournalId(node_id=NODE, channel=text, epoch="1")


@pytest.mark.parametrize("epoch", ["1", "12", "2-0123456789abcdef"])
def test_an_origin_is_read_and_written_alike(epoch: str) -> None:
    """A checkpoint origin names network and journal and nothing else."""
    journal = JournalId(node_id=NODE, channel="up:15.urgent", epoch=epoch)
    origin = journal.origin(NETWORK)
    assert origin == f"yidao/{'0' * 32}/{NODE.hex()}/up:15.urgent/{epoch}"
    assert JournalId.parse_origin(origin) == (NETWORK, journal)


@pytest.mark.parametrize("epoch", ["", "0", "01", "1-", "1-0123456789ABCDEF", "-1", "1\n", "1/2"])
def test_an_epoch_in_any_other_form_is_refused(epoch: str) -> None:
    """An epoch is a counter, or a counter with 64 random bits in hex."""
    with pytest.raises(errors.EpochInvalid):
        JournalId(node_id=NODE, channel="node", epoch=epoch)


@pytest.mark.parametrize(
    ("origin", "error"),
    [
        ("other/x", errors.OriginInvalid),
        ("yidao/a/b/c", errors.OriginInvalid),
        (f"fdx/{'0' * 32}/{'0' * 32}/node/1", errors.OriginInvalid),
        (f"yidao/{'0' * 31}g/{'0' * 32}/node/1", errors.IdInvalid),
        (f"yidao/{'0' * 32}/{'0' * 32}/node/1/", errors.OriginInvalid),
        (f"yidao/{'0' * 32}/{'0' * 32}/nod/1", errors.ChannelInvalid),
        (f"yidao/{'0' * 32}/{'0' * 32}/node/e1", errors.EpochInvalid),
    ],
)
def test_a_foreign_origin_is_refused(origin: str, error: type[errors.PeerError]) -> None:
    """Only canonical origins of Yidao are read."""
    with pytest.raises(error):
        JournalId.parse_origin(origin)


@pytest.mark.parametrize("value", [b"", bytes(15), bytes(17)])
def test_an_id_is_sixteen_bytes(value: bytes) -> None:
    """Another length is refused, in bytes and in hex."""
    with pytest.raises(errors.IdInvalid):
        node_id(value)
    with pytest.raises(errors.IdInvalid):
        id_from_hex(value.hex(), "node_id")
    with pytest.raises(errors.IdInvalid):
        JournalId(node_id=NodeId(value), channel="node", epoch="1")


def test_a_cosigner_has_a_name_of_its_own() -> None:
    """The cosigning key's name can be no log's origin."""
    name = cosigner_name(NETWORK, NODE)
    assert name == f"yidao/{'0' * 32}/{NODE.hex()}/cosign"
    with pytest.raises(errors.OriginInvalid):
        JournalId.parse_origin(name)
