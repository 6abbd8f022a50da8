"""Sessions: opened by a password, shown by a token, ended by idling, age or sign-out."""

import hashlib
import threading
from base64 import urlsafe_b64encode
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, delete, insert, or_, select, update

from yidao.node.access.accounts import (
    Account,
    read_account,
    rewrite_hash,
    write_sign_in,
    write_tries,
)
from yidao.node.access.actors import is_unit, is_user
from yidao.node.access.audit import DONE, NOBODY, Event, Note, clean_source
from yidao.node.access.auditor import Auditor
from yidao.node.access.caller import Caller
from yidao.node.access.errors import (
    AccessError,
    SessionEnded,
    SignInRefused,
    UnitForeign,
    UserLocked,
)
from yidao.node.access.keys import Challenges, read_key
from yidao.node.access.lockout import Strangers, Tries
from yidao.node.access.passwords import Hasher
from yidao.node.access.roles import is_administrator, permissions_of
from yidao.node.access.tables import access_session
from yidao.node.store.store import Store
from yidao.node.store.transaction import Tx

TOKEN_BYTES: Final = 32
#: However busy, a session ends after so long: a working day and its evening.
LIFE_MS: Final = 12 * 3_600_000
#: Of one user; the oldest ends when another is opened.
MAX_SESSIONS: Final = 8
_SALT_BYTES: Final = 16
# A call moves `seen_ms` at most so often: reading must not cost an fsync each.
_TOUCH_MS: Final = 60_000
# Of a user without one: nothing is signed by it.
_NO_KEY: Final = bytes(32)


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """A challenge of this node and a key's signature over its text."""

    challenge: str
    signature: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """A fresh session; its token is nowhere else, and stands in no `repr`."""

    token: str
    account: Account
    idle_seconds: int

    def __repr__(self) -> str:
        return f"Opened({self.account!r})"


class Sessions:
    """Opens, finds and ends sessions. Safe for threads; `open` hashes and so takes long.

    Args:
        keys_due: Administrators do nothing before they have a key.

    Attributes:
        challenges: What a user with a key signs.
    """

    def __init__(
        self,
        store: Store,
        auditor: Auditor,
        hasher: Hasher,
        *,
        idle_seconds: int,
        keys_due: bool,
        clock_ms: Callable[[], int],
        random: Callable[[int], bytes],
    ) -> None:
        self._store = store
        self._auditor = auditor
        self._hasher = hasher
        self._idle_seconds = idle_seconds
        self._keys_due = keys_due
        identity = store.identity
        self.challenges = Challenges(
            identity.network, identity.node_id, clock_ms=clock_ms, random=random
        )
        self._clock_ms = clock_ms
        self._random = random
        self._strangers = Strangers()
        self._lock = threading.Lock()

    def open(
        self,
        name: str,
        password: str,
        *,
        unit: str = "",
        source: str = "",
        proof: Proof | None = None,
    ) -> Opened:
        """Open a session.

        1. The password is hashed, whoever it is for and whether locked or not; where the
           user has a key, its signature is checked, and a wrong one is a wrong password.
        2. The verdict is given in the writer, where tries are counted one after the other.
        3. What was decided is durable, the refusal too, before it is told.

        Raises:
            SignInRefused: No such user, a wrong password, a wrong or missing signature of
                a user who has a key, or a disabled account.
            UserLocked: Too many tries, also for the right password or no user.
            UnitForeign: The user fills for another institution.
        """
        if not is_user(name):
            name = ""
        with self._store.read() as conn:
            seen = read_account(conn, name)
            key = read_key(conn, name)
        kept = seen.password_hash if seen else None
        fits = self._hasher.verify(kept, password)  # 1
        # Taken whatever the password was: a challenge is good for one try.
        signed = proof is not None and self.challenges.take(
            proof.challenge, name, key or _NO_KEY, proof.signature
        )
        token = urlsafe_b64encode(self._random(TOKEN_BYTES)).decode().rstrip("=")
        fresh = kept
        if kept and fits and self._hasher.is_dated(kept):
            fresh = self._hasher.hash(password, salt=self._random(_SALT_BYTES))
        wanted = _Wanted(
            name=name,
            kept=kept,
            fresh=fresh,
            fits=fits and (key is None or signed),
            key=key,
            unit=unit,
            source=clean_source(source),
            token_sha256=digest_of(token),
        )
        verdict = self._store.run(lambda tx: self._judge(tx, wanted))  # 2, 3
        if isinstance(verdict, AccessError):
            raise verdict
        return Opened(token=token, account=verdict, idle_seconds=self._idle_seconds)

    def caller(self, token: str, *, source: str = "") -> Caller:
        """Give who shows a token.

        Raises:
            SessionEnded: Nobody: it was never given out, is signed out, idle or too old.
        """
        digest = digest_of(token)
        table = access_session.c
        with self._store.read() as conn:
            row = conn.execute(
                select(access_session).where(table.token_sha256 == digest)
            ).one_or_none()
            account = read_account(conn, row.name) if row else None
            owes_key = account is not None and self._owes_key(conn, account)
        if row is None or account is None or account.profile.disabled:
            raise SessionEnded
        where = clean_source(source) or row.source
        now_ms = self._clock_ms()
        if self._is_over(row.opened_ms, row.seen_ms, now_ms):
            self._store.run(lambda tx: self._expire(tx, digest, row.name, where))
            raise SessionEnded
        if now_ms - row.seen_ms >= _TOUCH_MS:
            self._store.submit(lambda tx: _touch(tx, digest, now_ms))
        return Caller(
            user=row.name,
            actor=f"{row.name}@{self._store.identity.path}",
            roles=account.profile.roles,
            permissions=permissions_of(account.profile.roles),
            units=frozenset(each for each in (account.profile.unit or row.unit,) if each),
            source=where,
            session=digest,
            must_change_password=account.must_change_password,
            must_register_key=owes_key,
        )

    def close(self, caller: Caller) -> None:
        """End the caller's session."""

        def job(tx: Tx) -> None:
            tx.conn.execute(
                delete(access_session).where(access_session.c.token_sha256 == caller.session)
            )
            self._auditor.write(
                tx, _note(Event.SESSION_CLOSED, caller.user, caller.user, caller.source, DONE)
            )

        self._store.run(job)

    def fail(self, tx: Tx, account: Account, *, event: Event, source: str) -> AccessError:
        """Count a wrong password of a user, and give what to tell."""
        name, now_ms = account.profile.name, self._clock_ms()
        tries = account.tries.failed(now_ms)
        write_tries(tx.conn, name, tries)
        self._refuse(tx, _note(event, name, name, source, SignInRefused.code))
        if tries.minutes_left(now_ms):
            self._auditor.write(tx, _note(Event.USER_LOCKED, name, name, source, UserLocked.code))
        return SignInRefused()

    def locked(self, tx: Tx, name: str, tries: Tries, source: str) -> UserLocked | None:
        """Give what to tell of a locked name, or None."""
        minutes = tries.minutes_left(self._clock_ms())
        if not minutes:
            return None
        self._refuse(tx, _note(Event.SESSION_REFUSED, name, name, source, UserLocked.code))
        return UserLocked(minutes=minutes)

    def _judge(self, tx: Tx, wanted: "_Wanted") -> Account | AccessError:
        account = read_account(tx.conn, wanted.name)
        if account is None:
            return self._judge_stranger(tx, wanted)
        name = account.profile.name
        if (locked := self.locked(tx, name, account.tries, wanted.source)) is not None:
            return locked
        # A password that was changed since it was looked at was not the one that fitted.
        fits = wanted.fits and account.password_hash == wanted.kept
        # So it is with a key.
        fits = fits and read_key(tx.conn, name) == wanted.key
        if not fits or account.profile.disabled:
            return self.fail(tx, account, event=Event.SESSION_REFUSED, source=wanted.source)
        if wanted.unit and not _opens(wanted.unit, account.profile.unit):
            note = _note(Event.SESSION_REFUSED, name, name, wanted.source, UnitForeign.code)
            self._refuse(tx, note)
            return UnitForeign(unit=wanted.unit[:64])
        self._admit(tx, account, wanted)
        return account

    def _judge_stranger(self, tx: Tx, wanted: "_Wanted") -> AccessError:
        """Treat a name that nobody has as if somebody had it."""
        now_ms = self._clock_ms()
        with self._lock:
            tries = self._strangers.of(wanted.name)
            if not tries.minutes_left(now_ms):
                self._strangers.failed(wanted.name, now_ms)
        if (locked := self.locked(tx, NOBODY, tries, wanted.source)) is not None:
            return locked
        note = _note(Event.SESSION_REFUSED, NOBODY, NOBODY, wanted.source, SignInRefused.code)
        self._refuse(tx, note)
        return SignInRefused()

    def _admit(self, tx: Tx, account: Account, wanted: "_Wanted") -> None:
        name, now_ms = account.profile.name, self._clock_ms()
        write_sign_in(tx.conn, name, now_ms)
        if wanted.fresh != wanted.kept:
            assert wanted.kept
            assert wanted.fresh
            rewrite_hash(tx.conn, name, wanted.kept, wanted.fresh)
        self._make_room(tx, name, now_ms)
        tx.conn.execute(
            insert(access_session).values(
                token_sha256=wanted.token_sha256,
                name=name,
                unit=wanted.unit,
                source=wanted.source,
                opened_ms=now_ms,
                seen_ms=now_ms,
            )
        )
        self._auditor.write(tx, _note(Event.SESSION_OPENED, name, name, wanted.source, DONE))

    def _make_room(self, tx: Tx, name: str, now_ms: int) -> None:
        """Forget sessions that are over, and the oldest of a user who has too many."""
        table = access_session.c
        tx.conn.execute(
            delete(access_session).where(
                or_(
                    table.opened_ms <= now_ms - LIFE_MS,
                    table.seen_ms <= now_ms - self._idle_seconds * 1_000,
                    table.seen_ms >= now_ms + self._idle_seconds * 1_000,
                )
            )
        )
        surplus = (
            select(table.token_sha256)
            .where(table.name == name)
            .order_by(table.opened_ms.desc())
            .offset(MAX_SESSIONS - 1)
        )
        tokens = [bytes(each) for each in tx.conn.execute(surplus).scalars()]
        if tokens:
            tx.conn.execute(delete(access_session).where(table.token_sha256.in_(tokens)))

    def _owes_key(self, conn: Connection, account: Account) -> bool:
        profile = account.profile
        is_due = self._keys_due and is_administrator(profile.roles)
        return is_due and read_key(conn, profile.name) is None

    def _is_over(self, opened_ms: int, seen_ms: int, now_ms: int) -> bool:
        # Seen in the future: by a clock that was ahead, and would never idle until then.
        return now_ms - opened_ms >= LIFE_MS or abs(now_ms - seen_ms) >= self._idle_seconds * 1_000

    def _expire(self, tx: Tx, digest: bytes, name: str, source: str) -> None:
        gone = tx.conn.execute(
            delete(access_session).where(access_session.c.token_sha256 == digest)
        )
        if gone.rowcount:
            self._auditor.write(
                tx, _note(Event.SESSION_EXPIRED, name, name, source, SessionEnded.code)
            )

    def _refuse(self, tx: Tx, note: Note) -> None:
        if times := self._auditor.counted(note):
            self._auditor.write(tx, note, times=times)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Wanted:
    """A try to sign in, with the hash and the key that it was compared with."""

    name: str
    kept: str | None
    fresh: str | None
    fits: bool
    key: bytes | None
    unit: str
    source: str
    token_sha256: bytes


def _opens(wanted: str, own: str) -> bool:
    """Whether the desk of an institution is open to who fills for `own`, or for all."""
    return is_unit(wanted) and own in ("", wanted)


def digest_of(token: str) -> bytes:
    """Give what is kept of a token."""
    return hashlib.sha256(token.encode()).digest()


def _touch(tx: Tx, digest: bytes, now_ms: int) -> None:
    table = access_session.c
    tx.conn.execute(
        update(access_session)
        .where(table.token_sha256 == digest, table.seen_ms < now_ms)
        .values(seen_ms=now_ms)
    )


def _note(event: Event, who: str, whom: str, source: str, result: str) -> Note:
    return Note(event=event, name=who, object=f"user/{whom}", source=source, result=result)
