"""Packs and the registry of units."""

from typing import Annotated

from fastapi import APIRouter, Body, Path, Query, Response
from pydantic import Field

from yidao.node.gateway.pages import After, Limit
from yidao.node.gateway.problems import described
from yidao.node.gateway.session import Caller, Writer
from yidao.node.gateway.shapes import Count, Hex, Name, Placed, Shape

router = APIRouter(tags=["standards"])

_YAML = "application/yaml"


class Pack(Shape):
    """One published version of a data standard."""

    id: str = Field(examples=["energy"])
    version: str
    valid_from: str
    valid_to: str
    sha256: Hex
    published_by: str
    forms: list[str]
    unusable: str = Field(description="Code of the error why it cannot be read here; or empty.")


class Unit(Shape):
    """One institution (单位) of the registry."""

    unit: str = Field(description="统一社会信用代码.")
    name: str
    region_code: str
    inst_type: str
    origin_path: str = Field(description="The node that hosts it.")
    version: Count
    record_id: Hex
    contested: bool


class UnitPage(Shape):
    """One page of units, by code."""

    units: list[Unit]
    next: str = Field(description="To be given as `after`; empty on the last page.")


@router.get("/packs", responses=described())
def list_packs(client: Caller) -> list[Pack]:
    """List every published version."""
    return [Pack.of(each) for each in client.packs()]


@router.get(
    "/packs/{pack}",
    response_class=Response,
    responses={
        200: {
            "description": "The pack, byte for byte.",
            "content": {_YAML: {"schema": {"type": "string"}}},
        },
        **described(missing="There is no such version, or none in force."),
    },
)
def get_pack(
    client: Caller,
    pack: Annotated[str, Path(pattern=r"^[a-z0-9_-]{1,64}$", description="As `energy`.")],
    version: Annotated[Name, Query(description="The version; or give `on`.")] = "",
    on: Annotated[
        str, Query(pattern=r"^([0-9]{4}-[0-9]{2}-[0-9]{2})?$", description="In force on this day.")
    ] = "",
) -> Response:
    """Give the exact bytes of a version, or of the one in force on a day."""
    return Response(client.pack(pack, version=version, on=on), media_type=_YAML)


@router.post(
    "/packs", status_code=201, responses=described(conflict="Another pack has the version.")
)
def publish_pack(
    writer: Writer,
    body: Annotated[bytes, Body(media_type=_YAML, description="The pack's YAML, UTF-8.")],
) -> Placed:
    """Publish a version of a pack to the whole tree; only at the root."""
    return Placed.of(writer.client.publish_pack(body, actor=writer.actor))


@router.get("/units", responses=described())
def list_units(client: Caller, after: After = "", limit: Limit = 200) -> UnitPage:
    """List units that the session may see, in the order of their codes."""
    units = client.unit_page(after=after, limit=limit)
    following = units[-1].unit if len(units) == limit else ""
    return UnitPage(units=[Unit.of(each) for each in units], next=following)
