"""Parts that are gone: which, why, and by which record."""

from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from sqlalchemy import Connection, bindparam, delete, insert, select

from yidao.node.store.prepared import Prepared
from yidao.node.store.tables import absent_part as table
from yidao.sync.partsrun import Absence


class Gone(NamedTuple):
    """A part that is here no longer.

    Attributes:
        position: The record that says why; 0 if no such record is here.
    """

    seq: int
    name: str
    absence: Absence
    position: int


_OF: Final = Prepared(
    select(table)
    .where(
        table.c.journal_id == bindparam("of"),
        table.c.seq >= bindparam("first"),
        table.c.seq < bindparam("end"),
    )
    .order_by(table.c.seq, table.c.name)
)


def read_absences(conn: Connection, journal_pk: int, first: int, end: int) -> list[Gone]:
    """Return what is gone of records from `first` to before `end`."""
    rows = _OF.all(conn, of=journal_pk, first=first, end=end)
    return [Gone(row.seq, row.name, Absence(row.absence), row.position) for row in rows]


def write_absences(conn: Connection, journal_pk: int, gone: Iterable[Gone]) -> None:
    """Note what is gone; an erasure replaces a pruning, never the other way round."""
    for each in gone:
        mine = (
            (table.c.journal_id == journal_pk)
            & (table.c.seq == each.seq)
            & (table.c.name == each.name)
        )
        known = conn.execute(select(table.c.absence, table.c.position).where(mine)).one_or_none()
        if known is not None:
            stronger = each.absence > known.absence or (
                each.absence == known.absence and known.position == 0
            )
            if not stronger:
                continue
            conn.execute(delete(table).where(mine))
        conn.execute(
            insert(table).values(
                journal_id=journal_pk,
                seq=each.seq,
                name=each.name,
                absence=int(each.absence),
                position=each.position,
            )
        )


def erased(conn: Connection, journal_pk: int, seqs: Sequence[int]) -> set[tuple[int, str]]:
    """Return which parts of records must not come back."""
    if not seqs:
        return set()
    gone = read_absences(conn, journal_pk, min(seqs), max(seqs) + 1)
    # A sender's word alone keeps nothing out that comes after all.
    return {
        (each.seq, each.name)
        for each in gone
        if each.absence is Absence.REDACTED and each.position > 0
    }


def came_after_all(conn: Connection, journal_pk: int, found: Iterable[tuple[int, str]]) -> None:
    """Forget that a sender had called parts gone which came by another way."""
    names = set(found)
    if not names:
        return
    first, last = min(names)[0], max(names)[0]
    # Nearly always there is none, and an acceptance releases hundreds.
    said = read_absences(conn, journal_pk, first, last + 1)
    for each in said:
        if each.position == 0 and (each.seq, each.name) in names:
            conn.execute(
                delete(table).where(
                    table.c.journal_id == journal_pk,
                    table.c.seq == each.seq,
                    table.c.name == each.name,
                    table.c.position == 0,
                )
            )
