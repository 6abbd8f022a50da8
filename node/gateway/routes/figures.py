"""Figures: totals, totals taken apart, who owes what."""

from typing import Annotated, Literal

from fastapi import APIRouter, Query
from pydantic import Field

from yidao.node.gateway.pages import After, Limit, Required, Wanted
from yidao.node.gateway.problems import described
from yidao.node.gateway.session import Caller
from yidao.node.gateway.shapes import MAX_PAGE, Count, Frontier, Hex, Name, RequiredName, Shape

router = APIRouter(tags=["figures"])

_UNKNOWN = described(missing="There is no such pack, form or version in force.")


class Totals(Shape):
    """The figures of one scope; figures are decimal strings."""

    returns: Count = Field(description="Returns counted.")
    summed: Count = Field(description="Of them, those whose figures are in `fields`.")
    fields: dict[str, str] = Field(examples=[{"electricity_kwh": "1200.5"}])
    indicators: dict[str, str] = Field(examples=[{"TOTAL_E": "147.54"}])


class RollUp(Shape):
    """Totals of one form and period, and the journals that they come from."""

    submitted: Totals
    accepted: Totals
    frontiers: list[Frontier]
    position: Count


class BreakDown(Shape):
    """Which roll-up to take apart, how, and which page."""

    pack: RequiredName
    form: RequiredName
    period: RequiredName
    by: Literal["child", "region", "inst_type", "unit"]
    scope: Literal["submitted", "accepted"] = "accepted"
    path: Name = Field("", description="Only what came from this node and below it.")
    after: Name = Field("", description="`next` of the page before.")
    limit: Annotated[int, Field(ge=1, le=MAX_PAGE)] = 200


class BreakDownRow(Shape):
    """One share of a roll-up."""

    key: str = Field(description="A path, a code of a region or a type, or a unit.")
    title: str
    totals: Totals


class BreakDownPage(Shape):
    """One page of shares; those of all pages add up to the roll-up exactly."""

    rows: list[BreakDownRow]
    next: str = Field(description="To be given as `after`; empty on the last page.")
    position: Count = Field(description="Pages of another position are of another state.")


class Due(Shape):
    """A return that a unit owes."""

    pack: str
    form: str
    period: str
    unit: str
    unit_name: str
    due: str = Field(description="ISO day.", examples=["2025-07-15"])
    days_left: int = Field(description="Negative when the day is over.")
    state: str = Field(description="`missing`, or the state of the newest version.")
    record_id: Hex


class DuePage(Shape):
    """One page, soonest first."""

    due: list[Due]
    next: str


class Missing(Shape):
    """A unit that has not reported."""

    unit: str
    unit_name: str
    region_code: str
    origin_path: str
    state: str


class MissingPage(Shape):
    """One page of units."""

    missing: list[Missing]
    next: str
    units: Count = Field(description="All that are known here.")
    reported: Count


@router.get("/roll-up", responses=_UNKNOWN)
def roll_up(client: Caller, pack: Required, form: Required, period: Required) -> RollUp:
    """Give the totals of a form and period over all that the node holds."""
    return RollUp.of(client.roll_up(pack=pack, form=form, period=period))


@router.get("/break-down", responses=_UNKNOWN)
def break_down(client: Caller, wanted: Annotated[BreakDown, Query()]) -> BreakDownPage:
    """Take a roll-up apart."""
    return BreakDownPage.of(client.break_down(**wanted.model_dump()))


@router.get("/due", responses=described())
def due(
    client: Caller,
    unit: Wanted = "",
    on: Annotated[
        str, Query(pattern=r"^([0-9]{4}-[0-9]{2}-[0-9]{2})?$", description="ISO day; empty: today.")
    ] = "",
    after: After = "",
    limit: Limit = 200,
) -> DuePage:
    """List what the units of this node owe, soonest first."""
    return DuePage.of(client.due(unit=unit, on=on, after=after, limit=limit))


@router.get("/missing", responses=_UNKNOWN)
def missing(
    client: Caller,
    pack: Required,
    form: Required,
    period: Required,
    after: After = "",
    limit: Limit = 200,
) -> MissingPage:
    """List who of the subtree has not reported a form and period."""
    page = client.missing(pack=pack, form=form, period=period, after=after, limit=limit)
    return MissingPage.of(page)
