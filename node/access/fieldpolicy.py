"""The policy on fields as it is kept: set by a record, folded into a table, asked by readers."""

from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Final

import orjson
from sqlalchemy import BigInteger, Column, Connection, Table, Text, select

from yidao.catalog.masks import Outcome
from yidao.node.access import fields
from yidao.node.access.audit import CHANNEL, Event, Note
from yidao.node.access.auditor import Auditor
from yidao.node.access.caller import LOCAL_USER, Caller
from yidao.node.access.fields import BUILT_IN, Asker, FieldRule
from yidao.node.store.records import Reader
from yidao.node.store.store import Store
from yidao.node.store.tables import metadata
from yidao.node.store.values import StoredRecord

field_policy = Table(
    "field_policy",
    metadata,
    Column("position", BigInteger, primary_key=True, autoincrement=False),
    Column("at_ms", BigInteger, nullable=False),
    Column("actor", Text, nullable=False),
    # As `fields.encode` writes it.
    Column("rules", Text, nullable=False),
)
_OBJECT: Final = "policy/fields"


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """What is in force, and who set it when; nobody while the built-in one holds."""

    rules: tuple[FieldRule, ...] = BUILT_IN
    set_by: str = ""
    set_ms: int = 0


class PolicyProjector:
    """Folds this node's own policies into `field_policy`."""

    name = "access.fields"
    tables: tuple[Table, ...] = (field_policy,)

    def fold(self, conn: Connection, records: Sequence[StoredRecord], reader: Reader) -> None:
        """Fold a batch; only the `local` journal of this node holds policies."""
        for record in records:
            if (
                record.header.kind == Event.POLICY_SET
                and record.journal.channel == CHANNEL
                and record.journal.node_id == reader.own.node_id
            ):
                conn.execute(
                    field_policy.insert().values(
                        position=record.position,
                        at_ms=record.header.created_ms,
                        actor=record.header.actor,
                        rules=orjson.loads(record.parts["core"])["policy"],
                    )
                )


class FieldPolicy:
    """Keeps the policy, and gives readers. Safe for threads."""

    def __init__(self, store: Store, auditor: Auditor) -> None:
        self._store = store
        self._auditor = auditor
        self.projector = PolicyProjector()

    def current(self) -> Policy:
        """Give the policy in force."""
        newest = select(field_policy).order_by(field_policy.c.position.desc()).limit(1)
        with self._store.read() as conn:
            row = conn.execute(newest).one_or_none()
        if row is None:
            return Policy()
        return Policy(rules=fields.decode(row.rules), set_by=row.actor, set_ms=row.at_ms)

    def set(self, caller: Caller, rules: Sequence[FieldRule]) -> Policy:
        """Set the policy; it holds when this returns.

        Raises:
            PolicyInvalid: See `fields.check_policy`.
        """
        fields.check_policy(rules)
        note = Note(
            event=Event.POLICY_SET,
            name=caller.user or LOCAL_USER,
            object=_OBJECT,
            source=caller.source,
            detail=f"lines={len(rules)}",
            policy=fields.encode(rules),
        )
        self._store.run(lambda tx: self._auditor.write(tx, note))
        self._store.applied(self._store.last_position()).result()
        return self.current()

    def reader(self, asker: Asker) -> "FieldReader":
        """Give what decides for one call, by the policy as it stands now."""
        return FieldReader(self.current().rules, asker)

    def shown(self, caller: Caller, call: str, reader: "FieldReader") -> "Future[None] | None":
        """Write down what a call shows of sensitive fields; None where that is nothing.

        Answer only once the future is done.
        """
        if not reader.top_grade:
            return None
        return self._auditor.done(
            Note(
                event=Event.FIELDS_SHOWN,
                name=caller.user or LOCAL_USER,
                object=f"call/{call}",
                source=caller.source,
                detail=f"grade={reader.top_grade} purpose={caller.purpose}",
            )
        )


class FieldReader:
    """Decides for one call, and remembers the highest grade that it let through.

    Attributes:
        top_grade: Of what was shown by the policy; 0 if nothing from grade 3 on was.
    """

    def __init__(self, rules: Sequence[FieldRule], asker: Asker) -> None:
        self._rules = rules
        self._asker = asker
        self.top_grade = 0

    @property
    def sees_all(self) -> bool:
        """Whether nothing needs to be looked at."""
        return self._asker.sees_all

    def outcome(self, grade: int, *, unit: str = "", author: str = "") -> Outcome:
        """Decide on a field, see `fields.decide`."""
        asker = self._asker
        found = fields.decide(self._rules, asker, grade, unit=unit, author=author)
        is_by_policy = grade >= fields.SENSITIVE and not asker.sees_all
        if found is Outcome.SHOW and is_by_policy and not asker.wrote(unit, author):
            self.top_grade = max(self.top_grade, grade)
        return found
