"""A resource is registered, and its rows are asked for live from the nation."""

from dataclasses import dataclass

from yidao.node.demo import reporting, sampleunits
from yidao.node.demo.nation import Nation
from yidao.node.demo.samples import PERIODS, RESOURCE_CLASS
from yidao.node.demo.tree import DemoStepFailed, wait_until

CLERK = "样例编目员"
SECOND = "样例复核员"
ASKER = "样例查询员@/"
# Another one than the step about proofs hands in once more.
_CHANGED = PERIODS[-2]
_ASKED_FOR = ("unit", "period", "water_fee", "state")


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What the questions came to.

    Attributes:
        entries: Published entries of the catalog that the root knows.
        rows: Rows of the first answer.
        saw_change: A row that was changed afterwards is in the second answer as it is now.
    """

    entries: int
    rows: int
    saw_change: bool


def register(nation: Nation) -> str:
    """Agency A registers its returns as a resource, through four eyes; gives its code."""
    agency = nation["agency_a"]
    clerk, second = f"{CLERK}@{agency.path}", f"{SECOND}@{agency.path}"
    with agency.client() as client:
        code = client.draft_from_form(
            actor=clerk,
            pack=reporting.PACK,
            form="consumption",
            class_code=RESOURCE_CLASS,
            unit=sampleunits.building_uscc(),
            share_type=2,
            share_text="样例: 说明用途后使用",
        ).code
        client.submit_entry(code, actor=clerk)
        client.review_entry(code, actor=second)
        client.publish_entry(code, actor=clerk)
    return code


def wait_for_entry(nation: Nation) -> int:
    """Wait until the root's catalog has the entry; gives how many entries it has."""
    found = [0]

    def arrived() -> bool:
        with nation["nation"].client() as client:
            found[0] = client.search_catalog("").total
        return found[0] > 0

    wait_until("the catalog reaches the nation", arrived)
    return found[0]


def ask(nation: Nation, code: str) -> dict[tuple[str, str], str]:
    """Ask the agency from the nation; gives the water fee by unit and period."""
    with nation["nation"].client() as client:
        stream = client.query_rows(
            code, actor=ASKER, purpose="样例: 核对水费", select=_ASKED_FOR, live_only=True
        )
        rows = stream.rows()
    if not stream.complete:
        raise DemoStepFailed(step="live question", detail=str(stream.nodes))
    return {
        (str(row.cells["unit"]), str(row.cells["period"])): str(row.cells["water_fee"])
        for row in rows
    }


def ask_twice(nation: Nation) -> Asked:
    """Register, ask, let the agency change one row, and ask again."""
    code = register(nation)
    entries = wait_for_entry(nation)
    before = ask(nation, code)
    reporting.report_one_more(nation, _CHANGED)
    after = ask(nation, code)
    changed = {key for key in after if after[key] != before.get(key)}
    expected = {(sampleunits.building_uscc(), _CHANGED)}
    return Asked(entries=entries, rows=len(before), saw_change=changed == expected)
