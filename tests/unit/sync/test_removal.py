"""Records of removals are read in one form, and evidence says by them why a part is gone."""

from dataclasses import replace
from hashlib import sha256
from types import SimpleNamespace
from typing import Any

import orjson
import pytest

from yidao.node.printing.recordevidence import record_report
from yidao.node.printing.sections import report_text
from yidao.sync import errors
from yidao.sync.evidence import build_evidence, verify_evidence
from yidao.sync.evidencerevocations import RevocationPieces, RevocationsKnown
from yidao.sync.ids import JournalId, NodeId, RecordId
from yidao.sync.partsrun import Absence
from yidao.sync.record import Part
from yidao.sync.removal import (
    KIND_PRUNED,
    KIND_REDACTED,
    REFUSED_KIND,
    PrunedRange,
    Pruning,
    Redaction,
    SealedSnapshot,
    SealedTable,
    check_erasable,
)
from yidao.sync.removalerrors import PartNotErasable, RemovalMalformed
from yidao.sync.revocation import KIND as KIND_REVOKED
from yidao.sync.revocation import CutLine, Reason, Revocation
from yidao.sync.trusterrors import EvidenceRevoked

JOURNAL = JournalId(node_id=NodeId(b"n" * 16), channel="up:15", epoch="1")
REDACTION = Redaction(
    journal=JOURNAL,
    seq=3,
    record_id=RecordId(b"r" * 16),
    part="pii",
    reason="样例：本人申请",
    basis="样例依据",
    operator="li@/33/3301",
)
PRUNING = Pruning(
    before_ms=1_700_000_000_000,
    snapshot=99,
    reason="样例：到期",
    operator="li@/33/3301",
    ranges=(PrunedRange(journal=JOURNAL, first=0, end=7, records=5),),
    records=5,
    bodies_bytes=1_234,
)
SNAPSHOT = SealedSnapshot(
    position=99,
    cursors=(("reporting.return", 99),),
    tables=(SealedTable(name="unit", rows=2, sha256=bytes(range(0xA0, 0xC0))),),
)


@pytest.mark.parametrize("record", [REDACTION, PRUNING, SNAPSHOT], ids=lambda r: type(r).__name__)
def test_a_record_comes_back_as_it_went(record: Any) -> None:
    """And members that a newer version adds are passed over."""
    data = record.encode()
    assert type(record).decode(data) == record
    more = orjson.dumps(orjson.loads(data) | {"zz": 1}, option=orjson.OPT_SORT_KEYS)
    assert type(record).decode(more) == record


BAD = {
    "no JSON": b"{",
    "no object": b"[]",
    "other spelling": REDACTION.encode().replace(b":", b": ", 1),
    "a member twice": REDACTION.encode().replace(b'{"basis"', b'{"basis":"x","basis"', 1),
    "nothing": b"{}",
    "no reason": replace(REDACTION, reason="x").encode().replace(b'"x"', b'" "'),
    "a seq below zero": REDACTION.encode().replace(b'"seq":3', b'"seq":-3'),
    "a seq that is true": REDACTION.encode().replace(b'"seq":3', b'"seq":true'),
    "a short record id": REDACTION.encode().replace(b"72" * 16, b"72" * 15),
    "an unknown channel": REDACTION.encode().replace(b"up:15", b"sideways"),
    "too long": b'{"a":"' + b"x" * 131_072 + b'"}',
    "nested too deep": b'{"a":' + b"[" * 500 + b"]" * 500 + b"}",
    "absent": None,
}


@pytest.mark.parametrize("data", BAD.values(), ids=BAD.keys())
def test_other_bytes_are_no_redaction(data: bytes | None) -> None:
    """Each is refused by a typed error."""
    with pytest.raises(errors.PeerError):
        Redaction.decode(data)


def test_a_digest_has_one_spelling() -> None:
    """Neither spaces, nor capitals, nor another length."""
    good = SNAPSHOT.encode()
    digest = SNAPSHOT.tables[0].sha256.hex().encode()
    assert SealedSnapshot.decode(good) == SNAPSHOT
    for other in (digest.upper(), digest[:-2] + b" " + digest[-2:], digest[2:]):
        assert other != digest
        with pytest.raises(errors.PeerError):
            SealedSnapshot.decode(good.replace(digest, other))


def test_a_record_that_says_nothing_is_not_written() -> None:
    """Reason, basis and operator are texts of 1 to 512 characters; ranges have a limit."""
    for field in ("reason", "basis", "operator"):
        for text in ("", " \t", "长" * 513):
            with pytest.raises(RemovalMalformed):
                replace(REDACTION, **{field: text}).encode()
    with pytest.raises(RemovalMalformed):
        replace(PRUNING, ranges=PRUNING.ranges * 1_001).encode()


BINDING = {
    "the author, where the record stands": (JOURNAL, b"x", True),
    "another journal of the author": (replace(JOURNAL, channel="node"), b"x", False),
    "the same channel of somebody else": (replace(JOURNAL, node_id=NodeId(b"o" * 16)), b"x", False),
    "the author, in a later epoch": (replace(JOURNAL, epoch="2"), b"x", True),
    "this node for itself": (replace(JOURNAL, channel="local"), b"n", True),
    "somebody else for himself": (replace(JOURNAL, channel="local"), b"x", False),
}


@pytest.mark.parametrize(("journal", "here", "binds"), BINDING.values(), ids=BINDING.keys())
def test_who_may_order_an_erasure(journal: JournalId, here: bytes, binds: bool) -> None:
    """The author everywhere, a node at home, nobody else."""
    assert REDACTION.binds(journal, NodeId(here * 16)) is binds


def test_what_others_rest_on_is_not_erased() -> None:
    """Only what was put apart may go, and rows that were refused."""
    for kind, part in ((REFUSED_KIND, "core"), ("a.b.c", "pii"), ("a.b.c", "file:1")):
        check_erasable(kind, part)
    for kind, part in (("a.b.c", "core"), ("node.child.enrolled", "pii"), ("standards.a.b", "pii")):
        with pytest.raises(PartNotErasable):
            check_erasable(kind, part)


# Evidence.

CORE = Part(name="core", salt=bytes(range(32)), body=b'{"v":"1"}')
PII = Part(name="pii", salt=bytes(range(1, 33)), body=b'{"name":"sample"}')


def evidence(tree: Any, *, by: int = 2, channel: str = "up:15", **changes: Any) -> bytes:
    """Evidence of a city's record without its personal part, and of what removed it."""
    city, writer = tree.enrolments[2], tree.enrolments[by]
    record = tree.header(
        city, "reporting.return.submitted", CORE, parts=(CORE.digest(), PII.digest())
    )
    journal = JournalId(node_id=city.node_id, channel="up:15", epoch="1")
    core = changes.pop("core", None)
    if core is None:
        core = replace(REDACTION, journal=journal, record_id=record.record_id).encode()
    part = Part(name="core", salt=sha256(b"salt").digest(), body=core)
    removal = tree.header(writer, changes.pop("kind", KIND_REDACTED), part).encode()
    pieces = SimpleNamespace(
        header=removal,
        proof=tree.prove(
            writer, removal, channel=channel, index=changes.pop("removal_index", 3)
        ).encode(),
        parts=changes.pop("removal_parts", (part,)),
    )
    header = record.encode()
    fields: dict[str, Any] = {
        "header": header,
        "proof": tree.prove(city, header, channel="up:15"),
        "parts": (CORE,),
        "statement": tree.statement,
        "chain": tree.proofs,
        "removed": {1: pieces},
    }
    return build_evidence(**(fields | changes))


def verify(tree: Any, data: bytes) -> Any:
    return verify_evidence(data, tree.root_pem, required_tiers=0)


def test_evidence_of_an_erased_part_says_who_and_why(tree: Any) -> None:
    """The record verifies, and the order to erase is proved like it, in both languages."""
    report = verify(tree, evidence(tree))
    [gone] = report.gone
    assert (gone.name, gone.absence, str(gone.by)) == ("pii", Absence.REDACTED, "/33/3301")
    assert gone.everywhere
    for language, words in {
        "zh": ("pii 已依据决定删除", "样例：本人申请", "样例依据", "li@/33/3301"),
        "en": ("pii was erased by an order", "样例依据", "li@/33/3301"),
    }.items():
        text = report_text(record_report(report, "00", language))
        assert all(word in text for word in words)


def test_evidence_of_a_tier_that_erased_or_pruned_at_home_says_so(tree: Any) -> None:
    """Its own record in its own journal; nothing is said of other nodes."""
    city = tree.enrolments[2]
    [gone] = verify(tree, evidence(tree, by=1, channel="local")).gone
    assert (str(gone.by), gone.everywhere) == ("/33", False)
    span = PrunedRange(
        journal=JournalId(node_id=city.node_id, channel="up:15", epoch="1"),
        first=0,
        end=4,
        records=1,
    )
    core = replace(PRUNING, ranges=(span,)).encode()
    data = evidence(tree, by=1, channel="node", core=core, kind=KIND_PRUNED)
    report = verify(tree, data)
    [gone] = report.gone
    assert (gone.absence, str(gone.by), gone.reason) == (Absence.PRUNED, "/33", "样例：到期")
    text = report_text(record_report(report, "00", "en"))
    assert "removed by age" in text


def test_an_erasure_with_a_stolen_key_says_nothing(tree: Any) -> None:
    """It lies beyond the cut of its author, where the record itself does not."""
    province, city = tree.enrolments[1:]
    revocation = Revocation(
        node_id=city.node_id,
        path=city.path,
        reason=Reason.KEY_STOLEN,
        operator="admin@/33",
        cut=(CutLine(channel="up:15", epoch="1", size=4),),
    )
    part = Part(name="core", salt=bytes(32), body=revocation.encode())
    header = tree.header(province, KIND_REVOKED, part).encode()
    proof = tree.prove(province, header, index=1).encode()
    known = RevocationsKnown(
        node_id=province.node_id,
        as_of_ms=1_790_000_000_000,
        cosign=tree.signer(str(province.path), "cosigning"),
        found=(RevocationPieces(header=header, parts=(part,), proof=proof),),
    )
    data = evidence(tree, revocations=known)
    [gone] = verify(tree, data).gone
    assert gone.reason == REDACTION.reason
    late = evidence(tree, revocations=known, removal_index=4)
    with pytest.raises(EvidenceRevoked):
        verify(tree, late)


def test_what_does_not_remove_that_part_is_refused(tree: Any) -> None:
    """Another part, another record, another writer, another kind, or a part that is there."""
    city = tree.enrolments[2]
    mine = replace(REDACTION, journal=JournalId(node_id=city.node_id, channel="up:15", epoch="1"))
    elsewhere = PRUNING.encode()
    cases: list[dict[str, Any]] = [
        {"core": mine.encode()},
        {"core": replace(mine, part="core").encode()},
        {"by": 1, "channel": "up:15"},
        {"by": 1, "channel": "node"},
        {"kind": "reporting.return.accepted"},
        {"core": elsewhere, "kind": KIND_PRUNED, "channel": "node"},
        {"core": elsewhere, "kind": KIND_PRUNED},
        {"core": b"{}"},
        {"removal_parts": ()},
        {"parts": (CORE, PII)},
    ]
    for case in cases:
        with pytest.raises(errors.PeerError):
            verify(tree, evidence(tree, **case))
