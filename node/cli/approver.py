"""`yidao approver`: an approver's own key, made and kept on their own machine. Needs no node."""

import os
from pathlib import Path
from typing import Annotated

import typer

from yidao.node.cli.output import Json, answer, told_errors
from yidao.node.cli.speech import say

PassphraseStdin = Annotated[
    bool,
    typer.Option(
        "--passphrase-stdin", help=say("从标准输入读口令", "Read the passphrase from stdin")
    ),
]


def register(app: typer.Typer) -> None:
    """Add the verb."""
    approver = typer.Typer(
        help=say("签发人的密钥 (在本人机器上)", "An approver's key, on their own machine"),
        no_args_is_help=True,
    )
    app.add_typer(approver, name="approver")
    keys = typer.Typer(help=say("密钥", "Keys"), no_args_is_help=True)
    approver.add_typer(keys, name="key")

    @keys.command(
        help=say("生成自己的签发密钥, 公钥交节点登记", "Make one's key; the node gets FILE.pub")
    )
    def new(
        file: Annotated[Path, typer.Argument(help=say("私钥写到此文件", "Write the key here"))],
        actor: Annotated[
            str, typer.Option(help=say("本人, 如 wang@/33/3301", "Oneself, as wang@/33/3301"))
        ],
        name: Annotated[str, typer.Option(help=say("姓名或职务", "Name or office, for people"))],
        passphrase_stdin: PassphraseStdin = False,
        as_json: Json = False,
    ) -> None:
        with told_errors(as_json):
            from yidao.node.approverkeys import new_key
            from yidao.node.cli.files import write_file
            from yidao.node.cli.passwords import ask_passphrase
            from yidao.sync.signoff import Approver
            from yidao.sync.signofffile import approver_file

            passphrase = ask_passphrase(passphrase_stdin, confirm=True)
            pem, public = new_key(os.urandom(32), os.urandom(16), passphrase)
            public_file = file.with_name(file.name + ".pub")
            write_file(file, pem, mode=0o600)
            write_file(public_file, approver_file(Approver(actor=actor, name=name, key=public)))
            answer(
                as_json,
                {"key": str(file), "public": str(public_file), "public_key": public},
                say(
                    f"私钥: {file} (口令遗失无法找回, 不要交给任何人)\n"
                    f"公钥: {public_file} (交管理员登记)\n{public.hex()}",
                    f"Key: {file} (nobody recovers a lost passphrase; give it to nobody)\n"
                    f"Public key: {public_file} (for the administrator)\n{public.hex()}",
                ),
            )
