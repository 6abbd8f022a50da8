"""`yidao signoff policy` and `yidao signoff demand`: who signs, and who wants it signed."""

from pathlib import Path
from typing import Annotated

import typer

from yidao.node.cli.output import Data, Json, answer, told_errors
from yidao.node.cli.speech import say

Actor = Annotated[str, typer.Option(help=say("经办人, 如 li@/33/3301", "Who, such as li@/33/3301"))]
Scope = Annotated[
    str,
    typer.Option(
        help=say(
            "报表, 如 energy/consumption; 留空为全部", "Such as energy/consumption; empty: all"
        )
    ),
]


def register(signoff: typer.Typer) -> None:
    """Add the verbs."""
    policy = typer.Typer(
        help=say("签发人名单 (须两人办理)", "Who signs off; two persons decide it"),
        no_args_is_help=True,
    )
    signoff.add_typer(policy, name="policy")
    _register_propose(policy)
    _register_confirm(policy)
    _register_file(policy)
    _register_demand(signoff)


def _register_propose(policy: typer.Typer) -> None:
    @policy.command(help=say("拟定签发人名单", "Propose who signs off"))
    def propose(
        data: Data,
        actor: Actor,
        approver: Annotated[
            list[Path], typer.Option(help=say("签发人的公钥文件, 可多次", "Their .pub files"))
        ],
        threshold: Annotated[int, typer.Option(min=1, help=say("须签人数", "How many must sign"))],
        out: Annotated[Path, typer.Option("--out", "-o", help=say("写到此文件", "Write here"))],
        scope: Scope = "",
        reset: Annotated[
            bool,
            typer.Option(
                "--reset",
                help=say(
                    "原签发人密钥已失, 重新开始; 各级可见, 上级须重新备案",
                    "The former keys are lost: start anew; every tier sees it",
                ),
            ),
        ] = False,
        as_json: Json = False,
    ) -> None:
        with told_errors(as_json):
            from yidao.node.cli.connection import connect
            from yidao.node.cli.files import read_file, write_file
            from yidao.sync.signofffile import open_approver_file

            approvers = [open_approver_file(read_file(each)) for each in approver]
            with connect(data) as client:
                done = client.propose_policy(
                    actor=actor,
                    approvers=approvers,
                    threshold=threshold,
                    scope=scope,
                    reset=reset,
                )
            write_file(out, done.file)
            answer(
                as_json,
                {"file": str(out), "digest": done.digest, "position": done.position},
                say(
                    f"名单: {out}\n各签发人: yidao signoff sign {out.name} --key 私钥\n"
                    "再由另一人: yidao signoff policy confirm 签名文件...",
                    f"Policy: {out}\nEach approver: yidao signoff sign {out.name} --key KEY\n"
                    "Then another person: yidao signoff policy confirm FILES...",
                ),
            )


def _register_confirm(policy: typer.Typer) -> None:
    @policy.command(help=say("由另一人确认名单, 即生效", "Confirm it, as another person"))
    def confirm(
        data: Data,
        files: Annotated[list[Path], typer.Argument(help=say("签名文件", "Signature files"))],
        actor: Actor,
        as_json: Json = False,
    ) -> None:
        with told_errors(as_json):
            from yidao.node.cli.connection import connect
            from yidao.node.cli.files import read_file

            signatures = [read_file(file) for file in files]
            with connect(data) as client:
                position = client.confirm_policy(actor=actor, files=signatures)
            answer(
                as_json,
                {"position": position},
                say(f"名单已生效, 位置 {position}", f"In force from {position} on"),
            )


def _register_file(policy: typer.Typer) -> None:
    @policy.command(
        help=say("为下级名单备案 (先电话核对)", "File a child's policy; compare it by phone first")
    )
    def file(
        data: Data,
        digest: Annotated[
            str, typer.Argument(help=say("名单摘要 (64 位十六进制)", "Its digest, 64 hex digits"))
        ],
        actor: Actor,
        as_json: Json = False,
    ) -> None:
        with told_errors(as_json):
            from yidao.node.affairs.signoff.errors import SignoffFilingUnknown
            from yidao.node.cli.connection import connect

            try:
                wanted = bytes.fromhex(digest)
            except ValueError:
                raise SignoffFilingUnknown(policy=digest[:64]) from None
            with connect(data) as client:
                position = client.file_policy(actor=actor, digest=wanted)
            answer(
                as_json,
                {"position": position},
                say(f"已备案, 位置 {position}", f"Filed at {position}"),
            )


def _register_demand(signoff: typer.Typer) -> None:
    @signoff.command(
        help=say("要求下级报表须经签发方可接受", "Accept from children only what is signed off")
    )
    def demand(
        data: Data,
        actor: Actor,
        scope: Scope = "",
        off: Annotated[bool, typer.Option("--off", help=say("不再要求", "No longer"))] = False,
        as_json: Json = False,
    ) -> None:
        with told_errors(as_json):
            from yidao.node.cli.connection import connect

            with connect(data) as client:
                position = client.demand_signoff(actor=actor, scope=scope, demanded=not off)
            answer(
                as_json,
                {"position": position},
                say(f"已记录, 位置 {position}", f"Recorded at {position}"),
            )
