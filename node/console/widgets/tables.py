"""Tables that stay readable on a narrow screen: there, each row becomes a card."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from yidao.node.console.widgets.html import Tag

Cell = str | Callable[[], object]
"""A text, or what draws the cell."""


@contextmanager
def table(
    caption: str, headings: Sequence[str], *, numeric: frozenset[int] = frozenset()
) -> Iterator[Callable[..., None]]:
    """Draw a table; the value is called with the cells of each row.

    Args:
        caption: What it is a table of; read out first.
        headings: Of the columns.
        numeric: Columns of figures, from 0: set to the right.
    """
    with Tag("div", classes="scroll"), Tag("table", classes="cards"):
        Tag("caption", caption)
        with Tag("thead"), Tag("tr"):
            for number, heading in enumerate(headings):
                Tag("th", heading, scope="col", classes="number" if number in numeric else "")
        with Tag("tbody") as body:

            def row(*cells: Cell, classes: str = "") -> None:
                with body, Tag("tr", classes=classes):
                    for number, cell in enumerate(cells):
                        _cell(headings[number], cell, numeric=number in numeric)

            yield row


def _cell(heading: str, cell: Cell, *, numeric: bool) -> None:
    text = cell if isinstance(cell, str) else ""
    with Tag("td", text, data_label=heading, classes="number" if numeric else ""):
        if not isinstance(cell, str):
            cell()


def badge(text: str, kind: str) -> Tag:
    """A state in words, with a sign and a colour that say the same."""
    return Tag("span", text, classes=f"badge {kind}")
