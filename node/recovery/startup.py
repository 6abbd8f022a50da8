"""Looks at a start: what vouches for the store that was found in the folder."""

import hashlib
import secrets
from collections.abc import Mapping
from pathlib import Path

from yidao.node.recovery import marks
from yidao.node.recovery.witness import LIFE_BYTES, Witness
from yidao.node.store.store import Store
from yidao.node.store.vouching import Vouched
from yidao.sync.fencing import Standing, Start, begun


class Startup:
    """A start, and what remembers the store from here on."""

    def __init__(self, start: Start, witness: Witness, life: bytes) -> None:
        self.start = start
        self.witness = witness
        self.life = life

    def follow(self, standing: Standing) -> None:
        """Let this machine vouch for the store for as long as the node may sign.

        A node that was stopped before anybody had vouched for its store is as much in
        doubt at its next start.
        """
        if standing is Standing.ACTIVE:
            self.witness.trust(self.life)
        else:
            self.witness.doubt()


class SharedStartup(Startup):
    """A start of one of several daemons: the database remembers, for all of them."""

    def __init__(self, start: Start, witness: Witness, life: bytes, store: Store) -> None:
        super().__init__(start, witness, life)
        self._store = store
        self._before = begun(start)

    def follow(self, standing: Standing) -> None:
        """Tell the other daemons what this one has learnt of the database."""
        before, self._before = self._before, standing
        if standing is Standing.ACTIVE:
            self._store.vouch(settled=before is Standing.REOPENING)
        elif standing is not Standing.FENCED:
            self._store.vouch(standing.value)


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
    seat = f"-{hashlib.sha256(bytes(data_dir.absolute())).hexdigest()[:16]}"
    witness = Witness.take(store.identity.node_id, environ, seat if store.is_shared else "")
    life = secrets.token_bytes(LIFE_BYTES)
    before, position = store.renew_life(life)
    if store.is_shared:
        start = _judge_shared(data_dir, store.vouched(), position, witness)
    else:
        start = _judge(data_dir, before, position, witness)
    marks.drop(data_dir, marks.FIRST)
    witness.begin(position)
    store.remember_by(witness)
    standing = begun(start)
    if standing is not Standing.ACTIVE:
        store.fence.close(standing.value)
    found = (
        SharedStartup(start, witness, life, store)
        if store.is_shared
        else Startup(start, witness, life)
    )
    found.follow(standing)
    return found


def _judge(data_dir: Path, before: bytes, position: int, witness: Witness) -> Start:
    if marks.has(data_dir, marks.RESTORED):
        return Start.RESTORED
    if marks.has(data_dir, marks.FIRST) and position == 0:
        return Start.FIRST
    return Start.REMEMBERED if witness.vouches(before, position) else Start.DOUBTFUL


def _judge_shared(data_dir: Path, said: Vouched, position: int, witness: Witness) -> Start:
    """Judge by what the database says: another daemon may have written since this one did."""
    # Who has seen more than there is knows that the database was rolled back.
    was_restored = marks.has(data_dir, marks.RESTORED) or witness.knows_more(position)
    if was_restored or said is Vouched.DOUBTED:
        return Start.RESTORED
    if said is Vouched.NEVER and marks.has(data_dir, marks.FIRST) and position == 0:
        return Start.FIRST
    return Start.REMEMBERED if said is Vouched.YES else Start.DOUBTFUL
