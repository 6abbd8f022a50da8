"""Who is given rows: pure decisions of the owner."""

from collections.abc import Mapping
from dataclasses import dataclass

from yidao.catalog.resource import ShareType
from yidao.node.affairs.sharing.errors import (
    ResourceWithdrawn,
    ResourceWithoutRows,
    ShareForbidden,
    ShareOnlyUpward,
    SharePurposeMissing,
    ShareStaysLocal,
)
from yidao.sync.ids import Path

_BASIS_CHARACTERS = 120


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """What the owner of a resource says about sharing it.

    Attributes:
        code: 信息资源代码.
        owner: The node id of the owner.
        published: Whether it is now.
        basis: Title of the legal basis where nothing is shared.
        pack, form: Where its rows are; both empty if it is only described.
        grades: The grade of each column that it offers, in its order.
    """

    code: str
    owner: bytes
    owner_path: Path
    published: bool
    share_type: ShareType
    basis: str
    pack: str
    form: str
    grades: Mapping[str, int]


def decide(offer: Offer, *, own: Path, asker: Path, purpose: str, stays_local: bool) -> None:
    """Return only if the asker may be given rows of the resource.

    1. The resource is published and has rows.
    2. The asker is the owner, who may see its own, or stands above it.
    3. The form does not forbid that rows leave the node.
    4. The share type allows it: never for 不予共享; with a purpose for 有条件共享.

    Raises:
        ResourceWithdrawn, ResourceWithoutRows, ShareOnlyUpward, ShareStaysLocal,
        ShareForbidden, SharePurposeMissing: The first of these that does not hold.
    """
    # 1.
    if not offer.published:
        raise ResourceWithdrawn(resource=offer.code)
    if not offer.pack:
        raise ResourceWithoutRows(resource=offer.code)
    # 2.
    if asker == own:
        return
    if not asker.is_ancestor_of(own):
        raise ShareOnlyUpward(path=str(own))
    # 3.
    if stays_local:
        raise ShareStaysLocal(form=offer.form)
    # 4.
    if offer.share_type is ShareType.NONE:
        raise ShareForbidden(resource=offer.code, basis=offer.basis[:_BASIS_CHARACTERS])
    if offer.share_type is ShareType.CONDITIONAL and not purpose.strip():
        raise SharePurposeMissing(resource=offer.code)
