"""What a port shows at each handshake: gRPC is told of a change, and of nothing else."""

from dataclasses import replace

from yidao.node.keys import NodeCertificates
from yidao.node.link.credentials import Shown


def shown_of(name: bytes) -> NodeCertificates:
    """Certificates that are only looked at, never used."""
    return NodeCertificates(
        tls_key_pem=name, tls_chain_pem=name, root_pem=name, ca_key_pem=None, ca_chain_pem=b""
    )


def test_only_a_change_is_told() -> None:
    """An answer frees the TLS context that other handshakes use, so it must be rare."""
    current = [shown_of(b"first")]
    shown = Shown(lambda: current[0], mutual=True)
    assert shown() is None
    current[0] = replace(current[0])
    assert shown() is None, "the same certificates, read again"
    current[0] = shown_of(b"second")
    assert shown() is not None
    assert shown() is None
