"""From typed errors to gRPC: one table, one place where an error stops.

Every refused call carries an `Error` in the trailing metadata
`yidao-error-bin`. What nobody foresaw is logged here and leaves as INTERNAL,
without a word of what it was.
"""

import functools
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Final, NoReturn, Protocol, TypeVar

import grpc
import grpc.aio
import structlog

from yidao.api.errors import YidaoError
from yidao.api.local.v1 import local_pb2
from yidao.catalog import errors as catalog
from yidao.node import errors as node
from yidao.node.access import errors as access
from yidao.node.affairs import errors as affairs
from yidao.node.affairs.catalog import errors as entries
from yidao.node.affairs.publishing import errors as publishing
from yidao.node.affairs.sharing import errors as sharing
from yidao.node.api import following
from yidao.node.store import errors as store
from yidao.sync import errors as sync

log = structlog.get_logger()

ERROR_METADATA: Final = "yidao-error-bin"
# gRPC drops a call whose metadata is over 8 KiB; a parameter is a name, not a text.
_MAX_PARAM_CHARACTERS: Final = 256

_Code = grpc.StatusCode


class RecordUnknown(YidaoError):
    """This node holds no record with this id (params: record)."""

    code = "RECORD_UNKNOWN"


class BundleTooLarge(YidaoError):
    """A bundle's file is over the limit (params: limit_mib)."""

    code = "PARCEL_TOO_LARGE"


#: The status of an error is that of its nearest class here.
STATUS: Final[dict[type[YidaoError], grpc.StatusCode]] = {
    YidaoError: _Code.INTERNAL,
    # What was sent is wrong, and is wrong whatever the node's state is.
    catalog.CatalogError: _Code.INVALID_ARGUMENT,
    sync.PeerError: _Code.INVALID_ARGUMENT,
    access.ActorInvalid: _Code.INVALID_ARGUMENT,
    affairs.CursorInvalid: _Code.INVALID_ARGUMENT,
    affairs.DateInvalid: _Code.INVALID_ARGUMENT,
    affairs.BreakdownInvalid: _Code.INVALID_ARGUMENT,
    affairs.DecisionInvalid: _Code.INVALID_ARGUMENT,
    affairs.DirectiveFieldInvalid: _Code.INVALID_ARGUMENT,
    affairs.DirectiveTargetInvalid: _Code.INVALID_ARGUMENT,
    affairs.ReasonMissing: _Code.INVALID_ARGUMENT,
    affairs.ReasonTooLong: _Code.INVALID_ARGUMENT,
    affairs.ReviewScopeInvalid: _Code.INVALID_ARGUMENT,
    following.FollowFilterInvalid: _Code.INVALID_ARGUMENT,
    affairs.RowsTooMany: _Code.INVALID_ARGUMENT,
    publishing.KindNotPublishable: _Code.INVALID_ARGUMENT,
    publishing.RecordsTooMany: _Code.INVALID_ARGUMENT,
    publishing.ReachInvalid: _Code.INVALID_ARGUMENT,
    publishing.GradeInvalid: _Code.INVALID_ARGUMENT,
    access.PasswordReused: _Code.INVALID_ARGUMENT,
    access.PasswordWeak: _Code.INVALID_ARGUMENT,
    access.RolesExclusive: _Code.INVALID_ARGUMENT,
    access.UserInvalid: _Code.INVALID_ARGUMENT,
    access.DecisionUnknown: _Code.INVALID_ARGUMENT,
    access.SignKeyInvalid: _Code.INVALID_ARGUMENT,
    access.PolicyInvalid: _Code.INVALID_ARGUMENT,
    access.PurposeInvalid: _Code.INVALID_ARGUMENT,
    access.RequestTooLarge: _Code.INVALID_ARGUMENT,
    access.TokenInvalid: _Code.INVALID_ARGUMENT,
    # Who asks is not known.
    access.SessionEnded: _Code.UNAUTHENTICATED,
    access.SignInRefused: _Code.UNAUTHENTICATED,
    access.UserLocked: _Code.UNAUTHENTICATED,
    access.TokenExpired: _Code.UNAUTHENTICATED,
    access.TokenRevoked: _Code.UNAUTHENTICATED,
    sharing.DeadlineInvalid: _Code.INVALID_ARGUMENT,
    sharing.ScopeInvalid: _Code.INVALID_ARGUMENT,
    # Who asks may not.
    access.AccessError: _Code.PERMISSION_DENIED,
    affairs.PackPublishForbidden: _Code.PERMISSION_DENIED,
    affairs.ReviewForbidden: _Code.PERMISSION_DENIED,
    affairs.ReviewOwn: _Code.PERMISSION_DENIED,
    affairs.DirectiveNotOurs: _Code.PERMISSION_DENIED,
    sharing.ShareForbidden: _Code.PERMISSION_DENIED,
    entries.EntryElsewhere: _Code.PERMISSION_DENIED,
    entries.EntryReviewerSame: _Code.PERMISSION_DENIED,
    # What is asked for is not here.
    catalog.PackUnknown: _Code.NOT_FOUND,
    catalog.PackNotInForce: _Code.NOT_FOUND,
    catalog.FormUnknown: _Code.NOT_FOUND,
    affairs.ReturnUnknown: _Code.NOT_FOUND,
    affairs.ReturnNotHeld: _Code.NOT_FOUND,
    affairs.DirectiveUnknown: _Code.NOT_FOUND,
    access.UserUnknown: _Code.NOT_FOUND,
    access.RequestUnknown: _Code.NOT_FOUND,
    access.TokenUnknown: _Code.NOT_FOUND,
    entries.EntryUnknown: _Code.NOT_FOUND,
    RecordUnknown: _Code.NOT_FOUND,
    BundleTooLarge: _Code.INVALID_ARGUMENT,
    sharing.ResourceUnknown: _Code.NOT_FOUND,
    # What is there stands in the way.
    affairs.AffairError: _Code.FAILED_PRECONDITION,
    node.NodeError: _Code.FAILED_PRECONDITION,
    sync.LocalError: _Code.FAILED_PRECONDITION,
    sync.QueryRefused: _Code.FAILED_PRECONDITION,
    store.StoreError: _Code.FAILED_PRECONDITION,
    affairs.DirectiveExists: _Code.ALREADY_EXISTS,
    catalog.PackConflict: _Code.ALREADY_EXISTS,
    store.RecordIdReused: _Code.ALREADY_EXISTS,
    following.CursorOfAnotherStore: _Code.FAILED_PRECONDITION,
    following.CursorAheadOfStore: _Code.FAILED_PRECONDITION,
    # Later it may go.
    affairs.ViewsBehind: _Code.UNAVAILABLE,
    access.SignInBusy: _Code.RESOURCE_EXHAUSTED,
    access.TokenRate: _Code.RESOURCE_EXHAUSTED,
    access.RequestsTooMany: _Code.RESOURCE_EXHAUSTED,
    # Another one must approve it first.
    access.ApprovalNeeded: _Code.FAILED_PRECONDITION,
    access.SignKeyRegistered: _Code.ALREADY_EXISTS,
    store.StoreFenced: _Code.UNAVAILABLE,
    following.FollowersTooMany: _Code.UNAVAILABLE,
    following.FollowEnded: _Code.UNAVAILABLE,
    publishing.AppendEnded: _Code.UNAVAILABLE,
}


def status_of(error: YidaoError) -> grpc.StatusCode:
    """Give the gRPC status of an error."""
    return next(STATUS[kind] for kind in type(error).__mro__ if kind in STATUS)


def error_message(error: YidaoError) -> local_pb2.Error:
    """Give the message of an error that a client reads."""
    return local_pb2.Error(
        code=error.code,
        params={name: str(value)[:_MAX_PARAM_CHARACTERS] for name, value in error.params.items()},
        retryable=error.retryable,
    )


class Ending(Protocol):
    """What ends a call: gRPC's context, or what stands before it."""

    async def abort(
        self, code: grpc.StatusCode, details: str = "", trailing_metadata: Any = ()
    ) -> NoReturn:
        """End the call."""


async def refuse(context: Ending, error: YidaoError) -> NoReturn:
    """End the call with a typed error."""
    data = error_message(error).SerializeToString(deterministic=True)
    await context.abort(status_of(error), error.code, ((ERROR_METADATA, data),))


_Servicer = TypeVar("_Servicer")
_Request = TypeVar("_Request")
_Response = TypeVar("_Response")
_Context = TypeVar("_Context", bound=grpc.aio.ServicerContext[Any, Any])
_Method = Callable[[_Servicer, _Request, _Context], Awaitable[_Response]]


def answered(
    method: _Method[_Servicer, _Request, _Context, _Response],
) -> _Method[_Servicer, _Request, _Context, _Response]:
    """Make a servicer's method answer every error in the one way that clients read."""

    @functools.wraps(method)
    async def call(self: _Servicer, request: _Request, context: _Context) -> _Response:
        try:
            return await method(self, request, context)
        except YidaoError as error:
            await refuse(context, error)
        except Exception:
            log.exception("api.call.failed", call=method.__qualname__)
            await refuse(context, YidaoError())

    return call


_Stream = Callable[[_Servicer, _Request, _Context], AsyncIterator[_Response]]


def answered_stream(
    method: _Stream[_Servicer, _Request, _Context, _Response],
) -> _Stream[_Servicer, _Request, _Context, _Response]:
    """Make a method that streams end with every error in the one way that clients read."""

    @functools.wraps(method)
    async def call(
        self: _Servicer, request: _Request, context: _Context
    ) -> AsyncIterator[_Response]:
        try:
            async for response in method(self, request, context):
                yield response
        except grpc.aio.AbortError:
            # Refused already, by the guard beside a stream of requests.
            raise
        except YidaoError as error:
            await refuse(context, error)
        except Exception:
            log.exception("api.call.failed", call=method.__qualname__)
            await refuse(context, YidaoError())

    return call
