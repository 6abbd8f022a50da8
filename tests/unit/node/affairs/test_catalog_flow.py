"""The catalog over real stores: drafted, reviewed, published upward, withdrawn, rebuilt."""

import pytest

from yidao.catalog.codes import sample_uscc
from yidao.catalog.resource import EntryState, Item, Resource, ShareType
from yidao.node.affairs.catalog.commands import Drafted, save_draft, take_step
from yidao.node.affairs.catalog.queries import Entry, find_copy, find_entry
from yidao.node.affairs.catalog.rules import Step

ROOT, CITY = "/", "/33"
CLASS = "30603733010600000001"


def resource(**changed: object) -> Resource:
    """A sample resource without a fault."""
    given: dict[str, object] = {
        "code": "",
        "title": "样例公共机构能耗",
        "class_code": CLASS,
        "provider_name": "样例机关事务管理局",
        "provider_uscc": sample_uscc(1, "330106"),
        "description": "样例: 各单位每季度的用电与用水。",
        "format": "3",
        "items": (Item(name="elec_kwh", title="用电量", type="N", length=18),),
        "share_type": ShareType.UNCONDITIONAL,
        "share_condition": "",
        "share_mode": "1",
        "share_basis": "",
        "open": False,
        "open_condition": "",
        "update_cycle": "5",
        "issued": "",
    }
    return Resource(**(given | changed))  # type: ignore[arg-type]


class Office:
    """One node, with a clerk and a reviewer."""

    def __init__(self, node) -> None:
        self.node = node
        self.clerk = f"li@{node.path}"
        self.reviewer = f"wang@{node.path}"

    def draft(self, **changed: object) -> Drafted:
        return save_draft(self.node.desk, self.clerk, resource(**changed))

    def step(self, code: str, step: Step, reason: str = "", actor: str = "") -> None:
        take_step(self.node.desk, actor or self.clerk, code, step, reason)

    def publish(self, **changed: object) -> str:
        code = self.draft(**changed).code
        self.step(code, Step.SUBMIT)
        self.step(code, Step.REVIEW, actor=self.reviewer)
        self.step(code, Step.PUBLISH)
        return code

    def entry(self, code: str) -> Entry | None:
        with self.node.desk.read() as conn:
            return find_entry(conn, code)

    def copy(self, code: str) -> Entry | None:
        with self.node.desk.read() as conn:
            return find_copy(conn, self.node.desk, code)


@pytest.fixture
def two(tree):
    """A root and a city of it."""
    tree.grow(ROOT, CITY)
    tree.exchange()
    return tree


def offices(tree) -> tuple[Office, Office]:
    return Office(tree[ROOT]), Office(tree[CITY])


def equal_after_rebuild(tree) -> bool:
    return all(node.store.rebuild().equal for node in tree.nodes.values())


def test_what_is_published_below_stands_in_the_catalog_above(two) -> None:
    """Draft and steps stay; the publication goes up with the owner's path, and is dated."""
    root, city = offices(two)
    code = city.draft().code
    assert code == f"{CLASS}/000001"
    for step, actor in ((Step.SUBMIT, city.clerk), (Step.REVIEW, city.reviewer)):
        city.step(code, step, actor=actor)
        two.exchange()
        assert root.entry(code) is None
    city.step(code, Step.PUBLISH)
    two.exchange()
    above = root.entry(code)
    assert above is not None
    assert above == city.entry(code)
    assert (above.state, above.version, str(above.owner_path)) == (EntryState.PUBLISHED, 1, CITY)
    assert above.owner == two[CITY].identity.node_id
    assert above.resource.issued == "2026-11-20"
    assert city.copy(code) is None
    assert equal_after_rebuild(two)
