"""Tells people of sign-offs that are not believed, and of approvers who were reset."""

from collections.abc import Sequence
from typing import Final

from sqlalchemy import select

from yidao.node.affairs.paths import Paths
from yidao.node.affairs.signoff import records
from yidao.node.affairs.signoff.tables import signoff_policy, signoff_refused
from yidao.node.store.records import Reader
from yidao.node.store.transaction import Tx
from yidao.node.store.values import StoredRecord

REFUSED: Final = "SIGNOFF_REFUSED"
RESET: Final = "SIGNOFF_RESET"


class SignoffAlarm:
    """Raises a problem for each verdict that the projector came to; runs after it."""

    name = "signoff.alarm"

    def decide(self, tx: Tx, records_: Sequence[StoredRecord], reader: Reader) -> None:
        """Look at a batch."""
        paths = Paths(reader)
        for item in records_:
            if not item.header.kind.startswith("signoff."):
                continue
            path = str(paths.of(item.header.node_id) or item.header.node_id.hex())
            code = tx.conn.execute(
                select(signoff_refused.c.code).where(signoff_refused.c.position == item.position)
            ).scalar()
            # One a journal, with a count: who writes thousands must not fill the list.
            if code is not None:
                tx.raise_problem(
                    REFUSED, journal=item.journal, peer=item.journal.node_id, path=path, cause=code
                )
            elif item.header.kind == records.CONFIRMED and _is_reset(tx, item):
                by = item.header.actor
                tx.raise_problem(
                    RESET, journal=item.journal, peer=item.journal.node_id, path=path, by=by
                )


def _is_reset(tx: Tx, item: StoredRecord) -> bool:
    table = signoff_policy.c
    query = select(table.is_reset).where(table.confirmed_at == item.position)
    return bool(tx.conn.execute(query).scalar())
