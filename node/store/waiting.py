"""Requests to join that a person must decide on, kept until somebody has.

A request is bound to its token: the first one that knows the secret. Its keys and its
place are what is decided on, so that neither can be exchanged between the yes and
the enrolment.
"""

from dataclasses import dataclass
from enum import Enum

from sqlalchemy import Connection, Row, insert, select, update

from yidao.node.store.admissiontables import join_request as table
from yidao.node.store.tables import join_token
from yidao.sync.approval import Claim
from yidao.sync.ids import NodeId, Path


class State(Enum):
    """What became of a request at this node."""

    WAITING = "waiting"
    APPROVED = "approved"
    REJECTED = "rejected"
    JOINED = "joined"
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """One request.

    Attributes:
        operator: Who decided, `user@path`; "" while nobody has.
        reason: Why it was rejected.
    """

    token_id: str
    request_sha256: bytes
    claim: Claim
    asked_ms: int
    expires_ms: int
    state: State
    operator: str
    reason: str

    def is_open(self, now_ms: int) -> bool:
        """Whether the child may still come in by it."""
        return self.state in (State.WAITING, State.APPROVED) and now_ms < self.expires_ms


def by_token(conn: Connection, token_id: str) -> Waiting | None:
    """Return the request that is bound to a token."""
    row = conn.execute(select(table).where(table.c.token_id == token_id)).one_or_none()
    return None if row is None else _waiting(row)


def by_claim(conn: Connection, claim_id: str) -> Waiting | None:
    """Return the newest request of that name."""
    mine = select(table).where(table.c.claim_id == claim_id).order_by(table.c.asked_ms.desc())
    row = conn.execute(mine).first()
    return None if row is None else _waiting(row)


def all_open(conn: Connection, now_ms: int) -> tuple[Waiting, ...]:
    """Return the requests that are open, the oldest first."""
    rows = conn.execute(select(table).order_by(table.c.asked_ms, table.c.token_id))
    return tuple(each for each in map(_waiting, rows) if each.is_open(now_ms))


def close_expired(conn: Connection, now_ms: int) -> tuple[Waiting, ...]:
    """Close the requests whose time is over, and return them."""
    undecided = table.c.state.in_((State.WAITING.value, State.APPROVED.value))
    rows = conn.execute(select(table).where(undecided, table.c.expires_ms <= now_ms)).all()
    for row in rows:
        settle(conn, row.token_id, State.EXPIRED)
    return tuple(map(_waiting, rows))


def bind(
    conn: Connection,
    token_id: str,
    request_sha256: bytes,
    claim: Claim,
    *,
    now_ms: int,
    expires_ms: int,
) -> Waiting:
    """Keep the first request of a token, and the token as long as the request.

    Returns the request that the token is bound to: the caller compares.
    """
    known = by_token(conn, token_id)
    if known is not None:
        return known
    made = Waiting(
        token_id=token_id,
        request_sha256=request_sha256,
        claim=claim,
        asked_ms=now_ms,
        expires_ms=expires_ms,
        state=State.WAITING,
        operator="",
        reason="",
    )
    conn.execute(
        insert(table).values(
            token_id=made.token_id,
            claim_id=claim.claim_id,
            request_sha256=made.request_sha256,
            path=str(claim.path),
            node_id=claim.node_id,
            journal_key=claim.journal_key,
            cosign_key=claim.cosign_key,
            tls_sha256=claim.tls_sha256,
            asked_ms=now_ms,
            expires_ms=expires_ms,
            state=made.state.value,
            operator="",
            reason="",
        )
    )
    mine = (join_token.c.token_id == made.token_id) & (join_token.c.expires_ms < expires_ms)
    conn.execute(update(join_token).where(mine).values(expires_ms=expires_ms))
    return made


def settle(
    conn: Connection, token_id: str, state: State, *, operator: str = "", reason: str = ""
) -> None:
    """Write down what became of a request; who decided stays where nobody new is given."""
    values = {"state": state.value, "reason": reason}
    if operator:
        values["operator"] = operator
    conn.execute(update(table).where(table.c.token_id == token_id).values(values))


def _waiting(row: Row[tuple[object, ...]]) -> Waiting:
    return Waiting(
        token_id=row.token_id,
        request_sha256=bytes(row.request_sha256),
        claim=Claim(
            node_id=NodeId(bytes(row.node_id)),
            path=Path.parse(row.path),
            journal_key=bytes(row.journal_key),
            cosign_key=bytes(row.cosign_key),
            tls_sha256=bytes(row.tls_sha256),
        ),
        asked_ms=row.asked_ms,
        expires_ms=row.expires_ms,
        state=State(row.state),
        operator=row.operator,
        reason=row.reason,
    )
