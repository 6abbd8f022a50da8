"""Known answers that a machine's libraries must give before a node relies on them.

| what | from |
|---|---|
| Ed25519 | RFC 8032 §7.1 test 2 |
| SHA-256, SM3 | "abc": FIPS 180-4; GB/T 32905 A.1 |
| SM2 signature | GB/T 32918.5 A.2 (GM/T 0003.5), signer `1234567812345678` |
| SM2 decryption | GB/T 32918.5 C.2 |
| SM4-GCM | RFC 8998 A.1 |
| ML-DSA-44 key | RFC 9881 C.1: SHA-256 of the public key of the seed 00 01 … 1f |
"""

from collections.abc import Callable, Iterable
from hashlib import sha256
from typing import Final

from cryptography.exceptions import InvalidTag

from yidao.sync import errors, sealing, sm2
from yidao.sync.mldsa44 import MlDsa44Signer
from yidao.sync.sm2 import Sm2Signer, Sm3
from yidao.sync.suite import ED25519_SHA256, ML_DSA_44, SM2_SM3, Ed25519Signer, verify
from yidao.sync.suiteerrors import SuiteUnavailable

_ABC: Final = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
_ABC_SM3: Final = "66c7f0f462eeedd9d1f2d46bdc10e4e24167c4875cf2f7a2297da02b8f4ba8e0"


def self_test_for(suites: Iterable[int]) -> None:
    """Return only if this machine gives the right answers for all these suites.

    Raises:
        SuiteUnknown: One of them is none.
        SuiteUnavailable: The library of one is not installed.
        SuiteSelfTestFailed: A known answer came out wrong (params: suite).
    """
    for number in suites:
        test = _TESTS.get(number)
        if test is None:
            raise errors.SuiteUnknown(suite=number)
        if not test():
            raise errors.SuiteSelfTestFailed(suite=number)


def _ed25519() -> bool:
    seed = bytes.fromhex("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb")
    key = bytes.fromhex("3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c")
    signature = bytes.fromhex(
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
        "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"
    )
    signer = Ed25519Signer(seed)
    return (
        signer.public_key == key
        and signer.sign(b"\x72") == signature
        and sha256(b"abc").hexdigest() == _ABC
        and _tells_apart(ED25519_SHA256, key, signature, b"\x72")
    )


def _sm2() -> bool:
    private = bytes.fromhex("3945208f7b2144b13f36e38ac6d39f95889393692860b51a42fb81ef4df7c5b8")
    key = bytes.fromhex(
        "09f9df311e5421a150dd7d161e4bc5c672179fad1833fc076bb08ff356f35020"
        "ccea490ce26775a52dc6ea718cc1aa600aed05fbf35e084a6632f6072da9ad13"
    )
    signature = bytes.fromhex(
        "f5a03b0648d2c4630eeac513e1bb81a15944da3827d5b74143ac7eaceee720b3"
        "b1b6aa29df212fd8763182bc0d421ca1bb9038fd1f7f42d4840b69c485bbc1aa"
    )
    cipher = bytes.fromhex(
        "307c022004ebfc718e8d1798620432268e77feb6415e2ede0e073c0f4f640ecd2e149a73"
        "022100e858f9d81e5430a57b36daab8f950a3c64e6ee6a63094d99283aff767e124df0"
        "042059983c18f809e262923c53aec295d30383b54e39d609d160afcb1908d0bd8766"
        "041321886ca989ca9c7d58087307ca93092d651efa"
    )
    try:
        opened = sm2.unwrap(private, cipher)
        fresh = Sm2Signer(private, key).sign(b"message digest")
        verify(SM2_SM3, key, fresh, b"message digest")
    except SuiteUnavailable:
        raise
    except (errors.PeerError, errors.LocalError):
        return False
    return (
        opened == b"encryption standard"
        and Sm3(b"abc").digest().hex() == _ABC_SM3
        and _tells_apart(SM2_SM3, key, signature, b"message digest")
        and _sm4()
    )


def _sm4() -> bool:
    key = bytes.fromhex("0123456789abcdeffedcba9876543210")
    nonce = bytes.fromhex("00001234567800000000abcd")
    covered = bytes.fromhex("feedfacedeadbeeffeedfacedeadbeefabaddad2")
    plain = b"".join(bytes((byte,)) * 8 for byte in b"\xaa\xbb\xcc\xdd\xee\xff\xee\xaa")
    secret = bytes.fromhex(
        "17f399f08c67d5ee19d0dc9969c4bb7d5fd46fd3756489069157b282bb200735"
        "d82710ca5c22f0ccfa7cbf93d496ac15a56834cbcf98c397b4024a2691233b8d"
        "83de3541e4c2b58177e065a9bf7b62ec"
    )
    try:
        sealed = sealing.sm4_seal(key, nonce, covered, plain)
        opened = sealing.sm4_open(key, nonce, covered, secret)
        sealing.sm4_open(key, nonce, covered, secret[:-1] + b"\xed")
    except InvalidTag:
        return sealed == secret and opened == plain
    return False


def _mldsa() -> bool:
    signer = MlDsa44Signer(bytes(range(32)))
    known = "9f107644c1084526af3bc8098680b05499a2325a644e388fb4f970e058d19d46"
    return sha256(signer.public_key).hexdigest() == known and _tells_apart(
        ML_DSA_44, signer.public_key, signer.sign(b"sample"), b"sample"
    )


def _tells_apart(number: int, key: bytes, signature: bytes, message: bytes) -> bool:
    """Whether a signature verifies over its message, and over no other."""
    try:
        verify(number, key, signature, message)
    except errors.PeerError:
        return False
    try:
        verify(number, key, signature, message + b".")
    except errors.SignatureInvalid:
        return True
    return False


_TESTS: Final[dict[int, Callable[[], bool]]] = {
    ED25519_SHA256: _ed25519,
    SM2_SM3: _sm2,
    ML_DSA_44: _mldsa,
}
