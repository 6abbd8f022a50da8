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


def live_server_credentials(
    source: Callable[[], NodeCertificates], *, mutual: bool
) -> grpc.ServerCredentials:
    """Return credentials of a port that shows, at each handshake, the certificates of then.

    Args:
        source: Gives them; may be called in any thread.
        mutual: Whether the other end must show a certificate under this network's roots; on
            the join port it cannot.
    """
    shown = source()

    def configuration(now: NodeCertificates) -> grpc.ServerCertificateConfiguration:
        return grpc.ssl_server_certificate_configuration(
            [(now.tls_key_pem, now.tls_chain_pem)],
            root_certificates=now.root_pem if mutual else None,
        )

    def changed() -> grpc.ServerCertificateConfiguration | None:
        # Only what is new: gRPC 1.85 ends the process now and then where hundreds of
        # handshakes time out at once and each of them had replaced the configuration.
        nonlocal shown
        now = source()
        if now == shown:
            return None
        shown = now
        return configuration(now)

    return grpc.dynamic_ssl_server_credentials(
        configuration(shown),
        # The stub leaves out that None is no change.
        changed,  # type: ignore[arg-type]
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
