"""Accounts: who adds and changes them, and their passwords."""

import re
import unicodedata
from collections.abc import Callable
from typing import Final

import orjson
from sqlalchemy import Connection

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
from yidao.node.access.calls import POWERS
from yidao.node.access.errors import (
    AccessError,
    ApproverSame,
    PermissionDenied,
    SessionEnded,
    SignKeyInvalid,
    SignKeyRegistered,
    UserInvalid,
    UserUnknown,
)
from yidao.node.access.keys import check_key, delete_key, holders, read_key, write_key
from yidao.node.access.lockout import Tries
from yidao.node.access.pairs import Matter, Pairs
from yidao.node.access.passwords import Hasher
from yidao.node.access.roles import (
    ADMINISTRATORS,
    Permission,
    Role,
    check_unit,
    is_administrator,
)
from yidao.node.access.sessions import Proof, Sessions
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
    caller: Caller,
    held: Profile | None,
    wanted: Profile,
    *,
    resets_password: bool,
    by_two: bool = False,
    standing: frozenset[Role] = ADMINISTRATORS,
) -> None:
    """Say whether a caller may make a user be like this. Pure.

    1. The machine's own account may, where it may do everything.
    2. Where it is an operator it makes the first administrator of each kind, and
       nobody else: as long as none who is not disabled is there.
    3. Accounts of administrators, before and after the change, are changed where two do it
       together (`takes_two`), and nowhere else.
    4. Nobody changes their own account, whatever their role.
    5. To add, to title, to disable and to reset a password takes the system administrator.
    6. To give roles and an institution takes the security administrator.

    Args:
        caller: Who does it.
        held: As the user is; None if new.
        wanted: As they shall be.
        resets_password: A password is set too.
        by_two: Another administrator has to approve it.
        standing: Of which kinds there are administrators who are not disabled.

    Raises:
        PermissionDenied: The caller may not.
    """
    if caller.is_whole:  # 1
        return
    if caller.is_local:  # 2
        is_first = is_administrator(wanted.roles) and standing.isdisjoint(wanted.roles)
        if held is not None or not is_first:
            raise PermissionDenied(needed=Role.SECURITY_ADMIN.value)
        _demand(caller, Permission.ACCESS_BOOTSTRAP)
        return
    if takes_two(caller, held, wanted) and not by_two:  # 3
        raise PermissionDenied(needed=LOCAL_USER)
    if wanted.name == caller.user:  # 4
        raise PermissionDenied(needed="another")
    was = held or Profile(name=wanted.name)
    account = (was.title, was.disabled) != (wanted.title, wanted.disabled)
    if held is None or account or resets_password:  # 5
        _demand(caller, Permission.ACCESS_USERS)
    if (was.roles, was.unit) != (wanted.roles, wanted.unit):  # 6
        _demand(caller, Permission.ACCESS_ROLES)


def takes_two(caller: Caller, held: Profile | None, wanted: Profile) -> bool:
    """Whether a change concerns an administrator, before or after it. Pure.

    The first of each kind come from the machine's account, when there is nobody to approve.
    """
    concerned = is_administrator(wanted.roles) or (held and is_administrator(held.roles))
    return bool(concerned) and not caller.is_local


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
        pairs: Pairs,
        *,
        clock_ms: Callable[[], int],
        random: Callable[[int], bytes],
    ) -> None:
        self._store = store
        self._auditor = auditor
        self._hasher = hasher
        self._sessions = sessions
        self._pairs = pairs
        self._clock_ms = clock_ms
        self._random = random

    def all(self) -> tuple[Account, ...]:
        """List all accounts by name."""
        with self._store.read() as conn:
            return list_accounts(conn)

    def with_keys(self) -> frozenset[str]:
        """Give the names of those who have a key."""
        with self._store.read() as conn:
            return holders(conn)

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
            ApprovalNeeded: It concerns an administrator, and nobody has approved it.
            PasswordWeak, PasswordReused: See `passwords`.
        """
        check_profile(profile)
        with self._store.read() as conn:
            held = read_account(conn, profile.name)
            former = former_hashes(conn, profile.name)
            standing = _standing(conn)
        was = _profile_of(held)
        resets = bool(password)
        check_put(
            caller,
            was,
            profile,
            resets_password=resets,
            by_two=self._pairs.is_on,
            standing=standing,
        )
        kept = ""
        if password or held is None:
            passwords.check_password(password, profile.name)
            self._hasher.check_new(password, former)
            kept = self._hasher.hash(password, salt=self._random(_SALT_BYTES))
        if takes_two(caller, was, profile):
            self._pairs.demand(caller, _matter(was, profile, resets_password=resets))

        def job(tx: Tx) -> Account:
            # Decided again on what stands now: two may change one user at once.
            now = read_account(tx.conn, profile.name)
            if _profile_of(now) != was and takes_two(caller, _profile_of(now), profile):
                raise PermissionDenied(needed="another")
            check_put(
                caller,
                _profile_of(now),
                profile,
                resets_password=resets,
                by_two=self._pairs.is_on,
                standing=_standing(tx.conn),
            )
            return self._write(tx, caller, now, profile, kept)

        return self._store.run(job)

    def unlock(self, caller: Caller, name: str) -> Account:
        """End a lock before its time.

        Raises:
            UserUnknown: There is no such user.
            ApproverSame: An administrator is unlocked by another one.
        """

        def job(tx: Tx) -> Account:
            held = read_account(tx.conn, name) if is_user(name) else None
            if held is None:
                raise UserUnknown(user=name[:64])
            if caller.user == name:
                raise ApproverSame(user=name)
            write_tries(tx.conn, name, Tries())
            self._auditor.write(tx, _note(Event.USER_UNLOCKED, caller, name))
            return _reread(tx, name)

        return self._store.run(job)

    def register_key(self, caller: Caller, public_key: bytes, proof: Proof) -> None:
        """Register the key of the caller; their other sessions end.

        Raises:
            SessionEnded: The account that owns the socket has no key, a program neither.
            SignKeyInvalid: No key, or it did not sign this node's challenge for the caller.
            SignKeyRegistered: There is one.
        """
        name = caller.user
        if caller.is_local or caller.token_id:
            raise SessionEnded
        check_key(public_key)
        challenges = self._sessions.challenges
        if not challenges.take(proof.challenge, name, public_key, proof.signature):
            raise SignKeyInvalid

        def job(tx: Tx) -> None:
            if read_key(tx.conn, name) is not None:
                raise SignKeyRegistered
            write_key(tx.conn, name, public_key, self._clock_ms())
            end_sessions(tx.conn, name, but=caller.session)
            detail = f"ed25519={public_key.hex()}"
            self._auditor.write(tx, _note(Event.KEY_REGISTERED, caller, name, detail=detail))

        self._store.run(job)

    def remove_key(self, caller: Caller, name: str) -> None:
        """Forget the key of another one, who has lost it; their sessions end.

        Raises:
            UserUnknown: Nobody of that name is here, or they have no key.
            ApproverSame: Nobody removes their own.
        """
        if caller.user == name:
            raise ApproverSame(user=name)

        def job(tx: Tx) -> None:
            if not is_user(name) or not delete_key(tx.conn, name):
                raise UserUnknown(user=name[:64])
            end_sessions(tx.conn, name)
            self._auditor.write(tx, _note(Event.KEY_REMOVED, caller, name))

        self._store.run(job)

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


def _standing(conn: Connection) -> frozenset[Role]:
    """Give of which kinds there are administrators who are not disabled."""
    profiles = [account.profile for account in list_accounts(conn)]
    held = frozenset[Role]().union(*(each.roles for each in profiles if not each.disabled))
    return held & ADMINISTRATORS


def _matter(was: Profile | None, profile: Profile, *, resets_password: bool) -> Matter:
    shown = {"name": profile.name, "new": was is None, "resets_password": resets_password}
    return Matter(
        call="AccessService/PutUser",
        shown=orjson.dumps(shown | {"change": _change(was, profile)}).decode(),
        approvers=POWERS,
        about=profile.name,
    )


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
