"""The receipt of a return: what it says, who holds it, and that anyone can recompute its code."""

import hashlib
import io
import zipfile

import pytest
from sqlalchemy import update

from yidao.node.affairs.errors import (
    ReceiptCodeAmbiguous,
    ReceiptCodeUnknown,
    ReturnStateWrong,
    ReturnUnknown,
)
from yidao.node.affairs.reporting.receipts import receipt
from yidao.node.affairs.reporting.tables import return_version
from yidao.sync.evidence import build_evidence
from yidao.sync.leafcode import LeafCodeInvalid
from yidao.sync.proof import parse_proof

ROOT, CITY, COUNTY, AGENCY = "/", "/33", "/33/06", "/33/06/a"


def pass_receipts(source, target) -> None:
    """Bring the cosignatures that the target should have."""
    for each in source.store.receipts(target.peer, 0)[0]:
        target.store.run(lambda tx, r=each: tx.add_receipt(source.peer, r))


def recomputed(evidence: bytes) -> str:
    """What an outsider does with the exported evidence and the page of the standard library."""
    header = zipfile.ZipFile(io.BytesIO(evidence)).read("record/header")
    number = int.from_bytes(hashlib.sha256(b"\x00" + header).digest()[:10], "big")
    digits = ["0123456789ABCDEFGHJKMNPQRSTVWXYZ"[number >> at & 31] for at in range(75, -1, -5)]
    return "-".join("".join(digits[at : at + 4]) for at in range(0, 16, 4))


def test_a_receipt_says_who_holds_the_return_and_is_found_by_its_code(registered, rows):
    """At the origin and at its parent, with the same code, journal, size and root."""
    tree = registered()
    agency, county = tree[AGENCY], tree[COUNTY]
    [done] = agency.submit(rows.consumption(0)).results
    alone = receipt(agency.desk, record_id=done.record_id)
    assert alone.held_by == ()
    tree.exchange()
    pass_receipts(county, agency)
    found = receipt(agency.desk, record_id=done.record_id)
    assert found.held_by == (COUNTY,)
    assert (found.code, found.leaf_sha256, found.seq) == (alone.code, alone.leaf_sha256, alone.seq)
    assert found.frontier.origin.endswith(f"/{agency.identity.node_id.hex()}/up:15/1")
    assert found.seq < found.frontier.size
    assert (found.about.unit, found.unit_name) == (rows.unit(0), "样例单位0000")
    for node in (agency, county):
        assert receipt(node.desk, code=found.code) == receipt(node.desk, record_id=done.record_id)
    assert receipt(tree[ROOT].desk, code=found.code.lower().replace("-", " ")).code == found.code

    proven = agency.store.prove(agency.store.lookup(done.record_id))
    evidence = build_evidence(
        header=proven.header,
        proof=parse_proof(proven.proof),
        parts=proven.parts,
        statement=b"",
        chain=(),
    )
    assert recomputed(evidence) == found.code


def test_what_is_withdrawn_still_has_its_receipt(registered, rows):
    """The receipt shows how the return stands now."""
    tree = registered()
    [done] = tree[AGENCY].submit(rows.consumption(0)).results
    tree[AGENCY].affairs.withdrawal.withdraw(tree[AGENCY].actor, [done.record_id], "样例")
    found = receipt(tree[AGENCY].desk, record_id=done.record_id)
    assert (found.about.state, found.about.withdrawn_reason) == ("withdrawn", "样例")


def test_no_receipt_is_given_for_what_is_not_there(registered, rows):
    """An unknown record or code, a code that is none, and what never left its node."""
    tree = registered()
    agency = tree[AGENCY]
    refused, recorded = agency.submit(
        rows.consumption(0, water_tap_m3="1.00"), rows.ledger(0)
    ).results
    for stayed in (refused, recorded):
        with pytest.raises(ReturnStateWrong):
            receipt(agency.desk, record_id=stayed.record_id)
    for wrong, error in (
        ({"record_id": bytes(16)}, ReturnUnknown),
        ({"code": "0000-0000-0000-0000"}, ReceiptCodeUnknown),
        ({"code": "0000"}, LeafCodeInvalid),
        ({}, ReturnUnknown),
    ):
        with pytest.raises(error):
            receipt(agency.desk, **wrong)


def test_a_code_that_two_returns_share_is_not_guessed(registered, rows):
    """Both are shown by record id only."""
    tree = registered()
    agency = tree[AGENCY]
    first, _ = agency.submit(rows.consumption(0), rows.consumption(1)).results
    code = receipt(agency.desk, record_id=first.record_id).code

    def collide(tx) -> None:
        leaf = (
            tx.conn.execute(
                return_version.select().where(return_version.c.record_id == first.record_id)
            )
            .one()
            .leaf
        )
        tx.conn.execute(update(return_version).values(leaf=leaf))

    agency.store.run(collide)
    with pytest.raises(ReceiptCodeAmbiguous):
        receipt(agency.desk, code=code)
