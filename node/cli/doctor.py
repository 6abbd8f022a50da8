"""`yidao doctor`: one line a check, with the cause and the next step."""

import typer

from yidao.node.cli.output import Data, Exit, Json, answer, told_errors
from yidao.node.cli.speech import LANGUAGE, say


def register(app: typer.Typer) -> None:
    """Add the verb."""

    @app.command(
        help=say("体检: 逐项检查, 说明原因和下一步", "Check everything; say causes and next steps")
    )
    def doctor(data: Data, as_json: Json = False) -> None:
        with told_errors(as_json):
            from yidao.node.doctor.checks import examine, sound
            from yidao.node.messages import render

            findings = examine(data)
            facts: list[dict[str, object]] = []
            lines: list[str] = []
            for finding in findings:
                name = _NAMES[finding.check]
                if finding.error is None:
                    facts.append({"check": finding.check, "ok": True})
                    lines.append(f"[{say('好', 'ok')}] {name}")
                    continue
                message = render(finding.error, LANGUAGE)
                facts.append(
                    {
                        "check": finding.check,
                        "ok": False,
                        "code": message.code,
                        "text": message.text,
                        "hint": message.hint,
                    }
                )
                lines.append(f"[{say('坏', '!!')}] {name}: {message.text}")
                lines.append(f"     {message.hint}")
            answer(as_json, {"sound": sound(findings), "checks": facts}, "\n".join(lines))
            if not sound(findings):
                raise typer.Exit(Exit.PARTLY)


_NAMES = {
    "clock": say("时钟", "clock"),
    "libraries": say("程序库", "libraries"),
    "folder": say("数据目录", "data folder"),
    "settings": say("配置", "settings"),
    "keys": say("密钥", "keys"),
    "certificate": say("证书", "certificate"),
    "disk": say("磁盘", "disk"),
    "database": say("数据库", "database"),
    "parent": say("上级", "parent"),
}
