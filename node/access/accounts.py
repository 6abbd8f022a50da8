"""Accounts as values, and their rows."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, delete, func, insert, select, update

from yidao.node.access.lockout import Tries
from yidao.node.access.passwords import HISTORY, LIFE_DAYS
from yidao.node.access.roles import Role
from yidao.node.access.tables import access_session, account, password_history

_DAY_MS = 86_400_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """What an administrator says of a user.

    Attributes:
        unit: The institution that a filler fills for; empty for the office itself.
    """

    name: str
    title: str = ""
    roles: frozenset[Role] = frozenset()
    unit: str = ""
    disabled: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """A user of this node; the hash stands in no `repr`."""

    profile: Profile
    password_hash: str
    password_set_ms: int
    must_change_password: bool
    tries: Tries
    last_sign_in_ms: int

    @property
    def password_due_ms(self) -> int:
        """From when on the password should be changed."""
        return self.password_set_ms + LIFE_DAYS * _DAY_MS

    def __repr__(self) -> str:
        return f"Account({self.profile.name!r})"


def read_account(conn: Connection, name: str) -> Account | None:
    """Read the account of a name."""
    row = conn.execute(select(account).where(account.c.name == name)).one_or_none()
    return None if row is None else _account(row)


def list_accounts(conn: Connection) -> tuple[Account, ...]:
    """Read all accounts by name."""
    return tuple(_account(row) for row in conn.execute(select(account).order_by(account.c.name)))


def write_profile(conn: Connection, profile: Profile, *, is_new: bool, now_ms: int) -> None:
    """Add an account without a password, or change what is said of one."""
    said = {
        "title": profile.title,
        "roles": " ".join(sorted(profile.roles)),
        "unit": profile.unit,
        "disabled": profile.disabled,
    }
    if not is_new:
        conn.execute(update(account).where(account.c.name == profile.name).values(said))
        return
    fresh = {
        "password_hash": "",
        "password_set_ms": now_ms,
        "must_change_password": True,
        "failures": 0,
        "locked_until_ms": 0,
        "last_sign_in_ms": 0,
        "created_ms": now_ms,
    }
    conn.execute(insert(account).values(name=profile.name, **said, **fresh))


def write_password(
    conn: Connection, name: str, kept: str, *, must_change: bool, now_ms: int
) -> None:
    """Set a password and remember it among the user's last ones."""
    conn.execute(
        update(account)
        .where(account.c.name == name)
        .values(password_hash=kept, password_set_ms=now_ms, must_change_password=must_change)
    )
    history = password_history.c
    last = conn.execute(select(func.max(history.number)).where(history.name == name)).scalar() or 0
    conn.execute(insert(password_history).values(name=name, number=last + 1, password_hash=kept))
    conn.execute(
        delete(password_history).where(history.name == name, history.number <= last + 1 - HISTORY)
    )


def rewrite_hash(conn: Connection, name: str, former: str, kept: str) -> None:
    """Keep the same password under a hash with today's parameters."""
    for table in (account, password_history):
        conn.execute(
            update(table)
            .where(table.c.name == name, table.c.password_hash == former)
            .values(password_hash=kept)
        )


def former_hashes(conn: Connection, name: str) -> tuple[str, ...]:
    """Read the hashes of a user's last passwords, the present one too."""
    history = password_history.c
    return tuple(conn.execute(select(history.password_hash).where(history.name == name)).scalars())


def write_tries(conn: Connection, name: str, tries: Tries) -> None:
    """Write down the wrong passwords in a row."""
    conn.execute(
        update(account)
        .where(account.c.name == name)
        .values(failures=tries.failures, locked_until_ms=tries.locked_until_ms)
    )


def write_sign_in(conn: Connection, name: str, now_ms: int) -> None:
    """Write down that a user has signed in; earlier failures are forgotten."""
    conn.execute(
        update(account)
        .where(account.c.name == name)
        .values(failures=0, locked_until_ms=0, last_sign_in_ms=now_ms)
    )


def end_sessions(conn: Connection, name: str, *, but: bytes = b"") -> None:
    """End a user's sessions, all but one."""
    table = access_session.c
    conn.execute(delete(access_session).where(table.name == name, table.token_sha256 != but))


def _account(row: Row[Any]) -> Account:
    return Account(
        profile=Profile(
            name=row.name,
            title=row.title,
            roles=frozenset(Role(each) for each in row.roles.split()),
            unit=row.unit,
            disabled=row.disabled,
        ),
        password_hash=row.password_hash,
        password_set_ms=row.password_set_ms,
        must_change_password=row.must_change_password,
        tries=Tries(failures=row.failures, locked_until_ms=row.locked_until_ms),
        last_sign_in_ms=row.last_sign_in_ms,
    )
