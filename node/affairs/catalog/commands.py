"""Issuing codes, and taking an entry from its draft to publication and to its end."""

from dataclasses import dataclass, replace

from sqlalchemy import Connection, select

from yidao.catalog.drafting import resource_of_form
from yidao.catalog.errors import ClassCodeInvalid, ResourceInvalid
from yidao.catalog.faults import Fault
from yidao.catalog.resource import Resource, ShareType, encode_resource
from yidao.catalog.resourcecheck import check_class, check_resource, resource_code, split_code
from yidao.node.affairs.catalog import copies, records, rules
from yidao.node.affairs.catalog.errors import EntryElsewhere, EntryUnknown
from yidao.node.affairs.catalog.queries import Entry, find_copy, find_entry
from yidao.node.affairs.catalog.rules import Step
from yidao.node.affairs.catalog.tables import catalog_sequence
from yidao.node.affairs.cores import encode_core
from yidao.node.affairs.desk import Desk, Placed
from yidao.node.affairs.errors import UnitUnknown
from yidao.node.affairs.registry.queries import find_unit
from yidao.node.affairs.standards.queries import packs_in_force
from yidao.node.store.transaction import Tx
from yidao.node.store.values import Draft, DraftPart, Ticket


@dataclass(frozen=True, slots=True, kw_only=True)
class Drafted:
    """A working copy as it was saved, and what it lacks before it can be submitted."""

    code: str
    version: int
    faults: tuple[Fault, ...]
    placed: Placed


def issue_code(desk: Desk, actor: str, class_code: str) -> tuple[str, Placed]:
    """Take the next free resource code of a class at this node.

    Raises:
        ClassCodeInvalid: It is no class code, or its numbers are used up.
        ActorInvalid, ActorElsewhere: The actor may not act here.
    """
    author = str(desk.authorise(actor))
    check_class(class_code)
    with desk.deciding():
        with desk.read() as conn:
            code = _next_code(conn, class_code)
        placed = _append(desk, author, records.CODE_ISSUED, code, 1, encode_core({}))
    return code, placed


def save_draft(desk: Desk, actor: str, resource: Resource) -> Drafted:
    """Save a working copy; without a code, under the next free one of its class.

    What it lacks is told and does not hinder: a draft may be unfinished.

    Raises:
        ClassCodeInvalid: Neither a resource code nor a class code is well formed.
        ResourceMalformed: It is over the limit of a record's part.
        EntryElsewhere: Another node owns the code.
        EntryStateWrong: The copy has been submitted; send it back first.
        ActorInvalid, ActorElsewhere: The actor may not act here.
    """
    author = str(desk.authorise(actor))
    with desk.deciding():
        with desk.read() as conn:
            if not resource.code:
                class_code = check_class(resource.class_code)
                resource = replace(resource, code=_next_code(conn, class_code))
            elif split_code(resource.code) is None:
                raise ClassCodeInvalid(field="code")
            entry, copy = _own(conn, desk, resource.code)
        standing = copy or entry
        rules.evolve(None if standing is None else standing.state, Step.DRAFT)
        version = 1 if entry is None else entry.version + 1
        body = encode_resource(resource)
        kind = records.kind_of(Step.DRAFT)
        placed = _append(desk, author, kind, resource.code, version, body)
    faults = check_resource(_dated(desk, resource))
    return Drafted(code=resource.code, version=version, faults=faults, placed=placed)


def draft_from_form(  # noqa: PLR0913 (what a form does not say, each by name)
    desk: Desk,
    actor: str,
    pack: str,
    form: str,
    *,
    class_code: str,
    unit: str,
    title: str = "",
    share_type: ShareType = ShareType.CONDITIONAL,
    share_text: str = "",
) -> Drafted:
    """Save a working copy made from a form of a pack in force today, for a unit.

    Raises:
        PackUnknown, PackNotInForce, FormUnknown: There is no such form today.
        UnitUnknown: The unit is not registered here.
        YidaoError: As `save_draft`.
    """
    with desk.read() as conn:
        standard = packs_in_force(conn).in_force(pack, desk.today())
        provider = find_unit(conn, unit)
    if provider is None:
        raise UnitUnknown(unit=unit[:64])
    resource = resource_of_form(
        standard,
        form,
        class_code=class_code,
        provider_name=provider.name,
        provider_uscc=unit,
        region_code=provider.region_code,
        title=title,
        share_type=share_type,
        share_text=share_text,
    )
    return save_draft(desk, actor, resource)


def take_step(desk: Desk, actor: str, code: str, step: Step, reason: str = "") -> Placed:
    """Submit, review, send back, publish or withdraw. Returns once it shows here.

    Raises:
        EntryUnknown: There is no such working copy, or entry to withdraw.
        EntryElsewhere: Another node owns the code.
        EntryStateWrong: The step does not follow on the present state.
        EntryReviewerSame: Who submitted reviews.
        ResourceInvalid: What is submitted lacks something.
        ReasonMissing, ReasonTooLong: See `rules.check_reason`.
        ActorInvalid, ActorElsewhere: The actor may not act here.
    """
    author = str(desk.authorise(actor))
    rules.check_reason(step, reason)
    with desk.deciding():
        with desk.read() as conn:
            entry, copy = _own(conn, desk, code)
            submitter = copies.submitter(conn, code)
        # An entry stands beside its next version: one is withdrawn, the other goes on.
        standing = (entry or copy) if step is Step.WITHDRAW else (copy or entry)
        if standing is None:
            raise EntryUnknown(resource=code[:64])
        rules.evolve(standing.state, step)
        body = records.Reason(reason=reason).encode()
        if step is Step.SUBMIT:
            _check(desk, standing.resource)
        elif step is Step.REVIEW:
            rules.check_reviewer(author, submitter, code)
        elif step is Step.PUBLISH:
            body = encode_resource(_dated(desk, standing.resource))
        return _append(
            desk,
            author,
            records.kind_of(step),
            code,
            standing.version,
            body,
            records.channel_of(step),
        )


def _own(conn: Connection, desk: Desk, code: str) -> tuple[Entry | None, Entry | None]:
    """Give entry and working copy of a code that no other node owns."""
    entry = find_entry(conn, code)
    if entry is not None and entry.owner != desk.identity.node_id:
        raise EntryElsewhere(resource=code, path=str(entry.owner_path))
    return entry, find_copy(conn, desk, code)


def _next_code(conn: Connection, class_code: str) -> str:
    table = catalog_sequence.c
    last = conn.execute(select(table.last).where(table.class_code == class_code)).scalar()
    return resource_code(class_code, (last or 0) + 1)


def _dated(desk: Desk, resource: Resource) -> Resource:
    """Give the day of publication where the office names none."""
    return resource if resource.issued else replace(resource, issued=desk.today().isoformat())


def _check(desk: Desk, resource: Resource) -> None:
    faults = check_resource(_dated(desk, resource))
    if faults:
        raise ResourceInvalid(resource=resource.code, faults=len(faults), first=faults[0].field)


def _append(
    desk: Desk,
    author: str,
    kind: str,
    code: str,
    version: int,
    body: bytes,
    channel: str = records.LOCAL_CHANNEL,
) -> Placed:
    draft = Draft(
        record_id=desk.mint(),
        kind=kind,
        actor=author,
        object_id=records.object_of(code),
        object_version=version,
        created_ms=desk.clock_ms(),
        parts=(DraftPart(name="core", body=body),),
    )

    def job(tx: Tx) -> list[Ticket]:
        return tx.append(channel, [draft])

    [ticket] = desk.store.run(job)
    desk.settle(ticket.position)
    return Placed(position=ticket.position, record_id=draft.record_id)
