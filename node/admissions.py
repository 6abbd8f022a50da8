"""What operators decide about who comes in: requests to join here, re-enrolments below.

A request at this node is decided by an operator of this node. Where another node
stood at its path, this node asks the node above, whose operator decides by a record
that both tiers and all above them hold (`yidao.sync.approval`). The root has nobody
above: there the record that asks and the one that decides are by two operators.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, select

from yidao.node.errors import NodeError
from yidao.node.store import approving, waiting
from yidao.node.store.admissiontables import reenrolment, reenrolment_decision
from yidao.node.store.store import Store
from yidao.node.store.transaction import Tx
from yidao.node.store.values import Draft, DraftPart
from yidao.node.store.waiting import State, Waiting
from yidao.sync.approval import (
    ASKED_CHANNEL,
    DECIDED_CHANNELS,
    KIND_ASKED,
    KIND_DECIDED,
    Asked,
    Claim,
    Decided,
)
from yidao.sync.ids import CHANCE_BYTES, Path, RecordId, new_record_id

MAX_REASON_CHARS: Final = 200
JOIN_WAITS: Final = "JOIN_WAITS"


class RequestUnknown(NodeError):
    """No request of that name waits here (params: request)."""

    code = "JOIN_REQUEST_UNKNOWN"


class RequestDecided(NodeError):
    """That request was decided already, or its time is over (params: request)."""

    code = "REQUEST_DECIDED"


class ReasonUnfit(NodeError):
    """A reason is missing, too long, or holds characters that nobody sees (params: limit)."""

    code = "REASON_UNFIT"


class ReenrolmentNeedless(NodeError):
    """Nobody stood at that path before, so that no approval is needed (params: path)."""

    code = "REENROLMENT_NEEDLESS"


class ReenrolmentNotAsked(NodeError):
    """No open request to join waits for that path, so that there is nothing to ask for.

    Params: path.
    """

    code = "REENROLMENT_NOT_ASKED"


@dataclass(frozen=True, slots=True, kw_only=True)
class Open:
    """Something that an operator here may decide on, or that waits for the tier above.

    Attributes:
        kind: `join`: a request here; `reenrolment`: what a node below asks.
        state: `waiting`; `approved` here, the child has not come again; `above`: the tier
            above must approve, see `asked`.
        asked: The tier above was asked.
        reason: What whoever asks says of it.
        operator: Who asked or approved.
    """

    kind: str
    claim: Claim
    state: str
    asked: bool
    asked_ms: int
    expires_ms: int
    reason: str
    operator: str


class Admissions:
    """Decides on requests. Its calls may be made from the event loop."""

    def __init__(
        self, store: Store, clock_ms: Callable[[], int], random: Callable[[int], bytes]
    ) -> None:
        self._store = store
        self._clock_ms = clock_ms
        self._random = random

    def open_requests(self) -> tuple[Open, ...]:
        """Return what waits, the oldest first."""
        now_ms, own = self._clock_ms(), self._store.identity.path
        with self._store.read() as conn:
            here = [_of_join(conn, each) for each in waiting.all_open(conn, now_ms)]
            below = [_of_asked(*each) for each in _undecided(conn, own)]
        return tuple(sorted((*here, *below), key=lambda each: each.asked_ms))

    async def decide(
        self, request: str, *, approved: bool, operator: str, reason: str = ""
    ) -> Claim:
        """Approve or reject a request to join, or what a node below asks; return whose it was.

        Args:
            request: Its name, 16 hex digits.
            approved: Yes or no.
            operator: The actor who decides, of this node.
            reason: For a no, told to the other side.

        Raises:
            RequestUnknown, RequestDecided: There is nothing to decide on.
            ReasonUnfit: A no without a reason, or an unfit one.
            FourEyesNeeded: The root's own operator asked for it.
        """
        _check_reason(reason, needed=not approved)

        def job(tx: Tx) -> Claim:
            own, now_ms = tx.identity.path, self._clock_ms()
            below = [each for each in _undecided(tx.conn, own) if each[1].claim.claim_id == request]
            if below:
                record_id, asked, _ = below[0]
                self._answer(
                    tx,
                    Decided(
                        claim=asked.claim,
                        record_id=self._record_id(),
                        asked=record_id,
                        asked_by=asked.operator,
                        approved=approved,
                        reason=reason,
                        operator=operator,
                    ),
                )
                return asked.claim
            kept = waiting.by_claim(tx.conn, request)
            if kept is None:
                raise RequestUnknown(request=request[:64])
            if kept.state is not State.WAITING or not kept.is_open(now_ms):
                raise RequestDecided(request=request)
            state = State.APPROVED if approved else State.REJECTED
            waiting.settle(tx.conn, kept.token_id, state, operator=operator, reason=reason)
            tx.clear_problems(JOIN_WAITS, peer=kept.claim.node_id)
            return kept.claim

        return await asyncio.wrap_future(self._store.submit(job))

    async def ask_above(self, path: Path, *, operator: str, reason: str) -> Claim:
        """Ask the tier above to let the node that waits for a path take another one's place.

        This node's operator approves its request by that.

        Raises:
            ReenrolmentNotAsked, ReenrolmentNeedless, ReasonUnfit: As named.
        """
        _check_reason(reason, needed=True)

        def job(tx: Tx) -> Claim:
            now_ms = self._clock_ms()
            here = [w for w in waiting.all_open(tx.conn, now_ms) if w.claim.path == path]
            if not here:
                raise ReenrolmentNotAsked(path=str(path))
            kept = here[-1]
            claim = kept.claim
            if not approving.had_another(tx.conn, claim.node_id, path):
                raise ReenrolmentNeedless(path=str(path))
            asked = Asked(claim=claim, reason=reason, operator=operator)
            tx.append(ASKED_CHANNEL, [self._draft(KIND_ASKED, claim, operator, asked.encode())])
            waiting.settle(tx.conn, kept.token_id, State.APPROVED, operator=operator)
            tx.clear_problems(JOIN_WAITS, peer=claim.node_id)
            return claim

        return await asyncio.wrap_future(self._store.submit(job))

    async def close_expired(self) -> None:
        """Close the requests that nobody decided on in time; they are no problem any more."""

        def job(tx: Tx) -> None:
            for each in waiting.close_expired(tx.conn, self._clock_ms()):
                tx.clear_problems(JOIN_WAITS, peer=each.claim.node_id)

        await asyncio.wrap_future(self._store.submit(job))

    def _answer(self, tx: Tx, decided: Decided) -> None:
        claim, operator, core = decided.claim, decided.operator, decided.encode()
        record_ids = (decided.record_id, self._record_id())
        for channel, record_id in zip(DECIDED_CHANNELS, record_ids, strict=True):
            tx.append(channel, [self._draft(KIND_DECIDED, claim, operator, core, record_id)])

    def _draft(
        self,
        kind: str,
        claim: Claim,
        operator: str,
        core: bytes,
        record_id: RecordId | None = None,
    ) -> Draft:
        return Draft(
            record_id=record_id or self._record_id(),
            kind=kind,
            actor=operator,
            object_id=claim.node_id.hex(),
            object_version=1,
            created_ms=self._clock_ms(),
            parts=(DraftPart(name="core", body=core),),
        )

    def _record_id(self) -> RecordId:
        return new_record_id(self._clock_ms(), self._random(CHANCE_BYTES))


def _undecided(conn: Connection, own: Path) -> list[tuple[RecordId, Asked, int]]:
    """Return what was asked of this node and not decided, with the record and the time."""
    asked, decided = reenrolment, reenrolment_decision
    answered = select(decided.c.asked)
    rows = conn.execute(
        select(asked).where(asked.c.record_id.not_in(answered)).order_by(asked.c.asked_ms)
    )
    found = []
    for row in rows:
        writer = Path.parse(row.path).parent or Path()
        question = Asked.decode(bytes(row.core), writer)
        if question.claim.decider == own:
            found.append((RecordId(bytes(row.record_id)), question, int(row.asked_ms)))
    return found


def _of_join(conn: Connection, kept: Waiting) -> Open:
    needs_above = approving.had_another(conn, kept.claim.node_id, kept.claim.path)
    asked = reenrolment.c.claim_id == kept.claim.claim_id
    return Open(
        kind="join",
        claim=kept.claim,
        state="above" if needs_above else kept.state.value,
        asked=conn.execute(select(reenrolment.c.by_id).where(asked)).first() is not None,
        asked_ms=kept.asked_ms,
        expires_ms=kept.expires_ms,
        reason="",
        operator=kept.operator,
    )


def _of_asked(_record_id: RecordId, asked: Asked, asked_ms: int) -> Open:
    return Open(
        kind="reenrolment",
        claim=asked.claim,
        state=State.WAITING.value,
        asked=True,
        asked_ms=asked_ms,
        expires_ms=0,
        reason=asked.reason,
        operator=asked.operator,
    )


def _check_reason(reason: str, *, needed: bool) -> None:
    is_fit = len(reason) <= MAX_REASON_CHARS and reason.isprintable()
    if not is_fit or (needed and not reason.strip()):
        raise ReasonUnfit(limit=MAX_REASON_CHARS)
