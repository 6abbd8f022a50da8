"""Accounts: who adds and changes them, and their passwords."""

import re
import unicodedata
from collections.abc import Callable
from typing import Final

from yidao.node.access import passwords
from yidao.node.access.accounts import (
    Account,
    Profile,
    end_sessions,
    former_hashes,
    list_accounts,
    read_account,
    write_password,
    write_profile,
    write_tries,
)
from yidao.node.access.actors import RESERVED_USERS, is_unit, is_user
from yidao.node.access.audit import Event, Note
from yidao.node.access.auditor import Auditor
from yidao.node.access.caller import LOCAL_USER, Caller
from yidao.node.access.errors import (
    AccessError,
    PermissionDenied,
    SessionEnded,
    UserInvalid,
    UserUnknown,
)
from yidao.node.access.lockout import Tries
from yidao.node.access.passwords import Hasher
from yidao.node.access.roles import Permission, check_unit, is_administrator
from yidao.node.access.sessions import Sessions
from yidao.node.store.store import Store
from yidao.node.store.transaction import Tx

_SALT_BYTES: Final = 16
_TITLE: Final = re.compile(
    r"[^\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]{0,64}"
)


def check_profile(profile: Profile) -> None:
    """Say whether a user may be like this. Pure.

    Raises:
        UserInvalid: A name, title or unit is not well formed, or the name is reserved.
        RolesExclusive: A filler of one institution is more than that.
    """
    name = profile.name
    # Names that look alike must be alike: `ｌｉ` is no other person than `li`.
    if not is_user(name) or name in RESERVED_USERS or unicodedata.normalize("NFKC", name) != name:
        raise UserInvalid(field="name")
    if _TITLE.fullmatch(profile.title) is None:
        raise UserInvalid(field="title")
    if profile.unit and not is_unit(profile.unit):
        raise UserInvalid(field="unit")
    check_unit(profile.roles, profile.unit)


def check_put(
    caller: Caller, held: Profile | None, wanted: Profile, *, resets_password: bool
) -> None:
    """Say whether a caller may make a user be like this. Pure.

    1. The machine's own account may.
    2. Accounts of administrators are its matter alone, before and after the change.
    3. Nobody changes their own account, whatever their role.
    4. To add, to title, to disable and to reset a password takes the system administrator.
    5. To give roles and an institution takes the security administrator.

    Raises:
        PermissionDenied: The caller may not.
    """
    if caller.is_local:  # 1
        return
    if is_administrator(wanted.roles) or (held and is_administrator(held.roles)):  # 2
        raise PermissionDenied(needed=LOCAL_USER)
    if wanted.name == caller.user:  # 3
        raise PermissionDenied(needed="another")
    was = held or Profile(name=wanted.name)
    account = (was.title, was.disabled) != (wanted.title, wanted.disabled)
    if held is None or account or resets_password:  # 4
        _demand(caller, Permission.ACCESS_USERS)
    if (was.roles, was.unit) != (wanted.roles, wanted.unit):  # 5
        _demand(caller, Permission.ACCESS_ROLES)


def _demand(caller: Caller, permission: Permission) -> None:
    if not caller.may(permission):
        raise PermissionDenied(needed=permission.value)


class Users:
    """Adds and changes accounts. Safe for threads; what hashes takes long."""

    def __init__(
        self,
        store: Store,
        auditor: Auditor,
        hasher: Hasher,
        sessions: Sessions,
        *,
        clock_ms: Callable[[], int],
        random: Callable[[int], bytes],
    ) -> None:
        self._store = store
        self._auditor = auditor
        self._hasher = hasher
        self._sessions = sessions
        self._clock_ms = clock_ms
        self._random = random

    def all(self) -> tuple[Account, ...]:
        """List all accounts by name."""
        with self._store.read() as conn:
            return list_accounts(conn)

    def get(self, name: str) -> Account | None:
        """Give the account of a name."""
        with self._store.read() as conn:
            return read_account(conn, name)

    def put(self, caller: Caller, profile: Profile, password: str = "") -> Account:
        """Add a user, or change one; what is changed in roles ends their sessions.

        Args:
            caller: Who does it.
            profile: As it shall be.
            password: Required for a new user; must be changed at the first sign-in.

        Raises:
            UserInvalid, RolesExclusive: See `check_profile`.
            PermissionDenied: See `check_put`.
            PasswordWeak, PasswordReused: See `passwords`.
        """
        check_profile(profile)
        with self._store.read() as conn:
            held = read_account(conn, profile.name)
            former = former_hashes(conn, profile.name)
        check_put(caller, _profile_of(held), profile, resets_password=bool(password))
        kept = ""
        if password or held is None:
            passwords.check_password(password, profile.name)
            self._hasher.check_new(password, former)
            kept = self._hasher.hash(password, salt=self._random(_SALT_BYTES))

        def job(tx: Tx) -> Account:
            # Decided again on what stands now: two may change one user at once.
            now = read_account(tx.conn, profile.name)
            check_put(caller, _profile_of(now), profile, resets_password=bool(password))
            return self._write(tx, caller, now, profile, kept)

        return self._store.run(job)

    def unlock(self, caller: Caller, name: str) -> Account:
        """End a lock before its time.

        Raises:
            UserUnknown: There is no such user.
            PermissionDenied: An administrator is unlocked by the machine's account alone.
        """

        def job(tx: Tx) -> Account:
            held = read_account(tx.conn, name) if is_user(name) else None
            if held is None:
                raise UserUnknown(user=name[:64])
            if not caller.is_local and is_administrator(held.profile.roles):
                raise PermissionDenied(needed=LOCAL_USER)
            write_tries(tx.conn, name, Tries())
            self._auditor.write(tx, _note(Event.USER_UNLOCKED, caller, name))
            return _reread(tx, name)

        return self._store.run(job)

    def change_password(self, caller: Caller, old: str, new: str) -> None:
        """Change the password of the caller; their other sessions end.

        Raises:
            SessionEnded: The account that owns the socket has no password.
            SignInRefused, UserLocked: The old one is wrong, which counts as a wrong sign-in.
            PasswordWeak, PasswordReused: The new one is not good enough.
        """
        name = caller.user
        with self._store.read() as conn:
            held = read_account(conn, name)
            former = former_hashes(conn, name)
        if held is None:
            raise SessionEnded
        fits = self._hasher.verify(held.password_hash, old)
        kept = ""
        if fits:
            passwords.check_password(new, name)
            self._hasher.check_new(new, former)
            kept = self._hasher.hash(new, salt=self._random(_SALT_BYTES))

        def job(tx: Tx) -> AccessError | None:
            now = read_account(tx.conn, name)
            if now is None:
                return SessionEnded()
            if locked := self._sessions.locked(tx, name, now.tries, caller.source):
                return locked
            if not fits or now.password_hash != held.password_hash:
                return self._sessions.fail(
                    tx, now, event=Event.PASSWORD_REFUSED, source=caller.source
                )
            write_password(tx.conn, name, kept, must_change=False, now_ms=self._clock_ms())
            end_sessions(tx.conn, name, but=caller.session)
            self._auditor.write(tx, _note(Event.PASSWORD_CHANGED, caller, name))
            return None

        refusal = self._store.run(job)
        if refusal is not None:
            raise refusal

    def _write(
        self, tx: Tx, caller: Caller, held: Account | None, profile: Profile, kept: str
    ) -> Account:
        name, now_ms = profile.name, self._clock_ms()
        was = _profile_of(held)
        if was != profile:
            write_profile(tx.conn, profile, is_new=held is None, now_ms=now_ms)
            event = Event.USER_CHANGED if held else Event.USER_ADDED
            self._auditor.write(tx, _note(event, caller, name, detail=_change(was, profile)))
        if kept:
            write_password(tx.conn, name, kept, must_change=True, now_ms=now_ms)
            if held is not None:
                self._auditor.write(tx, _note(Event.PASSWORD_RESET, caller, name))
        if kept or was is None or _narrows(was, profile):
            end_sessions(tx.conn, name)
        return _reread(tx, name)


def _profile_of(account: Account | None) -> Profile | None:
    return None if account is None else account.profile


def _narrows(was: Profile, profile: Profile) -> bool:
    """Whether what was opened before may be more than what is allowed now."""
    return profile.disabled or (was.roles, was.unit) != (profile.roles, profile.unit)


def _reread(tx: Tx, name: str) -> Account:
    account = read_account(tx.conn, name)
    assert account is not None, "it was written in this transaction"
    return account


def _note(event: Event, caller: Caller, name: str, detail: str = "") -> Note:
    return Note(
        event=event,
        name=caller.user or LOCAL_USER,
        object=f"user/{name}",
        source=caller.source,
        detail=detail,
    )


def _change(was: Profile | None, profile: Profile) -> str:
    """Tell what differs: `roles=filler unit=…`."""
    before, after = _facts(was or Profile(name=profile.name)), _facts(profile)
    return " ".join(f"{key}={after[key]}" for key in after if before[key] != after[key])


def _facts(profile: Profile) -> dict[str, str]:
    return {
        "roles": ",".join(sorted(profile.roles)),
        "unit": profile.unit,
        "disabled": str(profile.disabled).lower(),
        "title": profile.title,
    }
