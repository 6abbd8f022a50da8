"""The codes of row-level faults and notices found while reading, with what the clerk reads.

Like the catalog's faults they never repeat what the cell held.
"""

from collections.abc import Mapping
from typing import Final

from yidao.catalog.pack.model import Text

CELL_FORMULA_ERROR: Final = "CELL_FORMULA_ERROR"
CELL_UNCALCULATED: Final = "CELL_UNCALCULATED"
CELL_MERGED: Final = "CELL_MERGED"
CELL_DIGITS_LOST: Final = "CELL_DIGITS_LOST"
CELL_NUMBER_NOT_FINITE: Final = "CELL_NUMBER_NOT_FINITE"
CELL_TOO_LONG: Final = "CELL_TOO_LONG"
CELL_FORMULA_TEXT: Final = "CELL_FORMULA_TEXT"
CELL_CONTROL_CHARACTER: Final = "CELL_CONTROL_CHARACTER"
CELL_NUMBER_INVALID: Final = "CELL_NUMBER_INVALID"
CELL_THOUSANDS_SEPARATOR: Final = "CELL_THOUSANDS_SEPARATOR"
CELL_TOO_MANY_DECIMALS: Final = "CELL_TOO_MANY_DECIMALS"
CELL_TOO_MANY_DIGITS: Final = "CELL_TOO_MANY_DIGITS"
CELL_YES_NO_INVALID: Final = "CELL_YES_NO_INVALID"
CELL_DATE_INVALID: Final = "CELL_DATE_INVALID"
ROW_RAGGED: Final = "ROW_RAGGED"
#: A notice, no fault: the value was taken, and in which changed spelling.
CELL_NORMALISED: Final = "CELL_NORMALISED"

TEXTS: Final[Mapping[str, Text]] = {
    CELL_FORMULA_ERROR: Text(
        zh="公式的结果是错误值,请改正公式或直接填写数值",
        en="the formula ends in an error value: correct it or enter the figure itself",
    ),
    CELL_UNCALCULATED: Text(
        zh="公式没有计算结果,请用电子表格软件打开并保存一次",
        en="the formula was never calculated: open and save the file in a spreadsheet program",
    ),
    CELL_MERGED: Text(
        zh="合并单元格中只有左上角有值,请取消合并并逐格填写",
        en="merged cells hold one value only: unmerge them and fill in each cell",
    ),
    CELL_DIGITS_LOST: Text(
        zh="数字达到16位,末尾已失真;代码请按文本格式填写",
        en="a number of 16 digits or more has lost some: enter codes as text",
    ),
    CELL_NUMBER_NOT_FINITE: Text(zh="不是有限的数", en="this is not a finite number"),
    CELL_TOO_LONG: Text(
        zh="文字超过 {limit} 个字符", en="the text is longer than {limit} characters"
    ),
    CELL_FORMULA_TEXT: Text(
        zh="“{label_zh}”以公式符号开头,请去掉开头的 = + - @ 或制表符",
        en="{label_en} begins like a formula: remove the leading = + - @ or tab",
    ),
    CELL_CONTROL_CHARACTER: Text(
        zh="“{label_zh}”含有换行或控制字符,请写在一行内",
        en="{label_en} holds a line break or control character: write it on one line",
    ),
    CELL_NUMBER_INVALID: Text(
        zh="“{label_zh}”不是数字,请只填数字,不带单位、文字或指数",
        en="{label_en} is not a number: enter digits only, no unit, words or exponent",
    ),
    CELL_THOUSANDS_SEPARATOR: Text(
        zh="“{label_zh}”含有千位分隔符,请去掉逗号或空格",
        en="{label_en} has thousands separators: remove the commas or spaces",
    ),
    CELL_TOO_MANY_DECIMALS: Text(
        zh="“{label_zh}”最多 {scale} 位小数,请按规定位数填写(系统不代为舍入)",
        en="{label_en} takes at most {scale} decimals; nothing is rounded for you",
    ),
    CELL_TOO_MANY_DIGITS: Text(
        zh="“{label_zh}”最多 {precision} 位数字", en="{label_en} takes at most {precision} digits"
    ),
    CELL_YES_NO_INVALID: Text(
        zh="“{label_zh}”请填“是”或“否”", en="{label_en} must be 是/否, yes/no, true/false or 1/0"
    ),
    CELL_DATE_INVALID: Text(
        zh="“{label_zh}”不是有效日期,请写成 2025-01-31 的样式",
        en="{label_en} is not a valid date: write it like 2025-01-31",
    ),
    ROW_RAGGED: Text(
        zh="本行有 {cells} 列,表头有 {columns} 列,无法对应",
        en="the row has {cells} cells but the headings have {columns}",
    ),
    CELL_NORMALISED: Text(
        zh="“{label_zh}”已按规范写法读入(全角、大小写或格式)",
        en="{label_en} was read in its standard spelling (width, case or format)",
    ),
}


def words(code: str, label: Text | None = None, **params: int) -> Text:
    """Form the text of a fault; `label` is the field's, where the text names it."""
    named: dict[str, str | int] = dict(params)
    if label is not None:
        named |= {"label_zh": label.zh, "label_en": label.en}
    template = TEXTS[code]
    return Text(zh=template.zh.format(**named), en=template.en.format(**named))
