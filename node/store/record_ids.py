"""The index of own record ids: who hands a record in again is told where it stands.

A repeated id is compared by what is stored: the draft's header, made once more with the
salts and the time of the first one, is the same bytes, or the draft is another record.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

from sqlalchemy import Connection

from yidao.node.store import absences, errors, rawsql, records, segments
from yidao.node.store.journals import Head
from yidao.node.store.scope import Scope
from yidao.node.store.values import Draft, Ticket
from yidao.sync.errors import PeerError
from yidao.sync.ids import JournalId, RecordId
from yidao.sync.message import Item
from yidao.sync.mold import Mold
from yidao.sync.record import PartDigest, commitment, decode_header

_AT_ONCE: Final = 500
_INSERT: Final = "INSERT INTO record_id (record_id, position) VALUES (?, ?)"
_NOTE: Final = f"{_INSERT} ON CONFLICT (record_id) DO NOTHING"
# PostgreSQL takes an array at once; a statement a row costs it as much as all of them.
_SELECT_ANY: Final = "SELECT record_id, position FROM record_id WHERE record_id = ANY(?)"
_INSERT_ALL: Final = (
    "INSERT INTO record_id (record_id, position) SELECT id, ?::bigint + nth - 1"
    " FROM unnest(?::bytea[]) WITH ORDINALITY AS given (id, nth)"
)
_NEWEST: Final = "SELECT record_id FROM record_id ORDER BY record_id DESC LIMIT 1"


def known(conn: Connection, ids: Sequence[bytes]) -> Mapping[bytes, int]:
    """Return which of these ids are stored, and at which positions.

    Ids begin with their time, so most are greater than all that are stored.
    """
    newest = rawsql.fetch(conn, _NEWEST, ())
    if not newest or not ids or min(ids) > bytes(newest[0][0]):
        return {}
    if conn.dialect.name == "postgresql":
        return {bytes(one): at for one, at in rawsql.fetch(conn, _SELECT_ANY, (list(ids),))}
    found: dict[bytes, int] = {}
    for start in range(0, len(ids), _AT_ONCE):
        some = ids[start : start + _AT_ONCE]
        marks = ", ".join("?" * len(some))
        query = f"SELECT record_id, position FROM record_id WHERE record_id IN ({marks})"  # noqa: S608 - only marks
        found |= {bytes(one): position for one, position in rawsql.fetch(conn, query, some)}
    return found


def keep(conn: Connection, ids: Sequence[bytes], position: int) -> None:
    """Note new ids, whose records stand from a position on."""
    if conn.dialect.name == "postgresql":
        rawsql.run_many(conn, _INSERT_ALL, [(position, list(ids))])
        return
    rawsql.run_many(conn, _INSERT, [(one, at) for at, one in enumerate(ids, position)])


def first_ticket(
    scope: Scope, mold: Mold, journal: JournalId, draft: Draft, position: int
) -> Ticket:
    """Return the ticket of a record that was handed in before.

    Raises:
        RecordIdReused: What stands there is another record.
    """
    found = segments.segment_at(scope.conn, position)
    head = scope.heads.by_pk(found.journal_pk) if found else None
    if found is None or head is None:
        raise errors.StoreInconsistent(what="record_id")
    offset = position - found.position
    seq, raw = found.first_seq + offset, found.headers[offset]
    if head.journal.channel != journal.channel or not _says(
        scope.conn, mold, draft, head.pk, seq, raw
    ):
        raise errors.RecordIdReused(record_id=draft.record_id.hex())
    return Ticket(
        record_id=RecordId(draft.record_id),
        journal=head.journal,
        journal_pk=head.pk,
        seq=seq,
        repeat=True,
        sealed_at=position,
    )


def _says(
    conn: Connection, mold: Mold, draft: Draft, journal_pk: int, seq: int, raw: bytes
) -> bool:
    """Whether a stored header says what a draft says, as far as its parts are still here.

    Of a record that something was erased of, nobody is told whether they guessed it.
    """
    first = decode_header(raw)
    if absences.erased(conn, journal_pk, [seq]):
        return False
    held = records.parts_of(conn, journal_pk, [seq]).get(seq, {})
    digests = []
    for part in draft.parts:
        digest = first.part(part.name)
        if digest is None:
            return False
        if part.name in held:
            said = commitment(held[part.name].salt, part.body)
        else:
            # Pruned: whether the bytes were these, nobody can tell any more.
            said = digest.commitment
        digests.append(
            PartDigest(part.name, said, len(part.body), part.grade, part.reach, part.release)
        )
    return mold.header(replace(draft, created_ms=first.created_ms), digests) == raw


def note(scope: Scope, head: Head, item: Item) -> None:
    """Let a caller who hands a record in again find the one that came back."""
    assert head.own, "only own records have ids here"
    first = scope.last_position - len(item.seal.headers) + 1
    rows: list[tuple[object, ...]] = []
    for offset, data in enumerate(item.seal.headers):
        try:
            header = decode_header(data)
        except PeerError:
            # Sealed by an older self; nobody can read it and nobody will repeat it.
            continue
        rows.append((header.record_id, first + offset))
    rawsql.run_many(scope.conn, _NOTE, rows)
