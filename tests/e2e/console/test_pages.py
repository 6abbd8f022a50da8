"""Every page, at both widths and in both languages: readable, labelled, and nothing from outside."""

import pytest

from .conftest import Offices, Sit

PAGES = ("/due", "/import", "/returns", "/missing", "/roll-up", "/tree", "/verify", "/password")


@pytest.mark.parametrize("language", ["zh", "en"])
@pytest.mark.parametrize("width", ["wide", "narrow"])
def test_pages_fit(sit: Sit, offices: Offices, width: str, language: str) -> None:
    seat = sit(offices.province, width, language)
    seat.sign_in("zhao")
    for path in PAGES:
        seat.open(path)
        seat.shoot(f"{path.strip('/')}-{language}")
        assert seat.page.locator("h1").count() == 1, path
        print(path, seat.page.locator("#notice").inner_text())
