"""Every page in both languages, at both widths: it fits, has its labels, and says one language."""

import re

import pytest

from console.seats import PERIOD, WIDTHS, Offices, Sit, uscc
from yidao.node.console.words import Language, Words

pytestmark = pytest.mark.e2e

FILL = f"/fill?pack=energy&form=consumption&period={PERIOD}&unit={uscc(5)}"
PAGES = {
    "due": "/due",
    "fill": FILL,
    "import": "/import",
    "returns": "/returns",
    "missing": "/missing",
    "sign-off": "/sign-off",
    "roll-up": "/roll-up",
    "tree": "/tree",
    "catalog": "/catalog",
    "verify": "/verify",
    "password": "/password",
    "nowhere": "/nowhere",
}
#: What stands in Chinese on an English page: names that people gave, and units of measure.
CHINESE_NAMES = re.compile(r"[^\n]*样例[^\n]*|中文|驿道|[人辆元个]")
UNLABELLED = """() => [...document.querySelectorAll('input, select, textarea')]
  .filter((e) => e.type !== 'hidden' && !e.labels.length && !e.ariaLabel)
  .map((e) => e.outerHTML)"""
HAS_CHINESE = re.compile("[\u4e00-\u9fff]")


@pytest.mark.parametrize("language", ["zh", "en"])
def test_every_page_fits_and_is_labelled(sit: Sit, offices: Offices, language: Language) -> None:
    """No page scrolls sideways at 390 px; each control has a label, each page one heading."""
    seat = sit(offices.province, language=language)
    page = seat.page
    seat.open("/sign-in")
    _look(seat, "sign-in", language)
    seat.sign_in("zhao")
    for name, path in PAGES.items():
        seat.open(path)
        _look(seat, name, language)
        assert page.locator("#notice.error").count() == 0, name


def _look(seat, name: str, language: Language) -> None:  # type: ignore[no-untyped-def]
    page = seat.page
    for width, (across, down) in WIDTHS.items():
        page.set_viewport_size({"width": across, "height": down})
        seat.width = width
        seat.shoot(f"{name}-{language}")
        assert page.evaluate("document.documentElement.scrollWidth") <= across, (name, width)
    assert page.locator("h1").count() == 1, name
    # The network was founded as a test: no page may look as if its figures counted.
    assert page.locator(".banner").inner_text() == Words(language=language)("frame.test_network")
    assert page.evaluate(UNLABELLED) == [], name
    assert page.evaluate("document.documentElement.lang") == ("zh-CN" if language == "zh" else "en")
    if language == "en":
        shown = CHINESE_NAMES.sub("", page.locator("body").inner_text())
        assert not HAS_CHINESE.search(shown), (name, HAS_CHINESE.findall(shown))
