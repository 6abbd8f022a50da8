"""Evidence of a whole return: out of real stores, verified with the root certificate alone."""

import asyncio
import hashlib
import html
import itertools
import runpy
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path as FilePath

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from yidao.api.errors import YidaoError
from yidao.node.affairs.errors import EvidenceTooLarge, ReturnAmbiguous, ReturnNotHeld
from yidao.node.affairs.registry import records as registry
from yidao.node.affairs.reporting import dossier as dossier_module
from yidao.node.affairs.reporting import records
from yidao.node.affairs.reporting.dossier import (
    Wanted,
    find_dossier,
    known_revocations,
    prove_dossier,
    prove_records,
)
from yidao.node.affairs.reporting.review import Choice
from yidao.node.affairs.reporting.rules import Decision
from yidao.node.affairs.reporting.story import Story, read_story
from yidao.node.affairs.reporting.tables import return_version
from yidao.node.affairs.standards import records as standards
from yidao.node.affairs.standards.views import pack as pack_table
from yidao.node.printing.evidence import evidence_report
from yidao.node.printing.recordevidence import record_report
from yidao.node.printing.sections import report_html, report_text
from yidao.node.revocations import Revocations
from yidao.node.store.values import DraftPart
from yidao.sync.archive import read_archive, write_archive
from yidao.sync.checkpoint import cosign
from yidao.sync.errors import EvidenceIncomplete, EvidenceMalformed, EvidenceMismatch
from yidao.sync.evidence import build_evidence, verify_evidence
from yidao.sync.evidencefiles import MANIFEST, manifest_of
from yidao.sync.ids import NetworkId, NodeId, cosigner_name
from yidao.sync.merkle import leaf_hash
from yidao.sync.message import EnrolmentProof
from yidao.sync.proof import parse_proof
from yidao.sync.record import decode_header
from yidao.sync.returnevidence import (
    FORMAT,
    RecordPieces,
    build_return_evidence,
    verify_return_evidence,
)
from yidao.sync.revocation import CutLine
from yidao.sync.rootstatement import RootStatement
from yidao.sync.suite import Ed25519Signer
from yidao.sync.trusterrors import EvidenceRevoked

ROOT, CITY, COUNTY, AGENCY = "/", "/33", "/33/06", "/33/06/a"
OUTSIDER = FilePath(__file__).parents[4] / "examples" / "verify_evidence.py"
ROOT_KEY = ec.derive_private_key(20261126, ec.SECP256R1())


def root_pem() -> bytes:
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "sample root")])
    start = datetime(2026, 1, 1, tzinfo=UTC)
    builder = x509.CertificateBuilder(name, name, ROOT_KEY.public_key(), 1)
    builder = builder.not_valid_before(start).not_valid_after(start + timedelta(days=1))
    return builder.sign(ROOT_KEY, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def statement(tree) -> bytes:
    root = tree[ROOT].identity
    made = RootStatement(
        network=root.network,
        node_id=root.node_id,
        journal_key=root.journal.public_key,
        cosign_key=root.cosign.public_key,
    )
    return made.sign(ROOT_KEY)


def chain(tree, *paths: str) -> list[EnrolmentProof]:
    """The enrolments from the root down, each proved by the store that wrote it."""
    found = []
    for above, below in itertools.pairwise(paths):
        node = tree[above].store.enrolled(tree[below].identity.node_id)
        proven = tree[above].store.prove(node.position)
        core = next(part for part in proven.parts if part.name == "core")
        found.append(EnrolmentProof(header=proven.header, core=core, proof=proven.proof))
    return found


def exported(tree, at: str, wanted: Wanted, paths=(ROOT, CITY, COUNTY, AGENCY)) -> bytes:
    store = tree[at].store
    found = find_dossier(store, wanted)
    assert found.origin == tree[paths[-1]].identity.node_id
    return prove_dossier(
        store,
        found,
        statement=statement(tree),
        chain=chain(tree, *paths),
        open_parts=everything,
    )


def everything(_header: bytes, parts):
    """What a reader gets who may see every field."""
    return tuple(parts)


def told(data: bytes) -> Story:
    return read_story(verify_return_evidence(data, root_pem()))


def pass_receipts(tree) -> None:
    """Bring all cosignatures down to the agency."""
    for above, below in ((ROOT, CITY), (CITY, COUNTY), (COUNTY, AGENCY)):
        for each in tree[above].store.receipts(tree[below].peer, 0)[0]:
            tree[below].store.run(lambda tx, r=each, a=above: tx.add_receipt(tree[a].peer, r))


def of(rows, index: int = 0, **changed: object) -> Wanted:
    fields = {"unit": rows.unit(index), "form": "consumption", "period": "2025-Q2"}
    return Wanted(**(fields | changed))


def review(tree, decision: str, ids, reason: str = "") -> None:
    county = tree[COUNTY]
    county.affairs.review.review(f"wang@{COUNTY}", Choice(record_ids=tuple(ids)), decision, reason)
    tree.exchange()


@pytest.fixture
def judged(registered: Callable[..., object], rows):
    """Version 1 was returned, version 2 accepted, together with another unit's return."""
    tree = registered()
    [first] = tree[AGENCY].submit(rows.consumption(0)).results
    tree.exchange()
    review(tree, "return", [first.record_id], "样例理由")
    tree.now_ms += 60_000
    second, other = (
        tree[AGENCY].submit(rows.consumption(0, water_fee="3600.00"), rows.consumption(1)).results
    )
    tree.exchange()
    review(tree, "accept", [second.record_id, other.record_id])
    pass_receipts(tree)
    return tree


def test_the_parent_proves_the_whole_return(judged, rows) -> None:
    """Both versions, both verdicts, the registration, the pack, and who held them."""
    story = told(exported(judged, COUNTY, of(rows)))
    assert [version.number for version in story.versions] == [1, 2]
    verdicts = [story.verdict_on(version) for version in story.versions]
    assert [each.decision for each in verdicts] == [Decision.RETURN, Decision.ACCEPT]
    assert [each.reason for each in verdicts] == ["样例理由", ""]
    assert not any(each.by_letter for each in verdicts)
    assert story.newest.row["water_fee"] == "3600.00"
    assert (story.unit_name, str(story.origin.path)) == ("样例单位0000", AGENCY)
    assert story.pack_of(story.newest).id == "energy"
    held = {str(each.path) for each in story.newest.record.cosigners}
    assert COUNTY in held


def test_a_node_above_shows_what_it_holds_and_the_origin_what_it_was_told(judged, rows) -> None:
    """The root has both verdicts and no letter; the agency has its letters and no verdict."""
    above = told(exported(judged, ROOT, of(rows)))
    assert [above.verdict_on(version).decision for version in above.versions] == [
        Decision.RETURN,
        Decision.ACCEPT,
    ]
    assert not any(each.by_letter for each in above.said)
    # Parts of what was returned wait for an acceptance that never came.
    assert [version.row is None for version in above.versions] == [True, False]
    at_home = told(exported(judged, AGENCY, of(rows)))
    assert [at_home.verdict_on(version) is None for version in at_home.versions] == [False, True]
    assert at_home.verdict_on(at_home.versions[0]).by_letter


def test_a_letter_about_others_is_handed_out_only_where_it_is_asked_for(judged, rows) -> None:
    """The acceptance was told together with that of another unit."""
    story = told(exported(judged, AGENCY, of(rows, with_letters=True)))
    verdict = story.verdict_on(story.newest)
    assert (verdict.decision, verdict.by_letter, verdict.others) == (Decision.ACCEPT, True, 1)
    text = report_text(evidence_report(story, "00", "en"))
    assert "tells of 1 other returns" in text
    assert rows.unit(1) not in text
    assert rows.unit(1).encode() not in exported(judged, AGENCY, of(rows))


def test_without_a_verdict_the_evidence_stands_and_says_so(registered, rows) -> None:
    """What is not there is absent, and no error."""
    tree = registered()
    tree[AGENCY].submit(rows.consumption(0))
    tree.exchange()
    story = told(exported(tree, COUNTY, of(rows)))
    assert story.verdict_on(story.newest) is None
    for language, said in (("en", "this file holds no verdict"), ("zh", "没有审核决定")):
        assert said in report_text(evidence_report(story, "00", language))


def test_a_withdrawal_and_a_refused_row_are_told(registered, rows) -> None:
    """The origin proves also what never left it; its parent sees the withdrawal."""
    tree = registered()
    agency = tree[AGENCY]
    agency.submit(rows.consumption(0, water_tap_m3="1.00"))
    [done] = agency.submit(rows.consumption(0)).results
    tree.exchange()
    agency.affairs.withdrawal.withdraw(agency.actor, [done.record_id], "样例: 数据有误")
    tree.exchange()
    story = told(exported(tree, AGENCY, of(rows)))
    kinds = [version.record.header.kind for version in story.versions]
    assert kinds == [records.REFUSED, records.SUBMITTED]
    assert story.versions[0].row["water_tap_m3"] == "1.00"
    assert story.withdrawal_of(story.newest).reason == "样例: 数据有误"
    seen = told(exported(tree, COUNTY, of(rows)))
    assert [version.number for version in seen.versions] == [2]
    assert seen.withdrawal_of(seen.newest).record.header.actor == agency.actor
    for language, said in (("en", "Version 2 was withdrawn"), ("zh", "第 2 版已由填报方撤回")):
        assert said in report_text(evidence_report(seen, "00", language))


def test_what_is_not_held_and_what_is_too_much_have_their_own_errors(
    judged, rows, monkeypatch
) -> None:
    """No return, two packs or origins by one name, more records than one file holds."""
    county = judged[COUNTY].store
    with pytest.raises(ReturnNotHeld):
        find_dossier(county, of(rows, period="2025-Q3"))
    monkeypatch.setattr(dossier_module, "MAX_RECORDS", 3)
    with pytest.raises(EvidenceTooLarge):
        find_dossier(county, of(rows))
    for what, changed in (("pack", {"pack": "other"}), ("origin", {"origin": bytes(16)})):
        county.run(lambda tx, c=changed: double(tx, c))
        with pytest.raises(ReturnAmbiguous) as caught:
            find_dossier(county, of(rows))
        assert caught.value.params["what"] == what


def double(tx, changed: dict[str, object]) -> None:
    """Put a copy of the oldest version beside it, changed, instead of the last copy."""
    table = return_version
    tx.conn.execute(table.delete().where(table.c.position == 999_999))
    row = tx.conn.execute(table.select().order_by(table.c.position).limit(1)).one()._mapping
    tx.conn.execute(table.insert(), dict(row) | {"position": 999_999} | changed)


def pieces(tree, at: str, wanted: Wanted) -> tuple[RecordPieces, ...]:
    store = tree[at].store
    return prove_records(store, find_dossier(store, wanted).positions)


def piece(store, position: int) -> RecordPieces:
    [made] = prove_records(store, [position])
    return made


def packed(tree, given, paths=(ROOT, CITY, COUNTY, AGENCY)) -> bytes:
    return build_return_evidence(
        records=given, statement=statement(tree), chain=chain(tree, *paths)
    )


def kind_of(given: RecordPieces) -> str:
    return decode_header(given.header).kind


def forged(tree, path: str, channel: str, like: bytes, **changes: object) -> RecordPieces:
    """A true record of a node that it had no right to write, or of something else."""
    header = decode_header(like)
    fields = {
        "kind": header.kind,
        "object_id": header.object_id,
        "object_version": header.object_version,
        "unit": header.unit,
        "causes": header.causes,
        "schema": header.schema,
        "schema_sha256": header.schema_sha256,
        "period": header.period,
    }
    node = tree[path]
    return piece(node.store, node.forge(channel, **(fields | changes)))


def core(body: bytes) -> dict[str, object]:
    return {"parts": (DraftPart(name="core", body=body),)}


OTHER_RETURN, OTHER_VERSION = "accepted of another return", "accepted of another version"
OTHER_AUTHOR = "of another author or journal"
REASONS = {
    "another unit's return": "versions of two returns",
    "another unit's acceptance": OTHER_RETURN,
    "another unit's registration": "registration of another unit",
    "a pack that no version names": "pack that no version names",
    "a verdict of the city": OTHER_AUTHOR,
    "a verdict of the origin itself": OTHER_AUTHOR,
    "a verdict in a journal that stays": OTHER_AUTHOR,
    "a verdict on a version that is not here": OTHER_VERSION,
    "a verdict on the other version's number": OTHER_VERSION,
    "a verdict on no version": OTHER_VERSION,
    "a verdict on another period": OTHER_RETURN,
    "a verdict for another unit": OTHER_RETURN,
    "a verdict on another node's return": "verdict on another node's return",
    "a withdrawal by the parent": OTHER_AUTHOR,
    "a letter by the city": OTHER_AUTHOR,
    "a letter that names no version here": "letter about another return",
    "a doubt": "record of another kind",
    "a return of another form": "version of another form",
    "a return of another period": "versions of two returns",
    "a return that was written by the parent": "versions of two returns",
    "a return in a journal that stays": "version in another journal",
    "a registration by the parent": OTHER_AUTHOR,
    "a pack by the county": OTHER_AUTHOR,
    "a second registration": "two registrations",
    "a pack twice": "pack",
    "a pack under another digest": "pack",
}


def test_records_that_do_not_belong_to_the_return_refuse_the_file(judged, rows) -> None:
    """Each is true by itself: it is of another return, unit, version, author or journal."""
    good = pieces(judged, COUNTY, of(rows))
    assert told(packed(judged, good)).newest.number == 2
    other = pieces(judged, COUNTY, of(rows, 1))
    by_kind = {kind_of(each): each for each in good}
    theirs = {kind_of(each): each for each in other}
    accepted, version = by_kind[records.ACCEPTED], by_kind[records.SUBMITTED]
    agency_id = judged[AGENCY].identity.node_id
    accept = records.Verdict(origin=agency_id, decision=Decision.ACCEPT, reason="").encode()
    foreign = records.Verdict(origin=bytes(16), decision=Decision.ACCEPT, reason="").encode()
    packs = judged[ROOT].query(pack_table.select())
    new_pack = next(row for row in packs if row.version == "2025")

    def verdict(path: str, channel: str = "up:15", body: bytes = accept, **changes: object):
        return forged(judged, path, channel, accepted.header, **core(body), **changes)

    letter = records.encode_notices(
        [
            records.Notice(
                record_id=bytes(16),
                object_id=decode_header(version.header).object_id,
                decision=Decision.ACCEPT,
                reason="",
            )
        ]
    )
    cases = {
        "another unit's return": theirs[records.SUBMITTED],
        "another unit's acceptance": theirs[records.ACCEPTED],
        "another unit's registration": theirs[registry.REGISTERED],
        "a pack that no version names": piece(judged[ROOT].store, new_pack.position),
        "a verdict of the city": verdict(CITY),
        "a verdict of the origin itself": verdict(AGENCY),
        "a verdict in a journal that stays": verdict(COUNTY, "local"),
        "a verdict on a version that is not here": verdict(COUNTY, causes=(bytes(16),)),
        "a verdict on the other version's number": verdict(COUNTY, object_version=1),
        "a verdict on no version": verdict(COUNTY, causes=()),
        "a verdict on another period": verdict(
            COUNTY, object_id="return/energy/consumption/2025-Q1/x"
        ),
        "a verdict for another unit": verdict(COUNTY, unit=rows.unit(1)),
        "a verdict on another node's return": verdict(COUNTY, body=foreign),
        "a withdrawal by the parent": verdict(
            COUNTY, kind=records.WITHDRAWN, body=records.Withdrawal(reason="x").encode()
        ),
        "a letter by the city": forged(
            judged, CITY, f"to:{agency_id.hex()}", by_kind[records.NOTIFIED].header, **core(letter)
        ),
        "a letter that names no version here": forged(
            judged,
            COUNTY,
            f"to:{agency_id.hex()}",
            by_kind[records.NOTIFIED].header,
            **core(letter),
        ),
        "a doubt": verdict(COUNTY, "local", kind=records.DOUBTED),
        "a return of another form": forged(
            judged,
            AGENCY,
            "up:15",
            version.header,
            schema="energy/2022/profile",
            **core(b"{}"),
        ),
        "a return of another period": forged(
            judged, AGENCY, "up:15", version.header, period="2025-Q1", **core(b"{}")
        ),
        "a return that was written by the parent": forged(
            judged, COUNTY, "up:15", version.header, **core(b"{}")
        ),
        "a return in a journal that stays": forged(
            judged, AGENCY, "local", version.header, **core(b"{}")
        ),
        "a registration by the parent": forged(
            judged,
            COUNTY,
            "up:15",
            by_kind[registry.REGISTERED].header,
            **core(next(p.body for p in by_kind[registry.REGISTERED].parts)),
        ),
        "a pack by the county": forged(
            judged,
            COUNTY,
            "up:15",
            by_kind[standards.PUBLISHED].header,
            **core(next(p.body for p in by_kind[standards.PUBLISHED].parts)),
        ),
        "a second registration": forged(
            judged,
            AGENCY,
            "up:15",
            by_kind[registry.REGISTERED].header,
            **core(next(p.body for p in by_kind[registry.REGISTERED].parts)),
        ),
        "a pack twice": forged(
            judged,
            ROOT,
            "down.control",
            by_kind[standards.PUBLISHED].header,
            **core(next(p.body for p in by_kind[standards.PUBLISHED].parts)),
        ),
        "a pack under another digest": forged(
            judged, ROOT, "down.control", by_kind[standards.PUBLISHED].header, **core(b"x: 1")
        ),
    }
    assert list(cases) == list(REASONS)
    for name, extra in cases.items():
        with pytest.raises(EvidenceMismatch) as caught:
            told(packed(judged, [*good, extra]))
        assert str(caught.value.params["reason"]).endswith(REASONS[name]), name


def test_a_file_that_lacks_what_it_needs_is_refused(judged, rows) -> None:
    """No version, a verdict without its words, a chain that ends above or beside."""
    good = pieces(judged, COUNTY, of(rows))
    unversioned = [each for each in good if kind_of(each) != records.SUBMITTED]
    with pytest.raises(EvidenceIncomplete):
        told(packed(judged, unversioned))
    silent = [replace(e, parts=()) if kind_of(e) == records.ACCEPTED else e for e in good]
    with pytest.raises(EvidenceIncomplete):
        told(packed(judged, silent))
    with pytest.raises(EvidenceMismatch):
        told(packed(judged, good, (ROOT, CITY, COUNTY)))
    for pieces_ in ([], [good[0], good[0]], [good[0]] * 33):
        with pytest.raises(EvidenceMalformed):
            packed(judged, pieces_)
    # What is only background may be kept back.
    alone = told(packed(judged, [each for each in good if kind_of(each) == records.SUBMITTED]))
    assert (alone.unit_name, alone.packs, alone.said) == ("", {}, [])
    for language in ("zh", "en"):
        assert "uscc" in report_text(evidence_report(alone, "00", language))


def resealed(files: dict[str, bytes]) -> bytes:
    """The file again, sorted, under a manifest that fits it."""
    rest = {name: body for name, body in files.items() if name != MANIFEST}
    return write_archive(dict(sorted((rest | {MANIFEST: manifest_of(FORMAT, rest)}).items())))


@pytest.fixture(scope="module")
def whole(reported) -> bytes:
    """The file of a return with a verdict, made once."""
    tree, unit, record_id = reported
    review(tree, "accept", [record_id])
    return exported(tree, COUNTY, Wanted(unit=unit, form="consumption", period="2025-Q2"))


def test_every_entry_is_needed_and_no_other_is_allowed(whole: bytes) -> None:
    """Each left out, each with a flipped bit, one more, two exchanged: under a new manifest."""
    files = read_archive(whole)
    assert resealed(files) == whole
    for name in files:
        if name == MANIFEST:
            continue
        at = len(files[name]) // 2
        flipped = files[name][:at] + bytes([files[name][at] ^ 1]) + files[name][at + 1 :]
        with pytest.raises(YidaoError):
            told(resealed(files | {name: flipped}))
        with pytest.raises(YidaoError):
            told(resealed({other: body for other, body in files.items() if other != name}))
    one, two = files["records/00/header"], files["records/01/header"]
    swapped = {"records/00/header": two, "records/01/header": one}
    for wrong in ({"extra": b""}, {"records/99/header": one}, swapped):
        with pytest.raises(YidaoError):
            told(resealed(files | wrong))
    turned = dict(reversed(files.items()))
    with pytest.raises(EvidenceMalformed):
        told(write_archive(turned))


def test_records_in_another_order_are_another_file(whole: bytes) -> None:
    """The same records have one form: whole folders exchanged are refused."""
    files = read_archive(whole)

    def moved(name: str) -> str:
        pair = {"records/00/": "records/01/", "records/01/": "records/00/"}
        return pair.get(name[:11], name[:11]) + name[11:]

    with pytest.raises(EvidenceMalformed):
        told(resealed({moved(name): body for name, body in files.items()}))


def test_a_line_that_nobody_of_the_chain_made_refuses_the_file(whole: bytes) -> None:
    """A note may bear lines of strangers, and a proof extra data; a file of one form does not."""
    files = read_archive(whole)
    stranger = cosign(
        parse_proof(files["chain/00/proof.tlog-proof"]).checkpoint,
        cosigner_name(NetworkId(bytes(16)), NodeId(bytes(16))),
        Ed25519Signer(hashlib.sha256(b"sample stranger").digest()),
        1_795_140_000,
    )
    for name in [name for name in files if name.endswith(".tlog-proof")]:
        proof = parse_proof(files[name])
        lined = replace(proof, checkpoint=proof.checkpoint + f"{stranger}\n".encode())
        for wrong in (lined, replace(proof, extra=b"x")):
            with pytest.raises(EvidenceMalformed):
                told(resealed(files | {name: wrong.encode()}))


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150, deadline=None
)
@given(data=st.data())
def test_no_damaged_file_verifies_or_fails_without_a_code(whole: bytes, data) -> None:
    """A flipped bit, a cut or a byte too many gives a typed error, wherever it is."""
    at = data.draw(st.integers(0, len(whole) - 1))
    bit = 1 << data.draw(st.integers(0, 7))
    damaged = data.draw(
        st.sampled_from(
            [
                whole[:at],
                whole[:at] + bytes([whole[at] ^ bit]) + whole[at + 1 :],
                whole[:at] + bytes([bit]) + whole[at:],
            ]
        )
    )
    with pytest.raises(YidaoError):
        told(damaged)


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=100, deadline=None
)
@given(data=st.data())
def test_no_damaged_piece_verifies_under_a_manifest_that_fits(whole: bytes, data) -> None:
    """The manifest authenticates nothing: whoever changes a piece can write a new one."""
    files = read_archive(whole)
    name = data.draw(st.sampled_from([each for each in files if each != MANIFEST]))
    at = data.draw(st.integers(0, len(files[name]) - 1))
    bit = 1 << data.draw(st.integers(0, 7))
    flipped = files[name][:at] + bytes([files[name][at] ^ bit]) + files[name][at + 1 :]
    with pytest.raises(YidaoError):
        told(resealed(files | {name: flipped}))


def test_an_outsider_comes_to_the_same(whole: bytes, tmp_path) -> None:
    """The program that shares no line with the project proves each record of a real file."""
    (tmp_path / "e.zip").write_bytes(whole)
    (tmp_path / "root.pem").write_bytes(root_pem())
    said = runpy.run_path(str(OUTSIDER))["verify"](tmp_path / "e.zip", tmp_path / "root.pem")
    assert len(said.splitlines()) == len(verify_return_evidence(whole, root_pem()).records)
    assert f"reporting.return.accepted by wang@{COUNTY} at {COUNTY}, held by" in said


def test_the_report_says_the_same_on_screen_and_on_paper(judged, rows) -> None:
    """Unit, form and figures by their titles, times, verdicts, hashes, and what is not proved."""
    data = exported(judged, COUNTY, of(rows))
    digest = hashlib.sha256(data).hexdigest()
    expected = {
        "zh": ("核验通过", "能源资源消费", "水费用", "最迟已持有", "样例理由", "本文件不能证明"),
        "en": ("VERIFIED", "Water fee", "at the latest", "样例理由", "What is NOT proved"),
    }
    for language, words in expected.items():
        report = evidence_report(told(data), digest, language)
        text, page = report_text(report), report_html(report)
        for said in (*words, "样例单位0000", rows.unit(0), "3600.00", AGENCY, "2025-Q2", digest):
            assert said in text, said
            assert said in page, said
        assert "<script" not in page
        for section in report.sections:
            for row in section.rows:
                assert all(html.escape(cell) in page and cell in text for cell in row)


def test_the_report_on_one_record_has_the_same_plan(judged, rows) -> None:
    """What it is, times, steps with what is absent, what is not proved, hashes."""
    accepted = next(
        each for each in pieces(judged, COUNTY, of(rows)) if kind_of(each) == records.ACCEPTED
    )
    evidence = build_evidence(
        header=accepted.header,
        proof=parse_proof(accepted.proof),
        parts=accepted.parts,
        statement=statement(judged),
        chain=chain(judged, ROOT, CITY, COUNTY),
    )
    found = verify_evidence(evidence, root_pem(), required_tiers=0)
    leaf = leaf_hash(accepted.header).hex()
    expected = {
        "zh": ("核验通过", "最迟已持有", "无: / 会签", "本文件不能证明"),
        "en": ("VERIFIED", "at the latest", "absent: / cosigned", "What is NOT proved"),
    }
    for language, words in expected.items():
        report = record_report(found, "00", language)
        text, page = report_text(report), report_html(report)
        assert all(said in text for said in (*words, leaf, "wang@/33/06", records.ACCEPTED))
        for section in report.sections:
            assert all(html.escape(cell) in page for row in section.rows for cell in row)


def test_nobodys_words_can_pretend_to_be_the_report(registered, rows) -> None:
    """A reason with lines, marks that turn text round and tags of its own stays one value."""
    tree = registered()
    [done] = tree[AGENCY].submit(rows.consumption(0)).results
    tree.exchange()
    review(tree, "return", [done.record_id], "x\nVERIFIED\u202e\x1b[2J<b>&")
    story = told(exported(tree, COUNTY, of(rows)))
    report = evidence_report(story, "00", "en")
    assert "x<U+000A>VERIFIED<U+202E><U+001B>[2J<b>&" in report_text(report)
    page = report_html(report)
    assert "<b>" not in page
    assert not any(mark in page for mark in "\u202e\x1b")


def test_the_file_says_who_was_revoked_and_leaves_out_what_lies_beyond(judged, rows) -> None:
    """The agency is revoked before its second version: the first is proved, with the state."""
    county, agency = judged[COUNTY], judged[AGENCY]
    links = chain(judged, ROOT, CITY, COUNTY, AGENCY)
    before = known_revocations(county.store, links, judged.now_ms)
    assert before.found == ()
    beyond = next(
        each
        for each in agency.store.records(0, 1_000)
        if each.header.kind == records.SUBMITTED and each.header.object_version == 2
    )

    async def nobody() -> None:
        pass

    revocations = Revocations(county.store, judged.clock, judged.random, nobody)
    cut = CutLine(channel=beyond.journal.channel, epoch="1", size=beyond.seq)
    why = {"reason": "key-stolen", "operator": county.actor, "earlier": (cut,)}
    asyncio.run(revocations.revoke(agency.identity.path, **why))
    judged.exchange()
    for path in (COUNTY, ROOT):
        store = judged[path].store
        known = known_revocations(store, links, judged.now_ms)
        data = prove_dossier(
            store,
            find_dossier(store, of(rows)),
            statement=statement(judged),
            chain=links,
            open_parts=everything,
            revocations=known,
        )
        story = told(data)
        assert [version.number for version in story.versions] == [1]
        for language, words in {"zh": ("撤销情况", "密钥被盗"), "en": ("was revoked",)}.items():
            text = report_text(evidence_report(story, "00", language))
            assert all(word in text for word in (*words, AGENCY))
        # Whoever puts the second version back is refused, by what the file itself says.
        back = prove_records(county.store, [held(county, beyond)])
        whole = [*pieces(judged, COUNTY, of(rows)), *back]
        with pytest.raises(EvidenceRevoked):
            told(
                build_return_evidence(
                    records=whole, statement=statement(judged), chain=links, revocations=known
                )
            )


def held(node, record) -> int:
    """Where a record of another node lies in a store."""
    return next(each.position for each in node.store.records(0, 1_000) if each.raw == record.raw)
