"""Errors that the affairs raise to a caller, or show as the fault of one row.

The texts stand in `yidao.node.messages`, keyed by `code`; the params of each
class are named in its docstring.
"""

from yidao.api.errors import YidaoError


class AffairError(YidaoError):
    """Base of the errors of this package; never raised itself."""

    code = "AFFAIR_ERROR"


# Standards.


class PackPublishForbidden(AffairError):
    """Only the root publishes packs (params: path)."""

    code = "PACK_PUBLISH_FORBIDDEN"


class DateInvalid(AffairError):
    """A date is not ISO `YYYY-MM-DD` (params: field)."""

    code = "DATE_INVALID"


# Rows of an import.


class RowsTooMany(AffairError):
    """One call carries more rows than it may (params: rows, limit)."""

    code = "ROWS_TOO_MANY"


class KeyInvalid(AffairError):
    """A row's key is too long or holds a character that cannot be seen (params: limit)."""

    code = "KEY_INVALID"


class KeyReused(AffairError):
    """A row's key was used before, by a row of other content (params: key)."""

    code = "KEY_REUSED"


class UnitUnknown(AffairError):
    """The unit is not registered at this node (params: unit)."""

    code = "UNIT_UNKNOWN"


class UnitHostedElsewhere(AffairError):
    """Another node hosts the unit (params: unit, path)."""

    code = "UNIT_HOSTED_ELSEWHERE"


class HandOverUnfit(AffairError):
    """Units cannot be handed over like that (params: reason, limit).

    The reason is `to`, `units` or `reason`: what is wrong.
    """

    code = "HAND_OVER_UNFIT"


class RowPeriodMismatch(AffairError):
    """The row's own field `period` names another period (params: period)."""

    code = "ROW_PERIOD_MISMATCH"


class RowPeriodKindWrong(AffairError):
    """The form is not reported for a period of this kind (params: period, kind)."""

    code = "ROW_PERIOD_KIND_WRONG"


class PayloadTooLarge(AffairError):
    """A row's payload is over the limit (params: size_bytes, limit_bytes)."""

    code = "PAYLOAD_TOO_LARGE"


class AttachmentTooLarge(AffairError):
    """An attached file is over the limit of a part (params: size_bytes, limit_bytes)."""

    code = "ATTACHMENT_TOO_LARGE"


class CausesInvalid(AffairError):
    """A cause is no record id, or there are too many (params: limit)."""

    code = "CAUSES_INVALID"


class HeaderContradictsPayload(AffairError):
    """A child's record says one thing in its header and another inside (params: field)."""

    code = "HEADER_CONTRADICTS_PAYLOAD"


# Reviews.


class DecisionInvalid(AffairError):
    """A review decides neither `accept` nor `return` (params: decision)."""

    code = "DECISION_INVALID"


class ReasonMissing(AffairError):
    """A return needs a reason."""

    code = "REASON_MISSING"


class ReasonTooLong(AffairError):
    """A reason is over the limit (params: length, limit)."""

    code = "REASON_TOO_LONG"


class ReviewScopeInvalid(AffairError):
    """A review names neither record ids nor a form and a period, or both."""

    code = "REVIEW_SCOPE_INVALID"


class ReturnUnknown(AffairError):
    """No return with this record id is here (params: record)."""

    code = "RETURN_UNKNOWN"


class ReturnNotHeld(AffairError):
    """No version of a return is here (params: unit, form, period)."""

    code = "RETURN_NOT_HELD"


class ReturnAmbiguous(AffairError):
    """Several returns have these names (params: unit, form, what = pack or origin)."""

    code = "RETURN_AMBIGUOUS"


class EvidenceTooLarge(AffairError):
    """A return has more records, or more bytes, than one file holds (params: records, limit)."""

    code = "EVIDENCE_TOO_LARGE"


class ReviewForbidden(AffairError):
    """Only the direct parent of a return's origin reviews it (params: record, origin)."""

    code = "REVIEW_FORBIDDEN"


class ReviewOwn(AffairError):
    """Nobody reviews what they submitted themselves (params: record)."""

    code = "REVIEW_OWN"


class ReturnStateWrong(AffairError):
    """The return's state does not allow this step (params: state, step)."""

    code = "RETURN_STATE_WRONG"


class ReturnForeign(AffairError):
    """Only the node that handed a return in takes it back (params: record, origin)."""

    code = "RETURN_FOREIGN"


class WithdrawScopeInvalid(AffairError):
    """A withdrawal names no record, or more than it may (params: limit)."""

    code = "WITHDRAW_SCOPE_INVALID"


class ReceiptCodeUnknown(AffairError):
    """No return here has this code (params: code)."""

    code = "RECEIPT_CODE_UNKNOWN"


class ReceiptCodeAmbiguous(AffairError):
    """Two returns here have this code; ask by record id (params: code)."""

    code = "RECEIPT_CODE_AMBIGUOUS"


class BreakdownInvalid(AffairError):
    """A roll-up cannot be taken apart that way (params: field)."""

    code = "BREAKDOWN_INVALID"


class CursorInvalid(AffairError):
    """A paging key or a filter is none that a list gives or takes (params: field)."""

    code = "CURSOR_INVALID"


# Directives.


class DirectiveUnknown(AffairError):
    """No such directive is known here (params: directive)."""

    code = "DIRECTIVE_UNKNOWN"


class DirectiveExists(AffairError):
    """This node has issued another directive under the number (params: number)."""

    code = "DIRECTIVE_EXISTS"


class DirectiveExpired(AffairError):
    """The last day of a directive is over (params: number, expires)."""

    code = "DIRECTIVE_EXPIRED"


class DirectiveFieldInvalid(AffairError):
    """A field of a directive is missing or out of range (params: field)."""

    code = "DIRECTIVE_FIELD_INVALID"


class DirectiveTargetInvalid(AffairError):
    """A target is no node below this one (params: target)."""

    code = "DIRECTIVE_TARGET_INVALID"


class DirectiveNotOurs(AffairError):
    """The directive does not name this node as a target (params: directive)."""

    code = "DIRECTIVE_NOT_OURS"


class DirectiveOrderWrong(AffairError):
    """A target's state does not allow this step (params: state, step)."""

    code = "DIRECTIVE_ORDER_WRONG"


# Reading.


class ViewsBehind(AffairError):
    """The projections have not caught up in time (params: applied, position)."""

    code = "VIEWS_BEHIND"
    retryable = True
