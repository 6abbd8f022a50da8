"""R33, split view: what a tier shows to one child and to another is compared above it."""

import asyncio
import dataclasses
import time
from collections.abc import Callable
from typing import Any

import orjson
import pytest
from sqlalchemy import select

from yidao.node import witnesses
from yidao.node.store import tables
from yidao.node.witnesses import (
    KEPT_SIZES,
    MAX_NOTES,
    PROBLEM,
    SEEN,
    Witness,
    WitnessDecider,
    decode,
    encode,
)
from yidao.sync.checkpoint import Checkpoint, parse_checkpoint, sign_checkpoint
from yidao.sync.ids import JournalId

pytestmark = pytest.mark.parametrize("new_url", ["sqlite"], indirect=True)

Carry = Callable[..., Any]


def say(node: Any, tree: Any) -> int:
    """Let a node say what it was shown, three times over, and count its words."""
    for _ in range(3):
        asyncio.run(Witness(node.store, tree.clock, tree.random).run())
    own = node.identity.node_id
    records = node.store.records(0, 10_000)
    return sum(r.header.kind == SEEN and r.journal.node_id == own for r in records)


def shown(node: Any) -> list[Any]:
    """The problems of split views, once the decider has come to the end."""
    cursor, last = tables.cursor, node.store.last_position()
    name = select(cursor.c.position).where(cursor.c.name == WitnessDecider.name)
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        with node.store.read() as connection:
            if (connection.execute(name).scalar() or 0) >= last:
                return [p for p in node.store.problems() if p.code == PROBLEM]
        time.sleep(0.01)
    raise AssertionError("the decider did not come to the end")


@dataclasses.dataclass
class Split:
    """A nation, a province, and two cities of it.

    Attributes:
        second: A second store of the province, with the same keys: what a tier would need
            that wants to show its children different things.
    """

    tree: Any
    carry: Carry
    nation: Any
    province: Any
    second: Any
    city: Any
    other: Any

    def meet(self) -> None:
        """Bring what the cities have said to the nation, through the province."""
        for city in (self.city, self.other):
            say(city, self.tree)
            self.carry(city, self.province)
        self.carry(self.province, self.nation)


@pytest.fixture
def split(tree: Any, carry_all: Carry, new_url: Callable[[], str]) -> Split:
    """Both cities are enrolled by the same records, which both stores of the province hold."""
    nation = tree.node("/", deciders=[WitnessDecider()])
    province = tree.node("/33", nation)
    city = tree.node("/33/3301", province)
    other = tree.node("/33/3302", province)
    carry_all(province, nation)
    second = tree.open(new_url(), province.identity, (nation.enrolment,))
    return Split(tree, carry_all, nation, province, second, city, other)


def test_a_province_that_shows_its_cities_two_histories_is_proved_to_have_signed_both(
    split: Split,
) -> None:
    """The nation holds both signed notes, though it never gets the journal itself."""
    split.province.append("down", split.province.draft("save a tenth"))
    split.second.append("down", split.second.draft("save nothing"))
    split.carry(split.province, split.city)
    split.carry(split.second, split.other)
    split.meet()
    (problem,) = shown(split.nation)
    assert (problem.params["channel"], problem.params["size"]) == ("down", 1)
    notes = {problem.params["one"], problem.params["other"]}
    heads = {
        head.checkpoint.decode()
        for city in (split.city, split.other)
        for head in city.store.heads()
        if head.journal.channel == "down" and not head.own
    }
    assert notes == heads
    assert len(notes) == 2


def test_what_a_province_says_it_wrote_is_compared_with_what_one_city_was_shown(
    split: Split,
) -> None:
    """A single child is enough, where the author has stated its own journal above."""
    split.province.append("down", split.province.draft("save a tenth"))
    split.second.append("down", split.second.draft("save nothing"))
    assert say(split.province, split.tree) == 1
    split.carry(split.second, split.other)
    split.meet()
    assert len(shown(split.nation)) == 1


def test_one_history_at_two_speeds_is_no_split_view(split: Split) -> None:
    """A city that is behind holds less of the same journal, and accuses nobody by it."""
    split.province.append("down", split.province.draft("a"))
    split.carry(split.province, split.city)
    split.province.append("down", split.province.draft("b"))
    split.carry(split.province, split.other)
    split.meet()
    split.carry(split.province, split.city)
    split.meet()
    assert shown(split.nation) == []
    with split.nation.store.read() as conn:
        assert len(conn.execute(select(tables.seen_checkpoint)).all()) == 2


def test_a_node_says_once_what_it_was_shown(split: Split) -> None:
    """Nothing new, no new word."""
    split.province.append("down", split.province.draft("a"))
    split.carry(split.province, split.city)
    assert say(split.city, split.tree) == 1
    assert say(split.city, split.tree) == 1
    assert say(split.other, split.tree) == 0


def test_what_does_not_fit_into_one_word_is_said_in_the_next(
    split: Split, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Told is what was told; and who waits is not overtaken by what grows again."""
    monkeypatch.setattr(witnesses, "MAX_NOTES", 1)
    split.carry(split.province, split.city)
    split.province.append("down", split.province.draft("a"))
    split.province.append("down.control", split.province.draft("b"))
    split.carry(split.province, split.city)

    def notes() -> set[str]:
        witness = Witness(split.city.store, split.tree.clock, split.tree.random)
        asyncio.run(witness.run())
        own = split.city.identity.node_id
        said = [
            record.parts["core"]
            for record in split.city.store.records(0, 10_000)
            if record.header.kind == SEEN and record.journal.node_id == own
        ]
        return {parse_checkpoint(note).origin for core in said for note in decode(core)}

    assert len(notes()) == 1
    for channel in ("down", "down.control"):
        split.province.append(channel, split.province.draft(f"more {channel}"))
    split.carry(split.province, split.city)
    assert len(notes()) == 2


def forged(split: Split) -> dict[str, bytes]:
    """Notes by which a lying city would accuse its province."""
    down = JournalId(node_id=split.province.identity.node_id, channel="down", epoch="1")
    checkpoint = Checkpoint(
        origin=down.origin(split.nation.identity.network), size=1, root=bytes(32)
    )
    signed = sign_checkpoint(checkpoint, split.province.identity.journal)
    return {
        "signed by the city itself": sign_checkpoint(checkpoint, split.city.identity.journal),
        "another text under the signature": signed.replace(b"\n1\n", b"\n2\n"),
        "of another network": signed.replace(
            split.nation.identity.network.hex().encode(), b"0" * 32
        ),
        "no note": b"sample",
    }


@pytest.mark.parametrize(
    "kind",
    [
        "signed by the city itself",
        "another text under the signature",
        "of another network",
        "no note",
    ],
)
def test_a_city_cannot_accuse_by_what_the_province_did_not_sign(split: Split, kind: str) -> None:
    """Nothing but the author's own signature counts."""
    split.province.append("down", split.province.draft("a"))
    split.carry(split.province, split.other)
    core = encode([forged(split)[kind]])
    split.city.append("node", split.city.draft("lie", core, kind=SEEN, object_id="journals"))
    split.meet()
    assert shown(split.nation) == []
    with split.nation.store.read() as conn:
        assert len(conn.execute(select(tables.seen_checkpoint)).all()) == 1


def test_only_the_newest_sizes_are_kept(split: Split) -> None:
    """However long a tree lives, what is kept of a journal is bounded."""
    for number in range(KEPT_SIZES + 3):
        split.province.append("down", split.province.draft(f"order {number}"))
        split.carry(split.province, split.city)
        say(split.city, split.tree)
    split.meet()
    assert shown(split.nation) == []
    with split.nation.store.read() as conn:
        sizes = conn.execute(select(tables.seen_checkpoint.c.size)).scalars().all()
    assert sorted(sizes) == list(range(4, KEPT_SIZES + 4))


CORES = {
    "nothing": b"",
    "a list": b"[]",
    "not JSON": b"\xff",
    "a number for notes": orjson.dumps({"seen": 7}),
    "a giant note": orjson.dumps({"seen": ["x" * 5_000]}),
    "too many notes": orjson.dumps({"seen": ["x"] * (MAX_NOTES + 1)}),
}


def test_a_malformed_word_says_nothing(split: Split) -> None:
    """It is kept as a record; nothing of it is believed."""
    for name, core in CORES.items():
        assert decode(core) == (), name
        split.city.append("node", split.city.draft(name, core, kind=SEEN, object_id="journals"))
    split.meet()
    assert shown(split.nation) == []
