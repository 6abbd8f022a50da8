import pytest

from yidao.sync import errors
from yidao.sync.checkpoint import (
    Checkpoint,
    cosign,
    open_checkpoint,
    parse_checkpoint,
    sign_checkpoint,
    verify_cosignature,
    with_cosignatures,
)
from yidao.sync.note import MAX_SIGNATURES, sign_note
from yidao.sync.suite import Ed25519Signer

ORIGIN = "yidao/sample/log"
ROOT = bytes(range(32))
ROOT_TEXT = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
CHECKPOINT = Checkpoint(origin=ORIGIN, size=7, root=ROOT)
TIME_S = 1_750_000_000


def test_a_checkpoint_is_three_lines_signed_by_its_log(signer: Ed25519Signer) -> None:
    """The text is what C2SP says, and opening gives the same values."""
    data = sign_checkpoint(CHECKPOINT, signer)
    assert data.startswith(f"{ORIGIN}\n7\n{ROOT_TEXT}\n\n— {ORIGIN} ".encode())
    assert open_checkpoint(data, ORIGIN, signer.public_key) == CHECKPOINT
    assert parse_checkpoint(data) == CHECKPOINT


MALFORMED = {
    "leading zero": f"{ORIGIN}\n07\n{ROOT_TEXT}\n",
    "negative zero": f"{ORIGIN}\n-0\n{ROOT_TEXT}\n",
    "plus": f"{ORIGIN}\n+7\n{ROOT_TEXT}\n",
    "full-width digit": f"{ORIGIN}\n７\n{ROOT_TEXT}\n",
    "underscore": f"{ORIGIN}\n1_0\n{ROOT_TEXT}\n",
    "2^63": f"{ORIGIN}\n{2**63}\n{ROOT_TEXT}\n",
    "2^64": f"{ORIGIN}\n{2**64}\n{ROOT_TEXT}\n",
    "space after the size": f"{ORIGIN}\n7 \n{ROOT_TEXT}\n",
    "line separator in the size": f"{ORIGIN}\n7\u2028\n{ROOT_TEXT}\n",
    "no size": f"{ORIGIN}\n\n{ROOT_TEXT}\n",
    "short root": f"{ORIGIN}\n7\nAAEC\n",
    "root without padding": f"{ORIGIN}\n7\n{ROOT_TEXT[:-1]}\n",
    "root in URL base64": f"{ORIGIN}\n7\n{'_' * 43}=\n",
    "two lines": f"{ORIGIN}\n7\n",
    "an extension line": f"{ORIGIN}\n7\n{ROOT_TEXT}\nextra\n",
    "a second empty line": f"{ORIGIN}\n7\n{ROOT_TEXT}\n\n",
    "no origin": f"\n7\n{ROOT_TEXT}\n",
}


@pytest.mark.parametrize("text", MALFORMED.values(), ids=MALFORMED.keys())
def test_a_well_signed_note_that_is_no_checkpoint_is_refused(
    text: str, signer: Ed25519Signer
) -> None:
    """A valid signature does not help a malformed body (corpus row 64)."""
    data = sign_note(text, ORIGIN, signer)
    with pytest.raises(errors.CheckpointMalformed):
        open_checkpoint(data, ORIGIN, signer.public_key)


def test_a_checkpoint_of_another_log_is_refused(signer: Ed25519Signer) -> None:
    """Neither another key name nor another first line passes."""
    other = Checkpoint(origin="yidao/other/log", size=7, root=ROOT)
    with pytest.raises(errors.NoteUnsigned):
        open_checkpoint(sign_checkpoint(other, signer), ORIGIN, signer.public_key)
    with pytest.raises(errors.CheckpointOriginMismatch):
        open_checkpoint(sign_note(other.text(), ORIGIN, signer), ORIGIN, signer.public_key)


def test_a_checkpoint_of_another_key_is_refused(
    signer: Ed25519Signer, cosigner: Ed25519Signer
) -> None:
    """The right name with the wrong key counts for nothing (corpus row 60)."""
    with pytest.raises(errors.NoteUnsigned):
        open_checkpoint(sign_checkpoint(CHECKPOINT, cosigner), ORIGIN, signer.public_key)


def test_a_cosignature_binds_text_name_key_and_time(
    signer: Ed25519Signer, cosigner: Ed25519Signer
) -> None:
    """It verifies for its checkpoint and gives its time; nothing else passes."""
    data = sign_checkpoint(CHECKPOINT, signer)
    line = cosign(data, "yidao/sample/cosign", cosigner, TIME_S)
    key = cosigner.public_key
    assert verify_cosignature(data, line, "yidao/sample/cosign", key) == TIME_S
    grown = sign_checkpoint(Checkpoint(origin=ORIGIN, size=8, root=ROOT), signer)
    for checkpoint, name, public_key in (
        (grown, "yidao/sample/cosign", key),
        (data, "yidao/other/cosign", key),
        (data, "yidao/sample/cosign", signer.public_key),
    ):
        with pytest.raises(errors.CosignatureInvalid):
            verify_cosignature(checkpoint, line, name, public_key)


def test_a_plain_signature_is_no_cosignature_and_the_reverse(signer: Ed25519Signer) -> None:
    """The type is in the key id and in what is signed (corpus rows 61 and 62)."""
    data = sign_checkpoint(CHECKPOINT, signer)
    plain = data.decode().splitlines()[-1]
    with pytest.raises(errors.CosignatureInvalid):
        verify_cosignature(data, plain, ORIGIN, signer.public_key)
    line = cosign(data, ORIGIN, signer, TIME_S)
    with pytest.raises(errors.NoteUnsigned):
        open_checkpoint(f"{CHECKPOINT.text()}\n{line}\n".encode(), ORIGIN, signer.public_key)


@pytest.mark.parametrize("time_s", [0, 2**63, 2**64 - 1])
def test_an_absurd_time_is_refused(
    time_s: int, signer: Ed25519Signer, cosigner: Ed25519Signer
) -> None:
    """A cosigner's clock is not believed without bounds."""
    data = sign_checkpoint(CHECKPOINT, signer)
    line = cosign(data, "c", cosigner, time_s)
    with pytest.raises(errors.CosignatureInvalid):
        verify_cosignature(data, line, "c", cosigner.public_key)


def test_cosignatures_are_appended_once_and_leave_the_checkpoint_as_it_is(
    signer: Ed25519Signer, cosigner: Ed25519Signer
) -> None:
    """The result still opens with the log's key, and repeats are dropped."""
    data = sign_checkpoint(CHECKPOINT, signer)
    line = cosign(data, "c", cosigner, TIME_S)
    both = with_cosignatures(data, [line, line])
    assert both == data + line.encode() + b"\n"
    assert with_cosignatures(both, [line]) == both
    assert open_checkpoint(both, ORIGIN, signer.public_key) == CHECKPOINT
    assert verify_cosignature(both, line, "c", cosigner.public_key) == TIME_S


def test_a_note_takes_no_more_lines_than_a_reader_accepts(
    signer: Ed25519Signer, cosigner: Ed25519Signer
) -> None:
    """Sixteen in all, and only well-formed ones."""
    data = sign_checkpoint(CHECKPOINT, signer)
    lines = [cosign(data, f"c{n}", cosigner, TIME_S) for n in range(MAX_SIGNATURES)]
    assert with_cosignatures(data, lines[:-1]).count("—".encode()) == MAX_SIGNATURES
    with pytest.raises(errors.NoteMalformed):
        with_cosignatures(data, lines)
    with pytest.raises(errors.NoteMalformed):
        with_cosignatures(data, ["— c\nAAAA"])
