"""Settings: where they come from, and which source wins."""

import dataclasses
from pathlib import Path

import pydantic
import pytest

from yidao.node import config, errors


def test_defaults() -> None:
    """Without file, environment and arguments every setting has its default."""
    settings = config.load_settings(None, {"PATH": "/bin", "YIDAOX": "1"})
    assert (settings.listen, settings.join_listen) == ("127.0.0.1:7350", "127.0.0.1:7351")
    assert settings.parent_address is None
    assert settings.keepalive_seconds == 30


def test_later_sources_win(tmp_path: Path) -> None:
    """The environment is stronger than the file, the caller stronger than both."""
    file = tmp_path / "config.toml"
    file.write_text('language = "en"\nlog_level = "error"\nlisten = "127.0.0.1:1"\n')
    environ = {"YIDAO_LOG_LEVEL": "debug", "YIDAO_LISTEN": "127.0.0.1:2"}
    settings = config.load_settings(file, environ, listen="127.0.0.1:3", join_listen=None)
    assert (
        settings.language,
        settings.log_level,
        settings.listen,
    ) == ("en", "debug", "127.0.0.1:3")


def test_numbers_in_the_environment() -> None:
    """A number in the environment is text and is read as a number."""
    settings = config.load_settings(None, {"YIDAO_KEEPALIVE_SECONDS": "7.5"})
    assert settings.keepalive_seconds == 7.5


def test_settings_are_frozen() -> None:
    """Nobody changes a setting after the start."""
    settings = config.load_settings(None, {})
    with pytest.raises(pydantic.ValidationError):
        settings.listen = "127.0.0.1:1"


WRITTEN = {
    "plain": {"listen": "127.0.0.1:9", "keepalive_seconds": 3, "join_token_hours": 2},
    "a path with quotes and a backslash": {"data_dir": '/数据/a"b\\c'},
    "a path with a line break": {"data_dir": "/a\nb\x7f"},
}


@pytest.mark.parametrize("name", WRITTEN)
def test_written_settings_read_back(name: str, tmp_path: Path) -> None:
    """What is written is what is read."""
    file = tmp_path / "config.toml"
    config.write_settings(file, WRITTEN[name])
    settings = config.load_settings(file, {})
    for key, value in WRITTEN[name].items():
        assert str(value) == str(getattr(settings, key)).removesuffix(".0")


def test_settings_are_not_written_over(tmp_path: Path) -> None:
    """A settings file that is there stays, and wrong values are not written at all."""
    file = tmp_path / "config.toml"
    with pytest.raises(errors.ConfigValueInvalid):
        config.write_settings(file, {"listen": "nowhere"})
    assert not file.exists()
    file.write_text("# mine\n")
    with pytest.raises(errors.ConfigUnreadable):
        config.write_settings(file, {"language": "zh"})
    assert file.read_text() == "# mine\n"


def test_a_fault_does_not_show_its_value() -> None:
    """A password in a database URL never gets into an error."""
    with pytest.raises(errors.ConfigValueInvalid) as raised:
        config.load_settings(None, {}, database_url=5)
    assert "5" not in str(raised.value).replace("database_url", "")


def test_every_setting_is_described() -> None:
    """Each setting has a sentence, and each number of seconds says so in its name."""
    docs = config.describe()
    assert list(config.Settings.model_fields) == [doc.name for doc in docs]
    assert [doc.name for doc in docs if not doc.description.endswith(".")] == []
    assert all(dataclasses.astuple(doc) for doc in docs)
    for doc in docs:
        assert doc.environment == config.ENV_PREFIX + doc.name.upper()
        field = config.Settings.model_fields[doc.name]
        if field.annotation is float:
            assert doc.name.endswith("_seconds")
