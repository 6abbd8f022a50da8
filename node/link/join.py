"""Joining the tree: the child's side.

Every step can be cut short and run again. The request is kept before it is sent,
so that a second run sends the very same bytes and gets the same answer; the
answer is kept before it is unpacked, so that nothing is asked twice; the identity
is written last, and only then is the child enrolled.

1. Make the keys, here; they never leave this machine.
2. Keep the request, then send it, TLS anchored on the bundle's root alone.
3. Prove the answer: certificates to the pinned root, and the enrolment of exactly
   these keys at exactly this path by an unbroken chain from the root statement.
4. Keep the answer, unpack it, write the identity, forget request and answer.
"""

import itertools
from collections.abc import Callable
from datetime import datetime
from pathlib import Path as FilePath
from typing import Final

import grpc
import grpc.aio
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from google.protobuf.message import DecodeError

from yidao.api.errors import YidaoError, every_error
from yidao.api.link.v1 import link_pb2, link_pb2_grpc
from yidao.node import errors as node_errors
from yidao.node.datadir import sync_folder
from yidao.node.keys import (
    CA_CHAIN,
    CA_KEY,
    COSIGN_KEY,
    COSIGN_PQ_KEY,
    FIRST_EPOCH,
    JOURNAL_KEY,
    ROOT_CERTIFICATE,
    STANDARD_KEYS,
    TLS_CHAIN,
    TLS_KEY,
    Chain,
    Identity,
    KeyFolder,
    KeyKinds,
)
from yidao.node.link import errors
from yidao.node.link.bundle import JoinBundle
from yidao.node.link.certificates import generate_key, key_sha256
from yidao.node.link.credentials import join_channel_credentials, target_name
from yidao.node.link.joinrequest import ChildKeys, make_request, read_request
from yidao.node.link.options import proxy_options
from yidao.node.link.peercheck import Enrolled, check_peer, load_chain
from yidao.sync import ids
from yidao.sync.enrolment import verify_chain
from yidao.sync.message import EnrolmentProof
from yidao.sync.record import Part
from yidao.sync.suiteerrors import SuiteUnavailable

REQUEST: Final = "join.request"
ANSWER: Final = "join.answer"
# A chain of 15 tiers with proofs stays below 256 KiB.
MAX_ANSWER_BYTES: Final = 1024 * 1024
TIMEOUT_SECONDS: Final = 20.0


_KEY_FILES: Final = (TLS_KEY, CA_KEY, JOURNAL_KEY, COSIGN_KEY, COSIGN_PQ_KEY)
_REFUSALS: Final = {kind.code: kind for kind in every_error(errors.JoinRefusal)}


async def join(
    bundle: JoinBundle,
    data_dir: FilePath,
    *,
    now: datetime,
    random: Callable[[int], bytes],
    proxy: str | None = None,
    kinds: KeyKinds = STANDARD_KEYS,
) -> Identity:
    """Enrol this data folder as the child that `bundle` is for, and return who it is now.

    Args:
        bundle: Loaded and therefore consistent.
        data_dir: A prepared data folder (see `yidao.node.datadir`).
        now: This machine's time, aware.
        random: Gives that many bytes of the system's generator.
        proxy: An HTTP proxy on the way to the parent.
        kinds: Of the keys that it makes; a run that takes up another keeps the kinds
            of that one.

    Raises:
        AlreadyEnrolled: A node lives there.
        BundleExpired: The bundle's time is over.
        JoinUnreachable: No address of the parent answered.
        JoinRefusal: The parent refused; the class says why.
        JoinAnswerInvalid: The parent's answer proves something else, or nothing.
        SuiteUnavailable: The library of a suite in the chain is not installed.
    """
    folder = KeyFolder.create(data_dir)
    if folder.is_enrolled():
        raise node_errors.AlreadyEnrolled(path=str(data_dir))
    request = _kept_request(folder, bundle)
    if request is None:
        bundle.check_time(now)
        request = _new_request(folder, bundle, random, kinds)  # (1)
    if not folder.has(ANSWER):
        answer = await _ask(bundle, request, proxy)  # (2)
        _check_answer(folder, bundle, request, answer, now)  # (3)
        folder.write(ANSWER, answer.SerializeToString())
    return _unpack(folder, bundle, request)  # (4)


async def join_with_file(
    file: FilePath,
    data_dir: FilePath,
    *,
    now: datetime,
    random: Callable[[int], bytes],
    proxy: str | None = None,
    kinds: KeyKinds = STANDARD_KEYS,
) -> tuple[Identity, JoinBundle]:
    """Do `join` with a bundle file and delete the file, whose secret is spent then."""
    bundle = JoinBundle.load(file)
    identity = await join(bundle, data_dir, now=now, random=random, proxy=proxy, kinds=kinds)
    _forget(file)
    return identity, bundle


def _forget(file: FilePath) -> None:
    file.unlink()
    sync_folder(file.absolute().parent)


def _kept_request(folder: KeyFolder, bundle: JoinBundle) -> link_pb2.JoinRequest | None:
    """Return the request of a run that was cut short, if it was with this bundle."""
    if folder.has(REQUEST):
        try:
            request = link_pb2.JoinRequest.FromString(folder.read(REQUEST))
            if read_request(request).token_id == bundle.token_id:
                return request
        except (DecodeError, errors.JoinRefusal):
            raise node_errors.KeyFileMalformed(name=REQUEST) from None
    return None


def _new_request(
    folder: KeyFolder, bundle: JoinBundle, random: Callable[[int], bytes], kinds: KeyKinds
) -> link_pb2.JoinRequest:
    for name in (REQUEST, ANSWER, *_KEY_FILES):
        # Of a run with another bundle, or cut short before anything was sent.
        folder.remove(name)
    keys = ChildKeys(
        tls=generate_key(),
        ca=generate_key(),
        journal=folder.make_signer(JOURNAL_KEY, kinds.suite, random),
        cosign=folder.make_signer(COSIGN_KEY, kinds.suite, random),
        cosign_pq=folder.make_pq_signer(random) if kinds.pq else None,
    )
    folder.write_tls_key(TLS_KEY, keys.tls)
    folder.write_tls_key(CA_KEY, keys.ca)
    request = make_request(bundle, ids.node_id(random(ids.ID_BYTES)), keys)
    folder.write(REQUEST, request.SerializeToString())
    return request


async def _ask(
    bundle: JoinBundle, request: link_pb2.JoinRequest, proxy: str | None
) -> link_pb2.JoinResponse:
    """Return the answer of the first address that gives one."""
    failure = errors.JoinUnreachable(address="", reason="")
    for address in bundle.addresses:
        try:
            return await _ask_at(address, bundle, request, proxy)
        except grpc.aio.AioRpcError as error:
            details = error.details() or ""
            if details in _REFUSALS:
                raise _REFUSALS[details] from None
            failure = errors.JoinUnreachable(address=address, reason=error.code().name)
        except TimeoutError:
            failure = errors.JoinUnreachable(address=address, reason="TIMEOUT")
    raise failure


async def _ask_at(
    address: str, bundle: JoinBundle, request: link_pb2.JoinRequest, proxy: str | None
) -> link_pb2.JoinResponse:
    options = (
        ("grpc.ssl_target_name_override", target_name(bundle.parent_path)),
        ("grpc.max_receive_message_length", MAX_ANSWER_BYTES),
        *proxy_options(proxy),
        # A retry of gRPC's own would count as another try at the parent.
        ("grpc.enable_retries", 0),
    )
    credentials = join_channel_credentials(bundle.root_pem)
    async with grpc.aio.secure_channel(address, credentials, options=options) as channel:
        stub = link_pb2_grpc.EnrolmentServiceStub(channel)
        return await stub.Join(request, timeout=TIMEOUT_SECONDS)


def _check_answer(
    folder: KeyFolder,
    bundle: JoinBundle,
    request: link_pb2.JoinRequest,
    answer: link_pb2.JoinResponse,
    now: datetime,
) -> None:
    """Require that the answer enrols this node, its keys, at the bundle's path."""
    asked = read_request(request)
    try:
        enrolled = verify_chain(bundle.root_pem, bundle.root_statement, _proofs(answer))
    except SuiteUnavailable:
        raise
    except YidaoError as error:
        raise errors.JoinAnswerInvalid(reason=error.code) from None
    last = enrolled[-1]
    tls_key = folder.load_tls_key(TLS_KEY).public_key()
    ca_key = folder.load_tls_key(CA_KEY).public_key()
    ca_sha256 = key_sha256(ca_key) if answer.ca_chain else b""
    found = (last.node_id, last.path, last.journal_key, last.cosign_key, last.suite)
    wanted = (asked.node_id, bundle.path, asked.journal_key, asked.cosign_key, asked.suite)
    if last.cosign_pq != asked.cosign_pq:
        raise errors.JoinAnswerInvalid(reason="enrolment")
    if found != wanted or (last.tls_sha256, last.ca_sha256) != (key_sha256(tls_key), ca_sha256):
        raise errors.JoinAnswerInvalid(reason="enrolment")
    tiers = [enrolment.path for enrolment in enrolled]
    if any(below.parent != above for above, below in itertools.pairwise(tiers)):
        raise errors.JoinAnswerInvalid(reason="tiers")
    own = Enrolled(path=bundle.path, tls_sha256=key_sha256(tls_key))
    try:
        check_peer(
            answer.tls_chain,
            root_pem=bundle.root_pem,
            network=bundle.network,
            now=now,
            enrolled=lambda node: own if node == asked.node_id else None,
        )
        if answer.ca_chain:
            _check_authority(answer, bundle.root_pem, ca_sha256)
    except errors.PeerCheckError as error:
        raise errors.JoinAnswerInvalid(reason=error.code) from None


def _check_authority(answer: link_pb2.JoinResponse, root_pem: bytes, ca_sha256: bytes) -> None:
    """Require that the authority's chain is this key's and hangs where the leaf's does."""
    own, *above = load_chain(answer.ca_chain)
    if above != load_chain(answer.tls_chain)[1:]:
        raise errors.JoinAnswerInvalid(reason="authority")
    issuer = above[0] if above else x509.load_pem_x509_certificate(root_pem)
    try:
        own.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature):
        raise errors.JoinAnswerInvalid(reason="authority") from None
    if key_sha256(own.public_key()) != ca_sha256:  # type: ignore[arg-type]
        raise errors.JoinAnswerInvalid(reason="authority")


def _unpack(folder: KeyFolder, bundle: JoinBundle, request: link_pb2.JoinRequest) -> Identity:
    """Put a proved answer where it belongs, the identity last."""
    answer = link_pb2.JoinResponse.FromString(folder.read(ANSWER))
    folder.replace(TLS_CHAIN, answer.tls_chain)
    if answer.ca_chain:
        folder.replace(CA_CHAIN, answer.ca_chain)
    else:
        folder.remove(CA_KEY)
    folder.replace(ROOT_CERTIFICATE, bundle.root_pem)
    folder.save_chain(Chain(statement=bundle.root_statement, proofs=_proofs(answer)))
    asked = read_request(request)
    identity = Identity(
        network=bundle.network,
        node_id=asked.node_id,
        path=bundle.path,
        epoch=FIRST_EPOCH,
        suite=asked.suite,
        journal=folder.load_signer(JOURNAL_KEY),
        cosign=folder.load_signer(COSIGN_KEY),
        cosign_pq=folder.load_pq_signer(),
    )
    folder.write_identity(identity)
    folder.remove(ANSWER)
    folder.remove(REQUEST)
    return identity


def _proofs(answer: link_pb2.JoinResponse) -> tuple[EnrolmentProof, ...]:
    return tuple(
        EnrolmentProof(
            header=proof.header,
            core=Part(name=proof.core.name, salt=proof.core.salt, body=proof.core.body),
            proof=proof.proof,
        )
        for proof in answer.chain
    )
