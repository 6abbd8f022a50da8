"""The log file: limited in size, private, opened anew when told to."""

import stat
from pathlib import Path
from typing import TextIO, cast

import pytest
import structlog

from yidao.node.errors import ConfigValueInvalid
from yidao.node.logfile import LogFile
from yidao.node.logging import configure, get_logger


def test_a_full_file_is_put_aside_and_old_ones_go(tmp_path: Path) -> None:
    """At most `count` + 1 files of the limit each, the newest lines last, for the owner alone."""
    file = tmp_path / "yidao.log"
    log = LogFile(file, limit_mib=1, count=2)
    line = "字" * 1000
    for number in range(1700):
        log.write(f"{number} {line}\n")
    log.close()
    files = sorted(each.name for each in tmp_path.iterdir())
    assert files == ["yidao.log", "yidao.log.1", "yidao.log.2"]
    for each in tmp_path.iterdir():
        # The library counts characters of the last line, not bytes.
        assert each.stat().st_size < 1024 * 1024 + 3 * len(line)
        assert stat.S_IMODE(each.stat().st_mode) == 0o600
    assert file.read_text().splitlines()[-1].startswith("1699 ")


def test_each_event_is_one_line(tmp_path: Path) -> None:
    """What the logger prints in pieces arrives as one line."""
    file = tmp_path / "yidao.log"
    log = LogFile(file, limit_mib=1, count=1)
    try:
        configure(format="json", stream=cast("TextIO", log))
        get_logger().info("node.sample.logged", number=1)
        get_logger().info("node.sample.logged", number=2)
    finally:
        structlog.reset_defaults()
    assert [line[:1] for line in file.read_text().split("\n")] == ["{", "{", ""]


def test_the_file_is_opened_anew_after_it_was_moved(tmp_path: Path) -> None:
    """Lines go where the name leads, not into the file that logrotate took away."""
    file = tmp_path / "yidao.log"
    log = LogFile(file, limit_mib=1, count=1)
    log.write("before\n")
    file.rename(tmp_path / "moved")
    log.reopen()
    log.write("after\n")
    assert (tmp_path / "moved").read_text() == "before\n"
    assert file.read_text() == "after\n"


def test_a_file_that_cannot_be_opened_is_a_wrong_setting(tmp_path: Path) -> None:
    """The node does not start with a log that nobody can read."""
    with pytest.raises(ConfigValueInvalid) as wrong:
        LogFile(tmp_path / "missing" / "yidao.log", limit_mib=1, count=1)
    assert wrong.value.params["key"] == "log_file"
