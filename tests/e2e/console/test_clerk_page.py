"""The clerk's quick start, walked as it stands: every step done, every bold word seen."""

import re
import shlex
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from console.seats import (
    FIRST_PASSWORD,
    PASSWORD,
    PERIOD,
    Offices,
    Seat,
    Sit,
    fill,
    told,
    uscc,
)
from yidao.node.console.words import Language, Words, catalogue
from yidao.node.demo.tree import clean_environment, yidao_command

pytestmark = pytest.mark.e2e

DOCS = Path(__file__).parents[3] / "docs"
PAGES: dict[Language, str] = {"zh": "clerk.zh-CN.md", "en": "clerk.md"}
UNIT = 9
ABOUT = "form=profile&period=" + PERIOD
REASON = "样例: 面积与上期相差太大, 请核对"
STEP = re.compile(r"^(\d+)\. (.*?)(?=^\d+\. |^#|\Z)", re.MULTILINE | re.DOTALL)
BOLD = re.compile(r"\*\*([^*\n]+)\*\*")
NAMES = "h1, h2, legend, label, a, button, caption, th, summary, .badge"


def steps(language: Language) -> dict[int, str]:
    """The numbered steps of a page."""
    page = (DOCS / PAGES[language]).read_text("utf-8")
    return {int(number): text for number, text in STEP.findall(page)}


class Walk:
    """Two people at two desks, who do what the page says, one step after the other."""

    def __init__(self, sit: Sit, offices: Offices, folder: Path) -> None:
        self.offices, self.folder = offices, folder
        self.words = Words(language="zh")
        self.unit = uscc(UNIT)
        self.clerk, self.reviewer = sit(offices.province), sit(offices.root)
        self.users = ("clerk", "reviewer")
        self.seen: set[str] = set()

    def look(self, seat: Seat) -> None:
        """Note every label, button, link and heading that is shown now."""
        texts = seat.page.locator(NAMES).locator("visible=true").all_inner_texts()
        self.seen |= {re.sub(r" \(\d+\)$", "", text.strip()) for text in texts}

    def press(self, seat: Seat, key: str) -> None:
        """Press a button, by its text."""
        self.look(seat)
        name = self.words(key).partition(" ({")[0]
        seat.page.get_by_role("button", name=name).first.click()

    def follow(self, seat: Seat, key: str, within: str = "body") -> None:
        """Follow a link, by its text."""
        self.look(seat)
        found = seat.page.locator(within).first.get_by_text(self.words(key), exact=True)
        found.first.click()
        seat.page.wait_for_load_state()
        seat.alive()
        self.look(seat)

    def told(self, seat: Seat, key: str) -> None:
        """Expect the beginning of a text in the notice."""
        told(seat.page, self.words(key).partition("{")[0].strip())
        self.look(seat)


def prepare(walk: Walk) -> None:
    """The operator's commands, as they stand, but for names, folders and where passwords lie."""
    step = steps("zh")[1]
    block = re.findall(r"```\n(.*?)```", step, re.DOTALL)[0]
    typed = [shlex.split(line) for line in block.strip().splitlines()]
    folders = {"province": walk.offices.province.node, "root": walk.offices.root.node}
    *users, console = typed
    for words, name in zip(users, walk.users, strict=True):
        assert words[:3] == ["yidao", "user", "add"]
        words[words.index("--data") + 1] = str(folders[words[words.index("--data") + 1]].folder)
        words[3] = name
        if "--unit" in words:
            words[words.index("--unit") + 1] = walk.unit
        subprocess.run(
            [*yidao_command(), *words[1:], "--password-stdin"],
            input=FIRST_PASSWORD.encode(),
            env=clean_environment(),
            check=True,
            capture_output=True,
        )
    # The desk that the walk goes to was started by these very words.
    assert console[:3] == ["yidao", "console", "--data"]
    assert console[4:] == ["--port", "7380"]


def sign_in(walk: Walk) -> None:
    """Clerk and reviewer, each at their own desk."""
    for seat, user, unit in (
        (walk.clerk, walk.users[0], walk.unit),
        (walk.reviewer, walk.users[1], ""),
    ):
        seat.open("/sign-in")
        walk.look(seat)
        seat.page.get_by_label(walk.words("sign_in.unit")).fill(unit)
        seat.page.get_by_label(walk.words("sign_in.user")).fill(user)
        seat.page.get_by_label(walk.words("sign_in.password")).fill(FIRST_PASSWORD)
        walk.press(seat, "sign_in.go")
        seat.page.wait_for_url("**/password")
        seat.alive()


def change_password(walk: Walk) -> None:
    """The first password gives way to one of their own."""
    for seat in (walk.clerk, walk.reviewer):
        seat.page.fill("#old", FIRST_PASSWORD)
        seat.page.fill("#new", PASSWORD)
        seat.page.fill("#again", PASSWORD)
        walk.press(seat, "password.go")
        walk.told(seat, "password.done")


def open_form(walk: Walk) -> None:
    """From what is due to the form."""
    walk.follow(walk.clerk, "frame.due")
    page = walk.clerk.page
    page.locator(f"a[href^='/fill'][href*='{ABOUT}']").click()
    page.wait_for_url("**/fill?*")
    walk.clerk.alive()


def check(walk: Walk) -> None:
    """A mistake is told at its field."""
    fill(walk.clerk.page, floor_area="五千", energy_users="90")
    walk.press(walk.clerk, "fill.check")
    expect(walk.clerk.page.locator("#summary li").first).to_be_visible()
    walk.look(walk.clerk)
    walk.clerk.page.locator("#summary li a").first.click()
    expect(walk.clerk.page.locator("#field-floor_area")).to_be_focused()


def hand_in(walk: Walk) -> None:
    """Mended, it is taken."""
    fill(walk.clerk.page, floor_area="900.00")
    walk.press(walk.clerk, "fill.submit")
    walk.told(walk.clerk, "fill.done_submitted")


def receipt(walk: Walk) -> None:
    """The receipt's code stands for the return."""
    walk.follow(walk.clerk, "fill.receipt")
    code = walk.clerk.page.locator(".receipt .code").inner_text()
    walk.follow(walk.clerk, "frame.verify")
    walk.clerk.page.get_by_label(walk.words("receipt.code")).fill(code)
    walk.press(walk.clerk, "receipt.verify")
    walk.told(walk.clerk, "receipt.genuine")


def by_file(walk: Walk) -> None:
    """A template that is not filled in comes back with its faults."""
    walk.follow(walk.clerk, "frame.due")
    page, file = walk.clerk.page, walk.folder / "样例.xlsx"
    with page.expect_download() as fetched:
        page.get_by_text(walk.words("due.template"), exact=True).first.click()
    fetched.value.save_as(file)
    walk.follow(walk.clerk, "frame.import")
    page.get_by_label(walk.words("imports.file")).set_input_files(file)
    walk.press(walk.clerk, "imports.dry")
    page.locator("#result a").wait_for()
    walk.look(walk.clerk)


def look_who_is_missing(walk: Walk) -> None:
    """The institution has reported; others have not."""
    (record,) = _submitted(walk)
    walk.offices.arrived(record)
    walk.follow(walk.reviewer, "frame.missing")
    _choose(walk)
    expect(walk.reviewer.page.locator("tbody")).not_to_contain_text(walk.unit)


def compare(walk: Walk) -> None:
    """The queue, and one return beside what went before."""
    walk.follow(walk.reviewer, "frame.review")
    _choose(walk)
    _row(walk).get_by_text(walk.words("review.compare"), exact=True).click()
    walk.reviewer.page.wait_for_url("**/return?*")
    walk.reviewer.alive()
    expect(walk.reviewer.page.locator("tbody")).to_contain_text("900.00")
    walk.look(walk.reviewer)
    walk.reviewer.page.go_back()
    walk.reviewer.alive()


def send_back(walk: Walk) -> None:
    """With a reason; the clerk's node learns of it."""
    _row(walk).get_by_role("checkbox").check()
    walk.reviewer.page.get_by_label(walk.words("review.reason"), exact=True).fill(REASON)
    record = _decide(walk, "review.return_picked", "review.done_return")
    walk.offices.until_state(record, "returned")


def mend(walk: Walk) -> None:
    """The reason stands on top; the mended return is version 2, and can be taken back."""
    walk.follow(walk.clerk, "frame.due")
    expect(walk.clerk.page.locator("section.back").first).to_contain_text(REASON)
    walk.follow(walk.clerk, "due.mend", "section.back")
    fill(walk.clerk.page, energy_users="88")
    walk.press(walk.clerk, "fill.submit")
    walk.told(walk.clerk, "fill.done_submitted")
    walk.follow(walk.clerk, "frame.returns")


def accept(walk: Walk) -> None:
    """What was mended is accepted, and counts."""
    (record,) = _submitted(walk)
    walk.offices.arrived(record)
    walk.follow(walk.reviewer, "frame.review")
    _choose(walk)
    _row(walk).get_by_role("checkbox").check()
    assert _decide(walk, "review.accept_picked", "review.done_accept") == record
    walk.offices.until_state(record, "accepted")
    walk.follow(walk.reviewer, "frame.roll_up")


def see_accepted(walk: Walk) -> None:
    """The way ends with an accepted return and its receipt."""
    walk.follow(walk.clerk, "frame.returns")
    row = walk.clerk.page.locator("tr", has=walk.clerk.page.locator(".badge.accepted"))
    expect(row).to_have_count(1)
    row.get_by_text(walk.words("returns.receipt"), exact=True).click()
    walk.clerk.page.wait_for_url("**/receipt?*")
    expect(walk.clerk.page.locator(".receipt")).to_contain_text(walk.words("state.accepted"))
    walk.clerk.shoot("clerk-page-receipt")


def sign_out(walk: Walk) -> None:
    """Each leaves the desk."""
    for seat in (walk.clerk, walk.reviewer):
        walk.press(seat, "frame.sign_out")
        seat.page.wait_for_url("**/sign-in?why=out*")


STEPS: tuple[Callable[[Walk], None], ...] = (
    prepare,
    sign_in,
    change_password,
    open_form,
    check,
    hand_in,
    receipt,
    by_file,
    look_who_is_missing,
    compare,
    send_back,
    mend,
    accept,
    see_accepted,
    sign_out,
)


def test_the_clerks_page_is_true(sit: Sit, offices: Offices, tmp_path: Path) -> None:
    """Each step can be done, in order; what it names in bold was on the screen as it was done."""
    walk = Walk(sit, offices, tmp_path)
    written = steps("zh")
    assert list(written) == list(range(1, len(STEPS) + 1))
    for number, step in enumerate(STEPS, 1):
        walk.seen.clear()
        step(walk)
        bold = set(BOLD.findall(written[number]))
        assert bold - walk.seen == set(), (number, step.__name__, sorted(walk.seen))


def test_both_pages_say_the_same() -> None:
    """The same steps with the same commands; each bold word is the other language's, of one text.

    So what was seen in Chinese stands there in English, under the very name of the page.
    """
    zh, en = steps("zh"), steps("en")
    assert list(zh) == list(en)
    texts = list(zip(_named("zh"), _named("en"), strict=True))
    for number in zh:
        bold = {"zh": set(BOLD.findall(zh[number])), "en": set(BOLD.findall(en[number]))}
        pairs = {pair for pair in texts if pair[0] in bold["zh"] and pair[1] in bold["en"]}
        assert bold == {"zh": {p[0] for p in pairs}, "en": {p[1] for p in pairs}}, number
        assert re.findall("yidao [a-z]+", zh[number]) == re.findall("yidao [a-z]+", en[number])


@pytest.mark.parametrize("language", ["zh", "en"])
def test_what_the_page_names_besides_is_there(language: Language) -> None:
    """Words in bold beside the steps are texts of the console too."""
    page = (DOCS / PAGES[language]).read_text("utf-8").partition("\n## ")[2]
    assert set(BOLD.findall(page)) <= set(_named(language))


def _named(language: Language) -> list[str]:
    """All texts of the console, without their counts, in the order of the catalogue."""
    return [text.partition(" ({")[0] for text in catalogue(language).values()]


def _choose(walk: Walk) -> None:
    page: Page = walk.reviewer.page
    page.get_by_label(walk.words("choose.form"), exact=True).select_option("energy/profile")
    page.locator(f"#choose-period option[value='{PERIOD}']").wait_for(state="attached")
    page.get_by_label(walk.words("choose.period"), exact=True).select_option(PERIOD)
    walk.press(walk.reviewer, "choose.go")
    page.wait_for_url(f"**period={PERIOD}**")
    walk.reviewer.alive()
    walk.look(walk.reviewer)


def _row(walk: Walk):  # type: ignore[no-untyped-def]
    return walk.reviewer.page.locator("tbody tr", has_text=walk.unit)


def _submitted(walk: Walk) -> list[bytes]:
    with walk.offices.province.node.client() as client:
        found = client.returns(unit=walk.unit, form="profile", state="submitted").returns
    return [each.record_id for each in found]


def _decide(walk: Walk, button: str, done: str) -> bytes:
    (record,) = _submitted(walk)
    walk.press(walk.reviewer, button)
    expect(walk.reviewer.page.locator("#confirm")).not_to_be_empty()
    walk.look(walk.reviewer)
    walk.reviewer.page.click("#yes")
    walk.told(walk.reviewer, done)
    walk.reviewer.alive()
    return record
