"""Log lines: one line each, with what an operator needs and nothing that must stay inside."""

import io
import json
from collections.abc import Iterator
from typing import Any

import pytest
import structlog

from yidao.node import logging
from yidao.node.errors import ConfigKeyUnknown


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    """Where log lines go, with the settings put back afterwards."""
    target = io.StringIO()
    logging.configure(level="info", format="json", stream=target)
    yield target
    structlog.reset_defaults()


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    """Return what was logged."""
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_a_line(stream: io.StringIO) -> None:
    """A line is JSON with event, level, time and the fields that were given."""
    logging.get_logger(node="/33").info("link.session.opened", peer="/33/3301", records=3)
    (line,) = lines(stream)
    assert line["event"] == "link.session.opened"
    assert (
        line["node"],
        line["peer"],
        line["records"],
        line["level"],
    ) == ("/33", "/33/3301", 3, "info")
    assert line["timestamp"].endswith("Z")


SECRETS: dict[str, Any] = {
    "secret": "hunter2",
    "join_secret": "hunter2",
    "key": "hunter2",
    "journal_key": "hunter2",
    "token": "hunter2",
    "mac": "hunter2",
    "salt": "hunter2",
    "payload": '{"elec": "hunter2"}',
    "payload_json": "hunter2",
    "core": "hunter2",
    "core_body": "hunter2",
    "row": "hunter2",
    "parts": "hunter2",
    "tls_key_pem": "hunter2",
    "PASSWORD": "hunter2",
    "database_url": "postgresql://u:hunter2@h/db",
    "anything": b"hunter2",
    "some_buffer": bytearray(b"hunter2"),
    "some_list": ["hunter2"],
    "some_mapping": {"x": "hunter2"},
    "an_object": structlog.testing.LogCapture,
}


@pytest.mark.parametrize("name", SECRETS)
def test_secrets_and_payloads_are_kept_out(stream: io.StringIO, name: str) -> None:
    """Keys, secrets, payloads, bytes and containers do not get into a log, by any field."""
    logging.get_logger().warning("store.part.stored", **{name: SECRETS[name]})
    assert "hunter2" not in stream.getvalue()
    assert name in lines(stream)[0]


@pytest.mark.parametrize("name", ["key_count", "token_id", "part_count", "journal", "path", "seq"])
def test_harmless_fields_stay(stream: io.StringIO, name: str) -> None:
    """Names and counts that only sound like a secret are shown."""
    logging.get_logger().info("store.part.stored", **{name: "shown"})
    assert lines(stream)[0][name] == "shown"


def test_an_error(stream: io.StringIO) -> None:
    """An error becomes its code and its parameters."""
    error = ConfigKeyUnknown(key="lissten", source="env")
    logging.get_logger().error("node.start.failed", error=error)
    (line,) = lines(stream)
    assert (line["error"], line["error_source"]) == ("CONFIG_KEY_UNKNOWN", "env")


def test_an_exception_keeps_its_words(stream: io.StringIO) -> None:
    """A traceback shows types and places; what a library's exception says stays inside."""
    try:
        try:
            int("hunter2")
        except ValueError as error:
            raise ConfigKeyUnknown(key="lissten", source="env") from error
    except ConfigKeyUnknown:
        logging.get_logger().exception("node.start.failed")
    (line,) = lines(stream)
    assert "hunter2" not in stream.getvalue()
    assert "builtins.ValueError\n" in line["exception"]
    assert "CONFIG_KEY_UNKNOWN(key=lissten, source=env)" in line["exception"]
    assert "test_logging.py" in line["exception"]


def test_no_exception(stream: io.StringIO) -> None:
    """A line outside of an exception has no traceback, whatever was asked."""
    logging.get_logger().info("node.start.finished", exc_info=True)
    assert "exception" not in lines(stream)[0]


def test_a_name_cannot_forge_a_line() -> None:
    """Line breaks and terminal codes from outside are shown escaped, on one line."""
    target = io.StringIO()
    logging.configure(format="console", stream=target)
    try:
        evil = "x\n2026-01-01 [error] all is lost\x1b[2J\u2028\u202e"
        logging.get_logger().info("intake.file.read", name=evil)
    finally:
        structlog.reset_defaults()
    assert target.getvalue().count("\n") == 1
    assert not {"\x1b[2J", "\u2028", "\u202e"} & set(target.getvalue())


def test_long_values_are_cut(stream: io.StringIO) -> None:
    """A value from outside cannot fill the disk."""
    logging.get_logger().info("intake.file.read", name="长" * 1_000_000)
    assert len(lines(stream)[0]["name"]) <= logging.MAX_VALUE_CHARS + 1


def test_level(stream: io.StringIO) -> None:
    """What is below the level is not logged."""
    logging.get_logger().debug("store.segment.read")
    assert lines(stream) == []


def test_chinese_stays_readable(stream: io.StringIO) -> None:
    """Chinese names stand in the log as they are."""
    logging.get_logger().info("registry.unit.changed", name="样例单位0001")
    assert "样例单位0001" in stream.getvalue()
