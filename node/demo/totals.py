"""Sums figures straight from the records that leaves hold, as a check of every roll-up.

Plain decimals over the bytes of accepted returns: no roll-up code, no view, no
daemon takes part, so that an error there cannot hide here.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import Decimal

import orjson

from yidao.node.demo.audit import SUBMITTED, Holdings
from yidao.sync.record import decode_header

Cell = tuple[str, str]
"""Form and period."""


@dataclass(slots=True)
class Totals:
    """Counts and sums of returns, by form and period."""

    returns: dict[Cell, int] = field(default_factory=lambda: defaultdict(int))
    sums: dict[Cell, dict[str, Decimal]] = field(
        default_factory=lambda: defaultdict(lambda: defaultdict(Decimal))
    )


def accepted_totals(leaves: Iterable[Holdings], accepted: set[bytes]) -> Totals:
    """Sum the newest accepted version of every return of these leaves.

    Args:
        leaves: Stores of the nodes where returns originate.
        accepted: Record ids that their parent accepted.
    """
    newest: dict[tuple[str, bytes], tuple[int, Cell, bytes]] = {}
    for held in leaves:
        for (journal, seq), data in held.headers.items():
            if journal not in held.own:
                continue
            header = decode_header(data)
            if header.kind != SUBMITTED or header.record_id not in accepted:
                continue
            key = (header.object_id, header.node_id)
            if key not in newest or newest[key][0] < header.object_version:
                form = header.schema.rpartition("/")[2]
                body = held.parts[journal, seq, "core"]
                newest[key] = (header.object_version, (form, header.period), body)
    totals = Totals()
    for _, cell, body in newest.values():
        totals.returns[cell] += 1
        for name, value in orjson.loads(body).items():
            amount = _amount(value)
            if amount is not None:
                totals.sums[cell][name] += amount
    return totals


def _amount(value: object) -> Decimal | None:
    """A figure of a row: decimals are strings in rows, counts are integers."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return Decimal(value)
    if isinstance(value, str) and "." in value:
        try:
            return Decimal(value)
        except ArithmeticError:
            return None
    return None
