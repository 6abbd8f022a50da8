"""`yidao doctor incident`: one screen for what happened to this node, and what to do."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from yidao.node.cli.output import Data, Exit, Json, answer, told_errors
from yidao.node.cli.speech import LANGUAGE, say

if TYPE_CHECKING:
    from yidao.node.client.recovery import Incident

_STANDINGS = {
    "active": say("正常签名", "active, it signs"),
    "fenced": say("暂停签名, 等上级证实", "fenced: it signs nothing until its parent has spoken"),
    "resuming": say("正在取回丢失的记录", "resuming: lost records are coming back"),
    "reopening": say("正在开启新纪元", "reopening: a new epoch is being opened"),
    "forked": say("已分叉, 停止签名, 等人决定", "forked: it signs nothing until a person decides"),
    "cloned": say(
        "另有进程冒用本节点, 停止签名",
        "cloned: another process speaks as this node; it signs nothing",
    ),
}


def register_on(doctor: typer.Typer) -> None:
    """Add the verb below `doctor`."""

    @doctor.command(
        help=say(
            "重大事件: 出了什么事, 证据, 什么是安全的, 怎么办",
            "What happened, what proves it, what is safe, what to do",
        )
    )
    def incident(
        data: Data,
        settled: Annotated[
            bool, typer.Option("--all", help=say("也显示已了结的", "Settled ones as well"))
        ] = False,
        as_json: Json = False,
    ) -> None:
        with told_errors(as_json):
            from yidao.node.cli.connection import connect

            with connect(data) as client:
                found = client.incidents(settled=settled)
            facts = {
                "standing": found.standing,
                "since_ms": found.since_ms,
                "epoch": found.epoch,
                "incidents": [_facts(each) for each in found.incidents],
            }
            standing = _STANDINGS[found.standing]
            lines = [
                say(
                    f"本节点: {standing}; 纪元 {found.epoch}",
                    f"Node: {standing}; epoch {found.epoch}",
                )
            ]
            for each in found.incidents:
                lines += ["", *_lines(each)]
            if not found.incidents:
                lines.append(say("没有重大事件。", "No incidents."))
            answer(as_json, facts, "\n".join(lines))
            if any(not each.settled_ms for each in found.incidents):
                raise typer.Exit(Exit.PARTLY)


def _facts(incident: "Incident") -> dict[str, object]:
    from yidao.node.doctor.incidents import screen

    shown = screen(incident, LANGUAGE)
    return {
        "code": incident.code,
        "journal": incident.journal,
        "peer": incident.peer,
        "params": dict(incident.params),
        "happened": shown.happened,
        "safe": shown.safe,
        "todo": shown.todo,
        "held": incident.held,
        "other": incident.other,
        "first_ms": incident.first_ms,
        "last_ms": incident.last_ms,
        "settled_ms": incident.settled_ms,
        "times": incident.times,
    }


def _lines(incident: "Incident") -> list[str]:
    from yidao.node.doctor.incidents import screen

    shown = screen(incident, LANGUAGE)
    first = datetime.fromtimestamp(incident.first_ms / 1000, UTC).astimezone()
    state = say("已了结", "settled") if incident.settled_ms else say("未了结", "open")
    lines = [
        f"[{incident.code}] {first:%Y-%m-%d %H:%M} ({state})",
        say("  出了什么事: ", "  What happened: ") + shown.happened,
        say("  什么是安全的: ", "  What is safe: ") + shown.safe,
        say("  怎么办: ", "  What to do: ") + shown.todo,
    ]
    if shown.verify:
        lines.append("  " + shown.verify)
        for note in (shown.held, shown.other):
            lines += [f"    | {line}" for line in note.rstrip("\n").split("\n") if note]
            lines.append("    |")
    return lines
