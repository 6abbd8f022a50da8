"""The energy standard's forms, as every import meets them."""

from importlib.resources import files

import pytest

from yidao.catalog.pack.loader import load_pack
from yidao.catalog.pack.model import Form, Pack


@pytest.fixture(scope="session")
def packs() -> dict[str, Pack]:
    """Both versions of the energy standard, by version."""
    folder = files("yidao.catalog") / "packs"
    loaded = [load_pack((folder / f"energy-{year}.yaml").read_bytes()) for year in (2022, 2025)]
    return {pack.version: pack for pack in loaded}


@pytest.fixture(scope="session")
def forms(packs: dict[str, Pack]) -> list[Form]:
    """All forms of all versions."""
    return [form for pack in packs.values() for form in pack.forms.values()]
