"""A queue takes rows while no node is there, and hands each in once."""

import os
import signal
import sqlite3
import subprocess
import sys
import textwrap
from dataclasses import replace
from pathlib import Path

import pytest

from yidao.node.client import (
    Client,
    NodeUnreachable,
    OfflineQueue,
    QueueFileUnusable,
    QueueKeyReused,
    Retries,
    Row,
    Submitted,
)


@pytest.fixture
def queue(tmp_path: Path):
    """An empty queue."""
    with OfflineQueue(tmp_path / "queue.db") as made:
        yield made


class Line:
    """A client whose line breaks at a chosen call, before or after the node has done its work."""

    def __init__(self, client: Client, *, breaks_at: int, is_done: bool) -> None:
        self._client = client
        self._left = breaks_at
        self._is_done = is_done

    def submit(self, pack: str, rows, *, actor: str) -> Submitted:
        self._left -= 1
        if self._left == 0:
            if self._is_done:
                self._client.submit(pack, rows, actor=actor)
            raise NodeUnreachable(socket="cut")
        return self._client.submit(pack, rows, actor=actor)


def test_rows_wait_and_go_in_order(queue: OfflineQueue, client: Client, rows) -> None:
    """A size after its unit; each ends done or refused with its faults; progress is told."""
    keys = queue.put("energy", [rows.institution(1, key="erp-1")], actor=rows.actor)
    queue.put("energy", [rows.profile(1), rows.profile(2)], actor=rows.actor)
    told: list[tuple[int, int]] = []
    done = queue.flush(client, progress=lambda *seen: told.append(seen))
    assert keys == ["erp-1"]
    assert (done.done, done.refused, done.waiting) == (2, 1, 0)
    assert told == [(3, 0)]
    (refused,) = queue.rows("refused")
    assert [fault.code for fault in refused.faults] == ["UNIT_UNKNOWN"]
    assert [each.outcome for each in queue.rows("done")] == ["submitted", "submitted"]
    assert queue.flush(client).done == 0


@pytest.mark.parametrize("is_done", [False, True], ids=["before the node", "after the node"])
def test_a_cut_line_repeats_nothing(
    queue: OfflineQueue, client: Client, rows, served, is_done: bool
) -> None:
    """What was answered is kept, what was not waits; no row counts twice."""
    queue.put("energy", [rows.institution(n) for n in range(1, 601)], actor=rows.actor)
    with pytest.raises(NodeUnreachable):
        queue.flush(Line(client, breaks_at=2, is_done=is_done))
    assert (queue.count("done"), queue.count("waiting")) == (500, 100)
    done = queue.flush(client)
    assert (done.done, done.waiting) == (100, 0)
    events = [event.record_id for event in client.follow(kinds=["registry."], until_now=True)]
    assert len(events) == 600
    assert {each.record_id for each in queue.rows("done")} == set(events)


def test_rows_are_put_in_while_the_node_is_down(
    queue: OfflineQueue, served, rows, client: Client
) -> None:
    """The flush fails with a typed error; later it goes."""
    served.stop()
    queue.put("energy", [rows.institution(1)], actor=rows.actor)
    served.start()
    with Client.open(served.socket, retries=Retries(attempts=1)) as other:
        served.stop()
        with pytest.raises(NodeUnreachable):
            queue.flush(other)
        served.start()
    assert queue.flush(client).done == 1


def test_a_key_stands_for_one_row(queue: OfflineQueue, rows, client: Client) -> None:
    """Put in again it is left alone; with other content it is told; refused, it is replaced."""
    wrong = rows.profile(1, "-1", key="erp-1")
    queue.put("energy", [wrong], actor=rows.actor)
    queue.put("energy", [wrong], actor=rows.actor)
    assert queue.count("waiting") == 1
    with pytest.raises(QueueKeyReused):
        queue.put("energy", [rows.profile(2), rows.profile(1, key="erp-1")], actor=rows.actor)
    assert queue.count("waiting") == 1, "all or none"
    client.submit("energy", [rows.institution(1)], actor=rows.actor)
    assert queue.flush(client).refused == 1
    queue.put("energy", [rows.profile(1, key="erp-1")], actor=rows.actor)
    assert queue.flush(client).done == 1
    assert queue.forget() == 1
    assert list(queue.rows()) == []


def test_a_row_comes_back_as_it_was(queue: OfflineQueue, rows) -> None:
    """With its file and its causes."""
    row = Row(
        row=9,
        form="profile",
        period="2025-Q2",
        payload=b"\xff\x00",
        attachment=b"\x00" * 9,
        causes=(b"c" * 16,),
        key="k",
    )
    queue.put("energy", [row], actor=rows.actor)
    (held,) = queue.rows("waiting")
    assert replace(held.row, row=9) == row
    assert (held.pack, held.actor, held.key) == ("energy", rows.actor, "k")


def test_rows_of_several_actors_go_in_calls_of_their_own(
    queue: OfflineQueue, client: Client, rows
) -> None:
    """In the order in which they were put in all the same."""
    for number, actor in enumerate(["a@/", "b@/", "a@/"], 1):
        queue.put("energy", [rows.institution(number)], actor=actor)
    assert queue.flush(client).done == 3
    events = client.follow(kinds=["registry."], until_now=True)
    assert [event.actor for event in events] == ["a@/", "b@/", "a@/"]


def test_a_killed_program_keeps_what_it_put_in(
    tmp_path: Path, client: Client, rows, served
) -> None:
    """Kill -9 in the middle of putting in and handing in: every key that was told is done once."""
    file = tmp_path / "queue.db"
    program = textwrap.dedent("""
        import sys
        from pathlib import Path
        from yidao.catalog.codes import sample_uscc
        from yidao.node.client import Client, OfflineQueue, Row
        queue = OfflineQueue(Path(sys.argv[1]))
        with Client.open(Path(sys.argv[2])) as client:
            for n in range(1, 10_000):
                cells = {"uscc": sample_uscc(n, "330106"), "name": f"样例{n}",
                         "region_code": "330106", "inst_type": "01", "reg_status": "1"}
                row = Row.of("institution", cells, key=f"erp-{n}")
                queue.put("energy", [row], actor="sample@/")
                print(n, flush=True)
                if n % 7 == 0:
                    queue.flush(client)
    """)
    process = subprocess.Popen(
        [sys.executable, "-c", program, str(file), str(served.socket)],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    put = 0
    for line in process.stdout:
        put = int(line)
        if put == 45:
            os.kill(process.pid, signal.SIGKILL)
    process.wait()
    process.stdout.close()
    with OfflineQueue(file) as queue:
        queue.flush(client)
        done = [each.key for each in queue.rows("done")]
    assert put >= 45
    assert [f"erp-{n}" for n in range(1, put + 1)] == done[:put]
    assert len({unit.unit for unit in client.units()}) == len(done)
    events = list(client.follow(kinds=["registry."], until_now=True))
    assert len(events) == len(done)


def foreign(file: Path) -> None:
    with sqlite3.connect(file) as db:
        db.execute("CREATE TABLE mine (a)")
    db.close()


def newer(file: Path) -> None:
    with sqlite3.connect(file) as db:
        db.execute("PRAGMA user_version = 9")
    db.close()


BAD_FILES = {
    "text": lambda file: file.write_text("no database, but long enough to be read as one " * 9),
    "another program's": foreign,
    "of a newer version": newer,
    "a folder": lambda file: file.mkdir(),
}


@pytest.mark.parametrize("case", BAD_FILES)
def test_a_file_that_is_no_queue_is_left_alone(tmp_path: Path, case: str) -> None:
    """A typed error, and not a byte of it changed."""
    file = tmp_path / "queue.db"
    BAD_FILES[case](file)
    before = None if file.is_dir() else file.read_bytes()
    with pytest.raises(QueueFileUnusable):
        OfflineQueue(file)
    assert before is None or file.read_bytes() == before
