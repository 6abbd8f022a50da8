"""What the doctor finds, as typed errors: their texts and next steps stand in the messages."""

from yidao.node.errors import NodeError


class DiskNearlyFull(NodeError):
    """Too little room is left for the store (params: path, free_mib, needed_mib)."""

    code = "DISK_NEARLY_FULL"


class LibraryUnfit(NodeError):
    """A library does not do what is relied on (params: library, found)."""

    code = "LIBRARY_UNFIT"


class NodeNotRunning(NodeError):
    """No daemon works on this data folder (params: path)."""

    code = "NODE_NOT_RUNNING"
    retryable = True


class NodeSilent(NodeError):
    """A daemon holds the data folder and does not answer (params: pid)."""

    code = "NODE_SILENT"


class AddressNotOurs(NodeError):
    """A node listens at an address that this machine does not have (params: setting, address)."""

    code = "ADDRESS_NOT_OURS"


class AddressUnseen(NodeError):
    """Join bundles would name an address that leads nowhere (params: setting, address)."""

    code = "ADDRESS_UNSEEN"


# Certificates.


class CertificateEndsSoon(NodeError):
    """This node's certificate ends soon (params: until, days)."""

    code = "CERTIFICATE_ENDS_SOON"


class CertificateEnded(NodeError):
    """This node's certificate has ended (params: until)."""

    code = "CERTIFICATE_ENDED"


class CertificateNotYetValid(NodeError):
    """This node's certificate begins later than this machine's clock (params: begins)."""

    code = "CERTIFICATE_NOT_YET_VALID"


# The store.


class DatabaseDamaged(NodeError):
    """The database file fails its own check (params: path, reason)."""

    code = "DATABASE_DAMAGED"


class WalTooLarge(NodeError):
    """SQLite's log beside the store has grown far beyond its size (params: size_mib, limit_mib)."""

    code = "WAL_TOO_LARGE"


class PostgresqlUnreachable(NodeError):
    """PostgreSQL does not let the node in (params: address, reason)."""

    code = "POSTGRESQL_UNREACHABLE"
    retryable = True


class JournalQuarantined(NodeError):
    """A journal was put aside since its seal does not hold (params: journal, seq, reason)."""

    code = "JOURNAL_QUARANTINED"


class RecordsParked(NodeError):
    """Parts wait for records that do not come (params: count)."""

    code = "RECORDS_PARKED"


class LagGrowing(NodeError):
    """More records wait for a peer than a moment before (params: peer, lag, before)."""

    code = "LAG_GROWING"
