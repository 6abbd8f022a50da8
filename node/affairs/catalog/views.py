"""The projector of the catalog."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Table, bindparam, delete, func, select, update

from yidao.api.errors import YidaoError
from yidao.catalog.errors import ResourceMalformed
from yidao.catalog.resource import EntryState, Resource, decode_resource
from yidao.catalog.resourcecheck import split_code
from yidao.node.affairs.catalog import copies, records, rules
from yidao.node.affairs.catalog.facets import facet_keys, gram_keys
from yidao.node.affairs.catalog.postings import FACETS, GRAMS, Changes
from yidao.node.affairs.catalog.tables import (
    catalog_copy,
    catalog_entry,
    catalog_facet,
    catalog_posting,
    catalog_sequence,
)
from yidao.node.affairs.paths import Paths
from yidao.node.store.records import Reader
from yidao.node.store.values import StoredRecord
from yidao.sync.ids import Path

_CODES_AT_ONCE = 500


class CatalogProjector:
    """Folds what was published and withdrawn below, and this node's own working copies."""

    name = "catalog.entry"
    tables: tuple[Table, ...] = (
        catalog_entry,
        catalog_copy,
        catalog_sequence,
        catalog_posting,
        catalog_facet,
    )

    def fold(self, conn: Connection, records_: Sequence[StoredRecord], reader: Reader) -> None:
        """Fold a batch; what is malformed or out of order is passed over."""
        mine = [item for item in records_ if item.header.kind.startswith("catalog.")]
        if not mine:
            return
        batch = _Batch(conn, mine, reader)
        for item in mine:
            try:
                batch.fold(item)
            except YidaoError:
                continue
        batch.write()


class _Batch:
    """The entries that a batch touches, as they come to stand."""

    def __init__(self, conn: Connection, items: Sequence[StoredRecord], reader: Reader) -> None:
        self._conn = conn
        self._own = reader.own
        self._paths = Paths(reader)
        codes = {item.header.object_id.partition("/")[2] for item in items}
        self._rows = _held(conn, sorted(codes))
        self._known = set(self._rows)
        self._changed: set[str] = set()
        self._next = conn.execute(select(func.count()).select_from(catalog_entry)).scalar_one()
        self._grams, self._facets = Changes(GRAMS), Changes(FACETS)
        self._numbers: dict[str, int] = {}

    def fold(self, item: StoredRecord) -> None:
        header = item.header
        code = header.object_id.removeprefix("resource/")
        pieces = split_code(code)
        path = self._paths.of(header.node_id)
        if header.object_id != records.object_of(code) or pieces is None or path is None:
            return
        own = header.node_id == self._own.node_id
        step = records.STEPS.get(header.kind)
        if step in {rules.Step.PUBLISH, rules.Step.WITHDRAW}:
            if not item.journal.channel.startswith("up:"):
                return
            self._fold_entry(item, step, code, path)
            if own and step is rules.Step.PUBLISH:
                copies.done_with(self._conn, code)
        elif own and step is not None:
            copies.fold(self._conn, item, step, code)
        elif not own or header.kind != records.CODE_ISSUED:
            return
        # A number that was seen here once is never issued here again.
        self._numbers[pieces[0]] = max(pieces[1], self._numbers.get(pieces[0], 0))

    def _fold_entry(self, item: StoredRecord, step: rules.Step, code: str, path: Path) -> None:
        header = item.header
        row = self._rows.get(code)
        held = None
        if row is not None:
            held = rules.Held(
                owner=row["owner"], version=row["version"], state=EntryState(row["state"])
            )
        match rules.decide_entry(held, step, header.node_id, header.object_version):
            case rules.Effect.ENTER:
                self._enter(item, code, path)
            case rules.Effect.REPLACE if row is not None:
                self._replace(item, row, path)
            case rules.Effect.END if row is not None:
                self._end(item, row)
            case rules.Effect.CONTEST if row is not None:
                row["contested"] = True
            case _:
                return
        self._changed.add(code)

    def _enter(self, item: StoredRecord, code: str, path: Path) -> None:
        resource = _resource(item, code)
        row = {
            "doc": self._next,
            "code": code,
            "contested": False,
            "registered_ms": item.header.created_ms,
            **_stated(item, path),
        }
        self._next += 1
        self._rows[code] = row
        self._index(row, resource)

    def _replace(self, item: StoredRecord, row: dict[str, Any], path: Path) -> None:
        resource = _resource(item, row["code"])
        self._forget(row)
        row.update(_stated(item, path))
        self._index(row, resource)

    def _end(self, item: StoredRecord, row: dict[str, Any]) -> None:
        reason = records.Reason.decode(item.parts.get("core")).reason
        resource, owner = decode_resource(row["resource"]), Path.parse(row["owner_path"])
        doc = row["doc"]
        self._facets.remove(facet_keys(resource, owner, EntryState(row["state"])), doc)
        row.update(_change(item, EntryState.WITHDRAWN, reason))
        self._facets.add(facet_keys(resource, owner, EntryState.WITHDRAWN), doc)

    def _index(self, row: dict[str, Any], resource: Resource) -> None:
        owner = Path.parse(row["owner_path"])
        self._grams.add(gram_keys(resource), row["doc"])
        self._facets.add(facet_keys(resource, owner, EntryState(row["state"])), row["doc"])

    def _forget(self, row: dict[str, Any]) -> None:
        resource, owner = decode_resource(row["resource"]), Path.parse(row["owner_path"])
        self._grams.remove(gram_keys(resource), row["doc"])
        self._facets.remove(facet_keys(resource, owner, EntryState(row["state"])), row["doc"])

    def write(self) -> None:
        conn = self._conn
        fresh = [self._rows[code] for code in sorted(self._changed - self._known)]
        if fresh:
            conn.execute(catalog_entry.insert(), fresh)
        changed = [self._rows[code] for code in sorted(self._changed & self._known)]
        if changed:
            names = [name for name in changed[0] if name not in {"doc", "code"}]
            conn.execute(
                update(catalog_entry)
                .where(catalog_entry.c.doc == bindparam("b_doc"))
                .values({name: bindparam(f"b_{name}") for name in names}),
                [{f"b_{name}": row[name] for name in ("doc", *names)} for row in changed],
            )
        self._grams.write(conn)
        self._facets.write(conn)
        self._write_numbers()

    def _write_numbers(self) -> None:
        if not self._numbers:
            return
        table = catalog_sequence
        for start in range(0, len(self._numbers), _CODES_AT_ONCE):
            some = sorted(self._numbers)[start : start + _CODES_AT_ONCE]
            query = select(table.c.class_code, table.c.last).where(table.c.class_code.in_(some))
            for class_code, last in self._conn.execute(query):
                self._numbers[class_code] = max(last, self._numbers[class_code])
            self._conn.execute(delete(table).where(table.c.class_code.in_(some)))
        self._conn.execute(
            table.insert(),
            [{"class_code": name, "last": last} for name, last in sorted(self._numbers.items())],
        )


def _held(conn: Connection, codes: Sequence[str]) -> dict[str, dict[str, Any]]:
    rows: dict[str, dict[str, Any]] = {}
    for start in range(0, len(codes), _CODES_AT_ONCE):
        some = codes[start : start + _CODES_AT_ONCE]
        for row in conn.execute(select(catalog_entry).where(catalog_entry.c.code.in_(some))):
            found = dict(row._mapping)  # noqa: SLF001 - SQLAlchemy's public name
            for name in ("owner", "resource", "record_id"):
                found[name] = bytes(found[name])
            rows[row.code] = found
    return rows


def _resource(item: StoredRecord, code: str) -> Resource:
    resource = decode_resource(item.parts.get("core", b""))
    if resource.code != code:
        raise ResourceMalformed(field="code")
    return resource


def _stated(item: StoredRecord, path: Path) -> dict[str, Any]:
    return {
        "owner": item.header.node_id,
        "owner_path": str(path),
        "version": item.header.object_version,
        "resource": item.parts["core"],
        **_change(item, EntryState.PUBLISHED, ""),
    }


def _change(item: StoredRecord, state: EntryState, reason: str) -> dict[str, Any]:
    return {
        "state": state.value,
        "changed_ms": item.header.created_ms,
        "changed_by": item.header.actor,
        # PostgreSQL stores no NUL, and another node may have sent one.
        "reason": reason.replace("\x00", "")[: rules.MAX_REASON_CHARACTERS],
        "record_id": item.header.record_id,
        "position": item.position,
    }
