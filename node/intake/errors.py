"""What can be wrong with a whole file, each with a stable code.

Faults of single rows are no errors: see `yidao.node.intake.rows.CellFault`.
No parameter ever holds the content of a cell.
"""

from yidao.api.errors import YidaoError


class IntakeError(YidaoError):
    """The base of the errors of this package; never raised itself."""

    code = "INTAKE_ERROR"


class SourceUnreadable(IntakeError):
    """The file is not there or cannot be read. Params: name, reason."""

    code = "SOURCE_UNREADABLE"


class SourceEmpty(IntakeError):
    """The file holds no table at all: no byte, or no cell with a value. Params: name."""

    code = "SOURCE_EMPTY"


class SourceTooLarge(IntakeError):
    """A size limit is exceeded. Params: name, what, limit."""

    code = "SOURCE_TOO_LARGE"


class HeaderMissing(IntakeError):
    """No sheet has a heading row that any of the forms matches. Params: name."""

    code = "SOURCE_HEADER_MISSING"


class HeaderAmbiguous(IntakeError):
    """Two columns of one sheet claim the same field. Params: sheet, field, first, second."""

    code = "SOURCE_HEADER_AMBIGUOUS"


class KeyColumnMissing(IntakeError):
    """A sheet bears a form's headings but lacks a column of its key. Params: sheet, field."""

    code = "SOURCE_KEY_COLUMN_MISSING"


class NoRows(IntakeError):
    """Headings were found, but no row below them. Params: name."""

    code = "SOURCE_NO_ROWS"


class NotWorkbook(IntakeError):
    """The bytes are no Office Open XML workbook. Params: name, reason."""

    code = "WORKBOOK_INVALID"


class LegacyWorkbook(IntakeError):
    """A binary .xls of Excel 97–2003, whatever it is called. Params: name."""

    code = "WORKBOOK_LEGACY"


class EncryptedWorkbook(IntakeError):
    """The workbook has a password. Params: name."""

    code = "WORKBOOK_ENCRYPTED"


class MacroWorkbook(IntakeError):
    """The workbook carries macros or embedded programs. Params: name, part."""

    code = "WORKBOOK_ACTIVE_CONTENT"


class ExternalLinks(IntakeError):
    """The workbook takes figures from other files, which cannot be traced. Params: name, part."""

    code = "WORKBOOK_EXTERNAL_LINKS"


class UnsafePackage(IntakeError):
    """The zip container is built to harm or to deceive. Params: name, part, reason."""

    code = "WORKBOOK_UNSAFE"


class TableEncoding(IntakeError):
    """The text is in none of the known encodings, or in several. Params: name, line, reason."""

    code = "TABLE_ENCODING_UNKNOWN"


class TableMalformed(IntakeError):
    """The text is no table. Params: name, line, reason."""

    code = "TABLE_MALFORMED"


class TemplateInvalid(IntakeError):
    """A template cannot be written from these forms. Params: reason."""

    code = "TEMPLATE_INVALID"


class MeterDataInvalid(IntakeError):
    """A meter feed breaks its format. Params: line, reason."""

    code = "METER_DATA_INVALID"


class MeterIncomplete(IntakeError):
    """A month has gaps or duplicates and may not become a return. Params: period, gaps, repeats."""

    code = "METER_INCOMPLETE"
