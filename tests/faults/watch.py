"""What can be seen of a running daemon from outside, and what can be done to its process."""

import os
import re
import signal
from pathlib import Path

from tests.faults.daemons import Daemon
from yidao.api.errors import YidaoError
from yidao.node.client.values import Peer, Status

_CAUSE = re.compile(r"link\.parent\.lost.*cause='?([A-Z_]+)")


def status(daemon: Daemon) -> Status:
    """What its operator sees.

    Raises:
        AssertionError: It does not answer.
    """
    try:
        with daemon.client() as client:
            return client.status()
    except YidaoError as error:
        what = f"{daemon.path} does not answer: {error}"
        raise AssertionError(what) from error


def parent(daemon: Daemon) -> Peer:
    """How its line to its parent is."""
    return next(peer for peer in status(daemon).peers if peer.role == "parent")


def is_even(daemon: Daemon) -> bool:
    """Whether its line to its parent is up and nothing waits."""
    seen = daemon.status()
    if seen is None:
        return False
    return all(peer.state == "connected" and not peer.lag for peer in seen.peers)


def losses(daemon: Daemon) -> list[str]:
    """Why its line to its parent was lost, each time."""
    return _CAUSE.findall(daemon.log.read_text(errors="replace"))


def problems(daemon: Daemon) -> set[str]:
    """The codes of what it shows to its operator as wrong."""
    return {problem.code for problem in status(daemon).problems}


def rss_kib(daemon: Daemon) -> int:
    """Its resident memory."""
    text = Path(f"/proc/{daemon.pid}/status").read_text()
    return int(text.split("VmRSS:")[1].split()[0])


def cpu_seconds(daemon: Daemon) -> float:
    """The processor time that it has used."""
    words = Path(f"/proc/{daemon.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")


def pause(daemon: Daemon) -> None:
    """Stop it in its tracks, as a virtual machine that is moved."""
    os.kill(daemon.pid, signal.SIGSTOP)


def resume(daemon: Daemon) -> None:
    """Let it go on."""
    os.kill(daemon.pid, signal.SIGCONT)
