import pytest

from yidao.sync import errors
from yidao.sync.base64text import decode_base64, encode_base64
from yidao.sync.keytypes import (
    TYPE_COSIGNATURE,
    TYPE_ED25519,
    TYPE_MLDSA_COSIGNATURE,
    TYPE_SM2,
    KeyType,
)
from yidao.sync.note import (
    MAX_SIGNATURES,
    VerifierKey,
    open_note,
    parse_note,
    sign_note,
)
from yidao.sync.suite import Ed25519Signer

# The example of the C2SP signed-note specification.
VKEY = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k"
NOTE = (
    "This is an example message.\n\n— example.com/foo Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2"
    "ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n"
)
SIGNATURE_LINE = NOTE.splitlines()[2]


def test_the_specifications_example_verifies() -> None:
    """The vector of C2SP signed-note opens with its vkey."""
    note = open_note(NOTE.encode(), [VerifierKey.parse(VKEY)])
    assert note.text == "This is an example message.\n"
    assert note.signatures[0].line() == SIGNATURE_LINE


def test_a_vkey_is_read_and_written_alike() -> None:
    """A vkey text comes back the same, and its id must be its own."""
    assert VerifierKey.parse(VKEY).encode() == VKEY
    for wrong in (
        VKEY.replace("530d903a", "530d903b"),
        VKEY.replace("530d903a", "530D903A"),
        VKEY.replace("foo", "fop"),
        VKEY[:-1],
        "example.com/foo",
        "+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",
        VKEY.replace("AekyeRrm", "AukyeRrm"),
    ):
        with pytest.raises(errors.KeyMalformed):
            VerifierKey.parse(wrong)


def key_of(signer: Ed25519Signer, name: str, key_type: KeyType = TYPE_ED25519) -> VerifierKey:
    return VerifierKey(name=name, key_type=key_type, public_key=signer.public_key)


def test_a_signed_note_opens_with_its_key_only(
    signer: Ed25519Signer, cosigner: Ed25519Signer
) -> None:
    """Unknown keys are ignored; a note by unknown keys alone is unsigned."""
    data = sign_note("text\n", "a.example/log", signer)
    assert open_note(data, [key_of(signer, "a.example/log")]).text == "text\n"
    for keys in (
        [],
        [key_of(signer, "b.example/log")],
        [key_of(cosigner, "a.example/log")],
        [key_of(signer, "a.example/log", TYPE_COSIGNATURE)],
    ):
        with pytest.raises(errors.NoteUnsigned):
            open_note(data, keys)


def test_one_failing_signature_of_a_known_key_refuses_the_whole_note(
    signer: Ed25519Signer, cosigner: Ed25519Signer
) -> None:
    """A good signature beside it does not save the note (corpus row 64)."""
    data = sign_note("text\n", "a", signer)
    other = parse_note(sign_note("other\n", "b", cosigner)).signatures[0]
    mixed = data + f"{other.line()}\n".encode()
    assert len(open_note(mixed, [key_of(signer, "a")]).signatures) == 1
    with pytest.raises(errors.NoteSignatureInvalid):
        open_note(mixed, [key_of(signer, "a"), key_of(cosigner, "b")])


def test_a_signature_does_not_pass_to_another_text(signer: Ed25519Signer) -> None:
    """One changed byte of the text is noticed."""
    data = sign_note("text\n", "a", signer).replace(b"text", b"tesT")
    with pytest.raises(errors.NoteSignatureInvalid):
        open_note(data, [key_of(signer, "a")])


MALFORMED = {
    "empty": b"",
    "no signature": b"text\n",
    "no empty line": f"text\n{SIGNATURE_LINE}\n".encode(),
    "nothing after the empty line": b"text\n\n",
    "no last newline": f"text\n\n{SIGNATURE_LINE}".encode(),
    "CRLF": f"text\r\n\r\n{SIGNATURE_LINE}\r\n".encode(),
    "tab in the text": f"te\txt\n\n{SIGNATURE_LINE}\n".encode(),
    "NUL in the text": f"te\0xt\n\n{SIGNATURE_LINE}\n".encode(),
    "not UTF-8": b"te\xffxt\n\n" + f"{SIGNATURE_LINE}\n".encode(),
    "surrogate": b"\xed\xa0\x80\n\n" + f"{SIGNATURE_LINE}\n".encode(),
    "hyphen for the dash": f"text\n\n-{SIGNATURE_LINE[1:]}\n".encode(),
    "two spaces": f"text\n\n{SIGNATURE_LINE.replace('foo ', 'foo  ')}\n".encode(),
    "trailing space": f"text\n\n{SIGNATURE_LINE} \n".encode(),
    "plus in the name": f"text\n\n{SIGNATURE_LINE.replace('foo', 'f+o')}\n".encode(),
    "line separator in the name": "text\n\n— f\u2028o AAAAAAA=\n".encode(),
    "no name": f"text\n\n— {SIGNATURE_LINE.split(' ')[2]}\n".encode(),
    "no padding": f"text\n\n{SIGNATURE_LINE[:-1]}\n".encode(),
    "base64 of URLs": f"text\n\n{SIGNATURE_LINE[:-5]}_-M=\n".encode(),
    "stray bits in base64": f"text\n\n{SIGNATURE_LINE.replace('aQM=', 'aQN=')}\n".encode(),
    "half a line at the end": f"text\n\n{SIGNATURE_LINE}\n— a".encode(),
    "key id alone": "text\n\n— a AAAAAA==\n".encode(),
    "seventeen signatures": ("text\n\n" + f"{SIGNATURE_LINE}\n" * (MAX_SIGNATURES + 1)).encode(),
    "over 64 KiB": b"a" * 65_536 + f"\n\n{SIGNATURE_LINE}\n".encode(),
}


@pytest.mark.parametrize("data", MALFORMED.values(), ids=MALFORMED.keys())
def test_bytes_that_are_no_note_are_refused(data: bytes) -> None:
    """Each departure from the form, before any key is looked at."""
    with pytest.raises(errors.NoteMalformed):
        parse_note(data)


def test_sixteen_signatures_are_allowed() -> None:
    """The limit itself is inside."""
    data = ("text\n\n" + f"{SIGNATURE_LINE}\n" * MAX_SIGNATURES).encode()
    assert len(parse_note(data).signatures) == MAX_SIGNATURES


def test_the_text_ends_at_the_last_empty_line() -> None:
    """Empty lines belong to the text, all but the last."""
    assert parse_note(f"a\n\nb\n\n\n{SIGNATURE_LINE}\n".encode()).text == "a\n\nb\n\n"


@pytest.mark.parametrize("text", ["", "no newline", "a\x1fb\n", "a\rb\n"])
def test_a_text_that_no_reader_accepts_is_not_signed(text: str, signer: Ed25519Signer) -> None:
    """The writer keeps the reader's rules."""
    with pytest.raises(errors.NoteMalformed):
        sign_note(text, "a", signer)


@pytest.mark.parametrize("name", ["", "a b", "a+b", "a\nb", "a\u00a0b", "a" * 256])
def test_a_bad_key_name_is_refused(name: str, signer: Ed25519Signer) -> None:
    """Neither a note nor a verifier key may bear it."""
    with pytest.raises(errors.KeyMalformed):
        sign_note("text\n", name, signer)
    with pytest.raises(errors.KeyMalformed):
        key_of(signer, name)


def test_a_key_of_another_type_is_refused(signer: Ed25519Signer) -> None:
    """Types that this version cannot verify with are no verifier keys; nor is a key too short."""
    for marker in (b"\x02", b"\xff", b"\xffyidao-sm2-sm3-v2\n"):
        unknown = KeyType(marker=marker, suite=1)
        with pytest.raises(errors.KeyMalformed):
            VerifierKey.parse(key_of(signer, "a", unknown).encode())
    for key_type in (TYPE_SM2, TYPE_MLDSA_COSIGNATURE):
        with pytest.raises(errors.KeyMalformed):
            key_of(signer, "a", key_type)


def test_base64_has_one_text_for_each_value() -> None:
    """Anything but the padded standard form is refused."""
    assert decode_base64(encode_base64(b"\xfb\xff")) == b"\xfb\xff"
    for wrong in ("-_8=", "+/8", "+/9=", " +/8=", "+/8=\n", "é"):
        assert decode_base64(wrong) is None
