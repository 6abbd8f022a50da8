"""Evidence of a return that is signed off: who signed, under which policy, by whose word."""

import runpy
from collections.abc import Callable
from dataclasses import replace

import pytest

from tests.unit.node.affairs.signing import (
    AGENCY,
    COUNTY,
    ROOT,
    refused,
)
from tests.unit.node.affairs.test_return_evidence import (
    OUTSIDER,
    chain,
    exported,
    of,
    root_pem,
    statement,
    told,
)
from yidao.node.affairs.reporting.dossier import find_dossier, prove_records
from yidao.node.affairs.signoff import records
from yidao.node.cli.storyfacts import story_facts
from yidao.node.printing.evidence import evidence_report
from yidao.node.printing.sections import report_text
from yidao.sync.record import decode_header
from yidao.sync.returnevidence import (
    RecordPieces,
    build_return_evidence,
)
from yidao.sync.signoffproof import SignedPlace

WAY = (ROOT, COUNTY, AGENCY)


def test_the_evidence_says_who_signed_it_off_at_every_tier(signed, rows) -> None:
    """Signers, k of n, the policies back to the first, and the parent's filing."""
    for path in WAY:
        data = exported(signed, path, of(rows), WAY)
        story = told(data)
        signoff = story.signoff_of(story.newest)
        assert [each.approver.actor for each in signoff.signers] == [f"zhao@{AGENCY}"]
        assert [each.policy.version for each in signoff.policy.line] == [2, 1]
        assert (signoff.filing is not None) == (path != AGENCY)
        text = report_text(evidence_report(story, "00", "zh"))
        assert f"已由 样例 zhao (zhao@{AGENCY}) 签发 (须 1/2)" in text
        english = report_text(evidence_report(story, "00", "en"))
        assert "1 of 2 must sign" in english
        facts = story_facts(story, "00")["versions"][0]["signed_off"]
        assert (facts["threshold"], facts["approvers"], facts["returns"]) == (1, 2, 3)


def test_an_outsider_checks_the_signatures_too(signed, rows, tmp_path) -> None:
    """The example names who signed, and refuses a place that is not under the root."""
    (tmp_path / "root.pem").write_bytes(root_pem())
    outsider = runpy.run_path(str(OUTSIDER))["verify"]
    good = tmp_path / "good.zip"
    good.write_bytes(exported(signed, COUNTY, of(rows), WAY))
    said = outsider(good, tmp_path / "root.pem")
    assert f"signed off by zhao@{AGENCY}" in said
    pieces, build = pieces_of(signed, rows)
    bad = tmp_path / "bad.zip"
    bad.write_bytes(build([_moved(each) for each in pieces]))
    with pytest.raises(ValueError, match="signed"):
        outsider(bad, tmp_path / "root.pem")


def pieces_of(tree, rows, index: int = 0) -> tuple[list[RecordPieces], Callable[..., bytes]]:
    store = tree[COUNTY].store
    found = find_dossier(store, of(rows, index))
    pieces = [
        replace(each, signed_place=found.signed_places.get(position, b""))
        for position, each in zip(
            found.positions, prove_records(store, found.positions), strict=True
        )
    ]

    def build(records_: list[RecordPieces]) -> bytes:
        return build_return_evidence(
            records=records_, statement=statement(tree), chain=chain(tree, *WAY)
        )

    return pieces, build


def _kind(piece: RecordPieces) -> str:
    return decode_header(piece.header).kind


def _damaged(piece: RecordPieces) -> RecordPieces:
    if not piece.signed_place:
        return piece
    place = SignedPlace.decode(piece.signed_place)
    return replace(piece, signed_place=replace(place, path=(bytes(32), *place.path[1:])).encode())


def _moved(piece: RecordPieces) -> RecordPieces:
    if not piece.signed_place:
        return piece
    place = SignedPlace.decode(piece.signed_place)
    return replace(piece, signed_place=replace(place, index=place.index ^ 1).encode())


def test_what_does_not_belong_refuses_the_file(signed, rows) -> None:
    """Each piece left out, moved or put in: an error, never a sign-off that does not hold."""
    pieces, build = pieces_of(signed, rows)
    other, _ = pieces_of(signed, rows, 1)
    version = next(each for each in other if each.signed_place)
    kinds = [_kind(each) for each in pieces]
    assert kinds.count(records.PROPOSED) == kinds.count(records.CONFIRMED) == 2

    def without(kind: str, at: int = 0) -> list[RecordPieces]:
        gone = [each for each in pieces if _kind(each) == kind][at]
        return [each for each in pieces if each is not gone]

    cases = {
        "no batch": without(records.SIGNED),
        "no proposal of the policy": without(records.PROPOSED, 1),
        "no confirmation of the policy": without(records.CONFIRMED, 1),
        "no first policy": without(records.PROPOSED, 0),
        "no confirmation of the first": without(records.CONFIRMED, 0),
        "another place": [_moved(each) for each in pieces],
        "another path": [_damaged(each) for each in pieces],
        "another return's place": [
            replace(each, signed_place=version.signed_place) if each.signed_place else each
            for each in pieces
        ],
        "a batch of no version": [replace(each, signed_place=b"") for each in pieces],
        "a place of what is no version": [
            replace(each, signed_place=version.signed_place)
            if _kind(each) == records.SIGNED
            else each
            for each in pieces
        ],
        "no core of the batch": [
            replace(each, parts=()) if _kind(each) == records.SIGNED else each for each in pieces
        ],
    }
    for name, given in cases.items():
        assert refused(lambda given=given: told(build(given))), name
    # Whoever leaves all of it out shows a return that is not signed off.
    bare = [
        replace(each, signed_place=b"") for each in pieces if not _kind(each).startswith("signoff.")
    ]
    story = told(build(bare))
    assert story.signoff_of(story.newest) is None
    assert "the file holds no sign-off" in report_text(evidence_report(story, "00", "en"))
