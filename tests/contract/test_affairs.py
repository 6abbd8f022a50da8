"""The affairs' views on every database: the same road, the same figures, equal after a rebuild."""

from collections.abc import Callable
from importlib.resources import files
from typing import Any

import orjson
import pytest

from yidao.catalog.codes import sample_uscc
from yidao.node.affairs.affairs import Affairs
from yidao.node.affairs.directives.commands import issue, report
from yidao.node.affairs.directives.queries import status_tree
from yidao.node.affairs.directives.rules import Directive
from yidao.node.affairs.reporting.breakdown import Wanted, break_down
from yidao.node.affairs.reporting.judging import RowIn
from yidao.node.affairs.reporting.owed import Page, list_missing
from yidao.node.affairs.reporting.queries import ReturnFilter, list_returns, roll_up
from yidao.node.affairs.reporting.receipts import receipt
from yidao.node.affairs.reporting.review import Choice
from yidao.node.affairs.standards.commands import publish_pack
from yidao.node.store.store import Store

PERIOD = "2025-Q2"


def put_to_work(node: Any, tree: Any) -> Affairs:
    """Open a node's store again, with its affairs running."""
    node.store.close()
    node.store = Store.open(node.url, clock_ms=tree.clock, random=tree.random)
    node.store.bind(node.identity)
    affairs = Affairs(node.store, node.identity, clock_ms=tree.clock, random=tree.random)
    node.store.start(affairs.projectors, affairs.deciders)
    return affairs


def row(form: str, index: int, period: str = "", **fields: object) -> RowIn:
    payload = {"uscc": sample_uscc(index, "330106")} | fields
    if period:
        payload["period"] = period
    return RowIn(row=index, form=form, period=period, payload=orjson.dumps(payload))


@pytest.fixture
def offices(tree: Any) -> tuple[Any, Any]:
    """A root and a county of it."""
    root = tree.node("/")
    return root, tree.node("/33", root)


def test_the_desks_of_clerk_and_reviewer_work_on_every_database(
    tree: Any, offices: tuple[Any, Any], carry_all: Callable[..., Any]
) -> None:
    """Withdraw, list who is missing, take totals apart page by page, find a receipt by its code."""
    above, below = (put_to_work(node, tree) for node in offices)

    def exchange() -> None:
        for _ in range(3):
            carry_all(offices[0], offices[1])
            carry_all(offices[1], offices[0])
            for affairs in (above, below):
                affairs.desk.settle(affairs.desk.store.last_position())

    pack = (files("yidao.catalog") / "packs" / "energy-2022.yaml").read_bytes()
    publish_pack(above.desk, pack, "sample@/")
    exchange()
    entry = {"region_code": "330106", "inst_type": "01", "reg_status": "1"}
    rows = [row("institution", index, name=f"样例单位{index}", **entry) for index in range(4)]
    rows += [
        row("profile", index, PERIOD, floor_area="1000.00", energy_users=50) for index in range(3)
    ]
    results = below.submission.submit("energy", "sample@/33", rows).results
    exchange()
    below.withdrawal.withdraw("sample@/33", [results[4].record_id], "样例")
    exchange()
    for affairs in (above, below):
        with affairs.desk.read() as conn:
            found = list_missing(conn, "energy", "profile", PERIOD, Page(limit=1))
        assert (found.units, found.reported, found.missing[0].state) == (4, 2, "withdrawn")
        for by, path in (("unit", ""), ("child", "/33"), ("region", "/33"), ("inst_type", "")):
            wanted = Wanted(
                pack="energy", form="profile", period=PERIOD, by=by, scope="submitted", path=path
            )
            cut = break_down(affairs.desk, wanted).rows
            assert sum(each.totals.returns for each in cut) == 2
            assert sum(float(each.totals.fields["floor_area"]) for each in cut) == 2000
        shown = receipt(affairs.desk, record_id=results[5].record_id)
        assert receipt(affairs.desk, code=shown.code) == shown
        assert affairs.desk.store.rebuild().equal


def test_reports_and_directives_go_the_same_way_on_every_database(
    tree: Any, offices: tuple[Any, Any], carry_all: Callable[..., Any]
) -> None:
    """Publish, register, submit, review, roll up, page, direct; then rebuild to equal tables."""
    nodes = offices
    above, below = (put_to_work(node, tree) for node in nodes)

    def exchange() -> None:
        for _ in range(3):
            carry_all(nodes[0], nodes[1])
            carry_all(nodes[1], nodes[0])
            for affairs in (above, below):
                affairs.desk.settle(affairs.desk.store.last_position())

    pack = (files("yidao.catalog") / "packs" / "energy-2022.yaml").read_bytes()
    publish_pack(above.desk, pack, "sample@/")
    pack = (files("yidao.catalog") / "packs" / "energy-2025.yaml").read_bytes()
    publish_pack(above.desk, pack, "sample@/")
    exchange()
    entry = {"region_code": "330106", "inst_type": "01", "reg_status": "1"}
    rows = [row("institution", index, name=f"样例单位{index}", **entry) for index in range(4)]
    rows += [
        row("profile", index, PERIOD, floor_area="1000.00", energy_users=50) for index in range(4)
    ]
    rows.append(row("profile", 3, PERIOD, floor_area="-1.00", energy_users=50))
    done = below.submission.submit("energy", "sample@/33", rows)
    assert [each.outcome.value for each in done.results] == ["submitted"] * 8 + ["refused"]
    exchange()
    [first, *_] = done.results[4:]
    above.review.review("sample@/", Choice(record_ids=(first.record_id,)), "return", "请核对")
    assert above.review.review("sample@/", Choice(form="profile"), "accept").reviewed == 3
    exchange()
    for affairs in (above, below):
        found = roll_up(affairs.desk, "energy", "profile", PERIOD)
        assert found.accepted.fields["floor_area"] == "3000.00"
        assert (found.submitted.returns, found.accepted.returns) == (3, 3)
    with below.desk.read() as conn:
        page, after = list_returns(conn, ReturnFilter(limit=3))
        rest, end = list_returns(conn, ReturnFilter(limit=3, after=after))
    assert sorted(each.state for each in (*page, *rest)) == ["accepted"] * 3 + [
        "refused",
        "returned",
    ]
    assert end == ""
    order = Directive(number="样例1号", title="下达", body="", targets=("/33",))
    name = issue(above.desk, "sample@/", order).directive
    exchange()
    report(below.desk, "sample@/33", name, "acknowledged")
    exchange()
    with above.desk.read() as conn:
        assert [each.state for each in status_tree(conn, name)] == ["acknowledged"]
    for affairs in (above, below):
        assert affairs.desk.store.rebuild().equal
