"""`yidao token`: give programs what they may do, see who has what, take it back."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from yidao.node.cli.output import Data, Json, answer, table, told_errors
from yidao.node.cli.speech import say

if TYPE_CHECKING:
    from yidao.node.client import Token

Scopes = Annotated[
    list[str],
    typer.Option("--scope", help=say("权限, 可多次, 如 reporting.submit", "Permission, repeat it")),
]
Units = Annotated[
    list[str] | None,
    typer.Option("--unit", help=say("只限此单位, 可多次", "Only this institution, repeat it")),
]
Forms = Annotated[
    list[str] | None,
    typer.Option(
        "--form", help=say("只限此报表 标准/报表, 可多次", "Only this form, pack/form, repeat it")
    ),
]
Paths = Annotated[
    list[str] | None,
    typer.Option("--path", help=say("实时查询只限此处, 可多次", "Questions only about this place")),
]


def register(app: typer.Typer) -> None:
    """Add the verb."""
    token = typer.Typer(help=say("程序的令牌", "Tokens of programs"), no_args_is_help=True)
    app.add_typer(token, name="token")
    _register_new(token)
    _register_others(token)


def _register_new(token: typer.Typer) -> None:
    @token.command(
        help=say(
            "发令牌 (正式网络须两人); 密文只显示这一次",
            "Give a token; takes two on a real network. The secret is shown this once",
        )
    )
    def new(
        data: Data,
        scope: Scopes,
        user: Annotated[
            str, typer.Option("--for", help=say("以谁的名义 (默认自己)", "In whose name"))
        ] = "",
        title: Annotated[str, typer.Option(help=say("用途", "What it is for"))] = "",
        unit: Units = None,
        form: Forms = None,
        path: Paths = None,
        source: Annotated[
            str, typer.Option(help=say("只限从此地址或网段", "Only from this address or network"))
        ] = "",
        days: Annotated[int, typer.Option(min=1, max=365, help=say("天数", "Days"))] = 30,
        rate: Annotated[
            int, typer.Option(min=1, max=60_000, help=say("每分钟调用次数", "Calls a minute"))
        ] = 600,
        out: Annotated[
            Path | None, typer.Option(help=say("密文写入此新文件", "New file for the secret"))
        ] = None,
        as_json: Json = False,
    ) -> None:
        with told_errors(as_json):
            from yidao.node.cli.connection import connect
            from yidao.node.cli.files import check_new, write_file
            from yidao.node.client import Token

            if out is not None:
                check_new(out)
            wanted = Token(
                user=user,
                permissions=scope,
                title=title,
                units=unit or (),
                forms=form or (),
                paths=path or (),
                source=source,
                calls_per_minute=rate,
            )
            with connect(data) as client:
                given = client.give_token(wanted, actor="", days=days)
            if out is not None:
                write_file(out, (given.secret + "\n").encode(), mode=0o600)
            shown = {} if out is not None else {"secret": given.secret}
            answer(
                as_json,
                {**_facts(given.token), **shown},
                say(f"令牌 {given.token.id}", f"Token {given.token.id}")
                + f"\n{out if out is not None else given.secret}",
            )


def _register_others(token: typer.Typer) -> None:
    @token.command("list", help=say("列出令牌", "List tokens"))
    def list_tokens(data: Data, as_json: Json = False) -> None:
        with told_errors(as_json):
            from yidao.node.cli.connection import connect

            with connect(data) as client:
                found = client.tokens()
            columns = [
                say("编号", "id"),
                say("用户", "user"),
                say("用途", "title"),
                say("权限", "permissions"),
                say("到期", "until"),
                say("最近使用", "last used"),
                say("状态", "state"),
            ]
            rows = [
                [
                    each.id,
                    each.user,
                    each.title,
                    " ".join(each.permissions),
                    _when(each.expires_ms),
                    _when(each.used_ms),
                    say("已撤销", "ended") if each.revoked_ms else say("有效", "given"),
                ]
                for each in found
            ]
            answer(as_json, {"tokens": [_facts(each) for each in found]}, table(columns, rows))

    @token.command(help=say("撤销令牌", "End a token"))
    def revoke(
        data: Data,
        token_id: Annotated[str, typer.Argument(help=say("令牌编号", "The token's id"))],
        as_json: Json = False,
    ) -> None:
        with told_errors(as_json):
            from yidao.node.cli.connection import connect

            with connect(data) as client:
                ended = client.revoke_token(token_id, actor="")
            answer(as_json, _facts(ended), say("已撤销", "Ended") + f": {ended.id}")


def _facts(token: "Token") -> dict[str, object]:
    return {
        "id": token.id,
        "user": token.user,
        "title": token.title,
        "permissions": list(token.permissions),
        "units": list(token.units),
        "forms": list(token.forms),
        "paths": list(token.paths),
        "source": token.source,
        "calls_per_minute": token.calls_per_minute,
        "given_by": token.given_by,
        "made_ms": token.made_ms,
        "expires_ms": token.expires_ms,
        "revoked_ms": token.revoked_ms,
        "used_ms": token.used_ms,
    }


def _when(milliseconds: int) -> str:
    from datetime import UTC, datetime

    if not milliseconds:
        return "-"
    moment = datetime.fromtimestamp(milliseconds / 1_000, tz=UTC).astimezone()
    return moment.strftime("%Y-%m-%d %H:%M")
