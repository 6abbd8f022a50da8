"""`yidao evidence`: take the proof of a record or of a whole return out, and verify one anywhere.

`verify` needs the file and the network's root certificate, no node and no
network.
"""

from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from yidao.node.cli.output import Data, Json, answer, told_errors
from yidao.node.cli.speech import LANGUAGE, say

if TYPE_CHECKING:
    from yidao.node.printing.sections import Report
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
            from yidao.node.cli.files import read_file, write_file
            from yidao.node.printing.sections import report_html, report_text
            from yidao.sync.evidencefiles import has_format
            from yidao.sync.returnevidence import FORMAT

            data, root_pem = read_file(file), read_file(root)
            verified = _verify_return if has_format(data, FORMAT) else _verify_record
            facts, report = verified(data, root_pem)
            if html is not None:
                write_file(html, report_html(report).encode())
                facts |= {"html": html}
            answer(as_json, facts, report_text(report))


def _verify_return(data: bytes, root_pem: bytes) -> "tuple[dict[str, object], Report]":
    from yidao.node.affairs.reporting.story import read_story
    from yidao.node.cli.storyfacts import story_facts
    from yidao.node.printing.evidence import evidence_report
    from yidao.sync.returnevidence import verify_return_evidence

    story = read_story(verify_return_evidence(data, root_pem))
    digest = sha256(data).hexdigest()
    return story_facts(story, digest), evidence_report(story, digest, LANGUAGE)


def _verify_record(data: bytes, root_pem: bytes) -> "tuple[dict[str, object], Report]":
    from yidao.node.printing.recordevidence import record_report
    from yidao.sync.evidence import verify_evidence

    evidence = verify_evidence(data, root_pem)
    return _facts(evidence), record_report(evidence, sha256(data).hexdigest(), LANGUAGE)


def _facts(report: "EvidenceReport") -> dict[str, object]:
    from yidao.node.printing.revocations import revocation_facts

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
        "gone": [
            {
                "part": gone.name,
                "state": gone.absence.name.lower(),
                "by": str(gone.by),
                "reason": gone.reason,
                "basis": gone.basis,
                "operator": gone.operator,
            }
            for gone in report.gone
        ],
        "cosigned_by": [str(each.path) for each in report.cosigners],
        "cosigned_by_suites": {str(each.path): list(each.suites) for each in report.cosigners},
        "revocations": revocation_facts(report.revocations),
    }
