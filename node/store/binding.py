"""Whom a database serves: one node for ever, and one process of it at a time."""

from collections.abc import Mapping, Sequence

from sqlalchemy import Connection, insert, select

from yidao.node.keys import Identity
from yidao.node.store import epochs, errors, tables, trust
from yidao.sync.enrolment import Enrolment
from yidao.sync.epoch import FIRST
from yidao.sync.ids import NodeId, Path


def bind(conn: Connection, identity: Identity, chain: Sequence[Enrolment]) -> None:
    """Write down which node the database serves, and what it knows of those above.

    Args:
        conn: In a transaction.
        identity: The node.
        chain: Verified enrolments from the root down to this node.

    Raises:
        StoreOfAnotherNode: The database has served another one.
        EnrolmentConflict: The chain contradicts what it holds.
        EpochNotLive: The node writes in another epoch, or under other keys.
    """
    _claim(conn, "network", identity.network)
    _claim(conn, "node_id", identity.node_id)
    by_path = {enrolment.path: enrolment.node_id for enrolment in chain}
    for enrolment in chain:
        parent = enrolment.path.parent
        above = None if parent is None else by_path.get(parent)
        trust.learn(conn, enrolment, above or enrolment.node_id)
    _check_identity(conn, identity, by_path)


def read_life(conn: Connection) -> bytes:
    """Return the life that was written last."""
    value = conn.execute(
        select(tables.meta.c.value).where(tables.meta.c.key == tables.LIFE)
    ).scalar_one()
    return bytes(value)


def renew_life(conn: Connection, life: bytes) -> tuple[bytes, int]:
    """Write down which process goes on from here.

    Returns:
        The life of the process that wrote last, empty if none, and the last position.
    """
    meta = tables.meta
    before = conn.execute(
        select(meta.c.value).where(meta.c.key == tables.LIFE)
    ).scalar_one_or_none()
    if before is None:
        conn.execute(insert(meta).values(key=tables.LIFE, value=life))
    else:
        conn.execute(meta.update().where(meta.c.key == tables.LIFE).values(value=life))
    position: int = conn.execute(select(tables.head.c.last_position)).scalar_one()
    return bytes(before or b""), position


def _check_identity(conn: Connection, identity: Identity, by_path: Mapping[Path, NodeId]) -> None:
    """Return only if a node with that identity is the one that writes into this store now."""
    found = trust.enrolled(conn, identity.node_id)
    live = None if found is None else epochs.live_of(conn, found)
    if live is None or live.epoch == FIRST:
        own = Enrolment(
            node_id=identity.node_id,
            path=identity.path,
            journal_key=identity.journal.public_key,
            cosign_key=identity.cosign.public_key,
            suite=identity.suite,
            cosign_pq=b"" if identity.cosign_pq is None else identity.cosign_pq.public_key,
        )
        parent = identity.path.parent
        above = None if parent is None else by_path.get(parent)
        trust.learn(conn, own, above or identity.node_id)
    keys = (identity.journal.public_key, identity.cosign.public_key)
    if live is None:
        live_epoch, live_keys = FIRST, keys
    else:
        live_epoch, live_keys = live.epoch, (live.journal_key, live.cosign_key)
    if (identity.epoch, keys) != (live_epoch, live_keys):
        raise errors.EpochNotLive(epoch=identity.epoch, live=live_epoch)


def _claim(conn: Connection, key: str, value: bytes) -> None:
    found = conn.execute(
        select(tables.meta.c.value).where(tables.meta.c.key == key)
    ).scalar_one_or_none()
    if found is None:
        conn.execute(insert(tables.meta).values(key=key, value=value))
    elif found != value:
        raise errors.StoreOfAnotherNode(node_id=value.hex(), found=bytes(found).hex())
