"""Proofs out of the store, and the walk that looks whether it still holds what was sealed."""

from sqlalchemy import Connection, select

from yidao.node.keys import Identity
from yidao.node.store import cosigning, epochs, errors, parts, segments
from yidao.node.store.journals import Head, head_of, read_head
from yidao.node.store.packing import unpack_parts
from yidao.node.store.segments import Segment, segment_of
from yidao.node.store.tables import journal as journal_table
from yidao.node.store.tables import parts as parts_table
from yidao.node.store.tables import segment, tile
from yidao.node.store.values import Fault, Proven, ScrubReport
from yidao.sync import tiles
from yidao.sync.checkpoint import open_checkpoint, with_cosignatures
from yidao.sync.errors import LocalError, PeerError
from yidao.sync.evidencefiles import bare_proof
from yidao.sync.ids import NodeId
from yidao.sync.merkle import Frontier, inclusion_proof, leaf_hashes
from yidao.sync.message import EnrolmentProof
from yidao.sync.proof import TlogProof, verify_proof
from yidao.sync.record import Part, PartDigest, check_part, decode_header
from yidao.sync.suite import is_available
from yidao.sync.suiteerrors import SuiteUnavailable

HEADERS_TAMPERED = "HEADERS_TAMPERED"
CHECKPOINT_TAMPERED = "CHECKPOINT_TAMPERED"
SEGMENT_MISSING = "SEGMENT_MISSING"
HEAD_TAMPERED = "HEAD_TAMPERED"
TILE_TAMPERED = "TILE_TAMPERED"
PART_TAMPERED = "PART_TAMPERED"


def prove(conn: Connection, own: Identity, position: int) -> Proven:
    """Return a record with a proof under the checkpoint that most tiers cosigned.

    Raises:
        PositionUnknown: There is no such record.
        SuiteUnavailable: The library of the journal's suite is not installed.
        StoreTampered: What is stored does not verify; nothing is given out.
    """
    held = segments.segment_at(conn, position)
    if held is None:
        raise errors.PositionUnknown(position=position)
    head = read_head(conn, held.journal_pk)
    seq = held.first_seq + position - held.position
    try:
        return _prove(conn, own, head, held, seq)
    except SuiteUnavailable:
        raise
    except (PeerError, LocalError) as error:
        raise errors.StoreTampered(
            journal=head.journal.origin(own.network), seq=seq, what=error.code
        ) from error


def prove_epochs(conn: Connection, own: Identity, node_id: NodeId) -> tuple[EnrolmentProof, ...]:
    """Return the steps of a chain by which a node whose `node` journals are here changed keys.

    Raises:
        PositionUnknown: A record that opened an epoch is not here.
        StoreTampered: What is stored does not verify; nothing is given out.
    """
    steps = []
    for opened in epochs.opened_of(conn, node_id):
        position = epochs.position_of(conn, opened)
        if position is None:
            raise errors.PositionUnknown(position=0)
        proven = prove(conn, own, position)
        core = next(part for part in proven.parts if part.name == "core")
        step = EnrolmentProof(header=proven.header, core=core, proof=proven.proof)
        steps.append(bare_proof(step))
    return tuple(steps)


def _prove(conn: Connection, own: Identity, head: Head, held: Segment, seq: int) -> Proven:
    # Records beyond the end of an epoch may be here as evidence, and are under no proof.
    end = epochs.valid_size(conn, head.journal)
    size, cosigners = cosigning.best_size(conn, head.pk, seq, end)
    size = size or (head.size if end is None else min(head.size, end))
    checkpoint = cosigning.checkpoint_of(conn, head.pk, size)
    if checkpoint is None or head.public_key is None:
        raise errors.StoreInconsistent(what="checkpoint")
    cosigned = with_cosignatures(checkpoint, cosigning.lines_at(conn, head.pk, size))
    suite = head.state.suite
    path = inclusion_proof(size, seq, segments.tree_reader(conn, head.pk, suite), suite)
    proof = TlogProof(index=seq, path=tuple(path), checkpoint=cosigned)
    header = held.headers[seq - held.first_seq]
    verify_proof(proof, header, head.journal.origin(own.network), head.public_key, suite)
    known = decode_header(header)
    found = [ruled.part for ruled in parts.read_parts(conn, head.pk, [seq]).get(seq, {}).values()]
    for part in found:
        _check(part, known.part(part.name), seq)
    return Proven(
        position=held.position + seq - held.first_seq,
        journal=head.journal,
        seq=seq,
        header=header,
        parts=tuple(found),
        proof=proof.encode(),
        checkpoint=cosigned,
        cosigners=cosigners,
    )


def _check(part: Part, digest: PartDigest | None, seq: int) -> None:
    if digest is None:
        raise errors.PartUnexpected(seq=seq)
    check_part(digest, part)


def scrub(conn: Connection, own: Identity) -> ScrubReport:
    """Read everything that is stored and compare it with what its origins signed.

    Roots are recomputed from leaves and compared with every checkpoint, tiles and
    heads with the recomputed tree, parts with their commitments. Journals of a suite
    that this machine cannot verify are left out, which is a problem of its own. In one journal
    only the first wrong segment is named, since every later root rests on it.
    """
    records = part_count = 0
    faults: list[Fault] = []
    for row in conn.execute(select(journal_table).order_by(journal_table.c.id)).all():
        head = head_of(row)
        if head.public_key is None or not is_available(head.state.suite):
            continue
        walk = _Walk(conn, own, head)
        walk.run()
        records += walk.records
        part_count += walk.parts
        faults += walk.faults
    return ScrubReport(records=records, parts=part_count, faults=tuple(faults))


class _Walk:
    """The walk over one journal."""

    def __init__(self, conn: Connection, own: Identity, head: Head) -> None:
        self._conn = conn
        self._head = head
        self._origin = head.journal.origin(own.network)
        self._frontier = Frontier(suite=head.state.suite)
        self._is_broken = False
        self.records = 0
        self.parts = 0
        self.faults: list[Fault] = []

    def run(self) -> None:
        rows = self._conn.execute(
            select(segment)
            .where(segment.c.journal_id == self._head.pk)
            .order_by(segment.c.first_seq),
            execution_options={"yield_per": 16},
        )
        for row in rows:
            try:
                held = segment_of(row)
            except errors.StoreInconsistent:
                self._fault(row.first_seq, row.position, HEADERS_TAMPERED)
                self._is_broken = True
                continue
            self._segment(held)
        last = self._conn.execute(
            select(segment.c.position)
            .where(segment.c.journal_id == self._head.pk)
            .order_by(segment.c.first_seq.desc())
            .limit(1)
        ).scalar()
        if not self._is_broken and self._frontier != self._head.state.frontier:
            self._fault(self._frontier.size, last or 0, HEAD_TAMPERED)

    def _segment(self, held: Segment) -> None:
        self.records += len(held.headers)
        self._check_parts(held)
        if self._is_broken:
            return
        if held.first_seq != self._frontier.size:
            self._break(self._frontier.size, held.position, SEGMENT_MISSING)
            return
        suite = self._frontier.suite
        frontier, entries = tiles.grow(self._frontier, leaf_hashes(held.headers, suite))
        assert self._head.public_key is not None, "journals without a key are left out"
        try:
            signed = open_checkpoint(held.checkpoint, self._origin, self._head.public_key, suite)
        except PeerError:
            self._break(held.first_seq, held.position, CHECKPOINT_TAMPERED)
            return
        if (signed.size, signed.root) != (frontier.size, frontier.root()):
            self._break(held.first_seq, held.position, HEADERS_TAMPERED)
            return
        self._frontier = frontier
        self._check_tiles(held, entries)

    def _check_tiles(self, held: Segment, entries: tuple[tiles.TileEntries, ...]) -> None:
        for run in entries:
            stored = self._conn.execute(
                select(tile.c.hash)
                .where(
                    tile.c.journal_id == self._head.pk,
                    tile.c.level == run.level,
                    tile.c.idx >= run.first,
                    tile.c.idx < run.first + len(run.hashes),
                )
                .order_by(tile.c.idx)
            ).scalars()
            if tuple(stored) != run.hashes:
                self._fault(held.first_seq, held.position, TILE_TAMPERED)

    def _check_parts(self, held: Segment) -> None:
        """Check every part of the segment's records, whenever it came."""
        rows = self._conn.execute(
            select(parts_table).where(
                parts_table.c.journal_id == self._head.pk,
                parts_table.c.first_seq > held.first_seq - parts.MAX_SPAN,
                parts_table.c.first_seq < held.end_seq,
                parts_table.c.last_seq >= held.first_seq,
            )
        )
        for row in rows:
            try:
                found = unpack_parts(row.first_seq, row.blob)
            except errors.StoreInconsistent:
                found = []
            # A part whose number was changed would be missing at its record, and seen nowhere.
            if not found or any(not row.first_seq <= seq <= row.last_seq for seq, _ in found):
                self._fault(max(row.first_seq, held.first_seq), held.position, PART_TAMPERED)
                continue
            for seq, part in found:
                if held.first_seq <= seq < held.end_seq:
                    self._check_part(held, seq, part)

    def _check_part(self, held: Segment, seq: int, part: Part) -> None:
        self.parts += 1
        offset = seq - held.first_seq
        try:
            _check(part, decode_header(held.headers[offset]).part(part.name), seq)
        except PeerError:
            self._fault(seq, held.position + offset, PART_TAMPERED)

    def _break(self, seq: int, position: int, code: str) -> None:
        self._is_broken = True
        self._fault(seq, position, code)

    def _fault(self, seq: int, position: int, code: str) -> None:
        fault = Fault(journal=self._head.journal, seq=seq, position=position, code=code)
        if fault not in self.faults:
            self.faults.append(fault)
