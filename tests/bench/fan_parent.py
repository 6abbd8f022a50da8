"""A real daemon with thousands of enrolled children, and what its process costs."""

import json
import os
import secrets
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path as FilePath
from typing import Any, Final

from tests.bench.fan_family import Enrolled, Family
from yidao.node.clock import system_clock_ms, utc
from yidao.node.demo.tree import DemoNode, clean_environment, free_ports, run_yidao
from yidao.node.keys import KeyFolder
from yidao.node.link.admission import enrolment_draft, load_authority, prove_enrolment
from yidao.node.link.certificates import generate_key, issue_leaf, key_sha256, to_pem
from yidao.node.recovery.startup import look
from yidao.node.store.store import Store
from yidao.sync.enrolment import CHANNEL, Enrolment
from yidao.sync.ids import Path, RecordId, node_id
from yidao.sync.suite import Ed25519Signer

_AT_ONCE: Final = 500
_TICKS: Final = os.sysconf("SC_CLK_TCK")


def found(folder: FilePath) -> DemoNode:
    """Found a network whose root is going to be the parent."""
    ports = free_ports(2)
    node = DemoNode(
        name="parent",
        path="/",
        folder=folder / "parent",
        link_port=ports[0],
        join_port=ports[1],
    )
    listen = ("--listen", f"127.0.0.1:{ports[0]}", "--join-listen", f"127.0.0.1:{ports[1]}")
    run_yidao("init", "--data", str(node.folder), *listen)
    # One start writes the founding record down.
    node.start()
    node.stop()
    return node


def enrol(node: DemoNode, count: int, keepalive_seconds: float) -> Family:
    """Enrol children as the join port would, each with a certificate of the parent's."""
    keys = KeyFolder(node.folder)
    identity, certificates = keys.load_identity(), keys.load_certificates()
    authority = load_authority(certificates)
    assert authority is not None
    now_ms = system_clock_ms()
    store = Store.open(
        f"sqlite:///{node.folder / 'store.db'}", clock_ms=system_clock_ms, random=os.urandom
    )
    made: list[tuple[RecordId, Enrolment, bytes, bytes]] = []
    for number in range(count):
        tls, path = generate_key(), Path.parse(f"/c{number:04}")
        child = node_id(os.urandom(16))
        leaf = issue_leaf(authority, tls.public_key(), identity.network, child, path, utc(now_ms))
        enrolment = Enrolment(
            node_id=child,
            path=path,
            journal_key=Ed25519Signer(os.urandom(32)).public_key,
            cosign_key=Ed25519Signer(os.urandom(32)).public_key,
            tls_sha256=key_sha256(tls.public_key()),
            operator="founder@/",
        )
        record_id = RecordId(now_ms.to_bytes(6) + secrets.token_bytes(10))
        made.append((record_id, enrolment, _pem(tls), to_pem(leaf) + authority.chain_pem))
    store.bind(identity)
    # As the daemon would, so that its next start finds the store vouched for.
    startup = look(node.folder, store, environ=os.environ)
    try:
        store.start()
        for start in range(0, count, _AT_ONCE):
            drafts = [
                enrolment_draft(enrolment, record_id, now_ms)
                for record_id, enrolment, _, _ in made[start : start + _AT_ONCE]
            ]
            store.run(lambda tx, drafts=drafts: tx.append(CHANNEL, drafts))
        # A parent does not look into a child's chain: one proof of the right size serves all.
        proof = prove_enrolment(store, made[0][0])
        children = tuple(
            Enrolled(
                node_id=enrolment.node_id,
                path=str(enrolment.path),
                tls_key=key,
                tls_chain=chain,
                proof=proof,
            )
            for _, enrolment, key, chain in made
        )
    finally:
        store.close()
        startup.witness.close()
    return Family(
        network=identity.network,
        parent_id=identity.node_id,
        parent_path=str(identity.path),
        address=f"127.0.0.1:{node.link_port}",
        root_pem=certificates.root_pem,
        chain=keys.load_chain().proofs,
        keepalive_seconds=keepalive_seconds,
        children=children,
    )


def _pem(key: Any) -> bytes:
    from cryptography.hazmat.primitives.serialization import (
        Encoding,
        NoEncryption,
        PrivateFormat,
    )

    pem: bytes = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return pem


@dataclass(slots=True)
class Load:
    """The process of all children."""

    process: "subprocess.Popen[str]"

    def ask(self, word: str) -> dict[str, Any]:
        """Give one command and return its answer."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(word + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        assert line, "the process of the children ended"
        answer: dict[str, Any] = json.loads(line)
        return answer


@contextmanager
def children_of(family: Family, folder: FilePath) -> Iterator[Load]:
    """Start the process of the children, not connected yet; end it with the block."""
    family.save(folder)
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.bench.fan_children", str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=(folder / "children.log").open("w"),
        text=True,
        env=clean_environment(),
    )
    try:
        yield Load(process)
    finally:
        assert process.stdin is not None
        process.stdin.close()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def rss_kib(pid: int) -> int:
    """What a process holds in memory now."""
    for line in FilePath(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1])
    raise AssertionError("no VmRSS")


def cpu_seconds(pid: int) -> float:
    """What a process and its threads have worked since its start."""
    fields = FilePath(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def cpu_share(pid: int, seconds: float) -> float:
    """The share of a core that a process takes over so many seconds."""
    before, started = cpu_seconds(pid), time.monotonic()
    time.sleep(seconds)
    return (cpu_seconds(pid) - before) / (time.monotonic() - started)
