"""Sign-offs over real stores: approvers with their own keys, at every tier, and the gate."""

import hashlib
from collections.abc import Callable, Iterable

import pytest
from sqlalchemy import select

from yidao.api.errors import YidaoError
from yidao.node.affairs.reporting.review import Choice as ReviewChoice
from yidao.node.affairs.signoff.batches import Choice
from yidao.node.affairs.signoff.queries import list_batches
from yidao.node.affairs.signoff.tables import signoff_return
from yidao.sync.signoff import Approver, Signature, batch_text, policy_text
from yidao.sync.signofffile import SignatureFile, open_batch_file, open_policy_file
from yidao.sync.suite import Ed25519Signer

ROOT, CITY, COUNTY, AGENCY = "/", "/33", "/33/06", "/33/06/a"
TIERS = (AGENCY, COUNTY, CITY, ROOT)
NAMES = ("zhao", "qian", "sun")


def key(name: str) -> Ed25519Signer:
    return Ed25519Signer(hashlib.sha256(f"approver {name}".encode()).digest())


def approvers(*names: str, path: str = AGENCY) -> list[Approver]:
    return [
        Approver(actor=f"{name}@{path}", name=f"样例 {name}", key=key(name).public_key)
        for name in names
    ]


def sign_batch(file: bytes, *names: str) -> list[SignatureFile]:
    """What the machines of these approvers make of a batch file."""
    opened = open_batch_file(file)
    seqs = tuple(each.seq for each in opened.returns)
    return [
        SignatureFile(statement=opened.statement, seqs=seqs, signature=_made(name, text))
        for name in names
        for text in (batch_text(opened.statement, 1_795_000_000),)
    ]


def sign_policy(file: bytes, *names: str) -> list[SignatureFile]:
    opened = open_policy_file(file)
    return [
        SignatureFile(statement=opened.statement, seqs=(), signature=_made(name, text))
        for name in names
        for text in (policy_text(opened.statement, 1_795_000_000),)
    ]


def _made(name: str, text: bytes) -> Signature:
    signer = key(name)
    return Signature(key=signer.public_key, time_s=1_795_000_000, signature=signer.sign(text))


def appoint(
    tree, *names: str, threshold: int = 2, signing: Iterable[str] = (), **options: bool
) -> bytes:
    """Name approvers at the agency; give the digest of the policy."""
    policies = tree[AGENCY].affairs.policies
    made = policies.propose(f"ting@{AGENCY}", "", threshold, approvers(*names), **options)
    policies.confirm(f"chu@{AGENCY}", sign_policy(made.file, *(*names, *signing)))
    tree.exchange()
    return made.policy.digest()


@pytest.fixture
def waiting(registered: Callable[..., object], rows):
    """Three returns at the agency, where two of three must sign; the county demands it."""
    tree = registered(3)
    digest = appoint(tree, *NAMES)
    county = tree[COUNTY].affairs.policies
    county.file(f"shen@{COUNTY}", digest)
    county.demand(f"shen@{COUNTY}", "energy/consumption", demanded=True)
    done = tree[AGENCY].submit(*(rows.consumption(index) for index in range(3)))
    tree.exchange()
    return tree, [each.record_id for each in done.results]


def prepared(tree, **changed: str) -> bytes:
    fields = {"form": "consumption", "period": "2025-Q2"} | changed
    return tree[AGENCY].affairs.batches.prepare(Choice(**fields)).file


def submit(tree, files: list[SignatureFile]) -> None:
    tree[AGENCY].affairs.batches.submit(f"ting@{AGENCY}", files)
    tree.exchange()


def accept(tree, *ids: bytes) -> int:
    choice = ReviewChoice(record_ids=ids) if ids else ReviewChoice(form="consumption")
    done = tree[COUNTY].affairs.review.review(f"wang@{COUNTY}", choice, "accept")
    tree.exchange()
    return done.reviewed


def refused(call: Callable[[], object]) -> str:
    with pytest.raises(YidaoError) as caught:
        call()
    return caught.value.code


def marked(node) -> int:
    return len(node.query(select(signoff_return)))


def test_the_parent_accepts_only_what_two_of_three_have_signed(waiting) -> None:
    """Before it is refused with a code; one signature twice is one; then every tier marks all."""
    tree, ids = waiting
    assert accept(tree) == 0
    assert refused(lambda: accept(tree, *ids)) == "SIGNOFF_MISSING"
    file = prepared(tree)
    twice = sign_batch(file, "sun", "sun")
    assert refused(lambda: submit(tree, twice)) == "SIGNOFF_TOO_FEW"
    submit(tree, sign_batch(file, "sun", "zhao"))
    for path in TIERS:
        node = tree[path]
        assert marked(node) == 3
        with node.desk.read() as conn:
            [batch] = list_batches(node.desk, conn)
        assert [signer[0] for signer in batch.signers] == sorted(
            (f"sun@{AGENCY}", f"zhao@{AGENCY}"),
            key=lambda actor: key(actor.split("@")[0]).public_key,
        )
        assert (batch.threshold, batch.approvers, batch.returns) == (2, 3, 3)
    assert accept(tree) == 3
    for path in TIERS:
        assert tree[path].store.rebuild().equal
