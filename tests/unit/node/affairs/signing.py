"""Approvers, what their machines sign, and a tree in which somebody must sign."""

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import replace

import pytest
from sqlalchemy import select

from yidao.api.errors import YidaoError
from yidao.node.affairs.reporting.review import Choice as ReviewChoice
from yidao.node.affairs.signoff import records
from yidao.node.affairs.signoff.batches import Choice
from yidao.node.affairs.signoff.tables import signoff_return
from yidao.node.store.records import record_at
from yidao.node.store.values import DraftPart
from yidao.sync.signoff import Approver, Batch, Signature, batch_text, policy_text
from yidao.sync.signofffile import SignatureFile, open_batch_file, open_policy_file
from yidao.sync.suite import Ed25519Signer

ROOT, COUNTY, AGENCY = "/", "/33", "/33/a"
TIERS = (AGENCY, COUNTY, ROOT)
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


def stored_at(node, position: int):
    with node.desk.read() as conn:
        return record_at(conn, position)


def marked(node) -> int:
    return len(node.query(select(signoff_return)))


def batch_of(tree, **changed: object) -> tuple[Batch, tuple[int, ...]]:
    """The batch that the agency would prepare, with some of it changed, and its places."""
    opened = open_batch_file(prepared(tree))
    return replace(opened.batch, **changed), tuple(each.seq for each in opened.returns)


def said(batch: Batch, seqs: tuple[int, ...], *names: str, over: bytes | None = None) -> bytes:
    """The core of a signed batch as a faulty node writes it; `over` is what is signed instead."""
    text = batch_text(over or batch.statement(), 1_795_000_000)
    signatures = tuple(sorted((_made(name, text) for name in names), key=lambda each: each.key))
    return records.SignedBatch(
        statement=batch.statement(), seqs=seqs, signatures=signatures
    ).encode()


def forge(tree, core: bytes, kind: str = records.SIGNED, **fields: object) -> None:
    tree[AGENCY].forge(
        records.CHANNEL,
        kind=kind,
        object_id="signoff/batch/sample",
        parts=(DraftPart(name="core", body=core),),
        **fields,
    )


def sign_policy_of_nobody(tree) -> list[SignatureFile]:
    """A signature over another statement."""
    made = tree[AGENCY].affairs.policies.propose(f"ting@{AGENCY}", "", 1, approvers("zhao"))
    return sign_policy(made.file, "zhao")
