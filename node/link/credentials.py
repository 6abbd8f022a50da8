"""TLS credentials for the two ports of a node.

The link port demands a client certificate; the join port cannot, since a child
that joins has none yet. gRPC for Python cannot make it optional on one port.
Who a peer is, is decided by `peercheck`, never by TLS alone.
"""

from collections.abc import Callable
from typing import Any

import grpc

from yidao.node.keys import NodeCertificates
from yidao.node.link.certificates import dns_name
from yidao.sync.ids import Path


def server_credentials(
    certificates: NodeCertificates, root_pem: Callable[[], bytes]
) -> grpc.ServerCredentials:
    """Return credentials of the link port: mutual TLS under this network's roots.

    Args:
        certificates: This node's own.
        root_pem: Gives the roots that count; asked at each handshake, in gRPC's thread.
    """
    shown = root_pem()

    def made(roots: bytes) -> grpc.ServerCertificateConfiguration:
        own = (certificates.tls_key_pem, certificates.tls_chain_pem)
        return grpc.ssl_server_certificate_configuration([own], roots)

    def changed() -> Any:  # typeshed's stubs do not know that there may be none
        nonlocal shown
        roots = root_pem()
        if roots == shown:
            # None keeps what there is, and with it the sessions that may be resumed.
            return None
        shown = roots
        return made(roots)

    return grpc.dynamic_ssl_server_credentials(
        made(shown), changed, require_client_authentication=True
    )


def join_server_credentials(certificates: NodeCertificates) -> grpc.ServerCredentials:
    """Return credentials of the join port: only the server shows a certificate."""
    return grpc.ssl_server_credentials([(certificates.tls_key_pem, certificates.tls_chain_pem)])


def channel_credentials(certificates: NodeCertificates, root_pem: bytes) -> grpc.ChannelCredentials:
    """Return credentials for dialling the parent's link port, under the roots that count now."""
    return grpc.ssl_channel_credentials(
        root_certificates=root_pem,
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
