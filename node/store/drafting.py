"""Drafts become headers and salted parts, as far as that needs no transaction."""

from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from yidao.node.store.parts import PartRule
from yidao.node.store.values import Draft
from yidao.sync.mold import Mold
from yidao.sync.record import SALT_BYTES, Part, PartDigest, Release, commitment

# Lengths, name and salt of a part, the length of a header: what a frame adds.
PART_OVERHEAD_BYTES: Final = 64
_HEADER_OVERHEAD_BYTES: Final = 8


class Prepared(NamedTuple):
    """A record as far as it can be made before its journal's head is known."""

    draft: Draft
    header: bytes
    parts: tuple[tuple[Part, PartRule], ...]
    weight_bytes: int


def prepare(mold: Mold, random: Callable[[int], bytes], drafts: Sequence[Draft]) -> list[Prepared]:
    """Salt, hash and encode records, for which no transaction need be open.

    Args:
        mold: Of this node's headers.
        random: Gives that many random bytes.
        drafts: What to make them of.

    Raises:
        PeerError: A draft makes no valid header.
    """
    salts = random(SALT_BYTES * sum([len(draft.parts) for draft in drafts]))
    made, at = [], 0
    for draft in drafts:
        salted, digests = [], []
        weight = _HEADER_OVERHEAD_BYTES
        for part in draft.parts:
            salt, at = salts[at : at + SALT_BYTES], at + SALT_BYTES
            name, body, reach, release = part.name, part.body, part.reach, part.release
            digest = commitment(salt, body)
            digests.append(PartDigest(name, digest, len(body), part.grade, reach, release))
            rule = PartRule(release is Release.WHEN_ACCEPTED, reach)
            salted.append((Part(name, salt, body), rule))
            weight += len(body) + PART_OVERHEAD_BYTES
        header = mold.header(draft, digests)
        made.append(Prepared(draft, header, tuple(salted), weight + len(header)))
    return made
