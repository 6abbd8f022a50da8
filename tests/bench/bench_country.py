"""The country's returns through real daemons: handed in, judged, sealed, accepted, rolled up.

`YIDAO_BENCH_UNITS=16000 make bench ROWS=country` takes a part of the country;
its row then says from how many units the time of all of them is extrapolated.
"""

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path

from tests.bench.clerk import CALL_ROWS, FORM, PACK, PERIOD, kwh_cents
from tests.bench.country import PATIENCE_SECONDS, Clerk, Country
from tests.bench.rows import Row, Rows, at_most
from yidao.api.errors import YidaoError
from yidao.node.demo.tree import DemoNode

UNITS, REGIONS, COUNTIES = 1_586_000, 2_847, 4
REVIEW_ROWS = 2_000
_VARIABLE = "YIDAO_BENCH_UNITS"


@dataclass(slots=True)
class Day:
    """What one step of the whole country took; the CPU time is of all daemons of a tier."""

    wall_seconds: float = 0.0
    cpu_seconds: dict[str, float] = field(default_factory=dict)


def test_country(rows: Rows, tmp_path: Path) -> None:
    """Every unit's return is durable, verified and summed at each tier, and accepted."""
    units = int(os.environ.get(_VARIABLE, UNITS))
    country = Country(tmp_path, COUNTIES)
    try:
        country.publish()
        registered = _register(country, units)
        day = _report(country, units)
        _check(country, units)
        peaks = country.peaks()
    finally:
        country.stop()
    part = "" if units == UNITS else f", EXTRAPOLATED from {units:,} units"
    rows.add(
        Row(
            name=f"the country{part}",
            unit="min",
            runs=(day.wall_seconds * UNITS / units / 60,),
            target=at_most(6, of="value"),
            note=_note(day, registered, peaks),
        )
    )
    for step, took in (("return", day), ("registration", registered)):
        for tier, seconds in took.cpu_seconds.items():
            rows.add(
                Row(name=f"a {step}, {tier}{part}", unit="CPU-µs", runs=(seconds / units * 1e6,))
            )


def _register(country: Country, units: int) -> Day:
    """Let every county register its units, and wait until the nation shows them."""
    clerks = _clerks(country, "units", units)
    with _measured(country) as day:
        for clerk in clerks:
            clerk.go()
        assert sum(clerk.taken() for clerk in clerks) == units
        country.settle()
    return day


def _report(country: Country, units: int) -> Day:
    """Let every county hand in its returns; the city accepts them as they come."""
    clerks = _clerks(country, "returns", units)
    with _measured(country) as day:
        for clerk in clerks:
            clerk.go()
        _accept(country.city, units)
        assert sum(clerk.taken() for clerk in clerks) == units
        for tier in country.tiers.values():
            _wait_for(tier, units)
    return day


def _clerks(country: Country, step: str, units: int) -> list[Clerk]:
    bounds = [units * number // COUNTIES for number in range(COUNTIES + 1)]
    return [
        country.clerk(node, step, first, end, REGIONS)
        for node, first, end in zip(country.counties, bounds, bounds[1:], strict=False)
    ]


@contextmanager
def _measured(country: Country) -> Iterator[Day]:
    day = Day()
    before, children, started = country.cpu(), os.times(), time.monotonic()
    yield day
    day.wall_seconds = time.monotonic() - started
    day.cpu_seconds = {name: after - before[name] for name, after in country.cpu().items()}
    ended = os.times()
    day.cpu_seconds["clerks"] = (
        ended.children_user
        + ended.children_system
        - children.children_user
        - children.children_system
    )


def _accept(city: DemoNode, units: int) -> None:
    """Accept what comes until all is accepted."""
    done = 0
    deadline = time.monotonic() + PATIENCE_SECONDS
    with city.client() as client:
        while done < units:
            assert time.monotonic() < deadline, f"accepted {done} of {units}"
            found = client.review(
                actor=f"reviewer@{city.path}",
                decision="accept",
                form=FORM,
                period=PERIOD,
                limit=REVIEW_ROWS,
            )
            done += found.reviewed
            if found.reviewed < REVIEW_ROWS:
                time.sleep(0.2)


def _wait_for(tier: Sequence[DemoNode], units: int) -> None:
    """Wait until the nodes of a tier count and sum all as accepted."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while sum(_accepted(node) for node in tier) < units:
        assert time.monotonic() < deadline, tier[0].path
        time.sleep(0.1)


def _accepted(node: DemoNode) -> int:
    try:
        with node.client() as client:
            return client.roll_up(pack=PACK, form=FORM, period=PERIOD).accepted.summed
    except YidaoError:
        # The views are behind what comes in; asked again.
        return 0


def _check(country: Country, units: int) -> None:
    """Every tier's totals are those of the rows, to the last digit."""
    cents = sum(kwh_cents(number) for number in range(units))
    for tier in country.tiers.values():
        seen = []
        for node in tier:
            with node.client() as client:
                seen.append(client.roll_up(pack=PACK, form=FORM, period=PERIOD))
        for scope in ("submitted", "accepted"):
            totals = [getattr(each, scope) for each in seen]
            assert sum(each.returns for each in totals) == units
            assert sum(Decimal(each.fields["elec_kwh"]) for each in totals) * 100 == cents


def _note(day: Day, registered: Day, peaks: Mapping[str, float]) -> str:
    busy = sum(day.cpu_seconds.values()) / day.wall_seconds
    sizes = ", ".join(f"{name} {size:.0f}" for name, size in peaks.items())
    return (
        f"{COUNTIES} counties with the units of {REGIONS:,} between them, one city, province, "
        f"nation; form {PACK}/{FORM}, 16 fields, calls of {CALL_ROWS} rows, reviews of "
        f"{REVIEW_ROWS:,}; fsync at every tier before it acknowledges; {busy:.1f} cores busy; "
        f"registering the units before took {registered.wall_seconds:.0f} s; "
        f"peak MiB: {sizes}"
    )
