"""Problems: what a person should know, once each, with a count, until it is mended."""

from collections.abc import Mapping, Sequence
from typing import Final

import orjson
from sqlalchemy import Connection, insert, select, update

from yidao.node.store.tables import problem
from yidao.node.store.values import Problem
from yidao.sync.ids import JournalId, NodeId

#: A journal of this node was signed twice.
NODE_FORKED: Final = "NODE_FORKED"


def journal_text(journal: JournalId | None) -> str:
    """Return how a problem names a journal, `<node_id>/<channel>/<epoch>`; "" for none."""
    if journal is None:
        return ""
    return f"{journal.node_id.hex()}/{journal.channel}/{journal.epoch}"


def raise_problem(
    conn: Connection,
    now_ms: int,
    code: str,
    params: Mapping[str, str | int],
    *,
    journal: JournalId | None = None,
    seq: int | None = None,
    peer: NodeId | None = None,
) -> None:
    """Write a problem down, or count it once more; one that was cleared opens again."""
    key = (
        (problem.c.code == code)
        & (problem.c.journal == journal_text(journal))
        & (problem.c.seq == (-1 if seq is None else seq))
        & (problem.c.peer == (peer or b""))
    )
    text = orjson.dumps(dict(params), option=orjson.OPT_SORT_KEYS).decode()
    counted = conn.execute(
        update(problem)
        .where(key)
        .values(params=text, last_ms=now_ms, times=problem.c.times + 1, cleared_ms=None)
    )
    if counted.rowcount:
        return
    conn.execute(
        insert(problem).values(
            code=code,
            journal=journal_text(journal),
            seq=-1 if seq is None else seq,
            peer=peer or b"",
            params=text,
            first_ms=now_ms,
            last_ms=now_ms,
            times=1,
        )
    )


def clear_problems(
    conn: Connection,
    now_ms: int,
    code: str,
    *,
    journal: JournalId | None = None,
    peer: NodeId | None = None,
) -> None:
    """Call mended every open problem of that code about that journal and peer."""
    conn.execute(
        update(problem)
        .where(
            problem.c.code == code,
            problem.c.journal == journal_text(journal),
            problem.c.peer == (peer or b""),
            problem.c.cleared_ms.is_(None),
        )
        .values(cleared_ms=now_ms)
    )


def settle(conn: Connection, now_ms: int, codes: Sequence[str]) -> int:
    """Call settled every open problem of those codes; return how many there were."""
    mine = problem.c.code.in_(codes) & problem.c.cleared_ms.is_(None)
    return conn.execute(update(problem).where(mine).values(cleared_ms=now_ms)).rowcount


def clear_code(conn: Connection, now_ms: int, code: str, peer: NodeId) -> None:
    """Call mended every open problem of that code with that peer."""
    mine = (problem.c.code == code) & (problem.c.peer == peer) & problem.c.cleared_ms.is_(None)
    conn.execute(update(problem).where(mine).values(cleared_ms=now_ms))


def read_problems(
    conn: Connection, *, open_only: bool, code: str | None = None
) -> tuple[Problem, ...]:
    """Return problems, the latest seen first; with `code` those of that code alone."""
    query = select(problem).order_by(problem.c.last_ms.desc(), problem.c.id.desc())
    if code is not None:
        query = query.where(problem.c.code == code)
    if open_only:
        query = query.where(problem.c.cleared_ms.is_(None))
    return tuple(
        Problem(
            problem_id=row.id,
            code=row.code,
            journal=row.journal,
            seq=row.seq,
            peer=row.peer,
            params=orjson.loads(row.params),
            first_ms=row.first_ms,
            last_ms=row.last_ms,
            times=row.times,
            cleared_ms=row.cleared_ms,
        )
        for row in conn.execute(query)
    )
