"""`yidao doctor`: one line a check, with the cause and the next step."""

from pathlib import Path
from typing import Annotated

import typer

from yidao.node.cli import incident
from yidao.node.cli.output import Data, Exit, Json, answer, told_errors
from yidao.node.cli.speech import LANGUAGE, say


def register(app: typer.Typer) -> None:
    """Add the verb."""
    group = typer.Typer(
        help=say("体检: 逐项检查, 说明原因和下一步", "Check everything; say causes and next steps")
    )
    app.add_typer(group, name="doctor")
    incident.register_on(group)

    @group.callback(invoke_without_command=True)
    def doctor(
        context: typer.Context,
        data: Data,
        bundle: Annotated[
            Path | None,
            typer.Option(
                help=say(
                    "另写诊断包 (JSON, 不含密钥和口令)", "Write a bundle (JSON, no secrets) as well"
                )
            ),
        ] = None,
        as_json: Json = False,
    ) -> None:
        if context.invoked_subcommand is not None:
            return
        with told_errors(as_json):
            from yidao.node.doctor.checks import examine, sound
            from yidao.node.messages import message

            findings = examine(data)
            facts: list[dict[str, object]] = []
            lines: list[str] = []
            for finding in findings:
                name = _NAMES[finding.check]
                if not finding.code:
                    facts.append({"check": finding.check, "ok": True})
                    lines.append(f"[{say('好', 'ok')}] {name}")
                    continue
                told = message(finding.code, finding.params, LANGUAGE)
                facts.append(
                    {
                        "check": finding.check,
                        "ok": False,
                        "code": told.code,
                        "text": told.text,
                        "hint": told.hint,
                    }
                )
                lines.append(f"[{say('坏', '!!')}] {name}: {told.text} [{told.code}]")
                lines.append(f"     {told.hint}")
            if bundle is not None:
                from yidao.node.cli.files import write_file
                from yidao.node.doctor.diagnosis import diagnose

                write_file(bundle, diagnose(data, findings), mode=0o600)
                lines.append(say("诊断包", "Bundle") + f": {bundle}")
            answer(as_json, {"sound": sound(findings), "checks": facts}, "\n".join(lines))
            if not sound(findings):
                raise typer.Exit(Exit.PARTLY)


_NAMES = {
    "clock": say("时钟", "clock"),
    "libraries": say("程序库", "libraries"),
    "folder": say("数据目录", "data folder"),
    "socket": say("本地套接字", "local socket"),
    "settings": say("配置", "settings"),
    "keys": say("密钥", "keys"),
    "certificate": say("证书", "certificate"),
    "disk": say("磁盘", "disk"),
    "addresses": say("对外地址", "addresses for children"),
    "daemon": say("服务", "daemon"),
    "ports": say("端口", "ports"),
    "database": say("数据库", "database"),
    "journals": say("日志链", "journals"),
    "problems": say("待处理问题", "problems"),
    "parent": say("上级", "parent"),
    "lag": say("滞后", "lag"),
    "parked": say("等待的部分", "waiting parts"),
}
