"""Tokens of programs: what one may do, in whose name, for how long, from where, how often.

A program acts in the name of a user of this node, who answers for it. At each call it
may what its token says and its user may at that moment: a user who is disabled or
loses a role takes it from the program at once. A token is 256 random bits, told once and
kept as SHA-256.
"""

import hashlib
import ipaddress
import re
import threading
from base64 import urlsafe_b64encode
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Row, insert, select, update

from yidao.node.access.accounts import Account, read_account
from yidao.node.access.actors import is_unit, is_user
from yidao.node.access.audit import Event, Note, clean_source
from yidao.node.access.auditor import Auditor
from yidao.node.access.caller import LOCAL_USER, Caller
from yidao.node.access.errors import (
    PermissionDenied,
    SessionEnded,
    TokenExpired,
    TokenInvalid,
    TokenRate,
    TokenRevoked,
    TokenSource,
    TokenTooWide,
    TokenUnknown,
    UserUnknown,
)
from yidao.node.access.roles import GRANTABLE, Permission, permissions_of
from yidao.node.access.tables import access_token
from yidao.node.store.store import Store
from yidao.node.store.transaction import Tx
from yidao.sync.errors import PathInvalid
from yidao.sync.ids import Path

#: What a program's token begins with: it tells it from a session's, and scanners find it.
PREFIX: Final = "yidao_"
TOKEN_BYTES: Final = 32
MAX_DAYS: Final = 365
MAX_CALLS_PER_MINUTE: Final = 60_000
CALLS_PER_MINUTE: Final = 600
#: Of each list of a token.
MAX_CHOICES: Final = 64
_ID_BYTES: Final = 8
_DAY_MS: Final = 86_400_000
_MINUTE_MS: Final = 60_000
_MAX_COUNTED: Final = 4_096
_MAX_LISTED: Final = 1_000
_FORM: Final = re.compile(r"[a-z][a-z0-9_-]{0,63}/[a-z][a-z0-9_-]{0,63}")
_TITLE: Final = re.compile(
    r"[^\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]{0,64}"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """What a token allows; empty lists allow all that its user may.

    Attributes:
        user: In whose name the program acts.
        forms: `pack/form`.
        paths: Places that live questions may be about, each with what is below.
        source: An address or a network; empty for any.
    """

    user: str
    title: str = ""
    permissions: frozenset[Permission]
    units: frozenset[str] = frozenset()
    forms: frozenset[str] = frozenset()
    paths: tuple[Path, ...] = ()
    source: str = ""
    calls_per_minute: int = CALLS_PER_MINUTE


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """A token that was given; not its secret."""

    token_id: str
    grant: Grant
    given_by: str
    made_ms: int
    expires_ms: int
    revoked_ms: int
    used_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """A fresh token; its secret is nowhere else, and stands in no `repr`."""

    secret: str
    token: Token

    def __repr__(self) -> str:
        return f"Given({self.token!r})"


def read_permissions(names: list[str]) -> frozenset[Permission]:
    """Read permissions by their names.

    Raises:
        TokenInvalid: None, or one that there is not.
        TokenTooWide: One that no program may have.
    """
    try:
        found = frozenset(Permission(name) for name in names)
    except ValueError:
        raise TokenInvalid(field="permissions") from None
    if not found:
        raise TokenInvalid(field="permissions")
    if not found <= GRANTABLE:
        raise TokenTooWide(what=" ".join(sorted(found - GRANTABLE)))
    return found


def read_paths(texts: list[str]) -> tuple[Path, ...]:
    """Read places.

    Raises:
        TokenInvalid: One is no path.
    """
    try:
        return tuple(sorted({Path.parse(each) for each in texts}, key=str))
    except PathInvalid:
        raise TokenInvalid(field="paths") from None


def check_grant(grant: Grant, days: int) -> None:
    """Say whether a token may be like this. Pure.

    Raises:
        TokenInvalid: A field is not well formed, or it would live for more than a year.
    """
    wrong = {
        "title": _TITLE.fullmatch(grant.title) is None,
        "units": not all(is_unit(each) for each in grant.units),
        "forms": not all(_FORM.fullmatch(each) for each in grant.forms),
        "source": bool(grant.source) and not _is_network(grant.source),
        "calls_per_minute": not 1 <= grant.calls_per_minute <= MAX_CALLS_PER_MINUTE,
        "days": not 1 <= days <= MAX_DAYS,
    }
    wrong |= {
        name: wrong.get(name, False) or len(values) > MAX_CHOICES
        for name, values in (
            ("units", grant.units),
            ("forms", grant.forms),
            ("paths", grant.paths),
        )
    }
    for field, is_wrong in wrong.items():
        if is_wrong:
            raise TokenInvalid(field=field)


def check_ceiling(grant: Grant, account: Account) -> None:
    """Say whether a user may be acted for like this. Pure.

    Raises:
        TokenTooWide: It would allow more than the user may.
    """
    profile = account.profile
    more = grant.permissions - permissions_of(profile.roles)
    if more:
        raise TokenTooWide(what=" ".join(sorted(more)))
    if profile.unit and grant.units - {profile.unit}:
        raise TokenTooWide(what="units")


class Tokens:
    """Gives, finds and ends tokens. Safe for threads."""

    def __init__(
        self,
        store: Store,
        auditor: Auditor,
        *,
        clock_ms: Callable[[], int],
        random: Callable[[int], bytes],
    ) -> None:
        self._store = store
        self._auditor = auditor
        self._clock_ms = clock_ms
        self._random = random
        self._pace = Pace()

    def give(self, caller: Caller, grant: Grant, days: int) -> Given:
        """Give a token. Who gives no roles gives their own alone.

        Raises:
            TokenInvalid: See `check_grant`.
            TokenTooWide: See `check_ceiling`.
            UserUnknown: Nobody of that name is here, or they are disabled.
            PermissionDenied: It is for somebody else.
        """
        check_grant(grant, days)
        if grant.user != caller.user and not caller.may(Permission.ACCESS_ROLES):
            raise PermissionDenied(needed=Permission.ACCESS_ROLES.value)
        secret = PREFIX + urlsafe_b64encode(self._random(TOKEN_BYTES)).decode().rstrip("=")
        token_id = self._random(_ID_BYTES).hex()

        def job(tx: Tx) -> Token:
            account = read_account(tx.conn, grant.user) if is_user(grant.user) else None
            if account is None or account.profile.disabled:
                raise UserUnknown(user=grant.user[:64])
            check_ceiling(grant, account)
            now_ms = self._clock_ms()
            tx.conn.execute(
                insert(access_token).values(
                    token_id=token_id,
                    token_sha256=digest_of(secret),
                    **_columns(grant),
                    given_by=caller.user or LOCAL_USER,
                    made_ms=now_ms,
                    expires_ms=now_ms + days * _DAY_MS,
                    revoked_ms=0,
                    used_ms=0,
                )
            )
            self._auditor.write(
                tx, _note(Event.TOKEN_GIVEN, caller, token_id, f"{told(grant)} days={days}")
            )
            return _reread(tx, token_id)

        return Given(secret=secret, token=self._store.run(job))

    def list(self, caller: Caller) -> tuple[Token, ...]:
        """List tokens, newest first: all for who gives roles or reads the audit, else their own."""
        table = access_token.c
        query = select(access_token).order_by(table.made_ms.desc(), table.token_id)
        if not (caller.may(Permission.ACCESS_ROLES) or caller.may(Permission.ACCESS_AUDIT)):
            query = query.where(table.name == caller.user)
        with self._store.read() as conn:
            return tuple(_token(row) for row in conn.execute(query.limit(_MAX_LISTED)))

    def revoke(self, caller: Caller, token_id: str) -> Token:
        """End a token, one's own or, for who gives roles, any.

        Raises:
            TokenUnknown: There is none of that id, or it is somebody else's: the same answer.
        """

        def job(tx: Tx) -> Token:
            table = access_token.c
            row = tx.conn.execute(
                select(access_token).where(table.token_id == token_id[:64])
            ).one_or_none()
            is_theirs = row is not None and row.name == caller.user
            if row is None or not (is_theirs or caller.may(Permission.ACCESS_ROLES)):
                raise TokenUnknown(id=token_id[:64])
            if not row.revoked_ms:
                tx.conn.execute(
                    update(access_token)
                    .where(table.token_id == token_id)
                    .values(revoked_ms=self._clock_ms())
                )
                self._auditor.write(
                    tx, _note(Event.TOKEN_REVOKED, caller, token_id, f"user={row.name}")
                )
            return _reread(tx, token_id)

        return self._store.run(job)

    def caller(self, secret: str, *, source: str = "", counted: bool = True) -> Caller:
        """Give who shows a token, as its user may be acted for now.

        Args:
            secret: As it was given.
            source: Where from.
            counted: It is a call of its own, and not a stream that goes on.

        Raises:
            SessionEnded: No such token was given, or its user is gone or disabled.
            TokenRevoked, TokenExpired, TokenSource, TokenRate: As said.
        """
        digest = digest_of(secret)
        with self._store.read() as conn:
            row = conn.execute(
                select(access_token).where(access_token.c.token_sha256 == digest)
            ).one_or_none()
            account = read_account(conn, row.name) if row is not None else None
        if row is None or account is None or account.profile.disabled:
            raise SessionEnded
        token, now_ms = _token(row), self._clock_ms()
        self._check(token, clean_source(source), now_ms, counted=counted)
        if now_ms - token.used_ms >= _MINUTE_MS:
            self._store.submit(lambda tx: _touch(tx, token.token_id, now_ms))
        grant, profile = token.grant, account.profile
        return Caller(
            user=grant.user,
            actor=f"{grant.user}@{self._store.identity.path}",
            permissions=grant.permissions & permissions_of(profile.roles),
            units=_narrower(grant.units, profile.unit),
            forms=grant.forms,
            paths=grant.paths,
            source=clean_source(source) or LOCAL_USER,
            session=digest,
            token_id=token.token_id,
        )

    def _check(self, token: Token, source: str, now_ms: int, *, counted: bool) -> None:
        if token.revoked_ms:
            raise TokenRevoked(id=token.token_id)
        if not token.made_ms <= now_ms < token.expires_ms:
            raise TokenExpired(id=token.token_id)
        if token.grant.source and not _is_from(source, token.grant.source):
            raise TokenSource(id=token.token_id)
        limit = token.grant.calls_per_minute
        if counted and not self._pace.allows(token.token_id, limit, now_ms):
            raise TokenRate(id=token.token_id, limit=limit)


class Pace:
    """Counts calls, a minute each. Safe for threads; a start of the node begins anew."""

    def __init__(self) -> None:
        self._counts: OrderedDict[str, tuple[int, int]] = OrderedDict()
        self._lock = threading.Lock()

    def allows(self, key: str, limit: int, now_ms: int) -> bool:
        """Count a call; whether it is within the limit of its minute."""
        with self._lock:
            began_ms, count = self._counts.pop(key, (now_ms, 0))
            if not 0 <= now_ms - began_ms < _MINUTE_MS:
                began_ms, count = now_ms, 0
            self._counts[key] = (began_ms, count + 1)
            while len(self._counts) > _MAX_COUNTED:
                self._counts.popitem(last=False)
            return count < limit


def digest_of(secret: str) -> bytes:
    """Give what is kept of a token."""
    return hashlib.sha256(secret.encode()).digest()


def told(grant: Grant) -> str:
    """Write a grant for the audit and for who approves it."""
    pieces = [f"user={grant.user}", f"permissions={','.join(sorted(grant.permissions))}"]
    for name, values in (("units", grant.units), ("forms", grant.forms)):
        if values:
            pieces.append(f"{name}={','.join(sorted(values))}")
    if grant.paths:
        pieces.append(f"paths={','.join(map(str, grant.paths))}")
    if grant.source:
        pieces.append(f"source={grant.source}")
    return " ".join(pieces)


def _narrower(units: frozenset[str], own: str) -> frozenset[str]:
    """What of the token's institutions its user may still see; nobody's if none is left."""
    if not own:
        return units
    return frozenset({own}) if own in units or not units else frozenset({"-"})


def _is_network(text: str) -> bool:
    try:
        ipaddress.ip_network(text)
    except ValueError:
        return text == LOCAL_USER
    return True


def _is_from(source: str, wanted: str) -> bool:
    if wanted == LOCAL_USER:
        return source in ("", LOCAL_USER)
    try:
        return ipaddress.ip_address(source) in ipaddress.ip_network(wanted)
    except ValueError:
        return False


def _columns(grant: Grant) -> dict[str, object]:
    return {
        "name": grant.user,
        "title": grant.title,
        "permissions": " ".join(sorted(grant.permissions)),
        "units": " ".join(sorted(grant.units)),
        "forms": " ".join(sorted(grant.forms)),
        "paths": " ".join(map(str, grant.paths)),
        "source": grant.source,
        "calls_per_minute": grant.calls_per_minute,
    }


def _token(row: Row[Any]) -> Token:
    return Token(
        token_id=row.token_id,
        grant=Grant(
            user=row.name,
            title=row.title,
            permissions=frozenset(Permission(each) for each in row.permissions.split()),
            units=frozenset(row.units.split()),
            forms=frozenset(row.forms.split()),
            paths=tuple(Path.parse(each) for each in row.paths.split()),
            source=row.source,
            calls_per_minute=row.calls_per_minute,
        ),
        given_by=row.given_by,
        made_ms=row.made_ms,
        expires_ms=row.expires_ms,
        revoked_ms=row.revoked_ms,
        used_ms=row.used_ms,
    )


def _reread(tx: Tx, token_id: str) -> Token:
    return _token(
        tx.conn.execute(select(access_token).where(access_token.c.token_id == token_id)).one()
    )


def _touch(tx: Tx, token_id: str, now_ms: int) -> None:
    table = access_token.c
    tx.conn.execute(
        update(access_token)
        .where(table.token_id == token_id, table.used_ms < now_ms)
        .values(used_ms=now_ms)
    )


def _note(event: Event, caller: Caller, token_id: str, detail: str) -> Note:
    return Note(
        event=event,
        name=caller.user or LOCAL_USER,
        object=f"token/{token_id}",
        source=caller.source,
        detail=detail,
    )
