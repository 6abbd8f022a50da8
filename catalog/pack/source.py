"""Read the YAML of a pack strictly: a small, exact subset, bounded before it is built.

YAML offers much that a standard must not contain. Accepted are mappings,
lists and scalars of one UTF-8 document; refused are anchors and aliases
(billion laughs), tags (object construction), duplicate and non-text keys, and
whatever is too large or too deep. A plain scalar is `true`/`false`, an
integer, or text: there are no floats, dates or nulls, so 0.1229 stays the
text "0.1229" and 2022-01-01 the text "2022-01-01".
"""

import re
from collections.abc import Iterator
from typing import TypeAlias

import yaml
from yaml import events

from yidao.catalog.errors import PackInvalid

MAX_PACK_BYTES = 1024 * 1024
_MAX_DEPTH = 12
_MAX_NODES = 60_000
_MAX_SCALAR_CHARS = 4_000
_INTEGER = re.compile(r"-?(?:0|[1-9][0-9]{0,17})")

Node: TypeAlias = "str | int | bool | list[Node] | dict[str, Node]"


def parse_source(data: bytes) -> dict[str, Node]:
    """Read one YAML document whose top is a mapping.

    Raises:
        PackInvalid: It is not UTF-8 or not YAML, or leaves the accepted subset.
    """
    if len(data) > MAX_PACK_BYTES:
        raise PackInvalid(at="/", reason="too_large")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        raise PackInvalid(at="/", reason="not_utf8") from None
    try:
        node = _document(_Events(yaml.parse(text, Loader=yaml.CSafeLoader)))
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = 0 if mark is None else int(mark.line) + 1
        raise PackInvalid(at=f"line {line}", reason="not_yaml") from None
    if not isinstance(node, dict):
        raise PackInvalid(at="/", reason="not_a_mapping")
    return node


class _Events:
    """The parser's events, with the bounds kept while they are drawn."""

    def __init__(self, source: Iterator[events.Event]) -> None:
        self._source = source
        self._count = 0

    def draw(self) -> events.Event:
        event = next(self._source)
        self._count += 1
        if self._count > _MAX_NODES:
            raise PackInvalid(at=_line(event), reason="too_many_values")
        if isinstance(event, events.AliasEvent) or getattr(event, "anchor", None) is not None:
            raise PackInvalid(at=_line(event), reason="anchor_or_alias")
        if getattr(event, "tag", None) is not None:
            raise PackInvalid(at=_line(event), reason="tag")
        return event


def _line(event: events.Event) -> str:
    mark = event.start_mark
    return f"line {0 if mark is None else mark.line + 1}"


def _document(stream: _Events) -> Node:
    """Draw the whole stream: exactly one document."""
    stream.draw()  # StreamStart
    opening = stream.draw()
    if not isinstance(opening, events.DocumentStartEvent):
        raise PackInvalid(at="/", reason="empty")
    node = _node(stream, stream.draw(), depth=1)
    stream.draw()  # DocumentEnd
    closing = stream.draw()
    if not isinstance(closing, events.StreamEndEvent):
        raise PackInvalid(at=_line(closing), reason="several_documents")
    return node


def _node(stream: _Events, event: events.Event, *, depth: int) -> Node:
    if depth > _MAX_DEPTH:
        raise PackInvalid(at=_line(event), reason="too_deep")
    if isinstance(event, events.ScalarEvent):
        return _scalar(event)
    if isinstance(event, events.SequenceStartEvent):
        return _sequence(stream, depth)
    return _mapping(stream, depth)


def _sequence(stream: _Events, depth: int) -> list[Node]:
    items: list[Node] = []
    while not isinstance(event := stream.draw(), events.SequenceEndEvent):
        items.append(_node(stream, event, depth=depth + 1))
    return items


def _mapping(stream: _Events, depth: int) -> dict[str, Node]:
    items: dict[str, Node] = {}
    while not isinstance(event := stream.draw(), events.MappingEndEvent):
        if not isinstance(event, events.ScalarEvent):
            raise PackInvalid(at=_line(event), reason="key_not_text")
        if event.value in items:
            raise PackInvalid(at=_line(event), reason="duplicate_key")
        items[event.value] = _node(stream, stream.draw(), depth=depth + 1)
    return items


def _scalar(event: events.ScalarEvent) -> Node:
    value: str = event.value
    if len(value) > _MAX_SCALAR_CHARS:
        raise PackInvalid(at=_line(event), reason="text_too_long")
    if not event.implicit[0]:  # it was quoted
        return value
    if value in ("true", "false"):
        return value == "true"
    if _INTEGER.fullmatch(value):
        return int(value)
    if value in ("", "~", "null"):
        raise PackInvalid(at=_line(event), reason="empty_value")
    return value
