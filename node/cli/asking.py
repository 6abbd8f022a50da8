"""Asking whoever sits at a terminal before something that nothing undoes."""

import sys

import typer

from yidao.api.errors import YidaoError


class ConfirmationMissing(YidaoError):
    """Nobody said yes to something that nothing undoes."""

    code = "CONFIRMATION_MISSING"


def confirm(shown: str, question: str, *, missing: type[YidaoError] = ConfirmationMissing) -> None:
    """Show what is about to happen and ask; a script must say `--yes`.

    What is shown and asked goes to stderr: stdout is for the answer alone.

    Raises:
        YidaoError: The one that is given: nobody is there to ask, or they said no.
    """
    if not sys.stdin.isatty():
        raise missing
    typer.echo(shown, err=True)
    if not typer.confirm(question, err=True):
        raise missing
