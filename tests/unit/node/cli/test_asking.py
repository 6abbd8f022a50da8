"""What nothing undoes is asked of whoever sits at a terminal; secrets come unseen."""

import io
import sys
from collections.abc import Callable
from typing import Any

import pytest
import typer

from yidao.api.errors import YidaoError
from yidao.node.backup.errors import BackupSecretMissing
from yidao.node.cli import backup, passwords, root
from yidao.node.cli.asking import ConfirmationMissing, confirm
from yidao.node.cli.signoff import SignatureUnconfirmed


class Terminal(io.StringIO):
    """Where somebody types."""

    def isatty(self) -> bool:
        return True


def test_a_yes_lets_it_go_on(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What is shown stands on stderr: stdout is for the answer."""
    monkeypatch.setattr(sys, "stdin", Terminal("y\n"))
    confirm("样例清单", "Go on?")
    told = capsys.readouterr()
    assert told.out.strip() == ""  # click itself writes a space
    assert told.err.startswith("样例清单\nGo on?")


@pytest.mark.parametrize("missing", [ConfirmationMissing, SignatureUnconfirmed])
@pytest.mark.parametrize("typed", [Terminal("n\n"), Terminal("\n"), io.StringIO("y\n")])
def test_a_no_and_nobody_there_are_the_error_of_the_command(
    monkeypatch: pytest.MonkeyPatch, missing: type[YidaoError], typed: io.StringIO
) -> None:
    """A pipe that says yes is nobody."""
    typed.seek(0)
    monkeypatch.setattr(sys, "stdin", typed)
    with pytest.raises(missing):
        confirm("样例清单", "Go on?", missing=missing)


READERS: list[tuple[Callable[[bool], str], bool]] = [
    (passwords.ask_own_password, False),
    (passwords.ask_password, True),
    (passwords.ask_passphrase, False),
    (lambda from_stdin: passwords.ask_passphrase(from_stdin, confirm=True), True),
    (lambda from_stdin: backup._passphrase(from_stdin, confirm=True), True),
    (lambda from_stdin: backup._passphrase(from_stdin, confirm=False), False),
    (lambda from_stdin: root._passphrase(from_stdin, again=True), True),
    (lambda from_stdin: root._passphrase(from_stdin, again=False), False),
]


@pytest.mark.parametrize(("read", "twice"), READERS)
def test_a_secret_is_a_line_of_stdin_or_typed_unseen(
    monkeypatch: pytest.MonkeyPatch, read: Callable[[bool], str], twice: bool
) -> None:
    """A new one is typed twice."""
    asked: list[Any] = []

    def prompt(_text: str, **how: bool) -> str:
        asked.append(how)
        return "typed"

    monkeypatch.setattr(typer, "prompt", prompt)
    monkeypatch.setattr(sys, "stdin", Terminal("first line \r\nsecond\n"))
    assert [read(True), read(True)] == ["first line ", "second"]
    assert asked == []
    assert read(False) == "typed"
    assert asked == [{"hide_input": True, "confirmation_prompt": twice, "err": True}]


def test_a_backup_without_a_terminal_does_not_wait_for_its_passphrase(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A nightly job ends with an error."""
    monkeypatch.setattr(sys, "stdin", io.StringIO("no terminal\n"))
    with pytest.raises(BackupSecretMissing):
        backup._passphrase(False, confirm=True)
