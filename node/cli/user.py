"""`yidao user`: add users, give roles, disable, unlock, reset passwords, read the audit."""

from typing import TYPE_CHECKING, Annotated

import typer

from yidao.node.cli import signing
from yidao.node.cli.output import Data, Json, answer, table, told_errors
from yidao.node.cli.speech import say

if TYPE_CHECKING:
    from yidao.node.client import AuditEntry, Client, User

Name = Annotated[str, typer.Argument(help=say("用户名", "The user's name"))]
Roles = Annotated[
    list[str],
    typer.Option(
        "--role",
        help=say(
            "角色, 可多次: filler reviewer approver viewer system_admin security_admin audit_admin",
            "Role, several times: filler reviewer approver viewer "
            "system_admin security_admin audit_admin",
        ),
    ),
]
Unit = Annotated[
    str,
    typer.Option(
        help=say("所填报的单位 (统一社会信用代码)", "The institution that a filler fills for")
    ),
]
FromStdin = Annotated[
    bool,
    typer.Option("--password-stdin", help=say("从标准输入读密码", "Read the password from stdin")),
]


def register(app: typer.Typer) -> None:
    """Add the verb."""
    user = typer.Typer(help=say("用户与审计", "Users and the audit"), no_args_is_help=True)
    app.add_typer(user, name="user")
    _register_changes(user)
    _register_states(user)
    _register_lists(user)
    signing.register(user)


def _register_changes(user: typer.Typer) -> None:
    @user.command(help=say("新增用户 (首次登录须改密码)", "Add a user"))
    def add(
        data: Data,
        name: Name,
        # Who adds people gives no roles on a real network: another administrator does.
        role: Roles = [],  # noqa: B006 (read by typer, never changed)
        title: Annotated[str, typer.Option(help=say("称呼", "What people call them"))] = "",
        unit: Unit = "",
        password_stdin: FromStdin = False,
        as_json: Json = False,
    ) -> None:
        with told_errors(as_json):
            from yidao.node.cli.connection import connect
            from yidao.node.cli.passwords import UserExists, ask_password
            from yidao.node.client import User

            with connect(data) as client:
                if any(each.name == name for each in client.users()):
                    raise UserExists(user=name[:64])
                wanted = User(name=name, title=title, roles=tuple(role), unit=unit)
                password = ask_password(password_stdin)
                _tell(client.put_user(wanted, actor="", password=password), as_json)

    @user.command(help=say("设置角色和单位", "Set roles and institution"))
    def roles(data: Data, name: Name, role: Roles, unit: Unit = "", as_json: Json = False) -> None:
        from dataclasses import replace

        with told_errors(as_json):
            from yidao.node.cli.connection import connect

            with connect(data) as client:
                wanted = replace(_held(client, name), roles=tuple(role), unit=unit)
                _tell(client.put_user(wanted, actor=""), as_json)


def _register_states(user: typer.Typer) -> None:
    @user.command(help=say("停用用户, 其会话即刻结束", "Disable a user; their sessions end"))
    def disable(
        data: Data,
        name: Name,
        undo: Annotated[bool, typer.Option("--undo", help=say("重新启用", "Enable again"))] = False,
        as_json: Json = False,
    ) -> None:
        from dataclasses import replace

        with told_errors(as_json):
            from yidao.node.cli.connection import connect

            with connect(data) as client:
                wanted = replace(_held(client, name), disabled=not undo)
                _tell(client.put_user(wanted, actor=""), as_json)

    @user.command(help=say("提前解除锁定", "Unlock before the time"))
    def unlock(data: Data, name: Name, as_json: Json = False) -> None:
        with told_errors(as_json):
            from yidao.node.cli.connection import connect

            with connect(data) as client:
                _tell(client.unlock_user(name, actor=""), as_json)

    @user.command(
        "reset-password",
        help=say("重设密码 (下次登录须改)", "Reset the password; it must be changed"),
    )
    def reset_password(
        data: Data, name: Name, password_stdin: FromStdin = False, as_json: Json = False
    ) -> None:
        with told_errors(as_json):
            from yidao.node.cli.connection import connect
            from yidao.node.cli.passwords import ask_password

            with connect(data) as client:
                held = _held(client, name)
                password = ask_password(password_stdin)
                _tell(client.put_user(held, actor="", password=password), as_json)


def _register_lists(user: typer.Typer) -> None:
    @user.command("list", help=say("列出用户", "List users"))
    def list_users(data: Data, as_json: Json = False) -> None:
        with told_errors(as_json):
            from yidao.node.cli.connection import connect

            with connect(data) as client:
                found = client.users()
            columns = [
                say("用户", "user"),
                say("称呼", "title"),
                say("角色", "roles"),
                say("单位", "unit"),
                say("状态", "state"),
                say("最近登录", "last sign-in"),
            ]
            rows = [
                [u.name, u.title, " ".join(u.roles), u.unit, _state(u), _when(u.last_sign_in_ms)]
                for u in found
            ]
            answer(as_json, {"users": [_facts(u) for u in found]}, table(columns, rows))

    @user.command(help=say("审计记录, 新的在前", "The audit, newest first"))
    def audit(
        data: Data,
        limit: Annotated[int, typer.Option(min=1, max=1_000, help=say("条数", "How many"))] = 100,
        before: Annotated[
            int, typer.Option(min=0, help=say("早于此位置", "Only before this position"))
        ] = 0,
        user: Annotated[str, typer.Option(help=say("只看此用户", "Only this user"))] = "",
        event: Annotated[
            str, typer.Option(help=say("只看此事件, 如 access.session", "Only this event"))
        ] = "",
        as_json: Json = False,
    ) -> None:
        with told_errors(as_json):
            from yidao.node.cli.connection import connect

            with connect(data) as client:
                found = client.audit(before=before, limit=limit, user=user, event=event)
            columns = [
                say("位置", "position"),
                say("时间", "time"),
                say("事件", "event"),
                say("经办人", "actor"),
                say("对象", "object"),
                say("来源", "source"),
                say("结果", "result"),
            ]
            rows = [
                [
                    str(each.position),
                    _when(each.at_ms),
                    each.event + (f" ×{each.times}" if each.times > 1 else ""),
                    each.actor,
                    f"{each.object} {each.detail}".rstrip(),
                    each.source,
                    each.result,
                ]
                for each in found
            ]
            answer(as_json, {"entries": [_entry(e) for e in found]}, table(columns, rows))


def _held(client: "Client", name: str) -> "User":
    from yidao.node.access.errors import UserUnknown

    for each in client.users():
        if each.name == name:
            return each
    raise UserUnknown(user=name[:64])


def _tell(user: "User", as_json: bool) -> None:
    roles = " ".join(user.roles) or "-"
    answer(
        as_json,
        _facts(user),
        say(
            f"用户 {user.name}: 角色 {roles}, {_state(user)}",
            f"User {user.name}: roles {roles}, {_state(user)}",
        ),
    )


def _state(user: "User") -> str:
    import time

    if user.disabled:
        return say("已停用", "disabled")
    if user.locked_until_ms > time.time() * 1_000:
        return say("已锁定", "locked")
    if user.must_change_password:
        return say("待改密码", "password to be changed")
    return say("正常", "active")


def _facts(user: "User") -> dict[str, object]:
    return {
        "name": user.name,
        "title": user.title,
        "roles": list(user.roles),
        "unit": user.unit,
        "disabled": user.disabled,
        "locked_until_ms": user.locked_until_ms,
        "must_change_password": user.must_change_password,
        "last_sign_in_ms": user.last_sign_in_ms,
        "password_due_ms": user.password_due_ms,
    }


def _entry(entry: "AuditEntry") -> dict[str, object]:
    return {
        "position": entry.position,
        "at_ms": entry.at_ms,
        "event": entry.event,
        "actor": entry.actor,
        "object": entry.object,
        "source": entry.source,
        "result": entry.result,
        "times": entry.times,
        "detail": entry.detail,
    }


def _when(milliseconds: int) -> str:
    from datetime import UTC, datetime

    if not milliseconds:
        return "-"
    moment = datetime.fromtimestamp(milliseconds / 1_000, tz=UTC).astimezone()
    return moment.strftime("%Y-%m-%d %H:%M:%S")
