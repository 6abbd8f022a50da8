"""Whatever ends by a date says so at two thirds of its life, once a day, until it is mended."""

import asyncio
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

from sqlalchemy import insert

from yidao.node.affairs.standards.views import pack
from yidao.node.clock import utc
from yidao.node.expiries import Expiries, certificates_of
from yidao.node.link import certificates
from yidao.node.store.tables import join_token
from yidao.sync.ids import NetworkId, NodeId, Path

HOUR_MS = 3600 * 1000
DAY_MS = 24 * HOUR_MS


def authorities(now_ms: int) -> tuple[SimpleNamespace, bytes]:
    """The certificates of a province, and the root's."""
    network, now, path = NetworkId(bytes(16)), utc(now_ms), Path.parse("/33")
    root_key, own_key = certificates.generate_key(), certificates.generate_key()
    root = certificates.issue_root(root_key, network, now)
    above = certificates.Authority(key=root_key, certificate=root, chain_pem=b"")
    node = NodeId(bytes(16))
    leaf = certificates.issue_leaf(above, own_key.public_key(), network, node, path, now)
    tier = certificates.issue_tier(above, own_key.public_key(), node, path, now)
    assert tier is not None
    own = SimpleNamespace(
        tls_chain_pem=certificates.to_pem(leaf), ca_chain_pem=certificates.to_pem(tier)
    )
    return own, certificates.to_pem(root)


def token(tree: Any, **more: Any) -> dict[str, Any]:
    """A join token of a day."""
    now_ms = tree.clock.now_ms
    given = {"token_id": "1", "path": "/33/3301", "created_ms": now_ms, "operator": "li"}
    return given | {"expires_ms": now_ms + DAY_MS, "bad_macs": 0} | more


def test_every_kind_is_listed_and_warned_of_at_two_thirds(tree: Any) -> None:
    """Certificates of three kinds, a bundle, packs; the next to end comes first."""
    node = tree.node("/")
    began_ms = tree.clock.now_ms
    own, root_pem = authorities(began_ms)
    with node.store._engines.writer.begin() as conn:
        conn.execute(insert(join_token), token(tree))
        conn.execute(insert(join_token), token(tree, token_id="2", used_ms=1))
        for version, ends in (("1", "2026-09-30"), ("2", "2026-12-31")):
            row = {"version": version, "valid_from": "2026-09-01", "valid_to": ends}
            conn.execute(insert(pack), pack_row("energy", **row))
        conn.execute(insert(pack), pack_row("open", version="1", valid_to=""))
    watch = Expiries(node.store, tree.clock, lambda: certificates_of(own, root_pem))  # type: ignore[arg-type]

    def at(after: timedelta) -> tuple[list[tuple[str, str]], list[tuple[str, int]]]:
        tree.clock.now_ms = began_ms + after // timedelta(milliseconds=1)
        for _ in range(2):
            asyncio.run(watch.run())
        listed = [(each.kind, state) for each, state in watch.found()]
        return listed, sorted((p.code, p.times) for p in node.store.problems())

    fine = ["join-token", "certificate", "pack", "authority", "root-certificate"]
    assert at(timedelta(hours=1)) == ([(kind, "fine") for kind in fine], [])
    assert at(timedelta(hours=16))[1] == [("JOIN_TOKEN_ENDS_SOON", 1)]
    # The bundle is gone, and what is the node's own certificate is told by its own watch.
    listed, said = at(certificates.TIER_LIFE * 2 / 3 + timedelta(hours=1))
    assert listed[:3] == [("certificate", "over"), ("pack", "over"), ("authority", "soon")]
    assert said == [("AUTHORITY_ENDS_SOON", 1), ("PACK_ENDED", 1)]
    listed, said = at(certificates.TIER_LIFE + timedelta(hours=1))
    assert said == [("AUTHORITY_ENDED", 1), ("PACK_ENDED", 1)]
    own.tls_chain_pem, own.ca_chain_pem = vars(authorities(tree.clock.now_ms)[0]).values()
    assert at(certificates.TIER_LIFE + timedelta(hours=2))[1] == [("PACK_ENDED", 1)]
    listed, said = at(certificates.ROOT_LIFE * 2 / 3 + timedelta(days=1))
    assert ("ROOT_CERTIFICATE_ENDS_SOON", 1) in said


def pack_row(name: str, **more: Any) -> dict[str, Any]:
    """A row of the table of packs."""
    given: dict[str, Any] = {}
    for column in pack.columns:
        kind = column.type.python_type
        given[column.name] = {bytes: b"", int: 0, str: "", bool: False}[kind]
    given |= {"id": name, "valid_from": "2026-09-01", "published_by": "wang@/"} | more
    given["sha256"] = f"{name} {given['version']}".encode()
    return given
