"""Handing in: judge rows outside the writer, append them in one job, wait until they show."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from yidao.catalog.errors import PackUnknown
from yidao.catalog.pack.model import Form, Pack
from yidao.catalog.pack.versions import PackSet
from yidao.node.affairs.desk import Desk
from yidao.node.affairs.errors import RowsTooMany
from yidao.node.affairs.registry import records as registry
from yidao.node.affairs.reporting import records
from yidao.node.affairs.reporting.faults import note_of_error
from yidao.node.affairs.reporting.judging import Bench, Judge, Judged, Placement, RowIn
from yidao.node.affairs.reporting.keyed import Known, known_rows
from yidao.node.affairs.reporting.records import FaultNote
from yidao.node.affairs.reporting.rules import Outcome
from yidao.node.affairs.reporting.standing import load_standings
from yidao.node.affairs.standards.queries import packs_in_force
from yidao.node.store.transaction import Tx
from yidao.node.store.values import Draft, DraftPart, Ticket
from yidao.sync.ids import REACH_ROOT
from yidao.sync.record import Grade, Release

MAX_ROWS = 500
#: Personal fields and files go to the parent, who must judge them, and no further.
_PARENT_REACH = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class RowResult:
    """What became of one row.

    Attributes:
        row: The caller's own number.
        faults: Errors of a refused row; warnings of any other.
        record_id: Of the version that the row made or is equal to; empty in a dry run.
        repeat: The row was taken before, under the same key; nothing was done now.
    """

    row: int
    outcome: Outcome
    faults: tuple[FaultNote, ...]
    record_id: bytes
    version: int
    repeat: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Submitted:
    """Results in the order of the rows, and the position up to which they are durable."""

    results: tuple[RowResult, ...]
    position: int


class Submission:
    """Hands in rows. One batch at a time: the next one is judged on what this one made."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._judge = Judge()

    def submit(
        self, pack_id: str, actor: str, rows: Sequence[RowIn], *, dry_run: bool = False
    ) -> Submitted:
        """Judge rows and append them: good ones as submitted, wrong ones as refused.

        Returns once everything is durable and shows in the views. A row that is
        equal to what stands is left alone, so the same rows can be handed in again.

        Raises:
            RowsTooMany: More than 500.
            PackUnknown: No version of the pack has come here yet.
            ActorInvalid, ActorElsewhere: The actor may not act here.
        """
        author = str(self._desk.authorise(actor))
        if len(rows) > MAX_ROWS:
            raise RowsTooMany(rows=len(rows), limit=MAX_ROWS)
        with self._desk.deciding():
            judged, known = self._judged(author, pack_id, rows, dry_run=dry_run)
            position = 0 if dry_run else self._append(author, judged)
        return Submitted(results=_results(rows, judged, known), position=position)

    def _judged(
        self, author: str, pack_id: str, rows: Sequence[RowIn], *, dry_run: bool
    ) -> tuple[list[Judged], Mapping[int, Known]]:
        """Judge the rows but those that are known by their keys already."""
        desk = self._desk
        today = desk.today()
        with desk.read() as conn:
            packs = packs_in_force(conn)
            _check_known(packs, pack_id)
            placed = [self._judge.place(packs, pack_id, row, today) for row in rows]
            known = known_rows(conn, author, placed)
            places = [place for number, place in enumerate(placed) if number not in known]
            standings = load_standings(
                conn,
                desk.identity.node_id,
                str(desk.path),
                keys=[place.key for place in places],
                looked_at=self._judge.looked_at(places),
            )
        bench = Bench(
            standings=standings,
            author=author,
            own_node_id=desk.identity.node_id,
            today=today,
            dry_run=dry_run,
            mint=desk.mint,
        )
        return self._judge.judge(places, bench), known

    def _append(self, author: str, judged: Sequence[Judged]) -> int:
        """Append what is new; give the position up to which everything is durable."""
        now_ms = self._desk.clock_ms()
        up: list[Draft] = []
        local: list[Draft] = []
        for row in judged:
            match row.decision.outcome:
                case Outcome.SUBMITTED:
                    up.append(_good_draft(row, author, now_ms))
                case Outcome.RECORDED:
                    local.append(_good_draft(row, author, now_ms))
                case Outcome.REFUSED:
                    local.append(_refused_draft(row, author, now_ms))
                case _:
                    pass
        if not up and not local:
            return self._desk.store.last_position()
        tickets = self._desk.store.run(lambda tx: _append_both(tx, up, local))
        position = max(ticket.position for ticket in tickets)
        self._desk.settle(position)
        return position


def _append_both(tx: Tx, up: Sequence[Draft], local: Sequence[Draft]) -> list[Ticket]:
    tickets = list(tx.append(records.UP_CHANNEL, up)) if up else []
    if local:
        tickets.extend(tx.append(records.LOCAL_CHANNEL, local))
    return tickets


def _check_known(packs: PackSet, pack_id: str) -> None:
    # Not a fault of every row: the pack may still be on its way, and then nothing is wrong.
    if not any(pack.id == pack_id for pack in packs.all()):
        raise PackUnknown(pack=pack_id[:100])


def _good_draft(judged: Judged, author: str, now_ms: int) -> Draft:
    place = judged.place
    assert place.pack is not None
    assert place.form is not None
    local = judged.decision.outcome is Outcome.RECORDED
    if place.is_entry:
        kind, object_id = registry.REGISTERED, registry.object_of(place.key.unit)
    else:
        kind = records.RECORDED if local else records.SUBMITTED
        object_id = place.key.object_id
    return Draft(
        record_id=judged.record_id,
        kind=kind,
        actor=author,
        object_id=object_id,
        object_version=judged.decision.number,
        created_ms=now_ms,
        unit=place.key.unit,
        causes=place.source.causes,
        schema=place.pack.schema_id(place.key.form),
        schema_sha256=place.pack.digest,
        period=place.key.period,
        parts=_parts(place, place.form, local=local),
    )


def _parts(place: Placement, form: Form, *, local: bool) -> tuple[DraftPart, ...]:
    shared = [each.grade for each in form.fields.values() if not each.pii]
    parts = [
        DraftPart(
            name="core",
            body=place.core,
            grade=Grade(max(shared, default=Grade.L2)),
            reach=0 if local else REACH_ROOT,
            # The registry is what everybody above counts by; figures wait for the verdict.
            release=Release.AT_ONCE if local or place.is_entry else Release.WHEN_ACCEPTED,
        )
    ]
    reach = 0 if local else _PARENT_REACH
    if place.pii:
        parts.append(DraftPart(name="pii", body=place.pii, grade=Grade.L3, reach=reach))
    if place.source.attachment:
        parts.append(DraftPart(name="file:1", body=place.source.attachment, reach=reach))
    return tuple(parts)


def _refused_draft(judged: Judged, author: str, now_ms: int) -> Draft:
    place = judged.place
    refusal = records.Refusal(payload=place.kept, faults=judged.faults)
    return Draft(
        record_id=judged.record_id,
        kind=records.REFUSED,
        actor=author,
        object_id=place.key.object_id,
        object_version=judged.decision.number,
        created_ms=now_ms,
        unit=records.named_unit(place.key.unit),
        schema=_schema_of(place.pack, place.key.form),
        schema_sha256=place.pack.digest if place.pack else b"",
        period=place.key.period,
        parts=(DraftPart(name="core", body=refusal.encode(), reach=0),),
    )


def _schema_of(pack: Pack | None, form: str) -> str:
    return pack.schema_id(form) if pack is not None else ""


def _results(
    rows: Sequence[RowIn], judged: Sequence[Judged], known: Mapping[int, Known]
) -> tuple[RowResult, ...]:
    """Give the results in the order of the rows."""
    fresh = iter(judged)
    results: list[RowResult] = []
    for number, row in enumerate(rows):
        seen = known.get(number)
        if seen is None:
            results.append(_result(next(fresh)))
        elif seen.first is not None:
            first = results[seen.first]
            is_taken = first.outcome is not Outcome.REFUSED
            results.append(replace(first, row=row.row, repeat=is_taken))
        else:
            results.append(_known_result(row, seen))
    return tuple(results)


def _known_result(row: RowIn, known: Known) -> RowResult:
    if known.taken is None:
        assert known.error is not None
        return RowResult(
            row=row.row,
            outcome=Outcome.REFUSED,
            faults=(note_of_error(known.error),),
            record_id=b"",
            version=0,
        )
    header = known.taken.header
    stays_here = header.kind == records.RECORDED
    return RowResult(
        row=row.row,
        outcome=Outcome.RECORDED if stays_here else Outcome.SUBMITTED,
        faults=(),
        record_id=header.record_id,
        version=header.object_version,
        repeat=True,
    )


def _result(judged: Judged) -> RowResult:
    return RowResult(
        row=judged.place.source.row,
        outcome=judged.decision.outcome,
        faults=judged.faults,
        record_id=judged.record_id,
        version=judged.decision.number,
    )
