"""The catalog of resources (政务信息资源目录): search, drafts, their steps, DCAT."""

from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Query, Response
from pydantic import BeforeValidator, Field

from yidao.catalog.resource import Item, Resource, ShareType, Source
from yidao.node.client import Client
from yidao.node.client.values import Placed as PlacedValue
from yidao.node.gateway.problems import described
from yidao.node.gateway.session import AS_SESSION, Caller
from yidao.node.gateway.shapes import Count, Hex, Name, Placed, RequiredName, Shape, Text

router = APIRouter(tags=["catalog"])

_JSON_LD: Final = "application/ld+json"
_ERRORS = described(missing="There is no such entry.", conflict="Its state forbids it.")
_State = Literal["draft", "submitted", "reviewed", "published", "withdrawn"]
_Number = Annotated[int, Field(ge=0, le=2**31 - 1)]


def _state_name(value: Any) -> Any:
    return getattr(value, "value", value)


class ItemShape(Shape):
    """信息项: one column of a resource."""

    name: Name
    title: Name
    type: Name = Field(description="`C`, `N`, `D`, `T`, `L` or `O`.", examples=["N"])
    length: _Number = 0
    grade: _Number = Field(1, description="1 to 4, how sensitive it is.")


class SourceShape(Shape):
    """The form whose returns are the rows; both empty if the resource is only described."""

    pack: Name = ""
    form: Name = ""


class ResourceShape(Shape):
    """The 13 core metadata items of a resource, and where its rows are."""

    code: Name = Field("", description="Empty: the next free one of its class.")
    title: Name
    class_code: Name = Field(description="类项目细目.")
    provider_name: Name
    provider_uscc: Name
    description: Text
    format: Name
    items: list[ItemShape] = Field(max_length=1_000)
    share_type: Annotated[int, Field(ge=1, le=3, description="1 无条件, 2 有条件, 3 不予共享.")]
    share_condition: Text = ""
    share_mode: Name = ""
    share_basis: Text = ""
    open: bool
    open_condition: Text = ""
    update_cycle: Name
    issued: Name = ""
    related: list[Name] = Field(default_factory=list, max_length=100)
    theme: Name = ""
    region_code: Name = ""
    source: SourceShape = Field(default_factory=SourceShape)
    extra: dict[Name, Text] = Field(default_factory=dict, max_length=100)

    def value(self) -> Resource:
        """Give it as the client takes it."""
        fields: dict[str, Any] = {
            **self.model_dump(),
            "items": tuple(Item(**each.model_dump()) for each in self.items),
            "share_type": ShareType(self.share_type),
            "related": tuple(self.related),
            "source": Source(**self.source.model_dump()),
        }
        return Resource(**fields)


class Entry(Shape):
    """An entry of the catalog, or this node's working copy of one."""

    code: str
    state: Annotated[_State, BeforeValidator(_state_name)]
    owner: Hex
    owner_path: str
    version: Count
    resource: ResourceShape
    record_id: Hex
    changed_ms: Count
    changed_by: str
    reason: str
    contested: bool
    registered_ms: Count


class Facet(Shape):
    """How many of the entries found have a value."""

    facet: str
    value: str
    count: Count


class EntryPage(Shape):
    """One page of a search; `total` and `facets` are of all that was found."""

    entries: list[Entry]
    next: str
    total: Count
    facets: list[Facet]


class DraftFault(Shape):
    """One thing that a draft lacks, in both languages."""

    field: str
    code: str
    zh: str
    en: str


class Draft(Shape):
    """A saved working copy; with faults it cannot be submitted yet."""

    code: str
    version: Count
    faults: list[DraftFault]
    position: Placed


class FromForm(Shape):
    """What a form does not say of the resource that its returns are."""

    pack: RequiredName
    form: RequiredName
    class_code: Name
    unit: Name
    title: Name = ""
    share_type: Annotated[int, Field(ge=0, le=3)] = 0
    share_text: Text = ""


class Step(Shape):
    """One step of an entry."""

    code: RequiredName
    step: Literal["submit", "review", "send_back", "publish", "withdraw"]
    reason: Text = Field("", description="Required to send back or withdraw.")


class Search(Shape):
    """What to search for; filters that are empty match all."""

    query: Name = Field("", description="Words; an entry holds all of them.")
    owner: Name = Field("", description="A path, with what lies below it.")
    class_code: Name = Field("", description="Three digits.")
    share_type: Name = ""
    format: Name = ""
    update_cycle: Name = ""
    state: Literal["", "published", "withdrawn"] = ""
    after: Name = ""
    limit: Annotated[int, Field(ge=1, le=500)] = 50


@router.get("/catalog", responses=described())
def search_catalog(client: Caller, wanted: Annotated[Search, Query()]) -> EntryPage:
    """Search the merged catalog of this node's subtree."""
    asked = wanted.model_dump(exclude={"query", "after", "limit", "class_code"})
    filters = {**asked, "class": wanted.class_code}
    page = client.search_catalog(
        wanted.query,
        filters={name: value for name, value in filters.items() if value},
        after=wanted.after,
        limit=wanted.limit,
    )
    return EntryPage.of(page)


@router.get("/catalog/entry", responses=_ERRORS)
def get_entry(
    client: Caller,
    code: Annotated[RequiredName, Query(examples=["306037330106000001/000001"])],
) -> Entry:
    """Give what is published or withdrawn under a code, else this node's working copy."""
    return Entry.of(client.entry(code))


@router.get(
    "/catalog/dcat",
    response_class=Response,
    responses={
        200: {
            "description": "DCAT 3, JSON-LD.",
            "content": {_JSON_LD: {"schema": {"type": "object"}}},
        },
        **described(),
    },
)
def export_dcat(client: Caller) -> Response:
    """Give the merged catalog as one DCAT 3 document."""
    return Response(client.export_dcat(), media_type=_JSON_LD)


@router.get("/catalog/working-copies", responses=described())
def working_copies(client: Caller) -> list[Entry]:
    """List this node's working copies by code."""
    return [Entry.of(each) for each in client.working_copies()]


@router.post("/catalog/drafts", status_code=201, responses=_ERRORS)
def save_draft(client: Caller, body: ResourceShape) -> Draft:
    """Save a working copy, finished or not."""
    return Draft.of(client.save_draft(body.value(), actor=AS_SESSION))


@router.post("/catalog/drafts/from-form", status_code=201, responses=_ERRORS)
def draft_from_form(client: Caller, body: FromForm) -> Draft:
    """Save a working copy made from a form of a pack in force."""
    return Draft.of(client.draft_from_form(actor=AS_SESSION, **body.model_dump()))


@router.post("/catalog/steps", status_code=201, responses=_ERRORS)
def step(client: Caller, body: Step) -> Placed:
    """Take an entry one step: submit, review, send back, publish, withdraw."""
    return Placed.of(_taken(client, body))


def _taken(client: Client, body: Step) -> PlacedValue:
    code, reason = body.code, body.reason
    match body.step:
        case "submit":
            return client.submit_entry(code, actor=AS_SESSION)
        case "review":
            return client.review_entry(code, actor=AS_SESSION)
        case "send_back":
            return client.send_back_entry(code, actor=AS_SESSION, reason=reason)
        case "publish":
            return client.publish_entry(code, actor=AS_SESSION)
        case "withdraw":
            return client.withdraw_entry(code, actor=AS_SESSION, reason=reason)
