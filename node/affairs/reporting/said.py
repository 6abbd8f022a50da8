"""What records say of returns: read from their bytes, before anything is folded."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from yidao.api.errors import YidaoError
from yidao.node.affairs.reporting import records
from yidao.node.affairs.reporting.records import ReturnKey
from yidao.node.affairs.reporting.rules import State, Step
from yidao.node.store.values import StoredRecord

HAND_INS = {
    records.SUBMITTED: State.SUBMITTED,
    records.REFUSED: State.REFUSED,
    records.RECORDED: State.RECORDED,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One record that concerns returns, with what it says of each of them."""

    item: StoredRecord
    steps: tuple["Said", ...] = ()
    key: ReturnKey | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What a record says of one version.

    Attributes:
        position, journal_pk, kind, speaker: Of the record that says it.
    """

    position: int
    journal_pk: int
    kind: str
    speaker: bytes
    key: ReturnKey
    origin: bytes
    record_id: bytes
    step: Step
    reviewed_by: str
    reason: str = ""
    faults: bytes | None = None

    @classmethod
    def of(
        cls,
        item: StoredRecord,
        object_id: str,
        origin: bytes,
        record_id: bytes,
        step: Step,
        reason: str = "",
        faults: bytes | None = None,
    ) -> "Said | None":
        """Say it in the name of a record; None if the object is no return."""
        key = ReturnKey.parse(object_id)
        if key is None:
            return None
        return cls(
            position=item.position,
            journal_pk=item.journal_pk,
            kind=item.header.kind,
            speaker=item.header.node_id,
            key=key,
            origin=origin,
            record_id=record_id,
            step=step,
            reviewed_by=item.header.actor,
            reason=reason,
            faults=faults,
        )


def keys_of(events: Sequence[Event]) -> set[ReturnKey]:
    """Give the returns that events are about."""
    keys = {said.key for event in events for said in event.steps}
    return keys | {event.key for event in events if event.key is not None}


def read_event(item: StoredRecord) -> Event | None:
    """Read a record; None if it is none of ours or has the wrong shape."""
    kind = item.header.kind
    try:
        if kind in HAND_INS:
            key = ReturnKey.parse(item.header.object_id)
            return None if key is None else Event(item=item, key=key)
        reader = _READERS.get(kind)
        return None if reader is None else Event(item=item, steps=reader(item))
    except YidaoError:
        return None


def _read_verdict(item: StoredRecord) -> tuple[Said, ...]:
    verdict = records.Verdict.decode(item.header.kind, item.parts.get("core"))
    return _one(item, verdict.origin, verdict.decision.step, verdict.reason)


def _read_withdrawal(item: StoredRecord) -> tuple[Said, ...]:
    withdrawal = records.Withdrawal.decode(item.parts.get("core"))
    return _one(item, item.header.node_id, Step.WITHDRAW, withdrawal.reason)


def _read_doubt(item: StoredRecord) -> tuple[Said, ...]:
    doubt = records.Doubt.decode(item.parts.get("core"))
    return _one(item, doubt.origin, Step.DOUBT, faults=records.encode_faults(doubt.faults))


def _one(
    item: StoredRecord, origin: bytes, step: Step, reason: str = "", faults: bytes | None = None
) -> tuple[Said, ...]:
    header = item.header
    if not header.causes:
        return ()
    said = Said.of(item, header.object_id, origin, header.causes[0], step, reason, faults)
    return () if said is None else (said,)


def _read_notices(item: StoredRecord) -> tuple[Said, ...]:
    to, core = item.journal.audience.to, item.parts.get("core")
    # A tier that a letter passes through cannot read it.
    if to is None or core is None:
        return ()
    found = []
    for notice in records.decode_notices(core):
        said = Said.of(
            item,
            notice.object_id,
            to,
            notice.record_id,
            notice.decision.step,
            notice.reason,
            records.encode_faults(notice.faults) if notice.faults else None,
        )
        if said is not None:
            found.append(said)
    return tuple(found)


_READERS: dict[str, Callable[[StoredRecord], tuple[Said, ...]]] = {
    records.ACCEPTED: _read_verdict,
    records.RETURNED: _read_verdict,
    records.WITHDRAWN: _read_withdrawal,
    records.DOUBTED: _read_doubt,
    records.NOTIFIED: _read_notices,
}
