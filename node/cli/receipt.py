"""`yidao return receipt`: the receipt of a return, shown and printed."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from yidao.node.cli.output import Data, Json, answer, told_errors
from yidao.node.cli.speech import LANGUAGE, say

if TYPE_CHECKING:
    from yidao.node.client import ReturnReceipt


def register(returns: typer.Typer) -> None:
    """Add `return receipt`."""

    @returns.command(
        help=say("报表回执: 按记录号或回执码", "The receipt of a return, by record or by code")
    )
    def receipt(
        data: Data,
        record: Annotated[str, typer.Option(help=say("记录号", "Record id (hex)"))] = "",
        code: Annotated[str, typer.Option(help=say("回执码", "Code of a receipt"))] = "",
        html: Annotated[
            Path | None, typer.Option("--html", help=say("写成可打印网页", "Write a page to print"))
        ] = None,
        as_json: Json = False,
    ) -> None:
        with told_errors(as_json):
            from yidao.node.cli.connection import connect
            from yidao.node.cli.files import write_file
            from yidao.node.printing.receipt import receipt_html, receipt_text
            from yidao.sync.ids import id_from_hex

            # A code is enough; whoever gives none names the record.
            record_id = b"" if code else id_from_hex(record, "record")
            with connect(data) as client:
                found = client.receipt(record_id=record_id, code=code)
            if html is not None:
                write_file(html, receipt_html(found, LANGUAGE).encode())
            answer(as_json, _facts(found, html), receipt_text(found, LANGUAGE))


def _facts(found: "ReturnReceipt", html: Path | None) -> dict[str, object]:
    about = found.about
    facts: dict[str, object] = {
        "code": found.code,
        "record_id": about.record_id,
        "pack": about.pack,
        "form": about.form,
        "period": about.period,
        "unit": about.unit,
        "unit_name": found.unit_name,
        "version": about.version,
        "state": about.state,
        "submitted_by": about.submitted_by,
        "created_ms": found.created_ms,
        "journal": found.frontier.origin,
        "seq": found.seq,
        "size": found.frontier.size,
        "root": found.frontier.root,
        "leaf_sha256": found.leaf_sha256,
        "held_by": found.held_by,
    }
    return facts if html is None else facts | {"html": html}
