"""How lists are paged: by key, never by number, so that a page costs the same however deep."""

from typing import Annotated

from fastapi import Query

from yidao.node.gateway.shapes import MAX_PAGE

_NO_CONTROL = r"^[^\u0000-\u001f\u007f]*$"

After = Annotated[
    str,
    Query(
        max_length=500,
        pattern=_NO_CONTROL,
        description="`next` of the page before; empty for the first page.",
    ),
]
Limit = Annotated[int, Query(ge=1, le=MAX_PAGE, description="Entries of the page.")]
Wanted = Annotated[
    str, Query(max_length=200, pattern=_NO_CONTROL, description="Only these; empty for all.")
]
Required = Annotated[str, Query(min_length=1, max_length=200, pattern=_NO_CONTROL)]
