"""What links ask of a store for many at once: it must say what asking for each would say."""

from collections.abc import Callable
from typing import Any

import pytest

from yidao.node.store import aside
from yidao.node.store.linkreads import Seen
from yidao.sync.ids import Lane, Path
from yidao.sync.message import Frame, LaneCursor


@pytest.fixture
def fan(tree: Any) -> tuple[Any, list[Any]]:
    """A root with three children; the first has a child of its own."""
    root = tree.node("/")
    children = [tree.node(f"/{number}", root) for number in (31, 32, 33)]
    return root, children


def letter_to(source: Any, target: Any, name: str) -> None:
    """Append something that goes to one node alone."""
    source.append(f"to:{target.identity.node_id.hex()}", source.draft(name))


class TestArrivals:
    def test_a_look_says_where_everything_goes_and_the_next_one_nothing(
        self, fan: tuple[Any, list[Any]], carry_all: Callable[..., Any]
    ) -> None:
        """Up, down to all, to one; each with the last position of its lane."""
        root, (first, *_) = fan
        before = root.store.seen()
        positions = root.append("down", root.draft("a"), root.draft("b"))
        letter_to(root, first, "c")
        arrivals = root.store.arrivals(before)
        assert arrivals.seen == Seen(position=root.store.last_position(), cosignature=0)
        assert arrivals.down == {Lane.URGENT: positions[-1]}
        ((target, heads),) = arrivals.to.items()
        assert (target, max(heads.values())) == (Path.parse("/31"), root.store.last_position())
        assert arrivals.up == {}, "a root has nobody above"
        again = root.store.arrivals(arrivals.seen)
        assert (again.up, again.down, again.to, again.receipts_of) == ({}, {}, {}, ())
        # A child has something for its parent; what was cosigned is told by its origins.
        before = first.store.seen()
        first.append("up:15", first.draft("a"))
        assert Lane.BULK in first.store.arrivals(before).up
        seen = root.store.seen()
        carry_all(first, root)
        arrivals = root.store.arrivals(seen)
        assert arrivals.receipts_of == (Path.parse("/31"),)
        assert arrivals.seen.cosignature > seen.cosignature


class TestLocate:
    def test_heads_are_those_that_a_read_would_find(self, fan: tuple[Any, list[Any]]) -> None:
        """For every child and every place to stand: beyond the head a lane has nothing."""
        root, children = fan
        root.append("down", root.draft("a"))
        (shared,) = root.append("down", root.draft("b"))
        # Asked for after one that it is not for, and behind everything that is for all.
        letter_to(root, children[1], "c")
        last = root.store.last_position()
        items, _ = root.store.read_lane(children[1].peer, Lane.URGENT, 0, last, 1 << 20)
        cursor = LaneCursor(
            lane=Lane.URGENT,
            position=items[0].last_position,
            checkpoint_sha256=items[0].checkpoint_sha256,
        )
        asked = [(child.peer, cursors) for child in children for cursors in ((), (cursor,))]
        for (peer, cursors), found in zip(asked, root.store.locate(asked), strict=True):
            assert (found.right, found.position) == (cursors, last)
            after = {each.lane: each.position for each in cursors}
            for lane in Lane:
                start = after.get(lane, 0)
                read, _ = root.store.read_lane(peer, lane, start, last, 1 << 20)
                assert found.heads[lane] == (read[-1].last_position if read else 0)
        # What is of another store is not right, and its lane starts over.
        false = LaneCursor(lane=Lane.URGENT, position=last, checkpoint_sha256=bytes(32))
        (found,) = root.store.locate([(children[0].peer, (false,))])
        assert found.right == ()
        assert found.heads[Lane.URGENT] == shared
        # Only a stretch without letters may be read once for all children.
        lanes = {lane for lane in Lane if not root.store.is_for_all(lane, 0, last)}
        assert len(lanes) == 1
        assert all(root.store.is_for_all(lane, 0, shared) for lane in Lane)


class TestGreetings:
    def test_each_is_told_what_it_alone_would_be_told(
        self, fan: tuple[Any, list[Any]], carry_all: Callable[..., Any]
    ) -> None:
        """Cursors, holdings, what is held, problems: those of that peer, in order."""
        root, children = fan
        first, second, third = children
        first.append("up:15", first.draft("a"))
        carry_all(first, root)
        root.append("down", root.draft("b"))
        carry_all(root, second)
        root.store.run(
            lambda tx: tx.raise_problem("LINK_REFUSED", peer=third.identity.node_id, reason="x")
        )
        peers = [child.peer for child in children]
        found = root.store.greetings(peers)
        for peer, greeting in zip(peers, found, strict=True):
            assert greeting.cursors == root.store.cursors(peer)
            assert greeting.wanted == root.store.wanted(peer)
            assert (greeting.held, greeting.receipts) == root.store.told(peer)
            if not greeting.cursors:
                assert greeting.holdings == root.store.holdings(peer)
        assert [bool(each.cursors) for each in found] == [True, False, False]
        assert [bool(each.held) for each in found] == [True, False, False]
        assert [each.problems for each in found] == [set(), set(), {"LINK_REFUSED"}]
        assert not any(each.forked for each in found)
        # Receipts are looked for where journals were cosigned.
        located = root.store.locate([(peer, ()) for peer in peers])
        assert [each.receipts for each in located] == [True, False, False]
        assert [bool(root.store.receipts(peer)[0]) for peer in peers] == [True, False, False]


class TestStanding:
    def test_of_one_and_of_all(self, fan: tuple[Any, list[Any]]) -> None:
        """Where it stands, with which key, whether it is put aside; a stranger has none."""
        root, children = fan
        away = children[1].identity.node_id
        root.store.run(lambda tx: aside.put(tx.conn, away))
        all_of_them = root.store.children()
        ids = [child.identity.node_id for child in children]
        assert set(ids) <= set(all_of_them)
        for child, node_id in zip(children, ids, strict=True):
            found = root.store.standing_of(node_id)
            assert found == all_of_them[node_id]
            assert found.path == child.identity.path
            assert found.tls_sha256 == child.enrolment.tls_sha256
            assert (found.revoked, found.aside) == (False, node_id == away)
        assert root.store.standing_of(bytes(16)) is None
        # Acknowledgements of many are noted as if each had been noted alone.
        root.store.run(lambda tx: tx.note_acks({node_id: {1: 5, 2: 7} for node_id in ids}))
        root.store.run(lambda tx: tx.note_acks({ids[0]: {2: 9}}))
        assert root.store.acknowledged(ids[0]) == {Lane(1): 5, Lane(2): 9}
        assert root.store.acknowledged(ids[2]) == {Lane(1): 5, Lane(2): 7}


def test_a_commit_says_of_itself_what_a_look_finds(
    fan: tuple[Any, list[Any]], carry_all: Callable[..., Any]
) -> None:
    """Where one daemon has the database; and nothing of a job that was undone."""
    root, (first, *_) = fan
    if first.store.is_shared:
        pytest.skip("another daemon may write in between, so that it is always looked")
    told: list[Any] = []
    carry_all(root, first)
    before = first.store.seen()
    first.store.on_commit(told.append)
    root.append("down", root.draft("a"), root.draft("b"))
    letter_to(root, first, "c")
    items, _ = root.store.read_lane(first.peer, Lane.URGENT, 0, 1_000, 900_000)
    frame = Frame(lane=Lane.URGENT, items=items, after_position=0)

    def undone(tx: Any) -> None:
        tx.ingest(root.peer, frame)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        first.store.run(undone)
    first.store.run(lambda _tx: None)
    assert {each.seen for each in told} == {Seen(position=before.position)}
    assert not any(each.up or each.down or each.to for each in told)
    first.append("up:15", first.draft("d"))
    first.store.run(lambda _tx: None)
    looked = first.store.arrivals(before)
    (found,) = [each for each in told if each.up]
    assert (found.since, found.up, found.down, found.to) == (
        before.position,
        looked.up,
        looked.down,
        looked.to,
    )
    assert found.seen.position == looked.seen.position
