"""People decide who joins, and codes lead to the parent: real stores, real TLS on loopback."""

import asyncio
import os
from collections.abc import Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path as FilePath
from typing import Any, TypeVar

import pytest

from yidao.api.errors import YidaoError
from yidao.api.link.v1 import link_pb2
from yidao.node.admissions import (
    Admissions,
    ReasonUnfit,
    ReenrolmentNeedless,
    ReenrolmentNotAsked,
    RequestDecided,
    RequestUnknown,
)
from yidao.node.clock import system_clock_ms, utc
from yidao.node.datadir import prepare
from yidao.node.demo.tree import free_ports
from yidao.node.keys import Identity, KeyFolder
from yidao.node.link import errors, invitation
from yidao.node.link.admission import Admission, Policy, load_authority
from yidao.node.link.certificates import generate_key
from yidao.node.link.founding import found_network, record_founding
from yidao.node.link.invitation import Invitations
from yidao.node.link.join import join
from yidao.node.link.joinbycode import bundle_by_code
from yidao.node.link.joincode import parse_code
from yidao.node.link.joinrequest import ChildKeys, make_request
from yidao.node.link.joinserver import join_server
from yidao.node.link.renewal import Renewals
from yidao.node.link.tokens import Anchor, ChildTokens, find_token
from yidao.node.revocations import Revocations
from yidao.node.store.store import Store
from yidao.sync.admissionerrors import FourEyesNeeded
from yidao.sync.approval import Claim
from yidao.sync.ids import Path
from yidao.sync.suite import Ed25519Signer

T = TypeVar("T")
HOUR_MS = 3_600_000
TLS = generate_key()
CA = generate_key()


def new_keys() -> ChildKeys:
    """Keys of a child; those of TLS are shared, since making them is slow."""
    signers = [Ed25519Signer(os.urandom(32)) for _ in range(2)]
    return ChildKeys(tls=TLS, ca=CA, journal=signers[0], cosign=signers[1])


class Clock:
    """The wall clock, and a hand to turn it."""

    offset_ms = 0

    def __call__(self) -> int:
        return system_clock_ms() + self.offset_ms


@dataclass
class Root:
    """A root whose operators decide who comes in."""

    folder: KeyFolder
    identity: Identity
    store: Store
    clock: Clock
    admission: Admission
    desk: Admissions

    def anchor(self) -> Anchor:
        return Anchor(
            root_pem=self.folder.load_certificates().root_pem,
            statement=self.folder.load_chain().statement,
        )

    @property
    def tokens(self) -> ChildTokens:
        return ChildTokens(
            store=self.store,
            identity=self.identity,
            anchor=self.anchor,
            clock_ms=self.clock,
            random=os.urandom,
        )

    def request(self, label: str = "33", life: timedelta = timedelta(days=1)) -> Any:
        """A good request with a token of its own."""
        bundle = self.tokens.add(
            Path((label,)),
            operator="admin",
            life=life,
            join_addresses=("127.0.0.1:1",),
            link_address="127.0.0.1:2",
        )
        keys = ChildKeys(
            tls=TLS,
            ca=CA,
            journal=Ed25519Signer(os.urandom(32)),
            cosign=Ed25519Signer(os.urandom(32)),
        )
        return make_request(bundle, os.urandom(16), keys)  # type: ignore[arg-type]

    def ask(self, request: link_pb2.JoinRequest) -> str:
        """What the parent says: a code, or `joined`."""
        try:
            asyncio.run(self.admission.admit(request, "caller"))
        except errors.JoinRefusal as refusal:
            return refusal.code
        return "joined"

    def decide(self, request: str, *, approved: bool = True, **more: str) -> Claim:
        given = {"operator": "admin@/", "reason": "" if approved else "no such office"} | more
        return asyncio.run(self.desk.decide(request, approved=approved, **given))

    def only(self) -> Any:
        (found,) = self.desk.open_requests()
        return found

    def problems(self) -> set[str]:
        return {problem.code for problem in self.store.problems()}


def made_root(folder: FilePath, *, approve: bool) -> Root:
    """Found a network."""
    data_dir, clock = prepare(folder), Clock()
    identity = found_network(data_dir, now=utc(clock()), random=os.urandom)
    keys = KeyFolder(data_dir)
    store = Store.open(f"sqlite:///{data_dir}/store.db", clock_ms=clock, random=os.urandom)
    store.bind(identity)
    store.start()
    record_founding(store, keys, identity)
    admission = Admission(
        store=store,
        identity=identity,
        chain=keys.load_chain,
        authority=load_authority(keys.load_certificates()),
        clock_ms=clock,
        policy=Policy(attempts_per_minute=4, approve=approve, request_ms=48 * HOUR_MS),
    )
    return Root(keys, identity, store, clock, admission, Admissions(store, clock, os.urandom))


@pytest.fixture
def root(tmp_path: FilePath) -> Iterator[Root]:
    made = made_root(tmp_path / "root", approve=True)
    yield made
    made.store.close()


def test_a_valid_token_waits_for_a_yes_and_the_same_request_comes_in(root: Root) -> None:
    """It may ask as often as it likes; nothing is issued and nothing enrolled until then."""
    request = root.request()
    for _ in range(12):
        assert root.ask(request) == "JOIN_WAITING"
    assert [node.path.depth for node in root.store.enrolments()] == [0]
    assert root.problems() == {"JOIN_WAITS"}
    waits = root.only()
    assert (waits.kind, waits.state, str(waits.claim.path)) == ("join", "waiting", "/33")
    root.decide(waits.claim.claim_id)
    assert root.only().state == "approved"
    assert root.ask(request) == "joined"
    assert root.ask(request) == "joined"
    (_, child) = root.store.enrolments()
    assert child.node_id == waits.claim.node_id
    assert root.desk.open_requests() == ()
    assert root.problems() == set()


def test_the_yes_is_to_exactly_that_request(root: Root) -> None:
    """Who has the token and comes with other keys is refused, and somebody is told."""
    request = root.request()
    root.ask(request)
    root.decide(root.only().claim.claim_id)
    body = link_pb2.JoinBody.FromString(request.body)
    thief = _thief(root, request, body)
    assert root.ask(thief) == "JOIN_TOKEN_USED"
    assert "JOIN_TOKEN_REUSED" in root.problems()
    assert root.ask(request) == "joined"


def _thief(root: Root, request: link_pb2.JoinRequest, body: link_pb2.JoinBody) -> Any:
    """A request by the same token with other keys."""
    with root.store.read() as conn:
        token = find_token(conn, body.token_id)
    assert token is not None
    assert token.secret is not None
    bundle = root.tokens.add(
        Path(("77",)),
        operator="admin",
        life=timedelta(days=1),
        join_addresses=("127.0.0.1:1",),
        link_address="127.0.0.1:2",
    )
    stolen = replace(bundle, token_id=body.token_id, secret=token.secret, path=Path(("33",)))
    keys = ChildKeys(
        tls=TLS, ca=CA, journal=Ed25519Signer(b"x" * 32), cosign=Ed25519Signer(b"y" * 32)
    )
    return make_request(stolen, os.urandom(16), keys)  # type: ignore[arg-type]


def test_a_no_is_told_with_its_reason_and_stays(root: Root) -> None:
    """The child hears why; a yes comes too late."""
    request = root.request()
    root.ask(request)
    claim_id = root.only().claim.claim_id
    for reason in ("", " ", "x" * 201, "two\nlines", "\x1b[31m"):
        with pytest.raises(ReasonUnfit):
            root.decide(claim_id, approved=False, reason=reason)
    root.decide(claim_id, approved=False)
    with pytest.raises(errors.JoinRejected) as refused:
        asyncio.run(root.admission.admit(request, "caller"))
    assert refused.value.params == {"reason": "no such office"}
    with pytest.raises(RequestDecided):
        root.decide(claim_id)
    with pytest.raises(RequestUnknown):
        root.decide("0" * 16)
    assert root.ask(request) == "JOIN_REJECTED"
    assert root.problems() == set()


def test_a_request_outlives_its_token_and_ends_by_itself(root: Root) -> None:
    """The token was for an hour, the operator has two days; then a yes comes too late."""
    late = root.request("44", timedelta(hours=1))
    request = root.request("33", timedelta(hours=1))
    root.ask(request)
    claim_id = root.only().claim.claim_id
    root.clock.offset_ms = 2 * HOUR_MS
    assert root.ask(late) == "JOIN_TOKEN_EXPIRED"
    assert root.ask(request) == "JOIN_WAITING"
    longer = root.request("55", timedelta(days=9))
    root.ask(longer)
    root.clock.offset_ms = 51 * HOUR_MS
    with pytest.raises(RequestDecided):
        root.decide(claim_id)
    assert root.desk.open_requests() == ()
    assert root.problems() == {"JOIN_WAITS"}
    asyncio.run(root.desk.close_expired())
    assert root.problems() == set()
    assert root.ask(request) == "JOIN_TOKEN_EXPIRED"
    assert root.ask(longer) == "JOIN_REQUEST_EXPIRED"


def test_wrong_requests_do_not_wait(root: Root) -> None:
    """Only who knows the secret and proves its keys troubles an operator."""
    request = root.request()
    request.mac = bytes(32)
    assert root.ask(request) == "JOIN_MAC_WRONG"
    request = root.request()
    request.journal_key_proof = bytes(64)
    assert root.ask(request) == "JOIN_MAC_WRONG" or root.ask(request) == "JOIN_KEY_UNFIT"
    assert root.desk.open_requests() == ()
    assert root.problems() == set()


def test_in_a_revoked_nodes_place_two_operators_of_the_root_must_agree(root: Root) -> None:
    """The one who asks cannot approve; rejected by the second, it stays rejected."""
    first = root.request()
    root.ask(first)
    root.decide(root.only().claim.claim_id)
    assert root.ask(first) == "joined"
    with pytest.raises(ReenrolmentNotAsked):
        _ask_above(root)
    revoke(root)
    second = root.request()
    assert root.ask(second) == "JOIN_WAITING"
    waits = root.only()
    assert waits.state == "above"
    # A yes as to any other node is not enough.
    root.decide(waits.claim.claim_id)
    assert root.ask(second) == "JOIN_WAITING"
    _ask_above(root)
    assert "REENROLMENT_ASKED" in root.problems()
    with pytest.raises(FourEyesNeeded):
        root.decide(waits.claim.claim_id)
    assert root.ask(second) == "JOIN_WAITING"
    root.decide(waits.claim.claim_id, operator="second@/")
    assert root.ask(second) == "joined"
    assert root.problems() == set()
    standing = root.store.enrolled_at(Path(("33",)))
    assert standing is not None
    assert standing.node_id == waits.claim.node_id


def test_what_needs_nobody_above_is_not_asked(root: Root) -> None:
    """At a path where nobody stood the parent's own yes is enough; a no above is told."""
    root.ask(root.request())
    with pytest.raises(ReenrolmentNeedless):
        _ask_above(root)
    root.decide(root.only().claim.claim_id, approved=False)
    first = root.request()
    root.ask(first)
    root.decide(root.only().claim.claim_id)
    root.ask(first)
    revoke(root)
    second = root.request()
    root.ask(second)
    _ask_above(root)
    root.decide(root.desk.open_requests()[-1].claim.claim_id, approved=False, operator="second@/")
    assert root.ask(second) == "JOIN_REJECTED"


def _ask_above(root: Root) -> Claim:
    path = Path(("33",))
    return asyncio.run(root.desk.ask_above(path, operator="admin@/", reason="key stolen"))


def revoke(root: Root) -> None:
    """Revoke /33; there are no streams to close."""

    async def nobody() -> None:
        pass

    revocations = Revocations(root.store, root.clock, os.urandom, nobody)
    asyncio.run(revocations.revoke(Path(("33",)), reason="key-stolen", operator="admin@/"))


# By a code, over the wire.


@asynccontextmanager
async def serving(root: Root) -> Any:
    """Serve the join port; give its address."""
    address = f"127.0.0.1:{free_ports(1)[0]}"
    certificates = root.folder.load_certificates()
    invitations = Invitations(
        store=root.store,
        identity=root.identity,
        anchor=root.anchor,
        link_address="127.0.0.1:2",
        test_network=True,
        clock_ms=root.clock,
    )
    renewals = Renewals(
        store=root.store,
        identity=root.identity,
        authority=lambda: load_authority(certificates),
        root_pem=certificates.root_pem,
        clock_ms=root.clock,
        ended_days=0,
    )
    server = join_server(root.admission, invitations, renewals, lambda: certificates, address)
    await server.start()
    try:
        yield address
    finally:
        await server.stop(None)


def run(scene: Callable[[], Awaitable[T]]) -> T:
    """Run a scene on an event loop of its own."""

    async def limited() -> T:
        return await asyncio.wait_for(scene(), 60)

    return asyncio.run(limited())


def test_a_code_leads_in_and_the_child_waits_where_it_must(root: Root, tmp_path: FilePath) -> None:
    """From 63 characters and an address to a node; operator and child see one fingerprint."""
    code = root.tokens.add_code(Path(("33",)), operator="admin", life=timedelta(days=1))
    waited: list[str] = []

    async def pause(claim: Claim) -> datetime:
        waited.append(claim.fingerprint)
        (found,) = root.desk.open_requests()
        assert found.claim == claim
        await root.desk.decide(claim.claim_id, approved=True, operator="admin@/")
        return utc(root.clock())

    async def scene() -> Identity:
        async with serving(root) as address:
            bundle = await bundle_by_code(parse_code(code.format()), address, random=os.urandom)
            assert (bundle.path, bundle.link_address) == (Path(("33",)), "127.0.0.1:2")
            assert bundle.test_network
            folder = prepare(tmp_path / "child")
            # Stopped while it waits, and run again: the same request.
            with pytest.raises(errors.JoinWaiting):
                await join(bundle, folder, now=utc(root.clock()), random=os.urandom)
            return await join(bundle, folder, now=utc(root.clock()), random=os.urandom, pause=pause)

    identity = run(scene)
    assert identity.path == Path(("33",))
    assert len(waited) == 1


def test_a_no_reaches_the_child_with_its_reason(root: Root, tmp_path: FilePath) -> None:
    """Over the wire too, as one plain line."""
    bundle = root.tokens.add(
        Path(("33",)),
        operator="admin",
        life=timedelta(days=1),
        join_addresses=("127.0.0.1:1",),
        link_address="127.0.0.1:2",
    )

    async def pause(claim: Claim) -> datetime:
        await root.desk.decide(claim.claim_id, approved=False, operator="a@/", reason="指纹不符")
        return utc(root.clock())

    async def scene() -> None:
        async with serving(root) as address:
            here = replace(bundle, addresses=(address,))
            folder = prepare(tmp_path / "child")
            await join(here, folder, now=utc(root.clock()), random=os.urandom, pause=pause)

    with pytest.raises(errors.JoinRejected) as refused:
        run(scene)
    assert refused.value.params == {"reason": "指纹不符"}


def _other_pin(root: Root, text: str) -> Any:
    return replace(parse_code(text), pin="0" * 20)


LIARS: dict[str, tuple[type[YidaoError], Callable[[Root, str], Any]]] = {
    "another network answers": (errors.JoinRootMismatch, _other_pin),
    "the parent never made that token": (
        errors.JoinTokenUnknown,
        lambda _root, text: replace(parse_code(text), token=b"other"),
    ),
    "who answers does not know the secret": (
        errors.JoinInvitationInvalid,
        lambda _root, text: replace(parse_code(text), secret=b"s" * 16),
    ),
}


@pytest.mark.parametrize(("error", "typed"), LIARS.values(), ids=LIARS)
def test_whoever_else_answers_is_found_out_before_anything_is_sent(
    root: Root, error: type[YidaoError], typed: Callable[[Root, str], Any]
) -> None:
    """No request to join is made, and no key."""
    code = root.tokens.add_code(Path(("33",)), operator="admin", life=timedelta(days=1))

    async def scene() -> None:
        async with serving(root) as address:
            await bundle_by_code(typed(root, code.format()), address, random=os.urandom)

    with pytest.raises(error):
        run(scene)
    assert root.desk.open_requests() == ()


def test_another_node_of_the_tree_cannot_lead_a_child_elsewhere(
    root: Root, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has a certificate under the right root, and not the secret that its answer needs."""
    code = root.tokens.add_code(Path(("33",)), operator="admin", life=timedelta(days=1))
    honest = invitation.invitation_mac
    monkeypatch.setattr(
        invitation, "invitation_mac", lambda _secret, nonce, body: honest(bytes(32), nonce, body)
    )

    async def scene() -> None:
        async with serving(root) as address:
            await bundle_by_code(code, address, random=os.urandom)

    with pytest.raises(errors.JoinInvitationInvalid):
        run(scene)


def test_nobody_or_no_tls_at_the_address_is_said(root: Root) -> None:
    """As the bundle's way says it."""

    async def deaf(_reader: Any, writer: Any) -> None:
        writer.write(b"220 sample mail server\r\n")
        writer.close()

    async def scene() -> list[str]:
        code = root.tokens.add_code(Path(("33",)), operator="admin", life=timedelta(days=1))
        other = await asyncio.start_server(deaf, "127.0.0.1", 0)
        ports = [free_ports(1)[0], other.sockets[0].getsockname()[1]]
        found = []
        for port in ports:
            with pytest.raises(errors.JoinUnreachable) as raised:
                await bundle_by_code(code, f"127.0.0.1:{port}", random=os.urandom)
            found.append(str(raised.value.params["reason"]))
        other.close()
        return found

    assert all(run(scene))
