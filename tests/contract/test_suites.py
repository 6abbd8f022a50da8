"""The store's contract, the same on SQLite and on PostgreSQL: journals of several suites."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from yidao.node.store.quarantine import JOURNAL_REFUSED
from yidao.node.suites import check_met_suites, check_own_suites
from yidao.sync import sm2
from yidao.sync.checkpoint import verify_cosignature
from yidao.sync.epoch import Cause
from yidao.sync.ids import JournalId, Lane, cosigner_name
from yidao.sync.message import Frame, Receipt
from yidao.sync.mldsa44 import MlDsa44Signer
from yidao.sync.note import parse_note
from yidao.sync.suite import ML_DSA_44, SM2_SM3
from yidao.sync.suiteerrors import SuiteUnavailable

Carry = Callable[..., list[Any]]
GM_KEYS = [sm2.Sm2Signer(*sm2.generate()) for _ in range(2)]


def gm(tree: Any, path: str) -> Any:
    """An identity of suite 3."""
    journal, cosign = GM_KEYS
    return replace(tree.identity(path), suite=SM2_SM3, journal=journal, cosign=cosign)


def pq(tree: Any, path: str) -> Any:
    """An identity of suite 1 with a second cosigning key."""
    return replace(tree.identity(path), cosign_pq=MlDsa44Signer(path.encode().ljust(32, b".")))


def position_of(node: Any, name: str) -> int:
    records = node.store.records(0, 100_000)
    return next(r.position for r in records if r.header.object_id == f"thing/{name}")


def pass_receipts(source: Any, target: Any) -> None:
    receipts, _ = source.store.receipts(target.peer)
    for receipt in receipts:
        target.store.run(lambda tx, r=receipt: tx.add_receipt(source.peer, r))


def send_again(source: Any, target: Any, journals: set[JournalId]) -> None:
    """What a link does for journals that the other side asks for by name."""
    head = source.store.last_position()
    for lane in Lane:
        items, _ = source.store.read_lane(target.peer, lane, 0, head, 1 << 18)
        again = tuple(item for item in items if item.seal.journal in journals)
        if again:
            frame = Frame(lane=lane, items=again, after_position=0, backfill=True)
            target.store.run(lambda tx, f=frame: tx.ingest(source.peer, f))


class Lost:
    """The library of the national algorithms, there or away."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self._patch = patch

    def take_away(self) -> None:
        def missing() -> None:
            raise SuiteUnavailable(suite=SM2_SM3, extra=sm2.EXTRA)

        self._patch.setattr(sm2, "library", missing)

    def bring_back(self) -> None:
        self._patch.undo()


@pytest.fixture
def library(monkeypatch: pytest.MonkeyPatch) -> Lost:
    return Lost(monkeypatch)


def codes(node: Any) -> list[str]:
    return sorted(problem.code for problem in node.store.problems())


def test_a_journal_of_another_suite_is_held_cosigned_proved_and_scrubbed(
    tree: Any, carry_all: Carry
) -> None:
    """A county of SM2/SM3 below a city and a root of Ed25519: every tier proves its records."""
    root = tree.node("/")
    city = tree.node("/33", root)
    county = tree.node("/33/3301", city, gm(tree, "/33/3301"))
    for name in "abc":
        county.append("up:15", county.draft(name))
    for source, target in ((city, root), (county, city), (city, root)):
        carry_all(source, target)
    pass_receipts(city, county)
    for node in (root, city, county):
        proven = node.store.prove(position_of(node, "b"))
        assert proven.cosigners == (city.identity.node_id,)
        assert node.store.scrub().faults == ()
        assert codes(node) == []
        assert check_met_suites(node.store) == ()
    assert root.store.suites() == (1, SM2_SM3)


def test_a_node_of_another_suite_holds_and_cosigns_what_is_of_the_default_one(
    tree: Any, carry_all: Carry
) -> None:
    """A city of SM2/SM3: its cosignature verifies at the county, its own records at the root."""
    root = tree.node("/")
    city = tree.node("/33", root, gm(tree, "/33"))
    county = tree.node("/33/3301", city)
    county.append("up:15", county.draft("a"))
    city.append("up:15", city.draft("b"))
    for source, target in ((county, city), (city, root)):
        carry_all(source, target)
    pass_receipts(city, county)
    proven = county.store.prove(position_of(county, "a"))
    line = parse_note(proven.checkpoint).signatures[-1].line()
    name = cosigner_name(city.identity.network, city.identity.node_id)
    verify_cosignature(proven.checkpoint, line, name, GM_KEYS[1].public_key, SM2_SM3)
    root.store.prove(position_of(root, "b"))
    assert codes(root) == codes(county) == []


def test_who_cannot_verify_a_suite_says_so_and_refuses_those_journals_alone(
    tree: Any, carry_all: Carry, library: Lost
) -> None:
    """The others go on; once the library is there, what was refused comes again and counts."""
    root = tree.node("/")
    of_gm = tree.node("/33", root, gm(tree, "/33"))
    plain = tree.node("/44", root)
    for node in (of_gm, plain):
        node.append("up:15", node.draft(f"a {node.identity.path}"))
    library.take_away()
    assert check_met_suites(root.store) == (SM2_SM3,)
    [outcome] = carry_all(of_gm, root)[:1]
    assert {refusal.code for refusal in outcome.refusals} == {SuiteUnavailable.code}
    carry_all(plain, root)
    root.store.prove(position_of(root, "a /44"))
    assert {SuiteUnavailable.code, JOURNAL_REFUSED} <= set(codes(root))
    with pytest.raises(SuiteUnavailable):
        check_own_suites(of_gm.identity)

    library.bring_back()
    assert check_met_suites(root.store) == ()
    check_own_suites(of_gm.identity)
    # First what declares the others, then those.
    for channel in ("node", "up:15"):
        wanted = {each.journal for each in root.store.wanted(of_gm.peer)}
        assert {each.channel for each in wanted} == {channel}
        send_again(of_gm, root, wanted)
    root.store.prove(position_of(root, "a /33"))
    assert codes(root) == []

    # Taken away again: what is held is no fault of the disk, and is not called one.
    library.take_away()
    with pytest.raises(SuiteUnavailable):
        root.store.prove(position_of(root, "a /33"))
    assert root.store.scrub().faults == ()


def test_a_second_cosignature_travels_beside_the_first(tree: Any, carry_all: Carry) -> None:
    """Both lines of the city and of the root reach the county; each verifies under its key."""
    root = tree.node("/", None, pq(tree, "/"))
    city = tree.node("/33", root, pq(tree, "/33"))
    county = tree.node("/33/3301", city)
    county.append("up:15", county.draft("a"))
    for source, target in ((city, root), (county, city), (city, root)):
        carry_all(source, target)
    root.store.run(lambda tx: tx.cosign_due(0))
    pass_receipts(root, city)
    pass_receipts(city, county)
    for node in (root, city, county):
        proven = node.store.prove(position_of(node, "a"))
        assert len(proven.cosigners) == 2
        signatures = parse_note(proven.checkpoint).signatures
        assert [len(each.payload) for each in signatures] == [64, 72, 2_428, 72, 2_428]
        for above in (root, city):
            name = cosigner_name(above.identity.network, above.identity.node_id)
            long = [s for s in signatures if s.name == name and len(s.payload) > 100]
            [line] = [each.line() for each in long]
            key = above.identity.cosign_pq.public_key
            verify_cosignature(proven.checkpoint, line, name, key, ML_DSA_44)
        assert codes(node) == []
        assert node.store.suites() == (1, ML_DSA_44)


def test_a_second_cosignature_that_fails_or_stands_alone_is_not_kept(
    tree: Any, carry_all: Carry
) -> None:
    """A forged one is a problem; one without its first line has nothing to stand beside."""
    city = tree.node("/33", tree.node("/"), pq(tree, "/33"))
    county = tree.node("/33/3301", city)
    county.append("up:15", county.draft("a"))
    carry_all(county, city)
    [receipt] = [r for r in city.store.receipts(county.peer)[0] if r.journal.channel == "up:15"]
    first, second = receipt.cosignatures

    def bring(*lines: str) -> list[int]:
        given = Receipt(journal=receipt.journal, size=receipt.size, cosignatures=lines)
        county.store.run(lambda tx: tx.add_receipt(city.peer, given))
        note = parse_note(county.store.prove(position_of(county, "a")).checkpoint)
        return [len(each.payload) for each in note.signatures[1:]]

    assert bring(second) == []
    forged = second[:2000] + ("A" if second[2000] != "A" else "B") + second[2001:]
    assert bring(first, forged) == [72]
    assert codes(county) == ["RECEIPT_INVALID"]
    assert bring(first, second) == [72, 2_428]


def test_a_node_goes_over_to_another_suite_with_a_new_epoch(tree: Any, carry_all: Carry) -> None:
    """Both keys sign the change, each by its own suite; what was written before stays proved."""
    root = tree.node("/")
    city = tree.node("/33", root)
    city.append("up:15", city.draft("before"))
    journal, cosign = GM_KEYS
    fresh = replace(city.identity, epoch="2", suite=SM2_SM3, journal=journal, cosign=cosign)
    city.store.run(lambda tx: tx.open_epoch(fresh, Cause.SUITE_CHANGED))
    city.append("up:15", city.draft("after"))
    carry_all(city, root)
    heads = {
        (head.journal.epoch, head.journal.channel): head
        for head in root.store.heads()
        if head.journal.node_id == city.identity.node_id
    }
    assert {("1", "up:15"), ("2", "up:15"), ("1", "node"), ("2", "node")} <= heads.keys()
    for node in (root, city):
        for name in ("before", "after"):
            node.store.prove(position_of(node, name))
        assert node.store.scrub().faults == ()
        assert codes(node) == []
    assert root.store.suites() == (1, SM2_SM3)
    assert root.store.keys_of(city.identity.node_id)[-1].suite == SM2_SM3
