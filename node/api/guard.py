"""Asks `node/access` before every call of the local API, and writes down what it must.

1. Metadata become a caller: a session's user, a program, or the account that owns the socket.
2. The caller may make the call at all (`caller.check_call`).
3. A session acts as itself: an empty actor is filled in, another one refused.
4. Who is held to institutions, forms or places asks of those alone (`calls`).
5. What takes two was approved by another one (`pairs`).
6. The servicer runs; it finds the caller by `current_caller`.
7. A call that is audited is durable in the audit before it is answered or refused.

What is refused before step 6 never reaches a servicer.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace
from typing import Any, Final, NoReturn

import grpc
import grpc.aio
import structlog
from google.protobuf.message import Message

from yidao.api.errors import YidaoError
from yidao.node.access import calls
from yidao.node.access.caller import Caller, check_call, set_caller
from yidao.node.access.calls import CallRule, Needs, UnitRule
from yidao.node.access.errors import PermissionDenied, PurposeInvalid, SessionEnded
from yidao.node.access.fields import is_purpose
from yidao.node.access.service import Access
from yidao.node.api.errors import refuse
from yidao.node.api.scoping import (
    act,
    check_answer,
    check_forms,
    check_paths,
    check_records,
    check_return,
    check_rows,
    fill_unit,
    is_trial,
    matter_of,
    named_records,
)
from yidao.node.api.workers import Workers

SOURCE_METADATA: Final = "x-yidao-source"
#: UTF-8; what for fields of grade 3 and 4 are read.
PURPOSE_METADATA: Final = "x-yidao-purpose-bin"
_SESSION_METADATA: Final = "authorization"
_SCHEME: Final = "Bearer "
_MAX_TOKEN_CHARACTERS: Final = 128
_CANCELLED: Final = "CANCELLED"
_ASKED_AGAIN_SECONDS: Final = 1.0

log = structlog.get_logger()

Context = grpc.aio.ServicerContext[Any, Any]
UnitsOf = Callable[[Sequence[bytes]], Mapping[bytes, frozenset[str]]]


class AccessGuard(grpc.aio.ServerInterceptor):
    """Stands before every servicer of the local API.

    Args:
        access: Who may do what.
        workers: For what reads the store.
        units_of: The institutions whose returns records are.
    """

    def __init__(self, access: Access, workers: Workers, units_of: UnitsOf) -> None:
        self._access = access
        self._workers = workers
        self._units_of = units_of

    async def intercept_service(
        self,
        continuation: Callable[[Any], Awaitable[Any]],
        handler_call_details: Any,
    ) -> Any:
        """Put the guard around the handler of a call."""
        method: str = handler_call_details.method
        handler = await continuation(handler_call_details)
        if handler is None or calls.is_public(method):
            return handler
        name = calls.call_name(method)
        form: dict[str, Any] = {
            "request_deserializer": handler.request_deserializer,
            "response_serializer": handler.response_serializer,
        }
        if handler.unary_unary is not None:
            return grpc.unary_unary_rpc_method_handler(self._one(name, handler.unary_unary), **form)
        if handler.unary_stream is not None:
            return grpc.unary_stream_rpc_method_handler(
                self._many(name, handler.unary_stream), **form
            )
        if handler.stream_stream is not None:
            return grpc.stream_stream_rpc_method_handler(
                self._both(name, handler.stream_stream), **form
            )
        assert handler.stream_unary is not None, method
        return grpc.stream_unary_rpc_method_handler(self._one(name, handler.stream_unary), **form)

    def _one(self, name: str, inner: Callable[..., Awaitable[Message]]) -> Callable[..., Any]:
        """Guard a call with one answer; its request may be a stream, which names no actor."""
        rule = calls.RULES.get(name)

        async def call(request: Any, context: Context) -> Message:
            admitted = await self._admit(name, rule, request, context)
            await self._pair(name, rule, request, admitted, context)
            noting = _Noting(context, lambda code: self._failed(name, admitted, code))
            try:
                response = await inner(request, noting)
            except asyncio.CancelledError:
                # The caller is gone, what was asked may still happen.
                if admitted.audited:
                    self._access.call_refused(admitted.caller, name, _CANCELLED, admitted.asserted)
                raise
            if rule is not None:
                try:
                    check_answer(rule, request, response, admitted.caller)
                except YidaoError as error:
                    await refuse(noting, error)
            await self._done(name, admitted, context)
            return response

        return call

    def _many(self, name: str, inner: Callable[..., AsyncIterator[Message]]) -> Callable[..., Any]:
        rule = calls.RULES.get(name)

        async def call(request: Message, context: Context) -> AsyncIterator[Message]:
            admitted = await self._admit(name, rule, request, context)
            await self._pair(name, rule, request, admitted, context)
            await self._done(name, admitted, context)
            async for message in inner(request, context):
                # A stream outlives neither its session nor its permission.
                await self._admit(name, rule, request, context, goes_on=True)
                yield message

        return call

    def _both(self, name: str, inner: Callable[..., AsyncIterator[Message]]) -> Callable[..., Any]:
        """Guard a call that streams both ways: its caller at the start, each request's actor.

        Whether the session still holds is asked again every second in which something comes.
        """
        rule = calls.RULES.get(name)

        async def call(
            requests: AsyncIterator[Message], context: Context
        ) -> AsyncIterator[Message]:
            admitted = await self._admit(name, rule, None, context)
            await self._done(name, admitted, context)
            clock = asyncio.get_running_loop().time

            async def known() -> AsyncIterator[Message]:
                asked_at = clock()
                async for request in requests:
                    if clock() - asked_at >= _ASKED_AGAIN_SECONDS:
                        await self._admit(name, rule, request, context, goes_on=True)
                        asked_at = clock()
                    else:
                        act(request, admitted.caller)
                    yield request

            async for response in inner(known(), context):
                yield response

        return call

    async def _admit(
        self,
        name: str,
        rule: CallRule | None,
        request: Any,
        context: Context,
        *,
        goes_on: bool = False,
    ) -> "_Admitted":
        """Steps 1 to 4; aborts the call if one fails. `goes_on`: a stream, admitted before."""
        caller, source, asserted = self._access.local, _only(context, SOURCE_METADATA) or "", ""
        try:
            caller = await self._caller(rule, context, source, goes_on=goes_on)
            check_call(caller, rule, name=name)
            if isinstance(request, Message):
                asserted = act(request, caller)
            if rule is not None:
                if caller.units:
                    await self._check_units(caller, rule.unit, request)
                check_forms(rule, request, caller)
                check_paths(rule, request, caller)
        except SessionEnded as error:
            written = self._access.turned_away(name, error.code, source)
            await _refuse(written, context, error)
        except YidaoError as error:
            written = self._access.call_refused(caller, name, error.code, asserted)
            await _refuse(written, context, error)
        except Exception:
            log.exception("api.guard.failed", call=name)
            await refuse(context, YidaoError())
        set_caller(caller)
        is_only_asked = isinstance(request, Message) and is_trial(request)
        audited = (rule is None or rule.audited) and not is_only_asked
        return _Admitted(caller=caller, asserted=asserted, audited=audited)

    async def _pair(
        self,
        name: str,
        rule: CallRule | None,
        request: Any,
        admitted: "_Admitted",
        context: Context,
    ) -> None:
        """Step 5; aborts the call if another one has still to approve it."""
        if rule is None or not rule.pair or not admitted.audited:
            return
        matter = matter_of(name, request, rule.pair)
        try:
            await self._workers.write(lambda: self._access.pairs.demand(admitted.caller, matter))
        except YidaoError as error:
            await refuse(_Noting(context, lambda code: self._failed(name, admitted, code)), error)

    async def _caller(
        self, rule: CallRule | None, context: Context, source: str, *, goes_on: bool
    ) -> Caller:
        """Give who calls.

        Raises:
            SessionEnded: The token shows no open session; or a person sits behind the
                call, as its source says, and shows none.
            PurposeInvalid: The purpose is no text of that length.
            TokenRevoked, TokenExpired, TokenSource, TokenRate: See `tokens`.
        """
        purpose = _purpose_of(context)
        shown = _only(context, _SESSION_METADATA)
        if shown is None:
            if source and (rule is None or rule.needs is not Needs.NOTHING):
                raise SessionEnded
            return replace(self._access.local, purpose=purpose)
        token = shown.removeprefix(_SCHEME)
        if not shown.startswith(_SCHEME) or not 1 <= len(token) <= _MAX_TOKEN_CHARACTERS:
            raise SessionEnded
        caller = await self._workers.read(
            lambda: self._access.caller(token, source=source, counted=not goes_on)
        )
        return replace(caller, purpose=purpose)

    async def _check_units(self, caller: Caller, rule: UnitRule, request: Message) -> None:
        """Step 4.

        Raises:
            UnitForeign: The request is about another institution, or a record that is not here.
        """
        match rule:
            case UnitRule.FIELD:
                fill_unit(request, caller)
            case UnitRule.ROWS:
                check_rows(request, caller)
            case UnitRule.RECORDS:
                check_return(request, caller)
                named = named_records(request)
                units = await self._workers.read(lambda: self._units_of(named))
                check_records(named, units, caller)
            case UnitRule.OPEN | UnitRule.ANSWER | UnitRule.CLOSED:
                pass

    async def _failed(self, name: str, admitted: "_Admitted", code: str) -> None:
        if admitted.audited or code == PermissionDenied.code:
            written = self._access.call_refused(admitted.caller, name, code, admitted.asserted)
            await asyncio.wrap_future(written)

    async def _done(self, name: str, admitted: "_Admitted", context: Context) -> None:
        if not admitted.audited:
            return
        written = self._access.call_done(admitted.caller, name, admitted.asserted)
        try:
            await asyncio.wrap_future(written)
        except YidaoError as error:
            # What must be in the audit and cannot be is not answered.
            await refuse(context, error)


class _Noting:
    """The context of a call whose refusal is durable in the audit before it is answered.

    gRPC answers while it aborts: what waits after that has been overtaken by the answer.
    """

    def __init__(self, context: Context, note: Callable[[str], Awaitable[None]]) -> None:
        self._context = context
        self._note = note

    async def abort(
        self, code: grpc.StatusCode, details: str = "", trailing_metadata: Any = ()
    ) -> NoReturn:
        """Note the error's code, see `errors.refuse`, and end the call."""
        try:
            await self._note(details)
        except YidaoError as error:
            # What must be in the audit and cannot be is not answered.
            await refuse(self._context, error)
        await self._context.abort(code, details, trailing_metadata)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._context, name)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Admitted:
    """Who makes a call, whom the machine's own account says that it acts for, what is audited."""

    caller: Caller
    asserted: str
    audited: bool


def _only(context: Context, name: str) -> str | None:
    """Give the value of a metadata key; empty, which is no token, if it is there twice."""
    values = [value for key, value in context.invocation_metadata() or () if key == name]
    if len(values) > 1:
        return ""
    return str(values[0]) if values else None


def _purpose_of(context: Context) -> str:
    """Give what for the caller reads, empty if they do not say."""
    # gRPC gives what ends with `-bin` as bytes.
    values: list[Any] = [
        value for key, value in context.invocation_metadata() or () if key == PURPOSE_METADATA
    ]
    try:
        text = bytes(values[0]).decode() if len(values) == 1 else ""
    except UnicodeDecodeError:
        raise PurposeInvalid from None
    if len(values) > 1 or not is_purpose(text):
        raise PurposeInvalid
    return text


async def _refuse(written: "Future[None]", context: Context, error: YidaoError) -> NoReturn:
    async def note(_code: str) -> None:
        await asyncio.wrap_future(written)

    await refuse(_Noting(context, note), error)
