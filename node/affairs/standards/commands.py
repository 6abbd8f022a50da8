"""Publishing a pack."""

from sqlalchemy import Connection, func, select

from yidao.catalog.pack.loader import load_pack
from yidao.catalog.pack.model import Pack
from yidao.node.affairs.desk import Desk, Placed
from yidao.node.affairs.standards import records, rules
from yidao.node.affairs.standards.queries import packs_in_force
from yidao.node.affairs.standards.views import pack as table
from yidao.node.store.transaction import Tx
from yidao.node.store.values import Draft, DraftPart, Ticket
from yidao.sync.record import Grade


def publish_pack(desk: Desk, data: bytes, actor: str) -> Placed:
    """Publish a version of a pack to the whole tree.

    Publishing the same bytes again gives the first place. Returns once the
    pack is in force here.

    Raises:
        PackPublishForbidden: This node is not the root.
        PackInvalid: The bytes are no pack.
        PackConflict: The version is published with other bytes, or another
            version begins on the same day.
        ActorInvalid, ActorElsewhere: The actor may not act here.
    """
    author = desk.authorise(actor)
    rules.check_publisher(desk.path)
    pack = load_pack(data)
    with desk.deciding():
        with desk.read() as conn:
            held = _held(conn, pack)
            packs_in_force(conn).add(pack)
            known = select(func.count()).select_from(table).where(table.c.id == pack.id)
            number = conn.execute(known).scalar_one() + 1
        if held is not None:
            return held
        draft = Draft(
            record_id=desk.mint(),
            kind=records.PUBLISHED,
            actor=str(author),
            object_id=records.object_of(pack.id),
            object_version=number,
            created_ms=desk.clock_ms(),
            schema=records.schema_of(pack.id, pack.version),
            schema_sha256=pack.digest,
            parts=(DraftPart(name="core", body=data, grade=Grade.L1),),
        )
        return _append(desk, draft)


def _held(conn: Connection, pack: Pack) -> Placed | None:
    found = conn.execute(
        select(table.c.sha256, table.c.position, table.c.record_id).where(
            table.c.id == pack.id, table.c.version == pack.version
        )
    ).first()
    digest = None if found is None else bytes(found.sha256)
    if not rules.is_published(pack.id, pack.version, pack.digest, digest) or found is None:
        return None
    return Placed(position=found.position, record_id=bytes(found.record_id), repeat=True)


def _append(desk: Desk, draft: Draft) -> Placed:
    def job(tx: Tx) -> list[Ticket]:
        return tx.append(records.CHANNEL, [draft])

    [ticket] = desk.store.run(job)
    desk.settle(ticket.position)
    return Placed(position=ticket.position, record_id=draft.record_id)
