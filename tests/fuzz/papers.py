"""Decoders of what enrolled nodes and people write: cores of records, files, answers.

See `fuzz.targets` for what a target may do.
"""

from datetime import UTC, datetime

from cryptography.hazmat.primitives.asymmetric import ec

from fuzz.target import COSIGNER, JOURNAL, NETWORK, NODE, SIGNER, Target, digest, same
from yidao.catalog.pack.model import FieldKind, RollupKind
from yidao.catalog.resource import Resource, ShareType, decode_resource, encode_resource
from yidao.catalog.rollup import FieldTotal, Rollup
from yidao.catalog.selection.columns import Column, Kind
from yidao.catalog.selection.conditions import parse_condition
from yidao.catalog.selection.pages import read_page, write_pages
from yidao.catalog.selection.question import RowsQuestion
from yidao.node import frontiers, witnesses
from yidao.node.link.certificates import issue_root, to_pem
from yidao.node.link.joincode import JoinCode, parse_code, pin_of
from yidao.node.link.joinrequest import csr_key, make_csr
from yidao.node.link.peercheck import load_chain
from yidao.sync.approval import Asked, Claim, Decided
from yidao.sync.checkpoint import Checkpoint, sign_checkpoint
from yidao.sync.ids import Path, RecordId
from yidao.sync.merkle import leaf_hash
from yidao.sync.message import Hello, Receipt, Resume
from yidao.sync.parcel import read_parcel, write_parcel
from yidao.sync.record import Header, Part
from yidao.sync.removal import PrunedRange, Pruning, Redaction, SealedSnapshot, SealedTable
from yidao.sync.revocation import CutLine, Reason, Revocation
from yidao.sync.rootlist import Listing, RootList, SignedRootList
from yidao.sync.signoff import Approver, Batch, Policy, Signature
from yidao.sync.signoffcheck import root_of
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

CORE = Part(name="core", salt=bytes(range(32)), body=b'{"v":"1"}')
CA_KEY = ec.derive_private_key(7, ec.SECP256R1())
PATH = Path.parse("/33")


def _checkpoint() -> bytes:
    return sign_checkpoint(
        Checkpoint(origin=JOURNAL.origin(NETWORK), size=5, root=bytes(32)), SIGNER
    )


def _revocation() -> bytes:
    return Revocation(
        node_id=NODE,
        path=PATH,
        reason=Reason.KEY_STOLEN,
        operator="admin@/",
        cut=(CutLine(channel="node", epoch="1", size=7),),
    ).encode()


def _root_pem() -> bytes:
    return to_pem(issue_root(CA_KEY, NETWORK, datetime(2025, 1, 1, tzinfo=UTC)))


def _root_list() -> bytes:
    content = RootList(
        network=NETWORK,
        version=1,
        issued_ms=1_750_000_000_000,
        expires_ms=1_760_000_000_000,
        threshold=2,
        holders=tuple(sorted((SIGNER.public_key, COSIGNER.public_key))),
        certificates=(_root_pem(),),
    )
    return SignedRootList.of(content).sign(SIGNER).sign(COSIGNER).encode()


def _claim() -> Claim:
    return Claim(
        node_id=NODE,
        path=PATH.child("3301"),
        journal_key=SIGNER.public_key,
        cosign_key=COSIGNER.public_key,
        tls_sha256=digest("tls"),
    )


def _asked() -> bytes:
    return Asked(claim=_claim(), reason="machine lost", operator="admin@/33").encode()


def _decided() -> bytes:
    return Decided(
        claim=_claim(),
        record_id=RecordId(digest("decision")[:16]),
        asked=RecordId(digest("asked")[:16]),
        asked_by="admin@/33",
        approved=True,
        reason="",
        operator="admin@/",
    ).encode()


def _approver(name: str) -> Approver:
    key = SIGNER if name == "qian" else COSIGNER
    return Approver(actor=f"{name}@/33", name=name, key=key.public_key)


def _policy() -> Policy:
    return Policy(
        network=NETWORK,
        node_id=NODE,
        path=PATH,
        scope="",
        version=1,
        threshold=1,
        approvers=(_approver("qian"), _approver("sun")),
        made_ms=1_750_000_000_000,
    )


def _return() -> ReturnLine:
    header = Header(
        network=NETWORK,
        node_id=NODE,
        record_id=RecordId(digest("return")[:16]),
        kind="reporting.return.submitted",
        actor="li@/33",
        object_id="return/1",
        object_version=1,
        created_ms=1_750_000_000_000,
        unit="91330100MA27X00X0X",
        schema="energy/2025/consumption",
        schema_sha256=digest("pack"),
        period="2025-Q2",
        parts=(CORE.digest(),),
    )
    return ReturnLine(seq=3, header=header.encode(), core=CORE)


def _batch() -> Batch:
    return Batch(
        network=NETWORK,
        journal=JOURNAL,
        path=PATH,
        pack="energy",
        form="consumption",
        period="2025-Q2",
        count=1,
        root=root_of([leaf_hash(_return().header)]),
        policy=_policy().digest(),
    )


def _signature_file() -> bytes:
    signature = Signature(key=SIGNER.public_key, time_s=1_750_000_000, signature=bytes(64))
    return SignatureFile(statement=_batch().statement(), seqs=(3,), signature=signature).encode()


def _redaction() -> bytes:
    return Redaction(
        journal=JOURNAL,
        seq=3,
        record_id=RecordId(digest("return")[:16]),
        part="contact",
        reason="asked for by the person",
        basis="PIPL 47",
        operator="admin@/33",
    ).encode()


def _pruning() -> bytes:
    return Pruning(
        before_ms=1_750_000_000_000,
        snapshot=9,
        reason="kept for ten years",
        operator="admin@/33",
        ranges=(PrunedRange(journal=JOURNAL, first=0, end=4, records=4),),
        records=4,
        bodies_bytes=400,
    ).encode()


def _snapshot() -> bytes:
    table = SealedTable(name="record", rows=2, sha256=digest("rows"))
    return SealedSnapshot(position=9, cursors=(("catalog", 9),), tables=(table,)).encode()


def _parcel() -> bytes:
    hello = Hello(network=NETWORK, node_id=NODE, store_id=bytes(16), path=PATH, epoch="1")
    resume = Resume(store_id=bytes(16), credit_bytes=1_000)
    line = _checkpoint().decode().splitlines()[-1]
    receipt = Receipt(journal=JOURNAL, size=5, cosignatures=(line,))
    return write_parcel(hello, resume, [receipt], [])


def _stated() -> bytes:
    line = frontiers.Stated(channel="up:15", epoch="1", size=5, root=digest("root"))
    return frontiers.encode([line])


def _code() -> bytes:
    code = JoinCode(token=bytes(5), secret=bytes(range(16)), pin=pin_of(digest("root key")))
    return code.format().encode()


def _resource() -> bytes:
    return encode_resource(
        Resource(
            code="30603733010600000001/000001",
            title="样例",
            class_code="30603733010600000001",
            provider_name="样例",
            provider_uscc="11330106MB00000013",
            description="样例",
            format="3",
            items=(),
            share_type=ShareType.UNCONDITIONAL,
            share_condition="",
            share_mode="1",
            share_basis="",
            open=False,
            open_condition="",
            update_cycle="5",
            issued="2026-11-26",
        )
    )


def _rollup() -> bytes:
    total = FieldTotal(
        kind=RollupKind.SUM, value_kind=FieldKind.DECIMAL, scale=2, amount=1_234, bag={}
    )
    return Rollup(form="energy/2025/consumption", rows=2, fields={"elec": total}).encode()


def _ask() -> bytes:
    made = RowsQuestion.make(
        resource="30603733010600000001/000001",
        where="elec_kwh > 5 and year = 2025",
        aggregate=("sum elec_kwh",),
        by=("unit",),
    )
    return made.encode()


def _page() -> bytes:
    columns = [Column(name="elec_kwh", kind=Kind.DECIMAL, scale=2)]
    return next(
        iter(
            write_pages(
                resource="30603733010600000001/000001",
                as_of_ms=1_750_000_000_000,
                cut=False,
                columns=columns,
                rows=[["1.50"]],
            )
        )
    )


PAPERS: dict[str, Target] = {
    "revocation": Target(take=Revocation.decode, seeds=(_revocation(),)),
    "root-list": Target(
        take=lambda data: SignedRootList.decode(data).encode(), seeds=(_root_list(),)
    ),
    "root-listing": Target(
        take=Listing.decode,
        seeds=(Listing(data=_root_list(), statement=b"statement").encode(),),
    ),
    "reenrolment-asked": Target(take=lambda data: Asked.decode(data, PATH), seeds=(_asked(),)),
    "reenrolment-decided": Target(
        take=lambda data: Decided.decode(data, Path()), seeds=(_decided(),)
    ),
    "signoff-batch": Target(
        take=lambda data: same(Batch.read(data).statement(), data),
        seeds=(_batch().statement(),),
    ),
    "signoff-policy": Target(
        take=lambda data: same(Policy.read(data).statement(), data),
        seeds=(_policy().statement(),),
    ),
    "signoff-batch-file": Target(
        take=open_batch_file, seeds=(batch_file(_batch(), _policy(), [_return()], []),)
    ),
    "signoff-policy-file": Target(take=open_policy_file, seeds=(policy_file(_policy(), None),)),
    "approver-file": Target(take=open_approver_file, seeds=(approver_file(_approver("qian")),)),
    "signature-file": Target(take=SignatureFile.decode, seeds=(_signature_file(),)),
    "signed-place": Target(
        take=lambda data: same(SignedPlace.decode(data).encode(), data),
        seeds=(SignedPlace(batch=bytes(16), index=1, path=(bytes(32),)).encode(),),
    ),
    "redaction": Target(take=lambda data: Redaction.decode(data).encode(), seeds=(_redaction(),)),
    "pruning": Target(take=Pruning.decode, seeds=(_pruning(),)),
    "snapshot": Target(take=SealedSnapshot.decode, seeds=(_snapshot(),)),
    "parcel": Target(take=read_parcel, seeds=(_parcel(),)),
    "frontiers": Target(take=lambda data: frontiers.decode(data, NODE), seeds=(_stated(),)),
    "witnesses": Target(take=witnesses.decode, seeds=(witnesses.encode([_checkpoint()]),)),
    "join-code": Target(
        take=lambda data: parse_code(data.decode("utf-8", "replace")), seeds=(_code(),)
    ),
    "certificate-request": Target(take=csr_key, seeds=(make_csr(CA_KEY),)),
    "certificate-chain": Target(take=load_chain, seeds=(_root_pem(),)),
    "resource": Target(take=decode_resource, seeds=(_resource(),)),
    "rollup": Target(take=lambda data: Rollup.decode(data).encode(), seeds=(_rollup(),)),
    "catalog-question": Target(
        take=lambda data: RowsQuestion.decode(data).encode(), seeds=(_ask(),)
    ),
    "condition": Target(
        take=lambda data: parse_condition(data.decode("utf-8", "replace")),
        seeds=(b"elec_kwh > 5 and year = 2025",),
    ),
    "answer-page": Target(take=lambda data: read_page(data, keys=0, measures=0), seeds=(_page(),)),
}
