"""Errors of questions about rows. A value is never a parameter: it may be personal."""

from yidao.catalog.errors import CatalogError


class QuestionInvalid(CatalogError):
    """A question breaks the language or a limit. Params: part, reason."""

    code = "QUESTION_INVALID"


class ColumnUnknown(CatalogError):
    """The resource has no such column. Params: column."""

    code = "COLUMN_UNKNOWN"


class ColumnTypeWrong(CatalogError):
    """A column of that kind does not allow this. Params: column, kind."""

    code = "COLUMN_TYPE_WRONG"


class ColumnMasked(CatalogError):
    """A masked column was to be compared, sorted, grouped or added. Params: column."""

    code = "COLUMN_MASKED"


class ColumnRefused(CatalogError):
    """A column may not be shown to who asks. Params: column."""

    code = "COLUMN_REFUSED"


class GroupsTooMany(CatalogError):
    """A grouping has more groups than an answer may have. Params: limit."""

    code = "GROUPS_TOO_MANY"


class AnswerMalformed(CatalogError):
    """A page of an answer has another shape than it must. Params: reason."""

    code = "ANSWER_MALFORMED"
