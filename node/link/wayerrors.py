"""What can stop the way to the parent: name, port, proxy, TLS, certificates.

gRPC calls all of it UNAVAILABLE.
"""

from yidao.node.errors import NodeError


class ParentUnreachable(NodeError):
    """Nothing answers at the parent's address (params: address, reason)."""

    code = "PARENT_UNREACHABLE"
    retryable = True


class ParentNameUnknown(ParentUnreachable):
    """No address is known for the parent's name (params: host)."""

    code = "PARENT_NAME_UNKNOWN"


class ParentPortClosed(ParentUnreachable):
    """The machine is there and nobody listens at the port (params: address)."""

    code = "PARENT_PORT_CLOSED"


class ParentSilent(ParentUnreachable):
    """Packets to the parent vanish (params: address, seconds)."""

    code = "PARENT_SILENT"


class ParentHangsUp(ParentUnreachable):
    """The line is cut while TLS begins (params: address)."""

    code = "PARENT_HANGS_UP"


class ParentNotTls(NodeError):
    """What answers at the parent's address speaks no TLS (params: address)."""

    code = "PARENT_NOT_TLS"


class ParentNotTrusted(NodeError):
    """What answers shows a certificate of somebody else (params: address)."""

    code = "PARENT_NOT_TRUSTED"


class ParentNameMismatch(NodeError):
    """Another node of the network answers (params: address, wanted)."""

    code = "PARENT_NAME_MISMATCH"


class ParentCertificateEnded(NodeError):
    """The parent's certificate has ended, by this machine's clock (params: address, now)."""

    code = "PARENT_CERTIFICATE_ENDED"


class ParentCertificateNotYetValid(NodeError):
    """The parent's certificate begins later than this machine's clock (params: address, now)."""

    code = "PARENT_CERTIFICATE_NOT_YET_VALID"


class ParentRefusesUs(NodeError):
    """The parent does not take this node's certificate (params: address, reason)."""

    code = "PARENT_REFUSES_US"


class ProxyUnreachable(NodeError):
    """The proxy does not answer (params: proxy, reason)."""

    code = "PROXY_UNREACHABLE"
    retryable = True


class ProxyRefuses(NodeError):
    """The proxy does not make the connection (params: proxy, address, status)."""

    code = "PROXY_REFUSES"
