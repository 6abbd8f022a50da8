"""Judge rows that a unit hands in: pure but for the compiled checks that it keeps.

A row is read, placed (form, period, unit), completed with the fields that the
standard computes, and checked with the rows that its rules look at. Whatever
is wrong becomes a fault of that row; the others go on.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import lru_cache

from yidao.api.errors import YidaoError
from yidao.catalog.calendar import Period, PeriodKind
from yidao.catalog.errors import FormUnknown, PeriodInvalid
from yidao.catalog.pack.model import Form, Pack, Value
from yidao.catalog.pack.rules import Contexts
from yidao.catalog.pack.versions import PackSet
from yidao.catalog.rows import encode_row, parse_row
from yidao.catalog.validate import Checks, FormCheck
from yidao.node.affairs import errors
from yidao.node.affairs.cores import payload_digest
from yidao.node.affairs.reporting import records
from yidao.node.affairs.reporting.faults import is_wrong, note_of_error, note_of_fault
from yidao.node.affairs.reporting.records import FaultNote, ReturnKey
from yidao.node.affairs.reporting.rules import (
    Current,
    Outcome,
    PayloadDigests,
    RowDecision,
    State,
    decide_row,
    is_settled,
)
from yidao.node.affairs.reporting.standing import Host, Standing, Standings
from yidao.sync.record import MAX_PART_BYTES

#: A refusal keeps the row as text with its faults; six bytes a character fit the part.
MAX_PAYLOAD_BYTES = 32 * 1024
MAX_ATTACHMENT_BYTES = MAX_PART_BYTES
MAX_ROW_CAUSES = 16
_RECORD_ID_BYTES = 16
_MAX_NAME_CHARACTERS = 64
_STANDING = frozenset({Outcome.SUBMITTED, Outcome.RECORDED, Outcome.REFUSED, Outcome.VALID})


@dataclass(frozen=True, slots=True, kw_only=True)
class RowIn:
    """One row as it is handed in.

    Attributes:
        row: The caller's own number.
        payload: JSON bytes of one flat object.
        attachment: Bytes of one file, or empty.
        causes: Records that this one is derived from.
        key: The caller's own key of this row, or empty (see `keyed`).
    """

    row: int
    form: str
    period: str
    payload: bytes
    attachment: bytes = b""
    causes: tuple[bytes, ...] = ()
    key: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """A row that was read and placed; `faults` says what already went wrong.

    Attributes:
        kept: The payload as a refusal keeps it.
        digest: By which the completed row is recognised; empty where it has none.
        pack, form: None where the row could not be placed.
        computed: Names of the fields that were filled in.
        core, pii: The row completed, in canonical bytes; personal fields apart.
    """

    source: RowIn
    key: ReturnKey
    kept: bytes
    digest: bytes
    row: Mapping[str, Value]
    pack: Pack | None = None
    form: Form | None = None
    computed: frozenset[str] = frozenset()
    core: bytes = b""
    pii: bytes = b""
    faults: tuple[FaultNote, ...] = ()

    @property
    def is_entry(self) -> bool:
        """Whether the row is an entry of the registry."""
        return self.form is not None and self.form.period is PeriodKind.ON_CHANGE


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """A row with what becomes of it.

    Attributes:
        record_id: Of the record to append, or of the version that the row is
            equal to; empty in a dry run.
    """

    place: Placement
    digests: PayloadDigests
    decision: RowDecision
    faults: tuple[FaultNote, ...]
    record_id: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class _Slot:
    """By what the rows of one form and period are judged."""

    pack: Pack
    form: Form
    check: FormCheck
    personal: frozenset[str]
    has_period: bool


class Judge:
    """Keeps compiled checks. One thread at a time."""

    def __init__(self) -> None:
        self._checks = Checks()
        self._needs: dict[tuple[bytes, str], frozenset[str]] = {}
        self._slots: dict[tuple[str, str, str], _Slot] = {}
        self._packs: PackSet | None = None
        self._today: date | None = None

    def place(self, packs: PackSet, pack_id: str, source: RowIn, today: date) -> Placement:
        """Read a row and find its pack version, form, period and unit."""
        kept = source.payload[:MAX_PAYLOAD_BYTES]
        row: dict[str, Value] = {}
        try:
            if len(source.payload) > MAX_PAYLOAD_BYTES:
                raise errors.PayloadTooLarge(
                    size_bytes=len(source.payload), limit_bytes=MAX_PAYLOAD_BYTES
                )
            row = parse_row(source.payload)
            _check_extras(source)
            placed = self._placed(packs, pack_id, source, row, today)
        except YidaoError as error:
            period = source.period or str(row.get("period", ""))
            key = records.refused_key(pack_id, source.form, period, row.get("uscc"), kept)
            return Placement(
                source=source,
                key=key,
                kept=kept,
                digest=b"",
                row=row,
                faults=(note_of_error(error),),
            )
        return placed

    def _placed(
        self, packs: PackSet, pack_id: str, source: RowIn, row: dict[str, Value], today: date
    ) -> Placement:
        period = source.period or str(row.get("period", ""))
        slot = self._slot(packs, pack_id, source.form, period, today)
        if slot.has_period and row.get("period") != period:
            raise errors.RowPeriodMismatch(period=period)
        form = slot.form
        key = records.refused_key(pack_id, form.id, period, row.get("uscc"), source.payload)
        # A row that cannot be computed is completed as far as it goes; the checks tell.
        completed = slot.check.complete(row)
        core, pii = _split(completed, slot.personal)
        return Placement(
            source=source,
            key=key,
            kept=source.payload,
            digest=payload_digest(core, pii),
            row=completed,
            pack=slot.pack,
            form=form,
            computed=frozenset(completed.keys() - row.keys()),
            core=core,
            pii=pii,
        )

    def _slot(
        self, packs: PackSet, pack_id: str, form_id: str, period: str, today: date
    ) -> "_Slot":
        """Find by what rows of a form and period are judged; remembered, as batches repeat it."""
        if packs is not self._packs or today != self._today:
            self._slots.clear()
            self._packs, self._today = packs, today
        slot = self._slots.get((pack_id, form_id, period))
        if slot is None:
            day = Period.parse(period).first_day if period else today
            pack = packs.in_force(pack_id, day)
            form = pack.form(form_id)
            kind = Period.parse(period).kind if period else PeriodKind.ON_CHANGE
            if kind is not form.period:
                raise errors.RowPeriodKindWrong(period=period, kind=kind.value)
            slot = self._slots[pack_id, form_id, period] = _Slot(
                pack=pack,
                form=form,
                check=self._checks.form(pack, form.id),
                personal=frozenset(name for name, each in form.fields.items() if each.pii),
                has_period="period" in form.fields,
            )
        return slot

    def looked_at(self, places: Iterable[Placement]) -> set[ReturnKey]:
        """Give the returns that the rules of these rows compare them with."""
        keys: set[ReturnKey] = set()
        for place in places:
            for need in self._needs_of(place):
                if (key := _needed(place.key, need)) is not None:
                    keys.add(key)
        return keys

    def _needs_of(self, place: Placement) -> frozenset[str]:
        """Give the contexts that the rules of the row's form read."""
        if place.pack is None:
            return frozenset()
        form = place.key.form
        needs = self._needs.get((place.pack.digest, form))
        if needs is None:
            rules = [rule for rule in place.pack.rules if rule.form == form]
            needs = frozenset(need for rule in rules for need in rule.needs)
            self._needs[place.pack.digest, form] = needs
        return needs

    def judge(self, places: Sequence[Placement], bench: "Bench") -> list[Judged]:
        """Judge rows in their order; each one sees those before it as if they stood."""
        judged = []
        for place in places:
            row = self._judge(place, bench)
            if row.decision.outcome in _STANDING:
                bench.stand(row)
            judged.append(row)
        return judged

    def _judge(self, place: Placement, bench: "Bench") -> Judged:
        good = bench.standing(place)
        faults = place.faults
        if not faults and not is_settled(good.current if good else None, place.digest):
            faults = self._faults(place, bench)
        wrong = is_wrong(faults)
        # A wrong entry is a refused return of its form; it makes no entry of the unit.
        standing = bench.standings.returns.get(place.key) if wrong else good
        digests = PayloadDigests(
            raw=records.raw_digest(place.kept) if wrong else b"", judged=place.digest
        )
        decision = decide_row(
            standing.current if standing else None,
            digests,
            wrong=wrong,
            stays_local=place.form is not None and place.form.stays_local,
            dry_run=bench.dry_run,
        )
        if decision.outcome is Outcome.UNCHANGED and standing is not None:
            record_id = standing.record_id
        else:
            record_id = b"" if bench.dry_run else bench.record_id(place.source, wrong=wrong)
        return Judged(
            place=place, digests=digests, decision=decision, faults=faults, record_id=record_id
        )

    def _faults(self, place: Placement, bench: "Bench") -> tuple[FaultNote, ...]:
        assert place.pack is not None
        verdict = self._checks.form(place.pack, place.key.form).check(
            place.row,
            self._contexts(place, bench.standings),
            bench.today if place.is_entry else None,
        )
        faults = tuple(note_of_fault(fault) for fault in verdict.faults)
        # A field that was computed from a wrong one is wrong too; the clerk wrote only the first.
        own = tuple(fault for fault in faults if fault.field not in place.computed)
        faults = own if is_wrong(own) else faults
        if is_wrong(faults):
            return faults
        homeless = bench.homeless(place)
        return faults if homeless is None else (*faults, note_of_error(homeless, "uscc"))

    def _contexts(self, place: Placement, standings: Standings) -> Contexts:
        known: dict[str, Mapping[str, Value]] = {}
        for need in self._needs_of(place):
            key = _needed(place.key, need)
            rows = standings.accepted if need == "prev" else standings.good
            if key is not None and (row := rows.get(key)) is not None:
                known[need] = row
        return Contexts(
            prev=known.get("prev"),
            year_ago=known.get("year_ago"),
            forms={
                form: row for need, row in known.items() if (form := need.partition("forms.")[2])
            },
        )


@dataclass(slots=True, kw_only=True)
class Bench:
    """What one batch is judged on: what stands, and what the batch itself has brought so far.

    Attributes:
        today: The civil day by which entries of the registry are judged.
        mint: Makes the id of a record.
    """

    standings: Standings
    author: str
    own_node_id: bytes
    today: date
    dry_run: bool
    mint: Callable[[], bytes]

    def record_id(self, source: RowIn, *, wrong: bool) -> bytes:
        """Give the id of a row's record; one that is refused does not use up its key."""
        if source.key and not wrong:
            return records.keyed_id(self.author, source.key)
        return self.mint()

    def standing(self, place: Placement) -> Standing | None:
        """Give what a good row of this place would replace."""
        if not place.is_entry:
            return self.standings.returns.get(place.key)
        host = self.standings.hosts.get(place.key.unit)
        return host.standing if host is not None and host.origin == self.own_node_id else None

    def homeless(self, place: Placement) -> YidaoError | None:
        """Give the error if this node does not host the row's unit."""
        unit = place.key.unit
        host = self.standings.hosts.get(unit)
        if host is not None and host.origin != self.own_node_id:
            return errors.UnitHostedElsewhere(unit=unit, path=host.origin_path)
        if host is None and not place.is_entry:
            return errors.UnitUnknown(unit=unit)
        return None

    def stand(self, judged: Judged) -> None:
        """Let a row stand for the rows after it."""
        place, number = judged.place, judged.decision.number
        refused = judged.decision.outcome is Outcome.REFUSED
        current = Current(
            number=number,
            state=State.REFUSED if refused else State.SUBMITTED,
            digest=judged.digests.raw if refused else judged.digests.judged,
        )
        standing = Standing(current=current, record_id=judged.record_id)
        if not refused:
            self.standings.good[place.key] = place.row
        if place.is_entry and not refused:
            self.standings.hosts[place.key.unit] = Host(
                origin=self.own_node_id, origin_path="", standing=standing
            )
        elif not self.dry_run:
            self.standings.returns[place.key] = standing


def _split(row: Mapping[str, Value], personal: frozenset[str]) -> tuple[bytes, bytes]:
    """Write a row as core and personal part; the latter is empty where nothing is personal."""
    if personal.isdisjoint(row):
        return encode_row(row), b""
    shared = {name: value for name, value in row.items() if name not in personal}
    private = {name: value for name, value in row.items() if name in personal}
    return encode_row(shared), encode_row(private)


def _check_extras(source: RowIn) -> None:
    if len(source.form) > _MAX_NAME_CHARACTERS:
        raise FormUnknown(pack="", form=source.form[:_MAX_NAME_CHARACTERS])
    if len(source.attachment) > MAX_ATTACHMENT_BYTES:
        raise errors.AttachmentTooLarge(
            size_bytes=len(source.attachment), limit_bytes=MAX_ATTACHMENT_BYTES
        )
    if len(source.causes) > MAX_ROW_CAUSES or any(
        len(cause) != _RECORD_ID_BYTES for cause in source.causes
    ):
        raise errors.CausesInvalid(limit=MAX_ROW_CAUSES)


def _needed(key: ReturnKey, need: str) -> ReturnKey | None:
    """Give the return that a context of that name is, for a row with this key."""
    if need == "prev":
        return key
    if need == "year_ago":
        before = _year_before(key.period)
        return key.of_period(before) if before else None
    form = need.partition("forms.")[2]
    return key.of_form(form) if form else None


@lru_cache(maxsize=256)
def _year_before(period: str) -> str:
    """Give the same period of the year before; empty where there is none."""
    try:
        return str(Period.parse(period).year_ago())
    except PeriodInvalid:
        return ""
