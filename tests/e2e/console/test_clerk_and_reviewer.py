"""A clerk's day and a reviewer's day, click by click, on a root and a province."""

from pathlib import Path

import pytest
from openpyxl import load_workbook
from playwright.sync_api import expect

from console.seats import (
    FIRST_PASSWORD,
    OFFICES,
    PASSWORD,
    PERIOD,
    Offices,
    Seat,
    Sit,
    fill,
    told,
    uscc,
)

pytestmark = pytest.mark.e2e

FILL = f"/fill?pack=energy&form=profile&period={PERIOD}&unit="
REASON = "样例: 用能人数与上期相差太大, 请核对"


def go(seat: Seat, text: str) -> None:
    """Follow a link by its text."""
    seat.page.get_by_role("link", name=text, exact=True).first.click()
    seat.page.wait_for_load_state()
    seat.alive()


def test_the_clerks_day(sit: Sit, offices: Offices) -> None:
    """Sign in by unit, see what is due and every fault at its field, hand in, print, verify.

    Then see it returned with its reason on top, mend it, and withdraw it.
    """
    clerk = sit(offices.province)
    page = clerk.page
    clerk.open("/sign-in")
    page.fill("#unit", uscc(1)[:10])
    expect(page.locator(f"#units option[value^='{uscc(1)}']")).to_have_count(1)
    clerk.sign_in("li", unit=f"{uscc(1)} 样例单位1")
    clerk.open("/due")
    expect(page.locator("tr.overdue").first).to_contain_text("逾期")
    clerk.shoot("clerk-1-due")

    clerk.open(FILL + uscc(1))
    fill(page, floor_area="五千", energy_users="0", nev="3", vehicles="2")
    page.click("button[value=check]")
    expect(page.locator("#summary")).to_contain_text("请更正下列问题")
    expect(page.locator("#field-floor_area")).to_have_attribute("aria-invalid", "true")
    expect(page.locator("#field-floor_area-fault")).to_contain_text("不是数字")
    expect(page.locator("#field-energy_users-fault")).not_to_be_empty()
    clerk.shoot("clerk-2-faults")
    page.locator("#summary a[href='#field-floor_area']").click()
    expect(page.locator("#field-floor_area")).to_be_focused()
    fill(page, floor_area="5000.50", energy_users="120", nev="1")
    page.click("button[value=submit]")
    told(page, "已提交")
    go(clerk, "查看回执")
    code = page.locator(".receipt .code").inner_text()
    clerk.shoot("clerk-3-receipt")
    clerk.open("/verify")
    page.fill("#code", code.lower())
    page.press("#code", "Enter")
    told(page, "核验码真实")
    expect(page.locator(".receipt")).to_contain_text("样例单位1")

    _send_back(sit, offices)
    clerk.open("/due")
    back = page.locator("section.back").first
    expect(back).to_contain_text(REASON)
    clerk.shoot("clerk-4-returned")
    back.get_by_role("link", name="去更正").click()
    clerk.alive()
    expect(page.locator("#field-floor_area")).to_have_value("5000.50")
    fill(page, energy_users="118")
    page.click("button[value=submit]")
    told(page, "第 2 版")

    clerk.open("/returns?state=submitted")
    go(clerk, "撤回")
    page.fill("#reason", "样例: 面积填错了")
    page.press("#reason", "Enter")
    told(page, "已撤回")
    clerk.open("/returns?state=withdrawn")
    expect(page.locator("tbody tr")).to_have_count(1)


def _send_back(sit: Sit, offices: Offices) -> None:
    """The reviewer at the root returns the clerk's return, with a reason."""
    with offices.province.node.client() as client:
        (record,) = client.returns(unit=uscc(1), form="profile", state="submitted").returns
    offices.arrived(record.record_id)
    reviewer = sit(offices.root)
    page = reviewer.page
    reviewer.sign_in("wang")
    reviewer.open(f"/review?form=energy/profile&period={PERIOD}")
    page.get_by_label(f"选中 样例单位1 {uscc(1)}").check()
    page.get_by_role("button", name="退回所选").click()
    told(page, "必须写明原因")
    page.fill("#reason", REASON)
    page.get_by_role("button", name="退回所选").click()
    expect(page.locator("#confirm")).to_contain_text("将退回 1 份报表")
    reviewer.shoot("reviewer-1-send-back")
    page.click("#yes")
    told(page, "已退回 1 份")
    offices.until_state(record.record_id, "returned")


def test_the_reviewers_day(sit: Sit, offices: Offices) -> None:
    """See who has not reported, compare, accept all that wait, and drill into the totals."""
    records = [
        offices.submit(number, floor_area=f"{number}000.00", energy_users=number * 10)
        for number in (4, 5, 6)
    ]
    offices.arrived(records[-1])
    reviewer = sit(offices.root)
    page = reviewer.page
    reviewer.sign_in("wang")
    reviewer.open(f"/missing?form=energy/profile&period={PERIOD}")
    expect(page.locator(".count")).to_contain_text("共 9 个单位")
    expect(page.locator("tbody")).not_to_contain_text(uscc(4))
    reviewer.shoot("reviewer-2-missing")
    reviewer.open(f"/review?form=energy/profile&period={PERIOD}")
    page.locator("tr", has_text=uscc(4)).get_by_role("link", name="查看对比").click()
    reviewer.alive()
    expect(page.locator("tbody")).to_contain_text("4000.00")
    reviewer.shoot("reviewer-3-compare")
    reviewer.open(f"/review?form=energy/profile&period={PERIOD}")
    page.get_by_role("button", name="通过全部待审").click()
    expect(page.locator("#confirm")).to_contain_text("份报表，确定吗")
    page.click("#yes")
    told(page, "已通过")
    with offices.root.node.client() as client:
        totals = client.roll_up(pack="energy", form="profile", period=PERIOD).accepted
        client.list_tree(live=True)
    assert totals.returns >= len(records)
    reviewer.open(f"/roll-up?form=energy/profile&period={PERIOD}&by=child&field=floor_area")
    expect(page.locator("figure svg").first).to_be_visible()
    # The node below goes by the name of its office, in the chart and in the table.
    expect(page.locator("figure svg").first).to_contain_text(OFFICES["province"])
    expect(page.locator("table").first).to_contain_text(OFFICES["province"])
    expect(page.locator("table").first).to_contain_text(totals.fields["floor_area"])
    reviewer.shoot("reviewer-4-roll-up")
    page.locator("table").first.get_by_role("link").first.click()
    reviewer.alive()
    page.locator("table").first.get_by_role("link").first.click()
    reviewer.alive()
    expect(page.locator("table").first).to_contain_text(uscc(5))
    expect(page.locator("table").first).to_contain_text("5000.00")
    reviewer.open("/tree")
    expect(page.locator("tbody")).to_contain_text("/33")
    expect(page.locator("tbody")).to_contain_text("已连接")
    reviewer.shoot("reviewer-5-tree")


def test_a_workbook_comes_back_with_its_faults(sit: Sit, offices: Offices, tmp_path: Path) -> None:
    """The template of a form, filled in wrong, imported: counts, faults, and the marked copy."""
    seat = sit(offices.province)
    page = seat.page
    seat.sign_in("zhao")
    seat.open("/due")
    row = page.locator("tr", has_text="样例单位7").filter(has_text="规模").first
    with page.expect_download() as fetched:
        row.get_by_role("link", name="下载模板").click()
    file = tmp_path / "样例.xlsx"
    fetched.value.save_as(file)
    _fill_in(file)
    seat.open("/import")
    page.set_input_files("#file", file)
    page.get_by_role("button", name="只检查").click()
    told(page, "有错 1")
    expect(page.locator("#result tbody tr").first).to_contain_text("第")
    page.get_by_role("button", name="导入", exact=True).click()
    told(page, "导入 1 行")
    seat.shoot("clerk-5-import")
    with page.expect_download() as fetched:
        page.get_by_role("link", name="下载标出错误的文件").click()
    marked = tmp_path / "marked.xlsx"
    fetched.value.save_as(marked)
    comments = [
        cell.comment.text
        for sheet in load_workbook(marked)
        for line in sheet.iter_rows()
        for cell in line
        if cell.comment is not None
    ]
    assert any("建筑面积" in comment for comment in comments), comments


def _fill_in(file: Path) -> None:
    """Keep one institution's row, with a floor area that is not in the range."""
    book = load_workbook(file)
    sheet = book.worksheets[1]
    titles = [str(cell.value or "") for cell in sheet[1]]
    area = next(n for n, title in enumerate(titles, 1) if "建筑面积" in title)
    users = next(n for n, title in enumerate(titles, 1) if "用能人数" in title)
    sheet.cell(2, area).value = "-5"
    sheet.cell(2, users).value = 10
    book.save(file)


def test_the_first_sign_in_changes_the_password(sit: Sit, offices: Offices) -> None:
    """A new user gets nowhere before the first password is replaced by one of their own."""
    seat = sit(offices.province, "narrow")
    page = seat.page
    seat.sign_in("newcomer", FIRST_PASSWORD)
    seat.open("/due")
    assert page.url.endswith("/password")
    page.fill("#old", FIRST_PASSWORD)
    page.fill("#new", PASSWORD)
    page.fill("#again", PASSWORD + "x")
    page.press("#again", "Enter")
    told(page, "不一样")
    page.fill("#again", PASSWORD)
    page.press("#again", "Enter")
    told(page, "密码已修改")
    seat.open("/due")
    assert page.url.endswith("/due")
