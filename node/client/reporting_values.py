"""What the calls about due returns, totals taken apart and receipts give."""

from dataclasses import dataclass

from yidao.api.local.v1 import reporting_pb2
from yidao.node.client import convert
from yidao.node.client.frames import Table, Tabular, table_of, values_table
from yidao.node.client.values import FIGURE_KINDS, Frontier, ReturnInfo, Totals, figures


@dataclass(frozen=True, slots=True, kw_only=True)
class Withdrawn:
    """How many returns were taken back; everything up to `position` is durable."""

    withdrawn: int
    position: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Due:
    """A return that a unit owes.

    Attributes:
        due: ISO day, the last one on which it is in time.
        days_left: Negative when the day is over.
        state: `missing`, or that of the newest version: `refused`, `returned`, `withdrawn`.
        record_id: Of the newest version; empty if there is none.
    """

    pack: str
    form: str
    period: str
    unit: str
    unit_name: str
    due: str
    days_left: int
    state: str
    record_id: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class DuePage(Tabular):
    """One page, soonest first; `next` is to be given as `after`, empty on the last page."""

    due: tuple[Due, ...]
    next: str

    def table(self) -> Table:
        """Give a line a return that is due."""
        return values_table(Due, self.due)


@dataclass(frozen=True, slots=True, kw_only=True)
class Missing:
    """A unit that has not reported; `state` as in `Due`."""

    unit: str
    unit_name: str
    region_code: str
    origin_path: str
    state: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MissingPage(Tabular):
    """One page of units.

    Attributes:
        next: To be given as `after`; empty on the last page.
        units: All that are known at the node.
        reported: How many of them have reported; `units - reported` are missing.
    """

    missing: tuple[Missing, ...]
    next: str
    units: int
    reported: int

    def table(self) -> Table:
        """Give a line a unit."""
        return values_table(Missing, self.missing)


@dataclass(frozen=True, slots=True, kw_only=True)
class BreakDownRow:
    """One share of a roll-up.

    Attributes:
        key: A path, a code of a region or a type, or a unit.
        title: What people call it; may be empty.
    """

    key: str
    title: str
    totals: Totals


@dataclass(frozen=True, slots=True, kw_only=True)
class BreakDownPage(Tabular):
    """One page of a roll-up taken apart; the rows of all pages add up to it.

    Attributes:
        next: To be given as `after`; empty on the last page.
        position: The store's position that the figures are of. Pages of one
            position are of one state; another one means to begin again.
    """

    rows: tuple[BreakDownRow, ...]
    next: str
    position: int

    def table(self) -> Table:
        """Give a line a figure of each share."""
        kinds = {"key": str, "title": str, **FIGURE_KINDS}
        del kinds["scope"]
        return table_of(
            kinds,
            (
                {"key": row.key, "title": row.title, **figure}
                for row in self.rows
                for figure in figures("", row.totals)
            ),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ReturnReceipt:
    """What a printed receipt says of a return.

    Attributes:
        code: `XXXX-XXXX-XXXX-XXXX`, from `leaf_sha256`.
        about: The return as it stands now.
        leaf_sha256: RFC 6962 leaf hash of the record's header.
        frontier: Journal, size and root that it is sealed under.
        seq: Place of the record in the journal, from 0.
        created_ms: When it was handed in, Unix milliseconds.
        held_by: Paths of the nodes whose cosignatures stand on the checkpoint.
    """

    code: str
    about: ReturnInfo
    unit_name: str
    leaf_sha256: bytes
    frontier: Frontier
    seq: int
    created_ms: int
    held_by: tuple[str, ...]


def due(message: reporting_pb2.Due) -> Due:
    """Read what a unit owes."""
    return Due(
        pack=message.pack,
        form=message.form,
        period=message.period,
        unit=message.unit,
        unit_name=message.unit_name,
        due=message.due,
        days_left=message.days_left,
        state=message.state,
        record_id=message.record_id,
    )


def missing(message: reporting_pb2.Missing) -> Missing:
    """Read a unit that has not reported."""
    return Missing(
        unit=message.unit,
        unit_name=message.unit_name,
        region_code=message.region_code,
        origin_path=message.origin_path,
        state=message.state,
    )


def break_down_row(message: reporting_pb2.BreakDownRow) -> BreakDownRow:
    """Read a share of a roll-up."""
    return BreakDownRow(key=message.key, title=message.title, totals=convert.totals(message.totals))


def receipt(message: reporting_pb2.Receipt) -> ReturnReceipt:
    """Read a receipt."""
    return ReturnReceipt(
        code=message.code,
        about=convert.return_info(message.about),
        unit_name=message.unit_name,
        leaf_sha256=message.leaf_sha256,
        frontier=convert.frontier(message.frontier),
        seq=message.seq,
        created_ms=message.created_ms,
        held_by=tuple(message.held_by),
    )
