"""TLS credentials for the two ports of a node.

The link port demands a client certificate; the join port cannot, since a child
that joins has none yet. gRPC for Python cannot make it optional on one port.
Who a peer is, is decided by `peercheck`, never by TLS alone.
"""

from collections.abc import Callable

import grpc

from yidao.node.keys import NodeCertificates
from yidao.node.link.certificates import dns_name
from yidao.sync.ids import Path


def server_credentials(certificates: NodeCertificates) -> grpc.ServerCredentials:
    """Return credentials of the link port: mutual TLS under this network's root."""
    return grpc.ssl_server_credentials(
        [(certificates.tls_key_pem, certificates.tls_chain_pem)],
        root_certificates=certificates.root_pem,
        require_client_auth=True,
    )


def join_server_credentials(certificates: NodeCertificates) -> grpc.ServerCredentials:
    """Return credentials of the join port: only the server shows a certificate."""
    return grpc.ssl_server_credentials([(certificates.tls_key_pem, certificates.tls_chain_pem)])


def live_server_credentials(
    source: Callable[[], NodeCertificates], *, mutual: bool
) -> grpc.ServerCredentials:
    """Return credentials of a port that shows, at each handshake, the certificates of then.

    Args:
        source: Gives them; may be called in any thread.
        mutual: As `server_credentials`, else as `join_server_credentials`.
    """

    def configuration() -> grpc.ServerCertificateConfiguration:
        now = source()
        return grpc.ssl_server_certificate_configuration(
            [(now.tls_key_pem, now.tls_chain_pem)],
            root_certificates=now.root_pem if mutual else None,
        )

    return grpc.dynamic_ssl_server_credentials(
        configuration(), configuration, require_client_authentication=mutual
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
