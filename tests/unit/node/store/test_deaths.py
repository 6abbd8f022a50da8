"""What a process that died over a record leaves to the next one."""

from dataclasses import dataclass
from pathlib import Path

import pytest

from yidao.node.store.deaths import COUNTS_NAME, MOST_DEATHS, NOTE_NAME, Deaths, EndedProcess

_LEFT_OPEN: list[object] = []


@dataclass(frozen=True)
class Record:
    position: int


def die(folder: Path, first: int, last: int, name: str = "view") -> None:
    """Be a process that ends while a reader has records."""
    records = [Record(at) for at in range(first, last + 1)]
    left_open = Deaths.remembered(folder).reading(name, records)
    left_open.__enter__()
    # What is collected would end its note in order, which a death does not.
    _LEFT_OPEN.append(left_open)


def test_a_batch_that_ended_a_process_is_suspected(tmp_path: Path) -> None:
    """Of that reader, and of these positions, until its cursor is behind them."""
    die(tmp_path, 5, 9)
    found = Deaths.remembered(tmp_path)
    assert found.suspects("view", [Record(9), Record(12)])
    assert not found.suspects("view", [Record(10)])
    assert not found.suspects("other", [Record(7)])
    found.passed("view", 8)
    assert Deaths.remembered(tmp_path).suspects("view", [Record(7)])
    found.passed("view", 9)
    assert not Deaths.remembered(tmp_path).suspects("view", [Record(7)])


def test_a_record_is_left_out_after_so_many_deaths(tmp_path: Path) -> None:
    """Each death at it alone counts, over starts, and no death at its neighbour does."""
    die(tmp_path, 5, 9)
    for died in range(MOST_DEATHS):
        found = Deaths.remembered(tmp_path)
        found.check("view", Record(7))
        assert died < MOST_DEATHS
        die(tmp_path, 7, 7)
    found = Deaths.remembered(tmp_path)
    with pytest.raises(EndedProcess):
        found.check("view", Record(7))
    found.check("view", Record(6))
    found.check("other", Record(7))


def test_what_ended_well_or_raised_is_no_death(tmp_path: Path) -> None:
    """An exception is a matter of who reads, not of the process."""
    deaths = Deaths.remembered(tmp_path)
    with deaths.reading("view", [Record(3)]):
        pass
    with pytest.raises(ZeroDivisionError), deaths.reading("view", [Record(4)]):
        raise ZeroDivisionError
    found = Deaths.remembered(tmp_path)
    assert not found.suspects("view", [Record(3), Record(4)])


@pytest.mark.parametrize("note", [b"", b"view 1", b"view one two\n", b"\xff\x00", b"v 1 2 3\n"])
@pytest.mark.parametrize("counts", [b"", b"[]", b'{"view": 1}', b"\xff", b'{"view": {"first": 1}}'])
def test_what_a_power_cut_spoilt_is_nothing(tmp_path: Path, note: bytes, counts: bytes) -> None:
    """Files that hold anything else are as good as none, and are written again."""
    (tmp_path / NOTE_NAME).write_bytes(note.ljust(4096, b"\0"))
    (tmp_path / COUNTS_NAME).write_bytes(counts)
    assert not Deaths.remembered(tmp_path).suspects("view", [Record(1)])
    die(tmp_path, 1, 1)
    assert Deaths.remembered(tmp_path).suspects("view", [Record(1)])


def test_where_nothing_can_be_written_nothing_is_noted(tmp_path: Path) -> None:
    """A folder that is a file stops no start."""
    (tmp_path / "file").write_bytes(b"")
    deaths = Deaths.remembered(tmp_path / "file")
    with deaths.reading("view", [Record(3)]):
        pass
    assert not deaths.suspects("view", [Record(3)])
