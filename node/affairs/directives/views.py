"""The tables of directives and their projector."""

from collections.abc import Sequence

from sqlalchemy import BigInteger, Column, Connection, LargeBinary, Table, Text, select, update

from yidao.api.errors import YidaoError
from yidao.node.affairs.directives import records, rules
from yidao.node.affairs.errors import DirectiveTargetInvalid
from yidao.node.affairs.paths import Paths
from yidao.node.store.records import Reader
from yidao.node.store.tables import metadata
from yidao.node.store.values import StoredRecord
from yidao.sync.ids import Path

directive = Table(
    "directive",
    metadata,
    Column("object_id", Text, primary_key=True),
    Column("issuer", LargeBinary, nullable=False),
    Column("issuer_path", Text, nullable=False),
    Column("issued_by", Text, nullable=False),
    # The record's core part, see `records.decode_directive`.
    Column("core", LargeBinary, nullable=False),
    Column("record_id", LargeBinary, nullable=False),
    Column("position", BigInteger, nullable=False),
)

# A target's state; also for directives of which only `passed_on` has come here.
directive_target = Table(
    "directive_target",
    metadata,
    Column("object_id", Text, primary_key=True),
    Column("path", Text, primary_key=True),
    Column("state", Text, nullable=False),
    Column("actor", Text, nullable=False),
    Column("percent", BigInteger, nullable=False),
    Column("note", Text, nullable=False),
    # Of the record that brought the state.
    Column("position", BigInteger, nullable=False),
)

# Which target passed a directive on as which directive of its own.
directive_link = Table(
    "directive_link",
    metadata,
    Column("parent", Text, primary_key=True),
    Column("child", Text, primary_key=True),
    Column("path", Text, nullable=False),
    Column("position", BigInteger, nullable=False),
)


class DirectiveProjector:
    """Folds directives of their issuers and reports of their targets; nothing else counts."""

    name = "directives.directive"
    tables: tuple[Table, ...] = (directive, directive_target, directive_link)

    def fold(self, conn: Connection, records_: Sequence[StoredRecord], reader: Reader) -> None:
        """Fold a batch; what is malformed or out of order is passed over."""
        paths = Paths(reader)
        for item in records_:
            kind = item.header.kind
            if not kind.startswith("directives."):
                continue
            path = paths.of(item.header.node_id)
            if path is None:
                continue
            try:
                if kind == records.ISSUED:
                    _issue(conn, item, path)
                elif kind == records.PASSED_ON:
                    _pass_on(conn, item, path)
                elif kind in records.REPORTS:
                    _report(conn, item, path)
            except YidaoError:
                continue


def _issue(conn: Connection, item: StoredRecord, path: Path) -> None:
    header = item.header
    core = item.parts.get("core")
    stated = records.decode_directive(core)
    rules.check_directive(stated, path)
    if core is None or header.object_id != records.object_of(header.node_id, stated.number):
        return
    known = select(directive.c.position).where(directive.c.object_id == header.object_id)
    if conn.execute(known).first() is not None:
        # An issuer states a directive once; a second text under its number is none.
        return
    conn.execute(
        directive.insert(),
        {
            "object_id": header.object_id,
            "issuer": header.node_id,
            "issuer_path": str(path),
            "issued_by": header.actor,
            "core": core,
            "record_id": header.record_id,
            "position": item.position,
        },
    )
    _add_targets(conn, header.object_id, stated.targets, item.position)


def _pass_on(conn: Connection, item: StoredRecord, path: Path) -> None:
    parent = item.header.object_id
    passage = records.Passage.decode(item.parts.get("core"))
    state = _state(conn, parent, path)
    if state is None or records.issuer_of(passage.child) != item.header.node_id:
        return
    rules.evolve(state, rules.Step.PASS_ON)
    for target in passage.targets:
        if not path.is_ancestor_of(Path.parse(target)):
            raise DirectiveTargetInvalid(target=target)
    link = directive_link.c
    known = select(link.path).where(link.parent == parent, link.child == passage.child)
    if conn.execute(known).first() is not None:
        return
    conn.execute(
        directive_link.insert(),
        {
            "parent": parent,
            "child": passage.child,
            "path": str(path),
            "position": item.position,
        },
    )
    _add_targets(conn, passage.child, passage.targets, item.position)


def _add_targets(conn: Connection, object_id: str, targets: Sequence[str], position: int) -> None:
    """Add targets as waiting; the passing node itself knows them from its own directive."""
    table = directive_target.c
    known = set(conn.execute(select(table.path).where(table.object_id == object_id)).scalars())
    rows = [
        {
            "object_id": object_id,
            "path": target,
            "state": rules.State.WAITING.value,
            "actor": "",
            "percent": 0,
            "note": "",
            "position": position,
        }
        for target in dict.fromkeys(targets)
        if target not in known
    ]
    if rows:
        conn.execute(directive_target.insert(), rows)


def _state(conn: Connection, object_id: str, path: Path) -> rules.State | None:
    table = directive_target.c
    query = select(table.state).where(table.object_id == object_id, table.path == str(path))
    state = conn.execute(query).scalar()
    return None if state is None else rules.State(state)


def _report(conn: Connection, item: StoredRecord, path: Path) -> None:
    header = item.header
    table = directive_target.c
    found = conn.execute(
        select(table.state, table.percent).where(
            table.object_id == header.object_id, table.path == str(path)
        )
    ).first()
    if found is None:
        return
    step = records.REPORTS[header.kind]
    state = rules.evolve(rules.State(found.state), step)
    report = records.Report.decode(item.parts.get("core"))
    conn.execute(
        update(directive_target)
        .where(table.object_id == header.object_id, table.path == str(path))
        .values(
            state=state.value,
            actor=header.actor,
            percent=rules.percent_after(step, report.percent, found.percent),
            note=report.note,
            position=item.position,
        )
    )
