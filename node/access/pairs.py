"""Calls that take two: one administrator asks, another approves, the first one makes the call.

1. The call is made as always. If nobody approved it yet it is written down
   (`access.request.made`) and answered with `APPROVAL_NEEDED`.
2. Another one, whose role may approve it, reads what is asked for and decides
   (`access.request.approved`, `access.request.refused`).
3. The same call by the same caller goes through, once (`access.request.spent`).

What is approved is one request, by its digest: with another child, reason or rule
it is another one. It is spent before the call runs, so that two at once are one.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import Row, func, insert, select, update

from yidao.node.access.audit import Event, Note
from yidao.node.access.auditor import Auditor
from yidao.node.access.caller import LOCAL_USER, Caller
from yidao.node.access.errors import (
    ApprovalNeeded,
    ApproverSame,
    DecisionUnknown,
    PermissionDenied,
    RequestsTooMany,
    RequestTooLarge,
    RequestUnknown,
)
from yidao.node.access.roles import Permission, Role
from yidao.node.access.tables import access_request
from yidao.node.store.store import Store
from yidao.node.store.transaction import Tx

#: A request may be approved and used for so long: over a weekend.
LIFE_MS: Final = 72 * 3_600_000
#: Of one caller; what waits longer than `LIFE_MS` does not count.
MAX_WAITING: Final = 32
#: What is longer cannot be read by who approves it.
MAX_SHOWN_CHARACTERS: Final = 16_000
_MAX_LISTED: Final = 200
_ID_BYTES: Final = 8


class State(StrEnum):
    """Where a request stands; `EXPIRED` is never stored."""

    WAITING = "waiting"
    APPROVED = "approved"
    REFUSED = "refused"
    SPENT = "spent"
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True, kw_only=True)
class Matter:
    """What a call comes to, as far as somebody else must approve it.

    Attributes:
        call: `Service/Method`.
        shown: All of the request that is no secret, for who approves; the digest is over it.
        approvers: Roles of which the other one must have one.
        about: The user whom it is about, who does not approve it; empty for nobody.
    """

    call: str
    shown: str
    approvers: frozenset[Role]
    about: str = ""

    @property
    def digest(self) -> bytes:
        """What tells it from every other one."""
        return hashlib.sha256(f"{self.call}\n{self.shown}".encode()).digest()


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A matter that was asked for, see `access_request`."""

    request_id: str
    matter: Matter
    made_by: str
    made_ms: int
    expires_ms: int
    state: State
    decided_by: str


def check_approver(request: Request, caller: Caller) -> None:
    """Say whether a caller may decide on a request. Pure.

    1. It waits.
    2. The caller is a person who has signed in, in one of the roles that it names.
    3. The caller is neither who asks nor whom it is about.

    Raises:
        RequestUnknown, PermissionDenied, ApproverSame: As said.
    """
    if request.state is not State.WAITING:  # 1
        raise RequestUnknown(request=request.request_id)
    if caller.is_local or caller.roles.isdisjoint(request.matter.approvers):  # 2
        raise PermissionDenied(needed="|".join(sorted(request.matter.approvers)))
    if caller.user in (request.made_by, request.matter.about):  # 3
        raise ApproverSame(user=caller.user)


class Pairs:
    """Keeps what takes two. Safe for threads.

    Args:
        is_on: Whether this node asks for two at all.
    """

    def __init__(
        self,
        store: Store,
        auditor: Auditor,
        *,
        is_on: bool,
        clock_ms: Callable[[], int],
        random: Callable[[int], bytes],
    ) -> None:
        self.is_on = is_on
        self._store = store
        self._auditor = auditor
        self._clock_ms = clock_ms
        self._random = random

    def demand(self, caller: Caller, matter: Matter) -> None:
        """Return only if somebody else has approved just this, which is used up by it.

        Raises:
            ApprovalNeeded: It waits, or has begun to wait, for another one.
            RequestTooLarge: Nobody could read it.
            RequestsTooMany: The caller has asked for too much else.
        """
        if not self.is_on:
            return
        if len(matter.shown) > MAX_SHOWN_CHARACTERS:
            raise RequestTooLarge(limit=MAX_SHOWN_CHARACTERS)
        waits = self._store.run(lambda tx: self._spend_or_ask(tx, caller, matter))
        if isinstance(waits, RequestsTooMany):
            raise waits
        if waits:
            raise ApprovalNeeded(request=waits, call=matter.call)

    def decide(self, caller: Caller, request_id: str, decision: str) -> Request:
        """Approve or refuse.

        Raises:
            DecisionUnknown: Neither of the two.
            RequestUnknown, PermissionDenied, ApproverSame: See `check_approver`.
        """
        try:
            state = {"approve": State.APPROVED, "refuse": State.REFUSED}[decision]
        except KeyError:
            raise DecisionUnknown from None
        return self._store.run(lambda tx: self._decide(tx, caller, request_id, state))

    def list(self, caller: Caller, *, over_too: bool = False) -> tuple[Request, ...]:
        """List what waits or is approved, newest first, at most 200.

        Who may not approve sees their own.

        Args:
            caller: Who asks.
            over_too: Also what is refused, spent or expired.
        """
        table = access_request.c
        query = select(access_request).order_by(table.made_ms.desc()).limit(_MAX_LISTED)
        if not caller.may(Permission.ACCESS_APPROVE):
            query = query.where(table.made_by == _name(caller))
        with self._store.read() as conn:
            found = [self._request(row) for row in conn.execute(query)]
        live = (State.WAITING, State.APPROVED)
        return tuple(each for each in found if over_too or each.state in live)

    def _spend_or_ask(self, tx: Tx, caller: Caller, matter: Matter) -> "str | RequestsTooMany":
        """Give the id of the request that waits, or nothing if the call may go."""
        table, name, now_ms = access_request.c, _name(caller), self._clock_ms()
        mine = (
            table.made_by == name,
            table.expires_ms > now_ms,
            table.state.in_((State.WAITING, State.APPROVED)),
        )
        same = select(access_request).where(*mine, table.digest == matter.digest)
        row = tx.conn.execute(same.order_by(table.made_ms.desc()).limit(1)).one_or_none()
        if row is not None and row.state == State.APPROVED:
            self._set(tx, row.request_id, State.SPENT, row.decided_by, row.decided_ms)
            self._note(tx, Event.REQUEST_SPENT, caller, row.request_id, matter.call)
            return ""
        if row is not None:
            return str(row.request_id)
        held = tx.conn.execute(
            select(func.count()).select_from(access_request).where(*mine)
        ).scalar_one()
        if held >= MAX_WAITING:
            return RequestsTooMany(limit=MAX_WAITING)
        request_id = self._random(_ID_BYTES).hex()
        tx.conn.execute(
            insert(access_request).values(
                request_id=request_id,
                call=matter.call,
                digest=matter.digest,
                shown=matter.shown,
                about=matter.about,
                approvers=" ".join(sorted(matter.approvers)),
                made_by=name,
                made_ms=now_ms,
                expires_ms=now_ms + LIFE_MS,
                state=State.WAITING,
                decided_by="",
                decided_ms=0,
            )
        )
        detail = f"{matter.call} sha256={matter.digest.hex()} {matter.shown}"
        self._note(tx, Event.REQUEST_MADE, caller, request_id, detail)
        return request_id

    def _decide(self, tx: Tx, caller: Caller, request_id: str, state: State) -> Request:
        table = access_request.c
        row = tx.conn.execute(
            select(access_request).where(table.request_id == request_id[:64])
        ).one_or_none()
        if row is None:
            raise RequestUnknown(request=request_id[:64])
        request = self._request(row)
        check_approver(request, caller)
        self._set(tx, request_id, state, caller.user, self._clock_ms())
        event = Event.REQUEST_APPROVED if state is State.APPROVED else Event.REQUEST_REFUSED
        self._note(tx, event, caller, request_id, f"{row.call} by={row.made_by}")
        return self._request(
            tx.conn.execute(select(access_request).where(table.request_id == request_id)).one()
        )

    def _set(self, tx: Tx, request_id: str, state: State, by: str, at_ms: int) -> None:
        tx.conn.execute(
            update(access_request)
            .where(access_request.c.request_id == request_id)
            .values(state=state, decided_by=by, decided_ms=at_ms)
        )

    def _note(self, tx: Tx, event: Event, caller: Caller, request_id: str, detail: str) -> None:
        self._auditor.write(
            tx,
            Note(
                event=event,
                name=_name(caller),
                object=f"request/{request_id}",
                source=caller.source,
                detail=detail,
            ),
        )

    def _request(self, row: Row[Any]) -> Request:
        state = State(row.state)
        if state in (State.WAITING, State.APPROVED) and row.expires_ms <= self._clock_ms():
            state = State.EXPIRED
        return Request(
            request_id=row.request_id,
            matter=Matter(
                call=row.call,
                shown=row.shown,
                approvers=frozenset(Role(each) for each in row.approvers.split()),
                about=row.about,
            ),
            made_by=row.made_by,
            made_ms=row.made_ms,
            expires_ms=row.expires_ms,
            state=state,
            decided_by=row.decided_by,
        )


def _name(caller: Caller) -> str:
    return caller.user or LOCAL_USER
