"""What is sealed to a node opens for it alone, under the same name, in either suite."""

import secrets
from hashlib import sha256

import pytest

from yidao.sync import errors, sm2
from yidao.sync.sealing import BoxKey, Sm2Box, X25519Box, seal
from yidao.sync.suite import ED25519_SHA256, Ed25519Signer
from yidao.sync.suiteerrors import SealedBroken

SEED, OTHER_SEED = sha256(b"sample box").digest(), sha256(b"another sample box").digest()
PRIVATE, PUBLIC = sm2.generate()
NAME, TEXT = b"yidao-sample\n/33 to /", b"sample figures " * 30
KEYS: dict[str, tuple[int, bytes, BoxKey, BoxKey]] = {
    "suite 1": (
        ED25519_SHA256,
        Ed25519Signer(SEED).public_key,
        X25519Box(SEED),
        X25519Box(OTHER_SEED),
    ),
    "suite 3": (sm2.SM2_SM3, PUBLIC, Sm2Box(PRIVATE, PUBLIC), Sm2Box(*sm2.generate())),
}


@pytest.mark.parametrize("keys", KEYS.values(), ids=KEYS.keys())
@pytest.mark.parametrize("text", [b"", b"x", TEXT], ids=["nothing", "a byte", "some"])
def test_the_recipient_reads_it(keys: tuple[int, bytes, BoxKey, BoxKey], text: bytes) -> None:
    """Whatever was sealed comes out, and twice the same text looks different."""
    suite_number, public, box, _ = keys
    sealed = seal(suite_number, public, NAME, text, secrets.token_bytes)
    assert box.open(NAME, sealed) == text
    assert box.suite == suite_number
    assert TEXT[:15] not in sealed
    assert seal(suite_number, public, NAME, text, secrets.token_bytes) != sealed


@pytest.mark.parametrize("keys", KEYS.values(), ids=KEYS.keys())
def test_nobody_else_and_under_no_other_name(keys: tuple[int, bytes, BoxKey, BoxKey]) -> None:
    """Another key, another name, a changed bit of any byte and any cut are refused."""
    suite_number, public, box, other = keys
    sealed = seal(suite_number, public, NAME, TEXT, secrets.token_bytes)
    attempts = [(other, NAME, sealed), (box, NAME + b" ", sealed), (box, b"", sealed)]
    for at in range(0, len(sealed), 3):
        attempts.append((box, NAME, sealed[:at] + bytes([sealed[at] ^ 1]) + sealed[at + 1 :]))
        attempts.append((box, NAME, sealed[:at]))
    for key, name, data in attempts:
        with pytest.raises(SealedBroken):
            key.open(name, data)


def test_a_key_that_is_none_and_a_suite_that_does_not_seal_are_refused() -> None:
    """Sealing to a weak key, or under the suite of cosignatures, has a typed error."""
    with pytest.raises(errors.KeyWeak):
        seal(ED25519_SHA256, bytes(32), NAME, TEXT, secrets.token_bytes)
    with pytest.raises(errors.KeyMalformed):
        seal(sm2.SM2_SM3, bytes(64), NAME, TEXT, secrets.token_bytes)
    for number in (0, 2, 4, 99):
        with pytest.raises(errors.SuiteUnknown):
            seal(number, PUBLIC, NAME, TEXT, secrets.token_bytes)
