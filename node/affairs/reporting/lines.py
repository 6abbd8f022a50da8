"""Versions of returns while a batch is folded: loaded, moved, written back."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Any, Final

from sqlalchemy import Connection, Row

from yidao.node.affairs.reporting.records import ReturnKey
from yidao.node.affairs.reporting.rules import (
    Counted,
    State,
    Step,
    Version,
    admit,
    apply_step,
    counted,
    evolve,
    unsuperseded,
)
from yidao.node.affairs.reporting.tables import return_version
from yidao.node.store.rawsql import fetch, run_many

# Where a column's value stands in a line, if not under the column's own name.
_PLACE: Final = {
    "state": "state.value",
    **{name: f"key.{name}" for name in ("pack", "form", "period", "unit")},
}
_ALL = tuple(column.name for column in return_version.columns)
_JUDGED = (
    "state",
    "excluded",
    "faults",
    "reviewed_by",
    "reason",
    "withdrawn_by",
    "withdrawn_reason",
)
_FIGURES = ("payload", "digest")


def _setting(names: Sequence[str]) -> str:
    assignments = ", ".join(f"{name} = ?" for name in names)
    return f"UPDATE return_version SET {assignments} WHERE position = ?"  # noqa: S608 (own names)


# One row a return at every tier: an expression a row costs more than the row itself.
_PLACES = ", ".join("?" for _ in _ALL)
_INSERT = f"INSERT INTO return_version ({', '.join(_ALL)}) VALUES ({_PLACES})"  # noqa: S608
_SELECT = (
    f"SELECT {', '.join(_ALL)} FROM return_version"  # noqa: S608 (own names)
    " WHERE pack = ? AND form = ? AND period = ? AND unit IN "
)
_UNITS_AT_ONCE: Final = 500
_JUDGE = _setting(_JUDGED)
_FILL = _setting(_FIGURES)


@dataclass(slots=True, kw_only=True, eq=False)
class Line:
    """One row of `return_version`; the same object all through a batch.

    Attributes:
        fresh: It is not in the table yet.
        changed: It is in the table and differs from it.
        filled: Its figures have come with the acceptance.
    """

    key: ReturnKey
    position: int
    journal_pk: int
    seq: int
    version: int
    state: State
    pack_version: str
    schema_sha256: bytes
    origin: bytes
    origin_path: str
    record_id: bytes
    submitted_by: str
    created_ms: int
    payload: bytes | None
    digest: bytes | None
    excluded: str = ""
    faults: bytes | None = None
    reviewed_by: str = ""
    reason: str = ""
    withdrawn_by: str = ""
    withdrawn_reason: str = ""
    leaf: bytes = b""
    fresh: bool = False
    changed: bool = False
    filled: bool = False

    @property
    def is_summable(self) -> bool:
        """Whether its figures belong into sums."""
        return self.payload is not None and not self.excluded and self.state is not State.DOUBTFUL


def line_of(row: Row[Any]) -> Line:
    """Read a row that begins with the columns of the table."""
    return _line(row[: len(_ALL)])


def _line(row: Sequence[Any]) -> Line:
    (
        position,
        journal_pk,
        seq,
        pack,
        form,
        period,
        unit,
        version,
        state,
        pack_version,
        schema_sha256,
        origin,
        origin_path,
        record_id,
        submitted_by,
        created_ms,
        payload,
        digest,
        excluded,
        faults,
        reviewed_by,
        reason,
        withdrawn_by,
        withdrawn_reason,
        leaf,
    ) = row
    return Line(
        key=ReturnKey(pack=pack, form=form, period=period, unit=unit),
        position=position,
        journal_pk=journal_pk,
        seq=seq,
        version=version,
        state=State(state),
        pack_version=pack_version,
        schema_sha256=bytes(schema_sha256),
        origin=bytes(origin),
        origin_path=origin_path,
        record_id=bytes(record_id),
        submitted_by=submitted_by,
        created_ms=created_ms,
        payload=None if payload is None else bytes(payload),
        digest=None if digest is None else bytes(digest),
        excluded=excluded,
        faults=None if faults is None else bytes(faults),
        reviewed_by=reviewed_by,
        reason=reason,
        withdrawn_by=withdrawn_by,
        withdrawn_reason=withdrawn_reason,
        leaf=bytes(leaf),
    )


@dataclass(slots=True)
class Book:
    """All versions of one return.

    Versions of different origins never supersede each other: the object has
    one owner, and which of two claimants that is, is not settled by a return.
    """

    lines: list[Line] = field(default_factory=list)

    def add(self, line: Line) -> None:
        """Add a version that was just handed in."""
        mine = self._of_origin(line.origin)
        if mine:
            _take_over(mine, admit([version_of(other) for other in mine], version_of(line)))
        self.lines.append(line)

    def find(self, origin: bytes, record_id: bytes) -> Line | None:
        """Give the version that a record made."""
        for line in self.lines:
            if line.record_id == record_id and line.origin == origin:
                return line
        return None

    def step(self, line: Line, step: Step) -> None:
        """Move a version, and those that its step supersedes.

        Raises:
            ReturnStateWrong: The state does not allow it; nothing changes.
        """
        mine = self._of_origin(line.origin)
        if len(mine) == 1:
            # Nearly every return has one version, and nothing to supersede.
            line.state = evolve(line.state, step)
            line.changed = True
            return
        versions = [version_of(other) for other in mine]
        _take_over(mine, apply_step(versions, line.position, step))

    def revoke(self, positions: Collection[int]) -> None:
        """Take versions back for good; what only they had superseded stands as before."""
        taken = [line for line in self.lines if line.position in positions]
        for line in taken:
            line.state, line.changed = evolve(line.state, Step.REVOKE), True
        for origin in {line.origin for line in taken}:
            mine = self._of_origin(origin)
            free = unsuperseded([version_of(line) for line in mine])
            for line in sorted(mine, key=lambda line: (line.version, line.position), reverse=True):
                if line.position in free:
                    line.state, line.changed = _before(line), True
                if line.state is State.ACCEPTED:
                    break

    def _of_origin(self, origin: bytes) -> list[Line]:
        return [line for line in self.lines if line.origin == origin]

    def forget_exclusions(self) -> None:
        """Let only a line that counts keep the reason why it is in no sum.

        Otherwise the reason would tell which versions happened to count at the
        end of a batch, and a rebuild has other batches.
        """
        if not any(line.excluded for line in self.lines):
            return
        chosen = self.counted()
        for line in self.lines:
            counts = line.position in {chosen.submitted, chosen.accepted}
            if line.excluded and (line.state is State.DOUBTFUL or not counts):
                line.excluded = ""
                line.changed = True

    def counted(self) -> Counted:
        """Choose what stands in the totals."""
        return counted([version_of(line) for line in self.lines])


def _before(line: Line) -> State:
    """Give the state from which a version was superseded, by what was said of it."""
    if line.reviewed_by:
        return State.ACCEPTED
    if line.withdrawn_by:
        return State.WITHDRAWN
    return State.DOUBTFUL if line.faults is not None else State.SUBMITTED


def _take_over(lines: Sequence[Line], after: Sequence[Version]) -> None:
    # `after` may end with a version that has no line yet.
    for line, version in zip(lines, after, strict=False):
        if line.state is not version.state:
            line.state = version.state
            line.changed = True


def version_of(line: Line) -> Version:
    """Give what decisions need of a line."""
    return Version(number=line.version, position=line.position, state=line.state)


def load_books(conn: Connection, keys: Iterable[ReturnKey]) -> dict[ReturnKey, Book]:
    """Read all versions of some returns; a return without any has an empty book."""
    books: dict[ReturnKey, Book] = {}
    groups: dict[tuple[str, str, str], set[str]] = defaultdict(set)
    for key in keys:
        books.setdefault(key, Book())
        groups[key.pack, key.form, key.period].add(key.unit)
    for place, units in groups.items():
        # In the order of the index: neighbours share its pages.
        ordered = sorted(units)
        for start in range(0, len(ordered), _UNITS_AT_ONCE):
            some = ordered[start : start + _UNITS_AT_ONCE]
            marks = ", ".join("?" * len(some))
            for row in fetch(conn, f"{_SELECT}({marks})", (*place, *some)):
                line = _line(row)
                books[line.key].lines.append(line)
    for book in books.values():
        if len(book.lines) > 1:
            book.lines.sort(key=lambda line: line.position)
    return books


def save_lines(conn: Connection, lines: Sequence[Line]) -> None:
    """Write new and changed versions."""
    _write(conn, _INSERT, [line for line in lines if line.fresh], _ALL)
    held = [line for line in lines if not line.fresh]
    _write(conn, _JUDGE, [line for line in held if line.changed], (*_JUDGED, "position"))
    _write(conn, _FILL, [line for line in held if line.filled], (*_FIGURES, "position"))


def _write(conn: Connection, statement: str, lines: Sequence[Line], names: Sequence[str]) -> None:
    if lines:
        values = attrgetter(*(_PLACE.get(name, name) for name in names))
        run_many(conn, statement, [values(line) for line in lines])
