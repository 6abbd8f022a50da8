"""The receipt of a return, as lines of text and as one page to print.

Both say the same: the code, what was handed in by whom and when, how it stands,
where it is sealed and who holds it. The page needs nothing from elsewhere and
runs nothing; every value is escaped.
"""

from collections.abc import Iterator
from html import escape
from typing import Final

from yidao.node.client import ReturnReceipt
from yidao.node.printing.paper import Speech, civil_time

_STATES: Final = {
    "submitted": ("已报送, 待审核", "submitted, waits for review"),
    "doubtful": ("存疑, 待处理", "doubtful"),
    "accepted": ("已接受", "accepted"),
    "returned": ("已退回", "returned"),
    "withdrawn": ("已撤回", "withdrawn"),
    "superseded": ("已被新版本取代", "superseded by a newer version"),
    "revoked": ("所属节点已被撤销, 不作数", "void: its node was revoked"),
}
_STYLE: Final = """
@page { size: A4; margin: 20mm }
body { font: 12pt/1.5 "Noto Serif CJK SC", "SimSun", "Songti SC", serif; color: #000;
  background: #fff; max-width: 170mm; margin: 0 auto; padding: 8mm 0 }
h1 { font-size: 20pt; text-align: center; margin: 0 0 6mm }
.code { font: bold 28pt/1.4 "DejaVu Sans Mono", Consolas, monospace; text-align: center;
  border: 1.5pt solid #000; padding: 4mm; letter-spacing: .06em; white-space: nowrap }
table { width: 100%; border-collapse: collapse; margin: 6mm 0 }
th, td { border: .5pt solid #000; padding: 2mm 3mm; text-align: left; vertical-align: top }
th { width: 32mm; font-weight: normal }
td { overflow-wrap: anywhere }
.hash { font: 9pt/1.4 "DejaVu Sans Mono", Consolas, monospace }
.how { font-size: 10pt }
@media print { body { padding: 0 } tr { break-inside: avoid } }
"""


def receipt_lines(receipt: ReturnReceipt, language: str = "zh") -> tuple[tuple[str, str], ...]:
    """Give what stands on a receipt below its code: label and value, in order."""
    return tuple(_lines(receipt, Speech(language)))


def receipt_text(receipt: ReturnReceipt, language: str = "zh") -> str:
    """Give the receipt as lines of text."""
    say = Speech(language)
    lines = [say("回执", "RECEIPT") + f"  {receipt.code}", ""]
    lines += [f"{label}: {value}" for label, value in receipt_lines(receipt, language)]
    return "\n".join((*lines, "", _how(receipt, say)))


def receipt_html(receipt: ReturnReceipt, language: str = "zh") -> str:
    """Give the receipt as a whole page of HTML to be printed on A4."""
    say = Speech(language)
    title = escape(say("报表回执", "Receipt of a return"))
    hashes = {say("日志树根", "Root of the journal"), say("叶哈希", "Leaf hash")}
    rows = "\n".join(
        f'<tr><th>{escape(label)}</th><td class="{_kind(label, hashes)}">{escape(value)}</td></tr>'
        for label, value in receipt_lines(receipt, language)
    )
    return (
        f'<!DOCTYPE html>\n<html lang="{say("zh-CN", "en")}">\n<head>\n<meta charset="utf-8">\n'
        f"<title>{title} {escape(receipt.code)}</title>\n<style>{_STYLE}</style>\n</head>\n"
        f'<body>\n<h1>{title}</h1>\n<p class="code">{escape(receipt.code)}</p>\n'
        f"<table>\n{rows}\n</table>\n"
        f'<p class="how">{escape(_how(receipt, say))}</p>\n</body>\n</html>\n'
    )


def _kind(label: str, hashes: set[str]) -> str:
    return "hash" if label in hashes else "value"


def _lines(receipt: ReturnReceipt, say: Speech) -> Iterator[tuple[str, str]]:
    about = receipt.about
    name = f"{receipt.unit_name} ({about.unit})" if receipt.unit_name else about.unit
    yield say("单位", "Unit"), name
    yield say("报表", "Return"), f"{about.pack}/{about.pack_version} {about.form}"
    if about.period:
        yield say("报告期", "Period"), about.period
    yield say("版本", "Version"), str(about.version)
    yield say("填报人", "Handed in by"), about.submitted_by
    yield say("报送时间", "Handed in at"), civil_time(receipt.created_ms)
    yield say("状态", "State"), say(*_STATES.get(about.state, (about.state, about.state)))
    if about.reviewed_by:
        yield say("审核人", "Reviewed by"), about.reviewed_by
    if about.reason:
        yield say("审核意见", "Remark"), about.reason
    if about.withdrawn_by:
        yield say("申请撤回", "Withdrawal by"), f"{about.withdrawn_by}: {about.withdrawn_reason}"
    nobody = say("尚无上级会签", "no node above has cosigned yet")
    yield say("已持有的节点", "Held by"), ", ".join(receipt.held_by) or nobody
    yield say("记录号", "Record"), about.record_id.hex()
    yield say("日志", "Journal"), receipt.frontier.origin
    yield (
        say("日志序号 / 大小", "Number / size"),
        f"{receipt.seq} / {receipt.frontier.size}",
    )
    yield say("日志树根", "Root of the journal"), receipt.frontier.root.hex()
    yield say("叶哈希", "Leaf hash"), receipt.leaf_sha256.hex()


def _how(receipt: ReturnReceipt, say: Speech) -> str:
    return say(
        f"核对: yidao return receipt --code {receipt.code}。证明: 用 yidao evidence export 导出"
        "该记录的存证, 任何人可离线核验; 回执码由叶哈希前 80 位按 Crockford base32 写成。",
        f"Look it up: yidao return receipt --code {receipt.code}. Proof: yidao evidence export "
        "gives the evidence of the record, which anyone verifies offline; the code is the first "
        "80 bits of the leaf hash in Crockford's base 32.",
    )
