"""The parts of an item, each checked against the header that commits to it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from yidao.node.store import absences, errors, letters, parts, segments
from yidao.node.store.absences import Gone
from yidao.node.store.admitting import Admission
from yidao.node.store.foreignheaders import read_digests, read_header
from yidao.node.store.journals import Head
from yidao.node.store.packing import SeqPart
from yidao.node.store.parts import PartRule, RuledPart
from yidao.node.store.scope import Scope
from yidao.node.store.segments import Segment
from yidao.sync.errors import PeerError
from yidao.sync.ids import JournalId
from yidao.sync.message import Item
from yidao.sync.partsrun import PartsRun, SealedPart
from yidao.sync.record import (
    Header,
    HeaderReader,
    Part,
    PartDigest,
    Release,
    check_part,
    decode_header,
)

# What waits for records that never come is bounded. The backlog of a journal that
# is put aside for weeks stays far below.
MAX_PARKED_BYTES: Final = 256 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """The parts of an item, each checked against its header."""

    own: list[RuledPart]
    late: dict[int, list[RuledPart]]
    early: dict[int, list[SeqPart]]
    sealed: list[tuple[int, SealedPart]]
    gone: list[Gone]
    # The runs that `own` came in, each as it came; nothing for one that cannot stay so.
    packed: list[bytes] = field(default_factory=list)


class PartChecks:
    """Checks the parts of one peer's items; what fails raises, before anything is stored."""

    def __init__(self, scope: Scope, admission: Admission) -> None:
        self._scope = scope
        self._admission = admission

    def check(self, head: Head, item: Item) -> Checked:
        """Check all parts that came in an item, and those that came before its records.

        Raises:
            PeerError: A part is not the one that its header commits to, or of no record here.
            TooMuchParked: Too much waits already for records that have not come.
        """
        checked = Checked(own=[], late={}, early={}, sealed=[], gone=[])
        for run in item.parts:
            if run.journal == head.journal:
                self._check_own(head, item, run, checked)
            else:
                self._check_late(run, checked)
        parked = parts.take_parked(
            self._scope.conn, head.pk, item.seal.first_seq, item.seal.end_seq
        )
        for seq, part in parked:
            ruled = self._judge_parked(head, item, seq, part)
            if ruled is not None:
                checked.late.setdefault(head.pk, []).append(ruled)
        return checked

    def _check_own(self, head: Head, item: Item, run: PartsRun, out: Checked) -> None:
        seal = item.seal
        reader, is_plain = HeaderReader(), True
        for seq, given, sealed, absent in run.records:
            if not seal.first_seq <= seq < seal.end_seq:
                raise errors.PartUnexpected(seq=seq)
            data = seal.headers[seq - seal.first_seq]
            digests = read_digests(self._scope, head, seq, data, reader)
            if digests is None:
                is_plain = False
                continue
            if sealed or absent:
                is_plain = False
                header = decode_header(data)
                self._check_sealed(head.journal, header, seq, sealed, out)
                out.gone.extend(
                    Gone(seq, gone.name, gone.absence, 0)
                    for gone in absent
                    if header.part(gone.name) is not None
                )
            out.own.extend([_ruled(digests, seq, part) for part in given])
        out.packed.append(run.packed if is_plain else b"")

    def _check_sealed(
        self,
        journal: JournalId,
        header: Header,
        seq: int,
        sealed_parts: Sequence[SealedPart],
        out: Checked,
    ) -> None:
        """Open what is for this node; what is for another passes on as it came."""
        is_mine = letters.is_for(self._scope.identity.node_id, journal)
        for sealed in sealed_parts:
            letters.check_passing(journal, header, seq, sealed)
            if is_mine:
                part = letters.open_sealed(self._scope, journal, header, seq, sealed)
                out.own.append(_ruled(header.parts, seq, part))
            else:
                out.sealed.append((seq, sealed))

    def _check_late(self, run: PartsRun, out: Checked) -> None:
        """Check parts that an acceptance releases of another journal."""
        head = self._admission.admit_late(run.journal)
        seqs = [record.seq for record in run.records]
        held = parts.read_parts(self._scope.conn, head.pk, seqs)
        erased = absences.erased(self._scope.conn, head.pk, seqs)
        # What is released together mostly came together.
        found: Segment | None = None
        for record in run.records:
            if record.seq >= head.size:
                out.early.setdefault(head.pk, []).extend((record.seq, p) for p in record.parts)
                continue
            if found is None or not found.first_seq <= record.seq < found.end_seq:
                found = segments.segment_with(self._scope.conn, head.pk, record.seq)
            if found is None:
                raise errors.StoreInconsistent(what="segment")
            header = read_header(
                self._scope, head, record.seq, found.headers[record.seq - found.first_seq]
            )
            if header is None:
                continue
            for part in record.parts:
                ruled = _ruled(header.parts, record.seq, part)
                is_held = part.name in held.get(record.seq, {})
                if not is_held and (record.seq, part.name) not in erased:
                    out.late.setdefault(head.pk, []).append(ruled)
        if head.pk in out.early and parts.parked_bytes(self._scope.conn) > MAX_PARKED_BYTES:
            raise errors.TooMuchParked(limit=MAX_PARKED_BYTES)

    def _judge_parked(self, head: Head, item: Item, seq: int, part: Part) -> RuledPart | None:
        """Return a part that came before its record, or None if it is not that record's."""
        data = item.seal.headers[seq - item.seal.first_seq]
        digests = read_digests(self._scope, head, seq, data, HeaderReader())
        try:
            return None if digests is None else _ruled(digests, seq, part)
        except PeerError as error:
            # The item at hand is not to blame for what an acceptance brought.
            self._scope.raise_problem(
                error.code, {"part": part.name}, journal=head.journal, seq=seq
            )
            return None


def _ruled(digests: Sequence[PartDigest], seq: int, part: Part) -> RuledPart:
    """Return a part with its rule once it is checked against what its header commits to."""
    for digest in digests:
        if digest.name == part.name:
            check_part(digest, part)
            waits = digest.release is Release.WHEN_ACCEPTED
            return RuledPart(seq, part, PartRule(waits, digest.reach))
    raise errors.PartUnexpected(seq=seq)
