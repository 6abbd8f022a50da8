"""What every shape of the interface shares: strictness, bytes as hexadecimal, bounded texts."""

from typing import Annotated, Any, Final, Self

import orjson
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StrictBool, StringConstraints

MAX_PAGE: Final = 1_000
#: JSON numbers beyond it lose digits in many readers (RFC 8259 §6).
_MAX_INTEGER: Final = 2**53 - 1
_NO_CONTROL: Final = r"^[^\u0000-\u001f\u007f]*$"


class Shape(BaseModel):
    """The base: unknown members of a request are refused, so that a mistyped one is noticed."""

    model_config = ConfigDict(from_attributes=True, extra="forbid", frozen=True)

    @classmethod
    def of(cls, value: object) -> Self:
        """Read a value of the client library."""
        return cls.model_validate(value)


def _hex(value: Any) -> Any:
    return value.hex() if isinstance(value, bytes) else value


def _object(value: Any) -> Any:
    if isinstance(value, bytes):
        return orjson.loads(value) if value else None
    return value


Hex = Annotated[
    str,
    BeforeValidator(_hex),
    Field(pattern=r"^([0-9a-f]{2})*$", description="Bytes in hexadecimal; may be empty."),
]
RecordId = Annotated[
    str,
    Field(
        pattern=r"^[0-9a-f]{32}$",
        description="Id of a record: 16 bytes in hexadecimal.",
        examples=["0199f3a27c5e7b3a9d20c1e8f4a6b512"],
    ),
]
Name = Annotated[str, StringConstraints(max_length=200, pattern=_NO_CONTROL)]
RequiredName = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=_NO_CONTROL)]
Text = Annotated[
    str, StringConstraints(max_length=10_000, pattern=r"^[^\u0000-\u0008\u000b-\u001f\u007f]*$")
]
Whole = Annotated[int, Field(ge=-_MAX_INTEGER, le=_MAX_INTEGER, strict=True)]
Count = Annotated[int, Field(ge=0)]
#: A figure never travels as a JSON number with a fraction: a reader would round it.
Figure = StrictBool | Whole | Annotated[str, Field(max_length=8_000)] | None
Payload = Annotated[
    dict[str, Any] | None,
    BeforeValidator(_object),
    Field(description="The row; decimals are strings. Null where the figures are not held here."),
]


class Frontier(Shape):
    """A journal with the size and root that a figure rests on."""

    origin: str = Field(description="Origin of its checkpoints.")
    size: Count
    root: Hex


class Placed(Shape):
    """Where a record came to lie."""

    position: Count = Field(description="Position in the node's store.")
    record_id: Hex
    repeat: bool = Field(description="Whether the same had been recorded before.")
