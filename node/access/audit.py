"""The audit: who did what, when, from where, with what result. GB/T 22239-2019 8.1.4.3.

Every entry is a record of the `local` journal, sealed like any other; nothing here
deletes one. Refusals that are alike within a minute are one entry with a count,
so that guessing passwords cannot fill the disk. An entry never holds a password or
a token, nor a name that no user has: people type passwords into the wrong field.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import orjson
from sqlalchemy import (
    BigInteger,
    Column,
    ColumnElement,
    Connection,
    Index,
    Table,
    Text,
    or_,
    select,
)

from yidao.node.store.records import Reader
from yidao.node.store.tables import metadata
from yidao.node.store.values import Draft, DraftPart, StoredRecord
from yidao.sync.ids import Path

CHANNEL: Final = "local"
DONE: Final = "done"
#: In place of a name that no user has.
NOBODY: Final = "nobody"
DEFAULT_LIMIT: Final = 100
MAX_LIMIT: Final = 1_000
_MAX_POSITION: Final = 2**63 - 1
_NO_SOURCE: Final = re.compile(r"[^0-9A-Za-z.:%_-]")
_MAX_SOURCE_CHARACTERS: Final = 64
_MAX_DETAIL_CHARACTERS: Final = 512


class Event(StrEnum):
    """The kinds of the audit's records."""

    SESSION_OPENED = "access.session.opened"
    SESSION_REFUSED = "access.session.refused"
    SESSION_CLOSED = "access.session.closed"
    SESSION_EXPIRED = "access.session.expired"
    USER_ADDED = "access.user.added"
    USER_CHANGED = "access.user.changed"
    USER_LOCKED = "access.user.locked"
    USER_UNLOCKED = "access.user.unlocked"
    PASSWORD_CHANGED = "access.password.changed"  # noqa: S105 (the name of an event)
    PASSWORD_RESET = "access.password.reset"  # noqa: S105 (the name of an event)
    PASSWORD_REFUSED = "access.password.refused"  # noqa: S105 (the name of an event)
    KEY_REGISTERED = "access.key.registered"
    KEY_REMOVED = "access.key.removed"
    TOKEN_GIVEN = "access.token.given"  # noqa: S105 (the name of an event)
    TOKEN_REVOKED = "access.token.revoked"  # noqa: S105 (the name of an event)
    REQUEST_MADE = "access.request.made"
    REQUEST_APPROVED = "access.request.approved"
    REQUEST_REFUSED = "access.request.refused"
    REQUEST_SPENT = "access.request.spent"
    POLICY_SET = "access.policy.set"
    MODE_STATED = "access.mode.stated"
    FIELDS_SHOWN = "access.fields.shown"
    CALL_DONE = "access.call.done"
    CALL_REFUSED = "access.call.refused"


audit_entry = Table(
    "audit_entry",
    metadata,
    Column("position", BigInteger, primary_key=True, autoincrement=False),
    Column("at_ms", BigInteger, nullable=False),
    Column("event", Text, nullable=False),
    # The name alone of who did it; `local` for the account that owns the socket.
    Column("name", Text, nullable=False),
    Column("actor", Text, nullable=False),
    # `user/li`, `call/ReportingService/Submit`.
    Column("object", Text, nullable=False),
    Column("source", Text, nullable=False),
    Column("result", Text, nullable=False),
    Column("times", BigInteger, nullable=False),
    Column("detail", Text, nullable=False),
    Index("ix_audit_entry_name", "name", "position"),
    Index("ix_audit_entry_object", "object", "position"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """What an entry says, but for time and place.

    Attributes:
        name: Who did it: a user, `local` or `nobody`.
        object: What it was done to: `user/li`, `call/ReportingService/Submit`.
        source: Where from; made harmless when it is written.
        result: `done` or an error code.
        detail: What was changed; never a secret.
        policy: The policy that is set, as `fields.encode` writes it.
    """

    event: Event
    name: str
    object: str
    source: str
    result: str = DONE
    detail: str = ""
    policy: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One line of the audit, see `audit_entry`."""

    position: int
    at_ms: int
    event: str
    actor: str
    object: str
    source: str
    result: str
    times: int
    detail: str


def clean_source(source: str) -> str:
    """Keep what an address or a host's name is made of, at most 64 characters."""
    return _NO_SOURCE.sub("", source)[:_MAX_SOURCE_CHARACTERS]


def draft_of(note: Note, *, times: int, record_id: bytes, path: Path, now_ms: int) -> Draft:
    """Make the record of an entry."""
    core = {
        "source": clean_source(note.source),
        "result": note.result,
        "times": times,
        "detail": note.detail[:_MAX_DETAIL_CHARACTERS],
    }
    if note.policy:
        core["policy"] = note.policy
    return Draft(
        record_id=record_id,
        kind=note.event.value,
        actor=f"{note.name}@{path}",
        object_id=note.object,
        object_version=1,
        created_ms=now_ms,
        parts=(
            DraftPart(name="core", body=orjson.dumps(core, option=orjson.OPT_SORT_KEYS), reach=0),
        ),
    )


class AuditProjector:
    """Folds this node's own entries into `audit_entry`."""

    name = "access.audit"
    tables: tuple[Table, ...] = (audit_entry,)

    def fold(self, conn: Connection, records: Sequence[StoredRecord], reader: Reader) -> None:
        """Fold a batch; only the `local` journal of this node holds entries."""
        kinds = set(Event)
        rows = [
            _row(record)
            for record in records
            if record.header.kind in kinds
            and record.journal.channel == CHANNEL
            and record.journal.node_id == reader.own.node_id
        ]
        if rows:
            conn.execute(audit_entry.insert(), rows)


def _row(record: StoredRecord) -> dict[str, object]:
    # Only `draft_of` writes into this journal under these kinds.
    core = orjson.loads(record.parts["core"])
    header = record.header
    return {
        "position": record.position,
        "at_ms": header.created_ms,
        "event": header.kind,
        "name": header.actor.partition("@")[0],
        "actor": header.actor,
        "object": header.object_id,
        "source": core["source"],
        "result": core["result"],
        "times": core["times"],
        "detail": core["detail"],
    }


def list_entries(
    conn: Connection, *, before: int, limit: int, user: str, event: str
) -> tuple[Entry, ...]:
    """List entries, newest first.

    Args:
        conn: A snapshot of the views.
        before: Only those at lower positions; 0 for the newest.
        limit: Default 100, at most 1,000.
        user: Only what this user did, or was done to them.
        event: Only this event, or those that begin with it.
    """
    table = audit_entry.c
    wanted: list[ColumnElement[bool]] = []
    if before:
        wanted.append(table.position < min(before, _MAX_POSITION))
    if user:
        wanted.append(or_(table.name == user, table.object == f"user/{user}"))
    if event:
        wanted.append(table.event.startswith(event, autoescape=True))
    rows = conn.execute(
        select(audit_entry)
        .where(*wanted)
        .order_by(table.position.desc())
        .limit(min(limit or DEFAULT_LIMIT, MAX_LIMIT))
    )
    return tuple(
        Entry(
            position=row.position,
            at_ms=row.at_ms,
            event=row.event,
            actor=row.actor,
            object=row.object,
            source=row.source,
            result=row.result,
            times=row.times,
            detail=row.detail,
        )
        for row in rows
    )
