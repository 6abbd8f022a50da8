"""Resources: canonical JSON that is read strictly, and every fault named at once."""

from dataclasses import replace

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from yidao.catalog.codes import sample_uscc
from yidao.catalog.errors import ClassCodeInvalid, ResourceMalformed
from yidao.catalog.resource import (
    Item,
    Resource,
    ShareType,
    Source,
    decode_resource,
    encode_resource,
)
from yidao.catalog.resourcecheck import (
    check_resource,
    class_code,
    resource_code,
    split_code,
)

CLASS = "30603733010600000001"
SAMPLE = Resource(
    code=f"{CLASS}/000001",
    title="样例公共机构能耗",
    class_code=CLASS,
    provider_name="样例机关事务管理局",
    provider_uscc=sample_uscc(1, "330106"),
    description="样例: 各单位每季度的用电与用水。",
    format="3",
    items=(Item(name="elec_kwh", title="用电量", type="N", length=18),),
    share_type=ShareType.UNCONDITIONAL,
    share_condition="",
    share_mode="1",
    share_basis="",
    open=False,
    open_condition="",
    update_cycle="5",
    issued="2026-11-26",
)

texts = st.text(st.characters(exclude_categories=("Cs",)), max_size=12)
numbers = st.integers(0, 2**31 - 1)
items = st.builds(Item, name=texts, title=texts, type=texts, length=numbers, grade=numbers)
resources = st.builds(
    Resource,
    code=texts,
    title=texts,
    class_code=texts,
    provider_name=texts,
    provider_uscc=texts,
    description=texts,
    format=texts,
    items=st.lists(items, max_size=3).map(tuple),
    share_type=st.sampled_from(ShareType),
    share_condition=texts,
    share_mode=texts,
    share_basis=texts,
    open=st.booleans(),
    open_condition=texts,
    update_cycle=texts,
    issued=texts,
    related=st.lists(texts, max_size=3).map(tuple),
    theme=texts,
    region_code=texts,
    source=st.builds(Source, pack=texts, form=texts),
    extra=st.dictionaries(texts, texts, max_size=3),
)


@given(resources)
def test_a_resource_comes_back_as_it_was(resource: Resource) -> None:
    """Whatever a resource holds, its JSON gives the same value and the same bytes again."""
    data = encode_resource(resource)
    read = decode_resource(data)
    assert read == resource
    assert encode_resource(read) == data


@given(resources)
def test_a_check_never_fails(resource: Resource) -> None:
    """Any resource gets a list of faults, each with both texts."""
    for fault in check_resource(resource):
        assert fault.text.zh
        assert fault.text.en
        assert "{" not in fault.text.zh + fault.text.en


def changed(**members: object) -> bytes:
    plain = orjson.loads(encode_resource(SAMPLE)) | members
    return orjson.dumps({name: value for name, value in plain.items() if value is not None})


@pytest.mark.parametrize(
    ("data", "field"),
    [
        pytest.param(b"", "json", id="nothing"),
        pytest.param(b"[]", "resource", id="a list"),
        pytest.param(changed(colour="red"), "colour", id="an unknown member"),
        pytest.param(changed(title=None), "title", id="a member left out"),
        pytest.param(changed(title=7), "title", id="a number for a text"),
        pytest.param(changed(open=1), "open", id="a number for a flag"),
        pytest.param(changed(share_type=True), "share_type", id="a flag for a number"),
        pytest.param(changed(share_type=4), "share_type", id="no such share type"),
        pytest.param(changed(items={}), "items", id="an object for the items"),
        pytest.param(changed(items=[{"name": "a"}]), "title", id="half an item"),
        pytest.param(
            changed(items=[{"name": "a", "title": "a", "type": "C", "grade": 1.5}]),
            "grade",
            id="a fraction for a grade",
        ),
        pytest.param(changed(related=[1]), "related", id="a number among the related"),
        pytest.param(changed(source={"table": "x"}), "table", id="another source"),
        pytest.param(changed(extra=[]), "extra", id="a list of further metadata"),
        pytest.param(
            encode_resource(SAMPLE)[:-1] + b',"title":"again"}', "json", id="a member said twice"
        ),
        pytest.param(changed(description="x" * 210_000), "size", id="too large"),
    ],
)
def test_what_is_no_resource_is_refused(data: bytes, field: str) -> None:
    """The member that is wrong is named."""
    with pytest.raises(ResourceMalformed) as refused:
        decode_resource(data)
    assert refused.value.params == {"field": field}


def test_members_with_a_default_may_be_left_out() -> None:
    """A hand-written file need not name what it does not use."""
    data = changed(related=None, theme=None, region_code=None, source=None, extra=None)
    assert decode_resource(data) == SAMPLE


def test_the_sample_has_no_fault() -> None:
    """The table below changes one thing at a time."""
    assert check_resource(SAMPLE) == ()


@pytest.mark.parametrize(
    ("change", "faults"),
    [
        ({"code": ""}, ["code VALUE_SPELLING"]),
        ({"code": f"{CLASS}/"}, ["code VALUE_SPELLING"]),
        ({"code": f"{CLASS}/12345678901"}, ["code VALUE_SPELLING"]),
        ({"class_code": "306037"}, ["class_code VALUE_SPELLING"]),
        ({"provider_uscc": ""}, ["provider_uscc VALUE_MISSING"]),
        ({"provider_uscc": "91350100M000100Y44"}, ["provider_uscc VALUE_CHECK_DIGIT"]),
        ({"title": " "}, ["title VALUE_MISSING"]),
        ({"title": "长" * 201}, ["title VALUE_TOO_LONG"]),
        ({"format": "7"}, ["format VALUE_NOT_IN_LIST"]),
        ({"update_cycle": ""}, ["update_cycle VALUE_MISSING"]),
        ({"share_mode": ""}, ["share_mode VALUE_MISSING"]),
        ({"share_type": ShareType.CONDITIONAL}, ["share_condition VALUE_MISSING"]),
        ({"share_type": ShareType.NONE}, ["share_basis VALUE_MISSING"]),
        ({"share_type": ShareType.NONE, "share_basis": "样例法", "share_mode": ""}, []),
        ({"items": ()}, ["items VALUE_MISSING"]),
        ({"items": SAMPLE.items * 2}, ["items VALUE_TWICE"]),
        (
            {"items": (Item(name="9", title="", type="X", grade=5),)},
            [
                "items.0.name VALUE_SPELLING",
                "items.0.title VALUE_MISSING",
                "items.0.type VALUE_NOT_IN_LIST",
                "items.0.grade VALUE_RANGE",
            ],
        ),
        ({"issued": "2026-02-30"}, ["issued VALUE_SPELLING"]),
        ({"issued": "20261126"}, ["issued VALUE_SPELLING"]),
        ({"related": ("x",)}, ["related VALUE_SPELLING"]),
        ({"source": Source(pack="energy")}, ["source VALUE_SPELLING"]),
        ({"region_code": "33"}, ["region_code VALUE_SPELLING"]),
        ({"extra": {"": "x"}}, ["extra VALUE_SPELLING"]),
        (
            {"title": "", "format": "", "issued": ""},
            ["title VALUE_MISSING", "format VALUE_MISSING", "issued VALUE_MISSING"],
        ),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, dict) else None,
)
def test_every_fault_is_named_at_once(change: dict[str, object], faults: list[str]) -> None:
    """Field and code of each fault, in the order of the core items."""
    found = check_resource(replace(SAMPLE, **change))  # type: ignore[arg-type]
    assert [f"{each.field} {each.code}" for each in found] == faults


def test_a_class_code_is_formed_from_its_pieces() -> None:
    """类 1, 项 2, 目 3, region 12, domain 2; then a slash and a number of six digits."""
    assert class_code("3", "06", "037", "330106000000", "01") == CLASS
    assert resource_code(CLASS, 1) == f"{CLASS}/000001"
    assert resource_code(CLASS, 1_234_567) == f"{CLASS}/1234567"
    assert split_code(f"{CLASS}/000123") == (CLASS, 123)
    for pieces in (
        ("4", "06", "037", "330106000000", "01"),
        ("3", "6", "037", "330106000000", "01"),
        ("3", "06", "037", "330106", "01"),
        ("3", "06", "037", "330106000000", "1"),
    ):
        with pytest.raises(ClassCodeInvalid):
            class_code(*pieces)
    for number in (0, 10**10):
        with pytest.raises(ClassCodeInvalid):
            resource_code(CLASS, number)
