"""Reading directives: those of this node, and the status tree of one."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from sqlalchemy import Connection, Row, or_, select

from yidao.node.affairs.desk import Desk
from yidao.node.affairs.directives import records
from yidao.node.affairs.directives.rules import Directive, State
from yidao.node.affairs.directives.views import directive, directive_link, directive_target
from yidao.node.affairs.errors import DirectiveUnknown

#: The state that a node's own directive shows at the issuer.
ISSUED = "issued"
#: What a directive shows whose last day is over, unless it was completed before.
EXPIRED = "expired"
_MAX_LISTED = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class DirectiveRow:
    """A directive and this node's state in it: `issued` at the issuer; `expired` at its end."""

    directive: str
    issuer: str
    state: str
    content: Directive


def list_directives(conn: Connection, desk: Desk) -> tuple[DirectiveRow, ...]:
    """Give the directives that this node issued or is a target of, newest first, at most 1,000."""
    mine, table = directive_target.c, directive.c
    rows = conn.execute(
        select(directive, mine.state)
        .select_from(
            directive.outerjoin(
                directive_target,
                (mine.object_id == table.object_id) & (mine.path == str(desk.path)),
            )
        )
        .where(or_(table.issuer == desk.identity.node_id, mine.state.is_not(None)))
        .order_by(table.position.desc())
        .limit(_MAX_LISTED)
    )
    return tuple(_listed(row, desk.today()) for row in rows)


def _listed(row: Row[Any], today: date) -> DirectiveRow:
    content = records.decode_directive(bytes(row.core))
    state = row.state or ISSUED
    if content.is_expired(today) and state != State.COMPLETED.value:
        state = EXPIRED
    return DirectiveRow(
        directive=row.object_id, issuer=row.issuer_path, state=state, content=content
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class TreeNode:
    """One target's state and, below it, the targets that it passed the directive on to."""

    path: str
    directive: str
    state: str
    actor: str
    percent: int
    note: str
    passed_on: tuple["TreeNode", ...]


def status_tree(conn: Connection, object_id: str) -> tuple[TreeNode, ...]:
    """Give the status tree of a directive.

    Raises:
        DirectiveUnknown: It is not known here.
    """
    links = _links(conn, object_id)
    targets = _targets(conn, [object_id, *(child for each in links.values() for child in each)])
    if object_id not in targets:
        raise DirectiveUnknown(directive=object_id[:256])
    return _branch(object_id, targets, links)


def _links(conn: Connection, object_id: str) -> dict[tuple[str, str], list[str]]:
    """Give the directives that pass on this one, directly or not, by parent and passing path.

    A target lies strictly below its issuer, so a chain is at most as long as
    the tree is deep and comes back to no directive that it has passed.
    """
    table = directive_link.c
    links: dict[tuple[str, str], list[str]] = defaultdict(list)
    seen, fresh = {object_id}, {object_id}
    while fresh:
        found = conn.execute(
            select(table.parent, table.child, table.path)
            .where(table.parent.in_(fresh))
            .order_by(table.position)
        ).all()
        fresh = set()
        for parent, child, path in found:
            if child in seen:
                continue
            links[parent, path].append(child)
            fresh.add(child)
        seen |= fresh
    return links


def _targets(conn: Connection, object_ids: Sequence[str]) -> dict[str, list[Row[Any]]]:
    table = directive_target.c
    targets: dict[str, list[Row[Any]]] = defaultdict(list)
    query = select(directive_target).where(table.object_id.in_(object_ids)).order_by(table.path)
    for row in conn.execute(query):
        targets[row.object_id].append(row)
    return targets


def _branch(
    object_id: str,
    targets: Mapping[str, Sequence[Row[Any]]],
    links: Mapping[tuple[str, str], Sequence[str]],
) -> tuple[TreeNode, ...]:
    return tuple(
        TreeNode(
            path=row.path,
            directive=object_id,
            state=row.state,
            actor=row.actor,
            percent=row.percent,
            note=row.note,
            passed_on=tuple(
                node
                for child in links.get((object_id, row.path), ())
                for node in _branch(child, targets, links)
            ),
        )
        for row in targets.get(object_id, ())
    )
