"""Erasing parts: once everybody here has folded the record that orders it, the bytes go.

The eraser runs behind the projectors, on the same records: what has rested on a part
is put right by them (each from the same record, so that a rebuild comes to the
same), and then salt and body are removed. What is left is the header with a commitment
that nobody can try values against.
"""

from collections.abc import Sequence
from typing import Final

import structlog
from sqlalchemy import Connection, delete

from yidao.node.store import absences, parts
from yidao.node.store.absences import Gone
from yidao.node.store.erasures import Erasure, erasure_of
from yidao.node.store.tables import sealed_part
from yidao.node.store.transaction import Tx
from yidao.node.store.values import StoredRecord
from yidao.sync.errors import SyncError
from yidao.sync.partsrun import Absence
from yidao.sync.removal import KIND_REDACTED

REDACTION_REFUSED: Final = "REDACTION_REFUSED"

log = structlog.get_logger()


class Eraser:
    """Removes what redactions order, behind the projectors.

    Attributes:
        erased: How many parts were removed since `Runner.step` set it to 0: a batch that
            fails comes again record by record, in as many calls.
    """

    name = "store.eraser"

    def __init__(self) -> None:
        self.erased = 0

    def decide(self, tx: Tx, records: Sequence[StoredRecord], _reader: object) -> None:
        """Remove parts; a redaction that binds nobody here is a problem."""
        for item in records:
            if item.header.kind != KIND_REDACTED:
                continue
            try:
                erasure = erasure_of(tx.conn, tx.identity.node_id, item)
            except SyncError as error:
                tx.raise_problem(
                    REDACTION_REFUSED, journal=item.journal, seq=item.seq, reason=error.code
                )
                continue
            _erase(tx.conn, erasure)
            self.erased += 1
            log.info("store.part.redacted", position=item.position, part=erasure.redaction.part)


def _erase(conn: Connection, erasure: Erasure) -> None:
    pk, seq, name = erasure.journal_pk, erasure.redaction.seq, erasure.redaction.part
    parts.remove_parts(conn, pk, {seq}, may_go=lambda _row, _seq, each: each == name)
    conn.execute(
        delete(sealed_part).where(
            sealed_part.c.journal_id == pk, sealed_part.c.seq == seq, sealed_part.c.name == name
        )
    )
    absences.write_absences(conn, pk, [Gone(seq, name, Absence.REDACTED, erasure.position)])
