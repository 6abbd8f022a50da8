"""Passwords come by a prompt or from stdin, never as an argument: others see arguments."""

import sys

import typer

from yidao.node.cli.speech import say
from yidao.node.errors import NodeError

_MAX_CHARACTERS = 1_024


class UserExists(NodeError):
    """A user of that name is there already (params: user)."""

    code = "USER_EXISTS"


def ask_secret(prompt: str, from_stdin: bool, *, confirm: bool = False) -> str:
    """Read a secret: the next line of stdin, or from the terminal, unseen.

    Args:
        prompt: What the terminal shows.
        from_stdin: A script gives it; nothing is shown and nothing asked twice.
        confirm: Ask for it twice: a new one that is mistyped would open nothing.
    """
    if from_stdin:
        return sys.stdin.readline(_MAX_CHARACTERS).rstrip("\r\n")
    return str(typer.prompt(prompt, hide_input=True, confirmation_prompt=confirm, err=True))


def ask_own_password(from_stdin: bool) -> str:
    """Read the password that one has."""
    return ask_secret(say("密码", "Password"), from_stdin)


def ask_password(from_stdin: bool) -> str:
    """Read a new password."""
    return ask_secret(say("新密码", "New password"), from_stdin, confirm=True)


def ask_passphrase(from_stdin: bool, *, confirm: bool = False) -> str:
    """Read the passphrase of a key."""
    return ask_secret(say("密钥口令", "Passphrase of the key"), from_stdin, confirm=confirm)
