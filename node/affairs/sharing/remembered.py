"""What stands in for a node that does not answer: its last answer, or what it has sent up."""

import threading
from collections import OrderedDict
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, select

from yidao.node.affairs.reporting.records import UP_CHANNEL
from yidao.node.affairs.sharing.rows import Found, evaluate
from yidao.node.affairs.sharing.targets import Target
from yidao.node.store.tables import journal, segment

MAX_ANSWERS: Final = 64
MAX_CELLS: Final = 20_000

HELD: Final = "held"
REMEMBERED: Final = "remembered"


@dataclass(frozen=True, slots=True, kw_only=True)
class Older:
    """Older figures of a node.

    Attributes:
        cached: `held` (what the node has sent up) or `remembered` (its last answer).
        as_of_ms: Unix milliseconds of the state that they show.
    """

    found: Found
    cached: str
    as_of_ms: int
    resource: str


class LastAnswers:
    """The last complete answer to each of the newest questions, in bounded room."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._answers: OrderedDict[tuple[str, bytes, str], Older] = OrderedDict()

    def keep(self, target: Target, purpose: str, found: Found, as_of_ms: int, code: str) -> None:
        """Keep an answer, unless it is large."""
        cells = (len(found.rows) + len(found.groups)) * max(len(found.columns), 1)
        if cells > MAX_CELLS:
            return
        older = Older(found=found, cached=REMEMBERED, as_of_ms=as_of_ms, resource=code)
        with self._lock:
            self._answers.pop(_key(target, purpose), None)
            self._answers[_key(target, purpose)] = older
            if len(self._answers) > MAX_ANSWERS:
                self._answers.popitem(last=False)

    def drop(self, target: Target, purpose: str) -> None:
        """Forget an answer that its owner would not give any more."""
        with self._lock:
            self._answers.pop(_key(target, purpose), None)

    def find(self, target: Target, purpose: str) -> Older | None:
        """Give the last answer to the same question for the same purpose."""
        with self._lock:
            return self._answers.get(_key(target, purpose))


def _key(target: Target, purpose: str) -> tuple[str, bytes, str]:
    return str(target.path), target.question.encode(), purpose


def held_rows(conn: Connection, target: Target) -> Older | None:
    """Answer from the rows of the node that are here: those that were accepted and released.

    Masks and limits are those of the resource; None if nothing came from the
    node, or this node's catalog does not know the resource.
    """
    offer = target.offer
    if offer is None or not offer.pack:
        return None
    as_of_ms = _heard_ms(conn, offer.owner)
    if as_of_ms is None:
        return None
    found = evaluate(conn, target.question, offer, abandoned=lambda: False)
    return Older(found=found, cached=HELD, as_of_ms=as_of_ms, resource=offer.code)


def _heard_ms(conn: Connection, owner: bytes) -> int | None:
    """Give when the newest returns of a node were stored here."""
    journals = conn.execute(
        select(journal.c.id).where(journal.c.node_id == owner, journal.c.channel == UP_CHANNEL)
    ).scalars()
    newest = [
        conn.execute(
            select(segment.c.stored_ms)
            .where(segment.c.journal_id == journal_pk)
            .order_by(segment.c.first_seq.desc())
            .limit(1)
        ).scalar()
        for journal_pk in journals
    ]
    return max((each for each in newest if each is not None), default=None)
