"""Withdrawing: the origin takes back what waits for a verdict, and says why."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, select

from yidao.node.affairs.desk import Desk
from yidao.node.affairs.errors import ReturnForeign, ReturnUnknown, WithdrawScopeInvalid
from yidao.node.affairs.reporting import records
from yidao.node.affairs.reporting.records import ReturnKey
from yidao.node.affairs.reporting.rules import State, Step, check_waiting, check_withdrawal
from yidao.node.affairs.reporting.tables import return_version
from yidao.node.store.values import Draft, DraftPart

MAX_RECORDS = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Withdrawn:
    """How many returns were taken back, and where the last record lies."""

    withdrawn: int
    position: int


class Withdrawal:
    """Takes returns back. One call at a time: the next one sees what this one did."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def withdraw(self, actor: str, record_ids: Sequence[bytes], reason: str) -> Withdrawn:
        """Take returns of this node back; nothing is written unless all of them may be.

        Returns once the withdrawals are durable and show in the views.

        Raises:
            WithdrawScopeInvalid: No record id, or more than 500.
            ReasonMissing, ReasonTooLong: See `rules.check_withdrawal`.
            ReturnUnknown: A record id is of no return here.
            ReturnForeign: Another node handed the return in.
            ReturnStateWrong: A return does not wait for a verdict.
            ActorInvalid, ActorElsewhere: The actor may not act here.
        """
        desk = self._desk
        author = str(desk.authorise(actor))
        check_withdrawal(reason)
        if not 1 <= len(record_ids) <= MAX_RECORDS:
            raise WithdrawScopeInvalid(limit=MAX_RECORDS)
        with desk.deciding():
            with desk.read() as conn:
                chosen = self._chosen(conn, record_ids)
            now_ms = desk.clock_ms()
            drafts = [self._draft(author, row, reason, now_ms) for row in chosen]
            tickets = desk.store.run(lambda tx: tx.append(records.UP_CHANNEL, drafts))
            position = max(ticket.position for ticket in tickets)
            desk.settle(position)
        return Withdrawn(withdrawn=len(drafts), position=position)

    def _chosen(self, conn: Connection, record_ids: Sequence[bytes]) -> list[Row[Any]]:
        own = self._desk.identity.node_id
        found: dict[bytes, list[Row[Any]]] = defaultdict(list)
        query = select(return_version).where(return_version.c.record_id.in_(record_ids))
        for row in conn.execute(query):
            found[bytes(row.record_id)].append(row)
        chosen = []
        for record_id in dict.fromkeys(record_ids):
            mine = [row for row in found[record_id] if bytes(row.origin) == own]
            if found[record_id] and not mine:
                origin = found[record_id][0].origin_path
                raise ReturnForeign(record=record_id.hex()[:64], origin=origin)
            if not mine:
                raise ReturnUnknown(record=record_id.hex()[:64])
            check_waiting(State(mine[0].state), Step.WITHDRAW)
            chosen.append(mine[0])
        return chosen

    def _draft(self, author: str, row: Row[Any], reason: str, now_ms: int) -> Draft:
        key = ReturnKey(pack=row.pack, form=row.form, period=row.period, unit=row.unit)
        core = records.Withdrawal(reason=reason)
        return Draft(
            record_id=self._desk.mint(),
            kind=records.WITHDRAWN,
            actor=author,
            object_id=key.object_id,
            object_version=row.version,
            created_ms=now_ms,
            unit=records.named_unit(row.unit),
            causes=(bytes(row.record_id),),
            schema=f"{row.pack}/{row.pack_version}/{row.form}",
            schema_sha256=bytes(row.schema_sha256),
            period=row.period,
            parts=(DraftPart(name="core", body=core.encode()),),
        )
