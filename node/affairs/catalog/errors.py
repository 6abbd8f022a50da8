"""Errors of the catalog affair; texts in `yidao.node.messages`, params in the docstrings."""

from yidao.node.affairs.errors import AffairError


class EntryUnknown(AffairError):
    """No entry or working copy with this code is here (params: code)."""

    code = "CATALOG_ENTRY_UNKNOWN"


class EntryElsewhere(AffairError):
    """Another node owns the code (params: code, path)."""

    code = "CATALOG_ENTRY_ELSEWHERE"


class EntryStateWrong(AffairError):
    """The state of an entry does not allow this step (params: state, step)."""

    code = "CATALOG_STATE_WRONG"


class EntryReviewerSame(AffairError):
    """Who submitted an entry cannot review it (params: code)."""

    code = "CATALOG_REVIEWER_SAME"
