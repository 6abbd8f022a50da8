"""The process that starts daemons, and what it is known to have ended."""

from pathlib import Path

from tests.faults.daemons import PATIENCE_SECONDS, Daemon, Nursery


def test_a_number_that_comes_again_is_of_the_new_process(nursery: Nursery, tmp_path: Path) -> None:
    """The kernel gives a number again after some 32,000 processes; a long campaign sees that."""
    nowhere = tmp_path / "none"
    daemon = Daemon(nursery=nursery, path="/", folder=nowhere, memory=tmp_path, link_port=0)
    nursery._codes.update(dict.fromkeys(range(1, 4_200_000), 0))
    try:
        daemon.begin()
        # There is no such folder: it ends, and not with 0.
        assert nursery.wait(daemon.pid, PATIENCE_SECONDS) not in (None, 0)
    finally:
        nursery._codes.clear()
