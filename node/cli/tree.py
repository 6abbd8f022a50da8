"""`yidao tree`: every node below with its health."""

from typing import TYPE_CHECKING, Annotated

import typer

from yidao.node.cli.output import Data, Json, answer, table, told_errors
from yidao.node.cli.speech import say
from yidao.node.cli.status import STATES, TEST_BANNER, clock

if TYPE_CHECKING:
    from yidao.node.client import NodeInfo


def register(app: typer.Typer) -> None:
    """Add the verb."""

    @app.command(
        help=say(
            "本节点及以下各节点: 状态、滞后、下次重连",
            "This node and all below: state, lag, next retry",
        )
    )
    def tree(
        data: Data,
        live: Annotated[
            bool,
            typer.Option(
                "--live/--known",
                help=say("逐个实时询问, 或只用本机所知", "Ask each live, or what is known here"),
            ),
        ] = True,
        seconds: Annotated[
            float, typer.Option(min=0.1, max=20, help=say("最多等多少秒", "Seconds to wait"))
        ] = 3.0,
        as_json: Json = False,
    ) -> None:
        with told_errors(as_json):
            from yidao.node.cli.connection import connect

            with connect(data) as client:
                nodes = client.list_tree(live=live, deadline_ms=int(seconds * 1000))
                is_test = client.status().test_network
            if is_test and not as_json:
                typer.echo(TEST_BANNER)
            answer(
                as_json,
                {"nodes": [_facts(node) for node in nodes]},
                table(_columns(), _rows(nodes)),
            )


def _columns() -> list[str]:
    return [
        say("节点", "node"),
        say("单位", "office"),
        say("状态", "state"),
        say("待下送", "waits down"),
        say("待上送", "waits up"),
        say("问题", "problems"),
        say("下次重连", "next try"),
        say("得知于", "as of"),
        say("版本", "version"),
    ]


def _rows(nodes: "tuple[NodeInfo, ...]") -> list[list[str]]:
    return [
        [
            node.path,
            node.office_name,
            STATES.get(node.state, node.state),
            str(node.lag_down),
            str(node.lag_up),
            str(node.problems),
            clock(node.next_retry_ms) if node.next_retry_ms else "",
            clock(node.as_of_ms) if node.as_of_ms else "",
            node.version,
        ]
        for node in nodes
    ]


def _facts(node: "NodeInfo") -> dict[str, object]:
    return {
        "path": node.path,
        "node_id": node.node_id,
        "office_name": node.office_name,
        "state": node.state,
        "lag_down": node.lag_down,
        "lag_up": node.lag_up,
        "last_seen_ms": node.last_seen_ms,
        "next_retry_ms": node.next_retry_ms,
        "problems": node.problems,
        "as_of_ms": node.as_of_ms,
        "version": node.version,
    }
