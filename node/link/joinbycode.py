"""From a typed code to a join bundle: the child's side.

1. Look at who answers, over a TLS connection that proves nothing and on which nothing
   is sent but the question which root it stands under.
2. Compare the root's key with the code, in constant time.
3. Connect anew, anchored on that root alone, and ask what the token is for.
4. Require the MAC by the code's secret over the answer: it is from who made the token.

There is no switch that leaves a step out.
"""

import asyncio
import base64
import hmac
import ssl
from collections.abc import Callable
from typing import Final
from urllib.parse import unquote, urlsplit

import grpc
import grpc.aio
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from google.protobuf.message import DecodeError

from yidao.api.errors import YidaoError, every_error
from yidao.api.link.v1 import admission_pb2 as pb
from yidao.api.link.v1 import admission_pb2_grpc as pb_grpc
from yidao.node.link import errors
from yidao.node.link.bundle import JoinBundle
from yidao.node.link.certificates import key_sha256, to_pem
from yidao.node.link.credentials import join_channel_credentials, target_name
from yidao.node.link.invitation import NONCE_BYTES, invitation_mac
from yidao.node.link.joincode import JoinCode, pin_of
from yidao.node.link.options import proxy_options
from yidao.sync import ids
from yidao.sync.rootstatement import MAX_CERTIFICATES

TIMEOUT_SECONDS: Final = 20.0
MAX_ANSWER_BYTES: Final = 64 * 1024
_MAX_PROXY_ANSWER_BYTES: Final = 4096

_REFUSALS: Final = {kind.code: kind for kind in every_error(errors.JoinRefusal)}


async def bundle_by_code(
    code: JoinCode, address: str, *, random: Callable[[int], bytes], proxy: str | None = None
) -> JoinBundle:
    """Return the bundle that a code stands for, its root proved by the code.

    Args:
        code: As it was typed.
        address: `host:port` of the parent's join service.
        random: Gives that many bytes of the system's generator.
        proxy: An HTTP proxy on the way to the parent.

    Raises:
        JoinUnreachable: Nobody answers there.
        JoinRootMismatch: Another network answers, or somebody in between.
        JoinRefusal: The parent knows no such open token.
        JoinInvitationInvalid: The answer is not by who made the code.
    """
    try:
        leaf = await asyncio.wait_for(_look(address, proxy), TIMEOUT_SECONDS)
        root_pem, parent = await _introduce(address, leaf, proxy)  # (1)
        root_pem = _pinned(root_pem, code)  # (2)
        nonce = random(NONCE_BYTES)
        answer = await _invite(address, root_pem, parent, code.token_id, nonce, proxy)  # (3)
    except grpc.aio.AioRpcError as error:
        refusal = _REFUSALS.get(error.details() or "")
        if refusal is not None:
            raise refusal from None
        raise errors.JoinUnreachable(address=address, reason=error.code().name) from None
    except TimeoutError:
        raise errors.JoinUnreachable(address=address, reason="TIMEOUT") from None
    except (OSError, EOFError) as error:
        raise errors.JoinUnreachable(address=address, reason=type(error).__name__) from None
    if not hmac.compare_digest(invitation_mac(code.mac_secret, nonce, answer.body), answer.mac):
        raise errors.JoinInvitationInvalid(reason="mac")  # (4)
    return _bundle(code, address, root_pem, answer.body)


async def _look(address: str, proxy: str | None) -> x509.Certificate:
    """Return the certificate that is shown at an address; nothing is sent but a handshake."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.check_hostname = False
    # Nothing that comes over this connection is believed; see the module's text.
    context.verify_mode = ssl.CERT_NONE
    context.set_alpn_protocols(["h2"])
    writer = await _connect(address, proxy)
    try:
        await writer.start_tls(context, server_hostname=None)
        der = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    finally:
        writer.close()
    try:
        return x509.load_der_x509_certificate(der)
    except (ValueError, x509.InvalidVersion):
        raise errors.JoinRootMismatch from None


async def _connect(address: str, proxy: str | None) -> asyncio.StreamWriter:
    host, _, port = address.rpartition(":")
    if proxy is None:
        _, writer = await asyncio.open_connection(host.strip("[]"), int(port))
        return writer
    way = urlsplit(proxy)
    reader, writer = await asyncio.open_connection(way.hostname, way.port)
    lines = [f"CONNECT {address} HTTP/1.1", f"Host: {address}"]
    if way.username is not None:
        who = f"{unquote(way.username)}:{unquote(way.password or '')}".encode()
        lines.append(f"Proxy-Authorization: Basic {base64.b64encode(who).decode()}")
    writer.write("\r\n".join([*lines, "", ""]).encode())
    answer = await reader.readuntil(b"\r\n\r\n")
    if len(answer) > _MAX_PROXY_ANSWER_BYTES or answer.split(b" ", 2)[1:2] != [b"200"]:
        writer.close()
        raise errors.JoinUnreachable(address=address, reason="PROXY")
    return writer


async def _introduce(
    address: str, leaf: x509.Certificate, proxy: str | None
) -> tuple[bytes, ids.Path]:
    """Return the root that whoever shows `leaf` says it stands under, and its path."""
    try:
        names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        name = names.get_values_for_type(x509.DNSName)[0]
    except (x509.ExtensionNotFound, IndexError, ValueError):
        raise errors.JoinRootMismatch from None
    async with _channel(address, to_pem(leaf), name, proxy) as channel:
        stub = pb_grpc.InvitationServiceStub(channel)
        answer = await stub.Introduce(pb.IntroduceRequest(), timeout=TIMEOUT_SECONDS)
    try:
        return answer.root, ids.Path.parse(answer.path)
    except YidaoError:
        raise errors.JoinInvitationInvalid(reason="path") from None


def _pinned(roots_pem: bytes, code: JoinCode) -> bytes:
    """Return the one root certificate that the code names, as PEM; nothing else counts.

    A network may have several, and somebody in between may add one of their own.

    Raises:
        JoinRootMismatch: None of them is the code's.
    """
    try:
        certificates = x509.load_pem_x509_certificates(roots_pem)[:MAX_CERTIFICATES]
        keys = [certificate.public_key() for certificate in certificates]
    except (ValueError, x509.InvalidVersion, UnsupportedAlgorithm):
        raise errors.JoinRootMismatch from None
    for certificate, key in zip(certificates, keys, strict=True):
        if isinstance(key, EllipticCurvePublicKey) and hmac.compare_digest(
            pin_of(key_sha256(key)), code.pin
        ):
            return to_pem(certificate)
    raise errors.JoinRootMismatch


async def _invite(
    address: str,
    root_pem: bytes,
    parent: ids.Path,
    token_id: str,
    nonce: bytes,
    proxy: str | None,
) -> pb.InviteResponse:
    async with _channel(address, root_pem, target_name(parent), proxy) as channel:
        stub = pb_grpc.InvitationServiceStub(channel)
        request = pb.InviteRequest(token_id=token_id, nonce=nonce)
        return await stub.Invite(request, timeout=TIMEOUT_SECONDS)


def _channel(address: str, anchor_pem: bytes, name: str, proxy: str | None) -> grpc.aio.Channel:
    options = (
        ("grpc.ssl_target_name_override", name),
        ("grpc.max_receive_message_length", MAX_ANSWER_BYTES),
        *proxy_options(proxy),
        ("grpc.enable_retries", 0),
    )
    return grpc.aio.secure_channel(address, join_channel_credentials(anchor_pem), options=options)


def _bundle(code: JoinCode, address: str, root_pem: bytes, body: bytes) -> JoinBundle:
    """Return the bundle that an invitation makes up, with all that a bundle is checked for."""
    try:
        told = pb.Invitation.FromString(body)
        made = JoinBundle(
            addresses=(address,),
            link_address=told.link_address,
            root_pem=root_pem,
            root_statement=told.root_statement,
            network=ids.network_id(told.network),
            parent_path=ids.Path.parse(told.parent_path),
            path=ids.Path.parse(told.path),
            token_id=code.token_id,
            secret=code.mac_secret,
            expires_ms=told.expires_ms,
            test_network=told.test_network,
        )
        return JoinBundle.decode(made.encode())
    except DecodeError:
        raise errors.JoinInvitationInvalid(reason="body") from None
    except YidaoError as error:
        raise errors.JoinInvitationInvalid(reason=error.code) from None
