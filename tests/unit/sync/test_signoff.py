"""Sign-offs, purely: what is signed, whose signatures count, and that nothing can be changed."""

import hashlib
from base64 import b64encode
from dataclasses import replace

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from yidao.sync import signofferrors as errors
from yidao.sync.errors import PeerError
from yidao.sync.ids import JournalId, NetworkId, NodeId, Path
from yidao.sync.merkle import leaf_hash
from yidao.sync.record import Header, Part, Release
from yidao.sync.signoff import (
    MAX_RETURNS,
    MAX_SPAN,
    Approver,
    Batch,
    Policy,
    Signature,
    batch_text,
    policy_text,
)
from yidao.sync.signoffcheck import (
    check_root,
    check_seqs,
    path_to_root,
    root_of,
    verify_batch,
    verify_policy,
)
from yidao.sync.signofffile import (
    ReturnLine,
    SignatureFile,
    approver_file,
    batch_file,
    open_approver_file,
    open_batch_file,
    open_policy_file,
    policy_file,
)
from yidao.sync.signoffproof import SignedPlace
from yidao.sync.suite import Ed25519Signer

NETWORK = NetworkId(bytes(range(16)))
NODE = NodeId(bytes(range(1, 17)))
PATH = Path.parse("/33/a")
JOURNAL = JournalId(node_id=NODE, channel="up:15", epoch="1")
NAMES = ("qian", "sun", "zhao")


def key(name: str) -> Ed25519Signer:
    return Ed25519Signer(hashlib.sha256(name.encode()).digest())


def approver(name: str) -> Approver:
    return Approver(actor=f"{name}@/33/a", name=f"样例 {name}", key=key(name).public_key)


def policy(*names: str, **changed: object) -> Policy:
    fields: dict[str, object] = {
        "network": NETWORK,
        "node_id": NODE,
        "path": PATH,
        "scope": "",
        "version": 1,
        "threshold": 2,
        "approvers": tuple(approver(name) for name in sorted(names or NAMES)),
        "made_ms": 1_795_000_000_000,
    }
    return Policy(**(fields | changed))  # type: ignore[arg-type]


def signed(text_of, statement: bytes, *names: str) -> tuple[Signature, ...]:
    made = [
        Signature(
            key=key(name).public_key,
            time_s=1_795_000_000,
            signature=key(name).sign(text_of(statement, 1_795_000_000)),
        )
        for name in names
    ]
    return tuple(sorted(made, key=lambda each: each.key))


def line(number: int) -> ReturnLine:
    core = Part(name="core", salt=bytes(32), body=b'{"elec_kwh":"%d.00"}' % number)
    header = Header(
        network=NETWORK,
        node_id=NODE,
        record_id=number.to_bytes(16, "big"),  # type: ignore[arg-type]
        unit="12330106000000000X",
        actor="li@/33/a",
        kind="reporting.return.submitted",
        object_id=f"return/energy/profile/2025-Q2/{number}",
        object_version=1,
        schema="energy/2022/profile",
        schema_sha256=bytes(32),
        period="2025-Q2",
        created_ms=1,
        parts=(core.digest(release=Release.WHEN_ACCEPTED),),
    )
    return ReturnLine(seq=number, header=header.encode(), core=core)


def batch(lines: list[ReturnLine], **changed: object) -> Batch:
    fields: dict[str, object] = {
        "network": NETWORK,
        "journal": JOURNAL,
        "path": PATH,
        "pack": "energy",
        "form": "profile",
        "period": "2025-Q2",
        "count": len(lines),
        "root": root_of([leaf_hash(each.header) for each in lines]),
        "policy": policy().digest(),
    }
    return Batch(**(fields | changed))  # type: ignore[arg-type]


LINES = [line(number) for number in range(7)]
FILE = batch_file(batch(LINES), policy(), LINES, ())


def test_statements_are_read_in_their_one_form_alone() -> None:
    """What is read gives the same bytes; other spellings of the same JSON are refused."""
    for statement, read in (
        (policy().statement(), Policy.read),
        (batch(LINES).statement(), Batch.read),
    ):
        assert read(statement).statement() == statement
        for other in (statement + b" ", statement.replace(b":", b": ", 1), b"[]", b"{}", b"\xff"):
            with pytest.raises(PeerError):
                read(other)


@given(data=st.data())
@settings(max_examples=60, deadline=None)
def test_any_changed_byte_of_a_statement_or_signature_is_refused(data: st.DataObject) -> None:
    """Of a batch and of what its approvers signed: never believed."""
    statement = batch(LINES).statement()
    files = signed(batch_text, statement, "sun", "zhao")
    verify_batch(Batch.read(statement), files, policy())
    at = data.draw(st.integers(0, len(statement) - 1))
    flipped = bytearray(statement)
    flipped[at] ^= data.draw(st.integers(1, 255))
    with pytest.raises(PeerError):
        verify_batch(Batch.read(bytes(flipped)), files, policy())
    place = data.draw(st.integers(0, 63))
    broken = bytearray(files[0].signature)
    broken[place] ^= data.draw(st.integers(1, 255))
    with pytest.raises(errors.SignoffSignatureWrong):
        verify_batch(batch(LINES), (replace(files[0], signature=bytes(broken)), files[1]), policy())


@given(data=st.data())
@settings(max_examples=80, deadline=None)
def test_any_other_list_of_returns_is_refused(data: st.DataObject) -> None:
    """Changed, left out, added, doubled or in another order: the root is another one."""
    count = data.draw(st.integers(1, 40))
    leaves = [hashlib.sha256(b"%d" % number).digest() for number in range(count)]
    made = batch(LINES, count=count, root=root_of(leaves))
    check_root(made, leaves)
    other = list(leaves)
    change = data.draw(st.sampled_from(("change", "remove", "add", "double", "swap")))
    at = data.draw(st.integers(0, count - 1))
    match change:
        case "change":
            other[at] = hashlib.sha256(other[at]).digest()
        case "remove":
            del other[at]
        case "add":
            other.insert(at, hashlib.sha256(b"new").digest())
        case "double":
            other.insert(at, other[at])
        case _:
            other[at], other[at - 1] = other[at - 1], other[at]
    if other == leaves:
        return
    with pytest.raises(errors.SignoffRootWrong):
        check_root(made, other)


@given(count=st.integers(1, 60), data=st.data())
@settings(max_examples=60, deadline=None)
def test_a_place_proves_its_own_return_and_no_other(count: int, data: st.DataObject) -> None:
    """The path leads to the root from that leaf at that index alone."""
    leaves = [hashlib.sha256(b"%d" % number).digest() for number in range(count)]
    made = batch(LINES, count=count, root=root_of(leaves))
    index = data.draw(st.integers(0, count - 1))
    place = SignedPlace(batch=bytes(16), index=index, path=path_to_root(leaves, index))
    again = SignedPlace.decode(place.encode())
    again.check(made, leaves[index])
    other = data.draw(st.integers(0, count - 1))
    if other != index:
        with pytest.raises(PeerError):
            again.check(made, leaves[other])
        with pytest.raises(PeerError):
            replace(again, index=other).check(made, leaves[index])


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"yidao-signed-off-v1\n",
        b"yidao-signed-off-v1\n" + b"00" * 16 + b"\nindex 01\n",
        b"yidao-signed-off-v1\n" + b"00" * 16 + b"\nindex -1\n",
        b"yidao-signed-off-v1\n" + b"00" * 16 + b"\nindex 0\nAAAA\n",
        b"yidao-signed-off-v1\n" + b"00" * 16 + b"\nindex 0\n\xff\n",
        b"yidao-signed-off-v1\n" + b"zz" * 16 + b"\nindex 0\n",
        b"x" * 5_000,
    ],
)
def test_a_place_is_read_in_its_one_form_alone(text: bytes) -> None:
    """Anything else is a typed error."""
    with pytest.raises(PeerError):
        SignedPlace.decode(text)


def test_places_in_the_journal_are_bounded_before_any_work() -> None:
    """None, too many, twice, backwards, too far apart."""
    check_seqs(range(MAX_RETURNS))
    for seqs in (
        (),
        range(MAX_RETURNS + 1),
        (1, 1),
        (2, 1),
        (-1,),
        (0, MAX_SPAN),
        (2**63,),
    ):
        with pytest.raises(errors.SignoffMalformed):
            check_seqs(tuple(seqs))


@given(mutation=st.data())
@settings(max_examples=60, deadline=None)
def test_an_approvers_machine_shows_nothing_that_the_root_does_not_have(
    mutation: st.DataObject,
) -> None:
    """Any header, figure or salt that was changed in the file is refused there."""
    members = orjson.loads(FILE)
    open_batch_file(FILE)
    at = mutation.draw(st.integers(0, len(LINES) - 1))
    field = mutation.draw(st.sampled_from(("core", "header", "salt")))
    text = bytearray(getattr(LINES[at], field) if field == "header" else _of_core(at, field))
    place = mutation.draw(st.integers(0, len(text) - 1))
    text[place] ^= mutation.draw(st.integers(1, 255))
    members["returns"][at][field] = b64encode(bytes(text)).decode()
    with pytest.raises(PeerError):
        open_batch_file(orjson.dumps(members))


def _of_core(at: int, field: str) -> bytes:
    core = LINES[at].core
    return core.salt if field == "salt" else core.body


def test_files_of_another_shape_are_refused() -> None:
    """Left out, another policy, a pack that no header names, another format."""
    members = orjson.loads(FILE)
    other = policy(threshold=1).statement().decode()
    cases = [
        members | {"returns": members["returns"][1:]},
        members | {"returns": members["returns"][::-1]},
        members | {"policy": other},
        members | {"packs": [b64encode(b"another").decode()]},
        members | {"packs": ["%"]},
        members | {"format": "another"},
        members | {"returns": [1]},
        members | {"returns": {}},
    ]
    for case in cases:
        with pytest.raises(PeerError):
            open_batch_file(orjson.dumps(case))
    for data in (b"", b"[]", b"\xff", b"{}"):
        for read in (
            open_batch_file,
            open_policy_file,
            open_approver_file,
            SignatureFile.decode,
        ):
            with pytest.raises(PeerError):
                read(data)


def test_files_come_back_as_they_were_written() -> None:
    """Signature, approver and policy."""
    [signature] = signed(batch_text, b"{}", "sun")
    made = SignatureFile(statement=b"{}", seqs=(1, 2), signature=signature)
    assert SignatureFile.decode(made.encode()) == made
    assert open_approver_file(approver_file(approver("sun"))) == approver("sun")
    first = policy()
    second = policy("li", version=2, threshold=1, previous=first.digest())
    opened = open_policy_file(policy_file(second, first))
    assert (opened.policy, opened.previous) == (second, first)
    with pytest.raises(errors.SignoffPolicyUnknown):
        open_policy_file(policy_file(second, None))


POLICIES = {
    "nobody": {"approvers": ()},
    "none need sign": {"threshold": 0},
    "more must sign than there are": {"threshold": 4},
    "another order": {"approvers": tuple(approver(name) for name in reversed(NAMES))},
    "no name": {"approvers": (replace(approver("sun"), name=""),), "threshold": 1},
    "a name that turns text": {
        "approvers": (replace(approver("sun"), name="a\u202eb"),),
        "threshold": 1,
    },
    "an actor that turns text": {
        "approvers": (replace(approver("sun"), actor="s\u202eun@/33/a"),),
        "threshold": 1,
    },
    "a scope that is no form": {"scope": "energy/\x1b[2J"},
    "a key of small order": {
        "approvers": (replace(approver("sun"), key=bytes(32)),),
        "threshold": 1,
    },
    "a key of no suite": {"approvers": (replace(approver("sun"), suite=9),), "threshold": 1},
    "nobody's actor": {"approvers": (replace(approver("sun"), actor="@/33/a"),), "threshold": 1},
    "a version without one before": {"version": 2},
    "a first version that follows": {"previous": bytes(32)},
}


@pytest.mark.parametrize("name", POLICIES)
def test_such_approvers_cannot_be_named(name: str) -> None:
    """A statement of it is neither made nor read."""
    with pytest.raises(errors.SignoffPolicyInvalid):
        policy(**POLICIES[name]).statement()


def test_a_policy_needs_all_whom_it_names_and_enough_of_those_before() -> None:
    """Each signature missing, doubled or of a stranger is refused; a time that was changed too."""
    first = policy()
    enough = signed(policy_text, first.statement(), *NAMES)
    assert len(verify_policy(first, enough, None)) == 3
    second = policy("li", version=2, threshold=1, previous=first.digest())
    text = second.statement()
    verify_policy(second, signed(policy_text, text, "li", "sun", "zhao"), first)
    cases = [
        (second, signed(policy_text, text, "li", "sun"), first, errors.SignoffTooFew),
        (second, signed(policy_text, text, "sun", "zhao"), first, errors.SignoffTooFew),
        (second, signed(policy_text, text, "li", "sun", "zhao"), None, errors.SignoffPolicyUnknown),
        (first, enough, second, errors.SignoffPolicyUnknown),
        (first, enough[:2], None, errors.SignoffTooFew),
        (first, (*enough, enough[2]), None, errors.SignoffMalformed),
        (first, enough[::-1], None, errors.SignoffMalformed),
        (
            first,
            signed(policy_text, first.statement(), *NAMES, "li"),
            None,
            errors.SignoffApproverUnknown,
        ),
        (
            first,
            signed(batch_text, first.statement(), *NAMES),
            None,
            errors.SignoffSignatureWrong,
        ),
        (
            first,
            (replace(enough[0], time_s=0), *enough[1:]),
            None,
            errors.SignoffSignatureWrong,
        ),
    ]
    for made, signatures, previous, kind in cases:
        with pytest.raises(kind):
            verify_policy(made, signatures, previous)


@pytest.mark.parametrize(
    "changed",
    [{"scope": ""}, {"network": NetworkId(bytes(16))}, {"node_id": NodeId(bytes(16))}],
    ids=lambda changed: next(iter(changed)),
)
def test_a_policy_follows_none_of_another_form_or_node(changed: dict[str, object]) -> None:
    """However many of the former approvers sign it; a form's own follows the one for all."""
    everywhere = policy()
    own = policy("sun", scope="energy/y", version=2, threshold=1, previous=everywhere.digest())
    verify_policy(own, signed(policy_text, own.statement(), "sun", "zhao"), everywhere)
    first = policy(scope="energy/x")
    second = policy("sun", scope="energy/x", version=2, threshold=1, previous=first.digest())
    verify_policy(second, signed(policy_text, second.statement(), "sun", "zhao"), first)
    other = replace(second, **changed)  # type: ignore[arg-type]
    with pytest.raises(errors.SignoffPolicyUnknown):
        verify_policy(other, signed(policy_text, other.statement(), "sun", "zhao"), first)


def test_a_batch_rests_on_its_policy_alone() -> None:
    """Another policy, another node, another form, another journal: refused."""
    made = batch(LINES)
    files = signed(batch_text, made.statement(), "sun", "zhao")
    foreign = replace(JOURNAL, node_id=NodeId(bytes(16)))
    for given_batch, given_policy in (
        (made, policy(threshold=1)),
        (replace(made, journal=foreign), policy()),
        (replace(made, policy=policy(scope="energy/x").digest()), policy(scope="energy/x")),
    ):
        with pytest.raises(errors.SignoffPolicyUnknown):
            verify_batch(given_batch, files, given_policy)
