"""A clerk of the bench: hands in rows of many units through a daemon's local API.

    python -m tests.bench.clerk SOCKET STEP FIRST END COUNTIES ACTOR

One process a county daemon, as at an office, and as one process' Python would
hold all of them back. It prints `ready`, waits for a line, hands in, and prints
how many rows were taken. STEP is `units` or `returns`. Units are numbered
through the whole country, county by county.
"""

import csv
import sys
from importlib.resources import files
from itertools import islice
from pathlib import Path

from yidao.catalog.codes import sample_uscc
from yidao.node.client import Client, Row

#: Institutions of the country over its counties, rounded up.
COUNTY_UNITS = 558
PACK, FORM, PERIOD = "energy", "consumption", "2025-Q4"
COUNTY_LEVEL = "3"
CALL_ROWS = 500


def county_codes(count: int) -> list[str]:
    """The first so many counties of the division tree."""
    text = (files("yidao.catalog") / "data" / "divisions.csv").read_text()
    codes = [
        line["code"] for line in csv.DictReader(text.splitlines()) if line["level"] == COUNTY_LEVEL
    ]
    return codes[:count]


def kwh_cents(number: int) -> int:
    """Electricity of a unit's return, in hundredths of a kWh."""
    return 5_000_000 + 100 * (number % 7_919)


def unit_row(number: int, counties: list[str]) -> Row:
    """The registry entry of a unit (sample)."""
    region, code = _named(number, counties)
    payload = (
        f'{{"inst_type":"01","name":"样例单位{number:07d}","reg_status":"1",'
        f'"region_code":"{region}","uscc":"{code}"}}'
    )
    return Row(row=number, form="institution", payload=payload.encode())


def return_row(number: int, counties: list[str]) -> Row:
    """A return of a unit (sample): 14 fields stated, two computed, all rules kept."""
    _, code = _named(number, counties)
    kwh, vehicle_l = kwh_cents(number), 300 + number % 500
    payload = (
        f'{{"elec_fee":"{kwh * 62 // 100 / 100:.2f}","elec_kwh":"{kwh / 100:.2f}",'
        f'"gasoline_fee":"{vehicle_l * 8}.00","gasoline_l":"{vehicle_l + 20}.00",'
        f'"gasoline_other_l":"20.00","gasoline_vehicle_l":"{vehicle_l}.00",'
        f'"ng_fee":"4200.00","ng_m3":"1400.00","period":"{PERIOD}","uscc":"{code}",'
        f'"water_fee":"3500.00","water_m3":"700.00","water_tap_m3":"600.00",'
        f'"water_well_m3":"100.00"}}'
    )
    return Row(row=number, form=FORM, period=PERIOD, payload=payload.encode())


def _named(number: int, counties: list[str]) -> tuple[str, str]:
    """Give the division and the code of a unit."""
    county, place = divmod(number, COUNTY_UNITS)
    return counties[county], sample_uscc(place, counties[county])


def main() -> None:
    """Run one step."""
    socket, step, first, end, count, actor = sys.argv[1:]
    counties = county_codes(int(count))
    make = unit_row if step == "units" else return_row
    rows = (make(number, counties) for number in range(int(first), int(end)))
    taken = 0
    with Client.open(Path(socket)) as client:
        client.status()
        print("ready", flush=True)
        sys.stdin.readline()
        while batch := list(islice(rows, CALL_ROWS)):
            taken += client.submit(PACK, batch, actor=actor).count("submitted")
    print(taken, flush=True)


if __name__ == "__main__":
    main()
