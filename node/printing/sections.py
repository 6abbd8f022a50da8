"""A report of titled sections, as text for a screen and as one page to print."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Final

from yidao.node.printing.paper import plain

_STYLE: Final = """
@page { size: A4; margin: 20mm }
body { font: 11pt/1.5 "Noto Serif CJK SC", "SimSun", "Songti SC", serif; color: #000;
  background: #fff; max-width: 170mm; margin: 0 auto; padding: 8mm 0 }
h1 { font-size: 20pt; text-align: center; margin: 0 0 4mm }
h2 { font-size: 13pt; margin: 6mm 0 2mm; break-after: avoid }
.verdict { font-weight: bold; border: 1.5pt solid #000; padding: 3mm; text-align: center }
table { width: 100%; border-collapse: collapse; margin: 2mm 0 }
th, td { border: .5pt solid #000; padding: 1.5mm 2.5mm; text-align: left; vertical-align: top;
  overflow-wrap: anywhere }
tbody th { font-weight: normal; width: 42mm }
.hash td { font: 8.5pt/1.4 "DejaVu Sans Mono", Consolas, monospace }
.note { font-size: 10pt }
@media print { body { padding: 0 } tr { break-inside: avoid } }
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """One section.

    Attributes:
        columns: Titles of the columns; empty where each row is a label and a value.
        rows: As wide as `columns`, or two.
        is_hash: Values are long and read by machines.
    """

    title: str
    rows: tuple[tuple[str, ...], ...]
    columns: tuple[str, ...] = ()
    note: str = ""
    is_hash: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """A report: what it is, its one verdict, and how that came about."""

    language: str
    title: str
    verdict: str
    sections: tuple[Section, ...]


def report_text(report: Report) -> str:
    """Give a report as lines of text, every value on a line of its own."""
    lines = [plain(report.title), "", plain(report.verdict)]
    for number, section in enumerate(report.sections, 1):
        lines += ["", f"{number}. {plain(section.title)}"]
        if section.columns:
            lines.append("   " + " | ".join(map(plain, section.columns)))
        joint = " | " if section.columns else ": "
        lines += ["   " + joint.join(filter(None, map(plain, row))) for row in section.rows]
        if section.note:
            lines.append("   " + plain(section.note))
    return "\n".join(lines)


def report_html(report: Report) -> str:
    """Give a report as a whole page of HTML for A4: it needs nothing and runs nothing."""
    title = _shown(report.title)
    body = "\n".join(_section(number, each) for number, each in enumerate(report.sections, 1))
    language = "en" if report.language == "en" else "zh-CN"
    return (
        f'<!DOCTYPE html>\n<html lang="{language}">\n<head>\n<meta charset="utf-8">\n'
        f"<title>{title}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n"
        f'<h1>{title}</h1>\n<p class="verdict">{_shown(report.verdict)}</p>\n{body}\n'
        "</body>\n</html>\n"
    )


def _section(number: int, section: Section) -> str:
    head = _row("th", section.columns) if section.columns else ""
    rows = "\n".join(_body_row(row, labelled=not section.columns) for row in section.rows)
    kind = ' class="hash"' if section.is_hash else ""
    note = f'\n<p class="note">{_shown(section.note)}</p>' if section.note else ""
    table = f"<table{kind}>\n<thead>{head}</thead>\n<tbody>\n{rows}\n</tbody>\n</table>"
    return f"<h2>{number}. {_shown(section.title)}</h2>\n{table}{note}"


def _body_row(row: Sequence[str], *, labelled: bool) -> str:
    if labelled:
        return f"<tr><th>{_shown(row[0])}</th><td>{_shown(row[1])}</td></tr>"
    return _row("td", row)


def _row(tag: str, cells: Sequence[str]) -> str:
    return "<tr>" + "".join(f"<{tag}>{_shown(cell)}</{tag}>" for cell in cells) + "</tr>"


def _shown(text: str) -> str:
    return escape(plain(text))
