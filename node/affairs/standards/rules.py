"""Who publishes, and when a publication is new: pure decisions."""

from yidao.catalog.errors import PackConflict
from yidao.node.affairs.errors import PackPublishForbidden
from yidao.sync.ids import Path

ROOT = Path()


def check_publisher(path: Path) -> None:
    """Let only the root publish.

    Raises:
        PackPublishForbidden: The path is another node's.
    """
    if path != ROOT:
        raise PackPublishForbidden(path=str(path))


def is_published(pack: str, version: str, digest: bytes, held_digest: bytes | None) -> bool:
    """Tell whether exactly these bytes are published already.

    Raises:
        PackConflict: The version is published with other bytes.
    """
    if held_digest is None:
        return False
    if held_digest != digest:
        raise PackConflict(pack=pack, version=version)
    return True
