"""`yidao root`: the list of root certificates that count, and the holders who decide on it.

All of it but `list publish` and `list show --data` works on files, far from any node.
"""

from pathlib import Path
from typing import Annotated

import typer

from yidao.node.cli.output import Data, Json, answer, told_errors
from yidao.node.cli.rootlists import DAYS, Draft, after, drafted, facts, lines, load, opened, stored
from yidao.node.cli.speech import say

Out = Annotated[Path, typer.Option("--out", "-o", help=say("写到此文件", "Write to this file"))]
ListFile = Annotated[Path, typer.Argument(help=say("清单文件", "The list"))]
FromStdin = Annotated[
    bool,
    typer.Option("--passphrase-stdin", help=say("口令取自标准输入首行", "Passphrase from stdin")),
]


def register(app: typer.Typer) -> None:
    """Add the verb."""
    root = typer.Typer(
        help=say("根证书清单与其持有人", "The root list and its holders"), no_args_is_help=True
    )
    app.add_typer(root, name="root")
    _register_keys(root)
    root_list = typer.Typer(help=say("根清单", "Root lists"), no_args_is_help=True)
    root.add_typer(root_list, name="list")
    _register_ceremony(root_list)
    _register_node(root_list)


def _register_keys(root: typer.Typer) -> None:
    holder = typer.Typer(help=say("持有人", "Holders"), no_args_is_help=True)
    root.add_typer(holder, name="holder")

    @holder.command(name="new", help=say("生成持有人密钥 (有口令)", "Make a holder's key, locked"))
    def new(
        file: Annotated[Path, typer.Argument(help=say("写到此文件 (0600)", "Write here"))],
        from_stdin: FromStdin = False,
        as_json: Json = False,
    ) -> None:
        with told_errors(as_json):
            import secrets

            from yidao.node.cli.files import write_file
            from yidao.node.holders import SALT_BYTES, lock_holder
            from yidao.sync.ed25519 import KEY_BYTES

            phrase = _passphrase(from_stdin, again=True)
            seed, salt = secrets.token_bytes(KEY_BYTES), secrets.token_bytes(SALT_BYTES)
            data, public = lock_holder(seed, salt, phrase, file.name)
            write_file(file, data, mode=0o600)
            answer(
                as_json,
                {"file": str(file), "public_key": public},
                say(
                    f"公钥 (交给制作清单的人): {public.hex()}\n请离线保存 {file} 和口令, 分开存放",
                    f"Public key, for whoever makes the list: {public.hex()}\n"
                    f"Keep {file} offline, and its passphrase elsewhere",
                ),
            )

    certificate = typer.Typer(help=say("根证书", "Root certificates"), no_args_is_help=True)
    root.add_typer(certificate, name="certificate")

    @certificate.command(
        name="new",
        help=say("在根节点制作下一个根证书, 待清单列入后启用", "Make the root's next certificate"),
    )
    def next_certificate(data: Data, out: Out, as_json: Json = False) -> None:
        with told_errors(as_json):
            from yidao.node.cli.files import write_file
            from yidao.node.clock import system_clock_ms
            from yidao.node.keys import KeyFolder
            from yidao.node.rootlists import stage_certificate

            folder = KeyFolder(data)
            pem = stage_certificate(folder, folder.load_identity(), system_clock_ms())
            write_file(out, pem)
            answer(
                as_json,
                {"file": str(out)},
                say(f"新根证书: {out}, 请列入下一版清单", f"Next root certificate: {out}; list it"),
            )


def _register_ceremony(root_list: typer.Typer) -> None:
    @root_list.command(name="new", help=say("制作一版清单, 尚未签署", "Draft a list"))
    def new(
        out: Out,
        certificate: Annotated[
            list[Path], typer.Option(help=say("有效的根证书, 新的在前", "Root certificates"))
        ],
        holder: Annotated[
            list[str] | None, typer.Option(help=say("持有人公钥", "Holders' public keys"))
        ] = None,
        previous: Annotated[
            Path | None, typer.Option("--after", help=say("现行清单", "The list in force"))
        ] = None,
        threshold: Annotated[int | None, typer.Option(help=say("门限", "How many sign"))] = None,
        days: Annotated[int, typer.Option(min=1, help=say("有效天数", "Days it counts"))] = DAYS,
        suite: Annotated[
            list[int] | None, typer.Option(help=say("允许的算法套件", "Suites that are allowed"))
        ] = None,
        as_json: Json = False,
    ) -> None:
        with told_errors(as_json):
            given = Draft(
                certificates=tuple(certificate),
                holders=tuple(holder or ()),
                threshold=threshold,
                days=days,
                suites=tuple(suite or ()),
            )
            found = drafted(given, previous)
            stored(out, found)
            answer(as_json, facts(found), "\n".join(lines(found)))

    @root_list.command(help=say("签署一份清单", "Sign a copy of a list"))
    def sign(
        file: ListFile,
        key: Annotated[Path, typer.Argument(help=say("持有人密钥", "The holder's key"))],
        out: Out,
        from_stdin: FromStdin = False,
        as_json: Json = False,
    ) -> None:
        with told_errors(as_json):
            from yidao.node.holders import open_holder

            found = load(file)
            typer.echo("\n".join(lines(found)), err=True)
            signed = found.sign(open_holder(key, _passphrase(from_stdin, again=False)))
            stored(out, signed)
            answer(as_json, facts(signed), say(f"已签署: {out}", f"Signed: {out}"))

    @root_list.command(help=say("合并各人签署的各份", "Put the signed copies together"))
    def combine(
        files: Annotated[list[Path], typer.Argument(help=say("各份清单", "The copies"))],
        out: Out,
        as_json: Json = False,
    ) -> None:
        with told_errors(as_json):
            first, *others = [load(file) for file in files]
            whole = first.combine(others)
            stored(out, whole)
            answer(as_json, facts(whole), "\n".join(lines(whole)))

    @root_list.command(help=say("核对清单的签署", "Check who signed a list"))
    def verify(
        file: ListFile,
        previous: Annotated[
            Path | None, typer.Option("--after", help=say("现行清单", "The list in force"))
        ] = None,
        as_json: Json = False,
    ) -> None:
        with told_errors(as_json):
            found = opened(file) if previous is None else after(previous, file)
            told = [say("签署齐备", "Signed by enough holders"), *lines(found)]
            answer(as_json, facts(found), "\n".join(told))


def _register_node(root_list: typer.Typer) -> None:
    @root_list.command(help=say("在根节点发布, 送达所有下级", "Send it to every node below"))
    def publish(
        data: Data,
        file: ListFile,
        operator: Annotated[str, typer.Option(help=say("经办人, 如 admin@/", "As admin@/"))],
        as_json: Json = False,
    ) -> None:
        with told_errors(as_json):
            from yidao.node.cli.connection import connect
            from yidao.node.cli.files import read_file

            with connect(data) as client:
                version = client.publish_root_list(read_file(file), operator=operator)
            text = say(f"第 {version} 版已发布", f"Version {version} is published")
            answer(as_json, {"version": version}, text)

    @root_list.command(help=say("显示清单文件, 或节点上的现行清单", "Show a list"))
    def show(
        data: Data,
        file: Annotated[
            Path | None,
            typer.Argument(help=say("清单文件; 不填则问节点", "A list, or the node's")),
        ] = None,
        out: Annotated[
            Path | None, typer.Option("--out", "-o", help=say("另存到此文件", "Save it here"))
        ] = None,
        as_json: Json = False,
    ) -> None:
        with told_errors(as_json):
            if file is not None:
                found = load(file)
            else:
                from yidao.node.cli.connection import connect
                from yidao.sync.rootlist import SignedRootList

                with connect(data) as client:
                    found = SignedRootList.decode(client.root_list())
            if out is not None:
                stored(out, found)
            answer(as_json, facts(found), "\n".join(lines(found)))


def _passphrase(from_stdin: bool, *, again: bool) -> str:
    """Read the passphrase of a holder's key."""
    from yidao.node.cli.passwords import ask_secret

    return ask_secret(say("口令", "Passphrase"), from_stdin, confirm=again)
