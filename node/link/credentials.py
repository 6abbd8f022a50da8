"""TLS credentials for the two ports of a node.

The link port demands a client certificate; the join port cannot, since a child
that joins has none yet. gRPC for Python cannot make it optional on one port.
Who a peer is, is decided by `peercheck`, never by TLS alone.
"""

import threading
from collections.abc import Callable

import grpc

from yidao.node.keys import NodeCertificates
from yidao.node.link.certificates import dns_name
from yidao.sync.ids import Path


class Shown:
    """Tells gRPC at each handshake whether the certificates are others than before.

    Only a change may be answered with a configuration: gRPC makes a new TLS context of it
    and frees the old one, which another handshake of the same moment may be using
    (grpc/grpc#36693, open; gRPC 1.85). Answered each time, a daemon dies of a segmentation
    fault as soon as some hundred children dial at once.
    """

    def __init__(self, source: Callable[[], NodeCertificates], *, mutual: bool) -> None:
        self._source = source
        self._mutual = mutual
        self._lock = threading.Lock()
        self._shown = source()

    @property
    def first(self) -> grpc.ServerCertificateConfiguration:
        """What the port begins with."""
        return self._configuration(self._shown)

    def __call__(self) -> grpc.ServerCertificateConfiguration | None:
        """Give what to show from now on; None to go on as before. From any thread."""
        now = self._source()
        with self._lock:
            if now == self._shown:
                return None
            self._shown = now
        return self._configuration(now)

    def _configuration(self, now: NodeCertificates) -> grpc.ServerCertificateConfiguration:
        return grpc.ssl_server_certificate_configuration(
            [(now.tls_key_pem, now.tls_chain_pem)],
            root_certificates=now.root_pem if self._mutual else None,
        )


def live_server_credentials(
    source: Callable[[], NodeCertificates], *, mutual: bool
) -> grpc.ServerCredentials:
    """Return credentials of a port that shows, at each handshake, the certificates of then.

    Args:
        source: Gives them; may be called in any thread.
        mutual: Whether the other end must show a certificate under this network's roots; on
            the join port it cannot.
    """
    shown = Shown(source, mutual=mutual)
    return grpc.dynamic_ssl_server_credentials(
        shown.first,
        shown,  # type: ignore[arg-type]  # the stubs know nothing of the None that gRPC documents
        require_client_authentication=mutual,
    )


def channel_credentials(certificates: NodeCertificates) -> grpc.ChannelCredentials:
    """Return credentials for dialling the parent's link port."""
    return grpc.ssl_channel_credentials(
        root_certificates=certificates.root_pem,
        private_key=certificates.tls_key_pem,
        certificate_chain=certificates.tls_chain_pem,
    )


def join_channel_credentials(root_pem: bytes) -> grpc.ChannelCredentials:
    """Return credentials for dialling a join port: the bundle's root is the only anchor."""
    return grpc.ssl_channel_credentials(root_certificates=root_pem)


def target_name(path: Path) -> str:
    """Return the name that TLS must find in the certificate of the node at `path`.

    It is the node's name in the tree, whatever address it is reached by; give it as
    the channel option `grpc.ssl_target_name_override`.
    """
    return dns_name(path)
