"""What all pages share: the node, the sessions, the drafts, the standards."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date

from yidao.catalog.pack.loader import load_pack
from yidao.catalog.pack.model import Pack
from yidao.catalog.pack.versions import PackSet
from yidao.node.client import Client, PackInfo
from yidao.node.console.drafts import Drafts
from yidao.node.console.folder import Folder
from yidao.node.console.session import Sessions


@dataclass(slots=True, kw_only=True)
class Console:
    """One console of one node.

    Attributes:
        client: Without a session: only to sign in. Pages ask through `Visit.ask`.
        path: Where the node stands.
        office: What people call it; may be empty.
        test_network: The node says that nothing here counts; every page says so too.
        secure: Pages are served over TLS, so cookies are for TLS only.
        folder: Files on their way in and out.
        today: The day in the place of work.
    """

    client: Client
    path: str
    office: str
    test_network: bool
    secure: bool
    sessions: Sessions
    drafts: Drafts
    folder: Folder
    today: Callable[[], date]
    _loaded: dict[bytes, Pack] = field(default_factory=dict)

    def packs(self, client: Client) -> PackSet:
        """Give every usable version that the node has; versions are read once."""
        return PackSet.of([self._pack(client, each) for each in usable(client.packs())])

    def _pack(self, client: Client, info: PackInfo) -> Pack:
        found = self._loaded.get(info.sha256)
        if found is None:
            found = load_pack(client.pack(info.id, version=info.version))
            self._loaded[info.sha256] = found
        return found


def usable(packs: tuple[PackInfo, ...]) -> tuple[PackInfo, ...]:
    """Leave out versions that this node cannot use."""
    return tuple(each for each in packs if not each.unusable)
