"""Parts that only their recipient can open: how a letter passes the tiers between.

What is sealed is `salt || body`, by the recipient's suite (`yidao.sync.sealing`). The
name under which it is sealed holds the journal's origin (network, author and
recipient), the record, the part and its commitment, so that it opens in no other place.

The header commits to what is inside. So the recipient checks and keeps the
plain part with its salt, and shows it to a third party like any other.
"""

from collections.abc import Callable, Iterable
from typing import Final

from yidao.api.errors import YidaoError
from yidao.node.store.parterrors import SealedPartUnreadable
from yidao.sync.epoch import EpochKey
from yidao.sync.ids import JournalId, NetworkId
from yidao.sync.record import SALT_BYTES, Header, Part, PartDigest, commitment
from yidao.sync.sealing import BoxKey, seal

_DOMAIN: Final = b"yidao-part-v1\n"


def check_sealable(target: EpochKey, random: Callable[[int], bytes]) -> None:
    """Return only if parts can be sealed to a node: what cannot leave is not written.

    Args:
        target: The epoch in which the node writes now; an older key may be another's by now.
        random: Gives that many random bytes.

    Raises:
        SuiteUnavailable: The library of the recipient's suite is not installed here.
    """
    seal(target.suite, target.cosign_key, _DOMAIN, b"", random)


def seal_part(
    part: Part,
    target: EpochKey,
    *,
    journal: JournalId,
    record: Header,
    random: Callable[[int], bytes],
) -> bytes:
    """Return a part of a record so that one node alone can read it.

    Args:
        part: The part.
        target: The epoch in which the recipient writes now.
        journal: The letters' journal.
        record: The record that the part is of.
        random: Gives that many random bytes.

    Raises:
        SuiteUnavailable: The library of the recipient's suite is not installed here.
    """
    name = _name(record.network, journal, record, part.name, commitment(part.salt, part.body))
    return seal(target.suite, target.cosign_key, name, part.salt + part.body, random)


def open_part(
    ciphertext: bytes,
    digest: PartDigest,
    *,
    keys: Iterable[BoxKey],
    journal: JournalId,
    record: Header,
    seq: int,
) -> Part:
    """Return the part that was sealed to one of `keys`; its commitment is not yet checked.

    Raises:
        SealedPartUnreadable: To another key, for another place, or changed.
    """
    name = _name(record.network, journal, record, digest.name, digest.commitment)
    for key in keys:
        try:
            plain = key.open(name, ciphertext)
        except YidaoError:
            # The next one may be the key of when it was sealed.
            continue
        return Part(name=digest.name, salt=plain[:SALT_BYTES], body=plain[SALT_BYTES:])
    raise SealedPartUnreadable(part=digest.name, seq=seq)


def _name(
    network: NetworkId, journal: JournalId, record: Header, part: str, committed: bytes
) -> bytes:
    lines = (journal.origin(network), record.record_id.hex(), part, committed.hex())
    return _DOMAIN + "\n".join(lines).encode()
