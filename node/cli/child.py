"""`yidao child`: make the bundle with which one child joins; revoke a node below."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypedDict

import typer

from yidao.node.cli import childrequests
from yidao.node.cli.output import Data, Json, answer, told_errors
from yidao.node.cli.speech import say

if TYPE_CHECKING:
    from yidao.node.client import JournalCut, Revoked


class _Cut(TypedDict, total=False):
    """Where a journal shall end, as `Client.revoke_child` takes it."""

    earlier: "list[JournalCut]"
    before_record: bytes


# A year: the secret of a bundle must end some day.
_MAX_HOURS = 8_760


def register(app: typer.Typer) -> None:
    """Add the verb."""
    child = typer.Typer(help=say("下级节点", "Nodes below"), no_args_is_help=True)
    app.add_typer(child, name="child")
    _register_add(child)
    _register_revoke(child)
    childrequests.register_into(child)


def _register_add(child: typer.Typer) -> None:
    @child.command(
        help=say(
            "生成一次性加入包或加入码 (内含密钥, 请当面或加密转交)",
            "Make a single-use join bundle or code; it holds a secret, hand it over in private",
        )
    )
    def add(
        data: Data,
        label: Annotated[
            str, typer.Argument(help=say("下级名称, 如 33", "Label of the child, such as 33"))
        ],
        operator: Annotated[
            str, typer.Option(help=say("经办人, 如 admin@/33", "Operator, such as admin@/33"))
        ],
        out: Annotated[
            Path | None,
            typer.Option("--out", "-o", help=say("写到此文件 (0600)", "Write to this file")),
        ] = None,
        short: Annotated[
            bool,
            typer.Option(
                "--short", help=say("显示加入码, 可电话告知或抄写", "Show a code to read out")
            ),
        ] = False,
        hours: Annotated[
            int, typer.Option(min=1, max=_MAX_HOURS, help=say("有效小时数", "Hours it is valid"))
        ] = 24,
        as_json: Json = False,
    ) -> None:
        if short == (out is not None):
            raise typer.BadParameter(
                say("二者择一: --out 或 --short", "one of the two: --out or --short"),
                param_hint="--out/--short",
            )
        with told_errors(as_json):
            if out is None:
                _add_code(data, label, operator, hours, as_json=as_json)
            else:
                _add_bundle(data, label, operator, hours, out, as_json=as_json)


def _add_bundle(
    data: Path, label: str, operator: str, hours: int, out: Path, *, as_json: bool
) -> None:
    from yidao.node.cli.connection import connect
    from yidao.node.cli.files import write_file

    with connect(data) as client:
        bundle = client.add_child(label, ttl_seconds=hours * 3600, operator=operator)
    write_file(out, bundle, mode=0o600)
    answer(
        as_json,
        {"bundle": str(out), "label": label, "hours": hours},
        say(
            f"加入包: {out} ({hours} 小时内有效, 只能用一次)\n"
            f"在下级机器上: yidao join {out.name} --data 目录",
            f"Join bundle: {out} (valid for {hours} h, once)\n"
            f"On the child's machine: yidao join {out.name} --data FOLDER",
        ),
    )


def _add_code(data: Path, label: str, operator: str, hours: int, *, as_json: bool) -> None:
    from yidao.node.cli.connection import connect

    with connect(data) as client:
        made = client.add_child_code(label, ttl_seconds=hours * 3600, operator=operator)
    where = made.join_address
    answer(
        as_json,
        {"code": made.code, "join_address": where, "label": label, "hours": hours},
        say(
            f"加入码 ({hours} 小时内有效, 只能用一次): {made.code}\n"
            f"在下级机器上: yidao join --code - --parent {where} --data 目录",
            f"Join code (valid for {hours} h, once): {made.code}\n"
            f"On the child's machine: yidao join --code - --parent {where} --data FOLDER",
        ),
    )


def _register_revoke(child: typer.Typer) -> None:
    @child.command(
        help=say(
            "撤销下级节点 (不可恢复): 此后它所写的一概不认",
            "Revoke a node below, for good: nothing that it writes from now on counts",
        )
    )
    def revoke(
        data: Data,
        label: Annotated[
            str, typer.Argument(help=say("下级名称, 如 33 或 33/3301", "Node, as 33 or 33/3301"))
        ],
        reason: Annotated[
            str,
            typer.Option(
                help=say("原因", "Why") + ": key-stolen, machine-lost, replaced, closed",
            ),
        ],
        operator: Annotated[
            str, typer.Option(help=say("经办人, 如 admin@/33", "Operator, such as admin@/33"))
        ],
        yes: Annotated[
            bool, typer.Option("--yes", help=say("不再询问 (脚本用)", "Do not ask; for scripts"))
        ] = False,
        dry_run: Annotated[
            bool,
            typer.Option("--dry-run", help=say("只显示截断位置", "Show the cut, change nothing")),
        ] = False,
        cut_at: Annotated[
            str,
            typer.Option(
                help=say(
                    "更早的截断位置: 记录号 (从它起作废), 或配合 --channel 的条数",
                    "Cut earlier: before this record, or with --channel after so many records",
                )
            ),
        ] = "",
        channel: Annotated[
            str, typer.Option(help=say("日志, 如 up:15 或 up:15/1", "Journal, as up:15 or up:15/1"))
        ] = "",
        as_json: Json = False,
    ) -> None:
        with told_errors(as_json):
            from yidao.node.cli.asking import confirm
            from yidao.node.cli.connection import connect

            cut = _cut_at(cut_at, channel)
            with connect(data) as client:
                if not (yes or dry_run):
                    seen = client.revoke_child(
                        label, reason=reason, operator=operator, dry_run=True, **cut
                    )
                    confirm(
                        "\n".join(lines(seen)),
                        say("确定撤销? 不可恢复", "Revoke it? Nothing undoes this"),
                    )
                done = client.revoke_child(
                    label, reason=reason, operator=operator, dry_run=dry_run, **cut
                )
            told = lines(done)
            if not dry_run:
                told += [_next(label)]
            answer(as_json, _facts(done, dry_run=dry_run), "\n".join(told))


def _cut_at(cut_at: str, channel: str) -> "_Cut":
    """Read where a journal shall end; nothing given is nothing asked for."""
    from yidao.node.client import JournalCut
    from yidao.sync.errors import RevocationMalformed

    if not cut_at and not channel:
        return {}
    name, _, epoch = channel.partition("/")
    if name and cut_at.isdecimal():
        return {"earlier": [JournalCut(channel=name, epoch=epoch or "1", size=int(cut_at))]}
    try:
        record = bytes.fromhex(cut_at)
    except ValueError:
        record = b""
    if name or len(record) != 16:
        raise RevocationMalformed(field="cut")
    return {"before_record": record}


def lines(seen: "Revoked") -> list[str]:
    """Who is revoked, and what of it stays valid."""
    return [
        say("节点", "node") + f" {seen.path}  {seen.node_id.hex()}",
        say("仍然有效的记录:", "records that stay valid:"),
        *(f"  {line.channel}/{line.epoch}: {line.size}" for line in seen.cut),
        say("其余一概无效", "everything else counts for nothing"),
    ]


def _facts(done: "Revoked", *, dry_run: bool) -> dict[str, object]:
    return {
        "node_id": done.node_id,
        "path": done.path,
        "dry_run": dry_run,
        "cut": [
            {"channel": line.channel, "epoch": line.epoch, "size": line.size} for line in done.cut
        ],
    }


def _next(label: str) -> str:
    return say(
        f"已撤销, 连接已断开。重新启用此位置: yidao child add {label} ...",
        f"Revoked, and its line is cut. For another node in its place: yidao child add {label} ...",
    )
