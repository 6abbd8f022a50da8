"""R7 to R10: no space, no inode, a disk that turns read-only, a file that may not grow.

The node refuses and says why, keeps what it acknowledged, and goes on by itself once
there is space again.
"""

import errno
import functools
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.faults import disks
from tests.faults.daemons import Daemon, Pair, rows, wait_until
from tests.faults.report import record
from tests.faults.watch import is_even, parent, status
from yidao.api.errors import YidaoError
from yidao.node.store.writer import FATAL_EXIT_CODE

pytestmark = pytest.mark.e2e
mounts = pytest.mark.skipif(bool(disks.why_not()), reason=disks.why_not() or "mounts work")


def _refused(daemon: Daemon, calls: int = 400) -> str:
    """Hand rows in until a call is refused; gives the code."""
    for _ in range(calls):
        try:
            daemon.submit(rows(5))
        except YidaoError as error:
            return error.code
    return ""


def _take_inodes(folder: Path, name: str) -> Iterator[Path]:
    """Make empty files for as long as the disk can hold more."""
    for number in range(100):
        made = folder / f"{name}-{number}"
        try:
            made.touch()
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise
            return
        yield made


def _takes(daemon: Daemon) -> bool:
    try:
        daemon.submit(rows(1))
    except YidaoError:
        return False
    return True


def _parent_error(office: Daemon) -> str:
    return status(office).parent_error


def _says_full(daemon: Daemon) -> bool:
    """Whether a session ended because of it, as the log has it."""
    lines = daemon.said().splitlines()
    return any("link.session.failed" in line and "STORE_FULL" in line for line in lines)


@pytest.fixture
def on_disk(request: pytest.FixtureRequest) -> Iterator[ExitStack]:
    """Ends what was mounted once no daemon is left."""
    with ExitStack() as stack:
        pair: Pair = request.getfixturevalue("pair")
        yield stack
        pair.kill()


@mounts
def test_a_full_disk_refuses_and_recovers(pair: Pair, on_disk: ExitStack) -> None:
    """R7: `STORE_FULL` at the office, nothing acked at the root; both go on with space."""
    for victim in pair.both:
        memory = functools.partial(disks.in_memory, kib=8 * 1024)
        on_disk.enter_context(disks.moved_to(memory, victim.folder))
    pair.start()
    disks.fill(pair.office.folder, leave_kib=256)
    assert _refused(pair.office) == "STORE_FULL"
    assert pair.office.running
    assert pair.faults() == []
    (pair.office.folder / disks.BALLAST).unlink()
    wait_until("it takes rows again", lambda: _takes(pair.office))

    disks.fill(pair.root.folder, leave_kib=64)
    acked = len(pair.office.acked)
    while len(pair.office.acked) < acked + 60:
        pair.office.submit(rows(5))
    # It says so in its log and to the office, which keeps what waits.
    wait_until("the root says why", lambda: _says_full(pair.root))
    wait_until("the office knows", lambda: _parent_error(pair.office) == "STORE_FULL")
    assert pair.root.running
    assert parent(pair.office).lag > 0
    assert pair.faults() == []
    pids = [each.pid for each in pair.both]
    (pair.root.folder / disks.BALLAST).unlink()
    wait_until("all has come", lambda: is_even(pair.office))
    assert _parent_error(pair.office) == ""
    assert [each.pid for each in pair.both if each.running] == pids, "by itself"
    assert pair.healed() == []
    record("R7 disk full (tmpfs)", injected=2, acked=pair.newly_acked())


@mounts
def test_a_disk_without_inodes_is_named(pair: Pair, tmp_path: Path, on_disk: ExitStack) -> None:
    """R8: a running node needs no new file; one that cannot make its files says so at the start."""
    image = disks.make_image(tmp_path / "few.img", mib=32, inodes=64)
    few = functools.partial(disks.mounted, image)
    on_disk.enter_context(disks.moved_to(few, pair.office.folder))
    pair.start()
    taken = list(_take_inodes(pair.office.folder, "taken"))
    assert disks.free_kib(pair.office.folder) > 1024
    assert _takes(pair.office)
    pair.office.stop()
    # Each start finds fewer: none for its first file, then none for the log, then none for
    # the socket. The files of a store that was stopped in order are gone.
    spare = list(_take_inodes(pair.office.folder, "spare"))
    assert spare
    for made in spare:
        before = len(pair.office.said())
        pair.office.begin()
        assert pair.office.wait_end() != 0
        told = pair.office.said()[before:]
        assert any(code in told for code in ("DATA_DIR_FULL", "STORE_")), told
        made.unlink()
    for made in taken:
        made.unlink()
    assert pair.healed() == []
    record("R8 no inode left (ext4)", injected=1, acked=pair.newly_acked())


@mounts
def test_a_disk_that_turns_read_only_ends_it(
    pair: Pair, tmp_path: Path, on_disk: ExitStack
) -> None:
    """R9: it ends with a code of its own, refuses to start meanwhile, and has all it acked."""
    image = disks.make_image(tmp_path / "broken.img", mib=32)
    with disks.moved_to(functools.partial(disks.mounted, image), pair.office.folder):
        pair.start()
        assert _takes(pair.office)
        disks.abort(pair.office.folder)
        assert not _takes(pair.office)
        assert pair.office.wait_end() == FATAL_EXIT_CODE
        assert "store.disk.failed" in pair.office.said()
        pair.office.begin()
        assert pair.office.wait_end() != 0
    assert pair.healed() == []
    record("R9 read-only file system", injected=1, acked=pair.newly_acked())


def test_a_file_that_may_not_grow_ends_it(pair: Pair) -> None:
    """R10: a limit of the file size: it ends, keeps what it acked, and goes on without it."""
    pair.root.begin()
    pair.office.begin(most_bytes=(pair.office.folder / "store.db").stat().st_size + 300 * 1024)
    pair.start()
    assert _refused(pair.office)
    assert pair.office.wait_end() == FATAL_EXIT_CODE
    assert "store.disk.failed" in pair.office.said()
    assert pair.faults() == []
    assert pair.healed() == []
    record("R10 RLIMIT_FSIZE", injected=1, acked=pair.newly_acked())
