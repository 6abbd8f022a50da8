"""The receipt on paper: what it says, in both languages, and that no value can run."""

import re
from dataclasses import replace

import pytest

from yidao.node.client import Frontier, ReturnInfo, ReturnReceipt
from yidao.node.printing.receipt import receipt_html, receipt_lines, receipt_text

ABOUT = ReturnInfo(
    key="k",
    pack="energy",
    form="consumption",
    period="2025-Q2",
    unit="113301060000000177",
    version=2,
    state="submitted",
    record_id=bytes(range(16)),
    pack_version="2022",
    origin_path="/33/06",
    submitted_by="li@/33/06",
    reviewed_by="",
    reason="",
    faults=(),
    payload=b"",
)
RECEIPT = ReturnReceipt(
    code="7Q2M-0X4T-9KAB-HJ31",
    about=ABOUT,
    unit_name="样例单位",
    leaf_sha256=b"\x01" * 32,
    frontier=Frontier(origin="yidao/00/11/up:15/1", size=9, root=b"\x02" * 32),
    seq=4,
    # 2026-11-20 10:00:00 in China.
    created_ms=1_795_140_000_000,
    held_by=("/33", "/"),
)


@pytest.mark.parametrize("language", ["zh", "en"])
def test_text_and_page_say_the_same(language: str) -> None:
    """Code, unit, form, who and when, the state, where it is sealed and who holds it."""
    text = receipt_text(RECEIPT, language)
    page = receipt_html(RECEIPT, language)
    for label, value in receipt_lines(RECEIPT, language):
        assert f"{label}: {value}" in text
        assert label in page
        assert value in page
    for said in (RECEIPT.code, "113301060000000177", "2025-Q2", "li@/33/06", "/33, /", "4 / 9"):
        assert said in text
    assert "2026-11-20 10:00:00 UTC+8" in text
    assert ("待审核" in text) is (language == "zh")
    assert bool(re.search("[\u4e00-\u9fff]", text.replace("样例单位", ""))) is (language == "zh")


def test_a_receipt_without_a_cosignature_says_so() -> None:
    """Nobody above is named who does not hold it."""
    alone = replace(RECEIPT, held_by=())
    assert "no node above has cosigned yet" in receipt_text(alone, "en")
    assert "尚无上级会签" in receipt_text(alone)


def test_the_story_of_a_return_is_on_its_receipt() -> None:
    """A verdict with its reason, and who wanted to take it back."""
    about = replace(
        ABOUT,
        state="returned",
        reviewed_by="wang@/33",
        reason="样例: 缺凭证",
        withdrawn_by="li@/33/06",
        withdrawn_reason="样例: 填错",
    )
    text = receipt_text(replace(RECEIPT, about=about))
    for said in ("已退回", "wang@/33", "样例: 缺凭证", "li@/33/06: 样例: 填错"):
        assert said in text


HOSTILE = '"><script>alert(1)</script>&<img src=x onerror=y>'


def test_no_value_is_markup() -> None:
    """Names, reasons, actors and states from anywhere are text."""
    about = replace(
        ABOUT,
        unit=HOSTILE,
        form=HOSTILE,
        state=HOSTILE,
        reason=HOSTILE,
        submitted_by=HOSTILE,
        withdrawn_by=HOSTILE,
    )
    page = receipt_html(
        replace(RECEIPT, code=HOSTILE, about=about, unit_name=HOSTILE, held_by=(HOSTILE,))
    )
    assert "<script" not in page
    assert "<img" not in page
    assert page.count("&lt;script&gt;") >= 8


def test_the_page_needs_nothing_from_elsewhere() -> None:
    """No address, no script, no picture."""
    page = receipt_html(RECEIPT)
    assert not re.search(r"https?:|<script|<link|<img|url\(|@import", page)
    assert "@page" in page
