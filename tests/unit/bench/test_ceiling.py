"""The ceiling that Yidao is measured against does what its figures are said to be of."""

import sqlite3
from pathlib import Path

import pytest
from cryptography.exceptions import InvalidSignature

from tests.bench import bare_parts, ceiling
from yidao.sync.merkle import EMPTY_FRONTIER, leaf_hashes


def held(path: Path) -> tuple[int, bytes]:
    """Size and root of the records in a store by the product's own tree; its seal verifies."""
    with sqlite3.connect(path) as database:
        messages = database.execute("SELECT message FROM segment ORDER BY first_seq").fetchall()
    bodies = b"".join(message[bare_parts.HEAD.size :] for (message,) in messages)
    *_, signature = bare_parts.HEAD.unpack_from(messages[-1][0])
    size = bare_parts.RECORD_BYTES
    records = [bodies[start : start + size] for start in range(0, len(bodies), size)]
    frontier = EMPTY_FRONTIER.append_many(leaf_hashes(records))
    checkpoint = b"ceiling\n%d\n%s\n" % (frontier.size, frontier.root().hex().encode())
    bare_parts.KEY.public_key().verify(signature, checkpoint)
    return frontier.size, frontier.root()


@pytest.mark.parametrize(
    ("mode", "records", "batch", "figures"),
    [("live", 2_000, 500, 1), ("catch-up", 1_000, 500, 1), ("latency", 7, 1, 7)],
)
def test_both_sides_hold_all_records(
    tmp_path: Path, mode: str, records: int, batch: int, figures: int
) -> None:
    """Child and parent end with equal, whole trees, and each figure is there."""
    seconds = ceiling.measure(tmp_path, mode, records, batch)
    assert len(seconds) == figures
    assert min(seconds) > 0
    child, parent = held(tmp_path / "child.db"), held(tmp_path / "parent.db")
    assert child == parent
    assert child[0] == records


def test_a_changed_record_is_refused(tmp_path: Path) -> None:
    """The parent verifies: a bit that was flipped on the way ends it."""
    child, parent = (bare_parts.Store(tmp_path / f"{side}.db") for side in ("child", "parent"))
    message = bytearray(child.seal(ceiling.body_of(0, 3)))
    message[-1] ^= 1
    with pytest.raises(InvalidSignature):
        parent.receive(bytes(message))
    assert list(parent.messages()) == []
