"""The page of the nodes while the line to the parent is down, and after."""

import pytest
from playwright.sync_api import expect

from console.seats import Offices, Sit

pytestmark = pytest.mark.e2e

COUNTS_DOWN = """(first) => {
  const shown = document.querySelector("section.card .countdown");
  return shown !== null && shown.textContent !== first;
}"""


def test_a_lost_parent_is_seen_with_the_next_try(sit: Sit, offices: Offices) -> None:
    """Without anybody's doing: the state, the seconds that run down, and that it is back."""
    seat = sit(offices.province)
    page = seat.page
    seat.sign_in("zhao")
    seat.open("/tree")
    parent = page.locator("section.card").first
    expect(parent.locator(".badge")).to_have_text("已连接")
    offices.root.node.stop()
    try:
        expect(parent.locator(".badge")).not_to_have_text("已连接", timeout=20_000)
        shown = parent.locator(".countdown")
        expect(shown).to_contain_text("秒", timeout=20_000)
        expect(parent).to_contain_text("连不上上级")
        seat.shoot("tree-parent-lost")
        page.wait_for_function(COUNTS_DOWN, arg=shown.inner_text())
    finally:
        offices.root.node.start()
    expect(parent.locator(".badge")).to_have_text("已连接", timeout=60_000)
