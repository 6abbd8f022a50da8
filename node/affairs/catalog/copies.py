"""Folds this node's own working copies: drafted, submitted, reviewed, and done with."""

from typing import Any

from sqlalchemy import Connection, Row, delete, select, update

from yidao.catalog.errors import ResourceMalformed
from yidao.catalog.resource import EntryState, decode_resource
from yidao.node.affairs.catalog import records, rules
from yidao.node.affairs.catalog.rules import Step
from yidao.node.affairs.catalog.tables import catalog_copy
from yidao.node.store.values import StoredRecord


def held(conn: Connection, code: str) -> Row[Any] | None:
    """Give the row of a working copy."""
    return conn.execute(select(catalog_copy).where(catalog_copy.c.code == code)).first()


def submitter(conn: Connection, code: str) -> str:
    """Give who submitted a working copy; empty while nobody has."""
    query = select(catalog_copy.c.submitted_by).where(catalog_copy.c.code == code)
    return conn.execute(query).scalar() or ""


def fold(conn: Connection, item: StoredRecord, step: Step, code: str) -> None:
    """Fold one of this node's own records up to publication.

    Raises:
        YidaoError: It is malformed or out of order, and changes nothing.
    """
    if item.journal.channel != records.LOCAL_CHANNEL:
        return
    if step is Step.DRAFT:
        _draft(conn, item, code)
        return
    found = held(conn, code)
    state = rules.evolve(None if found is None else EntryState(found.state), step)
    reason = records.Reason.decode(item.parts.get("core")).reason
    submitted_by = item.header.actor if step is Step.SUBMIT else found.submitted_by if found else ""
    conn.execute(
        update(catalog_copy)
        .where(catalog_copy.c.code == code)
        .values(state=state.value, submitted_by=submitted_by, **_change(item, reason))
    )


def done_with(conn: Connection, code: str) -> None:
    """Drop the working copy that has been published."""
    conn.execute(delete(catalog_copy).where(catalog_copy.c.code == code))


def _draft(conn: Connection, item: StoredRecord, code: str) -> None:
    body = item.parts.get("core", b"")
    if decode_resource(body).code != code:
        raise ResourceMalformed(field="code")
    done_with(conn, code)
    conn.execute(
        catalog_copy.insert(),
        {
            "code": code,
            "state": EntryState.DRAFT.value,
            "version": item.header.object_version,
            "resource": body,
            "submitted_by": "",
            **_change(item, ""),
        },
    )


def _change(item: StoredRecord, reason: str) -> dict[str, Any]:
    return {
        "changed_ms": item.header.created_ms,
        "changed_by": item.header.actor,
        "reason": reason,
        "record_id": item.header.record_id,
        "position": item.position,
    }
