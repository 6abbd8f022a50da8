"""The catalog at the desk: words, filters, pages, one entry."""

import pytest
from playwright.sync_api import expect

from console.seats import Offices, Sit, uscc

pytestmark = pytest.mark.e2e

CLASS = "30603733010600000001"
ENTRIES = 22


@pytest.fixture(scope="module")
def entries(offices: Offices) -> int:
    """Entries of two forms and two ways of sharing, published at the province."""
    with offices.province.node.client() as client:
        for number in range(ENTRIES):
            profile = number < 2
            draft = client.draft_from_form(
                actor="cheng@/33",
                pack="energy",
                form="profile" if profile else "consumption",
                class_code=CLASS,
                unit=uscc(1),
                title=f"样例资源 {'规模' if profile else '消费'} {number:02}",
                share_type=1 if profile else 2,
                share_text="" if profile else "样例: 经同意后共享",
            )
            assert draft.faults == (), draft
            client.submit_entry(draft.code, actor="cheng@/33")
            client.review_entry(draft.code, actor="wang@/33")
            client.publish_entry(draft.code, actor="zhao@/33")
    return ENTRIES


def test_the_catalog_is_searched_and_read(sit: Sit, offices: Offices, entries: int) -> None:
    """Who fills for one institution searches too: words, a filter in and out, an entry, pages."""
    seat = sit(offices.province)
    page = seat.page
    seat.sign_in("li")
    # Pages about all institutions are closed to who fills for one, and not offered.
    expect(page.get_by_role("link", name="未报单位")).to_have_count(0)
    page.get_by_role("link", name="资源目录").click()
    page.wait_for_url("**/catalog")
    seat.alive()
    expect(page.locator("caption")).to_have_text(f"找到 {entries} 条")
    expect(page.get_by_role("link", name=f"/33 ({entries})", exact=True)).to_be_visible()
    first = page.locator("tbody tr").all_inner_texts()
    page.get_by_role("link", name="下一页").click()
    page.wait_for_url("**after=*")
    seat.alive()
    rest = page.locator("tbody tr").all_inner_texts()
    assert len({*first, *rest}) == len(first) + len(rest) == entries

    seat.open("/catalog")
    page.fill("#q", "规模")
    page.press("#q", "Enter")
    page.wait_for_url("**q=*")
    seat.alive()
    expect(page.locator("tbody tr")).to_have_count(2)
    seat.open("/catalog")
    page.get_by_role("link", name="无条件共享 (2)").click()
    page.wait_for_url("**share_type=1*")
    seat.alive()
    expect(page.locator("tbody tr")).to_have_count(2)
    seat.shoot("search-narrowed")
    page.get_by_role("link", name="✕ 无条件共享").click()
    seat.page.wait_for_load_state()
    seat.alive()
    expect(page.locator("caption")).to_have_text(f"找到 {entries} 条")
    page.get_by_role("link", name="样例资源").first.click()
    page.wait_for_url("**/entry?*")
    seat.alive()
    expect(page.locator("h2")).to_contain_text("样例资源")
    expect(page.locator("tbody")).to_contain_text("uscc")
    seat.shoot("search-entry")
    seat.open("/catalog?q=%3Cscript%3E&share_type=9&after=zz")
    expect(page.locator("#notice.error, .empty").first).to_be_visible()
