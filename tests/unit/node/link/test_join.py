"""Founding a network and joining it, end to end: real stores, real TLS on loopback."""

import asyncio
import hashlib
import os
from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path as FilePath
from typing import Any, TypeVar

import orjson
import pytest
from sqlalchemy import select

from yidao.api.link.v1 import link_pb2
from yidao.node import errors as node_errors
from yidao.node.clock import system_clock_ms, utc
from yidao.node.datadir import prepare
from yidao.node.demo.tree import free_ports
from yidao.node.keys import IDENTITY, JOURNAL_KEY, TLS_KEY, Identity, KeyFolder
from yidao.node.link import errors, join, joinrequest, tokens
from yidao.node.link.admission import (
    Admission,
    Attempts,
    Policy,
    _to_proto,
    load_authority,
)
from yidao.node.link.bundle import JoinBundle
from yidao.node.link.certificates import generate_key
from yidao.node.link.founding import found_network, record_founding
from yidao.node.link.invitation import Invitations
from yidao.node.link.joinrequest import ChildKeys, make_request
from yidao.node.link.joinserver import join_server
from yidao.node.link.renewal import Renewals
from yidao.node.store.store import Store
from yidao.node.store.tables import join_token
from yidao.sync.enrolment import KIND, Enrolment, verify_chain
from yidao.sync.ids import JournalId, NetworkId, NodeId, Path, RecordId
from yidao.sync.journal import JournalState, seal
from yidao.sync.message import EnrolmentProof
from yidao.sync.proof import TlogProof
from yidao.sync.record import Header, Part
from yidao.sync.suite import Ed25519Signer

T = TypeVar("T")
JOURNAL = Ed25519Signer(bytes(range(32)))
TLS = generate_key()
DAY = timedelta(days=1)


class Clock:
    """The wall clock, and a hand to turn it."""

    def __init__(self) -> None:
        self.offset_ms = 0

    def __call__(self) -> int:
        return system_clock_ms() + self.offset_ms


@dataclass
class Parent:
    """A node that children can join, with its store open."""

    folder: KeyFolder
    identity: Identity
    store: Store
    clock: Clock
    admission: Admission

    def bundle(self, label: str, port: int = 1, life: timedelta = DAY) -> JoinBundle:
        """Give out a bundle for a child."""
        return self.tokens.add(
            self.identity.path.child(label),
            operator="管理员",
            life=life,
            join_addresses=(f"127.0.0.1:{port}",),
            link_address="127.0.0.1:2",
        )

    @property
    def tokens(self) -> tokens.ChildTokens:
        """Where bundles come from."""
        return tokens.ChildTokens(
            store=self.store,
            identity=self.identity,
            anchor=lambda: tokens.Anchor(
                root_pem=self.folder.load_certificates().root_pem,
                statement=self.folder.load_chain().statement,
            ),
            clock_ms=self.clock,
            random=os.urandom,
        )

    @property
    def enrolled_children(self) -> int:
        """How many enrolments of others this node's store has."""
        return sum(1 for node in self.store.enrolments() if node.path.parent == self.identity.path)

    def problem_codes(self) -> set[str]:
        """Codes of the problems that are open."""
        return {problem.code for problem in self.store.problems()}


def open_parent(data_dir: FilePath, identity: Identity, clock: Clock) -> Parent:
    """Open a node's store and make it ready to admit children."""
    folder = KeyFolder(data_dir)
    store = Store.open(f"sqlite:///{data_dir}/store.db", clock_ms=clock, random=os.urandom)
    if identity.path == Path():
        store.bind(identity)
        store.start()
        record_founding(store, folder, identity)
    else:
        chain = folder.load_chain()
        enrolments = verify_chain(
            folder.load_certificates().root_pem, chain.statement, chain.proofs
        )
        store.bind(identity, enrolments)
        store.start()
    admission = Admission(
        store=store,
        identity=identity,
        chain=folder.load_chain,
        authority=load_authority(folder.load_certificates()),
        clock_ms=clock,
        policy=Policy(attempts_per_minute=1000),
    )
    return Parent(folder, identity, store, clock, admission)


@pytest.fixture
def root(tmp_path: FilePath) -> Any:
    """A newly founded network's root."""
    data_dir = prepare(tmp_path / "root")
    clock = Clock()
    identity = found_network(data_dir, now=utc(clock()), random=os.urandom)
    parent = open_parent(data_dir, identity, clock)
    yield parent
    parent.store.close()


@asynccontextmanager
async def serving(parent: Parent) -> Any:
    """Serve the parent's join port; give its number."""
    (port,) = free_ports(1)
    address = f"127.0.0.1:{port}"
    certificates = parent.folder.load_certificates()
    invitations = Invitations(
        store=parent.store,
        identity=parent.identity,
        anchor=lambda: tokens.Anchor(
            root_pem=certificates.root_pem, statement=parent.folder.load_chain().statement
        ),
        link_address="127.0.0.1:2",
        test_network=False,
        clock_ms=parent.clock,
    )
    renewals = Renewals(
        store=parent.store,
        identity=parent.identity,
        authority=lambda: load_authority(certificates),
        root_pem=certificates.root_pem,
        clock_ms=parent.clock,
        ended_days=0,
    )
    server = join_server(parent.admission, invitations, renewals, lambda: certificates, address)
    await server.start()
    try:
        yield port
    finally:
        await server.stop(None)


def run(scene: Callable[[], Awaitable[T]]) -> T:
    """Run a scene on an event loop of its own."""

    async def limited() -> T:
        return await asyncio.wait_for(scene(), 60)

    return asyncio.run(limited())


def request_for(
    bundle: JoinBundle, node_id: bytes = b"n" * 16, **given: Any
) -> link_pb2.JoinRequest:
    """Return a good request with new keys, but for those that are given."""
    keys = {
        "tls": generate_key(),
        "ca": generate_key(),
        "journal": Ed25519Signer(os.urandom(32)),
        "cosign": Ed25519Signer(os.urandom(32)),
    }
    return make_request(bundle, NodeId(node_id), ChildKeys(**(keys | given)))


def admit(parent: Parent, *requests: link_pb2.JoinRequest) -> list[Any]:
    """Hand requests to the parent at once; return answers or errors."""

    async def scene() -> list[Any]:
        calls = (parent.admission.admit(request, "caller") for request in requests)
        return await asyncio.gather(*calls, return_exceptions=True)

    return run(scene)


def test_root_province_city(root: Parent, tmp_path: FilePath) -> None:
    """A province joins the root and a city the province; each chain verifies from the root."""

    async def province_joins() -> Identity:
        async with serving(root) as port:
            bundle = root.bundle("33", port)
            data_dir = prepare(tmp_path / "province")
            return await join.join(bundle, data_dir, now=utc(root.clock()), random=os.urandom)

    identity = run(province_joins)
    province = open_parent(tmp_path / "province", identity, root.clock)
    try:
        assert Path(("33",)) == identity.path
        assert root.enrolled_children == 1

        async def city_joins() -> Identity:
            async with serving(province) as port:
                data_dir = prepare(tmp_path / "city")
                bundle = province.bundle("3301", port)
                return await join.join(bundle, data_dir, now=utc(root.clock()), random=os.urandom)

        city = run(city_joins)
    finally:
        province.store.close()
    folder = KeyFolder(tmp_path / "city")
    chain = folder.load_chain()
    enrolled = verify_chain(root.folder.load_certificates().root_pem, chain.statement, chain.proofs)
    assert [str(each.path) for each in enrolled] == ["/", "/33", "/33/3301"]
    assert (city.node_id, city.journal.public_key) == (
        enrolled[-1].node_id,
        enrolled[-1].journal_key,
    )
    assert f"管理员@{identity.path}" == enrolled[-1].operator
    again = folder.load_identity()
    assert (city.path, city.cosign.public_key) == (again.path, again.cosign.public_key)
    left = {path.name for path in folder.path.iterdir()}
    assert left.isdisjoint({join.REQUEST, join.ANSWER})


def test_founding_twice(root: Parent, tmp_path: FilePath) -> None:
    """A folder with a node is never founded again, and founding is recorded once."""
    with pytest.raises(node_errors.AlreadyEnrolled):
        found_network(tmp_path / "root", now=utc(root.clock()), random=os.urandom)
    before = root.store.last_position()
    first = root.folder.load_chain()
    record_founding(root.store, root.folder, root.identity)
    assert before == root.store.last_position()
    assert first.proofs[0].header == root.folder.load_chain().proofs[0].header


def test_founding_cut_short(tmp_path: FilePath) -> None:
    """A founding that stopped before the identity was written begins again with new keys."""
    data_dir = prepare(tmp_path / "root")
    KeyFolder.create(data_dir).write_signer(JOURNAL_KEY, bytes(32))
    identity = found_network(data_dir, now=utc(system_clock_ms()), random=os.urandom)
    assert Ed25519Signer(bytes(32)).public_key != identity.journal.public_key


def test_ten_at_once(root: Parent) -> None:
    """Ten requests with one token at once: one certificate, one enrolment, nine refusals."""
    bundle = root.bundle("33")
    outcomes = admit(root, *(request_for(bundle, bytes([n]) * 16) for n in range(10)))
    granted = [each for each in outcomes if isinstance(each, link_pb2.JoinResponse)]
    assert len(granted) == 1
    assert sum(isinstance(each, errors.JoinTokenUsed) for each in outcomes) == 9
    assert root.enrolled_children == 1
    kinds = [record.header.kind for record in root.store.records(0, 100)]
    assert kinds.count(KIND) == 2  # the root's own and the child's
    assert "JOIN_TOKEN_REUSED" in root.problem_codes()


def test_two_writers_on_one_token(root: Parent, monkeypatch: pytest.MonkeyPatch) -> None:
    """A token that another daemon spends after the look is not spent again, nor recorded."""
    bundle = root.bundle("33")
    with root.store.read() as connection:
        unspent = tokens.find_token(connection, bundle.token_id)
    admit(root, request_for(bundle))
    before = root.store.last_position()
    monkeypatch.setattr(tokens, "find_token", lambda *_: unspent)
    monkeypatch.setattr(tokens, "is_taken", lambda *_: False)
    (refusal,) = admit(root, request_for(bundle, b"m" * 16))
    assert isinstance(refusal, errors.JoinTokenUsed)
    assert before == root.store.last_position()


def test_ten_at_once_over_the_wire(root: Parent, tmp_path: FilePath) -> None:
    """Ten machines with copies of one bundle: one becomes the child, nine are told why not."""

    async def scene() -> list[Any]:
        async with serving(root) as port:
            bundle = root.bundle("33", port)
            now = utc(root.clock())
            joins = (
                join.join(bundle, prepare(tmp_path / f"{n}"), now=now, random=os.urandom)
                for n in range(10)
            )
            return await asyncio.gather(*joins, return_exceptions=True)

    outcomes = run(scene)
    assert sum(isinstance(each, Identity) for each in outcomes) == 1
    assert sum(isinstance(each, errors.JoinTokenUsed) for each in outcomes) == 9
    enrolled = [n for n in range(10) if KeyFolder(tmp_path / f"{n}").is_enrolled()]
    assert 1 == len(enrolled) == root.enrolled_children


def test_expired_over_the_wire(root: Parent, tmp_path: FilePath) -> None:
    """A child whose own clock lags is told by the parent that the bundle is too old."""

    async def scene() -> None:
        async with serving(root) as port:
            bundle = root.bundle("33", port)
            root.clock.offset_ms += 2 * 86_400_000
            with pytest.raises(errors.JoinTokenExpired):
                await join.join(
                    bundle,
                    prepare(tmp_path / "child"),
                    now=utc(system_clock_ms()),
                    random=os.urandom,
                )

    run(scene)


def test_same_request_again(root: Parent) -> None:
    """A repeated request gets the same certificates, and nothing is enrolled twice."""
    request = request_for(root.bundle("33"))
    first, second, third = admit(root, request, request, request)
    root.clock.offset_ms += tokens.REPEAT_WINDOW_MS - 5_000
    (last,) = admit(root, request)
    assert first.tls_chain == second.tls_chain == third.tls_chain == last.tls_chain
    assert first.ca_chain == last.ca_chain
    assert first.chain == last.chain
    assert root.enrolled_children == 1
    assert set() == root.problem_codes()


def test_same_request_too_late(root: Parent) -> None:
    """After ten minutes even the same request is refused, and the operator is told."""
    request = request_for(root.bundle("33"))
    admit(root, request)
    root.clock.offset_ms += tokens.REPEAT_WINDOW_MS
    (late,) = admit(root, request)
    assert isinstance(late, errors.JoinTokenUsed)
    assert {"JOIN_TOKEN_REUSED"} == root.problem_codes()


def resign(request: link_pb2.JoinRequest, **fields: Any) -> link_pb2.JoinRequest:
    """Return a copy with fields of the request itself replaced."""
    copy = link_pb2.JoinRequest()
    copy.CopyFrom(request)
    for name, value in fields.items():
        setattr(copy, name, value)
    return copy


def rebody(bundle: JoinBundle, **fields: Any) -> link_pb2.JoinRequest:
    """Return a request whose body was changed before it was sealed with the secret."""
    keys = ChildKeys(
        tls=generate_key(),
        ca=generate_key(),
        journal=Ed25519Signer(bytes([7]) * 32),
        cosign=Ed25519Signer(bytes([8]) * 32),
    )
    body = link_pb2.JoinBody.FromString(make_request(bundle, NodeId(b"n" * 16), keys).body)
    for name, value in fields.items():
        setattr(body, name, value)
    data = body.SerializeToString()
    return link_pb2.JoinRequest(
        body=data,
        mac=joinrequest._mac(bundle.secret, data),
        journal_key_proof=keys.journal.sign(joinrequest.PROOF_PREFIX + data),
        cosign_key_proof=keys.cosign.sign(joinrequest.PROOF_PREFIX + data),
    )


IDENTITY_POINT = b"\x01" + bytes(31)
BAD_REQUESTS: dict[
    str, tuple[Callable[[JoinBundle], link_pb2.JoinRequest], type[errors.JoinRefusal]]
] = {
    "83 nothing": (lambda _: link_pb2.JoinRequest(), errors.JoinRequestMalformed),
    "83 a body that is too long": (
        lambda b: resign(request_for(b), body=bytes(9000)),
        errors.JoinRequestMalformed,
    ),
    "83 a body that is junk": (
        lambda b: resign(request_for(b), body=b"\xff\xff"),
        errors.JoinRequestMalformed,
    ),
    "83 a short MAC": (
        lambda b: resign(request_for(b), mac=b"x" * 31),
        errors.JoinRequestMalformed,
    ),
    "83 a node id of 15 bytes": (
        lambda b: rebody(b, node_id=b"n" * 15),
        errors.JoinRequestMalformed,
    ),
    "83 a path with two dots": (
        lambda b: rebody(b, path="/33/../34"),
        errors.JoinRequestMalformed,
    ),
    "83 a token id that is not there": (
        lambda b: rebody(b, token_id="0" * 16),
        errors.JoinTokenUnknown,
    ),
    "83 a token id in upper case": (
        lambda b: rebody(b, token_id=b.token_id.upper() + "A"),
        errors.JoinTokenUnknown,
    ),
    "83 a token id of another script": (
        lambda b: rebody(b, token_id="１" * 16),
        errors.JoinTokenUnknown,
    ),
    "83 a wrong MAC": (
        lambda b: resign(request_for(b), mac=bytes(32)),
        errors.JoinMacWrong,
    ),
    "83 a MAC of another body": (
        lambda b: resign(request_for(b), body=request_for(b).body),
        errors.JoinMacWrong,
    ),
    "83 a secret in upper case hex": (
        lambda b: request_for(replace(b, secret=b.secret.hex().upper().encode())),
        errors.JoinMacWrong,
    ),
    "83 another network": (
        lambda b: rebody(b, network=bytes(16)),
        errors.JoinNetworkMismatch,
    ),
    "83 another path": (lambda b: rebody(b, path="/34"), errors.JoinPathMismatch),
    "83 the path of a grandchild": (
        lambda b: rebody(b, path="/33/3301"),
        errors.JoinPathMismatch,
    ),
    "83 the root's path": (lambda b: rebody(b, path="/"), errors.JoinPathMismatch),
    "82 no proof of the journal key": (
        lambda b: resign(request_for(b), journal_key_proof=bytes(64)),
        errors.JoinKeyUnfit,
    ),
    "82 no proof of the cosigning key": (
        lambda b: resign(request_for(b), cosign_key_proof=bytes(64)),
        errors.JoinKeyUnfit,
    ),
    "82 somebody else's journal key": (
        lambda b: rebody(b, journal_key=Ed25519Signer(bytes(32)).public_key),
        errors.JoinKeyUnfit,
    ),
    "44 a key of small order": (
        lambda b: resign(
            rebody(b, journal_key=IDENTITY_POINT), journal_key_proof=IDENTITY_POINT + bytes(32)
        ),
        errors.JoinKeyUnfit,
    ),
    "82 one key for journal and cosigning": (
        lambda b: request_for(b, cosign=JOURNAL, journal=JOURNAL),
        errors.JoinKeyUnfit,
    ),
    "82 one key for TLS and authority": (
        lambda b: request_for(b, tls=TLS, ca=TLS),
        errors.JoinKeyUnfit,
    ),
    "82 a suite that is not known": (
        lambda b: rebody(b, suite=9),
        errors.JoinSuiteUnsupported,
    ),
    "82 the suite of second cosignatures alone": (
        lambda b: rebody(b, suite=4),
        errors.JoinSuiteUnsupported,
    ),
    "82 keys of another suite than they say": (
        lambda b: rebody(b, suite=3),
        errors.JoinKeyUnfit,
    ),
    "82 a second key without its proof": (
        lambda b: rebody(b, cosign_pq_key=bytes(1312)),
        errors.JoinRequestMalformed,
    ),
    "82 a certificate request that is junk": (
        lambda b: rebody(b, tls_csr=b"x"),
        errors.JoinCsrInvalid,
    ),
    "82 no certificate request": (lambda b: rebody(b, tls_csr=b""), errors.JoinCsrInvalid),
}


@pytest.mark.parametrize("row", BAD_REQUESTS)
def test_bad_request(root: Parent, row: str) -> None:
    """A request with one thing wrong is refused by name and spends nothing."""
    make, expected = BAD_REQUESTS[row]
    bundle = root.bundle("33")
    before = root.store.last_position()
    (refusal,) = admit(root, make(bundle))
    assert expected is type(refusal)
    assert before == root.store.last_position()
    (granted,) = admit(root, request_for(bundle))
    assert isinstance(granted, link_pb2.JoinResponse)


def test_node_id_of_the_parent(root: Parent) -> None:
    """Nobody joins under an id that is enrolled, not even the parent's own."""
    bundle = root.bundle("33")
    (refusal,) = admit(root, request_for(bundle, root.identity.node_id))
    assert isinstance(refusal, errors.JoinNodeTaken)


def test_node_without_authority(root: Parent) -> None:
    """A node at the lowest tier, which has no authority, runs and admits nobody."""
    bare = replace(root.folder.load_certificates(), ca_key_pem=None, ca_chain_pem=b"")
    root.admission = Admission(
        store=root.store,
        identity=root.identity,
        chain=root.folder.load_chain,
        authority=load_authority(bare),
        clock_ms=root.clock,
        policy=Policy(attempts_per_minute=1000),
    )
    (refusal,) = admit(root, request_for(root.bundle("33")))
    assert isinstance(refusal, errors.NoAuthority)


def test_two_tokens_for_one_path(root: Parent) -> None:
    """Of two bundles for one path the first to come wins, and no third is given out."""
    first, second = root.bundle("33"), root.bundle("33")
    (granted,) = admit(root, request_for(first))
    (refusal,) = admit(root, request_for(second, b"m" * 16))
    assert isinstance(granted, link_pb2.JoinResponse)
    assert isinstance(refusal, errors.JoinNodeTaken)
    with pytest.raises(errors.ChildPathTaken):
        root.bundle("33")


def test_expired_token(root: Parent) -> None:
    """A token is good until its last millisecond, and not in the next."""
    bundle = root.bundle("33", life=timedelta(hours=1))
    root.clock.offset_ms += 3_600_000
    (refusal,) = admit(root, request_for(bundle))
    assert isinstance(refusal, errors.JoinTokenExpired)
    root.clock.offset_ms -= 60_000
    (granted,) = admit(root, request_for(bundle))
    assert isinstance(granted, link_pb2.JoinResponse)


def test_three_wrong_macs(root: Parent) -> None:
    """Three requests that do not know the secret close the token and tell the operator."""
    bundle = root.bundle("33")
    wrong = resign(request_for(bundle), mac=bytes(32))
    for _ in range(tokens.MAX_BAD_MACS):
        (refusal,) = admit(root, wrong)
        assert isinstance(refusal, errors.JoinMacWrong)
    (refusal,) = admit(root, request_for(bundle))
    assert isinstance(refusal, errors.JoinTokenKilled)
    assert {"JOIN_TOKEN_GUESSED"} == root.problem_codes()


def test_secret_is_erased(root: Parent) -> None:
    """A spent token keeps no secret in the store."""
    bundle = root.bundle("33")
    admit(root, request_for(bundle))
    with root.store.read() as connection:
        secrets = connection.execute(select(join_token.c.secret)).scalars().all()
    assert secrets == [None]
    database = b"".join(file.read_bytes() for file in root.folder.path.parent.glob("store.db"))
    assert database


def test_attempts_of_one_caller() -> None:
    """Five tries a minute for each caller; others are not held up, and time heals."""
    now = [0.0]
    attempts = Attempts(5, lambda: now[0])
    for _ in range(5):
        attempts.count("ipv4:10.0.0.1")
    with pytest.raises(errors.JoinRateLimited) as refused:
        attempts.count("ipv4:10.0.0.1")
    assert refused.value.retryable
    attempts.count("ipv4:10.0.0.2")
    now[0] = 59.9
    with pytest.raises(errors.JoinRateLimited):
        attempts.count("ipv4:10.0.0.1")
    now[0] = 60.0
    attempts.count("ipv4:10.0.0.1")


def test_too_many_tries_over_the_wire(root: Parent, tmp_path: FilePath) -> None:
    """The limit of tries holds before anything of a request is looked at."""
    root.admission = Admission(
        store=root.store,
        identity=root.identity,
        chain=root.folder.load_chain,
        authority=load_authority(root.folder.load_certificates()),
        clock_ms=root.clock,
        policy=Policy(attempts_per_minute=1),
    )

    async def scene() -> None:
        async with serving(root) as port:
            data_dir = prepare(tmp_path / "child")
            bundle = root.bundle("33", port)
            wrong = replace(bundle, secret=bytes(32))
            with pytest.raises(errors.JoinMacWrong):
                await join.join(wrong, data_dir, now=utc(root.clock()), random=os.urandom)
            with pytest.raises(errors.JoinRateLimited):
                await join.join(bundle, data_dir, now=utc(root.clock()), random=os.urandom)

    run(scene)
    assert root.enrolled_children == 0


def test_refusal_over_the_wire(root: Parent, tmp_path: FilePath) -> None:
    """A child is told the parent's refusal as the same class, and stays unenrolled."""

    async def scene() -> None:
        async with serving(root) as port:
            bundle = root.bundle("33", port)
            admitted = request_for(bundle)
            await root.admission.admit(admitted, "another machine")
            data_dir = prepare(tmp_path / "late")
            with pytest.raises(errors.JoinTokenUsed):
                await join.join(bundle, data_dir, now=utc(root.clock()), random=os.urandom)
            assert not KeyFolder(data_dir).is_enrolled()

    run(scene)


def test_lost_answer(root: Parent, tmp_path: FilePath, monkeypatch: pytest.MonkeyPatch) -> None:
    """A child that died before it kept the answer runs again and is enrolled once."""

    def dies(*_: object) -> None:
        raise KeyboardInterrupt

    async def scene() -> None:
        async with serving(root) as port:
            bundle = root.bundle("33", port)
            data_dir = prepare(tmp_path / "child")
            now = utc(root.clock())
            for step in ("_check_answer", "_unpack"):
                with monkeypatch.context() as patch:
                    patch.setattr(join, step, dies)
                    with pytest.raises(KeyboardInterrupt):
                        await join.join(bundle, data_dir, now=now, random=os.urandom)
            key = KeyFolder(data_dir).read(TLS_KEY)
            await join.join(bundle, data_dir, now=now, random=os.urandom)
            assert key == KeyFolder(data_dir).read(TLS_KEY)

    run(scene)
    assert root.enrolled_children == 1
    assert KeyFolder(tmp_path / "child").is_enrolled()


def test_nobody_answers(root: Parent, tmp_path: FilePath) -> None:
    """A parent that cannot be reached is said so, and the same bundle works later."""
    bundle = root.bundle("33", port=1)
    data_dir = prepare(tmp_path / "child")

    async def unreachable() -> None:
        with pytest.raises(errors.JoinUnreachable) as raised:
            await join.join(bundle, data_dir, now=utc(root.clock()), random=os.urandom)
        assert raised.value.retryable

    async def reachable() -> None:
        async with serving(root) as port:
            moved = replace(bundle, addresses=("127.0.0.1:1", f"127.0.0.1:{port}"))
            await join.join(moved, data_dir, now=utc(root.clock()), random=os.urandom)

    run(unreachable)
    run(reachable)
    assert root.enrolled_children == 1


def test_impostor_of_the_parent(root: Parent, tmp_path: FilePath) -> None:
    """A child sends nothing to a server that is not under the bundle's root."""
    data_dir = prepare(tmp_path / "other")
    clock = Clock()
    other = open_parent(
        data_dir, found_network(data_dir, now=utc(clock()), random=os.urandom), clock
    )
    seen: list[link_pb2.JoinRequest] = []

    async def listen(request: link_pb2.JoinRequest, _: str) -> link_pb2.JoinResponse:
        seen.append(request)
        raise errors.JoinRefusal

    other.admission.admit = listen  # type: ignore[method-assign]

    async def scene() -> None:
        async with serving(other) as port:
            bundle = root.bundle("33", port)
            with pytest.raises(errors.JoinUnreachable):
                await join.join(
                    bundle, prepare(tmp_path / "child"), now=utc(clock()), random=os.urandom
                )

    try:
        run(scene)
    finally:
        other.store.close()
    assert seen == []


ANSWERS: dict[str, Callable[[link_pb2.JoinResponse, link_pb2.JoinResponse], None]] = {
    "no chain": lambda mine, _: mine.ClearField("chain"),
    "a chain without the child": lambda mine, _: mine.chain.pop(),
    "the chain of another child": lambda mine, other: mine.chain[-1].CopyFrom(other.chain[-1]),
    "the certificates of another child": lambda mine, other: setattr(
        mine, "tls_chain", other.tls_chain
    ),
    "the authority of another child": lambda mine, other: setattr(mine, "ca_chain", other.ca_chain),
    "no authority, though enrolled with one": lambda mine, _: setattr(mine, "ca_chain", b""),
    "no certificates": lambda mine, _: setattr(mine, "tls_chain", b""),
    "a proof with one bit changed": lambda mine, _: setattr(
        mine.chain[-1], "header", mine.chain[-1].header[:-1] + b"\x00"
    ),
}


@pytest.mark.parametrize("name", ANSWERS)
def test_answer_of_a_lying_parent(root: Parent, tmp_path: FilePath, name: str) -> None:
    """An answer that does not prove exactly this child's enrolment enrols nobody."""
    bundle, other_bundle = root.bundle("33"), root.bundle("34")
    data_dir = prepare(tmp_path / "child")
    (other,) = admit(root, request_for(other_bundle, b"o" * 16))

    async def lying(_bundle: JoinBundle, request: link_pb2.JoinRequest, _proxy: None) -> Any:
        answer = await root.admission.admit(request, "child")
        ANSWERS[name](answer, other)
        return answer

    async def scene() -> None:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(join, "_ask", lying)
            with pytest.raises(errors.JoinAnswerInvalid):
                await join.join(bundle, data_dir, now=utc(root.clock()), random=os.urandom)

    run(scene)
    assert not KeyFolder(data_dir).has(IDENTITY)
    assert not KeyFolder(data_dir).has(join.ANSWER)


def test_answer_that_skips_a_tier(root: Parent, tmp_path: FilePath) -> None:
    """A root that enrols a city behind its province's back does not get it to join."""
    bundle = replace(root.bundle("33"), path=Path.parse("/33/3301"), parent_path=Path(("33",)))
    data_dir = prepare(tmp_path / "child")

    async def behind(_bundle: JoinBundle, request: link_pb2.JoinRequest, _proxy: None) -> Any:
        asked = joinrequest.read_request(request)
        keys = joinrequest.prove_keys(asked)
        enrolment = Enrolment(
            node_id=asked.node_id,
            path=asked.path,
            journal_key=asked.journal_key,
            cosign_key=asked.cosign_key,
            suite=asked.suite,
            tls_sha256=keys.tls_sha256,
            operator="x@/",
        )
        # By hand: the root's own store would not write such a record.
        core = Part(name="core", salt=bytes(32), body=enrolment.encode())
        header = Header(
            network=root.identity.network,
            node_id=root.identity.node_id,
            record_id=RecordId(b"r" * 16),
            kind=KIND,
            actor="x@/",
            object_id="x",
            object_version=1,
            created_ms=1,
            parts=(core.digest(),),
        ).encode()
        journal = JournalId(node_id=root.identity.node_id, channel="node", epoch="1")
        sealed = seal(
            JournalState(journal=journal), [header], root.identity.network, root.identity.journal
        )
        tlog = TlogProof(index=0, path=(), checkpoint=sealed.seal.checkpoint)
        proof = EnrolmentProof(header=header, core=core, proof=tlog.encode())
        chain = (*root.folder.load_chain().proofs, proof)
        return link_pb2.JoinResponse(chain=[_to_proto(each) for each in chain])

    async def scene() -> None:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(join, "_ask", behind)
            with pytest.raises(errors.JoinAnswerInvalid) as refused:
                await join.join(bundle, data_dir, now=utc(root.clock()), random=os.urandom)
        assert refused.value.params["reason"] == "tiers"

    run(scene)


def test_bundle_for_a_grandchild(root: Parent) -> None:
    """A node gives out bundles for its own children only."""
    for path in (Path(), Path.parse("/33/3301")):
        with pytest.raises(errors.ChildPathUnfit):
            root.tokens.add(
                path, operator="x", life=DAY, join_addresses=("a:1",), link_address="a:2"
            )


@pytest.mark.parametrize("operator", ["", "a@b", "a b", "x" * 65, "a\nb"])
def test_operator_that_no_record_can_bear(root: Parent, operator: str) -> None:
    """A name that cannot stand in the enrolment is refused when the bundle is made."""
    with pytest.raises(errors.ChildOperatorInvalid):
        root.tokens.add(
            Path(("33",)),
            operator=operator,
            life=DAY,
            join_addresses=("a:1",),
            link_address="a:2",
        )


Spoil = Callable[[bytes], bytes]


def edited(**fields: object) -> Spoil:
    """Return a change of fields under a fitting checksum, as a forger would make it."""

    def spoil(data: bytes) -> bytes:
        members = {**orjson.loads(data), **fields}
        del members["checksum"]
        members = {name: value for name, value in members.items() if value is not None}
        canonical = orjson.dumps(members, option=orjson.OPT_SORT_KEYS)
        return orjson.dumps({**members, "checksum": hashlib.sha256(canonical).hexdigest()})

    return spoil


BAD_BUNDLES: dict[str, tuple[Spoil, type[errors.BundleError]]] = {
    "empty": (lambda _: b"", errors.BundleMalformed),
    "cut off": (lambda data: data[:-40], errors.BundleMalformed),
    "too long": (lambda data: data + b" " * 40_000, errors.BundleMalformed),
    "a secret edited by hand": (
        lambda data: data.replace(b'"secret": "', b'"secret": "0', 1),
        errors.BundleEdited,
    ),
    "another network": (edited(network="00" * 16), errors.BundleNetworkMismatch),
    "a path elsewhere": (edited(path="/34/3401"), errors.BundleMalformed),
    "an unknown field": (edited(command="x"), errors.BundleMalformed),
    "a field missing": (edited(root_pem=None), errors.BundleMalformed),
    "no certificate": (edited(root_pem=""), errors.BundleMalformed),
    "an expiry that is text": (edited(expires_ms="tomorrow"), errors.BundleMalformed),
    "an expiry without end": (edited(expires_ms=2**62), errors.BundleMalformed),
    "no addresses": (edited(addresses=[]), errors.BundleMalformed),
    "a number for an address": (edited(addresses=[1]), errors.BundleMalformed),
    "a short secret": (edited(secret="00" * 31), errors.BundleMalformed),
    "a statement that is no base64": (edited(root_statement="*"), errors.BundleMalformed),
    "a network of an unknown kind": (edited(network_kind="toy"), errors.BundleMalformed),
    "a network kind that is no text": (edited(network_kind=["test"]), errors.BundleMalformed),
    "a later form": (edited(format="yidao-join-2"), errors.BundleMalformed),
}


@pytest.mark.parametrize("name", BAD_BUNDLES)
def test_bad_bundle(root: Parent, tmp_path: FilePath, name: str) -> None:
    """A bundle that is cut off, edited or of another network is refused (row 124)."""
    file = tmp_path / "child.join"
    root.bundle("33").save(file)
    spoil, expected = BAD_BUNDLES[name]
    file.write_bytes(spoil(file.read_bytes()))
    with pytest.raises(errors.BundleError) as raised:
        JoinBundle.load(file)
    assert expected is type(raised.value)


def test_two_root_certificates(root: Parent) -> None:
    """A second certificate behind the root's does not become an anchor (row 84)."""
    bundle = root.bundle("33")
    with pytest.raises(errors.BundleMalformed):
        JoinBundle.decode(replace(bundle, root_pem=bundle.root_pem * 2).encode())


def test_bundle_of_another_root(root: Parent, tmp_path: FilePath) -> None:
    """A bundle whose root certificate was exchanged for another is refused (row 124)."""
    data_dir = prepare(tmp_path / "other")
    found_network(data_dir, now=utc(root.clock()), random=os.urandom)
    stranger = KeyFolder(data_dir).load_certificates().root_pem
    forged = replace(root.bundle("33"), root_pem=stranger)
    with pytest.raises(errors.BundleNetworkMismatch):
        JoinBundle.decode(forged.encode())


def test_bundle_file(root: Parent, tmp_path: FilePath) -> None:
    """A bundle file is private, is never written over another, and reads back equal."""
    file = tmp_path / "child.join"
    bundle = root.bundle("33")
    bundle.save(file)
    assert file.stat().st_mode & 0o777 == 0o600
    assert bundle == JoinBundle.load(file)
    assert bundle.secret.hex() not in repr(bundle)
    with pytest.raises(node_errors.KeyFileExists):
        bundle.save(file)
    file.chmod(0o644)
    with pytest.raises(node_errors.KeyFileExposed):
        JoinBundle.load(file)


def test_the_mark_of_a_test_network_stands_in_its_bundles_only(root: Parent) -> None:
    """It comes back as it was written; a real network's bundle has no field for it."""
    real = root.bundle("33")
    test = replace(real, test_network=True)
    assert JoinBundle.decode(test.encode()) == test
    assert orjson.loads(test.encode())["network_kind"] == "test"
    assert JoinBundle.decode(real.encode()) == real
    assert "network_kind" not in orjson.loads(real.encode())


def test_expired_bundle(root: Parent, tmp_path: FilePath) -> None:
    """A bundle whose time is over is refused before any key is made (row 124)."""
    bundle = root.bundle("33")
    data_dir = prepare(tmp_path / "child")

    async def scene() -> None:
        with pytest.raises(errors.BundleExpired):
            await join.join(bundle, data_dir, now=utc(bundle.expires_ms), random=os.urandom)

    run(scene)
    assert not KeyFolder(data_dir).has(TLS_KEY)


def test_folder_with_a_node(root: Parent, tmp_path: FilePath) -> None:
    """A folder where a node lives does not join a second time."""
    bundle = root.bundle("33")

    async def scene() -> None:
        with pytest.raises(node_errors.AlreadyEnrolled):
            await join.join(bundle, tmp_path / "root", now=utc(root.clock()), random=os.urandom)

    run(scene)


def test_network_ids_differ(tmp_path: FilePath) -> None:
    """Every founding makes a network of its own."""
    networks: set[NetworkId] = set()
    for name in ("a", "b"):
        identity = found_network(
            prepare(tmp_path / name), now=utc(system_clock_ms()), random=os.urandom
        )
        networks.add(identity.network)
    assert len(networks) == 2
