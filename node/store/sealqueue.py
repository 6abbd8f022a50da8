"""What waits for the next seal of one journal, and how it is sealed and stored."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from yidao.node.store import parts, record_ids, segments, trust
from yidao.node.store.journals import Head
from yidao.node.store.parts import PartRule, RuledPart
from yidao.node.store.scope import Scope
from yidao.node.store.values import MAX_SEGMENT_BYTES, Draft, Ticket
from yidao.sync.ids import NodeId
from yidao.sync.journal import MAX_SEAL_HEADER_BYTES, MAX_SEAL_RECORDS, seal
from yidao.sync.record import Part
from yidao.sync.suite import Signer


class Pending(NamedTuple):
    """A record that waits for its seal; a tuple, since it is made once a record."""

    draft: Draft
    header: bytes
    parts: tuple[tuple[Part, PartRule], ...]
    weight_bytes: int
    ticket: Ticket
    enrols: NodeId | None


@dataclass(slots=True, kw_only=True)
class SealQueue:
    """What waits for the next seal of one journal, and who signs that.

    What each record would ask its head or its name again is asked once.
    """

    head: Head
    signer: Signer
    size: int = field(init=False)
    is_letter: bool = field(init=False)
    records: list[Pending] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.size = self.head.size
        self.is_letter = self.head.journal.audience.to is not None

    def seal(self, scope: Scope) -> None:
        """Seal and store all that waits, and complete its tickets."""
        head = scope.heads.by_pk(self.head.pk)
        assert head is not None, "a queued journal has a head"
        for chunk in _chunks(self.records):
            _seal_chunk(scope, head, self.signer, chunk)


def _seal_chunk(scope: Scope, head: Head, signer: Signer, chunk: Sequence[Pending]) -> None:
    headers = [record.header for record in chunk]
    made = seal(head.state, headers, scope.identity.network, signer)
    position = scope.place(headers, head.routes)
    segments.write_segment(
        scope.conn, head, made.seal, made.tiles, position=position, now_ms=scope.now_ms
    )
    head.state, head.checkpoint, head.is_dirty = made.state, made.seal.checkpoint, True
    parts.write_parts(
        scope.conn,
        head.pk,
        position,
        [
            RuledPart(record.ticket.seq, part, rule)
            for record in chunk
            for part, rule in record.parts
        ],
        late=False,
    )
    parts.write_released(
        scope.conn, position, [pair for record in chunk for pair in record.draft.releases]
    )
    for offset, record in enumerate(chunk):
        record.ticket.sealed_at = position + offset
        if record.enrols is not None:
            trust.place(scope.conn, record.enrols, position + offset)
    record_ids.keep(scope.conn, [record.draft.record_id for record in chunk], position)


def _chunks(records: Sequence[Pending]) -> Iterator[list[Pending]]:
    """Cut what waits into seals that fit: by number, by header bytes, by all bytes."""
    chunk: list[Pending] = []
    header_bytes = weight_bytes = 0
    for record in records:
        header_bytes += len(record.header)
        weight_bytes += record.weight_bytes
        if chunk and (
            len(chunk) == MAX_SEAL_RECORDS
            or header_bytes > MAX_SEAL_HEADER_BYTES
            or weight_bytes > MAX_SEGMENT_BYTES
        ):
            yield chunk
            chunk, header_bytes, weight_bytes = [], len(record.header), record.weight_bytes
        chunk.append(record)
    if chunk:
        yield chunk
