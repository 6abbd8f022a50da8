"""Parts as bytes: what was packed comes back, and travels as it lies."""

import pytest

from yidao.api.link.v1 import link_pb2 as pb
from yidao.sync import errors
from yidao.sync.ids import JournalId, NodeId
from yidao.sync.partsrun import (
    PartsRun,
    RecordParts,
    pack_records,
    read_run,
    run_bytes,
    unpack_records,
)
from yidao.sync.record import Part

JOURNAL = JournalId(node_id=NodeId(bytes(16)), channel="up:15", epoch="1")
PARTS = [
    (3, Part("core", bytes(32), b"a")),
    (3, Part("pii", bytes(32), b"b")),
    (9, Part("core", bytes(32), b"")),
]


def test_a_packed_run_is_the_run_of_its_records() -> None:
    """The same values, and the same message on the wire."""
    packed = PartsRun(journal=JOURNAL, packed=pack_records(PARTS))
    plain = PartsRun(
        journal=JOURNAL,
        given=(
            RecordParts(3, (PARTS[0][1], PARTS[1][1])),
            RecordParts(9, (PARTS[2][1],)),
        ),
    )
    assert packed.records == plain.records == plain.given
    messages = [pb.PartsRun.FromString(run_bytes(run)) for run in (packed, plain)]
    assert messages[0] == messages[1]
    assert read_run(messages[0]) == plain
    assert read_run(messages[1]).packed == packed.packed
    assert unpack_records(packed.packed) == (PARTS, len(PARTS))
    one = PARTS[0][0]
    some = [each for each in PARTS if each[0] == one]
    assert unpack_records(packed.packed, {one}) == (some, len(PARTS))


def test_what_is_no_run_is_told() -> None:
    """Bytes that were damaged."""
    with pytest.raises(errors.WireMalformed):
        unpack_records(pack_records(PARTS)[:-1])
