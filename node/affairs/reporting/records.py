"""Kinds and payloads of the reporting affair."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import NamedTuple, Self

from yidao.node.affairs.cores import Core, Json, encode_core
from yidao.node.affairs.reporting.rules import Decision

SUBMITTED = "reporting.return.submitted"
REFUSED = "reporting.return.refused"
RECORDED = "reporting.ledger.recorded"
DOUBTED = "reporting.return.doubted"
ACCEPTED = "reporting.return.accepted"
RETURNED = "reporting.return.returned"
WITHDRAWN = "reporting.return.withdrawn"
NOTIFIED = "reporting.review.notified"

#: Bulk, to the root: what is handed in, and the verdicts that release its parts.
UP_CHANNEL = "up:15"
LOCAL_CHANNEL = "local"

#: Stands for the period where a form has none, in object names only.
NO_PERIOD = "none"

_UNIT = re.compile(r"[0-9A-Z]{18}")
_NAME = re.compile(r"[a-z][a-z0-9_]{0,62}")
_PERIOD = re.compile(r"[0-9]{4}(?:-(?:Q[1-4]|0[1-9]|1[0-2]))?")
_MAX_FAULTS = 100


class ReturnKey(NamedTuple):
    """What a return is: which unit hands in which form of which pack for which period."""

    pack: str
    form: str
    period: str
    unit: str

    @property
    def object_id(self) -> str:
        """The object name in headers, `return/<pack>/<form>/<period>/<unit>`."""
        return f"return/{self.pack}/{self.form}/{self.period or NO_PERIOD}/{self.unit}"

    def of_form(self, form: str) -> "ReturnKey":
        """Give the key of another form of the same unit and period."""
        return ReturnKey(pack=self.pack, form=form, period=self.period, unit=self.unit)

    def of_period(self, period: str) -> "ReturnKey":
        """Give the key of another period of the same form and unit."""
        return ReturnKey(pack=self.pack, form=self.form, period=period, unit=self.unit)

    @classmethod
    def parse(cls, object_id: str) -> Self | None:
        """Read an object name; None if it is no return's."""
        pieces = object_id.split("/")
        if len(pieces) != 5 or pieces[0] != "return":
            return None
        _, pack, form, period, unit = pieces
        if _NAME.fullmatch(pack) is None or _NAME.fullmatch(form) is None:
            return None
        known = "" if period == NO_PERIOD else period
        return cls(pack=pack, form=form, period=known, unit=unit)


def keyed_id(author: str, key: str) -> bytes:
    """Give the record id of a row that carries its author's own key.

    16 bytes of SHA-256 over `yidao row key 1`, author and key, each ended by a
    line feed, marked as UUID version 8 (RFC 9562, section 5.8).
    """
    digest = bytearray(sha256(f"yidao row key 1\n{author}\n{key}\n".encode()).digest()[:16])
    digest[6] = 0x80 | digest[6] & 0x0F
    digest[8] = 0x80 | digest[8] & 0x3F
    return bytes(digest)


def raw_digest(payload: bytes) -> bytes:
    """Give the digest that recognises a row which was refused, as its record keeps it."""
    return sha256(readable(payload)).digest()


def readable(payload: bytes) -> bytes:
    """Give the payload as a refusal keeps it: what is no UTF-8 becomes a replacement sign."""
    return payload.decode("utf-8", errors="replace").encode()


def named_unit(unit: object) -> str:
    """Give the unit as it may stand in a header, or empty if it is no 18-character code."""
    return unit if isinstance(unit, str) and _UNIT.fullmatch(unit) else ""


def refused_key(pack: str, form: str, period: str, unit: object, payload: bytes) -> ReturnKey:
    """Give the key of a refused row, also of one whose own names cannot stand in a header.

    A row without a usable unit is known by its content, so that the same row
    handed in again is recognised.
    """
    return ReturnKey(
        pack=pack,
        form=form if _NAME.fullmatch(form) else "unknown",
        period=period if not period or _PERIOD.fullmatch(period) else "unknown",
        unit=named_unit(unit) or f"row-{sha256(payload).hexdigest()[:16]}",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultNote:
    """One fault of a row as records keep it: found once, shown everywhere in the same words."""

    field: str
    rule: str
    code: str
    severity: str
    zh: str
    en: str


def encode_faults(faults: Sequence[FaultNote]) -> bytes:
    """Write faults for a view's column, at most 100."""
    return encode_core({"faults": _fault_list(faults)})


def decode_faults(data: bytes | None) -> tuple[FaultNote, ...]:
    """Read the faults of a core part or of a view's column; None gives none.

    Raises:
        CoreMalformed: Another shape.
    """
    return _faults_of(Core.decode(data)) if data is not None else ()


def _fault_list(faults: Sequence[FaultNote]) -> list[Mapping[str, Json]]:
    return [
        {
            "field": fault.field,
            "rule": fault.rule,
            "code": fault.code,
            "severity": fault.severity,
            "zh": fault.zh,
            "en": fault.en,
        }
        for fault in faults[:_MAX_FAULTS]
    ]


def _faults_of(core: Core) -> tuple[FaultNote, ...]:
    return tuple(
        FaultNote(
            field=item.text("field"),
            rule=item.text("rule"),
            code=item.text("code"),
            severity=item.text("severity"),
            zh=item.text("zh"),
            en=item.text("en"),
        )
        for item in core.cores("faults")
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """Core of `reporting.return.refused`: the row as it came, and what is wrong with it."""

    payload: bytes
    faults: tuple[FaultNote, ...]

    def encode(self) -> bytes:
        """Write the core part."""
        text = readable(self.payload).decode()
        return encode_core({"payload": text, "faults": _fault_list(self.faults)})

    @classmethod
    def decode(cls, data: bytes | None) -> Self:
        """Read the core part; raises `CoreMalformed`."""
        core = Core.decode(data)
        return cls(payload=core.text("payload").encode(), faults=_faults_of(core))


@dataclass(frozen=True, slots=True, kw_only=True)
class Doubt:
    """Core of `reporting.return.doubted`: what the parent found wrong with a child's return."""

    origin: bytes
    faults: tuple[FaultNote, ...]

    def encode(self) -> bytes:
        """Write the core part."""
        return encode_core({"origin": self.origin.hex(), "faults": _fault_list(self.faults)})

    @classmethod
    def decode(cls, data: bytes | None) -> Self:
        """Read the core part; raises `CoreMalformed`."""
        core = Core.decode(data)
        return cls(origin=core.id16("origin"), faults=_faults_of(core))


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """Core of `reporting.return.accepted` and `.returned`.

    Attributes:
        origin: Node id of the return's origin: record ids are unique only per origin.
    """

    origin: bytes
    decision: Decision
    reason: str

    def encode(self) -> bytes:
        """Write the core part."""
        return encode_core(
            {
                "origin": self.origin.hex(),
                "decision": self.decision.value,
                "reason": self.reason,
            }
        )

    @classmethod
    def decode(cls, kind: str, data: bytes | None) -> Self:
        """Read the core part of a record of that kind; raises `CoreMalformed`."""
        core = Core.decode(data)
        return cls(
            origin=core.id16("origin"),
            decision=Decision.ACCEPT if kind == ACCEPTED else Decision.RETURN,
            reason=core.text("reason"),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Withdrawal:
    """Core of `reporting.return.withdrawn`: why the origin takes the return back."""

    reason: str

    def encode(self) -> bytes:
        """Write the core part."""
        return encode_core({"reason": self.reason})

    @classmethod
    def decode(cls, data: bytes | None) -> Self:
        """Read the core part; raises `CoreMalformed`."""
        return cls(reason=Core.decode(data).text("reason"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """One line of `reporting.review.notified`: what became of one of the child's returns.

    Attributes:
        faults: What the parent found wrong with it, so that the clerk sees all at once.
    """

    record_id: bytes
    object_id: str
    decision: Decision
    reason: str
    faults: tuple[FaultNote, ...] = ()


def encode_notices(notices: Sequence[Notice]) -> bytes:
    """Write the core of `reporting.review.notified`.

    The reason is written once where it is the same for all, since one review
    gives one reason: 500 lines stay small.
    """
    reasons = {notice.reason for notice in notices}
    shared = reasons.pop() if len(reasons) == 1 else ""
    return encode_core(
        {
            "reason": shared,
            "reviews": [
                {
                    "record": notice.record_id.hex(),
                    "object": notice.object_id,
                    "decision": notice.decision.value,
                    "reason": "" if shared else notice.reason,
                    "faults": _fault_list(notice.faults),
                }
                for notice in notices
            ],
        }
    )


def decode_notices(data: bytes | None) -> tuple[Notice, ...]:
    """Read the core of `reporting.review.notified`; raises `CoreMalformed`."""
    core = Core.decode(data)
    shared = core.text("reason")
    return tuple(
        Notice(
            record_id=item.id16("record"),
            object_id=item.text("object"),
            decision=(
                Decision.ACCEPT
                if item.text("decision") == Decision.ACCEPT.value
                else Decision.RETURN
            ),
            reason=item.text("reason") or shared,
            faults=_faults_of(item),
        )
        for item in core.cores("reviews")
    )
