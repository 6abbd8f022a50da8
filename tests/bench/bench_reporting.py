"""What a clerk's batch costs at the agency, durable and folded. Run with `make bench`."""

import itertools
import json
from collections.abc import Callable, Sequence
from importlib.resources import files
from typing import Any

from pytest_benchmark.fixture import BenchmarkFixture

from yidao.catalog.codes import sample_uscc
from yidao.node.affairs.reporting.judging import RowIn
from yidao.node.affairs.standards.commands import publish_pack

Against = Callable[[str, Callable[[], float]], None]
SqliteFull = Callable[[Sequence[Sequence[tuple[bytes, ...]]]], float]

UNITS = 500
ACTOR = "sample@/"
PERIODS = ("2025-Q1", "2025-Q2", "2025-Q3", "2025-Q4")


def institution(number: int) -> dict[str, object]:
    """A registry entry (sample)."""
    return {
        "uscc": sample_uscc(number, "330106"),
        "name": f"样例单位{number:04d}",
        "region_code": "330106",
        "inst_type": "01",
        "reg_status": "1",
    }


def consumption(number: int, period: str) -> dict[str, object]:
    """A quarterly return (sample)."""
    return {
        "uscc": sample_uscc(number, "330106"),
        "period": period,
        "elec_kwh": f"{50_000 + number}.00",
        "elec_fee": f"{31_000 + number}.00",
        "water_m3": "700.00",
        "water_tap_m3": "600.00",
        "water_well_m3": "100.00",
        "water_fee": "3500.00",
    }


def test_submit_500_returns(
    benchmark: BenchmarkFixture,
    new_node: Callable[..., Any],
    against: Against,
    sqlite_full: SqliteFull,
) -> None:
    """Judged by structure and rules, appended in one commit, folded into the views."""
    affairs = new_node("/").start_with_affairs()
    pack = (files("yidao.catalog") / "packs" / "energy-2022.yaml").read_bytes()
    publish_pack(affairs.desk, pack, ACTOR)
    numbers, rounds = range(1, UNITS + 1), iter(PERIODS)

    def rows(form: str, period: str, payloads: Sequence[dict[str, object]]) -> list[RowIn]:
        return [
            RowIn(row=row, form=form, period=period, payload=json.dumps(each).encode())
            for row, each in zip(itertools.count(1), payloads, strict=False)
        ]

    def submit(batch: list[RowIn]) -> list[str]:
        done = affairs.submission.submit("energy", ACTOR, batch)
        affairs.desk.settle(done.position)
        return [str(each.outcome) for each in done.results]

    submit(rows("institution", "", [institution(number) for number in numbers]))
    batches = []

    def fresh() -> tuple[tuple[list[RowIn]], dict[str, Any]]:
        period = next(rounds)
        batches.append(
            rows("consumption", period, [consumption(number, period) for number in numbers])
        )
        return (batches[-1],), {}

    outcomes = benchmark.pedantic(submit, setup=fresh, rounds=len(PERIODS))
    assert len(set(outcomes)) == 1
    assert "submitted" in outcomes[0].lower()
    stored = [(row.period.encode(), row.payload) for row in batches[-1]]
    against("SQLite, the 500 payloads in one commit", lambda: sqlite_full([stored]))
