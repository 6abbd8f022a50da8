"""Errors about records that say that parts are gone."""

from yidao.sync.errors import LocalError, PeerError


class RemovalMalformed(PeerError):
    """A record of a removal is not what it must be (params: field)."""

    code = "REMOVAL_MALFORMED"


class RemovalUnauthorised(PeerError):
    """Neither the record's author nor this node itself wrote the redaction (params: part)."""

    code = "REMOVAL_UNAUTHORISED"


class PartNotErasable(LocalError):
    """Others rest on what the part says; it is corrected, not erased (params: part, kind)."""

    code = "PART_NOT_ERASABLE"
