"""Opens the epoch that follows a restore, a fork or a start that nobody vouched for.

The old epoch is not written to again, not even to say that it ends: where two
processes have its key, any record more is one more to contradict. The new epoch's
first record says where the old journals ended here. With it the store's line of
positions gets another name: what was ingested again may stand elsewhere, and a
neighbour's cursor could point at the right seal with other records before it.
"""

import asyncio
from collections.abc import Callable
from dataclasses import replace

from yidao.node.keys import Identity
from yidao.node.store.store import Store
from yidao.node.store.transaction import Tx
from yidao.sync.epoch import Cause, next_epoch

_MARK_BYTES = 8


async def reopen(store: Store, cause: Cause, random: Callable[[int], bytes]) -> Identity:
    """Open the next epoch under the same key and return who writes in it."""
    mark = random(_MARK_BYTES) if cause is Cause.UNWITNESSED else b""

    def job(tx: Tx) -> Identity:
        tx.pass_fence()
        identity = replace(tx.identity, epoch=next_epoch(tx.identity.epoch, mark))
        tx.open_epoch(identity, cause, cut=tx.own_cut())
        tx.begin_line()
        return identity

    return await asyncio.wrap_future(store.submit(job))
