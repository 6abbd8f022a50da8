"""Returns: hand in, look, review, take back."""

from typing import Annotated, Literal

import orjson
from fastapi import APIRouter, Header, Query
from pydantic import Field

from yidao.node.client import Row
from yidao.node.gateway.pages import After, Limit, Wanted
from yidao.node.gateway.problems import described
from yidao.node.gateway.session import AS_SESSION, Caller
from yidao.node.gateway.shapes import (
    Count,
    Figure,
    File,
    Frontier,
    Hex,
    Name,
    Payload,
    RecordId,
    Shape,
    Text,
)

router = APIRouter(tags=["returns"])

MAX_ROWS = 5_000
_STATES = Literal[
    "",
    "refused",
    "submitted",
    "doubtful",
    "recorded",
    "accepted",
    "returned",
    "withdrawn",
    "superseded",
    "revoked",
]


class RowFault(Shape):
    """One thing wrong with a row, in both languages."""

    field: str = Field(examples=["electricity_kwh"])
    rule: str
    code: str = Field(examples=["FIELD_REQUIRED"])
    severity: str = Field(description="`error` or `warn`.")
    zh: str
    en: str


class RowIn(Shape):
    """One row of a form."""

    row: Annotated[int, Field(ge=0, le=2**53 - 1, description="Your own number, echoed.")]
    form: Name = Field(examples=["consumption"])
    period: Name = Field("", description="Empty for a registry form.", examples=["2025-Q2"])
    payload: dict[Annotated[str, Field(max_length=100)], Figure] = Field(
        description="One flat object; decimals are strings.",
        examples=[{"uscc": "12330106470009876A", "electricity_kwh": "1200.5"}],
    )
    attachment: File = b""
    key: Annotated[str, Field(max_length=128)] = Field(
        "",
        description="Your own key of the row: the same key with the same row changes nothing.",
        examples=["erp-2025-0001"],
    )
    causes: list[RecordId] = Field(
        default_factory=list, max_length=100, description="Records that the row is derived from."
    )


class Submit(Shape):
    """Rows to hand in."""

    pack: Name = Field(examples=["energy"])
    rows: list[RowIn] = Field(max_length=MAX_ROWS)
    dry_run: bool = Field(default=False, description="Judge and answer, record nothing.")


class RowResult(Shape):
    """What became of a row."""

    row: Count
    outcome: str = Field(
        description="`submitted`, `recorded` (stays here), `refused`, `unchanged`, `valid`."
    )
    faults: list[RowFault]
    record_id: Hex
    version: Count
    repeat: bool = Field(description="This very row was taken before, under its key.")


class Submitted(Shape):
    """Results in the order of the rows; everything up to `position` is durable."""

    results: list[RowResult]
    position: Count


class Return(Shape):
    """One version of a return."""

    key: str
    form: str
    period: str
    unit: str
    version: Count
    state: str
    record_id: Hex
    pack_version: str
    origin_path: str
    submitted_by: str
    reviewed_by: str
    reason: str
    faults: list[RowFault]
    payload: Payload
    pack: str
    created_ms: Count
    withdrawn_by: str
    withdrawn_reason: str


class ReturnPage(Shape):
    """One page."""

    returns: list[Return]
    next: str = Field(description="To be given as `after`; empty on the last page.")


class Review(Shape):
    """A verdict on returns: on those named, or on all that wait of a form and a period."""

    decision: Literal["accept", "return"]
    record_ids: list[RecordId] = Field(default_factory=list, max_length=10_000)
    form: Name = ""
    period: Name = ""
    reason: Text = Field("", description="Required to return.")
    limit: Annotated[int, Field(ge=1, le=10_000)] = 2_000


class Reviewed(Shape):
    """How many got the verdict, and how many of the same choice still wait."""

    reviewed: Count
    left: Count
    position: Count


class Withdraw(Shape):
    """Returns to take back: all of them, or none."""

    record_ids: list[RecordId] = Field(min_length=1, max_length=500)
    reason: Text


class Withdrawn(Shape):
    """How many were taken back; everything up to `position` is durable."""

    withdrawn: Count
    position: Count


class Receipt(Shape):
    """What a printed receipt says of a return; all of it can be recomputed from the evidence."""

    code: str = Field(examples=["3F2A-91C0-77DE-4B15"])
    about: Return
    unit_name: str
    leaf_sha256: Hex
    frontier: Frontier
    seq: Count
    created_ms: Count
    held_by: list[str] = Field(description="Paths of the nodes that have cosigned it.")


@router.post("/returns", responses=described(missing="There is no such pack.", conflict="Not now."))
def submit(
    client: Caller,
    body: Submit,
    idempotency_key: Annotated[
        str,
        Header(
            pattern=r"^[A-Za-z0-9._:-]{0,100}$",
            description="Your own key of this call; makes a key for each row without one.",
        ),
    ] = "",
) -> Submitted:
    """Hand in rows.

    Good ones are recorded, wrong ones are refused with their faults, each by itself; a row
    equal to the current version is `unchanged`, so a call may be repeated.
    """
    rows = [
        Row(
            row=row.row,
            form=row.form,
            period=row.period,
            payload=orjson.dumps(row.payload),
            attachment=row.attachment,
            key=row.key or (f"{idempotency_key}/{row.row}" if idempotency_key else ""),
            causes=tuple(bytes.fromhex(each) for each in row.causes),
        )
        for row in body.rows
    ]
    done = client.submit(body.pack, rows, actor=AS_SESSION, dry_run=body.dry_run)
    return Submitted.of(done)


@router.get("/returns", responses=described())
def list_returns(
    client: Caller,
    form: Wanted = "",
    period: Wanted = "",
    unit: Wanted = "",
    state: Annotated[_STATES, Query(description="Only in this state; empty for all.")] = "",
    after: After = "",
    limit: Limit = 200,
) -> ReturnPage:
    """List versions of returns that the session may see."""
    page = client.returns(
        form=form, period=period, unit=unit, state=state, after=after, limit=limit
    )
    return ReturnPage.of(page)


@router.post(
    "/returns/review",
    responses=described(missing="There is no such return.", conflict="Its state forbids it."),
)
def review(client: Caller, body: Review) -> Reviewed:
    """Accept or return what direct children submitted."""
    answer = client.review(
        actor=AS_SESSION,
        decision=body.decision,
        record_ids=[bytes.fromhex(each) for each in body.record_ids],
        form=body.form,
        period=body.period,
        reason=body.reason,
        limit=body.limit,
    )
    return Reviewed.of(answer)


@router.post(
    "/returns/withdraw",
    responses=described(missing="There is no such return.", conflict="Its state forbids it."),
)
def withdraw(client: Caller, body: Withdraw) -> Withdrawn:
    """Take back what was submitted and waits for its verdict."""
    ids = [bytes.fromhex(each) for each in body.record_ids]
    return Withdrawn.of(client.withdraw(actor=AS_SESSION, record_ids=ids, reason=body.reason))


@router.get("/receipts", responses=described(missing="There is no such return."))
def receipt(
    client: Caller,
    record_id: Annotated[str, Query(pattern=r"^([0-9a-f]{32})?$", description="Of a return.")] = "",
    code: Annotated[
        str, Query(pattern=r"^[0-9A-Za-z -]{0,32}$", description="Or the code on the receipt.")
    ] = "",
) -> Receipt:
    """Give what a printed receipt shows, by the record or by the code."""
    return Receipt.of(client.receipt(record_id=bytes.fromhex(record_id), code=code))
