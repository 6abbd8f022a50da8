"""Lines between real daemons that fail on purpose.

`Proxy` is a TCP relay on the loopback interface, and needs nothing. `Space` is two
network namespaces with a TUN relay between them (`tunrelay.py`), for what happens below
TCP; it needs root, `ip` and /dev/net/tun, and `lacks` names what is not there.
"""

import asyncio
import ctypes
import json
import os
import random
import shutil
import socket
import struct
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Coroutine, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final, Self, TypeVar

UP: Final = "up"
DOWN: Final = "down"
PARENT_ADDRESS: Final = "10.66.0.1"
CHILD_ADDRESS: Final = "10.66.0.2"
RELAY: Final = Path(__file__).with_name("tunrelay.py")

_CHUNK_BYTES: Final = 65_536
_CLONE_NEWNET: Final = 0x40000000
_libc = ctypes.CDLL(None, use_errno=True)
T = TypeVar("T")


class CommandFailed(OSError):
    """A program that makes or unmakes a namespace failed."""


class RelayEnded(OSError):
    """The relay between the namespaces is gone."""


class Proxy:
    """Passes one loopback port on to another address until told to misbehave.

    `up` is from whoever dials, the child, to the address behind.

    Args:
        upstream: Where connections lead.
        namespace: The network namespace from which they are made, "" for this one.
    """

    def __init__(self, upstream: tuple[str, int], namespace: str = "") -> None:
        self.counts: Counter[str] = Counter()
        self.port = 0
        self._upstream = upstream
        self._namespace = namespace
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._pairs: set[_Pair] = set()
        self._flow = {UP: asyncio.Event(), DOWN: asyncio.Event()}
        self._refuses = False
        self._cut: tuple[str, int, bool] | None = None
        self._server: asyncio.Server | None = None

    def __enter__(self) -> Self:
        self._thread.start()
        self._call(self._start())
        return self

    def __exit__(self, *_: object) -> None:
        self._call(self._stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)
        self._loop.close()

    @property
    def address(self) -> str:
        """Where to dial."""
        return f"127.0.0.1:{self.port}"

    def heal(self) -> None:
        """Pass everything on again, also what was held back."""
        self._call(self._set(stalled=()))

    def stall(self, *directions: str) -> None:
        """Keep every connection and pass nothing on in these directions: half open."""
        self.counts["stalls"] += 1
        self._call(self._set(stalled=directions))

    def refuse(self) -> None:
        """Cut what is open, and accept nothing."""
        self.counts["refusals"] += 1
        self._call(self._set(refuses=True))
        self.cut(reset=False)

    def cut(self, *, reset: bool) -> int:
        """End every open connection, in order or by RST; return how many."""
        return self._call(self._cut_all(reset))

    def cut_after(self, direction: str, size_bytes: int, *, reset: bool) -> None:
        """End each connection that begins from now on once so many bytes went one way."""
        self._call(self._set(cut=(direction, size_bytes, reset)))

    def _call(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(10)

    async def _start(self) -> None:
        await self._set(stalled=())
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _stop(self) -> None:
        if self._server is not None:
            self._server.close()
        await self._set(refuses=True)
        await self._cut_all(reset=False)
        if tasks := asyncio.all_tasks() - {asyncio.current_task()}:
            await asyncio.wait(tasks, timeout=5)

    async def _set(
        self,
        *,
        stalled: tuple[str, ...] = (),
        refuses: bool = False,
        cut: tuple[str, int, bool] | None = None,
    ) -> None:
        self._refuses, self._cut = refuses, cut
        for direction, event in self._flow.items():
            if direction in stalled:
                event.clear()
            else:
                event.set()

    async def _cut_all(self, reset: bool) -> int:
        pairs = list(self._pairs)
        for pair in pairs:
            pair.end(reset=reset)
        self.counts["cuts"] += len(pairs)
        return len(pairs)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._refuses:
            writer.transport.abort()
            return
        try:
            beyond = await asyncio.to_thread(_connect, self._upstream, self._namespace)
            up_reader, up_writer = await asyncio.open_connection(sock=beyond)
        except OSError:
            writer.transport.abort()
            return
        pair = _Pair(writer, up_writer)
        self._pairs.add(pair)
        self.counts["connections"] += 1
        cut, left = self._cut, {UP: None, DOWN: None}
        if cut is not None:
            left[cut[0]] = cut[1]
        try:
            await asyncio.gather(
                self._copy(UP, reader, up_writer, pair, left[UP]),
                self._copy(DOWN, up_reader, writer, pair, left[DOWN]),
            )
        finally:
            self._pairs.discard(pair)
            pair.end(reset=False)

    async def _copy(
        self,
        direction: str,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        pair: "_Pair",
        left: int | None,
    ) -> None:
        reset = self._cut is not None and self._cut[2]
        try:
            while chunk := await reader.read(_CHUNK_BYTES if left is None else min(left, 4096)):
                await self._flow[direction].wait()
                writer.write(chunk)
                await writer.drain()
                self.counts[f"bytes {direction}"] += len(chunk)
                if left is None:
                    continue
                left -= len(chunk)
                if left == 0:
                    self.counts["cut after"] += 1
                    break
        except OSError:
            reset = False
        pair.end(reset=reset)


class _Pair:
    """The two halves of one connection through the proxy."""

    def __init__(self, near: asyncio.StreamWriter, far: asyncio.StreamWriter) -> None:
        self._writers = (near, far)

    def end(self, *, reset: bool) -> None:
        for writer in self._writers:
            if writer.transport.is_closing():
                continue
            if reset:
                linger = struct.pack("ii", 1, 0)
                found: socket.socket = writer.get_extra_info("socket")
                found.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            # What was written before has left already: `drain` waited for it.
            writer.transport.abort()


def enter(namespace: str) -> None:
    """Move this thread into a network namespace."""
    _enter(f"/var/run/netns/{namespace}")


def _connect(address: tuple[str, int], namespace: str) -> socket.socket:
    """Connect from within a namespace; of this thread alone, which is given back as it was."""
    if not namespace:
        return socket.create_connection(address, 5)
    home = f"/proc/{os.getpid()}/ns/net"
    enter(namespace)
    try:
        return socket.create_connection(address, 5)
    finally:
        _enter(home)


def _enter(file: str) -> None:
    there = os.open(file, os.O_RDONLY)
    try:
        if _libc.setns(there, _CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), f"setns {file}")
    finally:
        os.close(there)


class Line:
    """A bad line between two network namespaces that are there, see `tunrelay.py`.

    `up` is from the child to the parent.

    Args:
        child, parent: The namespaces, each with the address of its end as `ip addr add`
            has it.
        seed: Of what befalls packets.
        device: The name of the devices at both ends.
    """

    def __init__(
        self, child: tuple[str, str], parent: tuple[str, str], seed: int, device: str = "line0"
    ) -> None:
        self._words = (*child, *parent, str(seed), device)
        self._relay: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        self._relay = subprocess.Popen(
            [sys.executable, "-S", str(RELAY), *self._words],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._answer()
        return self

    def __exit__(self, *_: object) -> None:
        if self._relay is not None:
            self._relay.communicate(timeout=10)

    def set(self, **directions: Mapping[str, float]) -> None:
        """Let these faults begin, by direction; see `tunrelay.py`."""
        self._ask(directions)

    def heal(self) -> None:
        """Pass everything on."""
        self._ask({UP: {}, DOWN: {}})

    def counts(self) -> Counter[str]:
        """What the line has done so far, `up lost` and the like."""
        return self._ask({})

    def _ask(self, command: Mapping[str, Mapping[str, float]]) -> Counter[str]:
        assert self._relay is not None
        assert self._relay.stdin is not None
        self._relay.stdin.write(json.dumps(command) + "\n")
        self._relay.stdin.flush()
        return self._answer()

    def _answer(self) -> Counter[str]:
        assert self._relay is not None
        assert self._relay.stdout is not None
        line = self._relay.stdout.readline()
        if not line:
            raise RelayEnded(self._relay.wait(10))
        return Counter(json.loads(line))


def lacks() -> str:
    """Name what is missing to make namespaces and lines between them, "" for nothing."""
    if os.geteuid() != 0:
        return "root"
    for tool in ("ip", "ss"):
        if shutil.which(tool) is None:
            return f"the program {tool}"
    if not os.access("/dev/net/tun", os.R_OK | os.W_OK):
        return "/dev/net/tun"
    try:
        with namespace(new_name("probe")):
            return ""
    except CommandFailed as failed:
        return f"network namespaces ({failed.args[-1]})"


def new_name(stem: str) -> str:
    """Give a name of a namespace that no other test has; the stem is short."""
    return f"yd{os.getpid()}x{random.SystemRandom().randrange(1_000)}{stem}"


@contextmanager
def namespace(name: str) -> Iterator[None]:
    """Let there be a network namespace, with a loopback interface of its own."""
    _run("ip", "netns", "add", name)
    try:
        _run("ip", "-n", name, "link", "set", "lo", "up")
        yield
    finally:
        _run("ip", "netns", "del", name)


class Space(Line):
    """Two network namespaces, `parent` and `child`, and the bad line between them.

    `up` is from the child to the parent.
    """

    def __init__(self, seed: int = 1) -> None:
        self.parent, self.child = new_name("p"), new_name("c")
        self._made = ExitStack()
        ends = (self.child, f"{CHILD_ADDRESS}/30"), (self.parent, f"{PARENT_ADDRESS}/30")
        super().__init__(*ends, seed)

    def __enter__(self) -> Self:
        for name in (self.parent, self.child):
            self._made.enter_context(namespace(name))
        return super().__enter__()

    def __exit__(self, *raised: object) -> None:
        super().__exit__(*raised)
        self._made.close()

    def kill_connections(self) -> int:
        """End what the child has open by its own kernel, and return how many there were.

        Raises:
            OSError: This kernel does not do that (CONFIG_INET_DIAG_DESTROY).
        """
        done = _run("ss", "-N", self.child, "-H", "-K", "-t", "dst", PARENT_ADDRESS)
        return len(done.splitlines())


def _run(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise CommandFailed(command, done.stderr.strip())
    return done.stdout
