"""Everything here that ends by a date, and the warning at two thirds of each life.

| kind | what |
|---|---|
| `certificate` | the node's own, for TLS; `node.certificates` warns of it |
| `authority` | the certificate of its tier, which those below hang from |
| `root-certificate` | each that counts |
| `root-list` | the one in force |
| `join-token` | each that was given out and not used |
| `feed` | the word of each node above that nothing is kept back |
| `pack` | each without a later version |
"""

import asyncio
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from sqlalchemy import Connection, select

from yidao.node.affairs.standards.views import pack
from yidao.node.clock import utc
from yidao.node.keys import NodeCertificates
from yidao.node.link.certificates import key_sha256
from yidao.node.store import problems, rootlists, tables
from yidao.node.store.store import Store
from yidao.node.store.transaction import Tx
from yidao.sync.ids import NodeId

FINE: Final = "fine"
SOON: Final = "soon"
OVER: Final = "over"

#: What is raised for a kind in a state. The node's own certificate has a watch of its own,
#: and a bundle that nobody used ends as it should.
CODES: Final[Mapping[tuple[str, str], str]] = {
    ("authority", SOON): "AUTHORITY_ENDS_SOON",
    ("authority", OVER): "AUTHORITY_ENDED",
    ("root-certificate", SOON): "ROOT_CERTIFICATE_ENDS_SOON",
    ("root-certificate", OVER): "ROOT_CERTIFICATE_ENDED",
    ("root-list", SOON): "ROOT_LIST_ENDS_SOON",
    ("root-list", OVER): "ROOT_LIST_ENDED",
    ("join-token", SOON): "JOIN_TOKEN_ENDS_SOON",
    ("feed", SOON): "FEED_LATE",
    ("feed", OVER): "FEED_STALE",
    ("pack", SOON): "PACK_ENDS_SOON",
    ("pack", OVER): "PACK_ENDED",
}
_DAY_MS: Final = 24 * 3600 * 1000
_HOUR_MS: Final = 3600 * 1000
_NAME_CHARS: Final = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Expiry:
    """Something that ends.

    Attributes:
        name: Which one, for people.
        node_id: Whose word it is, of a feed; b"" otherwise.
        since_ms, until_ms: Unix milliseconds.
    """

    kind: str
    name: str
    since_ms: int
    until_ms: int
    node_id: bytes = field(default=b"")

    def state(self, now_ms: int) -> str:
        """Return whether it holds, ends soon, or is over."""
        if now_ms >= self.until_ms:
            return OVER
        return SOON if 3 * (now_ms - self.since_ms) >= 2 * (self.until_ms - self.since_ms) else FINE


class Expiries:
    """What ends at one node.

    Args:
        beside: Gives what ends and is not in the store: see `certificates_of`.
    """

    def __init__(
        self,
        store: Store,
        clock_ms: Callable[[], int],
        beside: Callable[[], Iterable[Expiry]],
    ) -> None:
        self._store = store
        self._clock_ms = clock_ms
        self._beside = beside
        # None before the first look, which also closes what an earlier run of the node left open.
        self._said: dict[tuple[str, bytes], Mapping[str, str | int]] | None = None

    def found(self) -> tuple[tuple[Expiry, str], ...]:
        """Return everything that ends with its state, the next first."""
        now_ms = self._clock_ms()
        shown = [(each, each.state(now_ms)) for each in self._each()]
        # A bundle that nobody used is over and done with.
        kept = [one for one in shown if (one[0].kind, one[1]) != ("join-token", OVER)]
        return tuple(sorted(kept, key=lambda one: (one[0].until_ms, one[0].kind, one[0].name)))

    async def run(self) -> None:
        """Raise what is due, and clear what was mended."""
        due = await asyncio.to_thread(self._due)
        if due == self._said:
            return
        said = self._said or {}
        fresh = {key: params for key, params in due.items() if said.get(key) != params}
        open_now = [
            (each.code, each.peer)
            for each in await asyncio.to_thread(self._store.problems)
            if each.code in CODES.values()
        ]

        def tell(tx: Tx) -> None:
            for (code, peer), params in fresh.items():
                about = NodeId(peer) if peer else None
                problems.raise_problem(tx.conn, tx.now_ms, code, params, peer=about)
            for code, peer in open_now:
                if (code, peer) not in due:
                    tx.clear_problems(code, peer=NodeId(peer) if peer else None)

        await asyncio.wrap_future(self._store.submit(tell))
        self._said = due

    def _due(self) -> dict[tuple[str, bytes], Mapping[str, str | int]]:
        """What is to be said, by code and node; of several of a kind the one that ends first."""
        now_ms, due = self._clock_ms(), dict[tuple[str, bytes], Mapping[str, str | int]]()
        for each, state in self.found():
            code = CODES.get((each.kind, state))
            if code is None or (code, each.node_id) in due:
                continue
            precise = each.kind in ("feed", "join-token")
            until = utc(each.until_ms)
            params: dict[str, str | int] = {
                "until": until.isoformat(timespec="minutes") if precise else str(until.date())
            }
            if each.kind == "feed":
                params["path"] = each.name
                if state == OVER:
                    params["hours"] = (now_ms - each.until_ms) // _HOUR_MS
            else:
                params |= {"name": each.name}
                params["days"] = max(each.until_ms - now_ms, 0) // _DAY_MS
            due[code, each.node_id] = params
        return due

    def _each(self) -> Iterator[Expiry]:
        yield from self._beside()
        with self._store.read() as conn:
            yield from _lists(conn)
            yield from _tokens(conn)
            yield from _feeds(conn, self._paths())
            yield from _packs(conn)

    def _paths(self) -> Mapping[bytes, str]:
        return {bytes(node.node_id): str(node.path) for node in self._store.enrolments()}


def certificates_of(own: NodeCertificates, root_pem: bytes) -> Iterator[Expiry]:
    """Return when a node's certificates end, and the root certificates that count."""
    yield _certificate("certificate", _first(own.tls_chain_pem), "TLS")
    if own.ca_chain_pem:
        yield _certificate("authority", _first(own.ca_chain_pem), "CA")
    for root in x509.load_pem_x509_certificates(root_pem):
        key = root.public_key()
        assert isinstance(key, EllipticCurvePublicKey), "roots are checked where they come in"
        yield _certificate("root-certificate", root, key_sha256(key).hex()[:_NAME_CHARS])


def _first(pem: bytes) -> x509.Certificate:
    return x509.load_pem_x509_certificates(pem)[0]


def _certificate(kind: str, shown: x509.Certificate, name: str) -> Expiry:
    since, until = shown.not_valid_before_utc, shown.not_valid_after_utc
    return Expiry(kind=kind, name=name, since_ms=_ms(since), until_ms=_ms(until))


def _lists(conn: Connection) -> Iterator[Expiry]:
    held = rootlists.newest(conn)
    if held is not None:
        content = held.content
        yield Expiry(
            kind="root-list",
            name=str(content.version),
            since_ms=content.issued_ms,
            until_ms=content.expires_ms,
        )


def _tokens(conn: Connection) -> Iterator[Expiry]:
    token = tables.join_token.c
    unused = token.used_ms.is_(None) & token.killed_ms.is_(None)
    for row in conn.execute(select(token.path, token.created_ms, token.expires_ms).where(unused)):
        yield Expiry(
            kind="join-token", name=row.path, since_ms=row.created_ms, until_ms=row.expires_ms
        )


def _feeds(conn: Connection, paths: Mapping[bytes, str]) -> Iterator[Expiry]:
    for row in conn.execute(select(tables.feed)):
        # Who was revoked is waited for no more.
        if (path := paths.get(bytes(row.node_id))) is not None:
            yield Expiry(
                kind="feed",
                name=path,
                since_ms=row.since_ms,
                until_ms=row.until_ms,
                node_id=bytes(row.node_id),
            )


def _packs(conn: Connection) -> Iterator[Expiry]:
    columns = (pack.c.id, pack.c.version, pack.c.valid_from, pack.c.valid_to)
    last: dict[str, tuple[str, str, str]] = {}
    for row in conn.execute(select(*columns).where(pack.c.unusable == "")):
        # ISO dates sort as days; a version without an end outlasts all others.
        end = row.valid_to or "9999-12-31"
        if row.id not in last or end > last[row.id][2]:
            last[row.id] = (row.version, row.valid_from, end)
    for name, (version, begins, ends) in last.items():
        if ends != "9999-12-31":
            yield Expiry(
                kind="pack",
                name=f"{name} {version}",
                since_ms=_day_ms(begins),
                until_ms=_day_ms(ends) + _DAY_MS,
            )


def _day_ms(text: str) -> int:
    return _ms(datetime.combine(date.fromisoformat(text), datetime.min.time(), UTC))


def _ms(moment: datetime) -> int:
    return (moment - datetime.fromtimestamp(0, UTC)) // timedelta(milliseconds=1)
