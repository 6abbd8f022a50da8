"""`yidao keys`: the life of this node's own keys."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated

import typer

from yidao.node.cli.output import Data, Json, answer, told_errors
from yidao.node.cli.speech import say

if TYPE_CHECKING:
    from yidao.node.client import Client, KeyPair

_HEX_SHOWN = 16

Operator = Annotated[
    str, typer.Option(help=say("经办人, 如 admin@/33", "Operator, such as admin@/33"))
]
Keys = Annotated[
    str, typer.Argument(help=say("密钥所属纪元, 如 1", "The epoch that began with them, such as 1"))
]


def register(app: typer.Typer) -> None:
    """Add the verb."""
    keys = typer.Typer(help=say("本节点的密钥", "This node's own keys"), no_args_is_help=True)
    app.add_typer(keys, name="keys")
    _register_status(keys)
    _register_change(keys)
    _register_end(keys)


def _register_status(keys: typer.Typer) -> None:
    @keys.command(help=say("列出各对密钥及其状态", "Every pair of keys and what it is good for"))
    def status(data: Data, as_json: Json = False) -> None:
        with told_errors(as_json):
            from yidao.node.cli.connection import connect

            with connect(data) as client:
                seen = client.list_keys()
            told = [say("现行纪元", "epoch") + f": {seen.epoch}", *(_line(p) for p in seen.pairs)]
            facts = {"epoch": seen.epoch, "pairs": [_facts(pair) for pair in seen.pairs]}
            answer(as_json, facts, "\n".join(told))


def _register_change(keys: typer.Typer) -> None:
    @keys.command(
        help=say("生成下一对密钥 (不改变任何事)", "Make the next pair; nothing else changes")
    )
    def prepare(data: Data, operator: Operator, as_json: Json = False) -> None:
        _run(
            data,
            as_json,
            lambda client: client.prepare_keys(operator=operator),
            say("下一步", "next") + ": yidao keys activate",
        )

    @keys.command(
        help=say(
            "启用下一对密钥: 开启新纪元, 新旧两把密钥都签名",
            "Go over to the next pair: a new epoch, signed by the old key and the new one",
        )
    )
    def activate(data: Data, operator: Operator, as_json: Json = False) -> None:
        _run(
            data,
            as_json,
            lambda client: client.activate_keys(operator=operator),
            say("上级收到后", "once the parent holds it") + ": yidao keys taint, yidao keys revoke",
        )


def _register_end(keys: typer.Typer) -> None:
    @keys.command(help=say("禁止旧密钥再签名", "Let a pair that was active sign nothing any more"))
    def taint(data: Data, keys: Keys, operator: Operator, as_json: Json = False) -> None:
        _run(
            data,
            as_json,
            lambda client: client.taint_keys(keys, operator=operator),
            say("下一步", "next") + f": yidao keys revoke {keys}",
        )

    @keys.command(
        help=say(
            "销毁旧私钥 (不可恢复; 须上级已收到更换记录)",
            "Destroy the private halves of a tainted pair, once the parent holds the change",
        )
    )
    def revoke(data: Data, keys: Keys, operator: Operator, as_json: Json = False) -> None:
        _run(
            data,
            as_json,
            lambda client: client.revoke_keys(keys, operator=operator),
            say("旧私钥已销毁; 旧记录仍可验证", "Gone; old records verify as ever"),
        )


def _run(data: Data, as_json: bool, step: "Callable[[Client], KeyPair]", after: str) -> None:
    with told_errors(as_json):
        from yidao.node.cli.connection import connect

        with connect(data) as client:
            pair = step(client)
        answer(as_json, _facts(pair), f"{_line(pair)}\n{after}")


def _line(pair: "KeyPair") -> str:
    states = {
        "prepared": say("已备好", "prepared"),
        "active": say("使用中", "active"),
        "retired": say("已停用", "retired"),
        "tainted": say("已禁用", "tainted"),
        "revoked": say("已销毁", "revoked"),
    }
    held = "" if pair.witnessed or pair.state == "prepared" else say("上级未收到", "unwitnessed")
    shown = pair.journal_key.hex()[:_HEX_SHOWN]
    return f"{pair.keys}  {states[pair.state]}  {shown}…  {held}".rstrip()


def _facts(pair: "KeyPair") -> dict[str, object]:
    return {
        "keys": pair.keys,
        "state": pair.state,
        "journal_key": pair.journal_key,
        "witnessed": pair.witnessed,
    }
