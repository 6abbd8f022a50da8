"""Directives: issue, pass on, report, follow their tree."""

from typing import Annotated, Literal

from fastapi import APIRouter
from pydantic import Field

from yidao.node.client import EnergyTarget
from yidao.node.gateway.pages import Required
from yidao.node.gateway.problems import described
from yidao.node.gateway.session import AS_SESSION, Caller
from yidao.node.gateway.shapes import Count, Name, Placed, Shape, Text

router = APIRouter(tags=["directives"])

_ERRORS = described(missing="There is no such directive.", conflict="Its state forbids it.")
_Year = Annotated[int, Field(ge=0, le=9_999)]
_Decimal = Annotated[str, Field(max_length=64, description="A decimal; may be empty.")]


class Target(Shape):
    """A figure that a target must reach."""

    target: Name = Field(examples=["/33/3301"])
    year: _Year
    indicator: Name = Field(examples=["TOTAL_E"])
    base_year: _Year = 0
    base_value: _Decimal = ""
    change_percent: _Decimal = ""
    cap_value: _Decimal = ""
    binding: bool = False


class Issue(Shape):
    """A directive to issue."""

    number: Name = Field(description="文号, chosen by the issuer.", examples=["样例〔2026〕1 号"])
    title: Name
    body: Text = ""
    targets: list[Name] = Field(max_length=1_000, examples=[["/33/3301"]])
    due: Name = Field("", examples=["2026-12-31"])
    energy_targets: list[Target] = Field(default_factory=list, max_length=1_000)
    parent_directive: Name = Field("", description="The directive that this one passes on.")
    expires: Name = Field("", description="The last day on which it counts; empty for no end.")


class Issued(Shape):
    """The directive's name, and where its record lies."""

    directive: str
    position: Placed


class Report(Shape):
    """How far this node is with a directive that names it."""

    directive: Name
    state: Literal["acknowledged", "progressed", "completed"]
    percent: Annotated[int, Field(ge=0, le=100)] = 0
    note: Text = ""


class Directive(Shape):
    """A directive and this node's own state in it."""

    directive: str
    number: str
    title: str
    body: str
    issuer: str
    due: str
    targets: list[str]
    energy_targets: list[Target]
    parent_directive: str
    state: str = Field(description="`issued` at the issuer; `expired` after its last day.")
    expires: str


class Branch(Shape):
    """One target's state and, below it, the targets that it passed the directive on to."""

    path: str
    directive: str
    state: str
    actor: str
    percent: Count
    note: str
    passed_on: list["Branch"]


@router.get("/directives", responses=described())
def list_directives(client: Caller) -> list[Directive]:
    """List directives that this node issued or is a target of, newest first."""
    return [Directive.of(each) for each in client.directives()]


@router.post("/directives", status_code=201, responses=_ERRORS)
def issue(client: Caller, body: Issue) -> Issued:
    """Issue a directive to nodes below, or pass one on. The same again gives its first place."""
    issued = client.issue(
        actor=AS_SESSION,
        number=body.number,
        title=body.title,
        body=body.body,
        targets=body.targets,
        due=body.due,
        energy_targets=[EnergyTarget(**each.model_dump()) for each in body.energy_targets],
        parent_directive=body.parent_directive,
        expires=body.expires,
    )
    return Issued.of(issued)


@router.post("/directives/report", status_code=201, responses=_ERRORS)
def report(client: Caller, body: Report) -> Placed:
    """Acknowledge (签收), report progress, or complete."""
    placed = client.report(
        actor=AS_SESSION,
        directive=body.directive,
        state=body.state,
        percent=body.percent,
        note=body.note,
    )
    return Placed.of(placed)


@router.get("/directives/tree", responses=_ERRORS)
def tree(client: Caller, directive: Required) -> list[Branch]:
    """Give the tree of states of a directive."""
    return [Branch.of(each) for each in client.tree(directive)]
