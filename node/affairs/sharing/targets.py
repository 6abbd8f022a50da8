"""Whom a question goes to: the owners of the resource within the scope that was asked for."""

from dataclasses import dataclass, replace

from sqlalchemy import Connection

from yidao.catalog.selection.question import RowsQuestion
from yidao.node.affairs.sharing.errors import ResourceUnknown, ScopeInvalid
from yidao.node.affairs.sharing.offers import Shelf
from yidao.node.affairs.sharing.rules import Offer
from yidao.sync.ids import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """Where to ask: exactly one node, everything at or below a path, or the resource's owner."""

    of: Path | None = None
    under: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """One node to ask, and what.

    Attributes:
        offer: The resource as this node's catalog knows it; None if it does not.
    """

    path: Path
    question: RowsQuestion
    offer: Offer | None


def targets(
    conn: Connection, shelf: Shelf, own: Path, question: RowsQuestion, scope: Scope
) -> tuple[Target, ...]:
    """Give the nodes to ask, by path, each once for one form and never twice for one row.

    Raises:
        ScopeInvalid: Both places are given, or one that is not here or below.
        ResourceUnknown: Nobody in the scope owns such a resource, as far as is known here.
    """
    for path in (scope.of, scope.under):
        if path is not None and (
            not (path == own or own.is_ancestor_of(path)) or (scope.of and scope.under)
        ):
            raise ScopeInvalid(path=str(path))
    if scope.of is not None:
        return (_at(conn, shelf, question, scope.of),)
    if question.resource and scope.under is None:
        offer = shelf.offer(conn, question.resource)
        if offer is None:
            raise ResourceUnknown(resource=question.resource)
        return (Target(path=offer.owner_path, question=question, offer=offer),)
    found: dict[tuple[bytes, str, str], Target] = {}
    for offer in shelf.offers(
        conn,
        under=scope.under or own,
        code=question.resource,
        pack=question.pack,
        form=question.form,
    ):
        exact = replace(question, resource=offer.code, pack="", form="")
        target = Target(path=offer.owner_path, question=exact, offer=offer)
        # Two resources of one node over one form are the same rows.
        found.setdefault((offer.owner, offer.pack, offer.form), target)
    if not found:
        name = question.resource or f"{question.pack}/{question.form}"
        raise ResourceUnknown(resource=name)
    return tuple(sorted(found.values(), key=lambda each: str(each.path)))


def _at(conn: Connection, shelf: Shelf, question: RowsQuestion, path: Path) -> Target:
    if question.resource:
        offer = shelf.offer(conn, question.resource)
        if offer is not None and offer.owner_path != path:
            offer = None
    else:
        offers = shelf.offers(conn, under=path, pack=question.pack, form=question.form)
        offer = next((each for each in offers if each.owner_path == path), None)
    return Target(path=path, question=question, offer=offer)
