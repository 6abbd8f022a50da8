"""A bad line between two network namespaces: two TUN devices, joined by this program.

    python -S tunrelay.py LEFT_NAMESPACE LEFT_ADDRESS RIGHT_NAMESPACE RIGHT_ADDRESS SEED DEVICE

An address is written as `ip addr add` has it, DEVICE is the name of both devices.

It does in user space what netem does in kernels that have it, and what iptables does
where it is installed. Commands are lines of JSON on the standard input, each answered by
one line, the counts so far. `{"up": {…}, "down": {…}}` sets what happens to packets from
left to right and back; a direction that is named begins anew:

| name | what |
|---|---|
| `loss`, `duplicate`, `corrupt` | the share of packets, 0 to 1; corrupt flips one bit |
| `delay`, `jitter` | seconds; jitter is added evenly, so that packets overtake each other |
| `rate` | bytes a second; what would wait longer than a second is dropped |
| `largest` | bytes; a larger packet vanishes, and nobody is told (a black hole) |
| `reset` | how many of the next TCP segments with data are answered by RST and vanish |
| `closed` | true: nothing passes |

Needs root and /dev/net/tun. Ends with its standard input.
"""

import ctypes
import fcntl
import heapq
import json
import os
import random
import select
import struct
import subprocess
import sys
import time
from collections import Counter

_CLONE_NEWNET = 0x40000000
_TUNSETIFF = 0x400454CA
_IFF_TUN_NO_PI = 0x0001 | 0x1000
_BURST = 64
_QUEUE_SECONDS = 1.0
_TCP = 6
_IPV4_HEADER = 20
_RST_ACK = 0x14
_libc = ctypes.CDLL(None, use_errno=True)


def open_tun(namespace: str, address: str, name: str) -> int:
    """Make a TUN device in a namespace, and give its end here."""
    home = os.open("/proc/self/ns/net", os.O_RDONLY)
    there = os.open(f"/var/run/netns/{namespace}", os.O_RDONLY)
    try:
        _enter(there)
        device = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
        fcntl.ioctl(device, _TUNSETIFF, struct.pack("16sH22x", name.encode(), _IFF_TUN_NO_PI))
        _enter(home)
    finally:
        os.close(home)
        os.close(there)
    for command in (["addr", "add", *address.split(), "dev", name], ["link", "set", name, "up"]):
        subprocess.run(["ip", "-n", namespace, *command], check=True)
    return device


def _enter(namespace: int) -> None:
    if _libc.setns(namespace, _CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "setns")


def _checksum(data: bytes) -> int:
    data += b"\0" * (len(data) % 2)
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def tcp_payload(packet: bytes) -> int:
    """Return how many bytes of data a packet carries in TCP; 0 for anything else."""
    if packet[0] != 0x45 or packet[9] != _TCP:
        return 0
    return len(packet) - _IPV4_HEADER - (packet[_IPV4_HEADER + 12] >> 4) * 4


def reset_for(packet: bytes) -> bytes:
    """Make the RST with which a firewall answers a segment (RFC 9293, 3.5.2)."""
    source, target = packet[12:16], packet[16:20]
    from_port, to_port, seq, ack = struct.unpack_from("!HHII", packet, _IPV4_HEADER)
    expected = (seq + tcp_payload(packet)) & 0xFFFFFFFF
    tcp = struct.pack("!HHIIBBHHH", to_port, from_port, ack, expected, 5 << 4, _RST_ACK, 0, 0, 0)
    pseudo = target + source + struct.pack("!BBH", 0, _TCP, len(tcp))
    tcp = tcp[:16] + struct.pack("!H", _checksum(pseudo + tcp)) + tcp[18:]
    head = struct.pack("!BBHHHBBH", 0x45, 0, _IPV4_HEADER + len(tcp), 0, 0, 64, _TCP, 0)
    head += target + source
    return head[:10] + struct.pack("!H", _checksum(head)) + head[12:] + tcp


class Direction:
    """What happens to the packets of one direction."""

    def __init__(self, name: str, draw: random.Random, counts: "Counter[str]") -> None:
        self.name = name
        self.faults: dict[str, float] = {}
        self._draw = draw
        self._counts = counts
        self._free_at = 0.0

    def begin(self, faults: dict[str, float]) -> None:
        """Do this from now on."""
        self.faults = dict(faults)

    def _count(self, what: str) -> None:
        self._counts[f"{self.name} {what}"] += 1

    def take(self, packet: bytes, now: float) -> tuple[list[tuple[float, bytes]], bytes]:
        """Return when to deliver what, and what to send back; both may be empty."""
        faults, draw = self.faults, self._draw.random
        if not faults:
            self._count("passed")
            return [(now, packet)], b""
        if faults.get("reset", 0) > 0 and tcp_payload(packet):
            faults["reset"] -= 1
            self._count("reset")
            return [], reset_for(packet)
        if faults.get("closed") or len(packet) > faults.get("largest", 1 << 16):
            self._count("swallowed")
            return [], b""
        if draw() < faults.get("loss", 0):
            self._count("lost")
            return [], b""
        at = now
        if rate := faults.get("rate"):
            if self._free_at - now > _QUEUE_SECONDS:
                self._count("overflowed")
                return [], b""
            self._free_at = at = max(self._free_at, now) + len(packet) / rate
        if draw() < faults.get("corrupt", 0):
            self._count("corrupted")
            broken = bytearray(packet)
            broken[self._draw.randrange(_IPV4_HEADER, len(broken))] ^= 1 << self._draw.randrange(8)
            packet = bytes(broken)
        copies = 1
        if draw() < faults.get("duplicate", 0):
            self._count("duplicated")
            copies = 2
        self._count("passed")
        delay, jitter = faults.get("delay", 0), faults.get("jitter", 0)
        return [(at + delay + draw() * jitter, packet) for _ in range(copies)], b""


class Line:
    """Both directions, and the packets that are on their way."""

    def __init__(self, left: int, right: int, seed: int) -> None:
        draw = random.Random(seed)
        self.counts: Counter[str] = Counter()
        self.ends = {left: Direction("up", draw, self.counts)}
        self.ends[right] = Direction("down", draw, self.counts)
        self._other = {left: right, right: left}
        self._waiting: list[tuple[float, int, int, bytes]] = []
        self._number = 0

    def deliver(self) -> float | None:
        """Write what is due, and return the seconds until something else is, if anything."""
        now = time.monotonic()
        while self._waiting and self._waiting[0][0] <= now:
            _, _, end, packet = heapq.heappop(self._waiting)
            _write(end, packet)
        return max(0.0, self._waiting[0][0] - now) if self._waiting else None

    def read(self, end: int) -> None:
        """Take what has come at one end."""
        for _ in range(_BURST):
            try:
                packet = os.read(end, 65_536)
            except BlockingIOError:
                return
            if packet[0] >> 4 != 4:
                continue
            deliveries, answer = self.ends[end].take(packet, time.monotonic())
            if answer:
                _write(end, answer)
            for at, each in deliveries:
                self._number += 1
                heapq.heappush(self._waiting, (at, self._number, self._other[end], each))

    def obey(self, command: str) -> None:
        """Take one line of the standard input, and answer it."""
        for name, faults in json.loads(command).items():
            for direction in self.ends.values():
                if direction.name == name:
                    direction.begin(faults)
        print(json.dumps(self.counts), flush=True)


def main(left: tuple[str, str], right: tuple[str, str], seed: int, name: str) -> None:
    """Relay until the standard input ends."""
    line = Line(open_tun(*left, name), open_tun(*right, name), seed)
    line.obey("{}")
    while True:
        for ready in select.select([*line.ends, sys.stdin], [], [], line.deliver())[0]:
            if ready is not sys.stdin:
                line.read(ready)
            elif command := sys.stdin.readline():
                line.obey(command)
            else:
                return


def _write(end: int, packet: bytes) -> None:
    try:
        os.write(end, packet)
    except (BlockingIOError, OSError):
        # A full queue and a corrupted header lose the packet, as a line does.
        return


if __name__ == "__main__":
    given = sys.argv[1:]
    main((given[0], given[1]), (given[2], given[3]), int(given[4]), given[5])
