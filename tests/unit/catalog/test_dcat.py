"""The catalog as DCAT: other programs read it, and the profile tells good from bad."""

from collections.abc import Iterable
from dataclasses import replace
from importlib.resources import files
from typing import Any

import pyshacl
import pytest
import rdflib
from rdflib.namespace import DCAT, DCTERMS, FOAF, RDF

from yidao.catalog.codes import sample_uscc
from yidao.catalog.dcat import (
    Registered,
    catalog_nodes,
    catalog_uri,
    document,
    encode_nodes,
    entry_nodes,
    resource_uri,
)
from yidao.catalog.resource import EntryState, Item, Resource, ShareType, Source

CLASS = "30603733010600000001"
MOMENT = "2026-11-26T03:00:00.000+00:00"


def resource(number: int = 1, **changed: object) -> Resource:
    given = Resource(
        code=f"{CLASS}/{number:06d}",
        title='样例"能耗"\\统计',
        class_code=CLASS,
        provider_name="样例机关事务管理局",
        provider_uscc=sample_uscc(1, "330106"),
        description="样例: 各单位每季度的用电与用水。",
        format="3",
        items=(
            Item(name="elec_kwh", title="用电量", type="N", length=18, grade=1),
            Item(name="contact", title="联系人", type="C", length=20, grade=3),
        ),
        share_type=ShareType.CONDITIONAL,
        share_condition="样例: 说明用途",
        share_mode="1",
        share_basis="",
        open=True,
        open_condition="样例: 年度汇总",
        update_cycle="5",
        issued="2026-11-26",
        related=(f"{CLASS}/000009",),
        theme="能耗",
        region_code="330106",
        source=Source(pack="energy", form="consumption"),
        extra={"来源系统": "样例系统"},
    )
    return replace(given, **changed)  # type: ignore[arg-type]


def registered(
    resource: Resource, owner: str = "/33/06", state: EntryState = EntryState.PUBLISHED
) -> Registered:
    return Registered(
        resource=resource,
        state=state,
        owner_path=owner,
        version=2,
        registered=MOMENT,
        changed=MOMENT,
    )


def graph(top: str, entries: Iterable[Registered]) -> rdflib.Graph:
    """Write the pieces as pages would, and read the whole with rdflib."""
    held = list(entries)
    pieces = [encode_nodes(catalog_nodes(top, [each.owner_path for each in held]))]
    pieces += [encode_nodes(entry_nodes(each)) for each in held]
    return rdflib.Graph().parse(data=document(pieces), format="json-ld")


def conforms(data: rdflib.Graph) -> tuple[bool, str]:
    profile = (files("yidao.catalog") / "data" / "catalog-profile.ttl").read_text(encoding="utf-8")
    shapes = rdflib.Graph().parse(data=profile, format="turtle")
    found: Any = pyshacl.validate(data, shacl_graph=shapes, inference="none", meta_shacl=False)
    return found[0], found[2]


def test_a_catalog_conforms_to_the_profile() -> None:
    """Entries of several nodes and of every share type, with a tombstone and an empty catalog."""
    entries = [
        registered(resource(1), "/33/06"),
        registered(resource(2, share_type=ShareType.UNCONDITIONAL, share_condition=""), "/"),
        registered(
            resource(3, share_type=ShareType.NONE, share_basis="样例法", share_mode=""), "/44"
        ),
        registered(resource(4), "/44", EntryState.WITHDRAWN),
    ]
    for each in (entries, []):
        good, report = conforms(graph("/", each))
        assert good, report


def test_catalogs_nest_as_the_tree_does() -> None:
    """From the exporting node down each catalog names those one tier below, and its entries."""
    data = graph("/33", [registered(resource(1), "/33/06/a"), registered(resource(2), "/33")])
    uri = {path: rdflib.URIRef(catalog_uri(path)) for path in ("/33", "/33/06", "/33/06/a")}
    assert set(data.subjects(RDF.type, DCAT.Catalog)) == set(uri.values())
    assert list(data.objects(uri["/33"], DCAT.catalog)) == [uri["/33/06"]]
    assert list(data.objects(uri["/33/06"], DCAT.catalog)) == [uri["/33/06/a"]]
    held = rdflib.URIRef(resource_uri(f"{CLASS}/000001"))
    assert list(data.subjects(DCAT.dataset, held)) == [uri["/33/06/a"]]
    assert str(held) == f"urn:jgsw:res:{CLASS}/000001"


def test_a_dataset_says_the_core_items() -> None:
    """Title, code, agent, dates and frequency stand in DCAT's own terms."""
    data = graph("/", [registered(resource())])
    [held] = data.subjects(RDF.type, DCAT.Dataset)
    assert data.value(held, DCTERMS.title) == rdflib.Literal('样例"能耗"\\统计', lang="zh")
    assert str(data.value(held, DCTERMS.identifier)) == f"{CLASS}/000001"
    agent = data.value(held, DCTERMS.publisher)
    assert str(data.value(agent, DCTERMS.identifier)) == sample_uscc(1, "330106")
    assert str(data.value(held, DCTERMS.accrualPeriodicity)).endswith("/QUARTERLY")
    assert data.value(held, DCTERMS.issued) == rdflib.Literal(
        "2026-11-26", datatype=rdflib.XSD.date
    )
    [record] = data.subjects(RDF.type, DCAT.CatalogRecord)
    assert data.value(record, FOAF.primaryTopic) == held


def test_a_withdrawn_entry_is_a_record_and_no_dataset() -> None:
    """Who harvests the catalog learns that it is gone."""
    data = graph("/", [registered(resource(), "/", EntryState.WITHDRAWN)])
    assert not list(data.subjects(RDF.type, DCAT.Dataset))
    [record] = data.subjects(RDF.type, DCAT.CatalogRecord)
    status = data.value(record, rdflib.URIRef("http://www.w3.org/ns/adms#status"))
    assert str(status) == "urn:jgsw:state:withdrawn"


@pytest.mark.parametrize(
    "change",
    [
        {"title": ""},
        {"description": ""},
        {"format": "9"},
        {"update_cycle": "9"},
        {"issued": "yesterday"},
        {"items": ()},
        {"items": (Item(name="a", title="a", type="C", grade=7),)},
        {"items": (Item(name="2 b", title="a", type="C"),)},
        {"provider_name": ""},
        {"provider_uscc": "x y"},
        {"share_condition": ""},
        {"share_type": ShareType.NONE},
        {"share_mode": ""},
        {"class_code": "X"},
        {"code": "x"},
    ],
    ids=str,
)
def test_a_broken_resource_does_not_conform(change: dict[str, object]) -> None:
    """The profile finds each core item that is missing or wrong."""
    good, _ = conforms(graph("/", [registered(resource(**change))]))
    assert not good
