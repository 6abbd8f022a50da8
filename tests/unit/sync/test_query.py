"""A question goes the one way there is, and is believed only as its asker signed it."""

from dataclasses import replace

import pytest

from yidao.api.link.v1 import link_pb2 as pb
from yidao.sync import errors
from yidao.sync.ids import NetworkId, NodeId, Path
from yidao.sync.query import (
    MAX_LIFE_MS,
    MAX_QUESTION_BYTES,
    Hop,
    check_question,
    make_question,
    next_hop,
    read_question,
    to_proto,
)
from yidao.sync.suite import Ed25519Signer

NETWORK = NetworkId(bytes(16))
ASKER = NodeId(bytes(range(16)))
SIGNER = Ed25519Signer(bytes(range(32)))
NOW_MS = 1_790_000_000_000


def question(**changed: object):
    given = {
        "query_id": bytes(range(16, 32)),
        "network": NETWORK,
        "asker": ASKER,
        "target": Path.parse("/33"),
        "kind": "status",
        "expires_ms": NOW_MS + 10_000,
        "signer": SIGNER,
    }
    given.update(changed)
    return make_question(**given)


@pytest.mark.parametrize(
    ("own", "target", "came_from", "hop", "path"),
    [
        ("/33", "/33", None, Hop.HERE, "/33"),
        ("/", "/33/3301", None, Hop.DOWN, "/33"),
        ("/", "/33/3301", "/44", Hop.DOWN, "/33"),
        ("/33", "/33/3301/330106", "/", Hop.DOWN, "/33/3301"),
        ("/33/3301", "/44", None, Hop.UP, "/33"),
        ("/33/3301", "/33", "/33/3301/330106", Hop.UP, "/33"),
    ],
)
def test_the_way_goes_up_to_the_common_ancestor_and_down(own, target, came_from, hop, path):
    """One next node, known from the two paths alone."""
    before = None if came_from is None else Path.parse(came_from)
    found = next_hop(Path.parse(own), Path.parse(target), came_from=before)
    assert found == (hop, Path.parse(path))


def test_a_question_that_came_down_never_goes_up_again():
    """So it cannot run in a circle."""
    with pytest.raises(errors.QueryUnroutable):
        next_hop(Path.parse("/33"), Path.parse("/44"), came_from=Path.parse("/"))


def test_r58_a_question_never_goes_back_to_where_it_came_from():
    """A node below that hands its own question up again is told that it runs in a circle."""
    with pytest.raises(errors.QueryLooped):
        next_hop(Path.parse("/"), Path.parse("/33/3301"), came_from=Path.parse("/33"))


def check(asked, *, network=NETWORK, now_ms=NOW_MS, key=SIGNER.public_key):
    check_question(asked, network=network, now_ms=now_ms, asker_key=key)


def test_a_question_survives_its_way():
    """What is read from the message is what was asked, byte for byte, and it checks."""
    asked = question()
    arrived = read_question(pb.Query.FromString(to_proto(asked).SerializeToString()))
    assert arrived == asked
    check(arrived)


@pytest.mark.parametrize(
    ("case", "error"),
    [
        ("another network", errors.QueryForeign),
        ("an unknown asker", errors.QueryForeign),
        ("over", errors.QueryExpired),
        ("the very moment it ends", errors.QueryExpired),
        ("too far off", errors.QueryExpired),
        ("another key", errors.QuerySignatureInvalid),
        ("another query id", errors.QuerySignatureInvalid),
    ],
)
def test_a_question_is_believed_only_whole_and_in_time(case, error):
    """Each check is needed: without it that question would be answered."""
    cases = {
        "another network": lambda: check(question(), network=NetworkId(bytes([1]) * 16)),
        "an unknown asker": lambda: check(question(), key=None),
        "over": lambda: check(question(), now_ms=NOW_MS + 10_001),
        "the very moment it ends": lambda: check(question(), now_ms=NOW_MS + 10_000),
        "too far off": lambda: check(question(expires_ms=NOW_MS + 2 * MAX_LIFE_MS + 1)),
        "another key": lambda: check(question(), key=Ed25519Signer(bytes(32)).public_key),
        "another query id": lambda: check(replace(question(), query_id=bytes(16))),
    }
    with pytest.raises(error):
        cases[case]()


def test_every_changed_byte_of_a_question_is_noticed():
    """In its body: either it is no question any more or its signature fails."""
    asked = question()
    for at in range(len(asked.body)):
        body = asked.body[:at] + bytes([asked.body[at] ^ 1]) + asked.body[at + 1 :]
        message = pb.Query(query_id=asked.query_id, body=body, signature=asked.signature)
        with pytest.raises(errors.PeerError):
            check(read_question(message))


@pytest.mark.parametrize(
    "message",
    [
        pb.Query(),
        pb.Query(query_id=bytes(15), body=question().body),
        pb.Query(query_id=bytes(16), body=b"\xff\xff"),
        pb.Query(query_id=bytes(16), body=bytes(MAX_QUESTION_BYTES + 1)),
        pb.Query(query_id=bytes(16), body=pb.QueryBody(target="../x").SerializeToString()),
        pb.Query(query_id=bytes(16), body=pb.QueryBody(target="/33").SerializeToString()),
    ],
)
def test_what_is_no_question_is_refused(message):
    """With a typed error, before anything is looked up."""
    with pytest.raises(errors.QueryMalformed):
        read_question(message)
