"""Bad keys, signatures and encodings of SM2, row 58: one typed error each, never a crash."""

import random
from collections.abc import Callable

import pytest

from yidao.sync import errors, sm2
from yidao.sync.suite import SM2_SM3, check_public_key, verify
from yidao.sync.suiteerrors import SealedBroken

ORDER = 0xFFFFFFFEFFFFFFFFFFFFFFFFFFFFFFFF7203DF6B21C6052B53BBF40939D54123
PRIME = 0xFFFFFFFEFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF00000000FFFFFFFFFFFFFFFF
# GB/T 32918.5 A.2.
PRIVATE = bytes.fromhex("3945208f7b2144b13f36e38ac6d39f95889393692860b51a42fb81ef4df7c5b8")
KEY = bytes.fromhex(
    "09f9df311e5421a150dd7d161e4bc5c672179fad1833fc076bb08ff356f35020"
    "ccea490ce26775a52dc6ea718cc1aa600aed05fbf35e084a6632f6072da9ad13"
)
MESSAGE = b"message digest"
SIGNATURE = bytes.fromhex(
    "f5a03b0648d2c4630eeac513e1bb81a15944da3827d5b74143ac7eaceee720b3"
    "b1b6aa29df212fd8763182bc0d421ca1bb9038fd1f7f42d4840b69c485bbc1aa"
)
R, S = SIGNATURE[:32], SIGNATURE[32:]
X, Y = KEY[:32], KEY[32:]
DER = sm2.der_of_raw(SIGNATURE)
_, OTHER = sm2.generate()


def number(value: int) -> bytes:
    return value.to_bytes(32, "big")


def try_signature(signature: bytes, key: bytes = KEY, message: bytes = MESSAGE) -> None:
    verify(SM2_SM3, key, signature, message)


ROWS: dict[str, tuple[Callable[[], object], type[errors.PeerError]]] = {
    "r = 0": (lambda: try_signature(bytes(32) + S), errors.SignatureInvalid),
    "s = 0": (lambda: try_signature(R + bytes(32)), errors.SignatureInvalid),
    "all zero": (lambda: try_signature(bytes(64)), errors.SignatureInvalid),
    "r = n": (lambda: try_signature(number(ORDER) + S), errors.SignatureInvalid),
    "s = n": (lambda: try_signature(R + number(ORDER)), errors.SignatureInvalid),
    "s = n - s": (
        lambda: try_signature(R + number(ORDER - int.from_bytes(S, "big"))),
        errors.SignatureInvalid,
    ),
    "r + s = n": (
        lambda: try_signature(R + number(ORDER - int.from_bytes(R, "big"))),
        errors.SignatureInvalid,
    ),
    "all ones": (lambda: try_signature(b"\xff" * 64), errors.SignatureInvalid),
    "63 bytes": (lambda: try_signature(SIGNATURE[:-1]), errors.SignatureInvalid),
    "65 bytes": (lambda: try_signature(SIGNATURE + b"\0"), errors.SignatureInvalid),
    "no byte": (lambda: try_signature(b""), errors.SignatureInvalid),
    "in DER": (lambda: try_signature(DER), errors.SignatureInvalid),
    "r and s exchanged": (lambda: try_signature(S + R), errors.SignatureInvalid),
    "another message": (
        lambda: try_signature(SIGNATURE, message=MESSAGE + b"."),
        errors.SignatureInvalid,
    ),
    "another key": (lambda: try_signature(SIGNATURE, key=OTHER), errors.SignatureInvalid),
    "the point at infinity, as zeros": (
        lambda: check_public_key(SM2_SM3, bytes(64)),
        errors.KeyMalformed,
    ),
    "a point off the curve": (
        lambda: check_public_key(SM2_SM3, X + number(int.from_bytes(Y, "big") ^ 1)),
        errors.KeyMalformed,
    ),
    "x = p + x": (
        lambda: check_public_key(SM2_SM3, number(PRIME) + Y),
        errors.KeyMalformed,
    ),
    "a point of P-256": (
        lambda: check_public_key(
            SM2_SM3,
            bytes.fromhex(
                "6b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296"
                "4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5"
            ),
        ),
        errors.KeyMalformed,
    ),
    "a key with the byte 04 before it": (
        lambda: check_public_key(SM2_SM3, b"\x04" + KEY),
        errors.KeyMalformed,
    ),
    "a compressed key": (
        lambda: check_public_key(SM2_SM3, b"\x03" + X),
        errors.KeyMalformed,
    ),
    "a key of suite 1": (lambda: check_public_key(SM2_SM3, X), errors.KeyMalformed),
    "a key off the curve that verifies": (
        lambda: try_signature(SIGNATURE, key=bytes(64)),
        errors.KeyMalformed,
    ),
}

_BODY = DER[2:]
BAD_DER = {
    "nothing": b"",
    "a byte": b"\x30",
    "a byte behind it": DER + b"\0",
    "cut off": DER[:-1],
    "length in the long form": b"\x30\x81" + DER[1:2] + _BODY,
    "length without end": b"\x30\x80" + _BODY + b"\0\0",
    "length too short": b"\x30" + bytes([DER[1] - 1]) + _BODY,
    "a set": b"\x31" + DER[1:],
    "an octet string within": DER[:2] + b"\x04" + DER[3:],
    "a zero before r": b"\x30" + bytes([DER[1] + 1]) + b"\x02\x22\x00\x00" + R + _BODY[35:],
    "r negative": b"\x30" + bytes([DER[1] - 1]) + b"\x02\x20" + R + _BODY[35:],
    "one number": b"\x30\x23" + _BODY[:35],
    "three numbers": b"\x30" + bytes([DER[1] + 3]) + _BODY + b"\x02\x01\x01",
    "r = 0": b"\x30" + bytes([len(_BODY) - 32]) + b"\x02\x01\x00" + _BODY[35:],
    "a giant number": b"\x30\x81\x84\x02\x81\x80" + b"\x7f" * 128 + b"\x02\x01\x01",
}


@pytest.mark.parametrize(("attack", "error"), ROWS.values(), ids=ROWS.keys())
def test_58_each_flaw_has_a_typed_error(
    attack: Callable[[], object], error: type[errors.PeerError]
) -> None:
    """Ranges and the curve are checked before the library sees anything."""
    with pytest.raises(error):
        attack()


@pytest.mark.parametrize("encoded", BAD_DER.values(), ids=BAD_DER.keys())
def test_58_a_signature_has_one_der_form(encoded: bytes) -> None:
    """Every BER form but the one of DER is refused."""
    with pytest.raises(errors.SignatureInvalid):
        sm2.raw_of_der(encoded)


def test_the_honest_pieces_of_these_tables_pass() -> None:
    """Nothing but the named flaw makes a row fail; both forms of a signature are one."""
    try_signature(SIGNATURE)
    check_public_key(SM2_SM3, KEY)
    assert sm2.raw_of_der(DER) == SIGNATURE
    signer = sm2.Sm2Signer(PRIVATE, KEY)
    for count in range(8):
        try_signature(signer.sign(b"%d" % count), message=b"%d" % count)


@pytest.mark.parametrize("private", [bytes(32), number(ORDER), b"\xff" * 32, b"", bytes(31)])
def test_58_a_private_key_that_is_none_is_refused(private: bytes) -> None:
    """Zero, the order and more, other lengths; and one that is not the public key's."""
    with pytest.raises(errors.KeyMalformed):
        sm2.Sm2Signer(private, KEY)
    with pytest.raises(errors.KeyMalformed):
        sm2.Sm2Signer(PRIVATE, OTHER)


def test_58_mutated_keys_signatures_and_ciphertexts_never_crash() -> None:
    """Three hundred mutations of each, by a fixed seed: a typed error each."""
    chance = random.Random(58)
    wrapped = sm2.wrap(KEY, b"k" * 16)

    def mutated(data: bytes) -> bytes:
        changed = bytearray(data)
        for _ in range(chance.randint(1, 3)):
            at = chance.randrange(len(changed))
            changed[at] ^= 1 << chance.randrange(8)
        cut = chance.choice((len(changed), len(changed), chance.randrange(len(changed))))
        return bytes(changed[:cut])

    refused = (errors.SignatureInvalid, errors.KeyMalformed, SealedBroken)
    for _ in range(300):
        signature, key, cipher = mutated(SIGNATURE), mutated(KEY), mutated(wrapped)
        for sound, attempt in (
            (signature == SIGNATURE, lambda data=signature: try_signature(data)),
            (key == KEY, lambda data=key: try_signature(SIGNATURE, key=data)),
            (cipher == wrapped, lambda data=cipher: sm2.unwrap(PRIVATE, data)),
        ):
            if not sound:
                with pytest.raises(refused):
                    attempt()
        encoded = mutated(DER)
        try:
            assert (sm2.raw_of_der(encoded) == SIGNATURE) is (encoded == DER)
        except errors.SignatureInvalid:
            assert encoded != DER
