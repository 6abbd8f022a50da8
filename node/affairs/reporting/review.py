"""Reviewing: accept or return what direct children submitted, in chunks that fit a seal."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, and_, exists, func, select

from yidao.node.affairs.desk import Desk
from yidao.node.affairs.errors import ReturnUnknown, ReviewOwn, ReviewScopeInvalid
from yidao.node.affairs.reporting import records
from yidao.node.affairs.reporting.records import ReturnKey
from yidao.node.affairs.reporting.rules import (
    Decision,
    State,
    check_review,
    check_reviewer,
    check_waiting,
)
from yidao.node.affairs.reporting.tables import return_version
from yidao.node.affairs.signoff.gate import acceptable, check_acceptable
from yidao.node.store.transaction import Tx
from yidao.node.store.values import Draft, DraftPart, Ticket
from yidao.sync.ids import Path

DEFAULT_LIMIT = 2_000
MAX_LIMIT = 10_000
MAX_LEFT = 10_000
_CHUNK_RECORDS = 500
# What an acceptance releases travels with it, and a seal with its parts must fit a frame.
_CHUNK_BYTES = 512 * 1024
# A letter is one part of at most 256 KiB; its lines without faults take half of that.
_LETTER_FAULT_BYTES = 96 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Reviewed:
    """What a call did.

    Attributes:
        reviewed: How many returns got the verdict.
        left: How many of the same choice are left: counted to the end in a dry run,
            otherwise to `MAX_LEFT` and no further.
        position: Where the last verdict lies.
    """

    reviewed: int
    left: int
    position: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """What to review: these records, or all that wait of a form, of a period, or of both.

    With `dry_run`, nothing is written, and all of the choice is left.
    """

    record_ids: tuple[bytes, ...] = ()
    form: str = ""
    period: str = ""
    limit: int = DEFAULT_LIMIT
    dry_run: bool = False


class Review:
    """Writes verdicts. One call at a time: the next one sees what this one decided."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def review(self, actor: str, choice: Choice, decision: str, reason: str = "") -> Reviewed:
        """Accept or return; each verdict is a record, and the origin is told.

        Returns once the verdicts are durable and show in the views. With
        record ids, nothing is written unless all of them may get the verdict.

        Raises:
            DecisionInvalid, ReasonMissing, ReasonTooLong: See `rules.check_review`.
            ReviewScopeInvalid: Neither record ids nor a form or period, or both.
            ReturnUnknown: A record id is of no return here.
            ReviewForbidden: A return's origin is no direct child of this node.
            ReviewOwn: The reviewer submitted a named return; of all that wait, these stay.
            ReturnStateWrong: A return does not wait for a verdict.
            SignoffMissing, SignoffUnfiled: See `check_acceptable`; of all that wait, such stay.
            ActorInvalid, ActorElsewhere: The actor may not act here.
        """
        author = str(self._desk.authorise(actor))
        verdict = check_review(decision, reason)
        if bool(choice.record_ids) == bool(choice.form or choice.period):
            raise ReviewScopeInvalid
        if not 1 <= choice.limit <= MAX_LIMIT or len(choice.record_ids) > MAX_LIMIT:
            raise ReviewScopeInvalid
        with self._desk.deciding():
            with self._desk.read() as conn:
                if choice.record_ids:
                    waiting, left = self._named(conn, author, choice, verdict), 0
                else:
                    waiting, total = self._matching(conn, author, choice, verdict)
                    left = total - len(waiting)
            position = self._desk.store.last_position()
            if choice.dry_run:
                return Reviewed(reviewed=0, left=left + len(waiting), position=position)
            for chunk in _chunks(waiting):
                position = self._append(author, chunk, verdict, reason)
        return Reviewed(reviewed=len(waiting), left=left, position=position)

    def _named(
        self, conn: Connection, author: str, choice: Choice, verdict: Decision
    ) -> list[Row[Any]]:
        found: dict[bytes, list[Row[Any]]] = defaultdict(list)
        for row in conn.execute(_query().where(return_version.c.record_id.in_(choice.record_ids))):
            found[bytes(row.record_id)].append(row)
        chosen = []
        for record_id in dict.fromkeys(choice.record_ids):
            # Two origins may have chosen one id; a verdict must not guess.
            if len(found[record_id]) != 1:
                raise ReturnUnknown(record=record_id.hex()[:64])
            row = found[record_id][0]
            check_reviewer(self._desk.path, Path.parse(row.origin_path), record_id.hex())
            if row.submitted_by == author:
                raise ReviewOwn(record=record_id.hex())
            check_waiting(State(row.state), verdict.step)
            chosen.append(row)
        if verdict is Decision.ACCEPT:
            check_acceptable(self._desk, conn, [row.position for row in chosen])
        return chosen

    def _matching(
        self, conn: Connection, author: str, choice: Choice, verdict: Decision
    ) -> tuple[list[Row[Any]], int]:
        """Give what waits, at most `limit`, and how many there are, see `Reviewed.left`."""
        table = return_version.c
        doubtful = (State.DOUBTFUL,) if verdict is Decision.RETURN else ()
        wanted = [*waits_here(self._desk, State.SUBMITTED, *doubtful)]
        wanted.append(table.submitted_by != author)
        if verdict is Decision.ACCEPT:
            wanted.extend(acceptable(self._desk, conn))
        if choice.form:
            wanted.append(table.form == choice.form)
        if choice.period:
            wanted.append(table.period == choice.period)
        choice_of_all = select(table.position).where(*wanted)
        if not choice.dry_run:
            # A whole country may wait: counting it each time costs more than the verdicts.
            choice_of_all = choice_of_all.limit(choice.limit + MAX_LEFT)
        total = conn.execute(
            select(func.count()).select_from(choice_of_all.subquery())
        ).scalar_one()
        rows = conn.execute(
            _query()
            .where(*wanted)
            .order_by(table.form, table.period, table.unit, table.version)
            .limit(choice.limit)
        )
        return list(rows), total

    def _append(
        self, author: str, chunk: Sequence[Row[Any]], verdict: Decision, reason: str
    ) -> int:
        desk = self._desk
        now_ms = desk.clock_ms()
        verdicts = [self._verdict(author, row, verdict, reason, now_ms) for row in chunk]
        letters = self._letters(author, chunk, verdict, reason, now_ms)

        def job(tx: Tx) -> list[Ticket]:
            tickets = list(tx.append(records.UP_CHANNEL, verdicts))
            for channel, draft in letters:
                tickets.extend(tx.append(channel, [draft]))
            return tickets

        position = max(ticket.position for ticket in desk.store.run(job))
        desk.settle(position)
        return position

    def _verdict(
        self, author: str, row: Row[Any], verdict: Decision, reason: str, now_ms: int
    ) -> Draft:
        accepted = verdict is Decision.ACCEPT
        core = records.Verdict(origin=bytes(row.origin), decision=verdict, reason=reason)
        return Draft(
            record_id=self._desk.mint(),
            kind=records.ACCEPTED if accepted else records.RETURNED,
            actor=author,
            object_id=_key(row).object_id,
            object_version=row.version,
            created_ms=now_ms,
            unit=records.named_unit(row.unit),
            causes=(bytes(row.record_id),),
            schema=f"{row.pack}/{row.pack_version}/{row.form}",
            schema_sha256=bytes(row.schema_sha256),
            period=row.period,
            parts=(DraftPart(name="core", body=core.encode()),),
            releases=((row.journal_pk, row.seq),) if accepted else (),
        )

    def _letters(
        self, author: str, chunk: Sequence[Row[Any]], verdict: Decision, reason: str, now_ms: int
    ) -> list[tuple[str, Draft]]:
        """Make one letter a child: the verdicts go up, and a child does not see what goes up."""
        by_origin: dict[bytes, list[records.Notice]] = defaultdict(list)
        for row in chunk:
            notice = records.Notice(
                record_id=bytes(row.record_id),
                object_id=_key(row).object_id,
                decision=verdict,
                reason=reason,
                faults=_faults(row),
            )
            by_origin[bytes(row.origin)].append(notice)
        return [
            (
                f"to:{origin.hex()}",
                Draft(
                    record_id=self._desk.mint(),
                    kind=records.NOTIFIED,
                    actor=author,
                    object_id=f"review/{origin.hex()}",
                    object_version=1,
                    created_ms=now_ms,
                    parts=(DraftPart(name="core", body=records.encode_notices(notices)),),
                ),
            )
            for origin, notices in by_origin.items()
        ]


def _query() -> Any:
    table = return_version.c
    return select(
        table.position,
        table.journal_pk,
        table.seq,
        table.pack,
        table.form,
        table.period,
        table.unit,
        table.version,
        table.state,
        table.pack_version,
        table.schema_sha256,
        table.origin,
        table.origin_path,
        table.record_id,
        table.submitted_by,
        table.faults,
        func.length(table.payload).label("payload_bytes"),
    )


def waits_here(desk: Desk, *states: State) -> tuple[ColumnElement[bool], ...]:
    """Say which returns in these states wait for a verdict of this node: its children's newest."""
    children = [node.node_id for node in desk.store.enrolments() if node.path.parent == desk.path]
    names = [state.value for state in states]
    table = return_version.c
    return (table.state.in_(names), table.origin.in_(children), ~_has_newer(names))


def newest_of(*states: State) -> ColumnElement[bool]:
    """Say of a version that no newer one of the same return is in one of these states."""
    return ~_has_newer([state.value for state in states])


def _has_newer(states: Sequence[str]) -> ColumnElement[bool]:
    """Whether a newer version of the same return waits too: the older one needs no verdict."""
    newer = return_version.alias("newer")
    older = return_version
    return exists().where(
        and_(
            newer.c.pack == older.c.pack,
            newer.c.form == older.c.form,
            newer.c.period == older.c.period,
            newer.c.unit == older.c.unit,
            newer.c.origin == older.c.origin,
            newer.c.version > older.c.version,
            newer.c.state.in_(states),
        )
    )


def _key(row: Row[Any]) -> ReturnKey:
    return ReturnKey(pack=row.pack, form=row.form, period=row.period, unit=row.unit)


def _faults(row: Row[Any]) -> tuple[records.FaultNote, ...]:
    """Give what this node found wrong, at most as much as a letter of many lines can carry."""
    found = row.faults
    if found is None or len(found) > _LETTER_FAULT_BYTES:
        return ()
    return records.decode_faults(bytes(found))


def _chunks(rows: Sequence[Row[Any]]) -> Iterator[list[Row[Any]]]:
    chunk: list[Row[Any]] = []
    weight_bytes = fault_bytes = 0
    for row in rows:
        size_bytes = row.payload_bytes or 0
        told_bytes = len(row.faults or b"")
        full = (
            len(chunk) >= _CHUNK_RECORDS
            or weight_bytes + size_bytes > _CHUNK_BYTES
            or fault_bytes + told_bytes > _LETTER_FAULT_BYTES
        )
        if chunk and full:
            yield chunk
            chunk, weight_bytes, fault_bytes = [], 0, 0
        chunk.append(row)
        weight_bytes += size_bytes
        fault_bytes += told_bytes
    if chunk:
        yield chunk
