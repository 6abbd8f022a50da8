"""What happens at the node, as it happens."""

from typing import Annotated, Final

from fastapi import APIRouter, Header, Query, Request, Response
from fastapi.responses import StreamingResponse
from pydantic import Field

from yidao.node.client import Event, Mark
from yidao.node.gateway.problems import described
from yidao.node.gateway.session import Caller
from yidao.node.gateway.shapes import Count, Hex, Name, Payload, Shape
from yidao.node.gateway.streams import NDJSON, AsLines, Places, streamed
from yidao.node.web.refusal import language_of

router = APIRouter(tags=["follow"])

_SSE: Final = "text/event-stream"
_CURSOR: Final = r"^(([0-9a-f]{2}){1,32}:[0-9]{1,15})?$"
_Some = Annotated[list[Name], Field(max_length=50, default_factory=list)]


class Wanted(Shape):
    """Which records; an empty list matches all."""

    after: str = Field(
        "", pattern=_CURSOR, description="`cursor` of the last record that you handled."
    )
    kinds: _Some
    forms: _Some
    periods: _Some
    units: _Some
    until_now: bool = Field(
        default=False, description="End once everything was given that is here at the start."
    )


class Happened(Shape):
    """One record."""

    cursor: str = Field(description="Where to go on after it.", examples=["9f2c…:1041"])
    position: Count
    record_id: Hex
    kind: str = Field(examples=["reporting.return.accepted"])
    object: str
    version: Count
    unit: str
    pack: str
    form: str
    period: str
    actor: str
    created_ms: Count
    origin: Hex
    causes: list[Hex]
    payload: Payload


@router.get(
    "/follow",
    response_class=StreamingResponse,
    responses={
        200: {
            "description": "One JSON object a line (see `Happened`), an empty line as a sign of "
            "life; or server-sent events, if `Accept` asks for them. An error that ends the "
            'stream is its last line, `{"problem": …}`.',
            "content": {
                NDJSON: {"schema": {"type": "string"}},
                _SSE: {"schema": {"type": "string"}},
            },
        },
        **described(conflict="The cursor is of another store."),
    },
)
async def follow(
    request: Request,
    client: Caller,
    wanted: Annotated[Wanted, Query()],
    last_event_id: Annotated[
        str, Header(pattern=_CURSOR, description="`after`, as browsers' event sources send it.")
    ] = "",
) -> Response:
    """Follow the node's records in store order: those that are here, then each new one."""
    following = client.follow(
        after=_mark(wanted.after or last_event_id),
        kinds=wanted.kinds,
        forms=wanted.forms,
        periods=wanted.periods,
        units=wanted.units,
        until_now=wanted.until_now,
    )
    writing = AsEvents() if _SSE in request.headers.get("accept", "") else AsLines(_happened)
    places: Places = request.app.state.places
    return await streamed(following, writing, places, language_of(request.scope["headers"]))


class AsEvents:
    """Server-sent events, whose ids are cursors."""

    media_type = _SSE
    heartbeat = b":\n\n"

    def item(self, item: object) -> bytes:
        """Write a record."""
        happened = _happened(item)
        return f"id: {happened.cursor}\ndata: {happened.model_dump_json()}\n\n".encode()

    def problem(self, json: bytes) -> bytes:
        """Write the problem that ends the stream."""
        return b"event: problem\ndata: " + json + b"\n\n"


def _mark(cursor: str) -> Mark | None:
    if not cursor:
        return None
    store_id, _, position = cursor.partition(":")
    return Mark(store_id=bytes.fromhex(store_id), position=int(position))


def _happened(item: object) -> Happened:
    assert isinstance(item, Event)
    cursor = f"{item.mark.store_id.hex()}:{item.position}"
    fields = {name: getattr(item, name) for name in Happened.model_fields if name != "cursor"}
    return Happened(cursor=cursor, **fields)
