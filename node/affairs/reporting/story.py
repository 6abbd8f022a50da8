"""What the evidence of a return tells: its records put together, and refused if they do not belong.

Each record was proved by itself before; here is judged who may have said what.
Made from verified bytes alone, with no store and no clock, so that whoever has
the root certificate comes to the same story.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Final

from yidao.api.errors import YidaoError
from yidao.catalog.pack.loader import load_pack
from yidao.catalog.pack.model import Pack, Value
from yidao.catalog.rows import parse_row
from yidao.node.affairs.registry import records as registry
from yidao.node.affairs.registry.rules import entry_of
from yidao.node.affairs.reporting import records
from yidao.node.affairs.reporting.records import ReturnKey
from yidao.node.affairs.reporting.rules import Decision
from yidao.node.affairs.signoff import records as signoff_records
from yidao.node.affairs.signoff.told import SignoffTold, read_signoffs
from yidao.node.affairs.standards import records as standards
from yidao.sync.enrolment import Enrolment
from yidao.sync.errors import EvidenceIncomplete, EvidenceMismatch
from yidao.sync.evidencefiles import ProvenRecord
from yidao.sync.evidencerevocations import RevocationState
from yidao.sync.ids import NetworkId
from yidao.sync.returnevidence import ReturnEvidence

_HAND_IN_CHANNELS: Final = {
    records.SUBMITTED: records.UP_CHANNEL,
    records.REFUSED: records.LOCAL_CHANNEL,
    records.RECORDED: records.LOCAL_CHANNEL,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionTold:
    """One version of the return.

    Attributes:
        row: Its figures; None where they were not given, or are no row.
    """

    record: ProvenRecord
    row: Mapping[str, Value] | None

    @property
    def number(self) -> int:
        """Which version it is, from 1."""
        return self.record.header.object_version

    @property
    def record_id(self) -> bytes:
        """What verdicts and withdrawals name it by."""
        return self.record.header.record_id


@dataclass(frozen=True, slots=True, kw_only=True)
class SaidTold:
    """What was said of one version.

    Attributes:
        decision: None for a withdrawal.
        by_letter: The parent's letter to the origin says so, and not the verdict itself.
        others: How many other returns that letter tells of.
    """

    record: ProvenRecord
    version: VersionTold
    decision: Decision | None
    reason: str
    by_letter: bool = False
    others: int = 0


@dataclass(slots=True, kw_only=True)
class Story:
    """A return as its evidence tells it.

    Attributes:
        chain: From the root to the node that handed the return in.
        said: Verdicts, withdrawals and letters, in the order of their times.
        unit_name: As registered; empty where the file holds no registration.
        packs: By the digest that versions name, with the record that published it.
        signoffs: By the header of a version, who signed it off.
        revocations: What the file says of revocations; None where it says nothing.
    """

    network: NetworkId
    chain: tuple[Enrolment, ...]
    key: ReturnKey
    versions: tuple[VersionTold, ...]
    said: list[SaidTold] = field(default_factory=list)
    registration: ProvenRecord | None = None
    unit_name: str = ""
    packs: dict[bytes, tuple[Pack, ProvenRecord]] = field(default_factory=dict)
    signoffs: Mapping[bytes, SignoffTold] = field(default_factory=dict)
    revocations: RevocationState | None = None

    @property
    def origin(self) -> Enrolment:
        """The node that handed the return in."""
        return self.chain[-1]

    @property
    def newest(self) -> VersionTold:
        """The version with the highest number."""
        return self.versions[-1]

    def signoff_of(self, version: VersionTold) -> SignoffTold | None:
        """Give who signed a version off; None if the file does not say."""
        return self.signoffs.get(version.record.raw)

    def said_of(self, version: VersionTold) -> tuple[SaidTold, ...]:
        """Give what was said of a version."""
        return tuple(each for each in self.said if each.version is version)

    def verdict_on(self, version: VersionTold) -> SaidTold | None:
        """Give the parent's verdict on a version, the first; None if the file holds none."""
        found = [each for each in self.said_of(version) if each.decision is not None]
        # The verdict itself rather than a letter about it; of two, the first stands.
        return min(found, key=lambda each: (each.by_letter, each.record.seq), default=None)

    def withdrawal_of(self, version: VersionTold) -> SaidTold | None:
        """Give the origin's withdrawal of a version; None if the file holds none."""
        return next((each for each in self.said_of(version) if each.decision is None), None)

    def pack_of(self, version: VersionTold) -> Pack | None:
        """Give the pack by which a version was judged; None if the file does not hold it."""
        found = self.packs.get(version.record.header.schema_sha256)
        return None if found is None else found[0]


def read_story(evidence: ReturnEvidence) -> Story:
    """Put the records of a return together.

    1. There are versions of exactly one return, by the last node of the chain, each
       in the journal for its kind, and their headers name that return alike.
    2. Verdicts are of that node's direct parent, withdrawals of the node itself,
       both in journals that go to the root; each names a version that is here.
    3. Letters are of the parent to that node, and have a line on a version here.
    4. The registration is of the unit, by that node; a pack is the root's, is one
       that a version names, and is the bytes that its header names.
    5. Sign-offs are as `read_signoffs` judges them.
    6. Nothing else is here.

    Raises:
        EvidenceMismatch: A record does not belong to the return.
        EvidenceIncomplete: No version, or a part that a record needs.
        YidaoError: A core part or a pack that cannot be read.
    """
    story = _begin(evidence)
    story.signoffs = read_signoffs(evidence, [each.record for each in story.versions])
    for record in evidence.records:
        kind = record.header.kind
        if kind in _HAND_IN_CHANNELS or kind in signoff_records.ALL:
            continue
        if kind in {records.ACCEPTED, records.RETURNED}:
            _add_verdict(story, record)
        elif kind == records.WITHDRAWN:
            _add_withdrawal(story, record)
        elif kind == records.NOTIFIED:
            _add_letter(story, record)
        elif kind == registry.REGISTERED:
            _add_registration(story, record)
        elif kind == standards.PUBLISHED:
            _add_pack(story, record)
        else:
            raise EvidenceMismatch(reason="record of another kind")
    return story


def _begin(evidence: ReturnEvidence) -> Story:
    found = [each for each in evidence.records if each.header.kind in _HAND_IN_CHANNELS]
    if not found:
        raise EvidenceIncomplete(missing="version of a return")
    key = ReturnKey.parse(found[0].header.object_id)
    if key is None:
        raise EvidenceMismatch(reason="not a return")
    for record in found:
        _check_version(record, key, evidence.chain[-1])
    versions = sorted(
        (VersionTold(record=each, row=_row_of(each)) for each in found),
        key=lambda version: (version.number, version.record.seq),
    )
    return Story(
        network=evidence.network,
        chain=evidence.chain,
        key=key,
        versions=tuple(versions),
        revocations=evidence.revocations,
    )


def _check_version(record: ProvenRecord, key: ReturnKey, origin: Enrolment) -> None:
    header = record.header
    if header.object_id != key.object_id or header.unit != records.named_unit(key.unit):
        raise EvidenceMismatch(reason="versions of two returns")
    if record.origin != origin or header.period != key.period:
        raise EvidenceMismatch(reason="versions of two returns")
    if record.journal.channel != _HAND_IN_CHANNELS[header.kind]:
        raise EvidenceMismatch(reason="version in another journal")
    schema = header.schema.split("/")
    # A refused row may be of no known form.
    if header.kind != records.REFUSED and (
        len(schema) != 3 or (schema[0], schema[2]) != (key.pack, key.form)
    ):
        raise EvidenceMismatch(reason="version of another form")


def _row_of(record: ProvenRecord) -> Mapping[str, Value] | None:
    core = record.body("core")
    if core is None:
        return None
    try:
        if record.header.kind == records.REFUSED:
            core = records.Refusal.decode(core).payload
        return parse_row(core)
    except YidaoError:
        # Wrong rows are evidence too.
        return None


def _add_verdict(story: Story, record: ProvenRecord) -> None:
    _check_author(
        record, records.UP_CHANNEL, may_say=story.origin.path.parent == record.origin.path
    )
    verdict = records.Verdict.decode(record.header.kind, _core(record))
    if verdict.origin != story.origin.node_id:
        raise EvidenceMismatch(reason="verdict on another node's return")
    version = _caused_by(story, record)
    story.said.append(
        SaidTold(record=record, version=version, decision=verdict.decision, reason=verdict.reason)
    )


def _add_withdrawal(story: Story, record: ProvenRecord) -> None:
    _check_author(record, records.UP_CHANNEL, may_say=record.origin == story.origin)
    withdrawal = records.Withdrawal.decode(_core(record))
    version = _caused_by(story, record)
    story.said.append(
        SaidTold(record=record, version=version, decision=None, reason=withdrawal.reason)
    )


def _add_letter(story: Story, record: ProvenRecord) -> None:
    channel = f"to:{story.origin.node_id.hex()}"
    _check_author(record, channel, may_say=story.origin.path.parent == record.origin.path)
    lines = records.decode_notices(_core(record))
    versions = {version.record_id: version for version in story.versions}
    ours = [
        line
        for line in lines
        if line.object_id == story.key.object_id and line.record_id in versions
    ]
    if not ours:
        raise EvidenceMismatch(reason="letter about another return")
    story.said += [
        SaidTold(
            record=record,
            version=versions[line.record_id],
            decision=line.decision,
            reason=line.reason,
            by_letter=True,
            others=len(lines) - len(ours),
        )
        for line in ours
    ]


def _add_registration(story: Story, record: ProvenRecord) -> None:
    _check_author(record, registry.UP_CHANNEL, may_say=record.origin == story.origin)
    row = parse_row(_core(record))
    names = (record.header.unit, record.header.object_id, row.get("uscc"))
    if names != (story.key.unit, registry.object_of(story.key.unit), story.key.unit):
        raise EvidenceMismatch(reason="registration of another unit")
    if story.registration is not None:
        raise EvidenceMismatch(reason="two registrations")
    story.registration = record
    story.unit_name = entry_of(row).name


def _add_pack(story: Story, record: ProvenRecord) -> None:
    _check_author(record, standards.CHANNEL, may_say=record.origin == story.chain[0])
    body, header = _core(record), record.header
    digest = sha256(body).digest()
    if digest != header.schema_sha256 or digest in story.packs:
        raise EvidenceMismatch(reason="pack")
    if digest not in {version.record.header.schema_sha256 for version in story.versions}:
        raise EvidenceMismatch(reason="pack that no version names")
    pack = load_pack(body)
    if header.schema != standards.schema_of(pack.id, pack.version) or pack.id != story.key.pack:
        raise EvidenceMismatch(reason="pack")
    story.packs[digest] = (pack, record)


def _check_author(record: ProvenRecord, channel: str, *, may_say: bool) -> None:
    if not may_say or record.journal.channel != channel:
        raise EvidenceMismatch(reason=f"{record.header.kind} of another author or journal")


def _core(record: ProvenRecord) -> bytes:
    body = record.body("core")
    if body is None:
        raise EvidenceIncomplete(missing=f"core of {record.header.kind}")
    return body


def _caused_by(story: Story, record: ProvenRecord) -> VersionTold:
    header = record.header
    if header.object_id != story.key.object_id or header.unit != records.named_unit(story.key.unit):
        raise EvidenceMismatch(reason=f"{header.kind} of another return")
    for version in story.versions:
        if header.causes[:1] == (version.record_id,) and header.object_version == version.number:
            return version
    raise EvidenceMismatch(reason=f"{header.kind} of another version")
