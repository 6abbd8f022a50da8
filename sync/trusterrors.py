"""Errors of what the whole tree trusts: the root list and the statements of freshness."""

from yidao.sync.errors import LocalError, PeerError


class RootListMalformed(PeerError):
    """A root list has another form, or a member is missing or wrong (params: field)."""

    code = "ROOT_LIST_MALFORMED"


class RootListUnsigned(PeerError):
    """Too few holders signed a root list (params: version, found, needed).

    `version` is the list whose holders are missing: the one in force, or the new one.
    """

    code = "ROOT_LIST_UNSIGNED"


class RootListVersionWrong(PeerError):
    """A root list does not follow the one in force (params: found, expected)."""

    code = "ROOT_LIST_VERSION_WRONG"


class RootListConflict(PeerError):
    """There is another root list of that version (params: version)."""

    code = "ROOT_LIST_CONFLICT"


class RootListForeign(PeerError):
    """A root list is of another network, or leaves out who must be in it (params: reason)."""

    code = "ROOT_LIST_FOREIGN"


class SuitesUnverifiable(LocalError):
    """The root list allows suites that this node cannot verify (params: suites)."""

    code = "SUITES_UNVERIFIABLE"


class EvidenceRevoked(PeerError):
    """What an evidence file is about lies beyond a cut (params: record, path, seq, valid)."""

    code = "EVIDENCE_REVOKED"
