"""Handing units over to another node."""

from collections.abc import Sequence
from typing import Final

from sqlalchemy import Connection, select

from yidao.node.affairs.desk import Desk
from yidao.node.affairs.errors import (
    HandOverUnfit,
    UnitHostedElsewhere,
    UnitUnknown,
)
from yidao.node.affairs.registry import records
from yidao.node.affairs.registry.views import unit
from yidao.node.store.values import Draft, DraftPart
from yidao.sync.ids import Path

#: One job of the writer.
MAX_UNITS: Final = 2_000
MAX_REASON_CHARS: Final = 200


def hand_over(
    desk: Desk, actor: str, units: Sequence[str], to: Path, reason: str
) -> tuple[str, ...]:
    """Hand units over to the node at another path, and return which; it is final.

    From then on this node takes no returns of them. What was reported stays with this
    node and counts. The other node takes a unit by registering it. Returns once it shows.

    Args:
        desk: This node's.
        actor: Who does it.
        units: 统一社会信用代码; empty for all that this node hosts.
        to: Where the node stands that takes them; anywhere in the tree.
        reason: For people; at most 200 characters.

    Raises:
        UnitUnknown, UnitHostedElsewhere: This node does not host one of them; nothing is done.
        HandOverUnfit: To this very node, too many at once, none, or an unfit reason.
        ActorInvalid, ActorElsewhere: The actor may not act here.
    """
    author = str(desk.authorise(actor))
    if to == desk.path:
        raise HandOverUnfit(reason="to", limit=MAX_UNITS)
    if len(reason) > MAX_REASON_CHARS or not reason.isprintable():
        raise HandOverUnfit(reason="reason", limit=MAX_REASON_CHARS)
    with desk.deciding():
        with desk.read() as conn:
            codes = _hosted(conn, desk, units)
        if not 1 <= len(codes) <= MAX_UNITS:
            raise HandOverUnfit(reason="units", limit=MAX_UNITS)
        core = records.encode_hand_over(to, reason)
        drafts = [_draft(desk, author, code, core) for code in codes]
        tickets = desk.store.run(lambda tx: tx.append(records.UP_CHANNEL, drafts))
        desk.settle(max(ticket.position for ticket in tickets))
    return codes


def _hosted(conn: Connection, desk: Desk, units: Sequence[str]) -> tuple[str, ...]:
    table, own = unit.c, desk.identity.node_id
    if not units:
        mine = select(table.uscc).where(table.origin == own).order_by(table.uscc)
        return tuple(conn.execute(mine.limit(MAX_UNITS + 1)).scalars())
    codes = tuple(dict.fromkeys(units))
    if len(codes) > MAX_UNITS:
        raise HandOverUnfit(reason="units", limit=MAX_UNITS)
    found = {
        row.uscc: row
        for row in conn.execute(
            select(table.uscc, table.origin, table.origin_path).where(table.uscc.in_(codes))
        )
    }
    for code in codes:
        row = found.get(code)
        if row is None:
            raise UnitUnknown(unit=code[:64])
        if bytes(row.origin) != own:
            raise UnitHostedElsewhere(unit=code, path=row.origin_path)
    return codes


def _draft(desk: Desk, author: str, code: str, core: bytes) -> Draft:
    return Draft(
        record_id=desk.mint(),
        kind=records.HANDED_OVER,
        actor=author,
        object_id=records.object_of(code),
        object_version=1,
        created_ms=desk.clock_ms(),
        unit=code,
        parts=(DraftPart(name="core", body=core),),
    )
