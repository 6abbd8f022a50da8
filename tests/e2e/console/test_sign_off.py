"""A return waits for its leaders: the reviewer sees it, files go down and up, then it may pass."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import expect

from console.seats import PERIOD, Offices, Sit, told
from tests.unit.node.affairs.signing import approvers, sign_batch, sign_policy
from yidao.node.console.words import Words
from yidao.node.demo.tree import wait_until

pytestmark = pytest.mark.e2e

LEADERS = ("sun", "zhou")


@pytest.fixture
def demanded(offices: Offices) -> Iterator[None]:
    """The province has two leaders, and the root demands both signatures; in the end no more."""
    with offices.province.node.client() as client:
        people = approvers(*LEADERS, path="/33")
        made = client.propose_policy(actor="ting@/33", approvers=people, threshold=2)
        files = [each.encode() for each in sign_policy(made.file, *LEADERS)]
        client.confirm_policy(actor="chu@/33", files=files)
    with offices.root.node.client() as client:
        wait_until(
            "the policy is above, and not only proposed",
            lambda: made.digest in {each.base for each in client.signoff().policies},
        )
        client.file_policy(actor="shen@/", digest=made.digest)
        client.demand_signoff(actor="shen@/", scope="energy/profile")
        yield
        client.demand_signoff(actor="shen@/", scope="energy/profile", demanded=False)


@pytest.mark.usefixtures("demanded")
def test_leaders_sign_what_the_clerk_downloads(sit: Sit, offices: Offices, tmp_path: Path) -> None:
    """Waits for signature; down, signed elsewhere, up; one file is too few, two are enough."""
    words = Words(language="zh")
    record = offices.submit(9, floor_area="900.00", energy_users=90)
    offices.arrived(record)
    reviewer = sit(offices.root)
    reviewer.sign_in("wang")
    queue = f"/review?pack=energy&form=profile&period={PERIOD}"
    reviewer.open(queue)
    row = reviewer.page.locator("tr", has_text="样例单位9")
    expect(row).to_contain_text(words("review.unsigned"))
    clerk = sit(offices.province)
    clerk.sign_in("zhao")
    clerk.open("/sign-off")
    page = clerk.page
    with page.expect_download() as download:
        # Other forms and periods may wait as well.
        page.locator(f"a[href*='form=profile'][href*='period={PERIOD}']").click()
    file = download.value.path().read_bytes()
    for count, signature in enumerate(sign_batch(file, *LEADERS), 1):
        one = tmp_path / f"{count}.sig"
        one.write_bytes(signature.encode())
        page.set_input_files("#file", one)
        page.click("#add")
        expect(page.locator("#picked")).to_have_text(words("sign_off.picked", count=count))
        page.click("#hand-in")
        told(page, "SIGNOFF_TOO_FEW" if count == 1 else words("sign_off.done"))
    clerk.open("/sign-off")
    clerk.shoot("sign-off-done")
    expect(page.locator("table", has_text=words("sign_off.signed"))).to_contain_text("zhou@/33")
    with offices.root.node.client() as client:
        wait_until("the sign-off is above", lambda: not client.unsigned([record]))
    reviewer.open(queue)
    expect(row).not_to_contain_text(words("review.unsigned"))
    reviewer.page.check(f"input.pick[value='{record.hex()}']")
    reviewer.page.get_by_role("button", name=words("review.accept_picked")).click()
    reviewer.page.click("#yes")
    told(reviewer.page, words("review.done_accept", count=1))
