"""What happens once in a node's life: found a network, or join one."""

import asyncio
import secrets
from collections.abc import Mapping
from pathlib import Path

from yidao.node import datadir
from yidao.node.clock import check_clock, system_clock_ms, utc
from yidao.node.config import write_settings
from yidao.node.keys import Identity
from yidao.node.link.bundle import JoinBundle
from yidao.node.link.founding import found_network
from yidao.node.link.join import join_with_file
from yidao.node.link.options import forget_environment_proxies
from yidao.node.recovery import marks

CONFIG_NAME = "config.toml"

Given = Mapping[str, str | int | float]


def found(data: Path, settings: Given) -> Identity:
    """Make `data` the root of a new network and write its settings.

    Raises:
        YidaoError: The folder, a setting or the clock is unfit, or a node lives there.
    """
    now_ms = system_clock_ms()
    check_clock(now_ms)
    folder = datadir.prepare(data)
    identity = found_network(folder, now=utc(now_ms), random=secrets.token_bytes)
    marks.put(folder, marks.FIRST)
    _configure(folder, settings)
    return identity


def join_network(data: Path, bundle: Path, settings: Given) -> Identity:
    """Enrol `data` as the child that the bundle is for and write its settings.

    The bundle file is deleted: its secret is spent.

    Raises:
        YidaoError: The folder, the bundle or a setting is unfit, or the parent refuses.
    """
    now_ms = system_clock_ms()
    check_clock(now_ms)
    folder = datadir.prepare(data)
    # Settings first: a run that is cut short must not leave a node without its parent's
    # address and with the bundle, which names it, already spent.
    invitation = JoinBundle.load(bundle)
    told: Given = {
        "parent_address": invitation.link_address,
        "parent_join_address": invitation.addresses[0],
        **settings,
    }
    _configure(folder, {**told, "test_network": True} if invitation.test_network else told)
    proxy = told.get("proxy")
    forget_environment_proxies()
    identity, _ = asyncio.run(
        join_with_file(
            bundle,
            folder,
            now=utc(now_ms),
            random=secrets.token_bytes,
            proxy=str(proxy) if proxy else None,
        )
    )
    marks.put(folder, marks.FIRST)
    return identity


def _configure(folder: Path, settings: Given) -> None:
    """Write the settings file; one that an earlier try left is put aside by name."""
    file = folder / CONFIG_NAME
    if file.exists():
        file.replace(folder / f"{CONFIG_NAME}.before")
    write_settings(file, settings)
