"""Looks at a start: what vouches for the store that was found in the folder."""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from yidao.node.recovery import marks
from yidao.node.recovery.witness import LIFE_BYTES, Witness
from yidao.node.store.store import Store
from yidao.sync.fencing import Standing, Start, begun


@dataclass(frozen=True, slots=True, kw_only=True)
class Startup:
    """A start, and what remembers the store from here on."""

    start: Start
    witness: Witness
    life: bytes

    def follow(self, standing: Standing) -> None:
        """Let this machine vouch for the store for as long as the node may sign.

        A node that was stopped before anybody had vouched for its store is as much in
        doubt at its next start.
        """
        if standing is Standing.ACTIVE:
            self.witness.trust(self.life)
        else:
            self.witness.doubt()


def look(
    data_dir: Path,
    store: Store,
    *,
    environ: Mapping[str, str],
) -> Startup:
    """Judge a store that is bound and not started, and fence it where nothing vouches for it.

    Raises:
        NodeRunsTwice: Another process of this node runs on this machine.
    """
    witness = Witness.take(store.identity.node_id, environ)
    life = secrets.token_bytes(LIFE_BYTES)
    before, position = store.renew_life(life)
    if marks.has(data_dir, marks.RESTORED):
        start = Start.RESTORED
    elif marks.has(data_dir, marks.FIRST) and position == 0:
        start = Start.FIRST
    elif witness.vouches(before, position):
        start = Start.REMEMBERED
    else:
        start = Start.DOUBTFUL
    marks.drop(data_dir, marks.FIRST)
    witness.begin(position)
    store.remember_by(witness)
    standing = begun(start)
    if standing is not Standing.ACTIVE:
        store.fence.close(standing.value)
    found = Startup(start=start, witness=witness, life=life)
    found.follow(standing)
    return found
