"""The root certificates that count at this node, from the newest root list that is here.

The store has every list that was accepted. What TLS and the doctor read is a copy of
the newest beside the keys, written before anything relies on it.
"""

from collections.abc import Callable, Sequence

from yidao.node.keys import CA_KEY, NEXT_CA_KEY, NEXT_ROOT, ROOT_LIST, ROOT_STATEMENT, KeyFolder
from yidao.node.link.tokens import Anchor
from yidao.node.logging import get_logger
from yidao.node.store import rootlists
from yidao.node.store.records import Reader
from yidao.node.store.rootlists import HeldRootList
from yidao.node.store.store import Store
from yidao.node.store.transaction import Tx
from yidao.node.store.values import StoredRecord
from yidao.sync.ids import NetworkId
from yidao.sync.rootlist import CHANNEL, KIND, spki_sha256
from yidao.sync.trusterrors import SuitesUnverifiable

log = get_logger()


class Roots:
    """What this node anchors on.

    Attributes:
        anchor: As it is now; from `load` on.
    """

    anchor: Anchor

    def __init__(self, store: Store, folder: KeyFolder) -> None:
        self._store = store
        self._folder = folder
        self._held: HeldRootList | None = None
        self._followers: list[Callable[[Anchor], None]] = []

    def load(self, network: NetworkId) -> Anchor:
        """Bring store and key folder together, before anything is served.

        Raises:
            SuitesUnverifiable: The list allows suites that this program does not know.
            RootListMalformed, …: The file beside the keys was changed.
            KeyFileError: A file is missing, exposed, foreign or malformed.
        """
        statement = self._folder.read(ROOT_STATEMENT)
        if self._folder.has(ROOT_LIST):
            self._store.pin_root_list(self._folder.read(ROOT_LIST), statement, network)
        self.anchor = Anchor(root_pem=self._folder.load_root_pem(), statement=statement)
        self.refresh()
        if self._held is not None and (missing := rootlists.unverifiable(self._held.content)):
            raise SuitesUnverifiable(suites=missing)
        return self.anchor

    def follow(self, follower: Callable[[Anchor], None]) -> None:
        """Tell somebody whenever something else counts."""
        self._followers.append(follower)

    def refresh(self) -> None:
        """Take over the newest list of the store."""
        held = self._store.root_list()
        if held is None or held == self._held:
            return
        self._folder.replace(ROOT_LIST, held.data)
        self._promote(held)
        self._held = held
        self.anchor = Anchor(
            root_pem=held.content.pem, statement=held.statement, root_list=held.data
        )
        log.info("trust.list.taken", version=held.content.version)
        for follower in self._followers:
            follower(self.anchor)

    def _promote(self, held: HeldRootList) -> None:
        """Let a root certificate that waited for its list issue from now on."""
        if not self._folder.has(NEXT_ROOT):
            return
        waiting = spki_sha256(self._folder.read(NEXT_ROOT))
        if waiting in {spki_sha256(pem) for pem in held.content.certificates}:
            # A start after a crash goes on from any of these steps. Where the key alone is left,
            # it has been promoted; where it is gone before its certificate, by an older program.
            if self._folder.has(NEXT_CA_KEY):
                self._folder.replace(CA_KEY, self._folder.read(NEXT_CA_KEY))
            self._folder.remove(NEXT_ROOT)
            self._folder.remove(NEXT_CA_KEY)
            log.info("trust.certificate.promoted", spki_sha256=waiting.hex())


class RootListDecider:
    """Says that a root list is here; what a decider is shown is durable."""

    name = "trust.rootlist"

    def __init__(self, changed: Callable[[], None]) -> None:
        self._changed = changed

    def decide(self, tx: Tx, records: Sequence[StoredRecord], reader: Reader) -> None:  # noqa: ARG002 (the protocol's)
        """Look for lists; whether one was accepted is the store's matter."""
        if any(each.header.kind == KIND and each.journal.channel == CHANNEL for each in records):
            self._changed()
