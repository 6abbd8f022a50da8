"""The catalog as DCAT 3 (W3C Recommendation, 22 August 2024), written as JSON-LD 1.1.

| core item | term |
|---|---|
| 分类 | `dcat:theme`, a `skos:Concept` with the class code as notation |
| 名称, 代码, 摘要 | `dct:title`, `dct:identifier`, `dct:description` |
| 提供方, 提供方代码 | `dct:publisher`, a `foaf:Agent` with `foaf:name` and `dct:identifier` |
| 格式 | `dct:format` of a `dcat:Distribution` |
| 信息项 | `dct:conformsTo`, a `csvw:Schema` with one `csvw:Column` an item |
| 共享属性 | `dct:accessRights`, a concept; condition and basis in terms of our own |
| 开放属性 | `jgsw:open`, `jgsw:openCondition` |
| 更新周期 | `dct:accrualPeriodicity`, the EU's frequency list |
| 发布日期, 关联资源 | `dct:issued`, `dct:relation` |

A resource is `urn:jgsw:res:<code>`. Each node's entries stand in a catalog of
its own, `urn:jgsw:cat:<path>`, nested like the tree; a `dcat:CatalogRecord` says
who registered what and when. A withdrawn entry has a record with its state and
no dataset. No media type is given: the guide's formats are wider than one.

The document is made of pieces that need no knowledge of each other, so that a
catalog of any size can be written page by page.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias
from urllib.parse import quote

import orjson

from yidao.catalog.pack.model import Text
from yidao.catalog.resource import EntryState, Item, Resource, ShareType
from yidao.catalog.resourcecheck import (
    FORMATS,
    SHARE_MODES,
    SHARE_TYPES,
    UPDATE_CYCLES,
    split_code,
)

Node: TypeAlias = dict[str, object]

_FREQUENCY: Final = "http://publications.europa.eu/resource/authority/frequency/"
_FREQUENCIES: Final = {
    "1": "CONT",
    "2": "DAILY",
    "3": "WEEKLY",
    "4": "MONTHLY",
    "5": "QUARTERLY",
    "6": "ANNUAL_2",
    "7": "ANNUAL",
    "8": "IRREG",
}
_DATATYPES: Final = {"N": "decimal", "D": "date", "T": "dateTime", "L": "boolean"}
_INTERFACE: Final = "1"

CONTEXT: Final[Mapping[str, object]] = {
    "adms": "http://www.w3.org/ns/adms#",
    "csvw": "http://www.w3.org/ns/csvw#",
    "dcat": "http://www.w3.org/ns/dcat#",
    "dct": "http://purl.org/dc/terms/",
    "foaf": "http://xmlns.com/foaf/0.1/",
    "jgsw": "urn:jgsw:def:",
    "skos": "http://www.w3.org/2004/02/skos/core#",
    "xsd": "http://www.w3.org/2001/XMLSchema#",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Registered:
    """An entry with who registered it.

    Attributes:
        owner_path: Where the owner stands, `/33/3301`.
        registered, changed: ISO date and time with zone, of the first
            publication and of the present state.
    """

    resource: Resource
    state: EntryState
    owner_path: str
    version: int
    registered: str
    changed: str


def resource_uri(code: str) -> str:
    """Name a resource, `urn:jgsw:res:<code>`."""
    return "urn:jgsw:res:" + quote(code, safe="/")


def catalog_uri(path: str) -> str:
    """Name the catalog of a node by where it stands."""
    return "urn:jgsw:cat:" + quote(path, safe="/")


def catalog_nodes(top: str, owners: Iterable[str]) -> list[Node]:
    """Give the catalogs from the exporting node down to those who own entries.

    Args:
        top: The path of the node that exports.
        owners: Paths of nodes within it.
    """
    nested: dict[str, set[str]] = {top: set()}
    for owner in owners:
        path = owner
        while path not in {top, "/"}:
            above = path.rpartition("/")[0] or "/"
            nested.setdefault(path, set())
            nested.setdefault(above, set()).add(path)
            path = above
    return [_catalog(path, below) for path, below in sorted(nested.items())]


def _catalog(path: str, below: set[str]) -> Node:
    node: Node = {
        "@id": catalog_uri(path),
        "@type": "dcat:Catalog",
        "dct:identifier": path,
        "dct:title": [_zh(f"政务信息资源目录 {path}"), _en(f"Catalog of resources {path}")],
    }
    if below:
        node["dcat:catalog"] = [_ref(catalog_uri(each)) for each in sorted(below)]
    return node


def entry_nodes(entry: Registered) -> list[Node]:
    """Give what the document says of one entry: catalog membership, record, dataset."""
    uri = resource_uri(entry.resource.code)
    record = f"{uri}#record"
    published = entry.state is EntryState.PUBLISHED
    catalog: Node = {"@id": catalog_uri(entry.owner_path), "dcat:record": _ref(record)}
    nodes: list[Node] = [
        catalog,
        {
            "@id": record,
            "@type": "dcat:CatalogRecord",
            "foaf:primaryTopic": _ref(uri),
            "dct:identifier": entry.resource.code,
            "dct:issued": _typed(entry.registered, "dateTime"),
            "dct:modified": _typed(entry.changed, "dateTime"),
            "adms:status": _ref(f"urn:jgsw:state:{entry.state.value}"),
        },
    ]
    if published:
        catalog["dcat:dataset"] = _ref(uri)
        nodes.append(_dataset(uri, entry))
    return nodes


def _dataset(uri: str, entry: Registered) -> Node:
    resource = entry.resource
    node: Node = {
        "@id": uri,
        "@type": "dcat:Dataset",
        "dct:identifier": resource.code,
        "dct:title": _zh(resource.title),
        "dct:description": _zh(resource.description),
        "dct:publisher": _publisher(resource),
        "dcat:theme": {
            "@id": "urn:jgsw:class:" + quote(resource.class_code, safe=""),
            "@type": "skos:Concept",
            "skos:notation": resource.class_code,
        },
        "dcat:version": str(entry.version),
        "dct:issued": _typed(resource.issued, "date"),
        "dct:modified": _typed(entry.changed, "dateTime"),
        "dct:conformsTo": {
            "@id": f"{uri}#items",
            "@type": ["dct:Standard", "csvw:Schema"],
            "csvw:column": [
                _column(f"{uri}#item-{number}", item)
                for number, item in enumerate(resource.items, start=1)
            ],
        },
        "dcat:distribution": _distribution(uri, resource),
        "jgsw:open": resource.open,
    }
    node |= _sharing(resource)
    if frequency := _FREQUENCIES.get(resource.update_cycle):
        node["dct:accrualPeriodicity"] = _concept(
            _FREQUENCY + frequency, UPDATE_CYCLES[resource.update_cycle]
        )
    related = [each for each in resource.related if split_code(each) is not None]
    if related:
        node["dct:relation"] = [_ref(resource_uri(each)) for each in related]
    return node | _further(resource)


def _publisher(resource: Resource) -> Node:
    return {
        "@id": "urn:jgsw:org:" + quote(resource.provider_uscc, safe=""),
        "@type": "foaf:Agent",
        "foaf:name": _zh(resource.provider_name),
        "dct:identifier": resource.provider_uscc,
    }


def _column(uri: str, item: Item) -> Node:
    node: Node = {
        "@id": uri,
        "@type": "csvw:Column",
        "csvw:name": item.name,
        "csvw:title": _zh(item.title),
        "csvw:datatype": _DATATYPES.get(item.type, "string"),
        "jgsw:grade": item.grade,
    }
    if item.length:
        node["jgsw:length"] = item.length
    return node


def _distribution(uri: str, resource: Resource) -> Node:
    node: Node = {"@id": f"{uri}#distribution", "@type": "dcat:Distribution"}
    if label := FORMATS.get(resource.format):
        node["dct:format"] = _concept(f"urn:jgsw:format:{resource.format}", label)
    if label := SHARE_MODES.get(resource.share_mode):
        node["jgsw:shareMode"] = _concept(f"urn:jgsw:share-mode:{resource.share_mode}", label)
    if resource.share_mode == _INTERFACE:
        node["dcat:accessService"] = {
            "@id": f"{uri}#service",
            "@type": "dcat:DataService",
            "dct:title": _zh(resource.title),
            "dcat:servesDataset": _ref(uri),
        }
    return node


def _sharing(resource: Resource) -> Node:
    number = str(resource.share_type.value)
    node: Node = {
        "dct:accessRights": _concept(f"urn:jgsw:share-type:{number}", SHARE_TYPES[number])
    }
    if resource.share_condition:
        node["jgsw:shareCondition"] = _zh(resource.share_condition)
    if resource.share_type is ShareType.NONE and resource.share_basis:
        node["jgsw:shareBasis"] = _zh(resource.share_basis)
    if resource.open_condition:
        node["jgsw:openCondition"] = _zh(resource.open_condition)
    return node


def _further(resource: Resource) -> Node:
    node: Node = {}
    if resource.theme:
        node["dcat:keyword"] = _zh(resource.theme)
    if resource.region_code:
        node["dct:spatial"] = {
            "@id": "urn:jgsw:region:" + quote(resource.region_code, safe=""),
            "@type": "dct:Location",
            "dct:identifier": resource.region_code,
        }
    if resource.source.form:
        name = f"{resource.source.pack}/{resource.source.form}"
        node["dct:source"] = _ref("urn:jgsw:form:" + quote(name, safe="/"))
    if resource.extra:
        node["jgsw:extra"] = [
            {"jgsw:name": name, "jgsw:value": value}
            for name, value in sorted(resource.extra.items())
        ]
    return node


def encode_nodes(nodes: Iterable[Node]) -> bytes:
    """Write nodes as JSON texts joined by commas: a piece of a document."""
    return b",\n".join(orjson.dumps(node, option=orjson.OPT_SORT_KEYS) for node in nodes)


def document(pieces: Iterable[bytes]) -> bytes:
    """Put pieces together as one JSON-LD document."""
    body = b",\n".join(piece for piece in pieces if piece)
    return b'{"@context":' + orjson.dumps(CONTEXT) + b',\n"@graph":[\n' + body + b"\n]}\n"


def _ref(uri: str) -> Node:
    return {"@id": uri}


def _concept(uri: str, label: Text) -> Node:
    return {
        "@id": uri,
        "@type": "skos:Concept",
        "skos:prefLabel": [_zh(label.zh), _en(label.en)],
    }


def _zh(text: str) -> Node:
    return {"@value": text, "@language": "zh"}


def _en(text: str) -> Node:
    return {"@value": text, "@language": "en"}


def _typed(text: str, kind: str) -> Node:
    return {"@value": text, "@type": f"xsd:{kind}"}
