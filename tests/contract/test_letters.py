"""Letters are readable at both ends and at no tier between."""

import hashlib
from collections.abc import Callable
from dataclasses import replace
from typing import Any
from unittest.mock import patch

import pytest
from sqlalchemy import func, select, update

from yidao.node.store import letters, tables
from yidao.node.store.errors import PartUnexpected
from yidao.node.store.parterrors import SealedPartUnreadable
from yidao.node.store.values import DraftPart
from yidao.sync.epoch import Cause
from yidao.sync.ids import Lane
from yidao.sync.message import Frame
from yidao.sync.partsrun import SealedPart
from yidao.sync.record import Grade
from yidao.sync.sealing import X25519Box
from yidao.sync.suite import Ed25519Signer
from yidao.sync.suiteerrors import SuiteUnavailable

SECRET = "样例：此件仅收件人可读".encode()


@pytest.fixture
def road(tree: Any) -> tuple[Any, Any, Any]:
    """A root, a province, and a city to which letters go."""
    root = tree.node("/")
    province = tree.node("/33", root)
    return root, province, tree.node("/33/3301", province)


def letter(author: Any, to: Any, name: str = "a", body: bytes = SECRET) -> int:
    """Write a letter and return its position."""
    part = DraftPart(name="core", body=body, grade=Grade.L3)
    draft = author.draft(name, parts=(part,))
    return author.append(f"to:{to.identity.node_id.hex()}", draft)[0]


def found(node: Any, author: Any, to: Any) -> Any:
    """The author's journal of letters as a node holds it."""
    channel = f"to:{to.identity.node_id.hex()}"
    return next(
        head
        for head in node.store.heads()
        if head.journal.node_id == author.identity.node_id and head.journal.channel == channel
    )


def bodies(node: Any, author: Any, to: Any) -> dict[int, bytes]:
    """The bodies of letters that a node can read."""
    head = found(node, author, to)
    held = node.store.parts_of(head.pk, range(head.size))
    return {seq: named["core"].body for seq, named in held.items()}


def count(node: Any, table: Any = tables.sealed_part) -> int:
    """How many rows a table has."""
    with node.store.read() as conn:
        return conn.execute(select(func.count()).select_from(table)).scalar_one()


def everything(node: Any) -> bytes:
    """Every byte of every row that a node holds."""
    with node.store.read() as conn:
        rows = [
            value if isinstance(value, bytes) else str(value).encode()
            for table in tables.metadata.sorted_tables
            for row in conn.execute(select(table))
            for value in row
        ]
    return b"\n".join(rows)


@pytest.mark.parametrize("way", ["down", "up"])
def test_a_letter_is_read_at_both_ends_and_passes_the_tier_between_sealed(
    road: tuple[Any, Any, Any], carry_all: Callable[..., Any], way: str
) -> None:
    """Root and city read it; nothing in the province's store holds the words."""
    root, province, city = road
    carry_all(city, province)
    carry_all(province, root)
    carry_all(root, province)
    carry_all(province, city)
    author, to = (root, city) if way == "down" else (city, root)
    position = letter(author, to)
    carry_all(author, province)
    carry_all(province, to)
    assert bodies(author, author, to) == bodies(to, author, to) == {0: SECRET}
    assert bodies(province, author, to) == {}
    assert SECRET not in everything(province)
    assert SECRET in everything(to)
    assert count(province) == 1
    assert count(to) == count(author) == 0
    # Both ends can prove it to an outsider, plain; the tier between the header alone.
    proven = to.store.prove(held_at(to, author, to))
    assert proven.parts == author.store.prove(position).parts != ()
    assert province.store.prove(held_at(province, author, to)).parts == ()
    for node in road:
        assert node.store.scrub().faults == ()


def held_at(node: Any, author: Any, to: Any) -> int:
    """Where a node holds the first letter."""
    pk = found(node, author, to).pk
    with node.store.read() as conn:
        position = select(tables.segment.c.position).where(tables.segment.c.journal_id == pk)
        return int(conn.execute(position.order_by(tables.segment.c.first_seq)).scalars().first())


@pytest.mark.parametrize("harm", ["a changed byte", "of another record", "cut short"])
def test_a_tier_that_tampers_with_a_letter_is_found_out_by_its_recipient(
    road: tuple[Any, Any, Any], carry_all: Callable[..., Any], harm: str
) -> None:
    """The journal of letters waits, by name; when the right bytes come, it goes on."""
    root, province, city = road
    carry_all(city, province)
    carry_all(province, root)
    letter(root, city)
    letter(root, city, "b")
    carry_all(root, province)
    with province.store.read() as conn:
        rows = conn.execute(select(tables.sealed_part).order_by(tables.sealed_part.c.seq)).all()
    good = rows[0].ciphertext
    bad = {
        "a changed byte": good[:-1] + bytes((good[-1] ^ 1,)),
        "of another record": rows[1].ciphertext,
        "cut short": good[:20],
    }[harm]

    def put(ciphertext: bytes) -> None:
        mine = tables.sealed_part.c.seq == 0
        change = update(tables.sealed_part).where(mine).values(ciphertext=ciphertext)
        province.store.run(lambda tx: tx.conn.execute(change).rowcount)

    put(bad)
    outcomes = carry_all(province, city)
    code = PartUnexpected.code if harm == "cut short" else SealedPartUnreadable.code
    assert [refusal.code for outcome in outcomes for refusal in outcome.refusals] == [code]
    wanted = city.store.wanted(province.peer)
    assert [holding.size for holding in wanted] == [0]
    put(good)
    items = province.store.read_backfill(
        city.peer, wanted[0].journal, 0, province.store.last_position(), 1 << 20
    )
    frame = Frame(lane=Lane.URGENT, items=items, after_position=1 << 40, backfill=True)
    city.store.run(lambda tx: tx.ingest(province.peer, frame))
    assert bodies(city, root, city) == {0: SECRET, 1: SECRET}


def test_a_tier_between_drops_what_the_next_one_has_signed_for(
    tree: Any, road: tuple[Any, Any, Any], carry_all: Callable[..., Any]
) -> None:
    """Not before it is signed for, and not for a month after."""
    root, province, city = road
    carry_all(city, province)
    carry_all(province, root)
    letter(root, city)
    carry_all(root, province)
    shed = lambda: province.store.run(lambda tx: tx.shed_letters())  # noqa: E731
    tree.clock.now_ms += letters.KEPT_MS
    assert (shed(), count(province)) == (0, 1)
    carry_all(province, city)
    receipts, _ = city.store.receipts(province.peer)
    for receipt in receipts:
        province.store.run(lambda tx, r=receipt: tx.add_receipt(city.peer, r))
    tree.clock.now_ms -= 1
    assert (shed(), count(province)) == (0, 1)
    tree.clock.now_ms += 1
    assert (shed(), count(province)) == (1, 0)
    assert bodies(city, root, city) == {0: SECRET}


def test_a_letter_of_before_the_sealing_still_arrives(
    road: tuple[Any, Any, Any], carry_all: Callable[..., Any]
) -> None:
    """A plain part of a letter, as an older program sends it, is taken and read."""
    root, province, city = road
    carry_all(city, province)
    carry_all(province, root)
    letter(root, city)
    with patch("yidao.node.store.lanes.LaneReader._letter", lambda *args: args[-1]):
        carry_all(root, province)
    carry_all(province, city)
    assert bodies(city, root, city) == {0: SECRET}


def test_what_is_sealed_for_nobody_is_refused(
    road: tuple[Any, Any, Any], carry_all: Callable[..., Any]
) -> None:
    """A sealed part in a journal that is no letter could hide anything."""
    _, province, city = road
    city.append("up:15", city.draft("a"))

    def as_sealed(_reader: Any, _owner: Any, _row: Any, _headers: Any, _seq: int, part: Any) -> Any:
        return SealedPart(name=part.name, ciphertext=bytes(len(part.body) + 81))

    with (
        patch("yidao.node.store.lanes.LaneReader._whole_run", return_value=()),
        patch("yidao.node.store.lanes.LaneReader._letter", as_sealed),
    ):
        outcomes = carry_all(city, province)
    assert PartUnexpected.code in {r.code for o in outcomes for r in o.refusals}


def test_an_older_key_of_the_recipient_still_opens(
    tree: Any, road: tuple[Any, Any, Any], carry_all: Callable[..., Any]
) -> None:
    """Letters that were sealed before the key changed are read after it."""
    root, province, city = road
    carry_all(city, province)
    carry_all(province, root)
    letter(root, city)
    carry_all(root, province)
    other = X25519Box(hashlib.sha256(b"new").digest())
    renewed = replace(city.identity, boxes=(other, *city.identity.boxes))
    city.store.close()
    tree.nodes.remove(city)
    city = tree.open(city.url, renewed)
    carry_all(province, city)
    assert bodies(city, root, city) == {0: SECRET}


def test_after_a_change_of_keys_the_new_key_alone_opens(
    tree: Any, road: tuple[Any, Any, Any], carry_all: Callable[..., Any]
) -> None:
    """Whoever has got hold of the old key reads nothing that is sealed after the change."""
    root, province, city = road
    seeds = [hashlib.sha256(name).digest() for name in (b"new journal", b"new cosign")]
    fresh = replace(
        city.identity,
        epoch="2",
        journal=Ed25519Signer(seeds[0]),
        cosign=Ed25519Signer(seeds[1]),
        boxes=(X25519Box(seeds[1]),),
    )
    city.store.run(lambda tx: tx.open_epoch(fresh, Cause.KEY_ROTATED))
    carry_all(city, province)
    carry_all(province, root)
    with patch("yidao.node.store.appending.check_sealable") as checked:
        letter(root, city)
    (target, _) = checked.call_args.args
    assert (target.epoch, target.cosign_key) == ("2", fresh.cosign.public_key)
    carry_all(root, province)
    assert not [outcome.refusals for outcome in carry_all(province, city) if outcome.refusals]
    assert bodies(city, root, city) == {0: SECRET}


def test_a_letter_that_cannot_be_sealed_here_is_not_written(road: tuple[Any, Any, Any]) -> None:
    """Where the recipient's suite is missing the author is told, and no lane waits for it."""
    root, _, _ = road
    before = root.store.last_position()
    missing = SuiteUnavailable(suite=3, extra="gm")
    patched = patch("yidao.node.store.sealing.seal", side_effect=missing)
    with patched, pytest.raises(SuiteUnavailable):
        letter(root, road[1])
    assert root.store.last_position() == before
