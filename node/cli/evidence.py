"""`yidao evidence`: take the proof of a record or of a whole return out, and verify one anywhere.

`verify` needs the file and the network's root certificate, no node and no
network.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from yidao.node.cli.output import Data, Json, answer, told_errors
from yidao.node.cli.speech import LANGUAGE, say

if TYPE_CHECKING:
    from yidao.sync.evidence import EvidenceReport

Html = Annotated[
    Path | None, typer.Option("--html", help=say("另写成可打印网页", "Also write a page to print"))
]


def register(app: typer.Typer) -> None:
    """Add the verb."""
    evidence = typer.Typer(help=say("存证", "Evidence"), no_args_is_help=True)
    app.add_typer(evidence, name="evidence")
    _add_export(evidence)
    _add_verify(evidence)


def _add_export(evidence: typer.Typer) -> None:
    @evidence.command(
        help=say(
            "导出一条记录或整份报表的存证", "Export the evidence of a record or a whole return"
        )
    )
    def export(
        data: Data,
        out: Annotated[Path, typer.Option("--out", "-o", help=say("写到此文件", "Write here"))],
        record: Annotated[
            str, typer.Argument(help=say("记录号 (32 位十六进制)", "Record id, 32 hex digits"))
        ] = "",
        unit: Annotated[
            str, typer.Option(help=say("整份报表: 单位代码", "A whole return: code of the unit"))
        ] = "",
        form: Annotated[str, typer.Option(help=say("报表", "Form"))] = "",
        period: Annotated[
            str, typer.Option(help=say("报告期; 无报告期的报表留空", "Period, if the form has any"))
        ] = "",
        pack: Annotated[
            str, typer.Option(help=say("标准包, 报表重名时", "Pack, where forms share a name"))
        ] = "",
        letters: Annotated[
            bool,
            typer.Option(
                "--letters",
                help=say(
                    "含涉及其他报表的审核通知: 收件人可读到那些报表",
                    "With letters that tell of other returns: readers of the file see those too",
                ),
            ),
        ] = False,
        as_json: Json = False,
    ) -> None:
        if bool(record) == bool(unit and form):
            raise typer.BadParameter(
                say("请给出记录号, 或 --unit 与 --form", "Give a record, or --unit and --form")
            )
        with told_errors(as_json):
            from yidao.node.cli.connection import connect
            from yidao.node.cli.files import write_file
            from yidao.sync.ids import id_from_hex

            with connect(data) as client:
                proof = (
                    client.export_evidence(id_from_hex(record, "record"))
                    if record
                    else client.export_return_evidence(
                        unit=unit, form=form, period=period, pack=pack, with_letters=letters
                    )
                )
            write_file(out, proof)
            answer(
                as_json,
                {"file": str(out), "bytes": len(proof)},
                say(
                    f"存证: {out}\n核验: yidao evidence verify {out} --root 根证书.pem",
                    f"Evidence: {out}\nVerify: yidao evidence verify {out} --root ROOT.pem",
                ),
            )


def _add_verify(evidence: typer.Typer) -> None:
    @evidence.command(
        help=say("离线核验存证, 只需根证书", "Verify evidence offline; needs only the root's PEM")
    )
    def verify(
        file: Annotated[Path, typer.Argument(help=say("存证文件", "The evidence"))],
        root: Annotated[Path, typer.Option("--root", help=say("根证书", "Root certificate"))],
        html: Html = None,
        as_json: Json = False,
    ) -> None:
        with told_errors(as_json):
            from yidao.node.cli.files import read_file
            from yidao.sync.evidence import verify_evidence
            from yidao.sync.evidencefiles import has_format
            from yidao.sync.returnevidence import FORMAT

            data, root_pem = read_file(file), read_file(root)
            if has_format(data, FORMAT):
                _verify_return(data, root_pem, html, as_json)
                return
            if html is not None:
                raise typer.BadParameter(
                    say("--html 只用于整份报表的存证", "--html is for evidence of a whole return")
                )
            report = verify_evidence(data, root_pem)
            answer(as_json, _facts(report), "\n".join(_sentences(report)))


def _verify_return(data: bytes, root_pem: bytes, html: Path | None, as_json: bool) -> None:
    from hashlib import sha256

    from yidao.node.affairs.reporting.story import read_story
    from yidao.node.cli.files import write_file
    from yidao.node.cli.storyfacts import story_facts
    from yidao.node.printing.evidence import evidence_report
    from yidao.node.printing.sections import report_html, report_text
    from yidao.sync.returnevidence import verify_return_evidence

    story = read_story(verify_return_evidence(data, root_pem))
    digest = sha256(data).hexdigest()
    report = evidence_report(story, digest, LANGUAGE)
    if html is not None:
        write_file(html, report_html(report).encode())
    facts = story_facts(story, digest)
    answer(as_json, facts if html is None else facts | {"html": html}, report_text(report))


_STEPS: Final = {
    "files": say("文件完整 ({0})", "The file is whole ({0})"),
    "chain": say("登记链到 {0}", "The enrolment of {0} leads from the root certificate"),
    "header": say("记录 {0} 属于该网络和该节点", "Record {0} is of this network and node"),
    "checkpoint": say("日志 {0} 的印记有效", "The seal of journal {0} is good"),
    "inclusion": say("记录在日志中, 序号 {0}", "The record is in the journal, number {0}"),
    "part": say("内容 {0} 与承诺一致", "Part {0} is what the record commits to"),
    "cosigned": say("{0} 会签: 当时已持有", "{0} cosigned: it held the journal then"),
}


def _sentences(report: "EvidenceReport") -> list[str]:
    lines = [say("核验通过", "VERIFIED")]
    for each in report.steps():
        mark = say("是", "yes") if each.ok else say("无", "absent")
        lines.append(f"  [{mark}] {_STEPS[each.step.value].format(each.subject)}")
    header = report.header
    lines += [
        say("记录", "Record") + f": {header.kind}  {header.object_id}  v{header.object_version}",
        say("单位", "Unit") + f": {header.unit}   " + say("经办", "Actor") + f": {header.actor}",
        say("节点", "Node") + f": {report.origin.path}",
    ]
    return lines


def _facts(report: "EvidenceReport") -> dict[str, object]:
    header = report.header
    return {
        "verified": True,
        "network": report.network,
        "node": str(report.origin.path),
        "record_id": header.record_id,
        "kind": header.kind,
        "object": header.object_id,
        "version": header.object_version,
        "unit": header.unit,
        "actor": header.actor,
        "seq": report.seq,
        "tree_size": report.checkpoint.size,
        "parts": [part.name for part in report.parts],
        "cosigned_by": [str(each.path) for each in report.cosigners],
    }
