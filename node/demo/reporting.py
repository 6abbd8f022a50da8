"""Steps 2 to 4 of the demonstration: the standard, the returns, the reviews."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import date
from decimal import Decimal
from importlib.resources import files
from pathlib import Path

from yidao.catalog.pack.loader import load_pack
from yidao.catalog.pack.model import Form, Value
from yidao.catalog.rows import encode_row
from yidao.node.client import Client, Row
from yidao.node.demo import sampleunits
from yidao.node.demo.nation import Nation
from yidao.node.demo.samples import PERIODS
from yidao.node.demo.tree import DemoNode, DemoStepFailed, wait_until
from yidao.node.importing import Importer, ImportReport, Progress

PACK = "energy"
RETURN_FORMS = ("profile", "consumption")
PACK_FILES = ("energy-2022.yaml", "energy-2025.yaml")
CLERK = "样例填报员"
REVIEWER = "样例审核员"

Bar = Callable[..., AbstractContextManager[Progress]]


def publish_standards(nation: Nation) -> list[str]:
    """Publish both versions at the root and wait until every node has them."""
    folder = files("yidao.catalog") / "packs"
    with nation["nation"].client() as client:
        for name in PACK_FILES:
            client.publish_pack((folder / name).read_bytes(), actor="样例标准员@/")

    def everywhere() -> bool:
        for node in nation.nodes.values():
            with node.client() as client:
                if len(client.packs()) < len(PACK_FILES):
                    return False
        return True

    wait_until("the standard reaches every node", everywhere)
    with nation["agency_a"].client() as client:
        return [f"{pack.id} {pack.version} ({pack.valid_from}…)" for pack in client.packs()]


def report_building(nation: Nation) -> int:
    """Agency A: registry, size, twelve metered months, then returns; gives how many."""
    node = nation["agency_a"]
    actor = f"{CLERK}@{node.path}"
    ledger = sampleunits.building_ledger()
    steps = (
        ("institution", [sampleunits.building_institution()]),
        ("profile", sampleunits.building_profiles()),
        ("monthly_ledger", ledger),
        ("consumption", sampleunits.building_returns(ledger)),
    )
    handed_in = 0
    with node.client() as client:
        for form, rows in steps:
            outcomes = _submit(client, form, rows, actor)
            handed_in += outcomes.count("submitted") if form != "institution" else 0
    return handed_in


def import_units(nation: Nation, folder: Path, bar: Bar) -> ImportReport:
    """Agency B: the workbook of 500 units; three rows are wrong on purpose."""
    workbook = folder / "样例能耗.xlsx"
    sampleunits.write_sample_workbook(workbook, _forms())
    return _import(nation, workbook, bar)


def import_corrections(nation: Nation, folder: Path, bar: Bar) -> ImportReport:
    """Agency B again: the three rows, put right."""
    workbook = folder / "样例能耗-更正.xlsx"
    sampleunits.write_corrected_workbook(workbook, _forms())
    return _import(nation, workbook, bar)


def accept_everything(nation: Nation) -> int:
    """The county accepts all that is submitted; gives the number of acceptances."""
    county = nation["county"]
    actor = f"{REVIEWER}@{county.path}"
    with county.client() as client:
        return sum(
            client.review_all(actor=actor, decision="accept", form=form, period=period).reviewed
            for form in RETURN_FORMS
            for period in PERIODS
        )


def send_one_back(nation: Nation) -> None:
    """The county returns one of agency A's returns; the agency hands it in again, mended."""
    county, agency = nation["county"], nation["agency_a"]
    unit = sampleunits.building_uscc()
    with county.client() as client:
        page = client.returns(form="consumption", period="2025-Q2", unit=unit)
        client.review(
            actor=f"{REVIEWER}@{county.path}",
            record_ids=[page.returns[0].record_id],
            decision="return",
            reason="样例: 水费与发票不符, 请核对 (sample: the water fee differs from the bill)",
        )

    def returned() -> bool:
        with agency.client() as client:
            found = client.returns(form="consumption", period="2025-Q2", unit=unit)
        return any(each.state == "returned" for each in found.returns)

    wait_until("the returned return reaches the agency", returned)
    rows = sampleunits.building_returns(sampleunits.building_ledger())
    mended = dict(next(row for row in rows if row["period"] == "2025-Q2"))
    mended["water_fee"] = _cents_more(mended["water_fee"])
    with agency.client() as client:
        outcomes = _submit(client, "consumption", [mended], f"{CLERK}@{agency.path}")
    if outcomes != ["submitted"]:
        raise DemoStepFailed(step="resubmit", detail=str(outcomes))


def wait_for_submissions(nation: Nation, count: int) -> None:
    """Wait until the county holds that many returns that nobody has reviewed."""

    def arrived() -> bool:
        with nation["county"].client() as client:
            return (
                sum(
                    client.roll_up(pack=PACK, form=form, period=period).submitted.summed
                    for form in RETURN_FORMS
                    for period in PERIODS
                )
                >= count
            )

    wait_until("the returns reach the county", arrived, 40)


def wait_for_acceptances(nation: Nation) -> None:
    """Wait until every tier counts and sums as many accepted returns as the county."""

    def counted() -> bool:
        return len({_accepted(node) for node in nation.offices}) == 1

    wait_until("acceptances reach the nation", counted, 60)


def figures(nation: Nation) -> list[str]:
    """A few figures of the last period at every tier."""
    lines = []
    for node in nation.offices:
        with node.client() as client:
            seen = client.roll_up(pack=PACK, form="consumption", period=PERIODS[-1])
        accepted = seen.accepted
        lines.append(
            f"{node.name} {PERIODS[-1]}: {seen.submitted.returns} / {accepted.returns}  "
            f"{accepted.fields['total_tce']} tce  {accepted.fields['elec_kwh']} kWh  "
            + "  ".join(
                f"{name} {value}" for name, value in sorted(accepted.indicators.items())[:4]
            )
        )
    return lines


def _accepted(node: DemoNode) -> tuple[int, ...]:
    with node.client() as client:
        seen = [
            client.roll_up(pack=PACK, form=form, period=period).accepted
            for form in RETURN_FORMS
            for period in PERIODS
        ]
    return tuple(figure for totals in seen for figure in (totals.returns, totals.summed))


def _import(nation: Nation, workbook: Path, bar: Bar) -> ImportReport:
    node = nation["agency_b"]
    with node.client() as client, bar() as progress:
        importer = Importer(
            client=client, pack_id=PACK, actor=f"{CLERK}@{node.path}", today=date(2026, 4, 1)
        )
        return importer.take(workbook, progress)


def _submit(
    client: Client, form: str, rows: Sequence[Mapping[str, Value]], actor: str
) -> list[str]:
    numbered = [
        Row(row=number, form=form, period=str(row.get("period", "")), payload=encode_row(row))
        for number, row in enumerate(rows)
    ]
    results = client.submit(PACK, numbered, actor=actor).results
    wrong = [fault for result in results for fault in result.faults if fault.severity == "error"]
    if wrong:
        raise DemoStepFailed(step=f"submit {form}", detail=f"{wrong[0].code} {wrong[0].en}")
    return [result.outcome for result in results]


def _forms() -> list[Form]:
    data = (files("yidao.catalog") / "packs" / PACK_FILES[0]).read_bytes()
    return list(load_pack(data).forms.values())


def _cents_more(amount: Value) -> str:
    return f"{Decimal(str(amount)) + Decimal('0.10'):.2f}"


def report_one_more(nation: Nation, period: str = PERIODS[-1]) -> bytes:
    """Agency A hands one return in once more, changed by ten cents; gives the record's id."""
    agency = nation["agency_a"]
    rows = sampleunits.building_returns(sampleunits.building_ledger())
    changed = dict(next(row for row in rows if row["period"] == period))
    changed["water_fee"] = _cents_more(changed["water_fee"])
    row = Row(row=0, form="consumption", period=period, payload=encode_row(changed))
    with agency.client() as client:
        done = client.submit(PACK, [row], actor=f"{CLERK}@{agency.path}")
    if done.count("submitted") != 1:
        raise DemoStepFailed(step="one more return", detail=done.results[0].outcome)
    return done.results[0].record_id
