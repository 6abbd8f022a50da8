"""What a revocation says, who may write one, and how several of them add up."""

import itertools
from typing import Any

import orjson
import pytest

from yidao.sync import errors
from yidao.sync.ids import JournalId, NodeId, Path
from yidao.sync.revocation import (
    MAX_CORE_BYTES,
    MAX_LINES,
    CutLine,
    Reason,
    Revocation,
    check_authority,
    valid_size,
)

NODE = NodeId(bytes(range(16)))


def revocation(*cut: tuple[str, str, int], path: str = "/33/3301") -> Revocation:
    """A sample revocation with that cut."""
    lines = tuple(CutLine(channel=c, epoch=e, size=s) for c, e, s in cut)
    return Revocation(
        node_id=NODE,
        path=Path.parse(path),
        reason=Reason.KEY_STOLEN,
        operator="admin@/33",
        cut=lines,
    )


def journal(channel: str, epoch: str = "1") -> JournalId:
    """A journal of the sample node."""
    return JournalId(node_id=NODE, channel=channel, epoch=epoch)


SAMPLE = revocation(("node", "1", 7), ("up:15", "1", 3))


def test_a_revocation_is_read_and_written_alike() -> None:
    """The core has one form, and a later version may add members to it."""
    assert Revocation.decode(SAMPLE.encode()) == SAMPLE
    longer = orjson.loads(SAMPLE.encode()) | {"zone": "added by a later version"}
    assert Revocation.decode(orjson.dumps(longer, option=orjson.OPT_SORT_KEYS)) == SAMPLE


LINE = {"channel": "node", "epoch": "1", "size": 7}


@pytest.mark.parametrize(
    ("change", "error"),
    {
        "an id that is short": ({"node_id": "00"}, errors.IdInvalid),
        "no id": ({"node_id": None}, errors.RevocationMalformed),
        "a path that is none": ({"path": "33"}, errors.PathInvalid),
        "a reason that is none": ({"reason": "bored"}, errors.RevocationMalformed),
        "an operator without end": ({"operator": "x" * 513}, errors.RevocationMalformed),
        "a cut that is no list": ({"cut": {}}, errors.RevocationMalformed),
        "a line that is no object": ({"cut": [7]}, errors.RevocationMalformed),
        "a negative size": ({"cut": [LINE | {"size": -1}]}, errors.RevocationMalformed),
        "a size that is true": ({"cut": [LINE | {"size": True}]}, errors.RevocationMalformed),
        "a size past 63 bits": ({"cut": [LINE | {"size": 2**63}]}, errors.RevocationMalformed),
        "no such channel": ({"cut": [LINE | {"channel": "sideways"}]}, errors.ChannelInvalid),
        "no such epoch": ({"cut": [LINE | {"epoch": "0"}]}, errors.EpochInvalid),
        "a journal twice": ({"cut": [LINE, LINE | {"size": 8}]}, errors.RevocationMalformed),
        "journals out of order": (
            {"cut": [LINE | {"channel": "up:15"}, LINE]},
            errors.RevocationMalformed,
        ),
    }.values(),
    ids=lambda value: str(value)[:50],
)
def test_a_wrong_core_is_refused_by_type(change: dict[str, Any], error: type[Exception]) -> None:
    """Nothing of a wrong revocation is believed."""
    core = orjson.loads(SAMPLE.encode()) | change
    with pytest.raises(error):
        Revocation.decode(orjson.dumps(core, option=orjson.OPT_SORT_KEYS))


@pytest.mark.parametrize(
    "data",
    {
        "nothing": b"",
        "a list": b"[]",
        "no text": b"\xff",
        "another form of the same": SAMPLE.encode().replace(b":", b": "),
        "a member twice": SAMPLE.encode().replace(b'{"cut"', b'{"cut":[],"cut"'),
        "a giant": b" " * (MAX_CORE_BYTES + 1),
    }.values(),
    ids=lambda data: data[:20].decode("latin-1"),
)
def test_other_bytes_are_refused(data: bytes) -> None:
    """There is one form, so that nobody reads two things out of it."""
    with pytest.raises(errors.RevocationMalformed):
        Revocation.decode(data)


def test_a_cut_has_a_limit_at_both_ends() -> None:
    """What could not be read back is not written."""
    most = [("up:15", str(number), 1) for number in sorted(range(1, MAX_LINES + 2), key=str)]
    full = revocation(*most[:-1])
    assert Revocation.decode(full.encode()) == full
    with pytest.raises(errors.RevocationMalformed):
        revocation(*most).encode()


@pytest.mark.parametrize(
    ("writer", "may"),
    {
        "the parent": ("/33", True),
        "the root": ("/", True),
        "the node itself": ("/33/3301", False),
        "a sibling": ("/33/3302", False),
        "a node below": ("/33/3301/330106", False),
        "another province": ("/34", False),
        "a name that begins alike": ("/3", False),
    }.values(),
)
def test_only_who_stands_above_may_revoke(writer: str, may: bool) -> None:
    """Authority comes from above; everybody else's word is a verdict."""
    if may:
        check_authority(SAMPLE, Path.parse(writer))
        return
    with pytest.raises(errors.RevocationUnauthorised):
        check_authority(SAMPLE, Path.parse(writer))


@pytest.mark.parametrize(
    ("cuts", "channel", "epoch", "valid"),
    {
        "nobody revoked it": ([], "up:15", "1", None),
        "listed": ([[("up:15", "1", 3)]], "up:15", "1", 3),
        "not listed": ([[("up:15", "1", 3)]], "node", "1", 0),
        "another epoch": ([[("up:15", "1", 3)]], "up:15", "2", 0),
        "two, the smaller counts": ([[("up:15", "1", 3)], [("up:15", "1", 2)]], "up:15", "1", 2),
        "two, one does not list it": ([[("up:15", "1", 3)], []], "up:15", "1", 0),
    }.values(),
)
def test_the_smallest_cut_counts_whatever_the_order(
    cuts: list[list[tuple[str, str, int]]], channel: str, epoch: str, valid: int | None
) -> None:
    """Tiers that hear of the revocations in other orders come to the same end."""
    for order in itertools.permutations(cuts):
        found = [revocation(*cut) for cut in order]
        assert valid_size(found, journal(channel, epoch)) == valid
