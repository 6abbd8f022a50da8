"""Reading packs: what is published, what is in force, and the compiled form of both."""

import threading
from collections import OrderedDict
from dataclasses import dataclass
from datetime import date

from sqlalchemy import Connection, select

from yidao.catalog.errors import PackUnknown
from yidao.catalog.pack.loader import load_pack
from yidao.catalog.pack.model import Pack
from yidao.catalog.pack.versions import PackSet
from yidao.node.affairs.errors import DateInvalid
from yidao.node.affairs.standards.views import pack


class PackCache:
    """Compiled packs by digest, and pack sets by the digests in them; one a process.

    Compiling a pack takes milliseconds and 100 kilobytes, and every import asks
    for the packs; the table decides what is in the set, the cache never does.
    Safe for use by several threads.
    """

    _MAX_PACKS = 256
    _MAX_SETS = 8

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._packs: OrderedDict[bytes, Pack] = OrderedDict()
        self._sets: OrderedDict[frozenset[bytes], PackSet] = OrderedDict()

    def packs(self, conn: Connection, digests: frozenset[bytes]) -> PackSet:
        """Give the set of exactly these packs; what is not compiled yet is read from the table."""
        with self._lock:
            known = self._sets.get(digests)
            if known is None:
                known = PackSet.of([self._pack(conn, digest) for digest in sorted(digests)])
                self._sets[digests] = known
                if len(self._sets) > self._MAX_SETS:
                    self._sets.popitem(last=False)
            return known

    def _pack(self, conn: Connection, digest: bytes) -> Pack:
        known = self._packs.get(digest)
        if known is None:
            body = conn.execute(select(pack.c.yaml).where(pack.c.sha256 == digest)).scalar_one()
            known = load_pack(bytes(body))
            self._packs[digest] = known
            if len(self._packs) > self._MAX_PACKS:
                self._packs.popitem(last=False)
        return known


_CACHE = PackCache()


def packs_in_force(conn: Connection, *, before_position: int | None = None) -> PackSet:
    """Give all usable packs; `PackSet.in_force` chooses the version of a day.

    Args:
        conn: The table of packs as it stands in this connection's view.
        before_position: Leave out packs that were published later in this
            store's order; a projector that asks so decides the same in a rebuild.
    """
    query = select(pack.c.sha256).where(pack.c.unusable == "")
    if before_position is not None:
        query = query.where(pack.c.position < before_position)
    return _CACHE.packs(conn, frozenset(bytes(digest) for (digest,) in conn.execute(query)))


@dataclass(frozen=True, slots=True, kw_only=True)
class PackSummary:
    """One published version; `forms` is empty where this program cannot read the pack."""

    id: str
    version: str
    valid_from: str
    valid_to: str
    sha256: bytes
    published_by: str
    unusable: str
    forms: tuple[str, ...]


def list_packs(conn: Connection) -> tuple[PackSummary, ...]:
    """Give every published version by id and first day."""
    packs = packs_in_force(conn)
    rows = conn.execute(select(pack).order_by(pack.c.id, pack.c.valid_from, pack.c.version))
    return tuple(
        PackSummary(
            id=row.id,
            version=row.version,
            valid_from=row.valid_from,
            valid_to=row.valid_to,
            sha256=bytes(row.sha256),
            published_by=row.published_by,
            unusable=row.unusable,
            forms=() if row.unusable else tuple(packs.version(row.id, row.version).forms),
        )
        for row in rows
    )


def pack_bytes(conn: Connection, pack_id: str, version: str, on: str) -> bytes:
    """Give the exact bytes of a version, or of the one in force on an ISO date.

    Raises:
        PackUnknown: No such pack or version.
        PackNotInForce: No version is valid on that day.
        DateInvalid: `on` is no ISO date, or neither version nor date is given.
    """
    if version:
        query = select(pack.c.yaml).where(pack.c.id == pack_id, pack.c.version == version)
        body = conn.execute(query).scalar()
        if body is None:
            raise PackUnknown(pack=pack_id[:64])
        return bytes(body)
    try:
        day = date.fromisoformat(on)
    except ValueError:
        raise DateInvalid(field="on") from None
    return packs_in_force(conn).in_force(pack_id, day).source
