"""More nodes below those of a pair."""

from pathlib import Path

from tests.faults.daemons import HASTE, Daemon, Nursery, change_settings, listen_options
from yidao.node.demo.tree import free_ports, run_yidao


def grow(
    nursery: Nursery, parent: Daemon, label: str, folder: Path, **settings: str | float
) -> Daemon:
    """Let a node join below `parent`, which runs; gives it stopped.

    Args:
        nursery: Will start it.
        parent: Enrols it.
        label: Its own in its path, and the name of its data folder.
        folder: Where that is made.
        settings: Of its own, beside those of every daemon of a test.
    """
    bundle, ports = folder / f"{label}.bundle", free_ports(2)
    with parent.client() as client:
        made = client.add_child(label, ttl_seconds=600, operator=f"sample@{parent.path}")
    bundle.touch(0o600)
    bundle.write_bytes(made)
    run_yidao("join", str(bundle), "--data", str(folder / label), *listen_options(ports))
    change_settings(folder / label, **{**HASTE, **settings})
    return Daemon(
        nursery=nursery,
        path=f"{parent.path.rstrip('/')}/{label}",
        folder=folder / label,
        memory=parent.memory,
        link_port=ports[0],
    )
