"""All verbs, put together."""

from typing import Annotated

import typer

from yidao.node.cli import (
    approval,
    approver,
    backup,
    bundle,
    catalog,
    child,
    console,
    demo,
    dev,
    directive,
    doctor,
    epoch,
    errors,
    evidence,
    form,
    gateway,
    imports,
    init,
    join,
    keys,
    pack,
    part,
    policy,
    query,
    returns,
    root,
    run,
    sample,
    signoff,
    status,
    store,
    systemd,
    token,
    tree,
    unit,
    user,
)
from yidao.node.cli.speech import say

app = typer.Typer(
    name="yidao",
    help=say(
        "驿道: 联邦数据交换节点 — 加封的报表上行, 指令下行",
        "Yidao: a federated data-exchange node; sealed reports up, directives down",
    ),
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(version("yidao"))
        raise typer.Exit


@app.callback()
def every_command(
    lang: Annotated[
        str, typer.Option("--lang", help=say("语言: zh 或 en", "Language: zh or en"))
    ] = "zh",
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_version, is_eager=True, help=say("版本", "The version")
        ),
    ] = False,
) -> None:
    """Options of every verb; `--lang` was read before (see `speech`)."""
    del lang, version


# In the order of `--help`.
VERBS = (
    init,
    join,
    run,
    dev,
    child,
    keys,
    approver,
    signoff,
    token,
    root,
    epoch,
    backup,
    part,
    unit,
    user,
    imports,
    form,
    returns,
    directive,
    policy,
    approval,
    pack,
    catalog,
    query,
    evidence,
    bundle,
    status,
    tree,
    doctor,
    store,
    console,
    gateway,
    systemd,
    errors,
    sample,
    demo,
)

for verb in VERBS:
    verb.register(app)
