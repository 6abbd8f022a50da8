"""The clerk's way with keys alone, and what happens to what was typed when a session ends."""

import pytest
from playwright.sync_api import expect

from console.seats import PASSWORD, PERIOD, Offices, Seat, Sit, uscc

pytestmark = pytest.mark.e2e

# An element by the name that the page gave it, else by its text.
FOCUSED = """(() => {
  const e = document.activeElement;
  return /^c\\d+$/.test(e.id) || !e.id ? e.textContent.trim() : e.id;
})()"""
MAX_TABS = 90


def tab_to(seat: Seat, wanted: str) -> None:
    """Press Tab until the element of this id, or with this text, has the focus."""
    for _ in range(MAX_TABS):
        if str(seat.page.evaluate(FOCUSED)) == wanted:
            return
        seat.page.keyboard.press("Tab")
    pytest.fail(f"Tab does not lead to {wanted}")


def test_a_return_is_handed_in_without_a_mouse(sit: Sit, offices: Offices) -> None:
    """Tab, Enter and letters are enough from the sign-in to the receipt; the focus is seen."""
    seat = sit(offices.province, "narrow")
    keys, page = seat.page.keyboard, seat.page
    seat.open("/sign-in")
    expect(page.locator("#unit")).to_be_focused()
    keys.type(uscc(3))
    for name, text in (("user", "sun"), ("password", PASSWORD)):
        tab_to(seat, name)
        keys.type(text)
    keys.press("Enter")
    page.wait_for_url("**/due")
    seat.alive()
    keys.press("Tab")
    assert page.evaluate(FOCUSED) == "跳到正文"
    keys.press("Enter")
    tab_to(seat, "填报")
    outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    assert outline == "solid"
    keys.press("Enter")
    page.wait_for_url("**/fill?*")
    seat.alive()
    form = "profile" if "form=profile" in page.url else "consumption"
    values = {
        "profile": {"floor_area": "800.00", "energy_users": "20"},
        "consumption": {
            "elec_kwh": "10",
            "elec_fee": "8",
            "water_m3": "1",
            "water_tap_m3": "1",
            "water_fee": "3",
        },
    }[form]
    for name, text in values.items():
        tab_to(seat, f"field-{name}")
        keys.type(text)
    keys.press("Enter")
    expect(page.locator("#notice")).to_contain_text("已提交")
    tab_to(seat, "查看回执")
    keys.press("Enter")
    page.wait_for_url("**/receipt?*")
    expect(page.locator(".receipt .code")).to_be_visible()
    seat.shoot("keyboard-receipt")


def test_what_was_typed_outlives_the_session(sit: Sit, offices: Offices) -> None:
    """A session that ends while somebody types costs nothing: sign in again, and go on."""
    seat = sit(offices.province)
    page = seat.page
    seat.sign_in("zhao")
    seat.open(f"/fill?pack=energy&form=profile&period={PERIOD}&unit={uscc(2)}")
    page.fill("#field-floor_area", "1234.50")
    expect(page.locator("form.fill [role=status]")).to_contain_text("草稿已保存")
    page.context.clear_cookies(name="yidao_session")
    page.reload()
    page.wait_for_url("**/sign-in?*")
    seat.alive()
    page.fill("#user", "zhao")
    page.fill("#password", PASSWORD)
    page.press("#password", "Enter")
    page.wait_for_url("**/fill?*")
    seat.alive()
    expect(page.locator("#field-floor_area")).to_have_value("1234.50")


def test_a_session_that_the_node_ended_leads_to_sign_in(sit: Sit, offices: Offices) -> None:
    """The next click says why, and nothing is done under an ended session."""
    seat = sit(offices.province)
    page = seat.page
    seat.sign_in("qian")
    seat.open("/verify")
    with offices.province.node.client() as client:
        user = next(each for each in client.users() if each.name == "qian")
        client.put_user(user, actor="admin@/33", password=PASSWORD + "1")
        session = client.sign_in("qian", PASSWORD + "1")
        client.with_token(session.token).change_password(PASSWORD + "1", PASSWORD + "2")
    page.fill("#code", "AAAA-AAAA-AAAA-AAAA")
    page.press("#code", "Enter")
    page.wait_for_url("**/sign-in?why=idle*")
    expect(page.locator(".notice")).to_contain_text("请重新登录")
