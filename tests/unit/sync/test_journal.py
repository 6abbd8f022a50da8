from collections.abc import Callable
from dataclasses import replace

import pytest

from yidao.sync import errors
from yidao.sync.checkpoint import Checkpoint, open_checkpoint, sign_checkpoint
from yidao.sync.ids import JournalId, NetworkId
from yidao.sync.journal import (
    MAX_SEAL_HEADER_BYTES,
    MAX_SEAL_RECORDS,
    JournalState,
    Seal,
    check_held,
    extend,
    seal,
)
from yidao.sync.merkle import Frontier, leaf_hashes
from yidao.sync.record import MAX_HEADER_BYTES, Header
from yidao.sync.suite import Ed25519Signer

MakeHeader = Callable[..., Header]


@pytest.fixture
def headers(make_header: MakeHeader) -> list[bytes]:
    return [make_header(number).encode() for number in range(12)]


@pytest.fixture
def seals(
    headers: list[bytes], journal: JournalId, network: NetworkId, signer: Ed25519Signer
) -> list[Seal]:
    """Three seals of 5, 1 and 6 records."""
    state, made = JournalState(journal=journal), []
    for first, end in ((0, 5), (5, 6), (6, 12)):
        sealed = seal(state, headers[first:end], network, signer)
        state = sealed.state
        made.append(sealed.seal)
    return made


def test_seals_lead_a_receiver_to_the_origins_state(
    seals: list[Seal],
    headers: list[bytes],
    journal: JournalId,
    network: NetworkId,
    signer: Ed25519Signer,
) -> None:
    """The receiver's frontier is the tree over the exact header bytes."""
    state = JournalState(journal=journal)
    for made in seals:
        extended = extend(state, made, network, signer.public_key)
        assert not extended.duplicate
        state = extended.state
    assert state.size == 12
    assert state.frontier == Frontier().append_many(leaf_hashes(headers))
    last = open_checkpoint(seals[-1].checkpoint, journal.origin(network), signer.public_key)
    assert (last.size, last.root) == (12, state.frontier.root())


def test_origin_and_receiver_store_the_same_tiles(
    journal: JournalId, network: NetworkId, signer: Ed25519Signer
) -> None:
    """Both get the entries that closed, to store with the seal."""
    state = JournalState(journal=journal)
    sealed = seal(state, [b"%d" % number for number in range(600)], network, signer)
    extended = extend(state, sealed.seal, network, signer.public_key)
    assert extended.tiles == sealed.tiles
    assert [(run.level, run.first, len(run.hashes)) for run in sealed.tiles] == [(1, 0, 2)]


def refused(
    error: type[errors.PeerError],
    state: JournalState,
    wrong: Seal,
    network: NetworkId,
    key: bytes,
) -> None:
    before = JournalState(journal=state.journal, frontier=state.frontier)
    with pytest.raises(error):
        extend(state, wrong, network, key)
    assert state == before


def test_changed_headers_are_refused(
    seals: list[Seal], journal: JournalId, network: NetworkId, signer: Ed25519Signer
) -> None:
    """A flipped bit, another order, a header more or less: the root tells (row 63)."""
    made, state, key = seals[0], JournalState(journal=journal), signer.public_key
    flipped = (made.headers[0][:-1] + bytes([made.headers[0][-1] ^ 1]), *made.headers[1:])
    for wrong, error in (
        (flipped, errors.SealRootMismatch),
        (made.headers[::-1], errors.SealRootMismatch),
        (made.headers[:-1], errors.SealSizeMismatch),
        ((*made.headers, made.headers[0]), errors.SealSizeMismatch),
        ((*made.headers[:-1], made.headers[0]), errors.SealRootMismatch),
    ):
        refused(error, state, replace(made, headers=wrong), network, key)


def test_only_the_journals_key_seals_it(
    seals: list[Seal],
    journal: JournalId,
    network: NetworkId,
    signer: Ed25519Signer,
    cosigner: Ed25519Signer,
) -> None:
    """Another key, network, journal or epoch does not pass (rows 60 and 64)."""
    made, state, key = seals[0], JournalState(journal=journal), signer.public_key
    refused(errors.NoteUnsigned, state, made, network, cosigner.public_key)
    refused(errors.NoteUnsigned, state, made, NetworkId(bytes(16)), key)
    for changes in ({"epoch": "2"}, {"channel": "up:14"}, {"node_id": bytes(16)}):
        other = replace(journal, **changes)  # type: ignore[arg-type]
        refused(errors.SealJournalMismatch, state, replace(made, journal=other), network, key)
        # The state of the other journal does not make the checkpoint its own.
        moved = JournalState(journal=other)
        refused(errors.NoteUnsigned, moved, replace(made, journal=other), network, key)


def test_a_true_checkpoint_of_another_size_is_refused(
    seals: list[Seal], journal: JournalId, network: NetworkId, signer: Ed25519Signer
) -> None:
    """The newest checkpoint does not cover a part of its records."""
    wrong = replace(seals[0], checkpoint=seals[2].checkpoint)
    state = JournalState(journal=journal)
    refused(errors.SealSizeMismatch, state, wrong, network, signer.public_key)


def test_gaps_and_overlaps_are_refused_and_duplicates_do_nothing(
    seals: list[Seal], journal: JournalId, network: NetworkId, signer: Ed25519Signer
) -> None:
    """A journal grows at its end only; what is held whole changes nothing."""
    key = signer.public_key
    empty = JournalState(journal=journal)
    refused(errors.SealGap, empty, seals[1], network, key)
    held = extend(empty, seals[0], network, key).state
    held = extend(held, seals[1], network, key).state
    refused(errors.SealGap, held, replace(seals[2], first_seq=7), network, key)
    refused(errors.SealOverlap, held, replace(seals[2], first_seq=5), network, key)
    refused(errors.SealOverlap, held, replace(seals[0], first_seq=-1), network, key)
    for made in seals[:2]:
        again = extend(held, made, network, key)
        assert again.duplicate
        assert again.state is held
        assert again.tiles == ()


def test_a_fork_is_told_from_a_duplicate(
    seals: list[Seal],
    headers: list[bytes],
    journal: JournalId,
    network: NetworkId,
    signer: Ed25519Signer,
    cosigner: Ed25519Signer,
) -> None:
    """Two signed roots for one size are evidence; anybody else's are noise."""
    key = signer.public_key
    held = extend(JournalState(journal=journal), seals[0], network, key).state
    check_held(seals[0], held.frontier.root(), network, key)
    rewritten = [*headers[1:5], headers[0]]
    fork = seal(JournalState(journal=journal), rewritten, network, signer).seal
    with pytest.raises(errors.SealFork):
        check_held(fork, held.frontier.root(), network, key)
    foreign = seal(JournalState(journal=journal), rewritten, network, cosigner).seal
    with pytest.raises(errors.NoteUnsigned):
        check_held(foreign, held.frontier.root(), network, key)


LIMITS: dict[str, tuple[list[bytes], type[errors.PeerError]]] = {
    "no header": ([], errors.SealEmpty),
    "an empty header": ([b"a", b""], errors.SealEmpty),
    "too many records": ([b"a"] * (MAX_SEAL_RECORDS + 1), errors.SealTooLarge),
    "a header too large": ([bytes(MAX_HEADER_BYTES + 1)], errors.SealTooLarge),
    "headers too large in all": (
        [bytes(MAX_HEADER_BYTES)] * (MAX_SEAL_HEADER_BYTES // MAX_HEADER_BYTES) + [b"a"],
        errors.SealTooLarge,
    ),
}


@pytest.mark.parametrize(("wrong", "error"), LIMITS.values(), ids=LIMITS.keys())
def test_a_seal_keeps_its_limits(
    wrong: list[bytes],
    error: type[errors.PeerError],
    journal: JournalId,
    network: NetworkId,
    signer: Ed25519Signer,
) -> None:
    """Neither made nor accepted, even if its signature is true."""
    state = JournalState(journal=journal)
    with pytest.raises(error):
        seal(state, wrong, network, signer)
    tree = Frontier().append_many(leaf_hashes(wrong))
    checkpoint = Checkpoint(origin=journal.origin(network), size=tree.size, root=tree.root())
    honest = Seal(
        journal=journal,
        first_seq=0,
        headers=tuple(wrong),
        checkpoint=sign_checkpoint(checkpoint, signer),
    )
    refused(error, state, honest, network, signer.public_key)


def test_the_limits_themselves_are_inside(
    journal: JournalId, network: NetworkId, signer: Ed25519Signer
) -> None:
    """2,000 records and 512 KiB of headers go through."""
    state = JournalState(journal=journal)
    for fitting in (
        [b"a"] * MAX_SEAL_RECORDS,
        [bytes(MAX_HEADER_BYTES)] * (MAX_SEAL_HEADER_BYTES // MAX_HEADER_BYTES),
    ):
        sealed = seal(state, fitting, network, signer)
        extended = extend(state, sealed.seal, network, signer.public_key)
        assert extended.state == sealed.state
