"""A question's answer as a stream of items."""

from collections.abc import Iterator

import pytest

from yidao.node.client import NodeUnreachable, QueryRow
from yidao.node.gateway.routes.query import Answer

ROW = QueryRow(cells={"unit": "甲"}, path="/33", cached=False)


class Rows:
    """Gives one row, then what a call gives that was ended."""

    def __init__(self, *, fails: bool) -> None:
        self.closed = False
        self._fails = fails

    def __iter__(self) -> Iterator[QueryRow]:
        yield ROW
        if self._fails:
            raise NodeUnreachable(socket="local.sock")

    def close(self) -> None:
        self.closed = True


def test_the_end_is_one_more_item() -> None:
    """After the rows the stream itself, which says what became of the nodes, and no more."""
    rows = Rows(fails=False)
    answer = Answer(rows)  # type: ignore[arg-type]
    assert [next(answer), next(answer)] == [ROW, rows]
    for _ in range(2):
        with pytest.raises(StopIteration):
            next(answer)


def test_an_error_is_told_unless_nobody_listens() -> None:
    """A caller who left has ended the call: that is no error of anybody."""
    answer = Answer(Rows(fails=True))  # type: ignore[arg-type]
    assert next(answer) == ROW
    with pytest.raises(NodeUnreachable):
        next(answer)
    rows = Rows(fails=True)
    left = Answer(rows)  # type: ignore[arg-type]
    assert next(left) == ROW
    left.close()
    with pytest.raises(StopIteration):
        next(left)
    assert rows.closed
