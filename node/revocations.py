"""Revokes nodes below this one, and closes what they have open here."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from yidao.node.errors import NodeError
from yidao.node.store import revoking, trust
from yidao.node.store.store import Store
from yidao.node.store.transaction import Tx
from yidao.node.store.values import Draft, DraftPart, EnrolledNode
from yidao.sync.errors import RevocationMalformed
from yidao.sync.ids import CHANCE_BYTES, Path, new_record_id
from yidao.sync.revocation import CHANNELS, KIND, CutLine, Reason, Revocation


class ChildUnknown(NodeError):
    """No node is enrolled at that path below this one (params: path)."""

    code = "CHILD_UNKNOWN"


class ChildRevoked(NodeError):
    """The node at that path was revoked already, and no other one stands there (params: path)."""

    code = "CHILD_REVOKED"


def _standing(tx: Tx, path: Path) -> EnrolledNode:
    node = trust.enrolled_at(tx.conn, path)
    if node is not None and tx.identity.path.is_ancestor_of(path):
        return node
    if trust.was_revoked_at(tx.conn, path):
        raise ChildRevoked(path=str(path))
    raise ChildUnknown(path=str(path))


def _earlier(cut: Sequence[CutLine], wanted: Sequence[CutLine]) -> tuple[CutLine, ...]:
    """Return a cut with some journals ending earlier; what then is empty is not listed."""
    sizes = {(line.channel, line.epoch): line.size for line in cut}
    for line in wanted:
        if line.size > sizes.get((line.channel, line.epoch), -1):
            raise RevocationMalformed(field="cut")
        sizes[line.channel, line.epoch] = line.size
    return tuple(
        CutLine(channel=channel, epoch=epoch, size=size)
        for (channel, epoch), size in sorted(sizes.items())
        if size
    )


class Revocations:
    """Takes authority away from nodes below.

    Args:
        recheck: Closes the streams of peers that would not be let in now.
    """

    def __init__(
        self,
        store: Store,
        clock_ms: Callable[[], int],
        random: Callable[[int], bytes],
        recheck: Callable[[], Awaitable[None]],
    ) -> None:
        self._store = store
        self._clock_ms = clock_ms
        self._random = random
        self._recheck = recheck

    async def revoke(
        self,
        path: Path,
        *,
        reason: str,
        operator: str,
        dry_run: bool = False,
        earlier: Sequence[CutLine] = (),
    ) -> Revocation:
        """Revoke the node at a path as of what is held of it now, or as of before that.

        When this returns, the revocation is durable here and the node's streams to
        this one are closed.

        Args:
            path: Below this node.
            reason: One of `Reason`.
            operator: The actor who decided it.
            dry_run: Say what would be revoked, and write nothing.
            earlier: Journals that shall end before what is held of them: what the
                operator knows to be a thief's already.

        Raises:
            RevocationMalformed: There is no such reason, too many journals to list, or
                one in `earlier` is not held that far.
            ChildUnknown, ChildRevoked: No node stands there.
        """
        why = next((each for each in Reason if each.value == reason), None)
        if why is None:
            raise RevocationMalformed(field="reason")

        def decide(tx: Tx) -> Revocation:
            # In the writer's thread, so that nothing comes between the cut and the record.
            node = _standing(tx, path)
            found = Revocation(
                node_id=node.node_id,
                path=path,
                reason=why,
                operator=operator,
                cut=_earlier(revoking.cut_of(tx.conn, node), earlier),
            )
            core = found.encode()
            if not dry_run:
                for channel in CHANNELS:
                    tx.append(channel, [self._draft(found, core)])
            return found

        decided = await asyncio.wrap_future(self._store.submit(decide))
        if not dry_run:
            await self._recheck()
        return decided

    def _draft(self, found: Revocation, core: bytes) -> Draft:
        now_ms = self._clock_ms()
        return Draft(
            record_id=new_record_id(now_ms, self._random(CHANCE_BYTES)),
            kind=KIND,
            actor=found.operator,
            object_id=found.node_id.hex(),
            object_version=1,
            created_ms=now_ms,
            parts=(DraftPart(name="core", body=core),),
        )
