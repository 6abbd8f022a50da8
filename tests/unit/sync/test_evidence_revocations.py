"""What an evidence file says of revocations is judged alike by the library and by an outsider."""

import runpy
from collections.abc import Callable, Sequence
from pathlib import Path as FilePath
from typing import Any

import pytest

from yidao.sync import errors
from yidao.sync.archive import read_archive, write_archive
from yidao.sync.evidence import build_evidence, verify_evidence
from yidao.sync.evidencefiles import MANIFEST, manifest_of
from yidao.sync.evidencerevocations import STATE, RevocationPieces, RevocationsKnown
from yidao.sync.ids import Path
from yidao.sync.note import sign_note
from yidao.sync.record import Header, Part
from yidao.sync.returnevidence import RecordPieces, build_return_evidence, verify_return_evidence
from yidao.sync.revocation import KIND, CutLine, Reason, Revocation
from yidao.sync.trusterrors import EvidenceRevoked

PROGRAM = FilePath(__file__).parents[3] / "examples" / "verify_evidence.py"
CORE = Part(name="core", salt=bytes(range(32)), body=b'{"v":"1"}')
AS_OF_MS = 1_790_000_000_000
ROOT, PROVINCE, CITY = range(3)

Outsider = Callable[[bytes], str | None]


@pytest.fixture
def outsider(tree: Any, tmp_path: FilePath) -> Outsider:
    """What the program that shares no code says; None if it refuses."""
    verify = runpy.run_path(str(PROGRAM))["verify"]

    def run(data: bytes) -> str | None:
        (tmp_path / "evidence.zip").write_bytes(data)
        (tmp_path / "root.pem").write_bytes(tree.root_pem)
        try:
            return str(verify(tmp_path / "evidence.zip", tmp_path / "root.pem"))
        except Exception:  # noqa: BLE001 (whatever it raises, it refuses)
            return None

    return run


def revoked(
    tree: Any, who: int, by: int, *cut: tuple[str, int], index: int = 1, path: str = ""
) -> Any:
    """A revocation of a node as a record of one above, at an index of its journal."""
    node, revoker = tree.enrolments[who], tree.enrolments[by]
    lines = tuple(CutLine(channel=channel, epoch="1", size=size) for channel, size in sorted(cut))
    core = Revocation(
        node_id=node.node_id,
        path=Path.parse(path) if path else node.path,
        reason=Reason.KEY_STOLEN,
        operator=f"admin@{revoker.path}",
        cut=lines,
    ).encode()
    part = Part(name="core", salt=bytes(32), body=core)
    header = tree.header(revoker, KIND, part).encode()
    proof = tree.prove(revoker, header, index=index).encode()
    return RevocationPieces(header=header, parts=(part,), proof=proof)


def known(tree: Any, *found: Any, by: int = PROVINCE) -> RevocationsKnown:
    """What a node above says that it knows."""
    node = tree.enrolments[by]
    signer = tree.signer(str(node.path), "cosigning")
    return RevocationsKnown(node_id=node.node_id, as_of_ms=AS_OF_MS, cosign=signer, found=found)


@pytest.fixture
def evidence(tree: Any, make_header: Callable[..., Header]) -> Callable[..., bytes]:
    """Evidence of the city's record 3, which both tiers above cosigned."""
    city = tree.enrolments[CITY]
    header = make_header(node_id=city.node_id, parts=(CORE.digest(),)).encode()
    proof = tree.prove(city, header, channel="up:15", cosigners=tree.enrolments[:2])

    def make(revocations: RevocationsKnown | None, *, whole: bool = False) -> bytes:
        rest = {"statement": tree.statement, "chain": tree.proofs, "revocations": revocations}
        if whole:
            pieces = RecordPieces(header=header, proof=proof.encode(), parts=(CORE,))
            return build_return_evidence(records=[pieces], **rest)
        return build_evidence(header=header, proof=proof, parts=(CORE,), **rest)

    return make


CASES: dict[str, tuple[Sequence[tuple[Any, ...]], bool, int, int]] = {
    # revocations; whether the evidence holds; cosignatures that count; nodes revoked
    "none": ((), True, 2, 0),
    "the author, and the record lies before the cut": (
        ((CITY, PROVINCE, ("up:15", 4)),),
        True,
        2,
        1,
    ),
    "the author, and the record is the first beyond the cut": (
        ((CITY, PROVINCE, ("up:15", 3)),),
        False,
        0,
        0,
    ),
    "the author, whose journal is not listed": (((CITY, ROOT, ("node", 9)),), False, 0, 0),
    "twice, and the earlier cut counts": (
        ((CITY, ROOT, ("up:15", 4)), (CITY, PROVINCE, ("up:15", 3))),
        False,
        0,
        0,
    ),
    "the tier above, which had enrolled the author before its cut": (
        ((PROVINCE, ROOT, ("node", 4)),),
        True,
        1,
        1,
    ),
    "the tier above, before it enrolled the author": (
        ((PROVINCE, ROOT, ("node", 3)),),
        False,
        0,
        0,
    ),
    "by one who was revoked before it wrote that": (
        ((PROVINCE, ROOT, ("node", 4)), (CITY, PROVINCE, ("up:15", 0), 4)),
        True,
        1,
        1,
    ),
}


@pytest.mark.parametrize(("given", "holds", "cosigned", "nodes"), CASES.values(), ids=list(CASES))
def test_evidence_is_judged_by_the_revocations_in_it(
    tree: Any,
    evidence: Callable[..., bytes],
    outsider: Outsider,
    given: Any,
    holds: bool,
    cosigned: int,
    nodes: int,
) -> None:
    """By position; a revoked node's cosignature counts for nothing, wherever it stands."""
    found = []
    for who, by, *cut in given:
        index = cut.pop() if isinstance(cut[-1], int) else 1
        found.append(revoked(tree, who, by, *cut, index=index))
    data, whole = evidence(known(tree, *found)), evidence(known(tree, *found), whole=True)
    said = outsider(data)
    if not holds:
        with pytest.raises(EvidenceRevoked):
            verify_evidence(data, tree.root_pem, required_tiers=0)
        with pytest.raises(EvidenceRevoked):
            verify_return_evidence(whole, tree.root_pem)
        assert said is None
        return
    report = verify_evidence(data, tree.root_pem)
    [record] = verify_return_evidence(whole, tree.root_pem).records
    assert len(report.cosigners) == len(record.cosigners) == cosigned
    assert report.revocations is not None
    assert (report.revocations.by.path, report.revocations.as_of_ms) == (
        tree.enrolments[PROVINCE].path,
        AS_OF_MS,
    )
    assert said is not None
    first, last = said.splitlines()
    assert first.endswith(f"held by {cosigned} nodes")
    assert last == f"{nodes} nodes of it were revoked, says /33 at {AS_OF_MS}"


def test_a_file_that_says_nothing_says_nothing(
    tree: Any, evidence: Callable[..., bytes], outsider: Outsider
) -> None:
    """Old files verify as ever, and the report knows that nobody said anything."""
    data = evidence(None)
    assert verify_evidence(data, tree.root_pem).revocations is None
    said = outsider(data)
    assert said is not None
    assert len(said.splitlines()) == 1


def edited(data: bytes, change: Callable[[dict[str, bytes]], None], fmt: str) -> bytes:
    """A file with other entries and a manifest that fits."""
    files = read_archive(data)
    del files[MANIFEST]
    change(files)
    files[MANIFEST] = manifest_of(fmt, files)
    return write_archive({MANIFEST: files.pop(MANIFEST), **files})


def test_what_is_said_of_revocations_cannot_be_changed(
    tree: Any, evidence: Callable[..., bytes], outsider: Outsider
) -> None:
    """A revocation is left out alone, the count or the date is another, or another node signed."""
    data = evidence(known(tree, revoked(tree, CITY, PROVINCE, ("up:15", 4))))
    assert verify_evidence(data, tree.root_pem)

    def left_out(files: dict[str, bytes]) -> None:
        for name in [name for name in files if name.startswith("revocations/00")]:
            del files[name]

    def counted_down(files: dict[str, bytes]) -> None:
        left_out(files)
        files[STATE] = files[STATE].replace(b"\n1\n", b"\n0\n")

    def later(files: dict[str, bytes]) -> None:
        files[STATE] = files[STATE].replace(b"%d" % AS_OF_MS, b"%d" % (AS_OF_MS + 1))

    def with_a_line(files: dict[str, bytes]) -> None:
        files[STATE] += files[STATE].split(b"\n\n")[1]

    def cut_later(files: dict[str, bytes]) -> None:
        name = "revocations/00/parts/0/body"
        files[name] = files[name].replace(b'"size":4', b'"size":9')

    for change in (left_out, counted_down, later, with_a_line, cut_later):
        wrong = edited(data, change, "yidao-evidence-v1")
        with pytest.raises(errors.PeerError):
            verify_evidence(wrong, tree.root_pem)
        assert outsider(wrong) is None, change.__name__

    stranger = known(tree, by=PROVINCE)
    foreign = RevocationsKnown(
        node_id=stranger.node_id,
        as_of_ms=AS_OF_MS,
        cosign=tree.signer("/44", "cosigning"),
    )
    with pytest.raises(errors.PeerError):
        verify_evidence(evidence(foreign), tree.root_pem)
    assert outsider(evidence(foreign)) is None


@pytest.mark.parametrize("above", [ROOT, PROVINCE])
def test_nobody_revokes_a_node_above_under_a_path_of_their_own(
    tree: Any, evidence: Callable[..., bytes], outsider: Outsider, above: int
) -> None:
    """A city names its province, or the root, and says that it stood below the city."""
    path = f"{tree.enrolments[CITY].path}/x"
    data = evidence(known(tree, revoked(tree, above, CITY, ("node", 9), path=path), by=CITY))
    with pytest.raises(errors.EvidenceMismatch):
        verify_evidence(data, tree.root_pem)
    assert outsider(data) is None


def test_a_number_that_no_machine_reads_is_refused(
    tree: Any, evidence: Callable[..., bytes]
) -> None:
    """More digits than Python turns into a number, properly signed."""
    node = tree.enrolments[PROVINCE]

    def far(files: dict[str, bytes]) -> None:
        text = files[STATE].split(b"\n\n")[0].decode().replace(str(AS_OF_MS), "9" * 5_000)
        name = files[STATE].decode().split("\n\n")[1].split(" ")[1]
        files[STATE] = sign_note(f"{text}\n", name, tree.signer(str(node.path), "cosigning"))

    wrong = edited(evidence(known(tree)), far, "yidao-evidence-v1")
    with pytest.raises(errors.EvidenceMalformed):
        verify_evidence(wrong, tree.root_pem)
