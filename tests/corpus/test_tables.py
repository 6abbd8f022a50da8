"""Bad inputs 96 to 108: tables and workbooks, each with what must come of it.

A refused file is refused while it is opened, so that no row of it can have
reached a store; a bad row is refused alone.
"""

import contextlib
import csv
import io
import struct
import zipfile
from collections.abc import Callable
from datetime import date
from importlib.resources import files
from pathlib import Path

import openpyxl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from openpyxl.utils.datetime import CALENDAR_MAC_1904

from yidao.catalog.pack.loader import load_pack
from yidao.catalog.pack.model import Form
from yidao.node.intake.annotate import annotate
from yidao.node.intake.errors import IntakeError
from yidao.node.intake.payload import payload_of
from yidao.node.intake.rows import SourceRow
from yidao.node.intake.sheets import SheetRows, write_rows
from yidao.node.intake.source import open_source

USCC = "113301060000000177"
HEAD = "统一社会信用代码,报告期,电消费量,电费用"
ROW = f"{USCC},2025-Q2,120.5,80"
NO_KEY = "报告期,电消费量,电费用\n2025-Q2,1,1"
GOOD_CSV = f"{HEAD}\n{ROW}\n"


@pytest.fixture(scope="module")
def forms() -> list[Form]:
    packs = files("yidao.catalog") / "packs"
    return [
        form
        for name in ("energy-2022.yaml", "energy-2025.yaml")
        for form in load_pack((packs / name).read_bytes()).forms.values()
    ]


@pytest.fixture
def refused(tmp_path: Path, forms: list[Form]) -> Callable[..., IntakeError]:
    """Open bytes as a file, expect a refusal before the first row, and give the error."""

    def open_bytes(data: bytes, name: str = "data.csv") -> IntakeError:
        path = tmp_path / name
        path.write_bytes(data)
        with pytest.raises(IntakeError) as caught:
            open_source(path, forms)
        return caught.value

    return open_bytes


@pytest.fixture
def read(tmp_path: Path, forms: list[Form]) -> Callable[..., tuple[str, list[SourceRow]]]:
    """Open bytes as a file and give its encoding and all rows."""

    def read_bytes(data: bytes, name: str = "data.csv") -> tuple[str, list[SourceRow]]:
        path = tmp_path / name
        path.write_bytes(data)
        with open_source(path, forms) as source:
            rows = list(source.rows())
            assert len(rows) == source.total_rows
            return source.encoding, rows

    return read_bytes


# ---- workbooks made by hand -------------------------------------------------------------------

OPC = "http://schemas.openxmlformats.org/package/2006"
OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
KIND = "application/vnd.openxmlformats-officedocument.spreadsheetml"

CONTENT_TYPES = f"""<Types xmlns="{OPC}/content-types">
<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>
<Default Extension="xml" ContentType="application/xml"/>
<Override PartName="/xl/workbook.xml" ContentType="{KIND}.sheet.main+xml"/>
<Override PartName="/xl/worksheets/sheet1.xml" ContentType="{KIND}.worksheet+xml"/>
</Types>"""
ROOT_RELS = f"""<Relationships xmlns="{OPC}/relationships">
<Relationship Id="r1" Type="{OFFICE}/officeDocument" Target="xl/workbook.xml"/>
</Relationships>"""
WORKBOOK = f"""<workbook xmlns="{MAIN}" xmlns:r="{OFFICE}">
<sheets><sheet name="data" sheetId="1" r:id="r1"/></sheets></workbook>"""
WORKBOOK_RELS = f"""<Relationships xmlns="{OPC}/relationships">
<Relationship Id="r1" Type="{OFFICE}/worksheet" Target="worksheets/sheet1.xml"/>
</Relationships>"""


def text_cell(reference: str, text: str) -> str:
    return f'<c r="{reference}" t="inlineStr"><is><t>{text}</t></is></c>'


HEAD_CELLS = "".join(
    text_cell(f"{letter}1", title) for letter, title in zip("ABCD", HEAD.split(","), strict=True)
)
ROW_CELLS = text_cell("A2", USCC) + text_cell("B2", "2025-Q2") + '<c r="C2"><v>120.5</v></c>'


def sheet_xml(
    rows: str = f'<row r="2">{ROW_CELLS}<c r="D2"><v>80</v></c></row>',
    before: str = "",
    after: str = "",
    prolog: str = "",
) -> str:
    return (
        f'<?xml version="1.0"?>{prolog}'
        '<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main">'
        f'{before}<sheetData><row r="1">{HEAD_CELLS}</row>{rows}</sheetData>{after}</worksheet>'
    )


def package(sheet: str = "", **extra: str | bytes) -> bytes:
    """Zip a workbook of one sheet; `extra` gives further parts, "__" for "/"."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("[Content_Types].xml", CONTENT_TYPES)
        archive.writestr("_rels/.rels", ROOT_RELS)
        archive.writestr("xl/workbook.xml", WORKBOOK)
        archive.writestr("xl/_rels/workbook.xml.rels", WORKBOOK_RELS)
        archive.writestr("xl/worksheets/sheet1.xml", sheet or sheet_xml())
        for name, data in extra.items():
            archive.writestr(name.replace("__", "/"), data)
    return packed.getvalue()


def added(data: bytes, name: str, content: bytes = b"x") -> bytes:
    packed = io.BytesIO(data)
    with zipfile.ZipFile(packed, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, content)
    return packed.getvalue()


def test_the_handmade_workbook_is_good(read: Callable[..., tuple[str, list[SourceRow]]]) -> None:
    """The base of the bad workbooks below is itself read without a fault."""
    encoding, rows = read(package(), "data.xlsx")
    assert encoding == "xlsx"
    assert [row.faults for row in rows] == [()]
    assert rows[0].cells == {
        "uscc": USCC,
        "period": "2025-Q2",
        "elec_kwh": "120.5",
        "elec_fee": "80",
    }


# ---- 96: nothing in it, and encodings ---------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "data", "code"),
    [
        ("an empty table", b"", "SOURCE_EMPTY"),
        ("only a byte-order mark", b"\xef\xbb\xbf", "SOURCE_EMPTY"),
        ("only blank lines", b"\r\n \r\n", "SOURCE_EMPTY"),
        ("only headings", HEAD.encode(), "SOURCE_NO_ROWS"),
        ("headings and separators", f"{HEAD}\n,,,\n".encode(), "SOURCE_NO_ROWS"),
        ("headings of nothing known", b"a,b,c\n1,2,3\n", "SOURCE_HEADER_MISSING"),
        (
            "no key column",
            "报告期,电消费量,电费用\n2025-Q2,1,1".encode(),
            "SOURCE_KEY_COLUMN_MISSING",
        ),
        ("one heading twice", f"{HEAD},elec_kwh\n{ROW},1\n".encode(), "SOURCE_HEADER_AMBIGUOUS"),
        ("UTF-32", GOOD_CSV.encode("utf-32"), "TABLE_ENCODING_UNKNOWN"),
        ("no encoding at all", HEAD.encode() + b"\n\xff\xff\xff", "TABLE_ENCODING_UNKNOWN"),
        ("half a UTF-16 character", GOOD_CSV.encode("utf-16")[:-1], "TABLE_ENCODING_UNKNOWN"),
    ],
)
def test_96_a_table_without_content_or_encoding_is_refused(
    refused: Callable[..., IntakeError], name: str, data: bytes, code: str
) -> None:
    """Each is refused as a whole with its own code."""
    assert code == refused(data).code, name


def test_96_an_empty_workbook_is_refused(refused: Callable[..., IntakeError]) -> None:
    """No bytes, no cells, or headings alone."""
    assert refused(b"", "x.xlsx").code == "SOURCE_EMPTY"
    assert refused(package(sheet_xml(rows="")), "x.xlsx").code == "SOURCE_NO_ROWS"
    blank = sheet_xml().replace(HEAD_CELLS, "").replace(ROW_CELLS, "")
    assert refused(package(blank), "x.xlsx").code == "SOURCE_HEADER_MISSING"


@pytest.mark.parametrize(
    ("encode", "found"),
    [
        (lambda text: text.encode("utf-8"), "utf-8"),
        (lambda text: text.encode("utf-8-sig"), "utf-8"),
        (lambda text: text.encode("utf-16"), "utf-16-le"),
        (lambda text: b"\xfe\xff" + text.encode("utf-16-be"), "utf-16-be"),
        (lambda text: text.encode("utf-16-le"), "utf-16-le"),
        (lambda text: text.encode("utf-16-be"), "utf-16-be"),
        (lambda text: text.encode("gbk"), "gb18030"),
        (lambda text: text.encode("gb18030"), "gb18030"),
    ],
    ids=["utf8", "utf8-bom", "utf16", "utf16be-bom", "utf16le", "utf16be", "gbk", "gb18030"],
)
def test_96_known_encodings_are_found_out_and_reported(
    read: Callable[..., tuple[str, list[SourceRow]]], encode: Callable[[str], bytes], found: str
) -> None:
    """The same table comes out of every encoding that offices use."""
    encoding, rows = read(encode(GOOD_CSV))
    assert encoding == found
    assert rows[0].cells["elec_kwh"] == "120.5"
    assert rows[0].row_number == 2


def test_96_gb18030_keeps_characters_that_gbk_lacks(
    read: Callable[..., tuple[str, list[SourceRow]]],
) -> None:
    """A four-byte character of a rare place or family name survives."""
    text = f"统一社会信用代码,单位名称,行政区划代码\n{USCC},样例𠮷单位,330106\n"
    encoding, rows = read(text.encode("gb18030"))
    assert encoding == "gb18030"
    assert rows[0].cells["name"] == "样例𠮷单位"


def test_96_two_encodings_in_one_file_are_refused_with_the_line(
    refused: Callable[..., IntakeError],
) -> None:
    """A UTF-8 line among GB18030 lines would decode to nonsense that looks like text."""
    head = "统一社会信用代码,单位名称,行政区划代码\n".encode("gb18030")
    error = refused(head + f"{USCC},样例单位甲,330106\n".encode())
    assert error.code == "TABLE_ENCODING_UNKNOWN"
    assert error.params["reason"] == "mixed"
    assert error.params["line"] == 2


# ---- 97 to 103: tables of text ----------------------------------------------------------------


def test_97_nul_bytes_are_refused_with_the_line(refused: Callable[..., IntakeError]) -> None:
    """A NUL in a table is a sign of damage, never of content."""
    error = refused(f"{HEAD}\n{ROW}\n{USCC},2025\0-Q3,1,1\n".encode())
    assert error.code == "TABLE_MALFORMED"
    assert error.params == {"name": "data.csv", "line": 3, "reason": "nul_character"}


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("never closed", f'"{USCC},2025-Q2,1,1\n{ROW}\n'),
        ("closed in the middle of a cell", f'"{USCC}"x,2025-Q2,1,1\n{ROW}\n'),
    ],
)
def test_98_a_quote_that_does_not_close_is_refused_at_its_line(
    refused: Callable[..., IntakeError], name: str, line: str
) -> None:
    """The line named is the one where the record begins, not the end of the file."""
    error = refused(f"{HEAD}\n{ROW}\n{line}".encode())
    assert error.code == "TABLE_MALFORMED", name
    assert error.params == {"name": "data.csv", "line": 3, "reason": "quotes"}


def test_99_ragged_rows_are_refused_alone(
    read: Callable[..., tuple[str, list[SourceRow]]],
) -> None:
    """Too few or too many cells: nothing of the row is guessed, its neighbours stand."""
    data = f"{HEAD}\n{ROW}\n{USCC},2025-Q3,1\n{ROW},77\n{ROW},\n{ROW}\n"
    _, rows = read(data.encode())
    assert [[fault.code for fault in row.faults] for row in rows] == [
        [], ["ROW_RAGGED"], ["ROW_RAGGED"], [], [],
    ]  # fmt: skip
    assert rows[1].cells == {}
    assert rows[1].row_number == 3
    assert "3 列" in rows[1].faults[0].text.zh
    assert "3 cells" in rows[1].faults[0].text.en


def test_100_a_million_columns_are_refused(refused: Callable[..., IntakeError]) -> None:
    """Bounded by characters before parsing and by columns after it, in both kinds of file."""
    wide = HEAD + "," * 2_000_000
    assert refused(f"{wide}\n{ROW}\n".encode()).params["what"] == "row"
    error = refused(f"{HEAD}{',' * 1_000_000}\n{ROW}\n".encode())
    assert (error.code, error.params["what"]) == ("SOURCE_TOO_LARGE", "columns")
    far = sheet_xml(rows='<row r="2"><c r="XFD2"><v>1</v></c></row>')
    error = refused(package(far), "x.xlsx")
    assert (error.code, error.params["what"]) == ("SOURCE_TOO_LARGE", "columns")


def test_100_lines_joined_by_quotes_cannot_pass_the_row_limit(
    refused: Callable[..., IntakeError], read: Callable[..., tuple[str, list[SourceRow]]]
) -> None:
    """A record of many lines counts as one row; many rows of a long file do not."""
    line = "," * 400_000 + '"\n"'
    error = refused(f"{HEAD}\n{line * 4}\n".encode())
    assert (error.code, error.params["what"]) == ("SOURCE_TOO_LARGE", "row")
    _, rows = read((f"{HEAD}\n" + f"{ROW}\n" * 40_000).encode())
    assert len(rows) == 40_000


def test_101_cells_beyond_the_limits(
    read: Callable[..., tuple[str, list[SourceRow]]], refused: Callable[..., IntakeError]
) -> None:
    """A cell longer than a spreadsheet's is at fault; one past the parser's limit ends the file."""
    _, rows = read(f"{HEAD}\n{USCC},2025-Q2,{'1' * 40_000},1\n".encode())
    assert [fault.code for fault in rows[0].faults] == ["CELL_TOO_LONG"]
    error = refused(f"{HEAD}\n{USCC},2025-Q2,{'1' * (csv.field_size_limit() + 1)},1\n".encode())
    assert error.params["reason"] == "field_too_long"


@pytest.mark.parametrize(
    "text",
    [
        '=HYPERLINK("http://x","y")', "+cmd|' /C calc'!A0", "-2+3+cmd|' /C calc'!A0",
        "@SUM(1+9)", "\t=1+1", "\r=1+1",
    ],
)  # fmt: skip
def test_102_formula_injection_is_refused_on_reading_and_harmless_on_writing(
    read: Callable[..., tuple[str, list[SourceRow]]],
    forms: list[Form],
    tmp_path: Path,
    text: str,
) -> None:
    """A name that is a formula is a fault; written out it is a text that stays one."""
    quoted = text.replace('"', '""')
    _, rows = read(f'统一社会信用代码,单位名称,行政区划代码\n{USCC},"{quoted}",330106\n'.encode())
    payload = payload_of(forms[0], rows[0])
    assert [fault.code for fault in payload.faults] == ["CELL_FORMULA_TEXT"]
    assert "name" not in payload.values

    path = tmp_path / "out.xlsx"
    content = SheetRows(
        title="名录", note="", form=forms[0], fields=["uscc", "name"],
        rows=[{"uscc": USCC, "name": text}],
    )  # fmt: skip
    write_rows(path, [content])
    cell = openpyxl.load_workbook(path).active["B2"]
    assert cell.data_type == "s"
    assert cell.quotePrefix


def test_102_a_marked_copy_holds_no_formula(tmp_path: Path) -> None:
    """What somebody sent is disarmed before it is handed on with remarks."""
    path = tmp_path / "in.xlsx"
    book = openpyxl.Workbook()
    book.active["A1"] = "=1+1"
    book.active["A2"] = "=HYPERLINK(1)"
    book.active["A2"].data_type = "s"
    book.save(path)
    marked = annotate(path.read_bytes(), [])
    sheet = openpyxl.load_workbook(io.BytesIO(marked)).worksheets[1]
    assert sheet["A1"].value is None  # it never had a stored result
    assert (sheet["A2"].data_type, sheet["A2"].quotePrefix) == ("s", True)


@pytest.mark.parametrize("line_end", ["\r", "\r\n", "\n"])
def test_103_all_line_ends_are_read_alike(
    read: Callable[..., tuple[str, list[SourceRow]]], line_end: str
) -> None:
    """Also the lone CR of old systems."""
    _, rows = read(line_end.join([HEAD, ROW, ROW, ""]).encode())
    assert [row.row_number for row in rows] == [2, 3]
    assert all(row.cells["elec_fee"] == "80" for row in rows)


# ---- 104 to 106: containers -------------------------------------------------------------------


def test_104_a_zip_bomb_is_refused_by_its_ratio(refused: Callable[..., IntakeError]) -> None:
    """A few kilobytes that would unpack to many megabytes are not unpacked."""
    error = refused(package(xl__media__zeros=b"\0" * 20_000_000), "x.xlsx")
    assert (error.code, error.params["reason"]) == ("WORKBOOK_UNSAFE", "compression_ratio")


def test_104_the_sum_of_all_parts_is_bounded(
    refused: Callable[..., IntakeError], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Many parts that are each within bounds are not, together."""
    monkeypatch.setattr("yidao.node.intake.container.MAX_UNPACKED_BYTES", 1_000)
    error = refused(package(), "x.xlsx")
    assert (error.code, error.params["what"]) == ("SOURCE_TOO_LARGE", "unpacked")


def test_104_overlapping_entries_are_refused(refused: Callable[..., IntakeError]) -> None:
    """Two directory entries over the same bytes: the way to a bomb without a ratio."""
    data = bytearray(added(package(), "xl/other.xml", b"<a/>"))
    last = data.rindex(b"PK\x01\x02")
    struct.pack_into("<I", data, last + 42, 0)  # offset of its local header
    error = refused(bytes(data), "x.xlsx")
    assert (error.code, error.params["reason"]) == ("WORKBOOK_UNSAFE", "overlapping_entries")


def test_104_too_many_sheets_or_entries_are_refused(refused: Callable[..., IntakeError]) -> None:
    """Ten thousand sheets, and a hundred and one that would pass as entries."""
    many = {f"xl__worksheets__s{number}.xml": "<worksheet/>" for number in range(10_000)}
    assert refused(package(**many), "x.xlsx").params["what"] == "zip_entries"
    some = dict(list(many.items())[:100])
    assert refused(package(**some), "x.xlsx").params["what"] == "sheets"


def test_104_a_part_that_lies_about_its_content_is_refused(
    refused: Callable[..., IntakeError],
) -> None:
    """A flipped byte fails the checksum when the file is opened, not in the middle of the rows."""
    data = bytearray(package())
    at = data.index(b"xl/worksheets/sheet1.xml") + len("xl/worksheets/sheet1.xml") + 40
    data[at] ^= 0xFF
    assert refused(bytes(data), "x.xlsx").code == "WORKBOOK_INVALID"


XXE = '<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]>'
LAUGHS = '<!DOCTYPE a [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>'


@pytest.mark.parametrize("prolog", [XXE, LAUGHS, "<!DOCTYPE a>"])
@pytest.mark.parametrize("part", ["sheet", "shared strings"])
def test_105_document_types_are_refused_in_every_part(
    refused: Callable[..., IntakeError], prolog: str, part: str
) -> None:
    """Entities, external or nested, are never declared in a real workbook."""
    if part == "sheet":
        data = package(sheet_xml(prolog=prolog))
    else:
        data = added(package(), "xl/sharedStrings.xml", f"{prolog}<sst/>".encode())
    error = refused(data, "x.xlsx")
    assert (error.code, error.params["reason"]) == ("WORKBOOK_UNSAFE", "document_type")


def test_105_deep_nesting_is_refused(refused: Callable[..., IntakeError]) -> None:
    """Ten thousand levels do not reach a tree builder."""
    nested = "<a>" * 10_000 + "</a>" * 10_000
    error = refused(package(**{"xl__deep.xml": nested}), "x.xlsx")
    assert (error.code, error.params["reason"]) == ("WORKBOOK_UNSAFE", "xml_depth")


@pytest.mark.parametrize(
    ("part", "code"),
    [
        ("xl/externalLinks/externalLink1.xml", "WORKBOOK_EXTERNAL_LINKS"),
        ("xl/connections.xml", "WORKBOOK_EXTERNAL_LINKS"),
        ("xl/vbaProject.bin", "WORKBOOK_ACTIVE_CONTENT"),
        ("xl/embeddings/oleObject1.bin", "WORKBOOK_ACTIVE_CONTENT"),
        ("xl/activeX/activeX1.bin", "WORKBOOK_ACTIVE_CONTENT"),
    ],
)
def test_105_links_and_programs_are_refused(
    refused: Callable[..., IntakeError], part: str, code: str
) -> None:
    """Figures from other files cannot be traced, and macros have no business in a return."""
    assert refused(added(package(), part), "x.xlsx").code == code


@pytest.mark.parametrize(
    "name",
    ["../evil.xml", "xl/../../evil.xml", "/etc/evil", "..\\evil", "C:/evil", "\\\\host\\evil"],
)
def test_106_names_that_leave_the_container_are_refused(
    refused: Callable[..., IntakeError], name: str
) -> None:
    """Nothing is extracted here, yet such a name has one purpose only."""
    error = refused(added(package(), name), "x.xlsx")
    assert (error.code, error.params["reason"]) == ("WORKBOOK_UNSAFE", "path_traversal")


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_106_one_name_twice_is_refused(refused: Callable[..., IntakeError]) -> None:
    """Two readers might each take another one."""
    error = refused(added(package(), "xl/worksheets/sheet1.xml"), "x.xlsx")
    assert (error.code, error.params["reason"]) == ("WORKBOOK_UNSAFE", "duplicate_name")


# ---- 107 and 108: sheets ----------------------------------------------------------------------


def test_107_merged_cells_are_named_on_every_row_they_touch(
    read: Callable[..., tuple[str, list[SourceRow]]],
) -> None:
    """Only the upper left cell holds a value, so the others would be lost in silence."""
    rows = "".join(
        f'<row r="{row}">{text_cell(f"A{row}", USCC)}{text_cell(f"B{row}", "2025-Q2")}'
        f'<c r="C{row}"><v>1</v></c><c r="D{row}"><v>1</v></c></row>'
        for row in (2, 3, 4)
    )
    merges = '<mergeCells><mergeCell ref="A2:A3"/><mergeCell ref="F1:Z9"/></mergeCells>'
    _, found = read(package(sheet_xml(rows=rows, after=merges)), "x.xlsx")
    assert [[(f.code, f.column) for f in row.faults] for row in found] == [
        [("CELL_MERGED", 1)], [("CELL_MERGED", 1)], [],
    ]  # fmt: skip


@pytest.mark.parametrize("mac", [False, True])
def test_107_dates_of_both_calendars_are_the_same_day(
    read: Callable[..., tuple[str, list[SourceRow]]], forms: list[Form], mac: bool
) -> None:
    """A month that the spreadsheet made a date is read as that month, whatever day 0 is."""
    book = openpyxl.Workbook()
    if mac:
        book.epoch = CALENDAR_MAC_1904
    book.active.title = "monthly_ledger"
    book.active.append(["uscc", "period", "elec_kwh", "elec_fee"])
    book.active.append([USCC, date(2025, 7, 1), 1, 1])
    packed = io.BytesIO()
    book.save(packed)
    _, rows = read(packed.getvalue(), "x.xlsx")
    assert rows[0].cells["period"] == "2025-07-01"
    assert rows[0].form_id == "monthly_ledger"
    form = next(form for form in forms if form.id == "monthly_ledger")
    assert payload_of(form, rows[0]).values["period"] == "2025-07"


@pytest.mark.parametrize(
    ("cell", "code"),
    [
        ('<c r="D2" t="e"><f>1/0</f><v>#DIV/0!</v></c>', "CELL_FORMULA_ERROR"),
        ('<c r="D2" t="str"><f>X</f><v>#N/A</v></c>', "CELL_FORMULA_ERROR"),
        ('<c r="D2"><f>C2*2</f></c>', "CELL_UNCALCULATED"),
        ('<c r="D2"><v>1e400</v></c>', "CELL_NUMBER_NOT_FINITE"),
        ('<c r="D2"><v>913301060000000177</v></c>', "CELL_DIGITS_LOST"),
        ('<c r="D2"><v>9.1330106E+17</v></c>', "CELL_DIGITS_LOST"),
    ],
)
def test_107_cells_that_do_not_hold_what_they_show(
    read: Callable[..., tuple[str, list[SourceRow]]], cell: str, code: str
) -> None:
    """Errors, formulas without a result and numbers that lost digits are faults of their cell."""
    _, rows = read(package(sheet_xml(rows=f'<row r="2">{ROW_CELLS}{cell}</row>')), "x.xlsx")
    assert [(fault.code, fault.column, fault.field) for fault in rows[0].faults] == [
        (code, 4, "elec_fee")
    ]
    assert "elec_fee" not in rows[0].cells


def test_107_a_formula_counts_by_its_stored_result(
    read: Callable[..., tuple[str, list[SourceRow]]],
) -> None:
    """And binary noise of the result does not become decimals."""
    cell = '<c r="D2"><f>C2*2</f><v>0.30000000000000004</v></c>'
    _, rows = read(package(sheet_xml(rows=f'<row r="2">{ROW_CELLS}{cell}</row>')), "x.xlsx")
    assert rows[0].cells["elec_fee"] == "0.3"


@pytest.mark.parametrize("dimension", ["A1:XFD1048576", "A1:A1", "Z9:Z9"])
def test_108_a_lying_dimension_changes_nothing(
    read: Callable[..., tuple[str, list[SourceRow]]], dimension: str
) -> None:
    """Too large or too small, the rows that are there are read."""
    sheet = sheet_xml(before=f'<dimension ref="{dimension}"/>')
    _, rows = read(package(sheet), "x.xlsx")
    assert [row.cells["elec_fee"] for row in rows] == ["80"]


@pytest.mark.parametrize(
    ("rows", "what"),
    [
        ('<row r="1048576"><c r="A1048576"><v>1</v></c></row>', "SOURCE_TOO_LARGE"),
        ('<row r="99999999"/>', "WORKBOOK_INVALID"),
        ('<row r="-1"/>', "WORKBOOK_INVALID"),
        (f'<row r="3">{ROW_CELLS}</row><row r="2">{ROW_CELLS}</row>', "WORKBOOK_INVALID"),
        ('<row r="2"><c r="B2"><v>1</v></c><c r="A2"><v>1</v></c></row>', "WORKBOOK_INVALID"),
        ('<row r="2"><c r="A2"><v>1</v></c><c r="A2"><v>2</v></c></row>', "WORKBOOK_INVALID"),
        ('<row r="2"><c r="?"><v>1</v></c></row>', "WORKBOOK_INVALID"),
        ('<row r="2"><c r="A2" t="s"><v>9</v></c></row>', "WORKBOOK_INVALID"),
        ('<row r="2"><c r="A2"><v>abc</v></c></row>', "WORKBOOK_INVALID"),
    ],
)
def test_108_sheets_that_contradict_themselves_are_refused(
    refused: Callable[..., IntakeError], rows: str, what: str
) -> None:
    """Rows out of order would be dropped in silence; the rest would fail among good rows."""
    assert refused(package(sheet_xml(rows=rows)), "x.xlsx").code == what


def test_108_old_encrypted_and_false_workbooks_are_told_apart(
    refused: Callable[..., IntakeError],
) -> None:
    """Whatever the file is called, the clerk learns what it is."""
    ole = bytes.fromhex("d0cf11e0a1b11ae1") + b"\0" * 504
    assert refused(ole, "x.xlsx").code == "WORKBOOK_LEGACY"
    assert refused(ole, "x.csv").code == "WORKBOOK_LEGACY"
    encrypted = ole + "EncryptedPackage".encode("utf-16-le") + b"\0" * 100
    assert refused(encrypted, "x.xlsx").code == "WORKBOOK_ENCRYPTED"
    assert refused(GOOD_CSV.encode(), "x.xlsx").params["reason"] == "not_zip"
    assert refused(b"PK\x03\x04 and no more", "x.xlsx").params["reason"] == "damaged_zip"
    assert refused(_zip(), "x.xlsx").params["reason"] == "not_ooxml"


def _zip() -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("readme.txt", "no workbook")
    return packed.getvalue()


def test_108_a_missing_file_is_a_typed_error(forms: list[Form], tmp_path: Path) -> None:
    """No file, or a folder in its place."""
    for path in (tmp_path / "none.xlsx", tmp_path):
        with pytest.raises(IntakeError) as caught:
            open_source(path, forms)
        assert caught.value.code == "SOURCE_UNREADABLE"


def test_a_workbook_under_a_false_name_is_read(
    read: Callable[..., tuple[str, list[SourceRow]]],
) -> None:
    """What a file is called does not decide what it is."""
    encoding, rows = read(package(), "data.csv")
    assert encoding == "xlsx"
    assert len(rows) == 1


def test_what_the_sender_cannot_see_is_not_read(
    refused: Callable[..., IntakeError], forms: list[Form], tmp_path: Path
) -> None:
    """A hidden sheet is named as skipped; a workbook of nothing else is refused."""
    path = tmp_path / "x.xlsx"
    book = openpyxl.Workbook()
    for title, state in (("seen", "visible"), ("hidden", "hidden"), ("deep", "veryHidden")):
        sheet = book.create_sheet(title)
        sheet.append(HEAD.split(","))
        sheet.append(ROW.split(","))
        sheet.sheet_state = state
    book.save(path)
    with open_source(path, forms) as source:
        assert [sheet.sheet for sheet in source.sheets] == ["seen"]
        assert source.skipped_sheets == ("Sheet", "hidden", "deep")
        assert len(list(source.rows())) == 1
    book.remove(book["seen"])
    book.save(path)
    assert refused(path.read_bytes(), "y.xlsx").code == "SOURCE_HEADER_MISSING"


def test_a_table_has_a_longest_length(
    refused: Callable[..., IntakeError], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Counted as records, headings included."""
    monkeypatch.setattr("yidao.node.intake.table.MAX_ROWS", 3)
    error = refused(f"{HEAD}\n{ROW}\n{ROW}\n{ROW}\n".encode())
    assert (error.code, error.params["what"]) == ("SOURCE_TOO_LARGE", "rows")


@pytest.mark.parametrize("name", ["data.csv", "data.xlsx"])
def test_progress_ends_at_the_total(forms: list[Form], tmp_path: Path, name: str) -> None:
    """Every fifty rows and at the end; the total is known before the first row."""
    path = tmp_path / name
    if name.endswith("csv"):
        path.write_text(f"{HEAD}\n" + f"{ROW}\n\n" * 120, encoding="utf-8")
    else:
        book = openpyxl.Workbook()
        book.active.append(HEAD.split(","))
        for _ in range(120):
            book.active.append(ROW.split(","))
            book.active.append([])
        book.save(path)
    calls: list[tuple[int, int | None]] = []
    with open_source(path, forms) as source:
        for _ in source.rows(lambda done, total: calls.append((done, total))):
            pass
    assert calls == [(50, 120), (100, 120), (120, 120)]


GOOD_XLSX = package()


@settings(
    deadline=None, max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    edits=st.lists(st.tuples(st.integers(0, len(GOOD_XLSX) - 1), st.integers(0, 255)), min_size=1),
    cut=st.none() | st.integers(0, len(GOOD_XLSX)),
)
def test_a_damaged_workbook_never_raises_anything_else(
    forms: list[Form], tmp_path: Path, edits: list[tuple[int, int]], cut: int | None
) -> None:
    """Whatever bytes are changed or cut off: rows, or a typed error."""
    data = bytearray(GOOD_XLSX)
    for at, value in edits:
        data[at] = value
    path = tmp_path / "x.xlsx"
    path.write_bytes(bytes(data[:cut]))
    with contextlib.suppress(IntakeError), open_source(path, forms) as source:
        assert len(list(source.rows())) == source.total_rows


@settings(
    deadline=None, max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    cells=st.lists(
        st.tuples(
            st.sampled_from(["", "s", "n", "b", "e", "d", "str", "inlineStr", "x"]),
            st.sampled_from(["", "0", "1", "-1", "77", "x"]),
            st.sampled_from(
                ["", "0", "-1", "1e5", "1e999", "nan", "2025-13-45", "TRUE", "x", "6e4"]
            ),
            st.sampled_from(
                ["<v>{}</v>", "<is><t>{}</t></is>", "<f>{}</f>", "<v/>", "<v>{}", "{}"]
            ),
        ),
        max_size=4,
    )
)
def test_any_sheet_content_never_raises_anything_else(
    forms: list[Form], tmp_path: Path, cells: list[tuple[str, str, str, str]]
) -> None:
    """Every combination of type, style, value and markup, sensible or not."""
    row = "".join(
        f'<c r="{letter}2" t="{kind}" s="{style}">{markup.format(value)}</c>'
        for letter, (kind, style, value, markup) in zip("ABCD", cells, strict=False)
    )
    path = tmp_path / "x.xlsx"
    path.write_bytes(package(sheet_xml(rows=f'<row r="2">{row}</row>')))
    with contextlib.suppress(IntakeError), open_source(path, forms) as source:
        assert len(list(source.rows())) == source.total_rows


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(tail=st.binary(max_size=300), headed=st.booleans())
def test_any_bytes_as_a_table_never_raise_anything_else(
    forms: list[Form], tmp_path: Path, tail: bytes, headed: bool
) -> None:
    """With and without good headings before them."""
    path = tmp_path / "x.csv"
    path.write_bytes((GOOD_CSV.encode() if headed else b"") + tail)
    with contextlib.suppress(IntakeError), open_source(path, forms) as source:
        for row in source.rows():
            payload_of(next(form for form in forms if form.id == row.form_id), row)
