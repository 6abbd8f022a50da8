"""The page of reliability says what was counted, in the order of the tests."""

from pathlib import Path

import pytest

from tests.faults import page


def test_the_table_is_in_the_order_of_the_tests() -> None:
    """R4 before R12, and figures that people can read."""
    found: dict[str, page.Entry] = {
        "R12 flips": {"runs": 2, "flips": 20_000, "newest": "2026-11-26"},
        "network, in all": {"runs": 1},
        "R54-R57 clocks": {"runs": 1},
        "R4 copies": {"runs": 1, "copies": 30, "how": "loop image", "newest": "2026-11-26"},
    }
    lines = page.table(found).splitlines()
    assert [line.split("|")[1].strip() for line in lines[2:]] == [
        "R4 copies",
        "R12 flips",
        "R54-R57 clocks",
        "network, in all",
    ]
    assert lines[3].split("|")[3].strip() == "flips 20,000"


def test_only_what_stands_between_the_marks_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The page itself has them; the rest of it stays."""
    text = page.PAGE.read_text("utf-8")
    assert text.count(page.BEGIN) == text.count(page.END) == 1
    copy, report = tmp_path / "page.md", tmp_path / "faults.json"
    copy.write_text(text, encoding="utf-8")
    report.write_text('{"R1 kills": {"runs": 1, "injected": 3}}', encoding="utf-8")
    monkeypatch.setattr(page, "PAGE", copy)
    monkeypatch.setattr(page, "REPORT", report)
    page.main()
    page.main()
    made = copy.read_text("utf-8")
    assert "| R1 kills | 1 | injected 3 |" in made
    assert made.partition(page.BEGIN)[0] == text.partition(page.BEGIN)[0]
    assert made.partition(page.END)[2] == text.partition(page.END)[2]
