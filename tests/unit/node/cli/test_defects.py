"""A failure that nobody foresaw ends with its own code, and quotes nothing."""

import json
import sys

import pytest

from yidao.node import cli
from yidao.node.cli import commands


@pytest.mark.parametrize("as_json", [True, False], ids=["json", "text"])
def test_a_defect_tells_its_kind_and_place_and_no_payload(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], as_json: bool
) -> None:
    """Exit 70 and the code INTERNAL; the error's own words, which may quote a row, are unsaid."""
    reported = "47" + "11"

    def fail(args: list[str]) -> None:
        assert args[0] == "status"
        raise LookupError(reported)

    monkeypatch.setattr(commands, "app", fail)
    monkeypatch.setattr(sys, "argv", ["yidao", "status", *(["--json"] if as_json else [])])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    told = capsys.readouterr().err
    assert ended.value.code == 70
    assert "4711" not in told
    assert "INTERNAL" in told
    if as_json:
        params = json.loads(told)["params"]
        assert params["kind"] == "LookupError"
        assert params["where"].startswith("test_defects.py:")
    else:
        assert "test_defects.py" in told
        assert "LookupError\n" in told
