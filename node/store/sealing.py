"""Parts that only their recipient can open: how a letter passes the tiers between.

A sealed part is one byte for the algorithm and what it made of `salt || body`.
1: HPKE (RFC 9180: X25519, HKDF-SHA256, AES-256-GCM) to the recipient's
cosigning key in its other form (`sync.curve`). `info` names the journal's
origin, which holds the network, the author and the recipient, the record, the part
and its commitment, so that it opens in no other place.

The header commits to what is inside. So the recipient checks and keeps the
plain part with its salt, and shows it to a third party like any other.
"""

from collections.abc import Iterable
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite

from yidao.node.store.parterrors import SealedPartUnreadable
from yidao.sync.curve import x25519_public
from yidao.sync.ids import JournalId, NetworkId
from yidao.sync.record import SALT_BYTES, Header, Part, PartDigest, commitment

X25519_AES: Final = 1

_HPKE: Final = Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM)
_DOMAIN: Final = b"yidao-part-v1\n"


def seal_part(
    part: Part, *, cosign_key: bytes, network: NetworkId, journal: JournalId, record: Header
) -> bytes:
    """Return a part so that the holder of a cosigning key alone can read it.

    Args:
        part: Of `record`.
        cosign_key: The recipient's, as it is enrolled.
        network: Of both.
        journal: Where the record stands.
        record: Its header.
    """
    public = X25519PublicKey.from_public_bytes(x25519_public(cosign_key))
    info = _info(network, journal, record, part.name, commitment(part.salt, part.body))
    return bytes((X25519_AES,)) + _HPKE.encrypt(part.salt + part.body, public, info=info)


def open_part(
    ciphertext: bytes,
    digest: PartDigest,
    *,
    keys: Iterable[X25519PrivateKey],
    network: NetworkId,
    journal: JournalId,
    record: Header,
    seq: int,
) -> Part:
    """Return the part that was sealed to one of `keys`; its commitment is not yet checked.

    Raises:
        SealedPartUnreadable: To another key, for another place, changed, or by an
            algorithm that is not known here.
    """
    info = _info(network, journal, record, digest.name, digest.commitment)
    if ciphertext[:1] == bytes((X25519_AES,)):
        for key in keys:
            try:
                plain = _HPKE.decrypt(ciphertext[1:], key, info=info)
            except (InvalidTag, ValueError):
                continue
            return Part(name=digest.name, salt=plain[:SALT_BYTES], body=plain[SALT_BYTES:])
    raise SealedPartUnreadable(part=digest.name, seq=seq)


def _info(
    network: NetworkId, journal: JournalId, record: Header, name: str, committed: bytes
) -> bytes:
    lines = (journal.origin(network), record.record_id.hex(), name, committed.hex())
    return _DOMAIN + "\n".join(lines).encode()
