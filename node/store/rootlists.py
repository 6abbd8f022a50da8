"""Root lists, folded at once like revocations: each step is kept, and none is taken back.

A list comes in the root's `down.control` journal, or with the join bundle. The first
list of a network is the root node's word alone, as its certificate is; from then on
the holders decide, and not even the root node can do anything without them.
"""

from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, insert, select

from yidao.node.store.scope import Scope
from yidao.node.store.tables import root_list as table
from yidao.node.store.trust import enrolled
from yidao.sync.errors import SyncError
from yidao.sync.ids import JournalId, NetworkId, NodeId
from yidao.sync.rootlist import (
    FIRST_VERSION,
    Listing,
    RootList,
    SignedRootList,
    open_first,
    open_next,
)
from yidao.sync.rootstatement import open_root_statement
from yidao.sync.suite import SUITES
from yidao.sync.trusterrors import (
    RootListConflict,
    RootListForeign,
    RootListMalformed,
    RootListVersionWrong,
    SuitesUnverifiable,
)

ROOT_LIST_REFUSED: Final = "ROOT_LIST_REFUSED"


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldRootList:
    """The newest list that was accepted here.

    Attributes:
        data: Its file.
        statement: The root statement by one of its certificates.
    """

    content: RootList
    data: bytes
    statement: bytes


def newest(conn: Connection) -> HeldRootList | None:
    """Return the list in force; None in a network without one."""
    row = conn.execute(select(table).order_by(table.c.version.desc()).limit(1)).one_or_none()
    if row is None:
        return None
    data = bytes(row.list)
    content = SignedRootList.decode(data).content
    return HeldRootList(content=content, data=data, statement=bytes(row.statement))


def pin(conn: Connection, data: bytes, statement: bytes, network: NetworkId, now_ms: int) -> None:
    """Take the list of a join bundle as the one in force, unless a newer one is.

    Raises:
        RootListForeign, RootListUnsigned, RootListMalformed, …: See `open_first`.
    """
    found = open_first(data, network).content
    held = newest(conn)
    if held is None or held.content.version < found.version:
        _keep(conn, found, data, statement, now_ms)


def fold_foreign(scope: Scope, journal: JournalId, seq: int, core: bytes | None) -> None:
    """Fold a list that came from above; one that is refused is a problem."""
    try:
        fold(scope, core, journal.node_id)
    except SyncError as error:
        params = {"reason": error.code}
        scope.raise_problem(ROOT_LIST_REFUSED, params, journal=journal, seq=seq)


def fold(scope: Scope, core: bytes | None, writer: NodeId) -> None:
    """Accept a list that the root published, or find that it is known.

    1. The root wrote it, and its statement, by a certificate of the list, names the root.
    2. The first list has version 1; every other one follows the one in force.
    3. An earlier version is the same as it was, and changes nothing.

    Raises:
        RootListForeign, RootListVersionWrong, RootListUnsigned, RootListConflict: As named.
        RootListMalformed, RootStatementInvalid, …: It has another form.
    """
    if core is None:
        raise RootListMalformed(field="core")
    listing, network = Listing.decode(core), scope.identity.network
    found = SignedRootList.decode(listing.data)
    _check_writer(scope, writer, listing, found.content)  # (1)
    held = newest(scope.conn)
    if held is None:  # (2)
        found = open_first(listing.data, network)
        if found.content.version != FIRST_VERSION:
            raise RootListVersionWrong(found=found.content.version, expected=FIRST_VERSION)
    elif found.content.version <= held.content.version:  # (3)
        _check_known(scope.conn, found)
        return
    else:
        found = open_next(held.content, listing.data)
    _keep(scope.conn, found.content, listing.data, listing.statement, scope.now_ms)
    missing = unverifiable(found.content)
    if missing:
        scope.raise_problem(SuitesUnverifiable.code, {"suites": missing})


def unverifiable(content: RootList) -> str:
    """Return the suites of a list that this program cannot verify, "" for none."""
    return ", ".join(str(number) for number in content.suites if number not in SUITES)


def _check_writer(scope: Scope, writer: NodeId, listing: Listing, content: RootList) -> None:
    node = enrolled(scope.conn, writer)
    if node is None or node.path.depth:
        raise RootListForeign(reason="writer")
    statement = open_root_statement(listing.statement, content.pem)
    if (statement.network, statement.node_id) != (scope.identity.network, writer):
        raise RootListForeign(reason="statement")


def _check_known(conn: Connection, found: SignedRootList) -> None:
    version = found.content.version
    known = conn.execute(select(table.c.list).where(table.c.version == version)).scalar()
    # What came before the list of the join bundle was never here to compare with.
    if known is not None and SignedRootList.decode(bytes(known)).signed != found.signed:
        raise RootListConflict(version=version)


def _keep(conn: Connection, content: RootList, data: bytes, statement: bytes, now_ms: int) -> None:
    row = {"version": content.version, "list": data, "statement": statement}
    conn.execute(insert(table).values(**row, accepted_ms=now_ms))
