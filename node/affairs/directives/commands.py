"""Issuing a directive, passing one on, and reporting on one."""

from dataclasses import dataclass

from sqlalchemy import Connection, select

from yidao.node.affairs.desk import Desk, Placed
from yidao.node.affairs.directives import records, rules
from yidao.node.affairs.directives.rules import Directive, State, Step
from yidao.node.affairs.directives.views import directive as directives
from yidao.node.affairs.directives.views import directive_target
from yidao.node.affairs.errors import (
    DirectiveExists,
    DirectiveExpired,
    DirectiveFieldInvalid,
    DirectiveNotOurs,
    DirectiveUnknown,
)
from yidao.node.store.transaction import Tx
from yidao.node.store.values import Draft, DraftPart, Ticket
from yidao.sync.record import MAX_PART_BYTES


@dataclass(frozen=True, slots=True, kw_only=True)
class Issued:
    """The directive's object name, and where its record lies."""

    directive: str
    placed: Placed


def issue(desk: Desk, actor: str, directive: Directive) -> Issued:
    """Issue a directive to nodes below; with `parent_directive`, pass that one on.

    The same directive again gives its first place. Returns once it shows here.

    Raises:
        DirectiveFieldInvalid, DirectiveTargetInvalid: See `rules.check_directive`.
        DirectiveExists: The number is used for another text.
        DirectiveUnknown, DirectiveNotOurs: There is no such directive to pass on.
        DirectiveOrderWrong: The directive to pass on is not delivered yet, or completed.
        DirectiveExpired: The last day of the directive to pass on is over.
        ActorInvalid, ActorElsewhere: The actor may not act here.
    """
    author = str(desk.authorise(actor))
    rules.check_directive(directive, desk.path)
    core = records.encode_directive(directive)
    if len(core) > MAX_PART_BYTES:
        raise DirectiveFieldInvalid(field="energy_targets")
    object_id = records.object_of(desk.identity.node_id, directive.number)
    with desk.deciding():
        with desk.read() as conn:
            held = _held(conn, object_id, core, directive.number)
            if held is not None:
                return Issued(directive=object_id, placed=held)
            if directive.parent_directive:
                state = _own_state(conn, desk, directive.parent_directive)
                rules.evolve(state, Step.PASS_ON)
                _check_expiry(conn, desk, directive.parent_directive)
        issued = _draft(desk, author, records.ISSUED, object_id, core)
        passage = None
        if directive.parent_directive:
            passed = records.Passage(child=object_id, targets=directive.targets).encode()
            passage = _draft(desk, author, records.PASSED_ON, directive.parent_directive, passed)
        placed = _append(desk, issued, passage)
    return Issued(directive=object_id, placed=placed)


def report(
    desk: Desk, actor: str, directive: str, state: str, *, percent: int = 0, note: str = ""
) -> Placed:
    """Report this node's state on a directive that names it.

    Raises:
        DirectiveFieldInvalid: See `rules.check_report`.
        DirectiveUnknown, DirectiveNotOurs: There is no such directive for this node.
        DirectiveOrderWrong: The state does not follow on the present one.
        DirectiveExpired: Its last day is over.
        ActorInvalid, ActorElsewhere: The actor may not act here.
    """
    author = str(desk.authorise(actor))
    step = rules.check_report(state, percent, note)
    with desk.deciding():
        with desk.read() as conn:
            rules.evolve(_own_state(conn, desk, directive), step)
            _check_expiry(conn, desk, directive)
        core = records.Report(percent=percent, note=note).encode()
        draft = _draft(desk, author, records.kind_of(step), directive, core)
        return _append(desk, None, draft)


def _draft(desk: Desk, author: str, kind: str, object_id: str, core: bytes) -> Draft:
    return Draft(
        record_id=desk.mint(),
        kind=kind,
        actor=author,
        object_id=object_id,
        object_version=1,
        created_ms=desk.clock_ms(),
        parts=(DraftPart(name="core", body=core),),
    )


def _append(desk: Desk, down: Draft | None, up: Draft | None) -> Placed:
    def job(tx: Tx) -> list[Ticket]:
        tickets = list(tx.append(records.DOWN_CHANNEL, [down])) if down else []
        if up:
            tickets.extend(tx.append(records.UP_CHANNEL, [up]))
        return tickets

    tickets = desk.store.run(job)
    desk.settle(max(ticket.position for ticket in tickets))
    return Placed(position=tickets[0].position, record_id=tickets[0].record_id)


def _held(conn: Connection, object_id: str, core: bytes, number: str) -> Placed | None:
    table = directives.c
    found = conn.execute(
        select(table.core, table.position, table.record_id).where(table.object_id == object_id)
    ).first()
    if found is None:
        return None
    if bytes(found.core) != core:
        raise DirectiveExists(number=number)
    return Placed(position=found.position, record_id=bytes(found.record_id), repeat=True)


def _check_expiry(conn: Connection, desk: Desk, object_id: str) -> None:
    core = conn.execute(select(directives.c.core).where(directives.c.object_id == object_id))
    held = core.scalar()
    if held is not None:
        stated = records.decode_directive(bytes(held))
        if stated.is_expired(desk.today()):
            raise DirectiveExpired(number=stated.number, expires=stated.expires)


def _own_state(conn: Connection, desk: Desk, object_id: str) -> State:
    table = directive_target.c
    targets = select(table.path, table.state).where(table.object_id == object_id)
    states = {row.path: State(row.state) for row in conn.execute(targets)}
    if not states:
        raise DirectiveUnknown(directive=object_id[:256])
    if str(desk.path) not in states:
        raise DirectiveNotOurs(directive=object_id)
    return states[str(desk.path)]
