"""Starts daemons quickly: one process has imported everything, and forks for each.

    python -m tests.faults.nursery

A daemon that it starts runs `yidao run` from the first line of the command on, and so does
any other command; only the second that Python takes to load modules is spared. Told on
standard input, one JSON object a line, see `Asked`; answers `{"pid": n}` at once, and
`{"pid": n, "code": c}` when one has ended.
"""

import importlib
import json
import os
import select
import signal
import sys
import threading
import traceback
from collections.abc import Callable
from typing import Any, NotRequired, TypedDict

from tests.faults import shims


class Asked(TypedDict):
    """A daemon to start.

    `run` are the words of the command; `gate` is a named pipe or empty: the daemon
    waits until somebody opens it, which is time to attach a tracer. `most_bytes` is
    how large a file may become, 0 for any size. `errors` is where standard error goes
    if not to the log. `before` is called in the new process, in order: a function,
    `tests.faults.links:enter`, and its one argument. `shims` are names of functions of
    `tests.faults.shims`, by which this daemon differs from ours.
    """

    run: list[str]
    log: str
    environment: dict[str, str]
    gate: str
    most_bytes: int
    errors: NotRequired[str]
    before: NotRequired[list[tuple[str, str]]]
    shims: NotRequired[list[str]]


def main() -> None:
    """Serve until standard input ends."""
    import yidao.node.__main__
    import yidao.node.cli.commands
    import yidao.node.client
    import yidao.node.daemon
    import yidao.node.setup
    from yidao.node.cli import main as yidao

    # A fork takes one thread along; another one's locks would stay shut for ever.
    assert threading.active_count() == 1, threading.enumerate()
    awake, wake = os.pipe()
    os.set_blocking(wake, False)
    signal.set_wakeup_fd(wake)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    pending = b""
    while True:
        ready, _, _ = select.select([0, awake], [], [])
        if awake in ready:
            os.read(awake, 4096)
            _reap()
        if 0 in ready:
            data = os.read(0, 65_536)
            if not data:
                return
            *lines, pending = (pending + data).split(b"\n")
            for line in lines:
                _start(json.loads(line), yidao)


def _start(asked: Asked, yidao: Callable[[], None]) -> None:
    pid = os.fork()
    if pid:
        _say({"pid": pid})
        return
    code = 1
    try:
        _become(asked)
        yidao()
        code = 0
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    except BaseException:  # noqa: BLE001 (nothing of the fork may go on in our loop)
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _become(asked: Asked) -> None:
    """Make of the fork what a shell would have started."""
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    log = os.open(asked["log"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(log, 1)
    errors = asked.get("errors")
    os.dup2(os.open(errors, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600) if errors else log, 2)
    for name in [each for each in os.environ if each.startswith("YIDAO_")]:
        del os.environ[name]
    os.environ.update(asked["environment"])
    if asked["most_bytes"]:
        import resource

        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (asked["most_bytes"], resource.RLIM_INFINITY))
    for name in asked.get("shims", ()):
        getattr(shims, name)()
    if asked["gate"]:
        os.close(os.open(asked["gate"], os.O_RDONLY))
    for function, argument in asked.get("before", []):
        module, _, name = function.partition(":")
        getattr(importlib.import_module(module), name)(argument)
    # As `python -m yidao.node` has it, whose name then stands in what is said.
    started = sys.modules["__main__"] = sys.modules["yidao.node.__main__"]
    sys.argv = [str(started.__file__), *asked["run"]]


def _reap() -> None:
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if not pid:
            return
        _say({"pid": pid, "code": os.waitstatus_to_exitcode(status)})


def _say(what: dict[str, Any]) -> None:
    os.write(1, json.dumps(what).encode() + b"\n")


if __name__ == "__main__":
    main()
