"""Passwords come by a prompt or from stdin, never as an argument: others see arguments."""

import sys

import typer

from yidao.node.cli.speech import say
from yidao.node.errors import NodeError

_MAX_CHARACTERS = 1_024


class UserExists(NodeError):
    """A user of that name is there already (params: user)."""

    code = "USER_EXISTS"


def ask_own_password(from_stdin: bool) -> str:
    """Read the password that one has: the next line of stdin, or once from the terminal."""
    if from_stdin:
        return sys.stdin.readline(_MAX_CHARACTERS).rstrip("\r\n")
    return str(typer.prompt(say("密码", "Password"), hide_input=True, err=True))


def ask_password(from_stdin: bool) -> str:
    """Read a new password: the next line of stdin, or twice from the terminal."""
    if from_stdin:
        return sys.stdin.readline(_MAX_CHARACTERS).rstrip("\r\n")
    prompt = say("新密码", "New password")
    return str(typer.prompt(prompt, hide_input=True, confirmation_prompt=True, err=True))


def ask_passphrase(from_stdin: bool, *, confirm: bool = False) -> str:
    """Read the passphrase of a key: the first line of stdin, or from the terminal."""
    if from_stdin:
        return sys.stdin.readline(_MAX_CHARACTERS).rstrip("\r\n")
    prompt = say("密钥口令", "Passphrase of the key")
    return str(typer.prompt(prompt, hide_input=True, confirmation_prompt=confirm, err=True))
