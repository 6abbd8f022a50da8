"""Decoders that an untrusted peer reaches, each with good samples of its input.

A target takes bytes and returns, or raises a `YidaoError`; any other exception
is a defect. Where a decoder promises one byte form, the target writes back what
it read and compares.
"""

from functools import cache

from cryptography.hazmat.primitives.asymmetric import ec
from google.protobuf.message import DecodeError

from fuzz.papers import PAPERS
from fuzz.target import COSIGNER, JOURNAL, NETWORK, NODE, SIGNER, Target, digest, same
from yidao.api.link.v1 import link_pb2
from yidao.api.record.v1 import record_pb2
from yidao.node.link.bundle import JoinBundle
from yidao.node.link.joinrequest import ChildKeys, make_request, prove_keys, read_request
from yidao.sync.archive import read_archive, write_archive
from yidao.sync.checkpoint import Checkpoint, parse_checkpoint, sign_checkpoint
from yidao.sync.enrolment import Enrolment
from yidao.sync.epoch import Cause, EpochOpened
from yidao.sync.ids import Lane, Path, RecordId
from yidao.sync.journal import JournalState, seal
from yidao.sync.message import Ack, Frame, Goodbye, Heartbeat, Item, Refusal
from yidao.sync.note import VerifierKey, parse_note
from yidao.sync.proof import TlogProof, parse_proof
from yidao.sync.query import make_question, read_question, to_proto
from yidao.sync.record import Header, Part, decode_header
from yidao.sync.revocation import CutLine
from yidao.sync.rootstatement import RootStatement, open_root_statement
from yidao.sync.wire import decode_control, decode_frame, encode_control, encode_frame

ROOT_KEY = ec.derive_private_key(7, ec.SECP256R1())
CORE = Part(name="core", salt=bytes(range(32)), body=b'{"v":"1"}')


def _header(number: int = 0) -> bytes:
    return Header(
        network=NETWORK,
        node_id=NODE,
        record_id=RecordId(digest(f"record {number}")[:16]),
        kind="reporting.return.submitted",
        actor="li@/33",
        object_id=f"return/{number}",
        object_version=1,
        created_ms=1_750_000_000_000,
        unit="91330100MA27X00X0X",
        causes=(RecordId(bytes(16)),),
        schema="energy/2025/consumption",
        schema_sha256=digest("pack"),
        period="2025-Q2",
        parts=(CORE.digest(),),
    ).encode()


def _frame() -> bytes:
    sealed = seal(JournalState(journal=JOURNAL), [_header(0), _header(1)], NETWORK, SIGNER)
    item = Item(position=1, seal=sealed.seal)
    return encode_frame(Frame(lane=Lane.BULK, items=(item,), after_position=0))


def _controls() -> tuple[bytes, ...]:
    return tuple(
        encode_control(message)
        for message in (
            Ack(lane=Lane.BULK, position=7, credit_bytes=1_000),
            Refusal(journal=JOURNAL, seq=3, code="SEAL_GAP"),
            Heartbeat(now_ms=1_750_000_000_000),
            Goodbye(code="SHUTDOWN", retry_after_ms=1_000),
        )
    )


def _checkpoint() -> bytes:
    origin = JOURNAL.origin(NETWORK)
    return sign_checkpoint(Checkpoint(origin=origin, size=5, root=bytes(32)), SIGNER)


def _proof() -> bytes:
    return TlogProof(index=3, path=(bytes(32), bytes(32)), checkpoint=_checkpoint()).encode()


def _enrolment() -> bytes:
    return Enrolment(
        node_id=NODE,
        path=Path.parse("/33"),
        journal_key=SIGNER.public_key,
        cosign_key=COSIGNER.public_key,
        tls_sha256=bytes(32),
        ca_sha256=bytes(32),
        token_id="00112233445566aa",
        operator="admin@/",
    ).encode()


@cache
def _root_pem() -> bytes:
    from datetime import UTC, datetime, timedelta

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization

    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "sample root")])
    start = datetime(2025, 1, 1, tzinfo=UTC)
    builder = x509.CertificateBuilder(name, name, ROOT_KEY.public_key(), 1)
    builder = builder.not_valid_before(start).not_valid_after(start + timedelta(days=1))
    return builder.sign(ROOT_KEY, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def _epoch() -> bytes:
    opened = EpochOpened(
        node_id=NODE,
        epoch="2",
        suite=1,
        journal_key=SIGNER.public_key,
        cosign_key=COSIGNER.public_key,
        cause=Cause.KEY_ROTATED,
        previous="1",
        cut=(CutLine(channel="node", epoch="1", size=7),),
    )
    return opened.sign(SIGNER, SIGNER).encode()


def _statement() -> bytes:
    return RootStatement(
        network=NETWORK,
        node_id=NODE,
        journal_key=SIGNER.public_key,
        cosign_key=COSIGNER.public_key,
    ).sign(ROOT_KEY)


def _bundle() -> JoinBundle:
    return JoinBundle(
        addresses=("127.0.0.1:7351",),
        link_address="127.0.0.1:7350",
        root_pem=_root_pem(),
        root_statement=_statement(),
        network=NETWORK,
        parent_path=Path(),
        path=Path.parse("/33"),
        token_id="00112233445566aa",
        secret=bytes(range(32)),
        expires_ms=1_900_000_000_000,
    )


def _join_request() -> bytes:
    keys = ChildKeys(
        tls=ec.derive_private_key(11, ec.SECP256R1()),
        ca=ec.derive_private_key(12, ec.SECP256R1()),
        journal=SIGNER,
        cosign=COSIGNER,
    )
    return make_request(_bundle(), NODE, keys).SerializeToString()


def _question() -> bytes:
    question = make_question(
        query_id=bytes(16),
        network=NETWORK,
        asker=NODE,
        target=Path.parse("/33/3301"),
        kind="status",
        expires_ms=1_750_000_060_000,
        signer=COSIGNER,
    )
    return to_proto(question).SerializeToString()


def _take_header(data: bytes) -> None:
    value = decode_header(data)
    # Fields of a newer version, of the header or of a part in it, stay in the bytes and
    # out of the value.
    known = record_pb2.Header.FromString(data)
    known.DiscardUnknownFields()
    if value.encode() != known.SerializeToString(deterministic=True):
        raise AssertionError("two byte forms of one header")


def _take_join_request(data: bytes) -> None:
    try:
        request = link_pb2.JoinRequest.FromString(data)
    except DecodeError:
        return
    prove_keys(read_request(request))


def _take_question(data: bytes) -> None:
    try:
        query = link_pb2.Query.FromString(data)
    except DecodeError:
        return
    read_question(query)


TARGETS: dict[str, Target] = {
    "header": Target(take=_take_header, seeds=(_header(),)),
    "frame": Target(take=decode_frame, seeds=(_frame(),)),
    "control": Target(take=decode_control, seeds=_controls()),
    "note": Target(take=parse_note, seeds=(_checkpoint(),)),
    "checkpoint": Target(
        take=lambda data: same(
            parse_checkpoint(data).text().encode(), data.split(b"\n\n")[0] + b"\n"
        ),
        seeds=(_checkpoint(),),
    ),
    "verifier-key": Target(
        take=lambda data: VerifierKey.parse(data.decode("latin-1")),
        seeds=(b"example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",),
    ),
    "proof": Target(take=lambda data: same(parse_proof(data).encode(), data), seeds=(_proof(),)),
    "enrolment": Target(take=Enrolment.decode, seeds=(_enrolment(),)),
    "epoch": Target(
        take=lambda data: same(EpochOpened.decode(data).encode(), data), seeds=(_epoch(),)
    ),
    "root-statement": Target(
        take=lambda data: open_root_statement(data, _root_pem()), seeds=(_statement(),)
    ),
    "archive": Target(
        take=lambda data: same(write_archive(read_archive(data)), data),
        seeds=(write_archive({"a": b"1", "record/header": _header()}),),
    ),
    "join-bundle": Target(take=JoinBundle.decode, seeds=(_bundle().encode(),)),
    "join-request": Target(take=_take_join_request, seeds=(_join_request(),)),
    "question": Target(take=_take_question, seeds=(_question(),)),
} | PAPERS
