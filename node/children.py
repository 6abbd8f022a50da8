"""The children of a node, as its local API deals with them."""

from datetime import timedelta

from yidao.node.config import Settings
from yidao.node.link.tokens import ChildTokens
from yidao.node.revocations import Revocations
from yidao.sync.ids import Path


class Children:
    """Makes join bundles that name this node's own addresses; revokes who joined."""

    def __init__(self, tokens: ChildTokens, revocations: Revocations, settings: Settings) -> None:
        self._tokens = tokens
        self.revoke = revocations.revoke
        self._settings = settings

    def add(self, path: Path, *, operator: str, life: timedelta) -> bytes:
        """Return the encoded bundle of a new child at `path`."""
        bundle = self._tokens.add(
            path,
            operator=operator,
            life=life,
            join_addresses=(self._settings.join_listen_seen or self._settings.join_listen,),
            link_address=self._settings.listen_seen or self._settings.listen,
            test_network=self._settings.test_network,
        )
        return bundle.encode()

    def add_code(self, path: Path, *, operator: str, life: timedelta) -> tuple[str, str]:
        """Return the code of a new child at `path`, and where it must ask."""
        code = self._tokens.add_code(path, operator=operator, life=life)
        return code.format(), self._settings.join_listen_seen or self._settings.join_listen
