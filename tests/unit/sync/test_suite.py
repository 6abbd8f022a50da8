import hashlib
import sys
from collections.abc import Iterator

import pytest

from yidao.sync import errors, sealing, selftest, sm2, suite
from yidao.sync.mldsa44 import MlDsa44Signer
from yidao.sync.suite import ED25519_SHA256, Ed25519Signer
from yidao.sync.suiteerrors import SuiteUnavailable

FIELD_PRIME = 2**255 - 19
GROUP_ORDER = 2**252 + 27742317777372353535851937790883648493
EIGHTH = "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"
_, SM2_KEY = sm2.generate()
OTHER_EIGHTH = "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a"


def weak_keys() -> Iterator[bytes]:
    """The 14 small-order points, in canonical and other encodings."""
    points = [0, 1, FIELD_PRIME - 1]
    points += [int.from_bytes(bytes.fromhex(text), "little") for text in (EIGHTH, OTHER_EIGHTH)]
    for y in [*points, *(y + FIELD_PRIME for y in points if y + FIELD_PRIME < 2**255)]:
        for sign in (0, 1 << 255):
            yield (y | sign).to_bytes(32, "little")


def test_there_are_fourteen_weak_encodings() -> None:
    """The table below is complete: the points of order 1, 2, 4 and 8."""
    assert len(set(weak_keys())) == 14


@pytest.mark.parametrize("key", list(weak_keys()), ids=bytes.hex)
def test_a_weak_key_is_refused_everywhere(key: bytes) -> None:
    """Neither enrolment nor verification accepts it (corpus rows 44 to 57)."""
    with pytest.raises(errors.KeyWeak):
        suite.check_public_key(ED25519_SHA256, key)
    forged = b"\x01" + bytes(31) + bytes(32)
    with pytest.raises(errors.KeyWeak):
        suite.verify(ED25519_SHA256, key, forged, b"any message")


def test_honest_keys_pass() -> None:
    """The check costs no honest key."""
    for number in range(200):
        signer = Ed25519Signer(number.to_bytes(32, "big"))
        suite.check_public_key(ED25519_SHA256, signer.public_key)


@pytest.mark.parametrize("key", [b"", bytes(31), bytes([1] * 33)])
def test_a_key_of_another_length_is_refused(key: bytes) -> None:
    """A key is 32 bytes."""
    with pytest.raises(errors.KeyMalformed):
        suite.check_public_key(ED25519_SHA256, key)
    with pytest.raises(errors.KeyMalformed):
        Ed25519Signer(key)


def test_only_the_signature_of_that_key_over_that_message_verifies(signer: Ed25519Signer) -> None:
    """Zero, cut, longer, changed and shifted (S + L) signatures fail (rows 41 to 43)."""
    signature = signer.sign(b"message")
    suite.verify(ED25519_SHA256, signer.public_key, signature, b"message")
    shifted = int.from_bytes(signature[32:], "little") + GROUP_ORDER
    for wrong, message in (
        (bytes(64), b"message"),
        (signature[:63], b"message"),
        (signature + b"\0", b"message"),
        (signature[:32] + shifted.to_bytes(32, "little"), b"message"),
        (signature, b"Message"),
        (Ed25519Signer(bytes(32)).sign(b"message"), b"message"),
    ):
        with pytest.raises(errors.SignatureInvalid):
            suite.verify(ED25519_SHA256, signer.public_key, wrong, message)


@pytest.mark.parametrize("number", [0, 2, 5, -1])
def test_a_suite_that_is_not_here_is_refused(number: int, signer: Ed25519Signer) -> None:
    """Nothing falls back to the default suite."""
    with pytest.raises(errors.SuiteUnknown):
        suite.suite(number)
    with pytest.raises(errors.SuiteUnknown):
        suite.check_public_key(number, signer.public_key)
    with pytest.raises(errors.SuiteUnknown):
        suite.verify(number, signer.public_key, signer.sign(b""), b"")


def test_the_self_test_passes_here_and_notices_a_library_that_lies(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A verifier that accepts everything does not get past it, in any suite."""
    selftest.self_test_for(suite.SUITES)
    monkeypatch.setattr(selftest, "verify", lambda *_: None)
    for number in suite.SUITES:
        with pytest.raises(errors.SuiteSelfTestFailed):
            selftest.self_test_for([number])


def refuse(*_: object) -> None:
    raise errors.SignatureInvalid


@pytest.mark.parametrize(
    ("number", "place", "name", "broken"),
    [
        (1, selftest, "verify", refuse),
        (1, selftest, "sha256", hashlib.sha512),
        (1, selftest, "Ed25519Signer", lambda _seed: Ed25519Signer(bytes(32))),
        (3, selftest, "verify", refuse),
        (3, selftest, "Sm3", hashlib.sha256),
        (3, sm2, "unwrap", lambda _key, _wrapped: b"encryption Standard"),
        (3, sealing, "sm4_seal", lambda *_: b"a cipher of its own"),
        (3, sealing, "sm4_open", lambda *_: b"whatever came"),
        (4, selftest, "verify", refuse),
        (4, selftest, "MlDsa44Signer", lambda _seed: MlDsa44Signer(bytes(32))),
    ],
)
def test_the_self_test_notices_each_broken_piece(
    number: int, place: object, name: str, broken: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A hash, a signer, a cipher or a verifier that gives other answers stops the node."""
    monkeypatch.setattr(place, name, broken)
    with pytest.raises(errors.SuiteSelfTestFailed) as caught:
        selftest.self_test_for([number])
    assert caught.value.params["suite"] == number


def test_a_missing_library_is_told_from_a_broken_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without GmSSL the suite is unavailable, with what to install; the others go on."""
    monkeypatch.setitem(sys.modules, "gmssl_pyx", None)
    sm2.library.cache_clear()
    try:
        assert not suite.is_available(suite.SM2_SM3)
        with pytest.raises(SuiteUnavailable) as caught:
            selftest.self_test_for([suite.SM2_SM3])
        assert caught.value.params == {"suite": 3, "extra": "gm"}
        selftest.self_test_for([suite.ED25519_SHA256, suite.ML_DSA_44])
        suite.check_public_key(suite.SM2_SM3, SM2_KEY)
    finally:
        sm2.library.cache_clear()


def test_a_point_off_the_curve_is_refused() -> None:
    """Half of all 32-byte strings name no point; y = 2 is the smallest of them."""
    with pytest.raises(errors.KeyMalformed) as caught:
        suite.check_public_key(ED25519_SHA256, (2).to_bytes(32, "little"))
    assert caught.value.params["reason"] == "point"
