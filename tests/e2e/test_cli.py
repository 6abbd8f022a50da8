"""The command line on two real nodes, as the README says it, with its exit codes."""

import hashlib
import json
import re
import socket
import subprocess
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openpyxl
import pytest

from yidao.catalog.codes import sample_uscc
from yidao.node.demo.tree import clean_environment, free_ports, yidao_command

README = Path(__file__).parents[2] / "README.md"
PACK = Path(__file__).parents[2] / "catalog" / "packs" / "energy-2022.yaml"

SEND_BACK = ("return", "send-back", "--data", "root", "--actor", "wang@/", "--reason", "样例")
CHILD = ("child", "add", "--data", "root", "--operator", "admin@/")

pytestmark = pytest.mark.e2e


def yidao(*arguments: str, folder: Path, seconds: float = 60) -> subprocess.CompletedProcess[str]:
    """Run one command to its end."""
    return subprocess.run(
        [*yidao_command(), *arguments],
        capture_output=True,
        text=True,
        check=False,
        cwd=folder,
        env=clean_environment(),
        timeout=seconds,
        stdin=subprocess.DEVNULL,
    )


def answer(*arguments: str, folder: Path, exit_code: int = 0) -> dict[str, Any]:
    """Run one command with `--json` and read its line."""
    done = yidao(*arguments, "--json", folder=folder)
    assert done.returncode == exit_code, (arguments, done.stdout, done.stderr)
    return dict(json.loads(done.stdout or done.stderr))


class Pair:
    """A root and a province, founded and joined by the README's own lines."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.running: list[subprocess.Popen[bytes]] = []
        ports = [str(port) for port in free_ports(4)]
        given = ("7350", "7351", "7360", "7361")
        self._ports = dict(zip(given, ports, strict=True))

    def play(self) -> None:
        """Run the block of the README line by line."""
        for line in _readme_block():
            words = self._with_ports(line).split()
            if words[-1] == "&":
                self.start(words[1:-1])
                continue
            done = yidao(*words[1:], folder=self.folder)
            assert done.returncode == 0, (line, done.stdout, done.stderr)

    def start(self, words: list[str]) -> None:
        """Start a daemon and wait until it answers."""
        process = subprocess.Popen(
            [*yidao_command(), *words],
            cwd=self.folder,
            env=clean_environment(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self.running.append(process)
        data = words[words.index("--data") + 1]
        deadline = time.monotonic() + 20
        while yidao("status", "--data", data, folder=self.folder).returncode == 3:
            assert time.monotonic() < deadline, words
            time.sleep(0.1)

    def stop(self) -> None:
        """End the daemons that were started here."""
        for process in self.running:
            process.terminate()
            process.wait(20)

    def _with_ports(self, line: str) -> str:
        if line.startswith("yidao init"):
            line += " --listen 127.0.0.1:7350 --join-listen 127.0.0.1:7351"
        line = line.replace("catalog/packs/energy-2022.yaml", str(PACK))
        for given, port in self._ports.items():
            line = line.replace(f":{given}", f":{port}")
        return line


def _readme_block() -> list[str]:
    """The commands under "Two nodes in five minutes", comments left out."""
    text = README.read_text().partition("## Two nodes in five minutes")[2]
    block = re.search(r"```\n(yidao init.*?)```", text, re.DOTALL)
    assert block is not None
    return [line.partition("#")[0].strip() for line in block[1].splitlines()]


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    """Two nodes that run."""
    made = Pair(tmp_path_factory.mktemp("p"))
    try:
        made.play()
        yield made
    finally:
        made.stop()


def until(pair: Pair, *arguments: str, met: Any, seconds: float = 20) -> dict[str, Any]:
    """Ask until the answer is as wanted."""
    deadline = time.monotonic() + seconds
    while not met(found := answer(*arguments, folder=pair.folder)):
        assert time.monotonic() < deadline, found
        time.sleep(0.2)
    return found


def test_the_readme_leads_to_an_accepted_return(pair: Pair) -> None:
    """Import with a dry run first, accept, roll up, evidence, verify, rebuild: all by the CLI."""
    folder, unit = pair.folder, sample_uscc(1, "330106")
    until(pair, "pack", "list", "--data", "province", met=lambda found: found["packs"])
    (folder / "unit.csv").write_text(
        f"统一社会信用代码,单位名称,行政区划代码,公共机构类型,名录状态\n{unit},样例单位,330106,01,1\n"
    )
    (folder / "size.csv").write_text(
        f"统一社会信用代码,报告期,建筑面积,用能人数\n{unit},2025-Q2,5000,100\n"
        f"{unit},2025-Q3,-5,100\n"
    )
    common = ("--data", "province", "--actor", "li@/33")
    dry = answer("import", "unit.csv", "--dry-run", *common, folder=folder)
    assert (dry["rows"], dry["refused"]) == (1, [])
    assert answer("import", "unit.csv", *common, folder=folder)["submitted"] == 1
    assert answer("import", "unit.csv", *common, folder=folder)["unchanged"] == 1
    sizes = answer("import", "size.csv", *common, folder=folder, exit_code=1)
    assert sizes["submitted"] == 1
    (fault,) = sizes["refused"][0]["faults"]
    assert fault["field"] == "floor_area"
    assert fault["zh"]
    assert fault["en"]

    at_root = ("--data", "root", "--form", "profile", "--period", "2025-Q2")
    until(pair, "return", "list", *at_root, met=lambda found: found["returns"])
    accepted = answer("return", "accept", *at_root, "--actor", "wang@/", folder=folder)
    assert accepted["reviewed"] == 1
    totals = answer("return", "roll-up", *at_root, folder=folder)
    assert totals["accepted"]["fields"]["floor_area"] == "5000.00"
    assert totals["frontiers"]

    record = answer("return", "list", *at_root, folder=folder)["returns"][0]["record_id"]
    answer("evidence", "export", record, "--data", "root", "-o", "e.zip", folder=folder)
    verify = ("evidence", "verify", "e.zip", "--root", "root/keys/root.pem")
    assert answer(*verify, folder=folder)["verified"] is True
    check_return_evidence(unit, folder)
    assert answer("store", "rebuild", "--data", "root", folder=folder)["equal"] is True
    assert answer("store", "verify", "--data", "province", folder=folder)["problems"] == []
    assert answer("doctor", "--data", "province", folder=folder)["sound"] is True
    assert answer("status", "--data", "root", "--of", "/33", folder=folder)["path"] == "/33"


def test_a_directive_by_the_command_line(pair: Pair) -> None:
    """Issue, see it below, acknowledge, see the tree."""
    folder = pair.folder
    issued = answer(
        *("directive", "issue", "--data", "root", "--actor", "wang@/", "--number", "1"),
        *("--title", "样例", "--to", "/33"),
        folder=folder,
    )
    name = issued["directive"]
    until(
        pair,
        *("directive", "list", "--data", "province"),
        met=lambda found: [d["state"] for d in found["directives"]] == ["delivered"],
    )
    report = ("directive", "report", name, "acknowledged", "--data", "province")
    answer(*report, "--actor", "li@/33", folder=folder)
    seen = until(
        pair,
        *("directive", "tree", name, "--data", "root"),
        met=lambda found: found["targets"][0]["state"] == "acknowledged",
    )
    assert seen["targets"][0]["actor"] == "li@/33"
    again = answer(*report, "--actor", "li@/33", folder=folder, exit_code=4)
    assert again["error"] == "DIRECTIVE_ORDER_WRONG"


@pytest.mark.parametrize(
    ("arguments", "exit_code", "code"),
    [
        (("status", "--data", "nowhere"), 3, "NODE_UNREACHABLE"),
        (("run", "--data", "nowhere"), 2, "DATA_DIR_MISSING"),
        (("init", "--data", "root"), 2, "NODE_ALREADY_ENROLLED"),
        (("run", "--data", "root"), 2, "DATA_DIR_LOCKED"),
        (("status", "--data", "root", "--of", "/44"), 4, "QUERY_UNROUTABLE"),
        (("import", "none.csv", "--data", "province", "--actor", "li@/33"), 2, None),
        (("pack", "publish", str(PACK), "--data", "province", "--actor", "li@/33"), 4, None),
        (("return", "list", "--data", "root", "--state", "a\nb"), 4, "CURSOR_INVALID"),
        (("evidence", "export", "zz", "--data", "root", "-o", "x.zip"), 2, "ID_INVALID"),
        (
            ("return", "accept", "--data", "root", "--actor", "w@/", "--record", "zz"),
            2,
            "ID_INVALID",
        ),
        ((*SEND_BACK, "--record", "zz"), 2, "ID_INVALID"),
        ((*SEND_BACK, "--record", "0" * 32), 4, None),
        ((*SEND_BACK, "--record", "0" * 100_000), 2, "ID_INVALID"),
        ((*SEND_BACK, *["--record", "0" * 100_000] * 10), 2, None),
        (("return", "list", "--data", "root", "--limit", "-1"), 2, None),
        (("return", "list", "--data", "root", "--limit", "9" * 20), 2, None),
        (("return", "list", "--data", "root", "--unit", "\udcff"), 2, "ARGUMENT_NOT_TEXT"),
        (("status", "--data", "root", "--of", "/33\n"), 4, "PATH_INVALID"),
        (("status", "--data", "root", "--of", "\udcff"), 2, "ARGUMENT_NOT_TEXT"),
        ((*CHILD, "44", "--hours", "0", "-o", "x"), 2, None),
        ((*CHILD, "44\n", "-o", "x"), 4, None),
        ((*CHILD, "44", "-o", "root"), 2, "OUTPUT_FILE_UNWRITABLE"),
        (("demo", "--folder", "/dev/null"), 2, "OUTPUT_FILE_UNWRITABLE"),
        (("status", "--data", "x" * 100_000), 2, "SOCKET_PATH_TOO_LONG"),
        (("no-such-verb",), 2, None),
    ],
)
def test_what_is_wrong_ends_with_a_stable_code(
    pair: Pair, arguments: tuple[str, ...], exit_code: int, code: str | None
) -> None:
    """Exit codes as documented; the code in the text; never a traceback."""
    done = yidao(*arguments, folder=pair.folder)
    assert done.returncode == exit_code, (done.stdout, done.stderr)
    assert "Traceback" not in done.stderr
    if code is not None:
        assert f"[{code}]" in done.stderr


def test_a_port_in_use_is_named(pair: Pair, tmp_path: Path) -> None:
    """A daemon that cannot listen says where, and ends."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        other = str(free_ports(1)[0])
        answer(
            *("init", "--data", "n", "--listen", f"127.0.0.1:{port}"),
            *("--join-listen", f"127.0.0.1:{other}"),
            folder=tmp_path,
        )
        done = yidao("run", "--data", "n", folder=tmp_path)
    assert done.returncode == 2, done.stderr
    assert "[LINK_PORT_TAKEN]" in done.stderr


def test_bytes_that_are_no_text_are_an_argument_too(pair: Pair) -> None:
    """An argument that is not UTF-8 ends like any other wrong name."""
    done = subprocess.run(
        [*yidao_command(), "status", "--data", b"\xff\xfe"],
        capture_output=True,
        check=False,
        cwd=pair.folder,
        env=clean_environment(),
    )
    assert done.returncode == 3
    assert b"Traceback" not in done.stderr


def test_a_return_sent_back_is_corrected_and_accepted(pair: Pair) -> None:
    """The reason reaches the sender; the second version takes the place of the first."""
    folder, unit = pair.folder, sample_uscc(2, "330106")
    until(pair, "pack", "list", "--data", "province", met=lambda found: found["packs"])
    (folder / "back-unit.csv").write_text(
        f"统一社会信用代码,单位名称,行政区划代码,公共机构类型,名录状态\n{unit},样例单位,330106,01,1\n"
    )
    common = ("--data", "province", "--actor", "li@/33")
    answer("import", "back-unit.csv", *common, folder=folder)
    for area, version in ((6000, 1), (7000, 2)):
        (folder / "back.csv").write_text(
            f"统一社会信用代码,报告期,建筑面积,用能人数\n{unit},2025-Q4,{area},100\n"
        )
        assert answer("import", "back.csv", *common, folder=folder)["submitted"] == 1
        at_root = ("return", "list", "--data", "root", "--period", "2025-Q4")
        found = until(
            pair, *at_root, "--state", "submitted", met=lambda found: len(found["returns"]) == 1
        )
        assert found["returns"][0]["version"] == version
        record = found["returns"][0]["record_id"]
        if version == 1:
            back = answer(*SEND_BACK, "--record", record, folder=folder)
            assert back["reviewed"] == 1
            mine = ("return", "list", "--data", "province", "--period", "2025-Q4")
            until(
                pair,
                *mine,
                met=lambda found: [r["reason"] for r in found["returns"]] == ["样例"],
            )
    review = ("return", "accept", "--data", "root", "--actor", "wang@/", "--record", record)
    assert answer(*review, folder=folder)["reviewed"] == 1
    totals = ("return", "roll-up", "--data", "root", "--form", "profile", "--period", "2025-Q4")
    accepted = answer(*totals, folder=folder)["accepted"]
    assert (accepted["returns"], accepted["fields"]["floor_area"]) == (1, "7000.00")


def keep_row_of(unit: str, sheet: Any) -> None:
    """Delete the rows of the other units that a template brought along."""
    for cell in reversed(sheet["A"][1:]):
        if cell.value != unit:
            sheet.delete_rows(cell.row)


def check_return_evidence(unit: str, folder: Path) -> None:
    """A whole return is proved at the root, on paper, and at home as far as it is held there."""
    named = ("--unit", unit, "--form", "profile", "--period", "2025-Q2")
    for node, verdict in (("root", "accept"), ("province", "accept")):
        answer("evidence", "export", *named, "--data", node, "-o", f"{node}.zip", folder=folder)
        verify = ("evidence", "verify", f"{node}.zip", "--root", "root/keys/root.pem")
        found = answer(*verify, "--html", f"{node}.html", folder=folder)
        assert (found["unit_name"], found["versions"][0]["verdict"]) == ("样例单位", verdict)
        assert found["versions"][0]["figures"]["floor_area"] == "5000.00"
        page = (folder / f"{node}.html").read_text()
        assert found["file_sha256"] in page
        assert unit in page
    wrong = ("evidence", "export", *named[:-1], "2025-Q3", "--data", "root", "-o", "no.zip")
    assert answer(*wrong, folder=folder, exit_code=4)["error"] == "RETURN_NOT_HELD"


def check_leaf(record: str, held: dict[str, Any], folder: Path) -> None:
    """The root finds the receipt by its code, and its evidence hashes to the same leaf."""
    answer("evidence", "export", record, "--data", "root", "-o", "day.zip", folder=folder)
    header = zipfile.ZipFile(folder / "day.zip").read("record/header")
    assert hashlib.sha256(b"\x00" + header).hexdigest() == held["leaf_sha256"]
    receipt = ("return", "receipt", "--data", "root", "--code", held["code"])
    assert answer(*receipt, folder=folder)["record_id"] == record


def test_a_clerks_first_day(pair: Pair) -> None:
    """Template, faults in the cells, corrected, receipt, withdrawn, again; the reviewer follows."""
    folder, unit = pair.folder, sample_uscc(3, "330106")
    until(pair, "pack", "list", "--data", "province", met=lambda found: found["packs"])
    (folder / "day-unit.csv").write_text(
        f"统一社会信用代码,单位名称,行政区划代码,公共机构类型,名录状态\n{unit},样例单位,330106,01,1\n"
    )
    common = ("--data", "province", "--actor", "li@/33")
    answer("import", "day-unit.csv", *common, folder=folder)
    asked = ("--form", "profile", "--period", "2024-Q4")
    made = ("form", "template", "energy", "profile", "--data", "province", "--period", "2024-Q4")
    template = answer(*made, "-o", "day.xlsx", folder=folder)
    assert template["units"] >= 1
    book = openpyxl.load_workbook(folder / "day.xlsx")
    sheet = book.worksheets[1]
    keep_row_of(unit, sheet)
    heads = {str(cell.value).strip("*"): cell.column for cell in sheet[1]}
    sheet.cell(row=2, column=heads["建筑面积(m²)"], value=-5)
    sheet.cell(row=2, column=heads["用能人数(人)"], value=100)
    book.save(folder / "day.xlsx")

    wrong = answer(
        "import", "day.xlsx", *common, "--annotated", "marked.xlsx", folder=folder, exit_code=1
    )
    assert (wrong["annotated"], len(wrong["refused"])) == ("marked.xlsx", 1)
    book = openpyxl.load_workbook(folder / "marked.xlsx")
    sheet = book.worksheets[2]
    cell = sheet.cell(row=2, column=heads["建筑面积(m²)"])
    assert cell.comment is not None
    assert cell.fill.start_color.rgb == "FFFFC7CE"
    cell.value = 5000
    book.save(folder / "marked.xlsx")
    assert answer("import", "marked.xlsx", *common, folder=folder)["submitted"] == 1

    mine = ("return", "list", "--data", "province", *asked, "--unit", unit)
    first = answer(*mine, "--state", "submitted", folder=folder)["returns"][0]["record_id"]
    receipt = ("return", "receipt", "--data", "province")
    held = until(pair, *receipt, "--record", first, met=lambda found: found["held_by"] == ["/"])
    printed = answer(*receipt, "--code", held["code"].lower(), "--html", "r.html", folder=folder)
    assert printed["record_id"] == first
    assert held["code"] in (folder / "r.html").read_text()
    check_leaf(first, held, folder)

    withdraw = ("return", "withdraw", *common, "--record", first, "--reason", "样例: 面积填错")
    assert answer(*withdraw, folder=folder)["withdrawn"] == 1
    missing = ("return", "missing", "--data", "root", *asked)
    until(
        pair,
        *missing,
        met=lambda found: (
            {"withdrawn"} == {each["state"] for each in found["missing"] if each["unit"] == unit}
        ),
    )
    due = answer("return", "due", "--data", "province", "--unit", unit, folder=folder)
    assert {each["state"] for each in due["due"]} == {"missing"}
    assert answer("import", "marked.xlsx", *common, folder=folder)["submitted"] == 1
    waiting = ("return", "list", "--data", "root", *asked, "--state", "submitted")
    until(pair, *waiting, met=lambda found: len(found["returns"]) == 1)
    answer("return", "accept", "--data", "root", "--actor", "wang@/", *asked, folder=folder)
    cut = answer("return", "break-down", "--data", "root", *asked, folder=folder)["rows"]
    assert [(row["key"], row["totals"]["fields"]["floor_area"]) for row in cut] == [
        ("/33", "5000.00")
    ]
    again = answer(*withdraw, folder=folder, exit_code=4)
    assert again["error"] == "RETURN_STATE_WRONG"


@pytest.mark.parametrize(
    ("language", "words"),
    [("zh", ("错误", "建议", "请")), ("en", ("error", "hint", "Start the node"))],
)
def test_errors_speak_both_languages(tmp_path: Path, language: str, words: tuple[str, ...]) -> None:
    """Text and next step in the language that was asked for, under one code."""
    done = yidao("--lang", language, "status", "--data", "nowhere", folder=tmp_path)
    assert done.returncode == 3
    assert all(word in done.stderr for word in words), done.stderr
    line = yidao("--lang", language, "status", "--data", "nowhere", "--json", folder=tmp_path)
    told = json.loads(line.stderr)
    assert told["error"] == "NODE_UNREACHABLE"
    assert told["text"] in done.stderr


@pytest.mark.parametrize(("language", "word"), [("zh", "体检"), ("en", "causes and next steps")])
def test_help_speaks_both_languages(tmp_path: Path, language: str, word: str) -> None:
    """And works in a script, without a terminal."""
    done = yidao("--lang", language, "--help", folder=tmp_path)
    assert done.returncode == 0
    assert word in done.stdout
