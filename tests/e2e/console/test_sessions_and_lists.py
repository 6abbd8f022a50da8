"""What ends a session, what a doubt asks for, and that no page of a list skips a row."""

import pytest
from playwright.sync_api import expect

from console.seats import PASSWORD, PERIOD, Offices, Sit, fill, told, uscc
from yidao.api.errors import YidaoError
from yidao.catalog.rows import encode_row
from yidao.node.client import Row

pytestmark = pytest.mark.e2e

VERSIONS = 55
EARLIER = "2026-Q2"


def test_an_open_page_leaves_by_itself(sit: Sit, offices: Offices) -> None:
    """The session ends elsewhere; the page that nobody touches goes to the sign-in, with why."""
    seat = sit(offices.province)
    seat.sign_in("zhao")
    seat.open("/verify")
    other = seat.page.context.new_page()
    other.goto(offices.province.url + "/verify")
    other.wait_for_function("window.did_handshake === true")
    other.get_by_role("button", name="退出").click()
    other.wait_for_url("**/sign-in?why=out*")
    seat.page.wait_for_url("**/sign-in?why=idle&next=%2Fverify")
    expect(seat.page.locator(".notice")).to_contain_text("请重新登录")


def test_a_locked_user_is_told_how_long(sit: Sit, offices: Offices) -> None:
    """After too many tries even the right password waits; the page says so, and what to do."""
    with offices.province.node.client() as client:
        for _ in range(5):
            with pytest.raises(YidaoError):
                client.sign_in("locked", PASSWORD + "x")
    seat = sit(offices.province, "narrow")
    seat.open("/sign-in")
    seat.page.fill("#user", "locked")
    seat.page.fill("#password", PASSWORD)
    seat.page.press("#password", "Enter")
    shown = seat.page.locator(".notice.error")
    expect(shown).to_contain_text("锁定")
    expect(shown).to_contain_text("USER_LOCKED")
    expect(shown).to_contain_text("安全管理员")
    seat.shoot("locked")


def test_a_doubt_wants_a_reason(sit: Sit, offices: Offices) -> None:
    """A figure that may be right is handed in once the explanation says why."""
    seat = sit(offices.province)
    page = seat.page
    seat.sign_in("zhao")
    seat.open(f"/fill?pack=energy&form=consumption&period={PERIOD}&unit={uscc(2)}")
    fill(page, elec_kwh="10", elec_fee="800", water_m3="1", water_tap_m3="1", water_fee="3")
    page.click("button[value=submit]")
    told(page, "存疑")
    expect(page.locator("#summary h2")).to_have_text("请核对下列存疑的数据")
    expect(page.locator("#field-note")).to_be_focused()
    expect(page.locator("#field-elec_fee-fault")).to_contain_text("平均单价")
    seat.shoot("doubt")
    fill(page, note="样例: 含一次性增容费")
    page.click("button[value=submit]")
    told(page, "已提交")


def test_pages_of_returns_skip_nothing(sit: Sit, offices: Offices) -> None:
    """More versions than fit one page: the pages together hold each of them once."""
    rows = [
        Row(
            row=number,
            form="profile",
            period=EARLIER,
            payload=encode_row(
                {
                    "uscc": uscc(2),
                    "period": EARLIER,
                    "floor_area": f"{number}.00",
                    "energy_users": 5,
                }
            ),
        )
        for number in range(1, VERSIONS + 1)
    ]
    with offices.province.node.client() as client:
        assert client.submit("energy", rows, actor="cheng@/33").count("submitted") == VERSIONS
    seat = sit(offices.province)
    page = seat.page
    seat.sign_in("zhao")
    seat.open(f"/returns?period={EARLIER}")
    seen = _versions(page)
    page.get_by_role("link", name="下一页").click()
    page.wait_for_url("**after=*")
    seat.alive()
    seen += _versions(page)
    expect(page.get_by_role("link", name="下一页")).to_have_count(0)
    assert sorted(seen) == list(range(1, VERSIONS + 1))


def _versions(page) -> list[int]:  # type: ignore[no-untyped-def]
    return [int(text) for text in page.locator("td[data-label=版本]").all_inner_texts()]
