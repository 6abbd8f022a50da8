"""A journal of suite 3: the tree is of SM3, the seal of SM2, and suite 1 cannot stand for it."""

import hashlib
from collections.abc import Sequence
from dataclasses import replace

import pytest

from yidao.sync import errors, sm2
from yidao.sync.ids import JournalId, NetworkId, NodeId
from yidao.sync.journal import JournalState, check_held, extend, seal
from yidao.sync.merkle import (
    Frontier,
    consistency_proof,
    empty_root,
    inclusion_proof,
    leaf_hash,
    leaf_hashes,
    verify_consistency,
    verify_inclusion,
)
from yidao.sync.suite import SM2_SM3, Ed25519Signer
from yidao.sync.suiteerrors import SuiteUnavailable
from yidao.sync.tiles import node_reader

NETWORK = NetworkId(bytes(16))
JOURNAL = JournalId(node_id=NodeId(b"n" * 16), channel="up:15", epoch="1")
EMPTY = JournalState(journal=JOURNAL, frontier=Frontier(suite=SM2_SM3))
SIGNER = sm2.Sm2Signer(*sm2.generate())
DATA = [b"sample header %d" % number for number in range(23)]


def by_hand(data: Sequence[bytes]) -> bytes:
    """RFC 6962 §2.1 with the SM3 of Python's own library."""
    if len(data) < 2:
        return hashlib.new("sm3", b"\0" + data[0] if data else b"").digest()
    split = 1 << ((len(data) - 1).bit_length() - 1)
    return hashlib.new("sm3", b"\x01" + by_hand(data[:split]) + by_hand(data[split:])).digest()


def test_roots_are_those_of_another_implementation_of_sm3() -> None:
    """For every size, also none; the leaf hash and the empty tree too."""
    assert empty_root(SM2_SM3) == by_hand([])
    for size in range(1, len(DATA) + 1):
        tree = Frontier(suite=SM2_SM3).append_many(leaf_hashes(DATA[:size], SM2_SM3))
        assert tree.root() == by_hand(DATA[:size])
        assert Frontier.from_bytes(tree.to_bytes(), SM2_SM3) == tree
        assert tree.root() != Frontier().append_many(leaf_hashes(DATA[:size])).root()


def test_proofs_hold_under_the_suite_of_the_tree_alone() -> None:
    """Inclusion and consistency of every leaf and size; with SHA-256 neither verifies."""
    hashes = leaf_hashes(DATA, SM2_SM3)
    at = node_reader(lambda _, first, count: hashes[first : first + count], SM2_SM3)
    root = by_hand(DATA)
    for index in range(len(DATA)):
        path = inclusion_proof(len(DATA), index, at, SM2_SM3)
        leaf = leaf_hash(DATA[index], SM2_SM3)
        verify_inclusion(leaf, index, len(DATA), path, root, SM2_SM3)
        with pytest.raises(errors.ProofInvalid):
            verify_inclusion(leaf, index, len(DATA), path, root)
    for old in range(1, len(DATA)):
        proof = consistency_proof(old, len(DATA), at, SM2_SM3)
        verify_consistency(old, len(DATA), proof, by_hand(DATA[:old]), root, SM2_SM3)
        with pytest.raises(errors.ProofInvalid):
            verify_consistency(old, len(DATA), proof, by_hand(DATA[:old]), root)


def test_a_seal_extends_a_receiver_under_the_enrolled_suite() -> None:
    """The receiver comes to the origin's state; tampering and another suite are refused."""
    sealed = seal(EMPTY, DATA[:9], NETWORK, SIGNER)
    key = SIGNER.public_key
    held = extend(EMPTY, sealed.seal, NETWORK, key).state
    assert held == sealed.state
    following = seal(held, DATA[9:], NETWORK, SIGNER)
    assert extend(held, following.seal, NETWORK, key).state.frontier.root() == by_hand(DATA)
    check_held(sealed.seal, held.frontier.root(), NETWORK, key, SM2_SM3)
    changed = replace(sealed.seal, headers=(b"other", *sealed.seal.headers[1:]))
    with pytest.raises(errors.SealRootMismatch):
        extend(EMPTY, changed, NETWORK, key)
    with pytest.raises(errors.KeyMalformed):
        extend(JournalState(journal=JOURNAL), sealed.seal, NETWORK, key)
    other = Ed25519Signer(b"o" * 32)
    forged = seal(JournalState(journal=JOURNAL), DATA[:9], NETWORK, other).seal
    with pytest.raises(errors.NoteUnsigned):
        extend(EMPTY, forged, NETWORK, key)


def test_without_the_library_the_journal_alone_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """A typed error that a receiver takes for a reason to refuse; nothing of it is held."""
    sealed = seal(EMPTY, DATA[:1], NETWORK, SIGNER).seal

    def missing() -> None:
        raise SuiteUnavailable(suite=SM2_SM3, extra="gm")

    monkeypatch.setattr(sm2, "library", missing)
    with pytest.raises(SuiteUnavailable):
        extend(EMPTY, sealed, NETWORK, SIGNER.public_key)
