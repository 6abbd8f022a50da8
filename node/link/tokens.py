"""Join tokens: what an operator gives out, kept in the store until it is spent.

A token is good for one node at one path. Its secret stays in the store, since a
MAC can only be checked with it, and is erased when the token is spent or closed;
the data folder protects it as it protects the keys.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from sqlalchemy import Connection, insert, or_, select, update

from yidao.node.keys import Identity
from yidao.node.link import errors, joincode
from yidao.node.link.bundle import SECRET_BYTES, TOKEN_ID_BYTES, JoinBundle
from yidao.node.link.certificates import dns_name, key_sha256
from yidao.node.link.joincode import JoinCode
from yidao.node.link.joinrequest import Candidate
from yidao.node.store.store import Store
from yidao.node.store.tables import enrolment, join_token
from yidao.sync import ids

# Three wrong secrets are no typing errors: nobody types a bundle, and a code
# that was mistyped is found to be so before it is sent.
MAX_BAD_MACS = 3
# How long the same request gets the same answer, for an answer that was lost.
REPEAT_WINDOW_MS = 10 * 60 * 1000

# The name goes into the enrolment's actor, `name@path`; an unfit one must be found
# now and not when the child joins.
_OPERATOR = re.compile(r"[\w.-]{1,64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """One row of the token table.

    Attributes:
        secret: None once spent or closed.
        request_sha256: Of the request that spent it.
        tls_chain: PEM that was issued for it; so is `ca_chain`.
    """

    token_id: str
    path: ids.Path
    secret: bytes | None
    expires_ms: int
    operator: str
    bad_macs: int
    used_ms: int | None
    request_sha256: bytes | None
    tls_chain: bytes
    ca_chain: bytes
    killed_ms: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Anchor:
    """What a node of this network starts from.

    Attributes:
        root_pem: The root certificates that count.
        statement: The root statement by one of them.
        root_list: The list that names them; empty in a network without one.
    """

    root_pem: bytes
    statement: bytes
    root_list: bytes = b""


class ChildTokens:
    """Makes the bundles that children join with.

    Args:
        anchor: Gives what a child must know beforehand, as it is now.
    """

    def __init__(
        self,
        *,
        store: Store,
        identity: Identity,
        anchor: Callable[[], Anchor],
        clock_ms: Callable[[], int],
        random: Callable[[int], bytes],
    ) -> None:
        self._store = store
        self._identity = identity
        self._anchor = anchor
        self._clock_ms = clock_ms
        self._random = random

    def add(
        self,
        path: ids.Path,
        *,
        operator: str,
        life: timedelta,
        join_addresses: tuple[str, ...],
        link_address: str,
        test_network: bool = False,
    ) -> JoinBundle:
        """Make a token for a child at `path` and return its bundle.

        Args:
            path: Directly below this node.
            operator: The user who asks, without the node's path.
            life: How long the bundle may be used.
            join_addresses: `host:port` of this node's join service as the child sees it.
            link_address: The same of its link.
            test_network: Whether the bundle shall say that this is a test network.

        Raises:
            ChildPathUnfit: No child can stand there.
            ChildPathTaken: One stands there already.
            ChildOperatorInvalid: The user's name cannot stand in a record.
        """
        bundle = self._make(
            path,
            operator=operator,
            life=life,
            addresses=(join_addresses, link_address),
            token=(self._random(TOKEN_ID_BYTES).hex(), self._random(SECRET_BYTES)),
            test_network=test_network,
        )
        # What cannot be read back must not be given out, for instance no address.
        JoinBundle.decode(bundle.encode())
        self._keep(bundle, operator)
        return bundle

    def add_code(self, path: ids.Path, *, operator: str, life: timedelta) -> JoinCode:
        """Make a token for a child at `path` and return it as a code to type.

        Raises what `add` raises.
        """
        # Of several root certificates that count, the first is the newest.
        root = x509.load_pem_x509_certificates(self._anchor().root_pem)[0].public_key()
        assert isinstance(root, EllipticCurvePublicKey), "a root of this profile is P-256"
        code = JoinCode(
            token=self._random(joincode.TOKEN_BYTES),
            secret=self._random(joincode.SECRET_BYTES),
            pin=joincode.pin_of(key_sha256(root)),
        )
        bundle = self._make(
            path,
            operator=operator,
            life=life,
            # The child is told where it got its answer, and asks for the rest.
            addresses=((), ""),
            token=(code.token_id, code.mac_secret),
            test_network=False,
        )
        self._keep(bundle, operator)
        return code

    def _make(
        self,
        path: ids.Path,
        *,
        operator: str,
        life: timedelta,
        addresses: tuple[tuple[str, ...], str],
        token: tuple[str, bytes],
        test_network: bool,
    ) -> JoinBundle:
        if path.parent != self._identity.path:
            raise errors.ChildPathUnfit(path=str(path), reason="parent")
        dns_name(path)
        if _OPERATOR.fullmatch(operator) is None:
            raise errors.ChildOperatorInvalid(operator=operator[:64])
        anchor = self._anchor()
        return JoinBundle(
            addresses=addresses[0],
            link_address=addresses[1],
            root_pem=anchor.root_pem,
            root_statement=anchor.statement,
            root_list=anchor.root_list,
            network=self._identity.network,
            parent_path=self._identity.path,
            path=path,
            token_id=token[0],
            secret=token[1],
            expires_ms=self._clock_ms() + life // timedelta(milliseconds=1),
            test_network=test_network,
        )

    def _keep(self, bundle: JoinBundle, operator: str) -> None:
        now_ms = self._clock_ms()
        self._store.run(lambda tx: _insert(tx.conn, bundle, operator, now_ms))


def find_token(conn: Connection, token_id: str) -> Token | None:
    """Return a token by its id."""
    row = conn.execute(select(join_token).where(join_token.c.token_id == token_id)).one_or_none()
    if row is None:
        return None
    return Token(
        token_id=row.token_id,
        path=ids.Path.parse(row.path),
        secret=row.secret,
        expires_ms=row.expires_ms,
        operator=row.operator,
        bad_macs=row.bad_macs,
        used_ms=row.used_ms,
        request_sha256=row.request_sha256,
        tls_chain=row.tls_chain or b"",
        ca_chain=row.ca_chain or b"",
        killed_ms=row.killed_ms,
    )


def count_bad_mac(conn: Connection, token: Token, now_ms: int) -> bool:
    """Count a request that did not know the secret; return whether that closed the token."""
    kills = token.bad_macs + 1 >= MAX_BAD_MACS
    values: dict[str, object] = {"bad_macs": token.bad_macs + 1}
    if kills:
        values |= {"killed_ms": now_ms, "secret": None}
    conn.execute(update(join_token).where(join_token.c.token_id == token.token_id).values(values))
    return kills


def spend(
    conn: Connection, candidate: Candidate, now_ms: int, *, tls_chain: bytes, ca_chain: bytes
) -> bool:
    """Spend a token for a candidate and keep what was issued; return whether it was unspent.

    The condition is part of the update itself, so that no second spender can come
    between a look and the write.
    """
    changed = conn.execute(
        update(join_token)
        .where(
            join_token.c.token_id == candidate.token_id,
            join_token.c.used_ms.is_(None),
            join_token.c.killed_ms.is_(None),
            join_token.c.expires_ms > now_ms,
        )
        .values(
            used_ms=now_ms,
            secret=None,
            request_sha256=candidate.sha256,
            node_id=candidate.node_id,
            tls_chain=tls_chain,
            ca_chain=ca_chain,
        )
    )
    return changed.rowcount == 1


def is_taken(conn: Connection, node_id: ids.NodeId, path: ids.Path) -> bool:
    """Whether a node of that id was ever enrolled, or one at that path is now."""
    here = (enrolment.c.path == str(path)) & enrolment.c.revoked.is_(False)
    mine = or_(enrolment.c.node_id == node_id, here)
    return conn.execute(select(enrolment.c.node_id).where(mine).limit(1)).first() is not None


def _insert(conn: Connection, bundle: JoinBundle, operator: str, now_ms: int) -> None:
    path = str(bundle.path)
    here = (enrolment.c.path == path) & enrolment.c.revoked.is_(False)
    if conn.execute(select(enrolment.c.node_id).where(here)).first():
        raise errors.ChildPathTaken(path=path)
    conn.execute(
        insert(join_token).values(
            token_id=bundle.token_id,
            path=path,
            secret=bundle.secret,
            created_ms=now_ms,
            expires_ms=bundle.expires_ms,
            operator=operator,
            bad_macs=0,
        )
    )
