"""Live questions: rows of a resource, asked for where they are."""

import threading
from typing import Annotated, Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import StreamingResponse
from pydantic import Field

from yidao.api.errors import YidaoError
from yidao.node.client import QueryRow, RowStream
from yidao.node.gateway.problems import described
from yidao.node.gateway.session import AS_SESSION, Caller
from yidao.node.gateway.shapes import Count, Name, RequiredName, Shape, Text
from yidao.node.gateway.streams import NDJSON, AsLines, Places, streamed
from yidao.node.web.refusal import language_of

router = APIRouter(tags=["query"])

_Names = Annotated[list[Name], Field(max_length=100, default_factory=list)]


class Question(Shape):
    """Which rows, of which nodes."""

    resource: RequiredName = Field(
        description="A resource's code, or pack and form.", examples=["energy/consumption"]
    )
    node: Name = Field(
        "", alias="of", description="Exactly this node is asked.", examples=["/33/3301"]
    )
    under: Name = Field("", description="Every owner at or below this path is asked.")
    where: Text = Field("", examples=["elec_kwh > 1000 and period = '2025-Q3'"])
    select: _Names
    aggregate: _Names
    by: _Names
    order: _Names
    limit: Annotated[int, Field(ge=0, le=10_000, description="0: 1,000.")] = 0
    purpose: Text = Field(
        "", description="What it is for; needed where the resource is shared on conditions."
    )
    deadline_ms: Annotated[
        int, Field(ge=1, le=60_000, description="When the answer is complete.")
    ] = 10_000
    live_only: bool = Field(
        default=False, description="No older figures for nodes that do not answer."
    )


class AnsweredRow(Shape):
    """One row, or one group."""

    cells: dict[str, str | int | bool | None] = Field(
        description="By column; decimals are strings, null where there is no value.",
        examples=[{"unit": "12330106470009876A", "elec_kwh": "61000.00"}],
    )
    path: str = Field(description="The node that the row is of; empty for a group.")
    cached: bool = Field(description="It is an older one; see its node.")


class AnsweredColumn(Shape):
    """One column of the rows."""

    name: str
    kind: str = Field(description="`text`, `integer`, `decimal` (strings) or `boolean`.")
    scale: Count = Field(description="Digits after the point, of a decimal.")
    masked: bool


class AnsweredNode(Shape):
    """How one node answered."""

    path: str
    state: str = Field(
        description="`answered`, `late`, `unreachable`, `refused`; `unneeded` where enough "
        "rows had come."
    )
    code: str = Field(description="The error, where it did not answer.")
    params: dict[str, str]
    rows: Count
    cut: bool = Field(description="It has more rows.")
    as_of_ms: Count = Field(description="Of the state that its figures show; 0 without figures.")
    cached: str = Field(description="`held` or `remembered` for older figures, else empty.")
    resource: str
    took_ms: Count


class AnswerEnd(Shape):
    """The last line of an answer."""

    columns: list[AnsweredColumn]
    nodes: list[AnsweredNode]
    complete: bool = Field(description="Every node answered live, and nothing was left out.")


@router.post(
    "/query",
    response_class=StreamingResponse,
    responses={
        200: {
            "description": "One JSON object a line: rows (see `AnsweredRow`), an empty line as a "
            "sign of life, and at last how each node answered (see `AnswerEnd`). An error that "
            'ends the stream is its last line, `{"problem": …}`; a stream without either was '
            "cut off.",
            "content": {NDJSON: {"schema": {"type": "string"}}},
        },
        **described(missing="Nobody owns such a resource."),
    },
)
async def query_rows(request: Request, client: Caller, question: Question) -> Response:
    """Ask the owners of a resource for its rows.

    Each owner decides what it gives; a node that does not answer or refuses is no error of
    the call, the last line says so.
    """
    asked = question.model_dump(by_alias=True)
    seconds = asked.pop("deadline_ms") / 1_000
    stream = client.query_rows(
        asked.pop("resource"), actor=AS_SESSION, deadline_seconds=seconds, **asked
    )
    places: Places = request.app.state.places
    language = language_of(request.scope["headers"])
    return await streamed(Answer(stream), AsLines(_line), places, language)


class Answer:
    """The rows of a stream, and then its end as one more item."""

    def __init__(self, stream: RowStream) -> None:
        self._stream = stream
        self._rows = iter(stream)
        self._ended = False
        self._closed = threading.Event()

    def __next__(self) -> object:
        try:
            return next(self._rows)
        except StopIteration:
            if self._ended:
                raise
        except YidaoError:
            if self._closed.is_set():
                # Nobody is there any more who could be told.
                raise StopIteration from None
            raise
        self._ended = True
        return self._stream

    def close(self) -> None:
        """Stop asking."""
        self._closed.set()
        self._stream.close()


def _line(item: Any) -> Shape:
    return AnsweredRow.of(item) if isinstance(item, QueryRow) else AnswerEnd.of(item)
