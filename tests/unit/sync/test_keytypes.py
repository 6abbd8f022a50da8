"""What each type of cosignature signs, and that none can stand for another."""

import pytest

from yidao.sync import errors, sm2
from yidao.sync.checkpoint import (
    Checkpoint,
    cosign,
    open_checkpoint,
    sign_checkpoint,
    verify_cosignature,
    with_cosignatures,
)
from yidao.sync.keytypes import (
    TYPE_MLDSA_COSIGNATURE,
    TYPES,
    cosigned_message,
    cosigner_type,
    log_type,
)
from yidao.sync.mldsa44 import MlDsa44Signer
from yidao.sync.note import MAX_NOTE_BYTES, MAX_SIGNATURES, VerifierKey, key_id, parse_note
from yidao.sync.suite import ED25519_SHA256, ML_DSA_44, SM2_SM3, Ed25519Signer, Signer

NAME, TIME_S = "yidao/sample/cosign", 1_790_000_000
CHECKPOINT = Checkpoint(origin="yidao/sample/log", size=20_852_163, root=bytes(range(32)))
SIGNERS: dict[str, Signer] = {
    "suite 1": Ed25519Signer(b"s" * 32),
    "suite 3": sm2.Sm2Signer(*sm2.generate()),
    "suite 4": MlDsa44Signer(b"s" * 32),
}
NOTE = sign_checkpoint(CHECKPOINT, Ed25519Signer(b"j" * 32))


def test_the_message_of_mldsa_is_that_of_the_specification() -> None:
    """C2SP tlog-cosignature: label, name, time, origin, start 0, end, root, byte for byte."""
    made = cosigned_message(TYPE_MLDSA_COSIGNATURE, CHECKPOINT.text(), NAME, TIME_S)
    by_hand = (
        b"subtree/v1\n\0"
        + b"\x13yidao/sample/cosign"
        + bytes.fromhex("000000006ab13b80")
        + b"\x10yidao/sample/log"
        + bytes.fromhex("0000000000000000")
        + bytes.fromhex("00000000013e2dc3")
        + bytes(range(32))
    )
    assert made == by_hand


@pytest.mark.parametrize("signer", SIGNERS.values(), ids=SIGNERS.keys())
def test_a_cosignature_is_by_that_key_on_that_checkpoint(signer: Signer) -> None:
    """Another checkpoint, name, time, key or suite does not verify."""
    line = cosign(NOTE, NAME, signer, TIME_S)
    verify = (NOTE, line, NAME, signer.public_key, signer.suite)
    assert verify_cosignature(*verify) == TIME_S
    other = sign_checkpoint(
        Checkpoint(origin=CHECKPOINT.origin, size=1, root=CHECKPOINT.root), SIGNERS["suite 1"]
    )
    for wrong in (
        (other, *verify[1:]),
        (NOTE, line.replace("sample", "simple"), *verify[2:]),
        (NOTE, line, "yidao/simple/cosign", *verify[3:]),
        (NOTE, cosign(NOTE, NAME, signer, TIME_S + 1)[:-8] + line[-8:], *verify[2:]),
    ):
        with pytest.raises((errors.CosignatureInvalid, errors.NoteMalformed)):
            verify_cosignature(*wrong)
    for each in SIGNERS.values():
        if each is not signer:
            with pytest.raises((errors.CosignatureInvalid, errors.KeyMalformed)):
                verify_cosignature(NOTE, line, NAME, signer.public_key, each.suite)
            with pytest.raises(errors.CosignatureInvalid):
                verify_cosignature(NOTE, line, NAME, each.public_key, each.suite)


def test_a_log_of_sm2_opens_under_its_own_suite_alone() -> None:
    """Its line is no cosignature, and a cosignature by the same key opens no log."""
    signer = SIGNERS["suite 3"]
    data = sign_checkpoint(CHECKPOINT, signer)
    origin, key = CHECKPOINT.origin, signer.public_key
    assert open_checkpoint(data, origin, key, SM2_SM3) == CHECKPOINT
    with pytest.raises(errors.KeyMalformed):
        open_checkpoint(data, origin, key)
    line = parse_note(data).signatures[0].line()
    with pytest.raises(errors.CosignatureInvalid):
        verify_cosignature(data, line, origin, key, SM2_SM3)
    receipt = cosign(data, origin, signer, TIME_S)
    with pytest.raises(errors.NoteUnsigned):
        open_checkpoint(f"{CHECKPOINT.text()}\n{receipt}\n".encode(), origin, key, SM2_SM3)
    broken = data[:-6] + b"AAA=\n"
    with pytest.raises((errors.NoteSignatureInvalid, errors.NoteMalformed)):
        open_checkpoint(broken, origin, key, SM2_SM3)
    with pytest.raises(errors.SuiteUnknown):
        open_checkpoint(data, origin, key, ML_DSA_44)


def test_types_are_told_apart_by_ids_and_vkeys() -> None:
    """Five types: no marker begins another, one key has an id a type, vkeys come back."""
    markers = [each.marker for each in TYPES]
    assert not [(a, b) for a in markers for b in markers if a != b and b.startswith(a)]
    assert [marker[0] for marker in markers] == [0x01, 0x04, 0x06, 0xFF, 0xFF]
    for signer in SIGNERS.values():
        types = {cosigner_type(signer.suite)}
        if signer.suite != ML_DSA_44:
            types.add(log_type(signer.suite))
        assert len({key_id(NAME, each, signer.public_key) for each in types}) == len(types)
        for each in types:
            key = VerifierKey(name=NAME, key_type=each, public_key=signer.public_key)
            assert VerifierKey.parse(key.encode()) == key


def test_a_cosignature_of_mldsa_needs_a_checkpoint() -> None:
    """It signs size and root, so that a text without them cannot be cosigned."""
    for text in ("a\n", "a\nb\nc\n", CHECKPOINT.text() + "more\n", "\n1\nAAAA\n"):
        with pytest.raises(errors.NoteMalformed):
            cosigned_message(TYPE_MLDSA_COSIGNATURE, text, NAME, TIME_S)
    long = "n" * 256
    with pytest.raises(errors.NoteMalformed):
        cosigned_message(TYPE_MLDSA_COSIGNATURE, CHECKPOINT.text(), long, TIME_S)


def test_two_lines_of_fifteen_tiers_fit_a_note_and_no_more_do() -> None:
    """Thirty cosignatures beside the author's line: below 64 KiB, and below the hard cap."""
    lines = []
    for tier in range(15):
        name = f"yidao/{'0' * 32}/{tier:032}/cosign"
        lines += [cosign(NOTE, name, SIGNERS[suite], TIME_S) for suite in ("suite 3", "suite 4")]
    whole = with_cosignatures(NOTE, lines)
    assert len(whole) < MAX_NOTE_BYTES
    assert len(parse_note(whole).signatures) == 31 < MAX_SIGNATURES
    more = [cosign(NOTE, f"n{n}", SIGNERS["suite 1"], TIME_S) for n in range(2)]
    with pytest.raises(errors.NoteMalformed):
        with_cosignatures(whole, more)


def test_a_suite_has_one_type_of_each_kind_or_none() -> None:
    """Journals are never of ML-DSA-44, and an unknown suite signs nothing."""
    assert log_type(ED25519_SHA256) != cosigner_type(ED25519_SHA256)
    for find, number in ((log_type, ML_DSA_44), (log_type, 9), (cosigner_type, 9)):
        with pytest.raises(errors.SuiteUnknown):
            find(number)
