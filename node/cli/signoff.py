"""`yidao signoff`: collect returns for their approvers, sign offline, hand signatures in."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from yidao.node.cli import signoffpolicy
from yidao.node.cli.approver import PassphraseStdin
from yidao.node.cli.output import Data, Json, answer, told_errors
from yidao.node.cli.signofflists import register_list
from yidao.node.cli.speech import LANGUAGE, say
from yidao.node.errors import NodeError

if TYPE_CHECKING:
    from yidao.node.printing.sections import Report

Actor = Annotated[str, typer.Option(help=say("经办人, 如 li@/33/3301", "Who, such as li@/33/3301"))]
File = Annotated[
    Path, typer.Argument(help=say("prepare 或 policy propose 给出的文件", "The file to be signed"))
]
Files = Annotated[list[Path], typer.Argument(help=say("签名文件", "Signature files"))]
Html = Annotated[
    Path | None, typer.Option("--html", help=say("另写成可打印网页", "Also write a page to print"))
]


class SignatureUnconfirmed(NodeError):
    """Nobody at a terminal said that the returns that were shown shall be signed."""

    code = "SIGNATURE_UNCONFIRMED"


def register(app: typer.Typer) -> None:
    """Add the verb."""
    signoff = typer.Typer(help=say("签发报表", "Signing returns off"), no_args_is_help=True)
    app.add_typer(signoff, name="signoff")
    register_list(signoff)
    _register_prepare(signoff)
    _register_show(signoff)
    _register_sign(signoff)
    _register_submit(signoff)
    signoffpolicy.register(signoff)


def _register_prepare(signoff: typer.Typer) -> None:
    @signoff.command(help=say("汇集待签发的报表成一个文件", "Collect what waits into a file"))
    def prepare(
        data: Data,
        actor: Actor,
        form: Annotated[str, typer.Option(help=say("报表", "Form"))],
        out: Annotated[Path, typer.Option("--out", "-o", help=say("写到此文件", "Write here"))],
        period: Annotated[str, typer.Option(help=say("报告期", "Period"))] = "",
        unit: Annotated[str, typer.Option(help=say("只此单位", "Only this unit"))] = "",
        pack: Annotated[
            str, typer.Option(help=say("标准包, 报表重名时", "Pack, where forms share a name"))
        ] = "",
        as_json: Json = False,
    ) -> None:
        with told_errors(as_json):
            from yidao.node.cli.connection import connect
            from yidao.node.cli.files import write_file

            with connect(data) as client:
                done = client.prepare_signoff(
                    actor=actor, form=form, period=period, unit=unit, pack=pack
                )
            write_file(out, done.file, mode=0o600)
            more_zh = f", 另有 {done.left} 份待下一批" if done.left else ""
            more_en = f", {done.left} more wait for the next file" if done.left else ""
            answer(
                as_json,
                {"file": str(out), "returns": done.returns, "left": done.left},
                say(
                    f"待签发 {done.returns} 份: {out}{more_zh}\n"
                    f"签发人在自己机器上: yidao signoff sign {out.name} --key 私钥",
                    f"{done.returns} returns: {out}{more_en}\n"
                    f"On an approver's machine: yidao signoff sign {out.name} --key KEY",
                ),
            )


def _register_show(signoff: typer.Typer) -> None:
    @signoff.command(
        help=say("重新计算并显示文件内容 (无需节点)", "Recompute and show a file; needs no node")
    )
    def show(file: File, html: Html = None, as_json: Json = False) -> None:
        with told_errors(as_json):
            from yidao.node.cli.files import read_file, write_file
            from yidao.node.printing.sections import report_html, report_text

            statement, _, report = _opened(read_file(file))
            if html is not None:
                write_file(html, report_html(report).encode())
            answer(as_json, _facts(statement), report_text(report))


def _register_sign(signoff: typer.Typer) -> None:
    @signoff.command(
        help=say("看过清单后签名 (本人机器, 无需节点)", "See the list, then sign; needs no node")
    )
    def sign(
        file: File,
        key: Annotated[Path, typer.Option(help=say("本人私钥", "One's own key"))],
        out: Annotated[
            Path | None, typer.Option("--out", "-o", help=say("签名文件", "The signature file"))
        ] = None,
        yes: Annotated[
            bool, typer.Option("--yes", help=say("不再询问 (脚本用)", "Do not ask; for scripts"))
        ] = False,
        passphrase_stdin: PassphraseStdin = False,
        as_json: Json = False,
    ) -> None:
        with told_errors(as_json):
            from yidao.node.cli.asking import confirm
            from yidao.node.cli.files import read_file, write_file
            from yidao.node.printing.sections import report_text

            statement, seqs, report = _opened(read_file(file))
            if not yes:
                confirm(
                    report_text(report),
                    say("对以上内容签名?", "Sign all of this?"),
                    missing=SignatureUnconfirmed,
                )
            signed = _signed(statement, seqs, read_file(key), passphrase_stdin)
            target = out or file.with_name(f"{file.name}.{key.stem}.sig")
            write_file(target, signed)
            answer(
                as_json,
                {"file": str(target)},
                say(f"已签名: {target} (交回经办人)", f"Signed: {target} (hand it back)"),
            )


def _register_submit(signoff: typer.Typer) -> None:
    @signoff.command(help=say("交回签名, 人数足够即签发", "Hand signatures in; enough sign off"))
    def submit(data: Data, files: Files, actor: Actor, as_json: Json = False) -> None:
        with told_errors(as_json):
            from yidao.node.cli.connection import connect
            from yidao.node.cli.files import read_file

            signatures = [read_file(file) for file in files]
            with connect(data) as client:
                position = client.submit_signoff(actor=actor, files=signatures)
            answer(
                as_json,
                {"position": position},
                say(f"已签发, 位置 {position}", f"Signed off at {position}"),
            )


def _opened(data: bytes) -> "tuple[bytes, tuple[int, ...], Report]":
    """Recompute what a file says: the statement, where returns lie, and what people read."""
    from yidao.node.printing.signoff import batch_report, policy_report
    from yidao.sync.signofffile import (
        POLICY_FORMAT,
        format_of,
        open_batch_file,
        open_policy_file,
    )

    if format_of(data) == POLICY_FORMAT:
        policy = open_policy_file(data)
        return policy.statement, (), policy_report(policy, LANGUAGE)
    batch = open_batch_file(data)
    seqs = tuple(each.seq for each in batch.returns)
    return batch.statement, seqs, batch_report(batch, LANGUAGE)


def _signed(statement: bytes, seqs: tuple[int, ...], pem: bytes, passphrase_stdin: bool) -> bytes:
    import time

    from yidao.node.approverkeys import open_key
    from yidao.node.cli.passwords import ask_passphrase
    from yidao.sync.signoff import Signature, batch_text, policy_text
    from yidao.sync.signofffile import SignatureFile

    signer = open_key(pem, ask_passphrase(passphrase_stdin))
    now_s = int(time.time())
    text = batch_text(statement, now_s) if seqs else policy_text(statement, now_s)
    signature = Signature(key=signer.public_key, time_s=now_s, signature=signer.sign(text))
    return SignatureFile(statement=statement, seqs=seqs, signature=signature).encode()


def _facts(statement: bytes) -> dict[str, object]:
    import orjson

    facts: dict[str, object] = orjson.loads(statement)
    return facts
