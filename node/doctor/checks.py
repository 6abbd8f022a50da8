"""The checks, in the order in which a node depends on them."""

import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from yidao.api.errors import YidaoError
from yidao.node import datadir
from yidao.node.client import Status
from yidao.node.clock import check_clock, system_clock_ms, utc
from yidao.node.config import Settings, load_settings
from yidao.node.doctor import errors, machine, storecheck
from yidao.node.keys import KeyFolder
from yidao.node.link.way import check_way, way_to_parent
from yidao.node.setup import CONFIG_NAME

#: How long the doctor watches what should move: a record needs about a second a tier.
WATCH_SECONDS: Final = 2.0
_MOST_PROBLEMS: Final = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What one check found.

    Attributes:
        code: What is wrong, a code of the messages; empty if all is well.
        params: What the message needs.
    """

    check: str
    code: str = ""
    params: Mapping[str, str | int] = field(default_factory=dict)


def examine(data: Path, *, wait: Callable[[float], None] = time.sleep) -> tuple[Finding, ...]:
    """Run every check on the node whose data folder this is. Changes nothing.

    Args:
        data: The folder.
        wait: Lets time pass, so that what should move is seen to move.
    """
    return tuple(_examined(data.absolute(), wait))


def sound(findings: Sequence[Finding]) -> bool:
    """Whether nothing is wrong."""
    return not any(finding.code for finding in findings)


def load(data: Path) -> Settings:
    """Return the settings of the node as its daemon would see them."""
    file = data / CONFIG_NAME
    return load_settings(file if file.exists() else None, os.environ, data_dir=data)


def _examined(data: Path, wait: Callable[[float], None]) -> Iterator[Finding]:
    yield _run("clock", lambda: check_clock(system_clock_ms()))
    yield _run("libraries", machine.check_libraries)
    entry = _run("folder", lambda: datadir.prepare(data, create=False))
    yield entry
    if entry.code:
        return
    yield _run("socket", lambda: machine.check_socket_path(data))
    config = _run("settings", lambda: load(data))
    yield config
    folder = KeyFolder(data)
    yield _run("keys", folder.load_identity)
    yield _run("certificate", lambda: machine.check_certificate(folder, utc(system_clock_ms())))
    yield _run("disk", lambda: machine.check_disk(data))
    if config.code:
        return
    settings = load(data)
    yield _run("addresses", lambda: machine.check_addresses(settings))
    running = _run("daemon", lambda: machine.live_status(data))
    yield running
    if running.code == errors.NodeNotRunning.code:
        yield _run("ports", lambda: machine.check_ports(settings))
    yield from _store(settings)
    yield _run("parent", lambda: _check_parent(folder, settings))
    if not running.code:
        yield from _moving(settings, wait)


def _run(check: str, question: Callable[[], object]) -> Finding:
    try:
        question()
    except YidaoError as error:
        return Finding(check=check, code=error.code, params=error.params)
    return Finding(check=check)


def _store(settings: Settings) -> Iterator[Finding]:
    if settings.database_url is None:
        whole = _run("database", lambda: storecheck.check_file(settings.data_dir / "store.db"))
    else:
        whole = _run("database", lambda: _open_and_close(settings))
    yield whole
    if whole.code not in ("", errors.WalTooLarge.code) or not storecheck.has_store(settings):
        return
    with storecheck.opened(settings) as connection:
        yield _run("journals", lambda: storecheck.check_journals(connection))
        found = [
            Finding(check="problems", code=code, params=params)
            for code, params in storecheck.open_problems(connection)
        ]
    yield from found[:_MOST_PROBLEMS] or [Finding(check="problems")]


def _open_and_close(settings: Settings) -> None:
    with storecheck.opened(settings):
        pass


def _check_parent(folder: KeyFolder, settings: Settings) -> None:
    identity = folder.load_identity()
    parent = identity.path.parent
    if parent is None:
        return
    for address in settings.parent_addresses:
        check_way(way_to_parent(settings, folder, parent, address))


def _moving(settings: Settings, wait: Callable[[float], None]) -> Iterator[Finding]:
    """Look twice: what waits must not grow, and what is parked must not stay."""
    try:
        before, lots_before = machine.live_status(settings.data_dir), _parked(settings)
        if lots_before[0] or any(peer.lag for peer in before.peers):
            wait(WATCH_SECONDS)
        after, lots_after = machine.live_status(settings.data_dir), _parked(settings)
    except YidaoError as error:
        # The daemon stopped between two looks.
        yield Finding(check="daemon", code=error.code, params=error.params)
        return
    yield _run("lag", lambda: check_lag(before, after))
    yield _run("parked", lambda: check_parked(lots_before, lots_after))


def _parked(settings: Settings) -> tuple[int, int]:
    with storecheck.opened(settings) as connection:
        return storecheck.parked(connection)


def check_lag(before: Status, after: Status) -> None:
    """Require that no connected peer falls further behind."""
    lags = {peer.node_id: peer.lag for peer in before.peers}
    for peer in after.peers:
        was = lags.get(peer.node_id, 0)
        if peer.state == "connected" and was and peer.lag > was:
            raise errors.LagGrowing(peer=peer.path, lag=peer.lag, before=was)


def check_parked(before: tuple[int, int], after: tuple[int, int]) -> None:
    """Require that the oldest parts that waited have found their records."""
    if before[0] and before[1] == after[1]:
        raise errors.RecordsParked(count=after[0])
