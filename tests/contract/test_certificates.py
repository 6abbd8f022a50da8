"""A node says that its certificate ends before TLS fails without a word."""

import asyncio
from datetime import timedelta
from typing import Any

from yidao.node.certificates import CertificateWatch
from yidao.node.clock import utc
from yidao.node.link import certificates
from yidao.sync.ids import NetworkId, NodeId, Path

LIFE = certificates.LEAF_LIFE


def test_the_end_is_said_at_two_thirds_of_life_and_cleared_by_a_new_certificate(tree: Any) -> None:
    """Nothing before; then once a day with the days left; then that it has ended."""
    root = tree.node("/")
    began_ms = tree.clock.now_ms
    shown = [leaf(began_ms)]
    watch = CertificateWatch(root.store, tree.clock, lambda: shown[0])

    def said_at(after: timedelta) -> list[tuple[str, Any, int]]:
        tree.clock.now_ms = began_ms + after // timedelta(milliseconds=1)
        for _ in range(2):
            asyncio.run(watch.run())
        return [(p.code, p.params["days"], p.times) for p in root.store.problems()]

    early = timedelta(hours=1)
    assert said_at(LIFE * 2 / 3 - early) == []
    assert said_at(LIFE * 2 / 3 + early) == [("CERTIFICATE_ENDS_SOON", 9, 1)]
    assert said_at(LIFE * 2 / 3 + early + timedelta(days=1)) == [("CERTIFICATE_ENDS_SOON", 8, 2)]
    assert said_at(LIFE + early) == [("CERTIFICATE_ENDED", 0, 1)]
    shown[0] = leaf(tree.clock.now_ms)
    assert said_at(LIFE + early) == []


def leaf(now_ms: int) -> bytes:
    """A root's certificate that begins now, PEM."""
    key = certificates.generate_key()
    network, now = NetworkId(bytes(16)), utc(now_ms)
    root = certificates.issue_root(key, network, now)
    issuer = certificates.Authority(key=key, certificate=root, chain_pem=b"")
    mine = certificates.generate_key().public_key()
    made = certificates.issue_leaf(issuer, mine, network, NodeId(bytes(16)), Path(), now)
    return certificates.to_pem(made)
