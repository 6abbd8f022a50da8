"""What happens once in a node's life: found a network, or join one."""

import asyncio
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from yidao.node import datadir
from yidao.node.clock import check_clock, system_clock_ms, utc
from yidao.node.config import load_settings, write_settings
from yidao.node.keys import STANDARD_KEYS, Identity, KeyFolder, KeyKinds
from yidao.node.link.bundle import JoinBundle
from yidao.node.link.founding import found_network
from yidao.node.link.join import Pause, forget_file, join
from yidao.node.link.joinbycode import bundle_by_code
from yidao.node.link.joincode import parse_code
from yidao.node.link.options import forget_environment_proxies
from yidao.node.recovery import marks
from yidao.sync.selftest import self_test_for
from yidao.sync.suite import ML_DSA_44

CONFIG_NAME = "config.toml"
#: In the key folder, until a node that joins by a code is enrolled.
INVITATION = "join.invitation"

Given = Mapping[str, str | int | float]


def found(data: Path, settings: Given, kinds: KeyKinds = STANDARD_KEYS) -> Identity:
    """Make `data` the root of a new network and write its settings.

    Raises:
        YidaoError: The folder, a setting or the clock is unfit, or a node lives there.
    """
    now_ms = system_clock_ms()
    check_clock(now_ms)
    _check_kinds(kinds)
    folder = datadir.prepare(data)
    identity = found_network(folder, now=utc(now_ms), random=secrets.token_bytes, kinds=kinds)
    marks.put(folder, marks.FIRST)
    _configure(folder, settings)
    return identity


@dataclass(frozen=True, slots=True, kw_only=True)
class Joining:
    """How a node joins; see `yidao.node.link.join.join`.

    Attributes:
        kinds: Of the keys that it makes.
        pause: Called while an operator must decide.
    """

    kinds: KeyKinds = STANDARD_KEYS
    pause: Pause | None = None


STANDARD: Final = Joining()


def join_network(data: Path, bundle: Path, settings: Given, how: Joining = STANDARD) -> Identity:
    """Enrol `data` as the child that the bundle is for and write its settings.

    The bundle file is deleted: its secret is spent.

    Args:
        data: The data folder; made if it is missing.
        bundle: The bundle's file.
        settings: What was told beside it.
        how: The keys to make, and what to do while an operator decides.

    Raises:
        YidaoError: The folder, the bundle or a setting is unfit, or the parent refuses.
    """
    _check_kinds(how.kinds)
    folder = _prepared(data)
    identity = _join(folder, JoinBundle.load(bundle), settings, how)
    forget_file(bundle)
    return identity


def join_by_code(
    data: Path, code: str, address: str, settings: Given, how: Joining = STANDARD
) -> Identity:
    """Enrol `data` as the child that a typed code is for and write its settings.

    What the code led to is kept in the key folder until the node is enrolled, so that a
    run that is cut short goes on where it was.

    Args:
        data: The data folder; made if it is missing.
        code: As it was typed.
        address: `host:port` of the parent's join service.
        settings: What was told beside it.
        how: The keys to make, and what to do while an operator decides.

    Raises:
        YidaoError: The folder, the code or a setting is unfit, or the parent refuses.
    """
    typed = parse_code(code)
    load_settings(None, {}, parent_address=address)
    _check_kinds(how.kinds)
    folder = _prepared(data)
    keys = KeyFolder.create(folder)
    kept = JoinBundle.decode(keys.read(INVITATION)) if keys.has(INVITATION) else None
    if kept is None or (kept.token_id, kept.secret) != (typed.token_id, typed.mac_secret):
        proxy = settings.get("proxy")
        found = bundle_by_code(
            typed, address, random=secrets.token_bytes, proxy=str(proxy) if proxy else None
        )
        kept = asyncio.run(found)
        keys.replace(INVITATION, kept.encode())
    identity = _join(folder, kept, settings, how)
    keys.remove(INVITATION)
    return identity


def _prepared(data: Path) -> Path:
    check_clock(system_clock_ms())
    forget_environment_proxies()
    return datadir.prepare(data)


def _join(folder: Path, invitation: JoinBundle, settings: Given, how: Joining) -> Identity:
    # Settings first: a run that is cut short must not leave a node without its parent's
    # address and with the bundle, which names it, already spent.
    told: Given = {
        "parent_address": invitation.link_address,
        "parent_join_address": invitation.addresses[0],
        **settings,
    }
    _configure(folder, {**told, "test_network": True} if invitation.test_network else told)
    proxy = told.get("proxy")
    identity = asyncio.run(
        join(
            invitation,
            folder,
            now=utc(system_clock_ms()),
            random=secrets.token_bytes,
            proxy=str(proxy) if proxy else None,
            kinds=how.kinds,
            pause=how.pause,
        )
    )
    marks.put(folder, marks.FIRST)
    return identity


def _check_kinds(kinds: KeyKinds) -> None:
    """Try the suites out before anything is written, so that nothing is half made."""
    self_test_for((kinds.suite, ML_DSA_44) if kinds.pq else (kinds.suite,))


def _configure(folder: Path, settings: Given) -> None:
    """Write the settings file; one that an earlier try left is put aside by name."""
    file = folder / CONFIG_NAME
    if file.exists():
        file.replace(folder / f"{CONFIG_NAME}.before")
    write_settings(file, settings)
