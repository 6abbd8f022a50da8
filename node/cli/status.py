"""`yidao status`: health of a node, its links, its receipts, what is wrong."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from yidao.node.cli.output import Data, Exit, Json, answer, told_errors
from yidao.node.cli.speech import LANGUAGE, say

if TYPE_CHECKING:
    from yidao.node.client import Status


def register(app: typer.Typer) -> None:
    """Add the verb."""

    @app.command(help=say("节点状态: 链路、滞后、回执、问题", "Links, lag, receipts, problems"))
    def status(
        data: Data,
        of: Annotated[
            str, typer.Option("--of", help=say("实时询问下级节点, 如 /33", "A node below, live"))
        ] = "",
        as_json: Json = False,
    ) -> None:
        with told_errors(as_json):
            from yidao.node.cli.connection import connect

            with connect(data) as client:
                seen = client.status(path=of)
            answer(as_json, facts(seen), "\n".join(lines(seen)))
            if seen.problems:
                raise typer.Exit(Exit.PARTLY)


def facts(seen: "Status") -> dict[str, object]:
    """The status as plain values."""
    return {
        "network": seen.network,
        "node_id": seen.node_id,
        "path": seen.path,
        "epoch": seen.epoch,
        "state": seen.state,
        "records": seen.records,
        "last_position": seen.last_position,
        "applied_position": seen.applied_position,
        "durability": seen.durability,
        "receipts": {"current": seen.receipts_current, "expected": seen.receipts_expected},
        "peers": [
            {
                "path": peer.path,
                "role": peer.role,
                "state": peer.state,
                "lag": peer.lag,
                "last_seen_ms": peer.last_seen_ms,
                "next_retry_ms": peer.next_retry_ms,
            }
            for peer in seen.peers
        ],
        "problems": [
            {"code": problem.code, "count": problem.count, **problem.params}
            for problem in seen.problems
        ],
    }


def lines(seen: "Status") -> list[str]:
    """The status for people."""
    from yidao.node.messages import message

    shown = [
        say("节点", "node") + f" {seen.path}  {seen.node_id.hex()}  {seen.state}",
        say("记录", "records")
        + f" {seen.records}  "
        + say("位置", "position")
        + f" {seen.last_position} ({say('已入账', 'applied')} {seen.applied_position})  "
        + seen.durability,
        say("回执", "receipts") + f" {seen.receipts_current}/{seen.receipts_expected}",
    ]
    for peer in seen.peers:
        line = f"  {_ROLES[peer.role]} {peer.path}: {_STATES.get(peer.state, peer.state)}"
        line += f"  {say('待送', 'waiting')} {peer.lag}"
        if peer.next_retry_ms:
            line += f"  {say('下次重连', 'next try')} {_clock(peer.next_retry_ms)}"
        shown.append(line)
    shown += [
        f"  ! {message(problem.code, problem.params, LANGUAGE).text} [{problem.code}]"
        for problem in seen.problems
    ]
    if not seen.problems:
        shown.append(say("没有问题", "no problems"))
    return shown


_ROLES = {"parent": say("上级", "parent"), "child": say("下级", "child")}
_STATES = {
    "connected": say("已连接", "connected"),
    "connecting": say("连接中", "connecting"),
    "never": say("尚未连接", "never seen"),
    "lost": say("已断开", "lost"),
}


def _clock(moment_ms: int) -> str:
    return datetime.fromtimestamp(moment_ms / 1000, UTC).astimezone().strftime("%H:%M:%S")
