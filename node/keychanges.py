"""Changes the keys of this node: prepare, activate, taint, revoke.

| step | what is so afterwards |
|---|---|
| prepare | the next pair of keys lies in the folder; nobody has heard of it |
| activate | the node writes in a new epoch under it; both journal keys have signed that |
| taint | the pair before signs nothing any more, here |
| revoke | its private halves are gone, once the parent holds the change |

Each step can be cut short and done again. `activate` happens in one commit of the
store: before it the folder names the old keys and they are right, after it
`settled` finds that the store is ahead, and goes over to the new ones.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import Enum
from typing import Final

from yidao.node.errors import NodeError
from yidao.node.keys import Identity, KeyFolder, epoch_count, key_names
from yidao.node.store.store import Store
from yidao.sync.epoch import FIRST, Cause, EpochOpened, next_epoch
from yidao.sync.ids import Lane, NodeId


class KeysNotPrepared(NodeError):
    """There is no next pair of keys to go over to."""

    code = "KEYS_NOT_PREPARED"


class KeysUnknown(NodeError):
    """No pair of keys of that epoch can be treated so (params: keys, state)."""

    code = "KEYS_UNKNOWN"


class KeyChangeUnwitnessed(NodeError):
    """The parent does not hold the change of keys yet (params: epoch)."""

    code = "KEY_CHANGE_UNWITNESSED"
    retryable = True


_NEW_KEYS: Final = (Cause.KEY_ROTATED, Cause.SUITE_CHANGED)


class KeyState(Enum):
    """What a pair of keys of this node is good for."""

    PREPARED = "prepared"
    ACTIVE = "active"
    RETIRED = "retired"
    TAINTED = "tainted"
    REVOKED = "revoked"


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyPair:
    """One pair of keys of this node.

    Attributes:
        keys: The epoch that began with it.
        journal_key: Its public half; b"" where only the store would know it.
        witnessed: The parent holds the record by which the pair became active.
    """

    keys: str
    state: KeyState
    journal_key: bytes
    witnessed: bool


class KeyChanges:
    """The life of this node's keys.

    Args:
        changed: Tells every neighbour, once the node writes under new keys.
    """

    def __init__(
        self,
        store: Store,
        folder: KeyFolder,
        random: Callable[[int], bytes],
        changed: Callable[[], Awaitable[None]],
    ) -> None:
        self._store = store
        self._folder = folder
        self._random = random
        self._changed = changed
        self._step = asyncio.Lock()

    @property
    def epoch(self) -> str:
        """The epoch in which this node writes."""
        return self._store.identity.epoch

    def pairs(self) -> tuple[KeyPair, ...]:
        """Return every pair of keys that this node has or had, the oldest first."""
        identity, folder = self._store.identity, self._folder
        opened = {each.epoch: each for each in self._store.opened_epochs(identity.node_id)}
        public = {FIRST: self._store.keys_of(identity.node_id)[0].journal_key}
        public |= {epoch: each.journal_key for epoch, each in opened.items()}
        # An epoch that kept the keys of the one before brought no pair of its own.
        own = [e for e in opened if e in folder.key_epochs() or opened[e].cause in _NEW_KEYS]
        names = dict.fromkeys((FIRST, *own, *folder.key_epochs()))
        active, held, tainted = folder.active_keys(), folder.key_epochs(), folder.tainted()

        def state(keys: str) -> KeyState:
            if keys not in public:
                return KeyState.PREPARED
            if keys == active:
                return KeyState.ACTIVE
            if keys not in held:
                return KeyState.REVOKED
            return KeyState.TAINTED if keys in tainted else KeyState.RETIRED

        return tuple(
            KeyPair(
                keys=keys,
                state=state(keys),
                journal_key=public.get(keys) or self._public(keys),
                witnessed=keys == FIRST or (keys in opened and self._is_held(opened[keys])),
            )
            for keys in sorted(names, key=epoch_count)
        )

    async def prepare(self) -> KeyPair:
        """Make the next pair of keys, if it is not there; nothing else changes."""
        async with self._step:
            await asyncio.to_thread(self._prepare)
            return self._pair(next_epoch(self._store.identity.epoch))

    async def activate(self, *, operator: str) -> KeyPair:
        """Go over to the prepared pair: from the same commit on everything is signed with it.

        Raises:
            KeysNotPrepared: There is none.
        """
        async with self._step:
            fresh = await asyncio.to_thread(self._prepared)
            await asyncio.wrap_future(
                self._store.submit(
                    lambda tx: tx.open_epoch(fresh, Cause.KEY_ROTATED, actor=operator)
                )
            )
            await asyncio.to_thread(self._folder.switch_identity, fresh, fresh.epoch)
        await self._changed()
        return self._pair(fresh.epoch)

    async def taint(self, keys: str) -> KeyPair:
        """Let a pair that was active sign nothing any more.

        Raises:
            KeysUnknown: It is not there, or it is the active one.
        """
        async with self._step:
            self._check(keys, KeyState.RETIRED, KeyState.TAINTED)
            await asyncio.to_thread(self._folder.taint, keys)
        return self._pair(keys)

    async def revoke(self, keys: str) -> KeyPair:
        """Destroy the private halves of a tainted pair.

        Raises:
            KeysUnknown: It is not tainted.
            KeyChangeUnwitnessed: The parent does not hold the change that came after it.
        """
        async with self._step:
            self._check(keys, KeyState.TAINTED, KeyState.REVOKED)
            after = [p for p in self.pairs() if epoch_count(p.keys) > epoch_count(keys)]
            if not after[0].witnessed:
                raise KeyChangeUnwitnessed(epoch=after[0].keys)
            for name in key_names(keys):
                await asyncio.to_thread(self._folder.destroy, name)
        return self._pair(keys)

    def _prepare(self) -> None:
        folder, keys = self._folder, next_epoch(self._store.identity.epoch)
        names = key_names(keys)
        if all(folder.has(name) for name in names):
            return
        for name in names:
            # Of a run that was cut short; nobody has seen it.
            folder.remove(name)
            folder.write_signer(name, self._random(32))

    def _prepared(self) -> Identity:
        identity = self._store.identity
        keys = next_epoch(identity.epoch)
        if not all(self._folder.has(name) for name in key_names(keys)):
            raise KeysNotPrepared
        return self._folder.load_epoch(identity, keys, keys)

    def _pair(self, keys: str) -> KeyPair:
        return next(pair for pair in self.pairs() if pair.keys == keys)

    def _check(self, keys: str, *allowed: KeyState) -> None:
        found = next((pair for pair in self.pairs() if pair.keys == keys), None)
        if found is None or found.state not in allowed:
            raise KeysUnknown(keys=keys, state=found.state.value if found else "")

    def _public(self, keys: str) -> bytes:
        journal, _ = key_names(keys)
        return self._folder.load_signer(journal).public_key if self._folder.has(journal) else b""

    def _is_held(self, opened: EpochOpened) -> bool:
        """Whether the parent has acknowledged the record that opened an epoch."""
        identity = self._store.identity
        parent = identity.path.parent
        above = None if parent is None else self._store.enrolled_at(parent)
        if above is None or above.node_id == identity.node_id:
            return True
        position = self._store.position_opened(opened)
        held = self._store.acknowledged(above.node_id).get(Lane.CONTROL, 0)
        return position is not None and position <= held


def settled(store: Store, folder: KeyFolder) -> Identity:
    """Return who this node is, once a change of keys that was cut short is finished.

    The store is asked, since there the change happens: it goes over or it does not.

    Args:
        store: Open, and not bound yet.
        folder: The node's keys.

    Raises:
        KeyFileError: See `KeyFolder.load_identity`.
    """
    identity = folder.load_identity()
    opened = store.opened_epochs(NodeId(identity.node_id))
    if not opened or opened[-1].epoch == identity.epoch:
        return identity
    last, active = opened[-1], folder.active_keys()
    keys = last.epoch if folder.has(key_names(last.epoch)[0]) else active
    fresh = folder.load_epoch(identity, last.epoch, keys)
    if (fresh.journal.public_key, fresh.cosign.public_key) != (last.journal_key, last.cosign_key):
        # Not of this store: `bind` says so.
        return identity
    folder.switch_identity(fresh, keys)
    return fresh
