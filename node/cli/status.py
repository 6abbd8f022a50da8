"""`yidao status`: health of a node, its links, its receipts, what is wrong."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from yidao.node.cli.output import Data, Exit, Json, answer, told_errors
from yidao.node.cli.speech import LANGUAGE, say

if TYPE_CHECKING:
    from yidao.node.client import Expiry, Status


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
        "office_name": seen.office_name,
        "test_network": seen.test_network,
        "certificate_until_ms": seen.certificate_until_ms,
        "parent_error": seen.parent_error,
        "version": seen.version,
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
        "expiries": [
            {
                "kind": each.kind,
                "name": each.name,
                "since_ms": each.since_ms,
                "until_ms": each.until_ms,
                "state": each.state,
            }
            for each in seen.expiries
        ],
        "problems": [
            {"code": problem.code, "count": problem.count, **problem.params}
            for problem in seen.problems
        ],
    }


def lines(seen: "Status") -> list[str]:
    """The status for people."""
    from yidao.node.messages import message

    shown = [TEST_BANNER] if seen.test_network else []
    shown += [
        say("节点", "node")
        + f" {seen.path}  {seen.office_name}  {seen.node_id.hex()}  {seen.state}  {seen.version}",
        say("记录", "records")
        + f" {seen.records}  "
        + say("位置", "position")
        + f" {seen.last_position} ({say('已入账', 'applied')} {seen.applied_position})  "
        + seen.durability,
        say("回执", "receipts") + f" {seen.receipts_current}/{seen.receipts_expected}",
        say("证书", "certificate") + f" {_days_left(seen.certificate_until_ms)}",
    ]
    shown += [_expiry_line(each) for each in seen.expiries if each.kind != "certificate"]
    for peer in seen.peers:
        line = f"  {_ROLES[peer.role]} {peer.path}: {STATES.get(peer.state, peer.state)}"
        line += f"  {say('待送', 'waiting')} {peer.lag}"
        if peer.next_retry_ms:
            line += f"  {say('下次重连', 'next try')} {clock(peer.next_retry_ms)}"
        if peer.role == "parent" and seen.parent_error:
            line += f"  ({seen.parent_error})"
        shown.append(line)
    for problem in seen.problems:
        told = message(problem.code, problem.params, LANGUAGE)
        shown += [f"  ! {told.text} [{problem.code}]", f"    {told.hint}"]
    if not seen.problems:
        shown.append(say("没有问题", "no problems"))
    if seen.problems or any(peer.state != "connected" for peer in seen.peers):
        shown.append(say("下一步: yidao doctor", "Next: yidao doctor"))
    return shown


def _expiry_line(each: "Expiry") -> str:
    kind = f"{_KINDS.get(each.kind, each.kind)} {each.name}"
    if each.kind != "feed":
        mark = "" if each.state == "fine" else "! "
        return f"  {mark}{kind}  {_days_left(each.until_ms)}"
    # Of a feed it is the age that matters.
    age = datetime.now(UTC) - datetime.fromtimestamp(each.since_ms / 1000, UTC)
    hours = max(int(age.total_seconds()) // 3600, 0)
    held = say(f"{hours} 小时前声明", f"as of {hours} h ago")
    return f"  {'' if each.state == 'fine' else '! '}{kind}  {held}" + (
        say("  (已过期)", "  (stale)") if each.state == "over" else ""
    )


def clock(moment_ms: int) -> str:
    """A moment of today as people say it."""
    return datetime.fromtimestamp(moment_ms / 1000, UTC).astimezone().strftime("%H:%M:%S")


def _days_left(until_ms: int) -> str:
    until = datetime.fromtimestamp(until_ms / 1000, UTC)
    days = (until - datetime.now(UTC)).days
    return say(
        f"{until:%Y-%m-%d} 到期, 还有 {days} 天", f"until {until:%Y-%m-%d}, {days} days left"
    )


TEST_BANNER = say(
    "*** 测试网络 — 此处的数据仅供试用 ***", "*** TEST NETWORK - nothing here is for real ***"
)
_KINDS = {
    "certificate": say("证书", "certificate"),
    "authority": say("接纳下级的证书", "authority"),
    "root-certificate": say("根证书", "root certificate"),
    "root-list": say("根清单", "root list"),
    "join-token": say("加入包", "join bundle"),
    "feed": say("上级下达", "feed from"),
    "pack": say("标准包", "pack"),
}
_ROLES = {"parent": say("上级", "parent"), "child": say("下级", "child")}
STATES = {
    "self": say("本节点", "this node"),
    "connected": say("已连接", "connected"),
    "connecting": say("连接中", "connecting"),
    "never": say("尚未连接", "never seen"),
    "lost": say("已断开", "lost"),
    "revoked": say("已撤销", "revoked"),
    "unknown": say("未知", "unknown"),
}
