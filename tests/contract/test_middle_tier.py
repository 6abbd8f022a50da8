"""What a tier in between can do to what it passes on: nothing that the next one takes.

The city stands between a county and the root. It has every byte of the county's sealed
batch in its hands, and a link of its own to the root. Each test is the city's attempt;
in each the root's store holds what the county wrote, or nothing.
"""

import dataclasses
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from typing import Any

import pytest

from yidao.node.store.values import DraftPart
from yidao.sync.errors import PeerError
from yidao.sync.ids import JournalId, Lane
from yidao.sync.message import Frame, Item
from yidao.sync.partsrun import PartsRun, RecordParts
from yidao.sync.record import Part, decode_header
from yidao.sync.wire import decode_frame, encode_frame

# What is refused is refused before the database is asked, so one of them is enough.
pytestmark = pytest.mark.parametrize("new_url", ["sqlite"], indirect=True)

Carry = Callable[..., list[Any]]


@dataclasses.dataclass(frozen=True)
class Middle:
    """A root, a city and a county; the county's batch lies at the city and not yet above.

    Attributes:
        batch: Two records of the county with their parts, as one sealed item.
    """

    root: Any
    city: Any
    batch: Item

    @property
    def journal(self) -> JournalId:
        """The county's journal."""
        return self.batch.seal.journal

    def offer(self, *items: Item) -> Future[Any]:
        """Send items to the root over the city's own link."""
        frame = Frame(lane=Lane.BULK, items=items, after_position=0)
        outcome: Future[Any] = self.root.store.submit(lambda tx: tx.ingest(self.city.peer, frame))
        return outcome

    def held(self) -> list[tuple[bytes, dict[str, bytes]]]:
        """Headers and part bodies of the county's journal that the root holds."""
        store = self.root.store
        return [
            (
                record.raw,
                {
                    name: part.body
                    for name, part in store.parts_of(record.journal_pk, [record.seq])
                    .get(record.seq, {})
                    .items()
                },
            )
            for record in store.records(0, 100_000)
            if record.journal == self.journal
        ]


BODIES = [{"core": b'{"n": 1}', "pii": b'{"who": "sample"}'}, {"core": b'{"n": 2}'}]


@pytest.fixture
def middle(tree: Any, carry_all: Carry) -> Middle:
    """The middle tier with a batch in its hands, and nothing of it at the root."""
    root = tree.node("/")
    city = tree.node("/33", root)
    county = tree.node("/33/3301", city)
    carry_all(city, root)
    carry_all(county, city)
    carry_all(city, root)
    drafts = [
        county.draft(
            f"return {number}",
            parts=tuple(DraftPart(name=name, body=body) for name, body in bodies.items()),
        )
        for number, bodies in enumerate(BODIES)
    ]
    county.append("up:15", *drafts)
    carry_all(county, city)
    # The declaration of the journal goes first, in its own lane.
    last = city.store.last_position()
    for lane in (Lane.CONTROL, Lane.URGENT):
        known = {cursor.lane: cursor.position for cursor in root.store.cursors(city.peer)}
        after = known.get(lane, 0)
        items, _ = city.store.read_lane(root.peer, lane, after, last, 900_000)
        if items:
            frame = Frame(lane=lane, items=items, after_position=after)
            root.store.run(lambda tx, frame=frame: tx.ingest(city.peer, frame))
    (batch,) = city.store.read_lane(root.peer, Lane.BULK, 0, last, 900_000)[0]
    assert len(batch.seal.headers) == len(BODIES)
    return Middle(root, city, batch)


def replaced(data: bytes, mask: int) -> Iterator[bytes]:
    """The bytes with one of them changed, once for every offset."""
    for offset, value in enumerate(data):
        yield data[:offset] + bytes([value ^ mask]) + data[offset + 1 :]


def with_seal(batch: Item, **changes: object) -> Item:
    """The batch with fields of its seal changed."""
    return dataclasses.replace(batch, seal=dataclasses.replace(batch.seal, **changes))


def with_parts(batch: Item, change: Callable[[int, Part], Part | None]) -> Item:
    """The batch with each part changed, or left out."""
    (run,) = batch.parts
    records = tuple(
        RecordParts(
            seq=record.seq,
            parts=tuple(p for part in record.parts if (p := change(record.seq, part)) is not None),
        )
        for record in run.records
    )
    return dataclasses.replace(batch, parts=(PartsRun(journal=run.journal, given=records),))


def mutations(batch: Item, mask: int) -> Iterator[tuple[str, Item]]:
    """The batch with one byte changed: every byte of headers, checkpoint, salts and bodies."""
    headers = batch.seal.headers
    for number, header in enumerate(headers):
        for changed in replaced(header, mask):
            yield (
                "header",
                with_seal(batch, headers=(*headers[:number], changed, *headers[number + 1 :])),
            )
    for changed in replaced(batch.seal.checkpoint, mask):
        yield "checkpoint", with_seal(batch, checkpoint=changed)
    for record in batch.parts[0].records:
        for part in record.parts:
            for field in ("salt", "body"):
                for changed in replaced(getattr(part, field), mask):
                    new = part._replace(**{field: changed})
                    yield (
                        field,
                        with_parts(
                            batch,
                            lambda seq, p, part=part, new=new, own=record.seq: (
                                new if (seq, p) == (own, part) else p
                            ),
                        ),
                    )


def refuse_all(middle: Middle, mask: int) -> dict[str, int]:
    """Offer the batch with each byte changed; return how many of each kind the root refused."""
    refused: dict[str, int] = {}
    # All of them wait for one commit, so that the disk is not what is measured.
    offered = [(kind, middle.offer(item)) for kind, item in mutations(middle.batch, mask)]
    for kind, future in offered:
        outcome = future.result(60)
        assert (outcome.records, outcome.duplicates) == (0, 0), kind
        refused[kind] = refused.get(kind, 0) + 1
    return refused


@pytest.mark.parametrize(
    "mask",
    [0x01, *(pytest.param(mask, marks=pytest.mark.long) for mask in (0x80, 0x20, 0xFF))],
)
def test_r29_every_changed_byte_of_a_sealed_batch_is_refused_above(
    middle: Middle, mask: int
) -> None:
    """100 %: whichever byte the middle tier changes, the tier above stores nothing of it.

    The very next honest sending is taken, so that no attempt stops the county.
    """
    sealed = sum(map(len, middle.batch.seal.headers)) + len(middle.batch.seal.checkpoint)
    refused = refuse_all(middle, mask)
    assert refused["header"] + refused["checkpoint"] == sealed
    assert refused["salt"] == 32 * 3
    assert refused["body"] == sum(len(body) for bodies in BODIES for body in bodies.values())
    assert middle.held() == []
    assert [p.code for p in middle.root.store.problems()] == ["JOURNAL_REFUSED"]
    assert middle.offer(middle.batch).result(60).records == len(BODIES)
    assert middle.held() == list(zip(middle.batch.seal.headers, BODIES, strict=True))
    assert middle.root.store.problems() == ()


def says_no_more(item: Item, batch: Item) -> bool:
    """Whether an item has the county's seal, and of its parts some or all."""
    given = {
        (run.journal, r.seq, part) for run in item.parts for r in run.records for part in r.parts
    }
    known = {
        (run.journal, r.seq, part) for run in batch.parts for r in run.records for part in r.parts
    }
    return item.seal == batch.seal and given <= known


def test_r29_every_changed_byte_of_a_frame_is_refused_or_only_the_carriers_own(
    middle: Middle,
) -> None:
    """A frame with a byte changed is refused, or says nothing that the county did not.

    What is the carrier's own, such as its positions, is no word of the county. A changed
    tag may drop a part, which the header shows to be missing.
    """
    frame = Frame(lane=Lane.BULK, items=(middle.batch,), after_position=0)
    data = encode_frame(frame)
    carried, waiting = 0, []
    for changed in replaced(data, 0x01):
        try:
            read = decode_frame(changed)
        except PeerError:
            continue
        if all(says_no_more(item, middle.batch) for item in read.items):
            carried += 1
            continue
        waiting.append(
            middle.root.store.submit(lambda tx, read=read: tx.ingest(middle.city.peer, read))
        )
    assert waiting
    for future in waiting:
        error = future.exception(60)
        assert error is None or isinstance(error, PeerError)
    # Of about 1,500 bytes only tags, the carrier's own numbers and its own receipt may change.
    assert carried <= 24 + len(middle.batch.cosignatures[0].encode())
    # Parts may have been sent for another journal's: then the record stands without them.
    assert [header for header, _ in middle.held()] in ([], list(middle.batch.seal.headers))
    for (_, parts), bodies in zip(middle.held(), BODIES, strict=False):
        assert parts.items() <= bodies.items()
    assert {p.code for p in middle.root.store.problems()} <= {"JOURNAL_REFUSED"}


def reordered(batch: Item) -> Item:
    """The two records in the other order."""
    return with_seal(batch, headers=batch.seal.headers[::-1])


def repeated(batch: Item) -> Item:
    """The first record twice."""
    first, second = batch.seal.headers
    return with_seal(batch, headers=(first, first, second))


def shortened(batch: Item) -> Item:
    """The last record left out."""
    return with_seal(batch, headers=batch.seal.headers[:1])


def unsigned(batch: Item) -> Item:
    """The checkpoint without its signature."""
    text = batch.seal.checkpoint.split(b"\n\n")[0]
    return with_seal(batch, checkpoint=text + b"\n\n")


def swapped(batch: Item) -> Item:
    """The core of one record under the other."""
    cores = {
        record.seq: next(part for part in record.parts if part.name == "core")
        for record in batch.parts[0].records
    }
    return with_parts(batch, lambda seq, part: cores[1 - seq] if part.name == "core" else part)


def renamed(batch: Item) -> Item:
    """A part under the name of another."""
    return with_parts(
        batch,
        lambda seq, part: part._replace(name="ext:/33") if part.name == "pii" else part,
    )


def reserialised(batch: Item) -> Item:
    """A header that says the same in other bytes: its last number with a needless zero byte."""
    first, second = batch.seal.headers
    release = second[-1]
    changed = second[:-1] + bytes([release | 0x80, 0x00])
    return with_seal(batch, headers=(first, changed))


def moved(batch: Item) -> Item:
    """The batch at another place of its journal."""
    return with_seal(batch, first_seq=1)


def renamed_journal(batch: Item) -> Item:
    """The batch in another journal of the county."""
    journal = dataclasses.replace(batch.seal.journal, channel="up:14")
    return with_seal(batch, journal=journal)


ATTEMPTS: dict[str, Callable[[Item], Item]] = {
    "records in another order": reordered,
    "a record twice": repeated,
    "the last record left out": shortened,
    "the signature stripped": unsigned,
    "the figures of two records swapped": swapped,
    "a part under another name": renamed,
    "a header serialised anew": reserialised,
    "at another place of the journal": moved,
    "in another journal of the county": renamed_journal,
}


@pytest.mark.parametrize("attempt", ATTEMPTS.values(), ids=ATTEMPTS.keys())
def test_r30_what_is_rearranged_is_refused(middle: Middle, attempt: Callable[[Item], Item]) -> None:
    """Swapped, reordered, repeated, stripped or serialised anew: nothing of it is taken."""
    outcome = middle.offer(attempt(middle.batch)).result(60)
    assert outcome.records == 0
    assert len(outcome.refusals) == 1
    assert middle.held() == []
    assert middle.offer(middle.batch).result(60).records == len(BODIES)


def test_r30_parts_left_out_are_seen_to_be_missing(middle: Middle) -> None:
    """The middle tier can keep a part back; it cannot make the record look whole."""
    bare = dataclasses.replace(middle.batch, parts=())
    assert middle.offer(bare).result(60).records == len(BODIES)
    header, parts = middle.held()[0]
    assert parts == {}
    assert [digest.name for digest in decode_header(header).parts] == ["core", "pii"]


def test_r30_the_same_batch_again_has_no_effect(middle: Middle) -> None:
    """A batch that is sent twice is recognised."""
    middle.offer(middle.batch).result(60)
    again = middle.offer(middle.batch).result(60)
    assert (again.records, again.duplicates) == (0, len(BODIES))
    assert len(middle.held()) == len(BODIES)
