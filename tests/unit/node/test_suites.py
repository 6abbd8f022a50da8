"""A node begins and starts only with suites that this machine can use and that answer right."""

from pathlib import Path

import pytest

from yidao.node.keys import Identity, KeyKinds
from yidao.node.setup import Joining, found, join_network
from yidao.node.suites import check_own_suites
from yidao.sync import selftest, sm2
from yidao.sync.errors import SuiteSelfTestFailed
from yidao.sync.ids import NetworkId, NodeId
from yidao.sync.ids import Path as TreePath
from yidao.sync.mldsa44 import MlDsa44Signer
from yidao.sync.suite import SM2_SM3, Signer
from yidao.sync.suiteerrors import SuiteUnavailable

GM = KeyKinds(suite=SM2_SM3)


def missing() -> None:
    raise SuiteUnavailable(suite=SM2_SM3, extra=sm2.EXTRA)


def identity(cosign_pq: Signer | None = None) -> Identity:
    journal, cosign = (sm2.Sm2Signer(*sm2.generate()) for _ in range(2))
    return Identity(
        network=NetworkId(bytes(16)),
        node_id=NodeId(bytes(16)),
        path=TreePath(),
        epoch="1",
        suite=SM2_SM3,
        journal=journal,
        cosign=cosign,
        cosign_pq=cosign_pq,
    )


def test_without_the_library_nothing_is_begun(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`init` and `join` say what to install before a file is written or a token is spent."""
    monkeypatch.setattr(sm2, "library", missing)
    folder = tmp_path / "node"
    with pytest.raises(SuiteUnavailable):
        found(folder, {}, GM)
    with pytest.raises(SuiteUnavailable):
        join_network(folder, tmp_path / "no.bundle", {}, Joining(kinds=GM))
    assert not folder.exists()


@pytest.mark.parametrize(("number", "name"), [(SM2_SM3, "_sm2"), (4, "_mldsa")])
def test_a_library_that_answers_wrong_stops_the_start(
    number: int, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the node signs with is tried out, the second cosigning key too."""
    assert selftest.__dict__[name]()
    own = identity(MlDsa44Signer(bytes(32)))
    check_own_suites(own)
    tests = {**selftest.__dict__["_TESTS"], number: lambda: False}
    monkeypatch.setattr(selftest, "_TESTS", tests)
    with pytest.raises(SuiteSelfTestFailed) as caught:
        check_own_suites(own)
    assert caught.value.params["suite"] == number
    if number != SM2_SM3:
        check_own_suites(identity())
