"""`yidao user sign-in`, `sign-out`, `whoami`, `key`: being somebody on the command line."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from yidao.node.cli.output import Data, Json, answer, told_errors
from yidao.node.cli.speech import say

if TYPE_CHECKING:
    from yidao.node.client.access import Sign

Name = Annotated[str, typer.Argument(help=say("用户名", "The user's name"))]
KeyFile = Annotated[
    Path | None,
    typer.Option("--key", help=say("密钥文件 (yidao user key new)", "The file of the user's key")),
]
FromStdin = Annotated[
    bool,
    typer.Option("--password-stdin", help=say("从标准输入读密码", "Read the password from stdin")),
]


def register(user: typer.Typer) -> None:
    """Add the verbs."""
    _register_sessions(user)
    key = typer.Typer(help=say("登录密钥 (第二要素)", "Sign-in keys"), no_args_is_help=True)
    user.add_typer(key, name="key")
    _register_keys(key)


def _register_sessions(user: typer.Typer) -> None:
    @user.command(
        "sign-in",
        help=say(
            "登录, 会话令牌写入文件; 之后的命令用环境变量 YIDAO_TOKEN_FILE 指明它",
            "Sign in; the session's token goes to a file that YIDAO_TOKEN_FILE names",
        ),
    )
    def sign_in(
        data: Data,
        name: Name,
        out: Annotated[Path, typer.Option(help=say("令牌写入此新文件", "New file for the token"))],
        key: KeyFile = None,
        password_stdin: FromStdin = False,
        as_json: Json = False,
    ) -> None:
        with told_errors(as_json):
            from yidao.node.cli.files import check_new, write_file
            from yidao.node.cli.passwords import ask_own_password
            from yidao.node.client import Client

            check_new(out)
            sign = None if key is None else _signer(key)
            with Client.open(data / "local.sock") as client:
                session = client.sign_in(name, ask_own_password(password_stdin), sign=sign)
            write_file(out, (session.token + "\n").encode(), mode=0o600)
            told = say("已登录", "Signed in") + f": {name}\nexport YIDAO_TOKEN_FILE={out}"
            if session.user.must_change_password:
                told += "\n" + say("请先改密码", "Change the password first")
                told += ": yidao user change-password"
            answer(
                as_json,
                {
                    "user": name,
                    "token_file": out,
                    "idle_seconds": session.idle_seconds,
                    "must_change_password": session.user.must_change_password,
                },
                told,
            )

    @user.command("sign-out", help=say("退出登录", "End the session"))
    def sign_out(data: Data, as_json: Json = False) -> None:
        with told_errors(as_json):
            from yidao.node.cli.connection import connect

            with connect(data) as client:
                client.sign_out()
            answer(as_json, {}, say("已退出", "Signed out"))

    @user.command("change-password", help=say("改自己的密码", "Change one's own password"))
    def change_password(
        data: Data, password_stdin: FromStdin = False, as_json: Json = False
    ) -> None:
        with told_errors(as_json):
            from yidao.node.cli.connection import connect
            from yidao.node.cli.passwords import ask_own_password, ask_password

            with connect(data) as client:
                old = ask_own_password(password_stdin)
                client.change_password(old, ask_password(password_stdin))
            answer(as_json, {}, say("密码已改", "The password is changed"))

    @user.command(help=say("我是谁, 可做什么", "Who calls, and what they may do"))
    def whoami(data: Data, as_json: Json = False) -> None:
        with told_errors(as_json):
            from yidao.node.cli.connection import connect

            with connect(data) as client:
                found = client.who_am_i()
            name = found.actor or say("本机账号", "the machine's account")
            answer(
                as_json,
                {
                    "user": found.user.name,
                    "actor": found.actor,
                    "permissions": list(found.permissions),
                    "must_register_key": found.must_register_key,
                    "token_id": found.token_id,
                },
                f"{name}\n" + "\n".join(f"  {each}" for each in found.permissions),
            )


def _register_keys(key: typer.Typer) -> None:
    @key.command(help=say("生成密钥文件 (请妥善保管)", "Make a key file; keep it safe"))
    def new(
        out: Annotated[Path, typer.Option(help=say("写入此新文件", "New file to write"))],
        as_json: Json = False,
    ) -> None:
        with told_errors(as_json):
            from yidao.node.cli.keyfiles import make_key

            public_key = make_key(out)
            answer(
                as_json,
                {"file": out, "public_key": public_key.hex()},
                say("已生成", "Made") + f": {out}\n{public_key.hex()}",
            )

    @key.command(help=say("登记自己的密钥 (须已登录)", "Register one's own key, signed in"))
    def register(
        data: Data,
        key: Annotated[Path, typer.Option("--key", help=say("密钥文件", "The key file"))],
        as_json: Json = False,
    ) -> None:
        with told_errors(as_json):
            from yidao.node.cli.connection import connect
            from yidao.node.cli.keyfiles import load_key

            held = load_key(key)
            with connect(data) as client:
                client.register_key(held.public_key, held.sign)
            answer(
                as_json,
                {"public_key": held.public_key.hex()},
                say("已登记; 以后登录须用此密钥", "Registered; sign in with it from now on"),
            )

    @key.command(help=say("撤除他人遗失的密钥 (须两人)", "Remove a key that another one has lost"))
    def remove(data: Data, name: Name, as_json: Json = False) -> None:
        with told_errors(as_json):
            from yidao.node.cli.connection import connect

            with connect(data) as client:
                client.remove_key(name, actor="")
            answer(as_json, {"user": name}, say("已撤除", "Removed") + f": {name}")


def _signer(path: Path) -> "Sign":
    from yidao.node.cli.keyfiles import load_key

    return load_key(path).sign
