"""`yidao evidence`: take the proof of one record out, and verify one anywhere.

`verify` needs the file and the network's root certificate, no node and no
network.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from yidao.node.cli.output import Data, Json, answer, told_errors
from yidao.node.cli.speech import say

if TYPE_CHECKING:
    from yidao.sync.evidence import EvidenceReport


def register(app: typer.Typer) -> None:
    """Add the verb."""
    evidence = typer.Typer(help=say("存证", "Evidence"), no_args_is_help=True)
    app.add_typer(evidence, name="evidence")

    @evidence.command(help=say("导出一条记录的存证", "Export the evidence of one record"))
    def export(
        data: Data,
        record: Annotated[
            str, typer.Argument(help=say("记录号 (32 位十六进制)", "Record id, 32 hex digits"))
        ],
        out: Annotated[Path, typer.Option("--out", "-o", help=say("写到此文件", "Write here"))],
        as_json: Json = False,
    ) -> None:
        with told_errors(as_json):
            from yidao.node.cli.connection import connect
            from yidao.node.cli.files import write_file
            from yidao.sync.ids import id_from_hex

            with connect(data) as client:
                proof = client.export_evidence(id_from_hex(record, "record"))
            write_file(out, proof)
            answer(
                as_json,
                {"file": str(out), "bytes": len(proof)},
                say(
                    f"存证: {out}\n核验: yidao evidence verify {out} --root 根证书.pem",
                    f"Evidence: {out}\nVerify: yidao evidence verify {out} --root ROOT.pem",
                ),
            )

    @evidence.command(
        help=say("离线核验存证, 只需根证书", "Verify evidence offline; needs only the root's PEM")
    )
    def verify(
        file: Annotated[Path, typer.Argument(help=say("存证文件", "The evidence"))],
        root: Annotated[Path, typer.Option("--root", help=say("根证书", "Root certificate"))],
        as_json: Json = False,
    ) -> None:
        with told_errors(as_json):
            from yidao.node.cli.files import read_file
            from yidao.sync.evidence import verify_evidence

            report = verify_evidence(read_file(file), read_file(root))
            answer(as_json, _facts(report), "\n".join(_sentences(report)))


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
