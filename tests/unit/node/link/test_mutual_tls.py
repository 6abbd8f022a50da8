"""Real gRPC connections on loopback with certificates of root, province and city."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import grpc
import grpc.aio
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from grpc.experimental.session_cache import ssl_session_cache_lru

from yidao.node.keys import NodeCertificates
from yidao.node.link import certificates, errors
from yidao.node.link.credentials import (
    channel_credentials,
    live_server_credentials,
    target_name,
)
from yidao.node.link.peercheck import (
    Enrolled,
    Peer,
    Proved,
    ProvedChains,
    check_peer,
    peer_chain,
    prove_chain,
)
from yidao.sync.ids import NetworkId, NodeId, Path

NETWORK = NetworkId(bytes(range(16)))
METHOD = "/yidao.test/Echo"


@dataclass(frozen=True)
class Office:
    """A node with what TLS needs, and the authority that its children hang from."""

    path: Path
    certificates: NodeCertificates
    authority: certificates.Authority
    enrolled: Enrolled


def node_of(path: Path) -> NodeId:
    """Return a node id made from the path."""
    return NodeId(str(path).encode().ljust(16, b".")[:16])


def office(parent: "Office | None", label: str = "") -> Office:
    """Return a new node below `parent`, or a new root."""
    now = datetime.now(UTC)
    key, ca_key = certificates.generate_key(), certificates.generate_key()
    if parent is None:
        path, root = Path(), certificates.issue_root(ca_key, NETWORK, now)
        issuer = certificates.Authority(key=ca_key, certificate=root, chain_pem=b"")
        authority, root_pem = issuer, certificates.to_pem(root)
    else:
        path, issuer = parent.path.child(label), parent.authority
        tier = certificates.issue_tier(issuer, ca_key.public_key(), node_of(path), path, now)
        assert tier is not None
        chain_pem = certificates.to_pem(tier) + issuer.chain_pem
        authority = certificates.Authority(key=ca_key, certificate=tier, chain_pem=chain_pem)
        root_pem = parent.certificates.root_pem
    leaf = certificates.issue_leaf(issuer, key.public_key(), NETWORK, node_of(path), path, now)
    return Office(
        path=path,
        certificates=NodeCertificates(
            tls_key_pem=key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
            tls_chain_pem=certificates.to_pem(leaf) + issuer.chain_pem,
            root_pem=root_pem,
            ca_key_pem=None,
            ca_chain_pem=authority.chain_pem,
        ),
        authority=authority,
        enrolled=Enrolled(path=path, tls_sha256=certificates.key_sha256(key.public_key())),
    )


@dataclass
class Clock:
    """The time that the peer check is told."""

    now: datetime


@asynccontextmanager
async def serving(
    server: Office, known: Office, clock: Clock, roots: list[bytes] | None = None
) -> Any:
    """Serve one method behind the peer check; give the port and the peers that passed.

    `roots` are the certificates that count, and may change while it serves.
    """
    counting = [server.certificates.root_pem] if roots is None else roots
    passed: list[Peer] = []

    async def echo(request: bytes, context: Any) -> bytes:
        try:
            peer = check_peer(
                peer_chain(context.auth_context()),
                root_pem=b"".join(counting),
                network=NETWORK,
                now=clock.now,
                enrolled=lambda node: known.enrolled if node == node_of(known.path) else None,
            )
        except errors.PeerCheckError as error:
            await context.abort(grpc.StatusCode.UNAUTHENTICATED, error.code)
        passed.append(peer)
        return request

    running = grpc.aio.server()
    handlers = {"Echo": grpc.unary_unary_rpc_method_handler(echo)}
    running.add_generic_rpc_handlers(
        (grpc.method_handlers_generic_handler("yidao.test", handlers),)
    )

    def now() -> NodeCertificates:
        return replace(server.certificates, root_pem=b"".join(counting))

    port = running.add_secure_port("127.0.0.1:0", live_server_credentials(now, mutual=True))
    await running.start()
    try:
        yield port, passed
    finally:
        await running.stop(None)


def dial(
    port: int, client: NodeCertificates, path: Path, *more: tuple[str, Any]
) -> grpc.aio.Channel:
    """Return a channel to the node that should stand at `path`."""
    options = (
        ("grpc.ssl_target_name_override", target_name(path)),
        ("grpc.enable_retries", 0),
        *more,
    )
    return grpc.aio.secure_channel(f"127.0.0.1:{port}", channel_credentials(client), options)


async def call(channel: grpc.aio.Channel) -> bytes:
    """Call the method once."""
    answer: bytes = await channel.unary_unary(METHOD)(b"hello", timeout=5)
    return answer


def run(test: Callable[[], Awaitable[None]]) -> None:
    """Run a test on an event loop of its own."""
    asyncio.run(asyncio.wait_for(test(), 30))  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def tree() -> tuple[Office, Office, Office]:
    """Root, province and city."""
    root = office(None)
    province = office(root, "33")
    return root, province, office(province, "3301")


@pytest.mark.parametrize("tier", [0, 1], ids=["root and province", "province and city"])
def test_child_dials_parent(tree: tuple[Office, ...], tier: int) -> None:
    """Each child reaches its parent, which sees exactly the child's chain and knows it."""
    parent, child = tree[tier], tree[tier + 1]

    async def scene() -> None:
        async with serving(parent, child, Clock(datetime.now(UTC))) as (port, passed):
            async with dial(port, child.certificates, parent.path) as channel:
                assert await call(channel) == b"hello"
            assert [child.path] == [peer.path for peer in passed]

    run(scene)


def test_expired_on_an_open_connection(tree: tuple[Office, ...]) -> None:
    """A certificate that expires while the connection stands is refused at the next call."""
    _, province, city = tree

    async def scene() -> None:
        clock = Clock(datetime.now(UTC))
        async with (
            serving(province, city, clock) as (port, _passed),
            dial(port, city.certificates, province.path) as channel,
        ):
            assert await call(channel) == b"hello"
            clock.now += certificates.LEAF_LIFE + timedelta(minutes=1)
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await call(channel)
            assert refused.value.details() == errors.PeerCertificateExpired.code

    run(scene)


def test_expired_on_a_resumed_session(tree: tuple[Office, ...]) -> None:
    """TLS resumption, which never looks at a date, does not get round the check."""
    _, province, city = tree

    async def scene() -> None:
        clock = Clock(datetime.now(UTC))
        tickets = (
            ("grpc.ssl_session_cache", ssl_session_cache_lru(4)),
            ("grpc.use_local_subchannel_pool", 1),
        )
        async with serving(province, city, clock) as (port, passed):
            for _ in range(2):
                async with dial(port, city.certificates, province.path, *tickets) as channel:
                    assert await call(channel) == b"hello"
            # The second connection was resumed and still showed the whole chain.
            assert [city.path, city.path] == [peer.path for peer in passed]
            clock.now += certificates.LEAF_LIFE + timedelta(minutes=1)
            async with dial(port, city.certificates, province.path, *tickets) as channel:
                with pytest.raises(grpc.aio.AioRpcError) as refused:
                    await call(channel)
            assert refused.value.details() == errors.PeerCertificateExpired.code

    run(scene)


def test_revoked_on_a_resumed_session(tree: tuple[Office, ...]) -> None:
    """A node that is revoked does not come back by TLS resumption, nor by its open connection."""
    _, province, city = tree

    async def scene() -> None:
        known = replace(city)
        tickets = (
            ("grpc.ssl_session_cache", ssl_session_cache_lru(4)),
            ("grpc.use_local_subchannel_pool", 1),
        )
        async with serving(province, known, Clock(datetime.now(UTC))) as (port, passed):
            async with dial(port, city.certificates, province.path, *tickets) as channel:
                assert await call(channel) == b"hello"
            async with dial(port, city.certificates, province.path, *tickets) as channel:
                assert await call(channel) == b"hello"
                known.__dict__["enrolled"] = replace(city.enrolled, revoked=True)
                with pytest.raises(grpc.aio.AioRpcError) as refused:
                    await call(channel)
                assert refused.value.details() == errors.PeerRevoked.code
            async with dial(port, city.certificates, province.path, *tickets) as channel:
                with pytest.raises(grpc.aio.AioRpcError) as refused:
                    await call(channel)
            assert refused.value.details() == errors.PeerRevoked.code
            assert [city.path, city.path] == [peer.path for peer in passed]

    run(scene)


def test_revocation_is_told_to_the_holder_of_the_key_alone(tree: tuple[Office, ...]) -> None:
    """Another key at that path hears of a mismatch, and nothing of what became of the node."""
    _, province, city = tree
    other = office(province, "3301")
    known = replace(city, enrolled=replace(city.enrolled, revoked=True))

    async def scene() -> None:
        async with serving(province, known, Clock(datetime.now(UTC))) as (port, _passed):
            async with dial(port, other.certificates, province.path) as channel:
                with pytest.raises(grpc.aio.AioRpcError) as refused:
                    await call(channel)
            assert refused.value.details() == errors.PeerKeyMismatch.code

    run(scene)


def test_stranger_of_the_same_tree(tree: tuple[Office, ...]) -> None:
    """A node with a good certificate that is not enrolled here passes TLS and is refused."""
    _, province, city = tree
    stranger = office(province, "3302")

    async def scene() -> None:
        async with serving(province, city, Clock(datetime.now(UTC))) as (port, passed):
            async with dial(port, stranger.certificates, province.path) as channel:
                with pytest.raises(grpc.aio.AioRpcError) as refused:
                    await call(channel)
            assert refused.value.details() == errors.PeerNotEnrolled.code
            assert passed == []

    run(scene)


def test_server_that_is_another_node(tree: tuple[Office, ...]) -> None:
    """A child does not talk to a node that bears another name than its parent's."""
    root, province, city = tree
    impostor = office(root, "34")

    async def scene() -> None:
        async with serving(impostor, city, Clock(datetime.now(UTC))) as (port, passed):
            async with dial(port, city.certificates, province.path) as channel:
                with pytest.raises(grpc.aio.AioRpcError) as refused:
                    await call(channel)
            assert refused.value.code() is grpc.StatusCode.UNAVAILABLE
            assert passed == []

    run(scene)


def test_tier_that_signs_outside_its_subtree(tree: tuple[Office, ...]) -> None:
    """TLS itself refuses a server whose certificate a tier signed outside its fence."""
    _, province, city = tree
    evil = office(province, "3302")
    forged = office(province, "3303")
    leaf_key = certificates.generate_key()
    # The city of 3302 signs a certificate for the province itself.
    leaf = certificates.issue_leaf(
        evil.authority,
        leaf_key.public_key(),
        NETWORK,
        node_of(province.path),
        province.path,
        datetime.now(UTC),
    )
    pem = leaf_key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    fake = Office(
        path=province.path,
        certificates=NodeCertificates(
            tls_key_pem=pem,
            tls_chain_pem=certificates.to_pem(leaf) + evil.authority.chain_pem,
            root_pem=province.certificates.root_pem,
            ca_key_pem=None,
            ca_chain_pem=b"",
        ),
        authority=forged.authority,
        enrolled=forged.enrolled,
    )

    async def scene() -> None:
        async with serving(fake, city, Clock(datetime.now(UTC))) as (port, passed):
            async with dial(port, city.certificates, province.path) as channel:
                with pytest.raises(grpc.aio.AioRpcError) as refused:
                    await call(channel)
            assert refused.value.code() is grpc.StatusCode.UNAVAILABLE
            assert passed == []

    run(scene)


def test_client_without_certificate(tree: tuple[Office, ...]) -> None:
    """The link port lets nobody in who shows no certificate."""
    _, province, city = tree

    async def scene() -> None:
        async with serving(province, city, Clock(datetime.now(UTC))) as (port, passed):
            bare = grpc.ssl_channel_credentials(province.certificates.root_pem)
            options = (("grpc.ssl_target_name_override", target_name(province.path)),)
            async with grpc.aio.secure_channel(f"127.0.0.1:{port}", bare, options) as channel:
                with pytest.raises(grpc.aio.AioRpcError) as refused:
                    await call(channel)
            assert refused.value.code() is grpc.StatusCode.UNAVAILABLE
            assert passed == []

    run(scene)


def test_leaf_has_no_common_name(tree: tuple[Office, ...]) -> None:
    """Nothing may ever be read from a common name, so that a leaf has none."""
    leaf = x509.load_pem_x509_certificate(tree[2].certificates.tls_chain_pem)
    assert list(leaf.subject) == []


def second_root(root: Office) -> Office:
    """The same root node with its next certificate, of the same name and another key."""
    ca_key, now = certificates.generate_key(), datetime.now(UTC)
    made = certificates.issue_root(ca_key, NETWORK, now)
    authority = certificates.Authority(key=ca_key, certificate=made, chain_pem=b"")
    shown = replace(root.certificates, root_pem=certificates.to_pem(made))
    return replace(root, authority=authority, certificates=shown)


def test_a_new_root_certificate_is_accepted_while_the_server_runs(
    tree: tuple[Office, Office, Office],
) -> None:
    """A child under the next root is let in once the list names it, and out once it does not."""
    root = tree[0]
    later = second_root(root)
    both = later.certificates.root_pem + root.certificates.root_pem
    child = office(later, "44")
    shown = replace(child.certificates, root_pem=both)

    async def test() -> None:
        roots = [root.certificates.root_pem]
        async with serving(root, child, Clock(datetime.now(UTC)), roots) as (port, passed):

            async def answered() -> bool:
                # A connection of its own, with no session to resume.
                alone = ("grpc.use_local_subchannel_pool", 1)
                async with dial(port, shown, root.path, alone) as channel:
                    try:
                        return await call(channel) == b"hello"
                    except grpc.aio.AioRpcError:
                        return False

            assert not await answered()
            roots.insert(0, later.certificates.root_pem)
            assert await answered()
            assert [peer.path for peer in passed] == [child.path]
            roots.remove(later.certificates.root_pem)
            assert not await answered()

    run(test)


def test_what_a_chain_proved_is_remembered_no_longer_than_it_holds(
    tree: tuple[Office, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Under the same roots and within all lives it is not verified again; else it is."""
    city = tree[-1]
    roots, chain = city.certificates.root_pem, city.certificates.tls_chain_pem
    verified: list[bytes] = []

    def counted(chain_pem: bytes, **given: Any) -> Proved:
        verified.append(given["root_pem"])
        return prove_chain(chain_pem, **given)

    monkeypatch.setattr("yidao.node.link.peercheck.prove_chain", counted)
    proved, now = ProvedChains(limit=1), datetime.now(UTC)

    def prove(root_pem: bytes, when: datetime, chain_pem: bytes = chain) -> Proved:
        return proved.prove(chain_pem, root_pem=root_pem, network=NETWORK, now=when)

    assert prove(roots, now) is prove(roots, now)
    assert len(verified) == 1
    with pytest.raises(errors.PeerCertificateExpired):
        prove(roots, now + timedelta(days=4_000))
    assert prove(roots, now).path == city.path
    stranger = office(None)
    with pytest.raises(errors.PeerChainUntrusted):
        prove(stranger.certificates.root_pem, now)
    assert len(verified) == 3
    # The oldest is forgotten first.
    prove(roots, now, tree[0].certificates.tls_chain_pem)
    prove(roots, now)
    assert len(verified) == 5
