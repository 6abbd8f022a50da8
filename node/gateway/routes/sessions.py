"""Sessions, users and the audit."""

from typing import Annotated

from fastapi import APIRouter, Path, Query, Request
from pydantic import Field

from yidao.node.client import User
from yidao.node.gateway.problems import described
from yidao.node.gateway.session import AS_SESSION, Caller, door_of, source_of
from yidao.node.gateway.shapes import MAX_PAGE, Count, Name, Shape

router = APIRouter(tags=["sessions"])

Secret = Annotated[str, Field(max_length=1_024, description="Never logged.")]
UserName = Annotated[
    str, Field(pattern=r"^[^\s@/]{1,64}$", description="The name alone.", examples=["li"])
]


class UserShape(Shape):
    """An account of the node."""

    name: str = Field(description="Empty for the account that runs the node.", examples=["li"])
    title: str
    roles: list[str] = Field(examples=[["filler"]])
    unit: str = Field(description="The institution that a filler fills for; empty for the office.")
    disabled: bool
    locked_until_ms: Count = Field(description="Until when sign-in is refused; 0 if it is not.")
    must_change_password: bool
    last_sign_in_ms: Count


class SignIn(Shape):
    """Who signs in."""

    user: UserName
    password: Secret
    unit: Name = Field("", description="The institution whose desk is opened.")


class Session(Shape):
    """An open session; show the token as `Authorization: Bearer`."""

    token: str
    user: UserShape
    idle_seconds: Count = Field(description="It ends after so many seconds without a call.")


class WhoAmI(Shape):
    """Who calls and what they may do."""

    user: UserShape
    actor: str = Field(examples=["li@/33/3301"])
    permissions: list[str] = Field(examples=[["reporting.submit"]])


class ChangePassword(Shape):
    """The old password and the new one."""

    old_password: Secret
    new_password: Secret


class PutUser(Shape):
    """A user as it shall be."""

    title: Name = ""
    roles: list[Name] = Field(max_length=16, examples=[["filler"]])
    unit: Name = ""
    disabled: bool = False
    password: Secret = Field("", description="For a new user, or to reset that of one that exists.")


class AuditEntry(Shape):
    """One line of the audit."""

    position: Count
    at_ms: Count
    event: str = Field(examples=["access.session.opened"])
    actor: str
    object: str
    source: str
    result: str = Field(description="`done` or the code of an error.")
    times: Count = Field(description="How often within a minute.")
    detail: str = Field(examples=["roles=filler"])


@router.post("/sign-in", responses=described() | {401: described()[401]})
def sign_in(body: SignIn, request: Request) -> Session:
    """Open a session.

    One address has ten tries a minute; a wrong name and a wrong password are the same error.
    """
    client = door_of(request).client()
    session = client.sign_in(body.user, body.password, unit=body.unit, source=source_of(request))
    return Session(
        token=session.token, user=UserShape.of(session.user), idle_seconds=session.idle_seconds
    )


@router.post("/sign-out", status_code=204, responses=described())
def sign_out(client: Caller) -> None:
    """End the session."""
    client.sign_out()


@router.get("/who-am-i", responses=described())
def who_am_i(client: Caller) -> WhoAmI:
    """Tell who calls and what they may do."""
    return WhoAmI.of(client.who_am_i())


@router.post("/change-password", status_code=204, responses=described())
def change_password(client: Caller, body: ChangePassword) -> None:
    """Change one's own password; one's other sessions end."""
    client.change_password(body.old_password, body.new_password)


@router.get("/users", responses=described())
def list_users(client: Caller) -> list[UserShape]:
    """List all users by name."""
    return [UserShape.of(each) for each in client.users()]


@router.put("/users/{name}", responses=described(conflict="The roles exclude each other."))
def put_user(
    client: Caller,
    name: Annotated[str, Path(pattern=r"^[^\s@/]{1,64}$", description="The name alone.")],
    body: PutUser,
) -> UserShape:
    """Add a user, or set all of one that exists."""
    user = User(
        name=name, title=body.title, roles=body.roles, unit=body.unit, disabled=body.disabled
    )
    return UserShape.of(client.put_user(user, actor=AS_SESSION, password=body.password))


@router.post("/users/{name}/unlock", responses=described(missing="There is no such user."))
def unlock_user(
    client: Caller,
    name: Annotated[str, Path(pattern=r"^[^\s@/]{1,64}$", description="The name alone.")],
) -> UserShape:
    """Let a user sign in again who was locked after too many tries."""
    return UserShape.of(client.unlock_user(name, actor=AS_SESSION))


@router.get("/audit", responses=described())
def audit(
    client: Caller,
    before: Annotated[
        int, Query(ge=0, le=2**53 - 1, description="`position` of the last entry before; 0: newest")
    ] = 0,
    limit: Annotated[int, Query(ge=1, le=MAX_PAGE)] = 100,
    user: Annotated[Name, Query(description="Only of this user.")] = "",
    event: Annotated[Name, Query(description="Only events that begin so.")] = "",
) -> list[AuditEntry]:
    """Give what was done, newest first."""
    found = client.audit(before=before, limit=limit, user=user, event=event)
    return [AuditEntry.of(each) for each in found]
