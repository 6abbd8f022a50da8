"""Errors of epochs: what is wrong with the record that opens one, and what lies beyond its cut."""

from yidao.sync.errors import PeerError


class EpochMalformed(PeerError):
    """The core of a `node.epoch.opened` has another form (params: field)."""

    code = "EPOCH_MALFORMED"


class EpochUnproven(PeerError):
    """Nothing of the previous key says that the new epoch is its node's (params: reason)."""

    code = "EPOCH_UNPROVEN"


class EpochConflict(PeerError):
    """A new epoch does not follow the one in which its node writes (params: epoch, live)."""

    code = "EPOCH_CONFLICT"


class EpochUnknown(PeerError):
    """Nothing opened that epoch of the node (params: epoch)."""

    code = "EPOCH_UNKNOWN"


class EpochClosed(PeerError):
    """Records lie beyond the end of a closed epoch (params: size, valid)."""

    code = "EPOCH_CLOSED"
