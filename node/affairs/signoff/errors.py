"""Errors of sign-offs that a caller meets, beside those of `yidao.sync.signofferrors`."""

from yidao.node.affairs.errors import AffairError


class SignoffNothing(AffairError):
    """No return of the choice waits for a signature (params: form, period)."""

    code = "SIGNOFF_NOTHING"


class SignoffScopeInvalid(AffairError):
    """What is asked for is neither `<pack>/<form>` nor empty, or a needed name is missing."""

    code = "SIGNOFF_SCOPE_INVALID"


class SignoffChanged(AffairError):
    """A return of a signed statement was withdrawn, corrected or judged since (params: unit)."""

    code = "SIGNOFF_CHANGED"


class SignoffAlready(AffairError):
    """All returns of the statement are signed off already."""

    code = "SIGNOFF_ALREADY"


class SignoffMixed(AffairError):
    """Files of several statements were handed in at once."""

    code = "SIGNOFF_MIXED"


class SignoffMissing(AffairError):
    """This node demands a signature, and a return has none (params: record)."""

    code = "SIGNOFF_MISSING"


class SignoffUnfiled(AffairError):
    """A return is signed by approvers whom nobody here has filed (params: record, path)."""

    code = "SIGNOFF_UNFILED"


class SignoffFilingUnknown(AffairError):
    """No root policy of a child has this digest (params: policy)."""

    code = "SIGNOFF_FILING_UNKNOWN"
