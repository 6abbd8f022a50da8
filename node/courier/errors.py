"""Errors of bundle files."""

from yidao.node.errors import NodeError


class ParcelFileMalformed(NodeError):
    """The file is no bundle, or was cut off or changed on its way (params: reason)."""

    code = "PARCEL_FILE_MALFORMED"


class ParcelForAnother(NodeError):
    """The bundle is for another node or network (params: path)."""

    code = "PARCEL_FOR_ANOTHER"


class ParcelPeerUnknown(NodeError):
    """The other node is not enrolled as this node's parent or child (params: path)."""

    code = "PARCEL_PEER_UNKNOWN"


class ParcelSignatureInvalid(NodeError):
    """The bundle is not signed by the node that it names (params: path)."""

    code = "PARCEL_SIGNATURE_INVALID"


class ParcelSealed(NodeError):
    """The bundle cannot be opened with this node's key."""

    code = "PARCEL_SEALED"
