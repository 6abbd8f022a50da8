"""The shipped packs and division files, read once, and a right row to start from."""

from importlib.resources import files

import pytest

from yidao.catalog.pack.loader import load_pack
from yidao.catalog.pack.model import Pack, Value
from yidao.catalog.region import Regions, load_regions
from yidao.catalog.validate import Checks

Row = dict[str, Value]


def shipped(version: str) -> bytes:
    """Give the bytes of a shipped energy pack."""
    return (files("yidao.catalog") / "packs" / f"energy-{version}.yaml").read_bytes()


@pytest.fixture(scope="session")
def pack_2022() -> Pack:
    """Give the 2022 version of the energy pack."""
    return load_pack(shipped("2022"))


@pytest.fixture(scope="session")
def pack_2025() -> Pack:
    """Give the revision of 2025-11-10."""
    return load_pack(shipped("2025"))


@pytest.fixture(scope="session")
def regions() -> Regions:
    """Give the shipped division tree."""
    data = files("yidao.catalog") / "data"
    return load_regions((data / "divisions.csv").read_bytes(), (data / "changes.csv").read_bytes())


@pytest.fixture(scope="session")
def checks() -> Checks:
    """Give one cache of compiled forms for all tests."""
    return Checks()


@pytest.fixture
def consumption(pack_2022: Pack, checks: Checks) -> Row:
    """Give a right row of the form `consumption` (sample code of 330106)."""
    return checks.complete(
        pack_2022,
        "consumption",
        {
            "uscc": "113301060000000195",
            "period": "2025-Q2",
            "elec_kwh": "10000.00",
            "elec_fee": "8000.00",
            "water_m3": "100.00",
            "water_tap_m3": "90.00",
            "water_well_m3": "10.00",
            "water_fee": "400.00",
            "gasoline_l": "100.00",
            "gasoline_vehicle_l": "100.00",
            "gasoline_fee": "800.00",
        },
    )


@pytest.fixture
def profile() -> Row:
    """Give a right row of the form `profile` for the same unit and period."""
    return {
        "uscc": "113301060000000195",
        "period": "2025-Q2",
        "floor_area": "2000.00",
        "energy_users": 50,
    }
