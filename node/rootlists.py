"""Publishes root lists, at the root, and makes the certificates that they name."""

import asyncio
from collections.abc import Callable

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey

from yidao.node.clock import utc
from yidao.node.errors import NodeError
from yidao.node.keys import CA_KEY, NEXT_CA_KEY, NEXT_ROOT, TLS_CHAIN, Chain, Identity, KeyFolder
from yidao.node.link import certificates
from yidao.node.store.store import Store
from yidao.node.store.values import Draft, DraftPart
from yidao.sync.errors import RootStatementInvalid
from yidao.sync.ids import CHANCE_BYTES, new_record_id
from yidao.sync.rootlist import CHANNEL, KIND, Listing, RootList, SignedRootList, spki_sha256
from yidao.sync.rootstatement import open_root_statement
from yidao.sync.trusterrors import RootListForeign


class RootListNotRoot(NodeError):
    """A root list is published at the root alone (params: path)."""

    code = "ROOT_LIST_NOT_ROOT"


class RootListOver(NodeError):
    """The list that is to be published has ended (params: until)."""

    code = "ROOT_LIST_OVER"


class RootListAbsent(NodeError):
    """This network has no root list."""

    code = "ROOT_LIST_ABSENT"


class RootLists:
    """The root lists of this node.

    Args:
        chain: This node's chain as it is now.
        root_pem: The root certificates that count now.
    """

    def __init__(
        self,
        store: Store,
        folder: KeyFolder,
        *,
        chain: Callable[[], Chain],
        root_pem: Callable[[], bytes],
        clock_ms: Callable[[], int],
        random: Callable[[int], bytes],
    ) -> None:
        self._store = store
        self._folder = folder
        self._chain = chain
        self._root_pem = root_pem
        self._clock_ms = clock_ms
        self._random = random

    async def publish(self, data: bytes, operator: str) -> int:
        """Send a list to every node below, and return its version.

        Safe to repeat: the list in force changes nothing.

        Raises:
            RootListNotRoot: This node is not the root.
            RootListOver: The list has ended.
            RootListForeign: The root itself would not hang from it.
            RootListVersionWrong, RootListUnsigned, RootListConflict, …: See
                `yidao.node.store.rootlists.fold`.
        """
        identity = self._store.identity
        if identity.path.depth:
            raise RootListNotRoot(path=str(identity.path))
        content = SignedRootList.decode(data).content
        if content.expires_ms <= self._clock_ms():
            raise RootListOver(until=utc(content.expires_ms).date().isoformat())
        listing = Listing(data=data, statement=self._statement(content))
        self._check_own_certificate(content)
        draft = self._draft(listing, operator)
        await asyncio.wrap_future(self._store.submit(lambda tx: tx.append(CHANNEL, [draft])))
        return content.version

    def newest(self) -> bytes:
        """Return the file of the list in force; raise `RootListAbsent` where there is none."""
        held = self._store.root_list()
        if held is None:
            raise RootListAbsent
        return held.data

    def _statement(self, content: RootList) -> bytes:
        """Return the root statement by a certificate of the list: the old one while it counts."""
        statement = self._chain().statement
        try:
            open_root_statement(statement, content.pem)
        except RootStatementInvalid:
            said = open_root_statement(statement, self._root_pem())
            return said.sign(self._listed_key(content))
        return statement

    def _listed_key(self, content: RootList) -> EllipticCurvePrivateKey:
        named = {spki_sha256(pem) for pem in content.certificates}
        for name in (NEXT_CA_KEY, CA_KEY):
            if self._folder.has(name):
                key = self._folder.load_tls_key(name)
                if certificates.key_sha256(key.public_key()) in named:
                    return key
        raise RootListForeign(reason="no key of a certificate in it is here")

    def _check_own_certificate(self, content: RootList) -> None:
        """Refuse a list under which nobody could dial the root any more."""
        leaf = x509.load_pem_x509_certificates(self._folder.read(TLS_CHAIN))[0]
        roots = x509.load_pem_x509_certificates(content.pem)
        if not any(certificates.is_issued_by(leaf, root) for root in roots):
            raise RootListForeign(reason="the root's own TLS certificate is by none of it")

    def _draft(self, listing: Listing, operator: str) -> Draft:
        now_ms = self._clock_ms()
        return Draft(
            record_id=new_record_id(now_ms, self._random(CHANCE_BYTES)),
            kind=KIND,
            actor=operator,
            object_id="root-list",
            object_version=1,
            created_ms=now_ms,
            parts=(DraftPart(name="core", body=listing.encode()),),
        )


def stage_certificate(folder: KeyFolder, identity: Identity, now_ms: int) -> bytes:
    """Make the root's next certificate, and return it as PEM; it waits for a list to name it.

    A second call gives the same one.

    Raises:
        RootListNotRoot: This node is not the root.
        KeyFileError, FolderNotWritable: The folder is unfit.
    """
    if identity.path.depth:
        raise RootListNotRoot(path=str(identity.path))
    if not folder.has(NEXT_ROOT):
        folder.remove(NEXT_CA_KEY)
        key = certificates.generate_key()
        folder.write_tls_key(NEXT_CA_KEY, key)
        made = certificates.issue_root(key, identity.network, utc(now_ms))
        folder.write(NEXT_ROOT, certificates.to_pem(made))
    return folder.read(NEXT_ROOT)
