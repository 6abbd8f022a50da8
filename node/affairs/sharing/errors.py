"""Why rows are not given."""

from yidao.node.affairs.errors import AffairError


class ResourceUnknown(AffairError):
    """The node that is asked owns no such published resource (params: resource)."""

    code = "SHARE_RESOURCE_UNKNOWN"


class ResourceWithdrawn(AffairError):
    """The resource is no longer published (params: resource)."""

    code = "SHARE_RESOURCE_WITHDRAWN"


class ResourceWithoutRows(AffairError):
    """The resource is only described here, no form holds its rows (params: resource)."""

    code = "SHARE_WITHOUT_ROWS"


class ShareForbidden(AffairError):
    """The resource is not shared at all (params: resource, basis)."""

    code = "SHARE_FORBIDDEN"


class SharePurposeMissing(AffairError):
    """The resource is shared on conditions, and no purpose was given (params: resource)."""

    code = "SHARE_PURPOSE_MISSING"


class ShareStaysLocal(AffairError):
    """Rows of the form never leave the node where they were written (params: form)."""

    code = "SHARE_STAYS_LOCAL"


class ShareOnlyUpward(AffairError):
    """Only the owner and nodes above it may ask (params: path)."""

    code = "SHARE_ONLY_UPWARD"


class AnswerAbandoned(AffairError):
    """Nobody waits for the answer any more."""

    code = "SHARE_ANSWER_ABANDONED"


class ScopeInvalid(AffairError):
    """The place to ask is this node or below it, and given once (params: path)."""

    code = "QUERY_SCOPE_INVALID"


class DeadlineInvalid(AffairError):
    """A deadline is over the longest that a question may live (params: limit_ms)."""

    code = "QUERY_DEADLINE_INVALID"
