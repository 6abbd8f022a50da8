"""Handing in: judge rows outside the writer, append them in one job, wait until they show."""

from collections.abc import Sequence
from dataclasses import dataclass

from yidao.catalog.errors import PackUnknown
from yidao.catalog.pack.model import Form, Pack
from yidao.catalog.pack.versions import PackSet
from yidao.node.affairs.desk import Desk
from yidao.node.affairs.errors import RowsTooMany
from yidao.node.affairs.registry import records as registry
from yidao.node.affairs.reporting import records
from yidao.node.affairs.reporting.judging import Bench, Judge, Judged, Placement, RowIn
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
    """

    row: int
    outcome: Outcome
    faults: tuple[FaultNote, ...]
    record_id: bytes
    version: int


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
            judged = self._judged(pack_id, rows, dry_run=dry_run)
            position = 0 if dry_run else self._append(author, judged)
        return Submitted(results=tuple(_result(row) for row in judged), position=position)

    def _judged(self, pack_id: str, rows: Sequence[RowIn], *, dry_run: bool) -> list[Judged]:
        desk = self._desk
        today = desk.today()
        with desk.read() as conn:
            packs = packs_in_force(conn)
            _check_known(packs, pack_id)
            places = [self._judge.place(packs, pack_id, row, today) for row in rows]
            standings = load_standings(
                conn,
                desk.identity.node_id,
                keys=[place.key for place in places],
                looked_at=self._judge.looked_at(places),
            )
        bench = Bench(
            standings=standings,
            own_node_id=desk.identity.node_id,
            today=today,
            dry_run=dry_run,
            mint=desk.mint,
        )
        return self._judge.judge(places, bench)

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


def _result(judged: Judged) -> RowResult:
    return RowResult(
        row=judged.place.source.row,
        outcome=judged.decision.outcome,
        faults=judged.faults,
        record_id=judged.record_id,
        version=judged.decision.number,
    )
