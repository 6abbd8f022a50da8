"""`yidao part`, `yidao redact`, `yidao prune`: parts of records, and how they go."""

import sys
from datetime import UTC, date, datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from yidao.api.errors import YidaoError
from yidao.node.cli.output import Data, Json, answer, told_errors
from yidao.node.cli.speech import say

if TYPE_CHECKING:
    from yidao.node.client import PartInfo, Pruned

# Days are those of the offices, wherever the machine's clock is set.
_CIVIL_TIME = timezone(timedelta(hours=8))
_DASHES = 2


class DayInvalid(YidaoError):
    """Neither a day nor a period (params: day)."""

    code = "PRUNE_DAY_INVALID"


Record = Annotated[
    str, typer.Argument(help=say("记录号 (32 位十六进制)", "Record id, 32 hex digits"))
]
Operator = Annotated[
    str, typer.Option(help=say("经办人, 如 admin@/33", "Operator, such as admin@/33"))
]
Reason = Annotated[str, typer.Option(help=say("理由", "Why"))]
Yes = Annotated[
    bool, typer.Option("--yes", help=say("不再询问 (脚本用)", "Do not ask; for scripts"))
]
DryRun = Annotated[
    bool, typer.Option("--dry-run", help=say("只显示, 不改动", "Show, and change nothing"))
]


def register(app: typer.Typer) -> None:
    """Add the verbs."""
    _add_part(app)
    _add_redact(app)
    _add_prune(app)


def _add_part(app: typer.Typer) -> None:
    @app.command(
        help=say(
            "一条记录的各部分: 在、未公开、已清理或已删除",
            "The parts of a record: here, withheld, pruned or erased",
        )
    )
    def part(
        data: Data,
        record: Record,
        name: Annotated[
            str, typer.Option("--part", help=say("取出此部分", "Take this part out"))
        ] = "",
        out: Annotated[
            Path | None, typer.Option("--out", "-o", help=say("写到此文件", "Write here"))
        ] = None,
        as_json: Json = False,
    ) -> None:
        _check_target(name, out, as_json=as_json)
        with told_errors(as_json):
            from yidao.node.cli.connection import connect
            from yidao.node.cli.files import write_file
            from yidao.sync.ids import id_from_hex

            record_id = id_from_hex(record, "record")
            with connect(data) as client:
                states = client.parts(record_id)
                body = client.part(record_id, name) if name else b""
            if name and out is None:
                sys.stdout.buffer.write(body)
                return
            if out is not None:
                write_file(out, body, mode=0o600)
            facts = [
                {
                    "name": each.name,
                    "bytes": each.length,
                    "grade": each.grade,
                    "state": each.state,
                    "reason": each.reason,
                    "basis": each.basis,
                    "operator": each.operator,
                }
                for each in states
            ]
            answer(as_json, {"parts": facts}, "\n".join(_line(each) for each in states))


def _check_target(name: str, out: Path | None, *, as_json: bool) -> None:
    """Refuse a file without its content, and JSON where raw bytes would stand."""
    if out is not None and not name:
        raise typer.BadParameter(
            say("须用 --part 指明写出哪一部分", "name what to write: --part"), param_hint="--out"
        )
    if as_json and name and out is None:
        raise typer.BadParameter(
            say(
                "取出的部分不是 JSON, 须用 --out 写到文件",
                "a part is no JSON: write it to a file with --out",
            ),
            param_hint="--json",
        )


def _line(part: "PartInfo") -> str:
    words = {
        "present": say("在", "here"),
        "withheld": say("未公开到本级", "withheld"),
        "pruned": say("已清理", "pruned"),
        "redacted": say("已删除", "erased"),
    }
    told = f"{part.name:<12} {part.length:>8} B  {words.get(part.state, part.state)}"
    why = [text for text in (part.reason, part.basis, part.operator) if text]
    return f"{told}: {'; '.join(why)}" if why else told


def _add_redact(app: typer.Typer) -> None:
    @app.command(
        help=say(
            "删除一条记录的一部分 (不可恢复), 如个人信息; 各级随之删除",
            "Erase a part of a record for good, such as personal data, at every tier",
        )
    )
    def redact(
        data: Data,
        record: Record,
        part: Annotated[str, typer.Option(help=say("部分, 如 pii", "Part, such as pii"))],
        reason: Reason,
        basis: Annotated[
            str, typer.Option(help=say("依据: 法条、判决或决定", "The law, judgment or order"))
        ],
        operator: Operator,
        yes: Yes = False,
        dry_run: DryRun = False,
        as_json: Json = False,
    ) -> None:
        with told_errors(as_json):
            from yidao.node.cli.asking import confirm
            from yidao.node.cli.connection import connect
            from yidao.sync.ids import id_from_hex

            record_id = id_from_hex(record, "record")
            with connect(data) as client:
                seen = client.redact(
                    record_id, part, reason=reason, basis=basis, operator=operator, dry_run=True
                )
                if not (yes or dry_run):
                    confirm(say(f"删除 {record} 的 {part}", f"Erase {part} of {record}"), _sure())
                done = seen
                if not dry_run:
                    done = client.redact(
                        record_id, part, reason=reason, basis=basis, operator=operator
                    )
            answer(
                as_json,
                {
                    "record": record,
                    "part": part,
                    "everywhere": done.everywhere,
                    "dry_run": dry_run,
                    "position": done.position,
                },
                _redacted(part, everywhere=done.everywhere, dry_run=dry_run),
            )


def _redacted(part: str, *, everywhere: bool, dry_run: bool) -> str:
    where = (
        say("本节点及所有收到它的节点", "here and on every node that it went to")
        if everywhere
        else say("仅本节点 (不是本节点的记录)", "on this node alone: it is not its record")
    )
    if dry_run:
        return say(f"将删除 {part}: {where}", f"Would erase {part}: {where}")
    return say(
        f"已删除 {part}: {where}\n备份中仍有旧内容, 请按保留期轮换",
        f"Erased {part}: {where}\nBackups still hold it: let them run out",
    )


def _add_prune(app: typer.Typer) -> None:
    @app.command(
        help=say(
            "按期限清理记录内容 (记录头和证明保留); 先封存快照",
            "Remove bodies of old records, never headers; seals a snapshot first",
        )
    )
    def prune(
        data: Data,
        before: Annotated[
            str,
            typer.Option(
                help=say("此日之前存入的, 如 2024-01-01", "Stored before, as 2024-01-01 or 2024-Q1")
            ),
        ],
        reason: Reason,
        operator: Operator,
        kind: Annotated[
            list[str] | None,
            typer.Option(help=say("记录类型或其开头", "Kind of records, or its beginning")),
        ] = None,
        form: Annotated[list[str] | None, typer.Option(help=say("报表", "Form"))] = None,
        yes: Yes = False,
        dry_run: DryRun = False,
        as_json: Json = False,
    ) -> None:
        with told_errors(as_json):
            from yidao.node.cli.asking import confirm
            from yidao.node.cli.connection import connect

            before_ms = _day_ms(before)
            asked = {"before_ms": before_ms, "reason": reason, "operator": operator}
            kinds, forms = tuple(kind or ()), tuple(form or ())
            with connect(data) as client:
                if not (yes or dry_run):
                    seen = client.prune(
                        before_ms=before_ms,
                        reason=reason,
                        operator=operator,
                        kinds=kinds,
                        forms=forms,
                        dry_run=True,
                    )
                    confirm(_pruned(seen, dry_run=True), _sure())
                done = client.prune(
                    before_ms=before_ms,
                    reason=reason,
                    operator=operator,
                    kinds=kinds,
                    forms=forms,
                    dry_run=dry_run,
                    progress=None if as_json else _show,
                )
            facts = {"records": done.records, "bytes": done.bodies_bytes, "kept": dict(done.kept)}
            answer(as_json, asked | facts | {"dry_run": dry_run}, _pruned(done, dry_run=dry_run))


def _day_ms(text: str) -> int:
    """Give the moment at which a day begins, or the first day of a period."""
    from yidao.catalog.calendar import Period

    try:
        day = (
            date.fromisoformat(text) if text.count("-") == _DASHES else Period.parse(text).first_day
        )
    except (ValueError, YidaoError):
        raise DayInvalid(day=text) from None
    start = datetime(day.year, day.month, day.day, tzinfo=_CIVIL_TIME).astimezone(UTC)
    return int(start.timestamp() * 1000)


def _show(so_far: "Pruned") -> None:
    if sys.stderr.isatty():
        typer.echo(f"\r{so_far.position}/{so_far.up_to}", err=True, nl=False)


def _pruned(done: "Pruned", *, dry_run: bool) -> str:
    size = f"{done.bodies_bytes / 1024 / 1024:.1f} MiB"
    told = (
        say(f"将清理 {done.records} 条, {size}", f"Would prune {done.records} records, {size}")
        if dry_run
        else say(f"已清理 {done.records} 条, {size}", f"Pruned {done.records} records, {size}")
    )
    rules = {
        "audit": say("审计未满半年", "audit younger than half a year"),
        "open": say("未办结", "open business"),
        "unacknowledged": say("上级或下级尚未确认", "not yet acknowledged by a neighbour"),
    }
    kept = [
        say(f"保留 {number} 条: {rules[rule]}", f"kept {number}: {rules[rule]}")
        for rule, number in sorted(done.kept.items())
        if number
    ]
    return "\n".join([told, *kept])


def _sure() -> str:
    return say("确定? 不可恢复", "Go on? Nothing undoes this")
