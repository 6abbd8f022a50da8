import io
import zipfile
from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from yidao.sync import errors
from yidao.sync import evidence as evidence_module
from yidao.sync.archive import (
    MAX_ARCHIVE_BYTES,
    MAX_ENTRIES,
    MAX_ENTRY_BYTES,
    read_archive,
    write_archive,
)
from yidao.sync.evidence import Step, build_evidence, verify_evidence
from yidao.sync.proof import TlogProof
from yidao.sync.record import Part

MakePart = Callable[..., Part]
CORE = Part(name="core", salt=bytes(range(32)), body=b'{"v":"1"}')
PII = Part(name="pii", salt=bytes(range(1, 33)), body=b'{"name":"sample"}')


def header_of(tree: Any, origin: Any, **changes: object) -> bytes:
    parts = (CORE.digest(), PII.digest())
    made = tree.header(origin, "reporting.return.submitted", CORE, **({"parts": parts} | changes))
    return bytes(made.encode())


def evidence(tree: Any, **changes: Any) -> bytes:
    """The evidence of a city's record that both tiers above cosigned, or a variant."""
    city = tree.enrolments[2]
    header = changes.get("header", header_of(tree, city))
    fields: dict[str, Any] = {
        "header": header,
        "proof": tree.prove(city, header, channel="up:15", cosigners=tree.enrolments[:2]),
        "parts": (CORE, PII),
        "statement": tree.statement,
        "chain": tree.proofs,
    }
    return build_evidence(**(fields | changes))


def test_evidence_proves_a_record_to_whoever_has_the_root_certificate(tree: Any) -> None:
    """Who wrote it, where it stands, what it says, and which tiers held it when."""
    report = verify_evidence(evidence(tree), tree.root_pem)
    assert [str(e.path) for e in report.chain] == ["/", "/33", "/33/3301"]
    assert report.origin == tree.enrolments[2]
    assert (report.journal.channel, report.seq, report.checkpoint.size) == ("up:15", 3, 5)
    assert report.parts == (CORE, PII)
    assert [(str(c.path), c.time_s) for c in report.cosigners] == [
        ("/33", 1_750_000_001),
        ("/", 1_750_000_000),
    ]
    steps = report.steps()
    assert all(step.ok for step in steps)
    assert {step.step for step in steps} == set(Step)


def test_evidence_of_the_roots_own_record_needs_no_chain(tree: Any) -> None:
    """Nobody stands above the root, so no cosignature is asked for."""
    root = tree.enrolments[0]
    header = header_of(tree, root)
    data = evidence(tree, header=header, proof=tree.prove(root, header, channel="down"), chain=())
    report = verify_evidence(data, tree.root_pem)
    assert str(report.origin.path) == "/"
    assert report.tiers == ()


def test_withheld_parts_are_shown_as_absent(tree: Any) -> None:
    """The proof stands without them; the header still says how long they are."""
    report = verify_evidence(evidence(tree, parts=(CORE,)), tree.root_pem)
    assert report.parts == (CORE,)
    absent = [step.subject for step in report.steps() if not step.ok]
    assert absent == ["pii"]


def test_a_tier_that_has_not_cosigned_is_missing_unless_it_is_not_required(tree: Any) -> None:
    """The policy counts tiers from the parent up."""
    city, header = tree.enrolments[2], header_of(tree, tree.enrolments[2])
    parent_only = tree.prove(city, header, channel="up:15", cosigners=tree.enrolments[1:2])
    data = evidence(tree, proof=parent_only)
    with pytest.raises(errors.EvidenceIncomplete) as caught:
        verify_evidence(data, tree.root_pem)
    assert caught.value.params["missing"] == "cosignature of /"
    report = verify_evidence(data, tree.root_pem, required_tiers=1)
    assert [step.subject for step in report.steps() if not step.ok] == ["/"]
    bare = evidence(tree, proof=tree.prove(city, header, channel="up:15"))
    with pytest.raises(errors.EvidenceIncomplete):
        verify_evidence(bare, tree.root_pem, required_tiers=1)
    assert verify_evidence(bare, tree.root_pem, required_tiers=0).cosigners == ()


def test_a_known_cosigners_failing_signature_refuses_the_evidence(tree: Any) -> None:
    """Even if that tier was not required."""
    city, header = tree.enrolments[2], header_of(tree, tree.enrolments[2])
    other = tree.prove(tree.enrolments[2], header, channel="up:14", cosigners=tree.enrolments[:1])
    good = tree.prove(city, header, channel="up:15")
    stolen_line = other.checkpoint.splitlines(keepends=True)[-1]
    mixed = replace(good, checkpoint=good.checkpoint + stolen_line)
    with pytest.raises(errors.CosignatureInvalid):
        verify_evidence(evidence(tree, proof=mixed), tree.root_pem, required_tiers=0)


def test_pieces_of_other_records_do_not_fit(tree: Any) -> None:
    """Each exchanged piece is noticed, and by a typed error."""
    province, city = tree.enrolments[1:]
    header = header_of(tree, city)
    other_header = header_of(tree, city, created_ms=1)
    proof = tree.prove(city, header, channel="up:15", cosigners=tree.enrolments[:2])
    by_province = tree.prove(province, header, channel="up:15", cosigners=tree.enrolments[:1])
    foreign = header_of(tree, city, network=bytes(16))
    cases: list[tuple[dict[str, Any], type[errors.PeerError]]] = [
        ({"header": other_header, "proof": proof}, errors.ProofInvalid),
        ({"proof": by_province}, errors.EvidenceMismatch),
        ({"header": header_of(tree, province)}, errors.EvidenceMismatch),
        ({"header": foreign}, errors.EvidenceMismatch),
        ({"chain": tree.proofs[:1]}, errors.EvidenceMismatch),
        ({"chain": tree.proofs[1:]}, errors.EnrolmentMalformed),
        ({"statement": tree.statement[:-2] + b"\n"}, errors.RootStatementInvalid),
        ({"parts": (CORE._replace(body=b'{"v":"2"}'),)}, errors.PartCommitmentMismatch),
        (
            {"proof": TlogProof(index=2, path=proof.path, checkpoint=proof.checkpoint)},
            errors.ProofInvalid,
        ),
    ]
    for changes, error in cases:
        with pytest.raises(error):
            verify_evidence(evidence(tree, **changes), tree.root_pem)


def test_another_root_certificate_proves_nothing(tree: Any) -> None:
    """All trust comes from the verifier's own copy."""
    key = ec.derive_private_key(7, ec.SECP256R1())
    old = x509.load_pem_x509_certificate(tree.root_pem)
    builder = x509.CertificateBuilder(old.issuer, old.subject, key.public_key(), 1)
    builder = builder.not_valid_before(old.not_valid_before_utc)
    builder = builder.not_valid_after(old.not_valid_after_utc)
    other = builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
    with pytest.raises(errors.RootStatementInvalid):
        verify_evidence(evidence(tree), other)


def test_a_part_that_the_header_does_not_name_is_not_packed(tree: Any) -> None:
    """The writer refuses what the reader would."""
    with pytest.raises(errors.EvidenceMismatch):
        evidence(tree, parts=(Part(name="file:1", salt=bytes(32), body=b""),))


def test_the_same_pieces_give_the_same_file(tree: Any) -> None:
    """Evidence can be compared by its hash."""
    assert evidence(tree) == evidence(tree)


def rebuilt(data: bytes, change: Callable[[dict[str, bytes]], None]) -> bytes:
    files = read_archive(data)
    change(files)
    return write_archive(files)


def test_each_file_is_needed_and_no_other_is_allowed(tree: Any) -> None:
    """Removing, changing or adding any entry is noticed, also with a new manifest."""
    data = evidence(tree)
    names = [name for name in read_archive(data) if name != "manifest.json"]
    assert len(names) == 3 + 4 + 8

    def resealed(change: Callable[[dict[str, bytes]], None]) -> bytes:
        def and_manifest(files: dict[str, bytes]) -> None:
            del files["manifest.json"]
            change(files)
            files["manifest.json"] = evidence_module._manifest(files)

        return rebuilt(data, and_manifest)

    for name in names:

        def remove(files: dict[str, bytes], name: str = name) -> None:
            del files[name]

        def flip(files: dict[str, bytes], name: str = name) -> None:
            files[name] = files[name][:-2] + bytes([files[name][-2] ^ 1]) + files[name][-1:]

        with pytest.raises(errors.EvidenceMismatch):
            verify_evidence(rebuilt(data, remove), tree.root_pem)
        with pytest.raises(errors.EvidenceMismatch):
            verify_evidence(rebuilt(data, flip), tree.root_pem)
        # A part taken away whole is a withheld part; half a part is an error.
        with pytest.raises(errors.PeerError):
            verify_evidence(resealed(remove), tree.root_pem)
        with pytest.raises(errors.PeerError):
            verify_evidence(resealed(flip), tree.root_pem)
    with pytest.raises(errors.EvidenceMalformed):
        verify_evidence(resealed(lambda files: files.update(extra=b"")), tree.root_pem)
    with pytest.raises(errors.EvidenceIncomplete):
        verify_evidence(rebuilt(data, lambda files: files.pop("manifest.json")), tree.root_pem)  # type: ignore[arg-type, return-value]


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150, deadline=None
)
@given(data=st.data())
def test_no_damaged_file_verifies_or_fails_without_a_code(tree: Any, data: st.DataObject) -> None:
    """A changed byte, a cut or a byte too many gives a typed error, wherever it is."""
    whole = evidence(tree)
    at = data.draw(st.integers(0, len(whole) - 1))
    change = data.draw(st.integers(1, 255))
    damaged = data.draw(
        st.sampled_from(
            [
                whole[:at],
                whole[:at] + bytes([whole[at] ^ change]) + whole[at + 1 :],
                whole[:at] + bytes([change]) + whole[at:],
            ]
        )
    )
    with pytest.raises(errors.PeerError):
        verify_evidence(damaged, tree.root_pem)


def test_every_flipped_bit_is_noticed(tree: Any) -> None:
    """The lowest bit of each byte in turn, those of the zip's own headers too."""
    whole = evidence(tree)
    unnoticed = []
    for at in range(len(whole)):
        try:
            read_archive(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        except errors.EvidenceMalformed:
            continue
        unnoticed.append(at)
    # What the zip does not notice is content, and the manifest does.
    for at in unnoticed:
        with pytest.raises(errors.PeerError):
            verify_evidence(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :], tree.root_pem)


def raw_zip(entries: list[tuple[str, bytes]], method: int = zipfile.ZIP_STORED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, body in entries:
            archive.writestr(name, body)
    return buffer.getvalue()


BAD_ZIPS = {
    "empty": b"",
    "no zip": b"PK\x03\x04" + bytes(100),
    "path upwards": raw_zip([("../a", b"")]),
    "absolute path": raw_zip([("/a", b"")]),
    "folder": raw_zip([("a/", b"")]),
    "upper case": raw_zip([("A", b"")]),
    "backslash": raw_zip([("a\\b", b"")]),
    "too many entries": raw_zip([(f"a{n}", b"") for n in range(MAX_ENTRIES + 1)]),
    "an entry too large": raw_zip([("a", bytes(MAX_ENTRY_BYTES + 1))], zipfile.ZIP_DEFLATED),
    "too much in all": raw_zip([(f"a{n}", bytes(MAX_ENTRY_BYTES)) for n in range(17)], 8),
    "compressed": raw_zip([("a", b"a" * 100)], zipfile.ZIP_DEFLATED),
    "another writer's dates": raw_zip([("a", b"1")]),
    "bzip2": raw_zip([("a", b"a" * 100)], zipfile.ZIP_BZIP2),
    "over the cap": bytes(9 * 1024 * 1024),
}


@pytest.mark.parametrize("data", BAD_ZIPS.values(), ids=BAD_ZIPS.keys())
def test_a_bad_zip_is_refused(data: bytes) -> None:
    """Names, counts and sizes are judged before anything is unpacked."""
    with pytest.raises(errors.EvidenceMalformed):
        read_archive(data)


def test_a_repeated_name_is_refused() -> None:
    """Readers disagree on which of two entries counts."""
    with pytest.warns(UserWarning, match="Duplicate name"):
        data = raw_zip([("a", b"1"), ("a", b"2")])
    with pytest.raises(errors.EvidenceMalformed):
        read_archive(data)


@pytest.mark.parametrize("declared", [10, 2000])
def test_a_size_that_lies_is_refused(declared: int) -> None:
    """An entry that holds more or less than it declares is no entry."""
    data = bytearray(write_archive({"a": b"a" * 1000}))
    central = data.index(b"PK\x01\x02")
    data[central + 24 : central + 28] = declared.to_bytes(4, "little")
    with pytest.raises(errors.EvidenceMalformed):
        read_archive(bytes(data))


@pytest.mark.parametrize("before", [1, MAX_ARCHIVE_BYTES])
def test_a_good_zip_behind_something_else_is_refused(before: int) -> None:
    """A zip may begin anywhere in a file; evidence is the whole file."""
    good = write_archive({"a": b"1"})
    assert read_archive(good) == {"a": b"1"}
    with pytest.raises(errors.EvidenceMalformed):
        read_archive(bytes(before) + good)


def test_the_largest_content_is_written_and_read() -> None:
    """Sixteen entries of random-looking bytes at the limits come back."""
    noise = b"".join(sha256(b"%d" % n).digest() for n in range(MAX_ENTRY_BYTES // 32))
    files = {f"a{n}": noise for n in range(16)}
    assert read_archive(write_archive(files)) == files
