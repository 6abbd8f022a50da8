"""The service on the join port: who comes here has no certificate yet."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any, Final, TypeVar

import grpc
import grpc.aio
from google.protobuf.message import DecodeError, Message

from yidao.api.errors import YidaoError
from yidao.api.link.v1 import admission_pb2, link_pb2
from yidao.node.keys import NodeCertificates
from yidao.node.link import errors
from yidao.node.link.admission import Admission
from yidao.node.link.credentials import live_server_credentials
from yidao.node.link.invitation import Invitations
from yidao.node.link.options import GUARD_OPTIONS
from yidao.node.link.renewal import Renewals, first_request
from yidao.node.link.renewerrors import RenewRefusal
from yidao.node.logging import get_logger

MAX_REQUEST_BYTES: Final = 16 * 1024
#: Where the words of whoever rejected a request travel.
REASON_KEY: Final = "yidao-reason-bin"
ENROLMENT: Final = "yidao.api.link.v1.EnrolmentService"
INVITATION: Final = "yidao.api.link.v1.InvitationService"

# How long the one message of a caller may be on its way; the caller itself waits 20 s.
REQUEST_SECONDS: Final = 10.0

# Whoever has not joined yet gets little room: one small message, and little time for it.
SERVER_OPTIONS: Final[tuple[tuple[str, int], ...]] = (
    *GUARD_OPTIONS,
    ("grpc.max_receive_message_length", MAX_REQUEST_BYTES),
    ("grpc.max_concurrent_streams", 4),
    ("grpc.max_connection_idle_ms", 10_000),
    ("grpc.max_connection_age_ms", 60_000),
    ("grpc.max_connection_age_grace_ms", 30_000),
)

Context = grpc.aio.ServicerContext[bytes, Any]
Requests = AsyncIterator[bytes]
Request = TypeVar("Request", bound=Message)
Answer = TypeVar("Answer", bound=Message)

log = get_logger()


class JoinServicer:
    """`EnrolmentService` and `InvitationService`: a refusal travels as its code in the details.

    Served as streams of requests, of which the first is taken: gRPC waits without
    end for the message of a unary call, and has no deadline for callers who set none.
    """

    def __init__(self, admission: Admission, invitations: Invitations, renewals: Renewals) -> None:
        self._admission = admission
        self._invitations = invitations
        self._renewals = renewals

    async def join(self, requests: Requests, context: Context) -> link_pb2.JoinResponse:
        """Spend a token and be enrolled."""

        async def answer() -> link_pb2.JoinResponse:
            request = await _first(requests, link_pb2.JoinRequest)
            return await self._admission.admit(request, _caller(context))

        return await _answered(answer(), context)

    async def introduce(
        self, requests: Requests, context: Context
    ) -> admission_pb2.IntroduceResponse:
        """Say which root this node stands under."""

        async def answer() -> admission_pb2.IntroduceResponse:
            await _first(requests, admission_pb2.IntroduceRequest)
            return self._invitations.introduce()

        return await _answered(answer(), context)

    async def invite(self, requests: Requests, context: Context) -> admission_pb2.InviteResponse:
        """Say what a token is for; counted as a try to join."""

        async def answer() -> admission_pb2.InviteResponse:
            request = await _first(requests, admission_pb2.InviteRequest)
            self._admission.count_try(_caller(context))
            return await self._invitations.invite(request)

        return await _answered(answer(), context)

    async def renew(self, requests: Requests, context: Context) -> link_pb2.RenewResponse:
        """Give a node whose certificate has ended a new one, where that is allowed."""

        async def answer() -> link_pb2.RenewResponse:
            self._admission.count_try(_caller(context))
            request = await first_request(requests)
            return await asyncio.to_thread(self._renewals.renew_ended, request)

        return await _answered(answer(), context)


def _caller(context: Context) -> str:
    return str(context.peer().rpartition(":")[0])


async def _answered(answer: Awaitable[Answer], context: Context) -> Answer:
    try:
        return await answer
    except TimeoutError:
        await context.abort(grpc.StatusCode.DEADLINE_EXCEEDED)
    except errors.JoinRateLimited as refusal:
        await context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, refusal.code)
    except errors.JoinRefusal as refusal:
        reason = str(refusal.params.get("reason", "")).encode()
        trailing = ((REASON_KEY, reason),) if reason else ()
        await context.abort(grpc.StatusCode.PERMISSION_DENIED, refusal.code, trailing)
    except (RenewRefusal, errors.PeerCheckError) as refusal:
        log.warning("link.renewal.refused", code=refusal.code)
        await context.abort(grpc.StatusCode.PERMISSION_DENIED, refusal.code)
    except YidaoError as error:
        # Our own trouble: the other side learns no more than that.
        log.exception("link.join.failed", error=error)
        await context.abort(grpc.StatusCode.INTERNAL, "INTERNAL")


async def _first(requests: Requests, kind: type[Request]) -> Request:
    """Return the message of a call.

    Raises:
        TimeoutError: It did not come in time.
        JoinRequestMalformed: There is none, or it cannot be parsed.
    """
    async with asyncio.timeout(REQUEST_SECONDS):
        async for data in requests:
            try:
                return kind.FromString(data)
            except DecodeError:
                break
    raise errors.JoinRequestMalformed


def join_server(
    admission: Admission,
    invitations: Invitations,
    renewals: Renewals,
    certificates: Callable[[], NodeCertificates],
    address: str,
) -> grpc.aio.Server:
    """Return a server for the join port, bound and not started.

    Args:
        admission: Decides who may join.
        invitations: Say what a token is for.
        renewals: Give those whose certificate has ended a new one.
        certificates: Gives what the port shows at each handshake.
        address: Where to listen.

    Raises:
        LinkPortTaken: The address is in use or may not be used.
    """
    server = grpc.aio.server(options=SERVER_OPTIONS, maximum_concurrent_rpcs=64)
    for service, methods in _methods(JoinServicer(admission, invitations, renewals)).items():
        handlers: dict[str, grpc.RpcMethodHandler[bytes, Message]] = {
            name: grpc.stream_unary_rpc_method_handler(method, response_serializer=_serialized)
            for name, method in methods.items()
        }
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, handlers),))
    try:
        server.add_secure_port(address, live_server_credentials(certificates, mutual=False))
    except RuntimeError:
        raise errors.LinkPortTaken(address=address) from None
    return server


def _methods(servicer: JoinServicer) -> Mapping[str, Mapping[str, Any]]:
    return {
        ENROLMENT: {"Join": servicer.join, "Renew": servicer.renew},
        INVITATION: {"Introduce": servicer.introduce, "Invite": servicer.invite},
    }


def _serialized(answer: Message) -> bytes:
    return answer.SerializeToString()
