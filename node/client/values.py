"""What the client takes and gives, as values."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Self

from yidao.node.client.frames import Cell, Table, Tabular, table_of
from yidao.node.client.returnframes import TypedReturns, returns_table
from yidao.node.client.trust import Expiry


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed:
    """Where a record came to lie.

    Attributes:
        position: The node's store position.
        repeat: The same had been appended before; this is its first place.
    """

    position: int
    record_id: bytes
    repeat: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class PackInfo:
    """One published version of a pack; `unusable` is an error code, or empty."""

    id: str
    version: str
    valid_from: str
    valid_to: str
    sha256: bytes
    published_by: str
    forms: tuple[str, ...]
    unusable: str


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitInfo:
    """One unit of the registry."""

    unit: str
    name: str
    region_code: str
    inst_type: str
    origin_path: str
    version: int
    record_id: bytes
    contested: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One row of a form.

    Attributes:
        row: The caller's own number, echoed in the result.
        period: `2025-Q2`, `2025-07`; empty for a registry form.
        payload: JSON bytes of one flat object; decimals are strings.
        attachment: One file of at most 256 KiB.
        causes: Ids of records that this row is derived from.
        key: Your own key of this row, `erp-2025-0001`: once the row was taken, the
            same key with the same row changes nothing and gives the first result.
    """

    row: int
    form: str
    payload: bytes
    period: str = ""
    attachment: bytes = b""
    causes: tuple[bytes, ...] = ()
    key: str = ""

    @classmethod
    def of(
        cls,
        form: str,
        cells: Mapping[str, str | int | bool | Decimal],
        *,
        period: str = "",
        key: str = "",
        row: int = 1,
        attachment: bytes = b"",
    ) -> Self:
        """Make a row of values by field name.

        Raises:
            TypeError: A value is of another type. A float is none of them: it is
                not the figure that it shows.
        """
        for name, value in cells.items():
            if not isinstance(value, str | int | Decimal):
                wrong = f"{name}: give a str, int, bool or Decimal, not {type(value).__name__}"
                raise TypeError(wrong)
        plain = {name: str(v) if isinstance(v, Decimal) else v for name, v in cells.items()}
        payload = json.dumps(plain, ensure_ascii=False).encode()
        return cls(
            row=row, form=form, period=period, payload=payload, key=key, attachment=attachment
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class RowFault:
    """One thing wrong with a row, in Chinese and English."""

    field: str
    rule: str
    code: str
    severity: str
    zh: str
    en: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RowResult:
    """What became of a row: `submitted`, `recorded`, `refused`, `unchanged`, `valid` (dry run).

    Attributes:
        repeat: This very row was taken before under its key; nothing was done now.
    """

    row: int
    outcome: str
    faults: tuple[RowFault, ...]
    record_id: bytes
    version: int
    repeat: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Submitted(Tabular):
    """Results in the order of the rows; everything up to `position` is durable."""

    results: tuple[RowResult, ...]
    position: int

    def table(self) -> Table:
        """Give a line a row; `faults` holds their codes."""
        kinds = {"row": int, "outcome": str, "version": int, "record_id": str, "faults": str}
        return table_of(
            kinds,
            (
                {
                    "row": each.row,
                    "outcome": each.outcome,
                    "version": each.version,
                    "record_id": each.record_id.hex(),
                    "faults": " ".join(fault.code for fault in each.faults),
                }
                for each in self.results
            ),
        )

    def count(self, outcome: str) -> int:
        """Count the rows with an outcome."""
        return sum(result.outcome == outcome for result in self.results)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReturnInfo:
    """One version of a return.

    Attributes:
        payload: Empty where its part has not come.
        created_ms: When it was handed in, Unix milliseconds.
        withdrawn_by, withdrawn_reason: Who took it back and why; they stand also
            where the verdict came first and holds.
        unit_name: As the node's registry has it; empty where it does not know the unit.
    """

    key: str
    form: str
    period: str
    unit: str
    version: int
    state: str
    record_id: bytes
    pack_version: str
    origin_path: str
    submitted_by: str
    reviewed_by: str
    reason: str
    faults: tuple[RowFault, ...]
    payload: bytes
    pack: str = ""
    created_ms: int = 0
    withdrawn_by: str = ""
    withdrawn_reason: str = ""
    unit_name: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReturnPage(Tabular):
    """One page of returns; `next` is to be given as `after`, empty on the last page."""

    returns: tuple[ReturnInfo, ...]
    next: str

    def table(self) -> Table:
        """Give a line a return, its figures as they came: decimals are texts (see `typed`)."""
        return returns_table(self.returns, {})

    def typed(self, pack: bytes) -> TypedReturns:
        """Give the page with its figures as numbers, by the standard that says what they are.

        Raises:
            PackInvalid: The bytes are no pack.
        """
        return TypedReturns(returns=self.returns, pack=pack)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reviewed:
    """How many returns got the verdict, and how many of the same choice still wait."""

    reviewed: int
    left: int
    position: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Totals:
    """The figures of one scope; `summed` of the `returns` are in `fields`."""

    returns: int
    summed: int
    fields: Mapping[str, str]
    indicators: Mapping[str, str]


#: Columns of figures, one a line.
FIGURE_KINDS: Mapping[str, type] = {
    "scope": str,
    "kind": str,
    "name": str,
    "code": str,
    "value": Decimal,
}


def figures(scope: str, totals: Totals) -> Iterator[dict[str, Cell]]:
    """Give the figures of totals one by one; one of a histogram has its code."""
    yield _figure(scope, "returns", "returns", str(totals.returns))
    for name, value in sorted(totals.fields.items()):
        yield _figure(scope, "field", name, value)
    for name, value in sorted(totals.indicators.items()):
        yield _figure(scope, "indicator", name, value)


def _figure(scope: str, kind: str, name: str, value: str) -> dict[str, Cell]:
    field, _, code = name.partition("=")
    return {"scope": scope, "kind": kind, "name": field, "code": code, "value": Decimal(value)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Frontier:
    """A journal, named by its checkpoint origin, with the size and root that count."""

    origin: str
    size: int
    root: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class RollUp(Tabular):
    """Totals of one form and period, and what they come from."""

    submitted: Totals
    accepted: Totals
    frontiers: tuple[Frontier, ...]
    position: int

    def table(self) -> Table:
        """Give a line a figure: scope, `returns`, `field` or `indicator`, name, code, value."""
        scopes = (("submitted", self.submitted), ("accepted", self.accepted))
        return table_of(
            FIGURE_KINDS, (line for scope, totals in scopes for line in figures(scope, totals))
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class EnergyTarget:
    """A figure that a target of a directive must reach; decimals are strings."""

    target: str
    year: int
    indicator: str
    base_year: int = 0
    base_value: str = ""
    change_percent: str = ""
    cap_value: str = ""
    binding: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Issued:
    """The directive's object name, and where its record lies."""

    directive: str
    position: Placed


@dataclass(frozen=True, slots=True, kw_only=True)
class DirectiveInfo:
    """A directive and this node's own state in it: `issued` at the issuer."""

    directive: str
    number: str
    title: str
    body: str
    issuer: str
    due: str
    targets: tuple[str, ...]
    energy_targets: tuple[EnergyTarget, ...]
    parent_directive: str
    state: str
    expires: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class TreeNode:
    """One target's state and, below it, the targets that it passed the directive on to."""

    path: str
    directive: str
    state: str
    actor: str
    percent: int
    note: str
    passed_on: tuple["TreeNode", ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """A node at the other end of a link."""

    node_id: bytes
    path: str
    role: str
    state: str
    lag: int
    last_seen_ms: int
    next_retry_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """Something that a person should look at; the text is formed from code and params."""

    code: str
    params: Mapping[str, str]
    first_ms: int
    last_ms: int
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """Health of the node.

    Attributes:
        office_name: What people call the office; empty if nobody said.
        test_network: Whether the network is for trying things out.
        certificate_until_ms: When the node's own certificate ends.
        parent_error: Why the last dial to the parent failed; empty if it did not.
        expiries: Everything there that ends by a date, the next first.
    """

    network: bytes
    node_id: bytes
    path: str
    epoch: str
    state: str
    last_position: int
    applied_position: int
    records: int
    peers: tuple[Peer, ...]
    problems: tuple[Problem, ...]
    journals: tuple[Frontier, ...]
    durability: str
    version: str
    receipts_current: int
    receipts_expected: int
    office_name: str = ""
    test_network: bool = False
    certificate_until_ms: int = 0
    parent_error: str = ""
    expiries: tuple[Expiry, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeInfo:
    """A node of the subtree, as it is known.

    Attributes:
        state: `self`, `connected`, `connecting`, `lost`, `never`, or `unknown` where
            nobody answered.
        lag_down: Records of its parent that wait for it.
        lag_up: Records of its own that wait for its parent.
        last_seen_ms: When its parent heard of it last; 0 if unknown.
        next_retry_ms: When it dials its parent next; 0 when connected or unknown.
        problems: How many problems it has open.
        as_of_ms: When this was known; 0 if never.
    """

    path: str
    node_id: bytes
    state: str
    lag_down: int
    lag_up: int
    last_seen_ms: int
    next_retry_ms: int
    problems: int
    as_of_ms: int
    version: str
    office_name: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RebuiltTable:
    """A table before and after it was folded again."""

    table: str
    rows: int
    equal: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Rebuilt:
    """What a rebuild came to."""

    tables: tuple[RebuiltTable, ...]

    @property
    def equal(self) -> bool:
        """Whether every table is what it was."""
        return all(table.equal for table in self.tables)


@dataclass(frozen=True, slots=True, kw_only=True)
class JournalCut:
    """What of one journal stays valid: its first `size` records."""

    channel: str
    epoch: str
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Revoked:
    """Who was revoked, and from where on: a journal that is not in `cut` counts for nothing."""

    node_id: bytes
    path: str
    cut: tuple[JournalCut, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Verified:
    """What a walk over the whole store found."""

    records: int
    problems: tuple[Problem, ...]
