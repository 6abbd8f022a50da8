"""Rows asked for over real daemons of three tiers: live, refused, and while a line is away."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from yidao.catalog.codes import sample_uscc
from yidao.catalog.rows import encode_row
from yidao.node.client import Client, Row
from yidao.node.demo.nation import ACTOR
from yidao.node.demo.reporting import PACK_FILES
from yidao.node.demo.tree import DemoNode, free_ports, run_yidao, wait_until, yidao_command

pytestmark = pytest.mark.e2e

CLASS = "30603733010600000001"
CLERK, SECOND = "li", "wang"
REGION = "330106"
UNITS = [sample_uscc(number, REGION) for number in range(3)]


class Tiers:
    """Nation, province, agency: `/`, `/33`, `/33/a`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.nodes: dict[str, DemoNode] = {}

    def found(self) -> None:
        for name, label in (("nation", ""), ("province", "33"), ("agency", "a")):
            self._add(name, label)
        wait_until("every link is up", self.linked)
        with self["nation"].client() as client:
            for name in PACK_FILES:
                client.publish_pack(_pack(name), actor="li@/")
        wait_until("the standard arrives", self._has_pack)

    def __getitem__(self, name: str) -> DemoNode:
        return self.nodes[name]

    def linked(self) -> bool:
        for node in self.nodes.values():
            with node.client() as client:
                if any(peer.state != "connected" for peer in client.status().peers):
                    return False
        return True

    def stop(self) -> None:
        for node in reversed(self.nodes.values()):
            node.stop()

    def _has_pack(self) -> bool:
        with self["agency"].client() as client:
            return len(client.packs()) == len(PACK_FILES)

    def _add(self, name: str, label: str) -> None:
        parent = list(self.nodes.values())[-1] if self.nodes else None
        link_port, join_port = free_ports(2)
        base = "" if parent is None or parent.path == "/" else parent.path
        node = DemoNode(
            name=name,
            path=f"{base}/{label}",
            folder=self.folder / name,
            link_port=link_port,
            join_port=join_port,
        )
        ports = ["--listen", f"127.0.0.1:{link_port}", "--join-listen", f"127.0.0.1:{join_port}"]
        if parent is None:
            run_yidao("init", "--data", str(node.folder), *ports)
        else:
            bundle = self.folder / f"{name}.bundle"
            with parent.client() as client:
                operator = f"{ACTOR}@{parent.path}"
                bundle.write_bytes(client.add_child(label, ttl_seconds=600, operator=operator))
            bundle.chmod(0o600)
            run_yidao("join", str(bundle), "--data", str(node.folder), *ports)
        config = node.folder / "config.toml"
        hasty = "backoff_min_seconds = 0.2\nbackoff_max_seconds = 1\n"
        config.write_text(config.read_text() + hasty)
        self.nodes[name] = node
        node.start()


def _pack(name: str) -> bytes:
    from importlib.resources import files

    return (files("yidao.catalog") / "packs" / name).read_bytes()


def hand_in(client: Client, form: str, *payloads: dict[str, object]) -> None:
    rows = [
        Row(row=n, form=form, period=str(each.get("period", "")), payload=encode_row(each))
        for n, each in enumerate(payloads)
    ]
    done = client.submit("energy", rows, actor=f"{CLERK}@/33/a")
    assert {each.outcome for each in done.results} == {"submitted"}, done.results


def consumption(unit: str, kwh: str) -> dict[str, object]:
    return {
        "uscc": unit,
        "period": "2025-Q3",
        "elec_kwh": kwh,
        "elec_fee": "31000.00",
        "water_m3": "700.00",
        "water_tap_m3": "600.00",
        "water_well_m3": "100.00",
        "water_fee": "3500.00",
    }


def publish(client: Client, form: str, share_type: int, text: str) -> str:
    draft = client.draft_from_form(
        actor=f"{CLERK}@/33/a",
        pack="energy",
        form=form,
        class_code=CLASS,
        unit=UNITS[0],
        share_type=share_type,
        share_text=text,
    )
    client.submit_entry(draft.code, actor=f"{CLERK}@/33/a")
    client.review_entry(draft.code, actor=f"{SECOND}@/33/a")
    client.publish_entry(draft.code, actor=f"{CLERK}@/33/a")
    return draft.code


@pytest.fixture(scope="module")
def tiers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Tiers, dict[str, str]]]:
    """Three tiers; the agency has three units with a return each, and three resources."""
    made = Tiers(tmp_path_factory.mktemp("q"))
    try:
        made.found()
        with made["agency"].client() as client:
            hand_in(
                client,
                "institution",
                *(
                    {
                        "uscc": unit,
                        "name": f"样例单位{number}",
                        "region_code": REGION,
                        "inst_type": "01",
                        "reg_status": "1",
                        "statistician": "张三丰",
                    }
                    for number, unit in enumerate(UNITS)
                ),
            )
            hand_in(
                client,
                "consumption",
                *(consumption(unit, f"{50000 + n}.00") for n, unit in enumerate(UNITS)),
            )
            codes = {
                "open": publish(client, "consumption", 1, ""),
                "register": publish(client, "institution", 2, "样例: 经同意后使用"),
                "closed": publish(client, "profile", 3, "样例: 《样例保密规定》第三条"),
            }

        def known() -> bool:
            with made["nation"].client() as client:
                return client.search_catalog("").total >= len(codes)

        wait_until("the catalog arrives", known)
        yield made, codes
    finally:
        made.stop()


def test_rows_come_live_through_the_tier_between(tiers: tuple[Tiers, dict[str, str]]) -> None:
    """And a row that was changed after the resource was registered is seen."""
    made, codes = tiers
    with made["nation"].client() as client:
        ask = {"actor": "li@/", "where": "elec_kwh > 50000", "select": ("unit", "elec_kwh")}
        first = client.query_rows(codes["open"], **ask)
        assert {row.cells["elec_kwh"] for row in first.rows()} == {"50001.00", "50002.00"}
        assert [(node.path, node.state) for node in first.nodes] == [("/33/a", "answered")]
        assert first.complete
        with made["agency"].client() as agency:
            hand_in(agency, "consumption", consumption(UNITS[1], "61000.00"))
        again = client.query_rows(codes["open"], **ask)
        assert {row.cells["elec_kwh"] for row in again.rows()} == {"61000.00", "50002.00"}
        total = client.query_rows("energy/consumption", actor="li@/", aggregate=("sum elec_kwh",))
        assert [dict(row.cells) for row in total.rows()] == [{"sum elec_kwh": "161002.00"}]


def test_the_owner_refuses_masks_and_wants_a_purpose(
    tiers: tuple[Tiers, dict[str, str]],
) -> None:
    """不予共享 with its basis; 有条件 without a purpose; a person's name masked."""
    made, codes = tiers
    with made["nation"].client() as client:
        closed = client.query_rows(codes["closed"], actor="li@/")
        assert closed.rows() == ()
        assert (closed.nodes[0].state, closed.nodes[0].code) == ("refused", "SHARE_FORBIDDEN")
        assert "样例保密规定" in closed.nodes[0].params["basis"]
        without = client.query_rows(codes["register"], actor="li@/")
        assert without.rows() == ()
        assert without.nodes[0].code == "SHARE_PURPOSE_MISSING"
        given = client.query_rows(
            codes["register"], actor="li@/", purpose="样例", select=("unit", "statistician")
        )
        assert {row.cells["statistician"] for row in given.rows()} == {"张*"}
        masked = {column.name for column in given.columns if column.masked}
        assert masked == {"statistician"}
        leak = client.query_rows(
            codes["register"], actor="li@/", purpose="样例", where="statistician = 张三丰"
        )
        assert leak.rows() == ()
        assert leak.nodes[0].code == "COLUMN_MASKED"


def test_the_command_tells_rows_and_nodes(tiers: tuple[Tiers, dict[str, str]]) -> None:
    """One JSON line with both."""
    made, _ = tiers
    done = subprocess.run(
        [
            *yidao_command(), "query", "energy/consumption", "--data", str(made["nation"].folder),
            "--actor", "li@/", "--under", "/33", "--where", "period = 2025-Q3", "--count",
            "--max", "elec_kwh", "--by", "period", "--json",
        ],
        capture_output=True,
        text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    shown = json.loads(done.stdout)
    assert [(row["period"], row["count"]) for row in shown["rows"]] == [("2025-Q3", 3)]
    assert shown["complete"]


def test_r58_the_router_restarts_and_the_question_ends(
    tiers: tuple[Tiers, dict[str, str]],
) -> None:
    """While it is away the last answer stands in and says so; afterwards it is live again."""
    made, codes = tiers
    with made["nation"].client() as client:
        ask = {"actor": "li@/", "select": ("unit", "elec_kwh"), "deadline_seconds": 5.0}
        assert len(client.query_rows(codes["open"], **ask).rows()) == 3
        made["province"].stop()
        away = client.query_rows(codes["open"], **ask)
        assert len(away.rows()) == 3
        assert (away.nodes[0].state, away.nodes[0].cached) == ("unreachable", "remembered")
        assert away.nodes[0].as_of_ms > 0
        assert not away.complete
        nothing = client.query_rows(codes["open"], live_only=True, **ask)
        assert nothing.rows() == ()
        made["province"].start()
        wait_until("the links are back", made.linked)
        back = client.query_rows(codes["open"], **ask)
        assert len(back.rows()) == 3
        assert back.complete
