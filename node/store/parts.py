"""Parts: what came with which segment, what waits for an acceptance, what came too early."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, Row, bindparam, delete, func, insert, select, update

from yidao.node.store import rawsql
from yidao.node.store.packing import (
    SeqPart,
    keep_as_sent,
    pack_parts,
    pack_seqs,
    unpack_parts,
    unpack_seqs,
)
from yidao.node.store.prepared import Prepared
from yidao.node.store.tables import parked_parts, released
from yidao.node.store.tables import parts as table
from yidao.sync.record import Part

# No row spans more records, so that rows are found by their first one alone. An
# acceptance may release old and new records together.
MAX_SPAN: Final = 2_000
_INSERT: Final = (
    "INSERT INTO parts (journal_id, first_seq, last_seq, position, waits, late, reach, blob)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
)
_PARKED_THERE: Final = (
    (parked_parts.c.journal_id == bindparam("of"))
    & (parked_parts.c.seq >= bindparam("first"))
    & (parked_parts.c.seq < bindparam("end"))
)
_PARKED: Final = Prepared(select(parked_parts).where(_PARKED_THERE).order_by(parked_parts.c.seq))
_RELEASED: Final = Prepared(
    select(released.c.journal_id, released.c.seqs).where(released.c.position == bindparam("at"))
)
_NEAR: Final = (
    select(table.c.first_seq, table.c.waits, table.c.reach, table.c.blob)
    .where(
        table.c.journal_id == bindparam("of"),
        table.c.first_seq > bindparam("before"),
        table.c.first_seq <= bindparam("high"),
        table.c.last_seq >= bindparam("low"),
        table.c.position <= bindparam("up_to"),
    )
    .order_by(table.c.id)
)
_READ: Final = Prepared(_NEAR)
_READ_WAITING: Final = Prepared(_NEAR.where(table.c.waits.is_(True), table.c.late.is_(False)))
_UNPARK: Final = Prepared(delete(parked_parts).where(_PARKED_THERE))


class PartRule(NamedTuple):
    """What a header says of a part that decides how far it travels.

    Attributes:
        waits: Released only when accepted.
        reach: Tiers up.
    """

    waits: bool
    reach: int


class RuledPart(NamedTuple):
    """A part with its record's sequence number and its rule."""

    seq: int
    part: Part
    rule: PartRule


def write_parts(
    conn: Connection, journal_pk: int, position: int, found: Iterable[RuledPart], *, late: bool
) -> None:
    """Store parts that came with the segment at `position`, one row a rule.

    Args:
        conn: The writer's.
        journal_pk: The journal of the parts' records.
        position: Where the segment starts that they came with.
        found: By ascending seq.
        late: That segment is not their records' own.
    """
    runs: dict[tuple[PartRule, int], list[SeqPart]] = defaultdict(list)
    start = 0
    for seq, part, rule in found:
        if not runs or seq - start >= MAX_SPAN:
            start = seq
        runs[rule, start].append((seq, part))
    for (rule, _), run in runs.items():
        span = (run[0][0], run[-1][0])
        _insert(conn, journal_pk, span, position, rule, late=late, blob=pack_parts(run))


def keep_parts(
    conn: Connection, journal_pk: int, position: int, found: Sequence[RuledPart], packed: bytes
) -> bool:
    """Store parts as they came, if they can lie so: as one run of one rule; else False.

    Args:
        conn: The writer's.
        journal_pk: The journal of the parts' records.
        position: Where the segment starts that they came with.
        found: By ascending seq; at most `MAX_SPAN` records.
        packed: The same, as they travelled; nothing if they came otherwise.
    """
    if not found or not packed:
        return False
    rule, span = found[0].rule, (found[0].seq, found[-1].seq)
    if span[1] - span[0] >= MAX_SPAN or any(each.rule != rule for each in found):
        return False
    blob = keep_as_sent(len(found), packed)
    _insert(conn, journal_pk, span, position, rule, late=False, blob=blob)
    return True


def _insert(
    conn: Connection,
    journal_pk: int,
    span: tuple[int, int],
    position: int,
    rule: PartRule,
    *,
    late: bool,
    blob: bytes,
) -> None:
    row = (journal_pk, *span, position, rule.waits, late, rule.reach, blob)
    rawsql.run_many(conn, _INSERT, [row])


def read_parts(
    conn: Connection,
    journal_pk: int,
    seqs: Sequence[int],
    *,
    up_to: int | None = None,
    waiting_only: bool = False,
) -> Mapping[int, dict[str, RuledPart]]:
    """Return the parts held of records, by sequence number and name.

    Args:
        conn: Any.
        journal_pk: Their journal.
        seqs: Which records.
        up_to: Only parts that came with a segment that starts at or before it.
        waiting_only: Only parts that wait for an acceptance.
    """
    wanted = set(seqs)
    found: dict[int, dict[str, RuledPart]] = defaultdict(dict)
    query = _READ_WAITING if waiting_only else _READ
    last = 2**63 - 1 if up_to is None else up_to
    for low, high in _clusters(wanted):
        rows = query.all(conn, of=journal_pk, before=low - MAX_SPAN, low=low, high=high, up_to=last)
        for row in rows:
            rule = PartRule(row.waits, row.reach)
            for seq, part in unpack_parts(row.first_seq, bytes(row.blob), wanted):
                found[seq].setdefault(part.name, RuledPart(seq, part, rule))
    return found


def _clusters(seqs: AbstractSet[int]) -> list[tuple[int, int]]:
    """Return first and last of records that lie so near that one row may hold several.

    What is asked for together may be months apart, and nothing between is to be read.
    """
    clusters: list[tuple[int, int]] = []
    for seq in sorted(seqs):
        if clusters and seq - clusters[-1][1] < MAX_SPAN:
            clusters[-1] = clusters[-1][0], seq
        else:
            clusters.append((seq, seq))
    return clusters


class Removed(NamedTuple):
    """A part that was removed."""

    seq: int
    name: str
    size_bytes: int


def remove_parts(
    conn: Connection,
    journal_pk: int,
    seqs: AbstractSet[int],
    *,
    may_go: Callable[[Row[Any], int, str], bool],
    dry_run: bool = False,
) -> list[Removed]:
    """Remove salts and bodies of records, and return which.

    Args:
        conn: The writer's; any for a dry run.
        journal_pk: Their journal.
        seqs: Which records.
        may_go: Says of a stored run, a record and a name whether
            the part goes.
        dry_run: Only say what would go.
    """
    removed: list[Removed] = []
    if not seqs:
        return removed
    low, high = min(seqs), max(seqs)
    rows = conn.execute(
        select(table).where(
            table.c.journal_id == journal_pk,
            table.c.first_seq > low - MAX_SPAN,
            table.c.first_seq <= high,
            table.c.last_seq >= low,
        )
    ).all()
    for row in rows:
        kept: list[SeqPart] = []
        gone: list[Removed] = []
        for seq, part in unpack_parts(row.first_seq, row.blob):
            if seq in seqs and may_go(row, seq, part.name):
                gone.append(Removed(seq, part.name, len(part.body)))
            else:
                kept.append((seq, part))
        removed += gone
        if gone and not dry_run:
            _rewrite(conn, row, kept)
    return removed


def _rewrite(conn: Connection, row: Row[Any], kept: Sequence[SeqPart]) -> None:
    mine = table.c.id == row.id
    if kept:
        blob = pack_parts(kept)
        conn.execute(update(table).where(mine).values(blob=blob))
    else:
        conn.execute(delete(table).where(mine))


def write_released(conn: Connection, position: int, releases: Iterable[tuple[int, int]]) -> None:
    """Note what the acceptances in the segment at `position` let go further."""
    by_journal: dict[int, set[int]] = defaultdict(set)
    for journal_pk, seq in releases:
        by_journal[journal_pk].add(seq)
    for journal_pk, seqs in by_journal.items():
        conn.execute(
            insert(released).values(position=position, journal_id=journal_pk, seqs=pack_seqs(seqs))
        )


def read_released(conn: Connection, position: int) -> list[tuple[int, tuple[int, ...]]]:
    """Return journal keys and sequence numbers that the segment at `position` released."""
    rows = _RELEASED.all(conn, at=position)
    return [(row.journal_id, unpack_seqs(row.seqs)) for row in rows]


def park_parts(conn: Connection, journal_pk: int, found: Iterable[SeqPart]) -> None:
    """Keep parts whose record is not here yet; they are checked when it comes."""
    conn.execute(
        insert(parked_parts),
        [
            {"journal_id": journal_pk, "seq": seq, "blob": pack_parts([(seq, part)])}
            for seq, part in found
        ],
    )


def parked_bytes(conn: Connection) -> int:
    """Return how many bytes of parts wait for records, of all journals."""
    size = func.coalesce(func.sum(func.length(parked_parts.c.blob)), 0)
    return int(conn.execute(select(size)).scalar_one())


def take_parked(conn: Connection, journal_pk: int, first: int, end: int) -> list[SeqPart]:
    """Return and remove the parked parts of records from `first` to before `end`."""
    places = {"of": journal_pk, "first": first, "end": end}
    rows = _PARKED.all(conn, **places)
    if rows:
        _UNPARK.run(conn, **places)
    return [pair for row in rows for pair in unpack_parts(row.seq, row.blob)]
