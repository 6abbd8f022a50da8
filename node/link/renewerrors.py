"""Why certificates were not renewed. A refusal travels as its code alone."""

from yidao.node.link.errors import LinkError


class RenewRefusal(LinkError):
    """Base of what a parent answers to a request for new certificates."""

    code = "RENEW_REFUSED"


class RenewMalformed(RenewRefusal):
    """The request for new certificates has another form."""

    code = "RENEW_MALFORMED"


class RenewKeyForeign(RenewRefusal):
    """New certificates were asked for a key that is not enrolled."""

    code = "RENEW_KEY_FOREIGN"


class RenewNoAuthority(RenewRefusal):
    """The parent has no authority to certify with."""

    code = "RENEW_NO_AUTHORITY"


class RenewClosed(RenewRefusal):
    """The certificate has ended, and the parent does not renew ended ones."""

    code = "RENEW_CLOSED"


class RenewTooLate(RenewRefusal):
    """The certificate ended longer ago than the parent allows, or has not ended."""

    code = "RENEW_TOO_LATE"


class RenewUnproven(RenewRefusal):
    """The request for an ended certificate is not signed by the node's journal key."""

    code = "RENEW_UNPROVEN"


class RenewAnswerInvalid(LinkError):
    """What the parent answered are no certificates of this node (params: reason)."""

    code = "RENEW_ANSWER_INVALID"


class RenewUnreachable(LinkError):
    """No answer to a request for new certificates came (params: address, reason)."""

    code = "RENEW_UNREACHABLE"
    retryable = True
