"""A target's own receipt: what has come into its store is delivered."""

from collections.abc import Sequence
from datetime import date

from yidao.api.errors import YidaoError
from yidao.node.affairs.desk import Desk
from yidao.node.affairs.directives import records, rules
from yidao.node.store.records import Reader
from yidao.node.store.transaction import Tx
from yidao.node.store.values import Draft, DraftPart, StoredRecord


class DeliveryDecider:
    """Reports every directive that names this node, and has not expired, as delivered."""

    name = "directives.delivery"

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def decide(self, tx: Tx, records_: Sequence[StoredRecord], reader: Reader) -> None:
        """Look at a batch."""
        drafts = [
            self._receipt(item) for item in records_ if _is_for_us(item, reader, self._desk.today())
        ]
        if drafts:
            tx.append(records.UP_CHANNEL, drafts)

    def _receipt(self, item: StoredRecord) -> Draft:
        return Draft(
            record_id=self._desk.mint(),
            kind=records.kind_of(rules.Step.DELIVER),
            actor=str(self._desk.system),
            object_id=item.header.object_id,
            object_version=item.header.object_version,
            created_ms=self._desk.clock_ms(),
            causes=(item.header.record_id,),
            parts=(DraftPart(name="core", body=records.Report().encode()),),
        )


def _is_for_us(item: StoredRecord, reader: Reader, today: date) -> bool:
    if item.header.kind != records.ISSUED:
        return False
    issuer = reader.path_of(item.header.node_id)
    try:
        stated = records.decode_directive(item.parts.get("core"))
        if issuer is None or str(reader.own.path) not in stated.targets:
            return False
        rules.check_directive(stated, issuer)
        if stated.is_expired(today):
            return False
    except YidaoError:
        return False
    return item.header.object_id == records.object_of(item.header.node_id, stated.number)
