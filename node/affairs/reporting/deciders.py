"""The parent's look at what its children submit: readable by the standard, or doubtful."""

from collections.abc import Sequence

from yidao.api.errors import YidaoError
from yidao.catalog.pack.versions import PackSet
from yidao.catalog.rows import parse_row
from yidao.catalog.validate import Checks
from yidao.node.affairs.desk import Desk
from yidao.node.affairs.errors import HeaderContradictsPayload
from yidao.node.affairs.paths import Paths
from yidao.node.affairs.reporting import records
from yidao.node.affairs.reporting.faults import is_wrong, note_of_error, note_of_fault
from yidao.node.affairs.reporting.records import FaultNote, ReturnKey
from yidao.node.affairs.standards.queries import packs_in_force
from yidao.node.store.records import Reader
from yidao.node.store.transaction import Tx
from yidao.node.store.values import Draft, DraftPart, StoredRecord
from yidao.sync.ids import Path


class DoubtDecider:
    """Doubts a child's return that contradicts itself or its standard.

    The origin has judged the row with everything that it is compared with; this
    node asks again only what the row itself shows. What it finds is a verdict
    of its own, written as a record; the child's journal goes on.
    """

    name = "reporting.doubt"

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._checks = Checks()

    def decide(self, tx: Tx, records_: Sequence[StoredRecord], reader: Reader) -> None:
        """Look at a batch."""
        paths = Paths(reader)
        waiting = [item for item in records_ if _is_childs_return(item, paths, reader.own.path)]
        if not waiting:
            return
        packs = packs_in_force(tx.conn)
        drafts = []
        for item in waiting:
            faults = self._faults(packs, item)
            if is_wrong(faults):
                drafts.append(self._doubt(item, faults))
        if drafts:
            tx.append(records.LOCAL_CHANNEL, drafts)

    def _faults(self, packs: PackSet, item: StoredRecord) -> tuple[FaultNote, ...]:
        header = item.header
        try:
            pack, form = packs.resolve(header.schema, header.schema_sha256)
            row = parse_row(item.parts.get("core", b""))
            stated = ReturnKey(pack=pack.id, form=form.id, period=header.period, unit=header.unit)
            if stated.object_id != header.object_id:
                raise HeaderContradictsPayload(field="object")
            for name, value in (("uscc", header.unit), ("period", header.period)):
                if name in form.fields and row.get(name) != value:
                    raise HeaderContradictsPayload(field=name)
            if "pii" in item.parts:
                row |= parse_row(item.parts["pii"])
            verdict = self._checks.check(pack, form.id, row)
        except YidaoError as error:
            return (note_of_error(error),)
        return tuple(note_of_fault(fault) for fault in verdict.errors)

    def _doubt(self, item: StoredRecord, faults: tuple[FaultNote, ...]) -> Draft:
        header = item.header
        core = records.Doubt(origin=header.node_id, faults=faults)
        return Draft(
            record_id=self._desk.mint(),
            kind=records.DOUBTED,
            actor=str(self._desk.system),
            object_id=header.object_id,
            object_version=header.object_version,
            created_ms=self._desk.clock_ms(),
            unit=header.unit,
            causes=(header.record_id,),
            schema=header.schema,
            schema_sha256=header.schema_sha256,
            period=header.period,
            parts=(DraftPart(name="core", body=core.encode(), reach=0),),
        )


def _is_childs_return(item: StoredRecord, paths: Paths, own_path: Path) -> bool:
    if item.header.kind != records.SUBMITTED:
        return False
    path = paths.of(item.header.node_id)
    return path is not None and path.parent == own_path
