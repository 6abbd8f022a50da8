"""Errors of papers that let a node in: approvals and releases by other nodes."""

from yidao.sync.errors import PeerError


class PaperMalformed(PeerError):
    """A record that asks for, decides on or releases a node has a wrong form (params: field)."""

    code = "PAPER_MALFORMED"


class PaperUnauthorised(PeerError):
    """Whoever wrote such a record does not stand where it must (params: path, by)."""

    code = "PAPER_UNAUTHORISED"


class ReenrolmentUnapproved(PeerError):
    """A node was put in another one's place without approval one tier above (params: path)."""

    code = "REENROLMENT_UNAPPROVED"


class FourEyesNeeded(PeerError):
    """The root's own re-enrolment was approved by who asked for it (params: operator)."""

    code = "FOUR_EYES_NEEDED"
