"""What is installed is what stands in the repo, and runs from there (docs/adr/0001)."""

import json
import os
import shutil
import sqlite3
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
SETUPTOOLS = PROJECT["tool"]["setuptools"]
FOLDERS: dict[str, str] = SETUPTOOLS["package-dir"]

# Sources of generated code stay in the repo; caches are nobody's.
NOT_SHIPPED = {".proto", ".pyc"}


def packaged_files(root: Path) -> Iterator[tuple[str, Path]]:
    """Yield each file below a package folder with the name that a wheel gives it."""
    for package, folder in FOLDERS.items():
        for path in sorted((root / folder).rglob("*")):
            if path.is_file() and path.suffix not in NOT_SHIPPED:
                yield f"{package.replace('.', '/')}/{path.relative_to(root / folder)}", path


# Every package from where it was installed, a store at its newest schema, the data that code reads.
RUN = """
import json, os, sys
from importlib import import_module
from pathlib import Path
from yidao.catalog.pack.loader import load_pack
from yidao.migrations import REVISIONS
from yidao.node.messages import message
from yidao.node.store.store import Store

files = {name: import_module(name).__file__ for name in json.loads(sys.argv[1])}
store = Store.open(f"sqlite:///{Path.cwd()}/store.db", clock_ms=lambda: 0, random=os.urandom)
store.close()
packs = Path(files["yidao.catalog"]).parent / "packs"
print(json.dumps({
    "files": files,
    "head": REVISIONS[-1],
    "packs": {file.stem: len(load_pack(file.read_bytes()).forms) for file in packs.glob("*.yaml")},
    "texts": [message("STORE_TAMPERED", {}, language).text for language in ("zh", "en")],
}))
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[zipfile.ZipFile]:
    """Build the wheel from a copy, since setuptools writes into the tree that it builds."""
    source = tmp_path_factory.mktemp("source")
    for folder in FOLDERS.values():
        shutil.copytree(
            ROOT / folder, source / folder, ignore=shutil.ignore_patterns("__pycache__")
        )
    for name in ("pyproject.toml", "LICENSE", "README.md"):
        shutil.copy(ROOT / name, source / name)
    out = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--disable-pip-version-check"]
    command += ["--no-deps", "--no-build-isolation", "--wheel-dir", str(out), str(source)]
    built = subprocess.run(command, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr
    (path,) = out.glob("*.whl")
    with zipfile.ZipFile(path) as archive:
        yield archive


def test_every_package_is_listed() -> None:
    """The wheel's package list matches the folders on disk: a forgotten one would not ship."""
    on_disk = {
        ".".join([package, *path.parent.relative_to(ROOT / folder).parts])
        for package, folder in FOLDERS.items()
        for path in (ROOT / folder).rglob("__init__.py")
    }
    assert set(SETUPTOOLS["packages"]) == on_disk


def test_no_package_is_listed_twice() -> None:
    """The list has each package once."""
    assert len(SETUPTOOLS["packages"]) == len(set(SETUPTOOLS["packages"]))


def test_no_module_lies_outside_a_package() -> None:
    """Each Python file stands beside an __init__.py, or the wheel would leave it out."""
    strays = [
        name
        for name, path in packaged_files(ROOT)
        if path.suffix == ".py" and not (path.parent / "__init__.py").exists()
    ]
    assert strays == []


def test_the_type_checkers_links_lead_to_the_folders() -> None:
    """Each link in .typing/yidao is the folder that setuptools maps."""
    links = {f"yidao.{link.name}": link.resolve() for link in (ROOT / ".typing/yidao").iterdir()}
    assert links == {package: (ROOT / folder).resolve() for package, folder in FOLDERS.items()}


def test_a_plain_import_of_a_folder_is_banned() -> None:
    """Lint refuses each top-level name that would make a second copy of a module."""
    banned = PROJECT["tool"]["ruff"]["lint"]["flake8-tidy-imports"]["banned-api"]
    assert {folder.split("/")[0] for folder in FOLDERS.values()} <= set(banned)


def test_the_wheel_holds_every_file_of_the_packages(wheel: zipfile.ZipFile) -> None:
    """Modules, stubs, packs, data with their sources, texts and migrations are all installed."""
    missing = {name for name, _ in packaged_files(ROOT)} - set(wheel.namelist())
    assert missing == set()


@pytest.mark.parametrize(
    "pattern",
    [
        "yidao/catalog/packs/energy-2022.yaml",
        "yidao/catalog/packs/energy-2025.yaml",
        "yidao/catalog/data/divisions.csv",
        "yidao/catalog/data/SOURCES.md",
        "yidao/node/messages/zh/node.yaml",
        "yidao/node/messages/en/node.yaml",
        "yidao/migrations/env.py",
        "yidao/migrations/script.py.mako",
        "yidao/api/link/v1/link_pb2.pyi",
        "yidao/sync/py.typed",
        "yidao-{version}.dist-info/licenses/LICENSE",
    ],
)
def test_the_wheel_holds_what_a_node_reads_at_run_time(
    wheel: zipfile.ZipFile, pattern: str
) -> None:
    """The files that code looks up by name are in the wheel under that name."""
    assert pattern.format(version=PROJECT["project"]["version"]) in wheel.namelist()


def test_the_wheel_brings_the_command_and_no_plain_top_level_name(wheel: zipfile.ZipFile) -> None:
    """`yidao` is the only name that an installation adds, and the only command."""
    tops = {name.split("/")[0] for name in wheel.namelist()}
    dist_info = f"yidao-{PROJECT['project']['version']}.dist-info"
    assert tops == {"yidao", dist_info}
    assert "yidao/__init__.py" not in wheel.namelist()
    scripts = wheel.read(f"{dist_info}/entry_points.txt").decode()
    assert scripts.split() == ["[console_scripts]", "yidao", "=", "yidao.node.cli:main"]


@pytest.fixture(scope="module")
def installed(wheel: zipfile.ZipFile, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder into which the wheel was installed, without what it depends on."""
    folder = tmp_path_factory.mktemp("installed")
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    command += ["--no-deps", "--no-index", "--target", str(folder), str(wheel.filename)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder


def run_installed(folder: Path, *arguments: str, cwd: Path) -> str:
    """Run Python with the installed wheel before the editable installation; give its output."""
    environment = {n: v for n, v in os.environ.items() if not n.startswith(("YIDAO_", "PYTHON"))}
    done = subprocess.run(
        [sys.executable, *arguments],
        capture_output=True,
        text=True,
        check=False,
        cwd=cwd,
        env={**environment, "PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1"},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_node_starts_from_the_wheel_alone(installed: Path, tmp_path: Path) -> None:
    """A new store migrates to the newest schema, packs and texts load, all from the wheel."""
    names = json.dumps(SETUPTOOLS["packages"])
    told = json.loads(run_installed(installed, "-c", RUN, names, cwd=tmp_path))
    elsewhere = {n: f for n, f in told["files"].items() if not Path(f).is_relative_to(installed)}
    assert elsewhere == {}
    with sqlite3.connect(tmp_path / "store.db") as database:
        assert database.execute("SELECT version_num FROM alembic_version").fetchall() == [
            (told["head"],)
        ]
    shipped = {file.stem for file in (ROOT / "catalog" / "packs").glob("*.yaml")}
    assert set(told["packs"]) == shipped
    assert all(told["packs"].values())
    assert all(told["texts"])
    assert told["texts"][0] != told["texts"][1]


def test_the_command_line_runs_from_the_wheel_alone(installed: Path, tmp_path: Path) -> None:
    """`python -m yidao.node --help` names the verbs."""
    told = run_installed(installed, "-m", "yidao.node", "--lang", "en", "--help", cwd=tmp_path)
    assert {"init", "join", "run", "import", "demo"} <= set(told.split())
