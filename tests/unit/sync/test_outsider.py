"""Evidence is verified by a program that shares no code with the project."""

import ast
import runpy
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from yidao.sync.archive import read_archive, write_archive
from yidao.sync.epoch import Cause
from yidao.sync.errors import PeerError
from yidao.sync.evidence import build_evidence, verify_evidence
from yidao.sync.record import Header, Part
from yidao.sync.returnevidence import RecordPieces, build_return_evidence
from yidao.sync.revocation import CutLine

EXAMPLES = Path(__file__).parents[3] / "examples"
PROGRAM = EXAMPLES / "verify_evidence.py"
SHORT = EXAMPLES / "verify_one_record.py"
CORE = Part(name="core", salt=bytes(range(32)), body=b'{"v":"1"}')

Verify = Callable[[Path, Path], str]


@pytest.fixture(scope="module")
def verify() -> Verify:
    found: Verify = runpy.run_path(str(PROGRAM))["verify"]
    return found


@pytest.fixture
def files(tree: Any, make_header: Callable[..., Header]) -> dict[str, bytes]:
    """The entries of the evidence of a city's record that both tiers above cosigned."""
    city = tree.enrolments[2]
    header = make_header(node_id=city.node_id, parts=(CORE.digest(),)).encode()
    return read_archive(
        build_evidence(
            header=header,
            proof=tree.prove(city, header, channel="up:15", cosigners=tree.enrolments[:2]),
            parts=(CORE,),
            statement=tree.statement,
            chain=tree.proofs,
        )
    )


def outcome(verify: Verify, files: dict[str, bytes], root_pem: bytes, folder: Path) -> str | None:
    """What the program says, or None if it refuses."""
    (folder / "evidence.zip").write_bytes(write_archive(files))
    (folder / "root.pem").write_bytes(root_pem)
    try:
        return verify(folder / "evidence.zip", folder / "root.pem")
    except Exception:  # noqa: BLE001 (whatever it raises, it refuses)
        return None


def test_good_evidence_is_accepted(
    verify: Verify, files: dict[str, bytes], tree: Any, tmp_path: Path
) -> None:
    """Kind, actor, place and who held it come out."""
    said = outcome(verify, files, tree.root_pem, tmp_path)
    assert said == "reporting.return.submitted by li.na@/33/3301 at /33/3301, held by 2 nodes"


def test_any_changed_or_missing_file_is_refused(
    verify: Verify, files: dict[str, bytes], tree: Any, tmp_path: Path
) -> None:
    """One bit in the middle of each file that is proved, and each of them left out."""
    proved = [name for name in files if name != "manifest.json"]
    for name in proved:
        at = len(files[name]) // 2
        flipped = files[name][:at] + bytes([files[name][at] ^ 1]) + files[name][at + 1 :]
        assert outcome(verify, files | {name: flipped}, tree.root_pem, tmp_path) is None, name
        # A part that is left out whole was kept back, and proves nothing of itself.
        if "/parts/" not in name:
            left = {other: data for other, data in files.items() if other != name}
            assert outcome(verify, left, tree.root_pem, tmp_path) is None, name


@pytest.fixture
def return_files(tree: Any) -> dict[str, bytes]:
    """The entries of the evidence of a city's return that the province accepted."""
    _, province, city = tree.enrolments
    about = {"object_id": "return/energy/consumption/2025-Q2/x", "parts": (CORE.digest(),)}
    headers = {
        city: tree.header(city, "reporting.return.submitted", CORE, **about).encode(),
        province: tree.header(province, "reporting.return.accepted", CORE, **about).encode(),
    }
    pieces = [
        RecordPieces(
            header=header,
            proof=tree.prove(
                author, header, channel="up:15", cosigners=tree.enrolments[:1]
            ).encode(),
            parts=(CORE,),
        )
        for author, header in headers.items()
    ]
    return read_archive(
        build_return_evidence(records=pieces, statement=tree.statement, chain=tree.proofs)
    )


def test_evidence_of_a_return_is_accepted_record_by_record(
    verify: Verify, return_files: dict[str, bytes], tree: Any, tmp_path: Path
) -> None:
    """Each with who wrote it and where; two returns in one file are none."""
    said = outcome(verify, return_files, tree.root_pem, tmp_path)
    assert sorted((said or "").splitlines()) == [
        "reporting.return.accepted by admin@/33 at /33, held by 1 nodes",
        "reporting.return.submitted by admin@/33/3301 at /33/3301, held by 1 nodes",
    ]
    city = tree.enrolments[2]
    header = tree.header(
        city, "reporting.return.submitted", CORE, object_id="return/energy/consumption/2025-Q3/x"
    ).encode()
    proof = tree.prove(city, header, channel="up:15").encode()
    other = {"records/02/header": header, "records/02/proof.tlog-proof": proof}
    assert outcome(verify, return_files | other, tree.root_pem, tmp_path) is None


def test_any_changed_or_missing_file_of_a_return_is_refused(
    verify: Verify, return_files: dict[str, bytes], tree: Any, tmp_path: Path
) -> None:
    """As with the evidence of one record."""
    test_any_changed_or_missing_file_is_refused(verify, return_files, tree, tmp_path)


def province_says(rotated: Any, steps: Any, **where: Any) -> dict[str, bytes]:
    """The entries of the evidence of a record of the province, whose keys have changed."""
    header = rotated.tree.header(rotated.province, "sample.thing.made", CORE).encode()
    proof = rotated.tree.prove(
        rotated.province, header, channel="up:15", cosigners=(rotated.root,), **where
    )
    return read_archive(
        build_evidence(
            header=header,
            proof=proof,
            parts=(CORE,),
            statement=rotated.tree.statement,
            chain=(rotated.before, *steps),
        )
    )


def test_an_outsider_follows_a_change_of_keys(verify: Verify, rotated: Any, tmp_path: Path) -> None:
    """Records of both epochs count under their own keys, and under no other."""
    kept = rotated.open(journal_key=rotated.old.public_key, cause=Cause.RESTORED)
    good = {
        "before": ((rotated.step,), {}),
        "after": ((rotated.step,), {"epoch": "2", "signer": rotated.new}),
        "restored": ((rotated.proof(kept, index=0, epoch="2"),), {"epoch": "2"}),
    }
    ended = rotated.open(cut=(CutLine(channel="node", epoch="1", size=5),))
    short = rotated.open(
        cut=(
            CutLine(channel="node", epoch="1", size=5),
            CutLine(channel="up:15", epoch="1", size=4),
        )
    )
    thief = rotated.open(cause=Cause.KEY_ROTATED).sign(rotated.cosign, rotated.new)
    bad = {
        "the old key in the new epoch": ((rotated.step,), {"epoch": "2"}),
        "the new key in the old epoch": ((rotated.step,), {"signer": rotated.new}),
        "no step": ((), {"epoch": "2", "signer": rotated.new}),
        "a journal that had ended": ((rotated.proof(ended, index=4),), {}),
        "records beyond the end": ((rotated.proof(short, index=4),), {}),
        "not signed by the old key": (
            (rotated.proof(thief, index=4),),
            {"epoch": "2", "signer": rotated.new},
        ),
        "a new key that the old journal does not tell of": (
            (rotated.proof(rotated.opened, index=0, epoch="2", signer=rotated.new),),
            {"epoch": "2", "signer": rotated.new},
        ),
    }
    root_pem = rotated.tree.root_pem
    for name, (steps, where) in good.items():
        files = province_says(rotated, steps, **where)
        assert outcome(verify, files, root_pem, tmp_path), name
        report = verify_evidence(write_archive(files), root_pem)
        assert report.origin.path == rotated.province.path, name
    for name, (steps, where) in bad.items():
        files = province_says(rotated, steps, **where)
        assert outcome(verify, files, root_pem, tmp_path) is None, name
        with pytest.raises(PeerError):
            verify_evidence(write_archive(files), root_pem)


def test_another_root_certificate_proves_nothing(
    verify: Verify, files: dict[str, bytes], other_root_pem: bytes, tmp_path: Path
) -> None:
    """All trust comes from the certificate that the verifier has."""
    assert outcome(verify, files, other_root_pem, tmp_path) is None


@pytest.mark.parametrize("program", [PROGRAM, SHORT], ids=lambda path: path.stem)
def test_the_program_imports_only_cryptography(program: Path) -> None:
    """What it shares with the project is the standard library and one public package."""
    tree = ast.parse(program.read_text())
    imported = {
        (node.module or "").partition(".")[0] if isinstance(node, ast.ImportFrom) else name.name
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in node.names
    }
    assert imported - set(sys.stdlib_module_names) == {"cryptography"}


def test_one_record_is_verified_by_sixty_lines(
    files: dict[str, bytes], tree: Any, tmp_path: Path
) -> None:
    """Blank lines, imports and docstrings are not counted."""
    verify: Verify = runpy.run_path(str(SHORT))["verify"]
    said = outcome(verify, files, tree.root_pem, tmp_path)
    assert said == "reporting.return.submitted by li.na@/33/3301 at /33/3301"
    assert len(code_lines(SHORT.read_text())) <= 60


def test_the_sixty_lines_refuse_any_changed_file(
    files: dict[str, bytes], tree: Any, tmp_path: Path
) -> None:
    """One bit in the middle of each file that is proved; another root; a step left out."""
    verify: Verify = runpy.run_path(str(SHORT))["verify"]
    for name in (name for name in files if name != "manifest.json"):
        at = len(files[name]) // 2
        flipped = files[name][:at] + bytes([files[name][at] ^ 1]) + files[name][at + 1 :]
        assert outcome(verify, files | {name: flipped}, tree.root_pem, tmp_path) is None, name
    last = max(name[:8] for name in files if name.startswith("chain/"))
    left = {name: data for name, data in files.items() if not name.startswith(last)}
    assert outcome(verify, left, tree.root_pem, tmp_path) is None


def code_lines(text: str) -> list[str]:
    """The lines of a program but blank ones, imports and docstrings."""
    apart: set[int] = set()
    for node in ast.walk(ast.parse(text)):
        is_text = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        is_import = isinstance(node, ast.Import | ast.ImportFrom)
        if isinstance(node, ast.stmt) and (is_text or is_import):
            apart |= set(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    return [
        line for at, line in enumerate(text.splitlines(), 1) if line.strip() and at not in apart
    ]
