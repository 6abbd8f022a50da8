"""The table of published packs and its projector."""

from collections.abc import Sequence
from hashlib import sha256

from sqlalchemy import BigInteger, Column, Connection, LargeBinary, Table, Text, select

from yidao.api.errors import YidaoError
from yidao.catalog.errors import PackConflict
from yidao.catalog.pack.loader import load_pack
from yidao.node.affairs.standards import records, rules
from yidao.node.store.records import Reader
from yidao.node.store.tables import metadata
from yidao.node.store.values import StoredRecord

pack = Table(
    "pack",
    metadata,
    Column("id", Text, primary_key=True),
    Column("version", Text, primary_key=True),
    # ISO dates; empty `valid_to` = open.
    Column("valid_from", Text, nullable=False),
    Column("valid_to", Text, nullable=False),
    Column("yaml", LargeBinary, nullable=False),
    Column("sha256", LargeBinary, nullable=False),
    Column("published_by", Text, nullable=False),
    Column("record_id", LargeBinary, nullable=False),
    Column("position", BigInteger, nullable=False),
    # Error code where this program cannot read the pack; else empty.
    Column("unusable", Text, nullable=False),
)


class PackProjector:
    """Folds publications of the root; the first bytes of a version stand."""

    name = "standards.pack"
    tables: tuple[Table, ...] = (pack,)

    def fold(self, conn: Connection, records_: Sequence[StoredRecord], reader: Reader) -> None:
        """Fold a batch; what is not from the root or contradicts its header is passed over."""
        for item in records_:
            if item.header.kind != records.PUBLISHED:
                continue
            if reader.path_of(item.header.node_id) != rules.ROOT:
                continue
            row = _row(item)
            if row is None:
                continue
            held = _held(conn, row["id"])
            if row["version"] in held:
                continue
            if row["valid_from"] and row["valid_from"] in held.values():
                # Two versions from one day on: which is in force would be chance.
                row["unusable"] = PackConflict.code
            conn.execute(pack.insert(), row)


def _held(conn: Connection, pack_id: object) -> dict[str, str]:
    """Give the first days of the usable versions, and "" for the others, by version."""
    found = conn.execute(
        select(pack.c.version, pack.c.valid_from, pack.c.unusable).where(pack.c.id == pack_id)
    )
    return {version: "" if unusable else first_day for version, first_day, unusable in found}


def _row(item: StoredRecord) -> dict[str, object] | None:
    header = item.header
    body = item.parts.get("core")
    pack_id, separator, version = header.schema.partition("@")
    if body is None or not separator or header.object_id != records.object_of(pack_id):
        return None
    row: dict[str, object] = {
        "id": pack_id,
        "version": version,
        "valid_from": "",
        "valid_to": "",
        "yaml": body,
        "sha256": sha256(body).digest(),
        "published_by": header.actor,
        "record_id": header.record_id,
        "position": item.position,
        "unusable": "",
    }
    try:
        loaded = load_pack(body)
    except YidaoError as error:
        # Newer root, older program: the version is listed, and an upgrade and a rebuild use it.
        return row | {"unusable": error.code}
    if (loaded.id, loaded.version) != (pack_id, version):
        return row | {"unusable": PackConflict.code}
    return row | {
        "valid_from": loaded.valid_from.isoformat(),
        "valid_to": loaded.valid_to.isoformat() if loaded.valid_to else "",
    }
