"""The owner's answers: decide, evaluate, write down who asked what, then give the pages."""

import functools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from sqlalchemy import Connection

from yidao.api.errors import YidaoError
from yidao.catalog.selection.pages import write_pages
from yidao.catalog.selection.question import RowsQuestion
from yidao.node.access.fieldpolicy import FieldPolicy
from yidao.node.access.fields import Asker
from yidao.node.affairs.desk import Desk
from yidao.node.affairs.sharing import records
from yidao.node.affairs.sharing.errors import AnswerAbandoned, ResourceUnknown
from yidao.node.affairs.sharing.offers import Shelf
from yidao.node.affairs.sharing.records import Answered
from yidao.node.affairs.sharing.rows import Found, evaluate, forms_of
from yidao.node.affairs.sharing.rules import Offer, decide
from yidao.node.store.values import Draft, DraftPart
from yidao.sync.errors import QueryReplayed
from yidao.sync.ids import NodeId, Path
from yidao.sync.query import Asked

#: As the question is kept in the record about it.
_KEPT_CHARACTERS = 4_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """A question for this node's rows, from elsewhere or from here.

    Attributes:
        asker, asker_path: The node that asks; this node for its own users.
        actor: For whom.
        args: The question as it was signed.
        abandoned: Tells whether nobody waits any more.
        reader: Who reads, as far as it decides on fields.
    """

    query_id: bytes
    asker: NodeId
    asker_path: Path
    actor: str
    purpose: str
    args: bytes
    abandoned: Callable[[], bool]
    reader: Asker = field(default_factory=Asker)

    @classmethod
    def of(cls, asked: Asked) -> "Wanted":
        """Take a question that came over a link and was checked."""
        question = asked.question
        return cls(
            query_id=question.query_id,
            asker=question.asker,
            asker_path=asked.asker_path,
            actor=question.actor,
            purpose=question.purpose,
            args=question.args,
            abandoned=asked.cancelled,
            reader=Asker.above(asked.asker_path, question.purpose),
        )


class Answers:
    """Answers questions for rows of this node's own resources. Called in threads."""

    def __init__(self, desk: Desk, shelf: Shelf, fields: FieldPolicy) -> None:
        self._desk = desk
        self._fields = fields
        self._shelf = shelf

    def answer(self, asked: Wanted) -> Iterator[bytes]:
        """Give the pages of an answer, or the error that the asker is told.

        The whole answer is formed, which bounds it; the record about it is
        durable; then the first page goes.

        Raises:
            QueryReplayed: The question was answered before.
            QuestionInvalid, ColumnUnknown, ColumnMasked, ColumnTypeWrong,
            GroupsTooMany, NumberOverflow: The question cannot be answered.
            ResourceUnknown, and what `rules.decide` raises: It is not given.
        """
        record_id = records.record_id_of(asked.asker, asked.query_id)
        if self._desk.store.lookup(record_id) is not None:
            raise QueryReplayed
        note = functools.partial(
            Answered,
            asker=str(asked.asker_path),
            actor=asked.actor,
            purpose=asked.purpose,
            question=asked.args.decode(errors="replace")[:_KEPT_CHARACTERS],
        )
        try:
            question = RowsQuestion.decode(asked.args)
            offer, found, pages = self._form(question, asked)
        except AnswerAbandoned:
            raise
        except YidaoError as error:
            self._write_down(asked, record_id, note(resource="", outcome=error.code))
            raise
        answered = note(
            resource=offer.code,
            outcome="answered",
            columns=tuple(each.name for each in found.columns),
            masked=tuple(each.name for each in found.columns if each.masked),
            rows=len(found.rows) or len(found.groups),
            size_bytes=sum(map(len, pages)),
        )
        self._write_down(asked, record_id, answered)
        yield from pages

    def _form(
        self, question: RowsQuestion, asked: Wanted
    ) -> tuple[Offer, Found, tuple[bytes, ...]]:
        desk = self._desk
        as_of_ms = desk.clock_ms()
        with desk.read() as conn:
            offer = self._offer(conn, question)
            stays_local = bool(offer.pack) and any(
                form.stays_local for form in forms_of(conn, offer.pack, offer.form)
            )
            decide(
                offer,
                own=desk.path,
                asker=asked.asker_path,
                purpose=asked.purpose,
                stays_local=stays_local,
            )
            found = evaluate(
                conn,
                question,
                offer,
                abandoned=asked.abandoned,
                judge=self._fields.reader(asked.reader).outcome,
            )
        pages = write_pages(
            resource=offer.code,
            as_of_ms=as_of_ms,
            cut=found.cut,
            columns=found.columns,
            rows=found.rows,
            groups=found.groups,
        )
        return offer, found, tuple(pages)

    def _offer(self, conn: Connection, question: RowsQuestion) -> Offer:
        """Give this node's own resource that a question is about."""
        desk = self._desk
        if question.resource:
            found = self._shelf.offer(conn, question.resource)
            offers = tuple(each for each in (found,) if each is not None)
        else:
            offers = self._shelf.offers(
                conn, under=desk.path, pack=question.pack, form=question.form
            )
        own = [each for each in offers if each.owner == desk.identity.node_id]
        if not own:
            name = question.resource or f"{question.pack}/{question.form}"
            raise ResourceUnknown(resource=name)
        return own[0]

    def _write_down(self, asked: Wanted, record_id: bytes, answered: Answered) -> None:
        desk = self._desk
        draft = Draft(
            record_id=record_id,
            kind=records.ANSWERED,
            actor=str(desk.system),
            object_id=records.object_of(asked.asker, asked.query_id),
            object_version=1,
            created_ms=desk.clock_ms(),
            parts=(DraftPart(name="core", body=answered.encode()),),
        )
        desk.store.run(lambda tx: tx.append(records.LOCAL_CHANNEL, [draft]))
