"""The division tree as shipped, and how codes succeed each other."""

from datetime import date

import pytest

from yidao.catalog.errors import RegionDataInvalid, RegionUnknown
from yidao.catalog.region import RegionLevel, Regions, load_regions

_DIVISIONS = "code,name,level,parent\n"
_CHANGES = "year,type,level,old_code,old_name,new_code,new_name,doc_no\n"


def test_the_shipped_tree_is_whole(regions: Regions) -> None:
    """34 provinces, 333 prefectures, 2,847 counties, all reachable from the top."""
    assert regions.counts() == (34, 333, 2847)
    seen = 0
    level = list(regions.children())
    while level:
        seen += len(level)
        level = [child for region in level for child in regions.children(region.code)]
    assert seen == 34 + 333 + 2847


PATHS = {
    "a district of a city": ("330106", ["浙江省", "杭州市", "西湖区"]),
    "twelve digits": ("330106000000", ["浙江省", "杭州市", "西湖区"]),
    "a township stands for its county": ("330106001000", ["浙江省", "杭州市", "西湖区"]),
    "a district of a municipality": ("110101", ["北京市", "东城区"]),
    "a city directly under its province": ("429004", ["湖北省", "仙桃市"]),
    "a city without counties": ("441900", ["广东省", "东莞市"]),
    "the districts of a municipality": ("110100", ["北京市"]),
    "the cities directly under a province": ("429000", ["湖北省"]),
}


@pytest.mark.parametrize(("code", "names"), PATHS.values(), ids=PATHS.keys())
def test_paths_follow_the_tree_and_not_the_digits(
    regions: Regions, code: str, names: list[str]
) -> None:
    """The chain of names from the province down."""
    assert [region.name for region in regions.path(code)] == names


COVERS = {
    "a province its county": ("330000", "330106", True),
    "a prefecture its county": ("330100", "330106", True),
    "a division itself": ("330106", "330106", True),
    "a municipality its district": ("110000", "110101", True),
    "a filler of a municipality its district": ("110100", "110101", True),
    "a province a city directly under it": ("420000", "429004", True),
    "never the other way round": ("330106", "330100", False),
    "never a sibling": ("330105", "330106", False),
}


@pytest.mark.parametrize(("ancestor", "code", "expected"), COVERS.values(), ids=COVERS.keys())
def test_what_covers_what(regions: Regions, ancestor: str, code: str, expected: bool) -> None:
    """A division covers itself and whatever hangs below it."""
    assert regions.covers(ancestor, code) is expected


@pytest.mark.parametrize("code", ["", "33", "330199", "３３０１０６", "33010600000x", "990000"])
def test_unknown_codes_are_a_typed_error(regions: Regions, code: str) -> None:
    """Anything that is no code of today's tree raises RegionUnknown."""
    assert not regions.knows(code)
    with pytest.raises(RegionUnknown):
        regions.get(code)


SUCCESSORS = {
    "a county that became a district": ("330185", 2010, 2026, ("330112",)),
    "a district merged into another": ("110103", 2009, 2026, ("110101",)),
    "two districts merged under a new code": ("320611", 2019, 2026, ("320613",)),
    "a prefecture that became a city": ("652200", 2015, 2026, ("650500",)),
    "two steps: a county of another prefecture, then a city": ("432324", 1982, 2026, ("430182",)),
    "nothing happened": ("330106", 2000, 2026, ("330106",)),
    "a change of the year itself counts from the next": ("330185", 2017, 2017, ("330185",)),
    "a change before the code was meant": ("330185", 2018, 2026, ("330185",)),
    "ended without a successor": ("140202", 2017, 2026, ()),
}


@pytest.mark.parametrize(
    ("code", "since", "on", "expected"), SUCCESSORS.values(), ids=SUCCESSORS.keys()
)
def test_successors(
    regions: Regions, code: str, since: int, on: int, expected: tuple[str, ...]
) -> None:
    """What stands on the later day for what the code stood for on the earlier."""
    assert regions.successors(code, date(since, 6, 1), date(on, 6, 1)) == expected


def test_swapped_codes_do_not_chase_each_other() -> None:
    """Changes of one year happen at once, so two divisions can exchange their codes."""
    divisions = _DIVISIONS + "110000,甲,1,\n110101,乙,3,110000\n110102,丙,3,110000\n"
    changes = _CHANGES + (
        "2004,同名改码,3,110101,丙,110102,丙,\n2004,同名改码,3,110102,乙,110101,乙,\n"
    )
    swapped = load_regions(divisions.encode(), changes.encode())
    assert swapped.successors("110101", date(2004, 1, 1), date(2005, 1, 1)) == ("110102",)
    assert swapped.successors("110102", date(2004, 1, 1), date(2005, 1, 1)) == ("110101",)


def test_most_codes_since_1984_lead_into_the_tree(regions: Regions) -> None:
    """Of 3,065 moves since 1984 no more than 15 end outside today's tree (the data's gaps)."""
    moved = {
        (change.old_code, change.year)
        for code in _codes(regions)
        for change in regions.changes_of(code)
        if change.old_code and change.new_code and change.year >= 1984
    }
    lost = [
        (code, year)
        for code, year in moved
        if not all(
            regions.knows(each)
            for each in regions.successors(code, date(year, 1, 1), date(2027, 1, 1)) or ("-",)
        )
    ]
    assert len(moved) > 2_000
    assert len(lost) <= 15


def _codes(regions: Regions) -> list[str]:
    """Give every code that appears in the changes, by walking them from today's tree."""
    found: set[str] = set()
    waiting = [
        region.code
        for province in regions.children()
        for prefecture in regions.children(province.code)
        for region in (province, prefecture, *regions.children(prefecture.code))
    ]
    while waiting:
        code = waiting.pop()
        if code in found:
            continue
        found.add(code)
        for change in regions.changes_of(code):
            waiting.extend({change.old_code, change.new_code} - found - {""})
    return sorted(found)


def test_levels_and_long_codes(regions: Regions) -> None:
    """A division tells its tier and its twelve-digit code."""
    assert regions.get("330000").level is RegionLevel.PROVINCE
    assert regions.get("330106").code12 == "330106000000"


BROKEN = {
    "other columns": ("a,b\n", _CHANGES),
    "a code twice": (_DIVISIONS + "110000,甲,1,\n110000,甲,1,\n", _CHANGES),
    "a short code": (_DIVISIONS + "11,甲,1,\n", _CHANGES),
    "no such level": (_DIVISIONS + "110000,甲,4,\n", _CHANGES),
    "a missing parent": (_DIVISIONS + "110101,甲,3,110000\n", _CHANGES),
    "a province with a parent": (_DIVISIONS + "110000,甲,1,110000\n", _CHANGES),
    "a ring of parents": (_DIVISIONS + "110100,甲,2,110200\n110200,乙,2,110100\n", _CHANGES),
    "a cell too many": (_DIVISIONS + "110000,甲,1,,\n", _CHANGES),
    "a change with a short code": (_DIVISIONS, _CHANGES + "2004,x,3,11,a,110101,b,\n"),
    "a change without a year": (_DIVISIONS, _CHANGES + "never,x,3,110102,a,110101,b,\n"),
    "an open quotation": (_DIVISIONS + '110000,"甲,1,\n', _CHANGES),
}


@pytest.mark.parametrize(("divisions", "changes"), BROKEN.values(), ids=BROKEN.keys())
def test_broken_files_are_refused(divisions: str, changes: str) -> None:
    """A file that breaks the format is a typed error, never half a tree."""
    with pytest.raises(RegionDataInvalid):
        load_regions(divisions.encode(), changes.encode())


def test_files_that_are_no_text_are_refused() -> None:
    """GB18030 bytes and endless files are a typed error too."""
    with pytest.raises(RegionDataInvalid):
        load_regions((_DIVISIONS + "110000,北京市,1,\n").encode("gb18030"), _CHANGES.encode())
    endless = _DIVISIONS.encode() + b"\n" * (9 * 1024 * 1024)
    with pytest.raises(RegionDataInvalid) as caught:
        load_regions(endless, _CHANGES.encode())
    assert caught.value.params["reason"] == "too_large"
