"""The shipped energy packs: what the revision of 2025-11-10 changed, and nothing else."""

from importlib.resources import files

import pytest

from yidao.catalog import faults
from yidao.catalog.calendar import Period
from yidao.catalog.pack.model import Pack, RollupKind, Value
from yidao.catalog.pack.rules import Contexts
from yidao.catalog.pack.versions import PackSet
from yidao.catalog.validate import Checks

Row = dict[str, Value]


def test_the_period_chooses_the_version(pack_2022: Pack, pack_2025: Pack) -> None:
    """All of 2025 is judged by the 2022 version, 2026-Q1 by the revision."""
    packs = PackSet.of([pack_2025, pack_2022])
    chosen = {
        text: packs.in_force("energy", Period.parse(text).first_day).version
        for text in ("2022-Q1", "2024", "2025-Q2", "2025-Q4", "2025-12", "2026-Q1", "2026")
    }
    assert chosen == {
        "2022-Q1": "2022", "2024": "2022", "2025-Q2": "2022", "2025-Q4": "2022",
        "2025-12": "2022", "2026-Q1": "2025", "2026": "2025",
    }  # fmt: skip


RETIRED = {
    "land_area": "1.00",
    "chargers": 3,
    "renewables": "1.00",
    "ups_capacity": "1.00",
}


@pytest.mark.parametrize("name", RETIRED)
def test_the_revision_refuses_what_it_retired(
    pack_2022: Pack, pack_2025: Pack, checks: Checks, profile: Row, name: str
) -> None:
    """The same field is right in 2025-Q4 and refused by name, with the reason, in 2026-Q1."""
    row: Row = {**profile, name: RETIRED[name]}  # type: ignore[dict-item]
    assert checks.check(pack_2022, "profile", {**row, "period": "2025-Q4"}).ok
    verdict = checks.check(pack_2025, "profile", {**row, "period": "2026-Q1"})
    assert [(fault.field, fault.code) for fault in verdict.faults] == [(name, faults.FIELD_RETIRED)]
    label = pack_2022.form("profile").field(name).label
    assert verdict.faults[0].text.zh == f"“{label.zh}”自 2025 版制度起已停用,不再填报"
    assert label.en in verdict.faults[0].text.en


def test_nothing_else_changed(pack_2022: Pack, pack_2025: Pack) -> None:
    """Forms, fields, rules, indicators and factors are the same but for four fields and a label."""
    assert set(pack_2022.forms) == set(pack_2025.forms)
    for form_id, form in pack_2022.forms.items():
        other = pack_2025.form(form_id)
        assert set(form.fields) - set(other.fields) == (
            set(RETIRED) if form_id == "profile" else set()
        )
        assert set(other.fields) <= set(form.fields)
        renamed = [n for n, field in other.fields.items() if field.label != form.fields[n].label]
        assert renamed == (["heat_gj"] if form_id == "consumption" else [])
    assert pack_2022.rules == pack_2025.rules
    assert pack_2022.indicators == pack_2025.indicators
    assert pack_2022.factors == pack_2025.factors


def test_a_renamed_field_remembers_its_former_label(pack_2022: Pack, pack_2025: Pack) -> None:
    """Importers match the old heading too."""
    old = pack_2022.form("consumption").field("heat_gj")
    new = pack_2025.form("consumption").field("heat_gj")
    assert (old.label.zh, new.label.zh) == ("热力消费量", "热力消费量(按热量收费)")
    assert new.formerly == (old.label.zh,)


@pytest.mark.parametrize("version", ["2022", "2025"])
def test_the_packs_claim_no_conformance(version: str) -> None:
    """The basis says what the field lists rest on."""
    text = (files("yidao.catalog") / "packs" / f"energy-{version}.yaml").read_text("utf-8")
    assert "conformance is not claimed" in " ".join(text.split())


def test_every_field_and_rule_speaks_both_languages(pack_2025: Pack) -> None:
    """Chinese has Chinese characters or a proper name, English has none."""
    texts = [field.label for form in pack_2025.forms.values() for field in form.fields.values()]
    texts += [rule.fault for rule in pack_2025.rules] + [rule.label for rule in pack_2025.rules]
    for text in texts:
        assert any("一" <= char <= "鿿" for char in text.zh), text
        english = text.en.replace("元", "").replace("人", "")
        assert not any("一" <= char <= "鿿" for char in english), text


def test_every_quantity_and_fee_adds_up(pack_2025: Pack) -> None:
    """Each number of the consumption form rolls up as a sum."""
    for field in pack_2025.form("consumption").fields.values():
        if field.unit:
            assert field.rollup is RollupKind.SUM, field.name


def test_personal_data_is_marked(pack_2025: Pack) -> None:
    """The one name in the register is personal and of grade 3."""
    marked = [
        (name, field.grade)
        for form in pack_2025.forms.values()
        for name, field in form.fields.items()
        if field.pii
    ]
    assert marked == [("statistician", 3)]


def test_the_ledger_stays_at_home(pack_2025: Pack) -> None:
    """Monthly ledgers never leave the node; the other forms do."""
    assert [form.id for form in pack_2025.forms.values() if form.stays_local] == ["monthly_ledger"]


def test_a_register_entry_is_checked(pack_2022: Pack, checks: Checks) -> None:
    """A right entry passes; a wrong type, status and supervising department do not."""
    entry: Row = {
        "uscc": "113301060000000195",
        "name": "样例单位",
        "region_code": "330106",
        "inst_type": "01",
        "reg_status": "1",
        "is_admin_org": True,
    }
    assert checks.check(pack_2022, "institution", entry).ok
    wrong: Row = {**entry, "inst_type": "02", "is_admin_org": "true", "parent_uscc": "1" * 18}
    assert [(f.field, f.code) for f in checks.check(pack_2022, "institution", wrong).faults] == [
        ("parent_uscc", faults.VALUE_CHECK_DIGIT),
        ("inst_type", faults.VALUE_NOT_IN_LIST),
        ("is_admin_org", faults.VALUE_TYPE),
    ]


def test_a_row_without_optional_fields_is_judged_like_one_with_zeros(
    pack_2025: Pack, checks: Checks, consumption: Row
) -> None:
    """Absent quantities count as zero in rules and totals."""
    form = pack_2025.form("consumption")
    zeros: Row = {name: f"0.{'0' * f.scale}" for name, f in form.fields.items() if f.scale}
    full: Row = {**zeros, **consumption, "period": "2026-Q1"}
    sparse: Row = {**consumption, "period": "2026-Q1"}
    contexts = Contexts(year_ago=sparse)
    assert checks.check(pack_2025, "consumption", full, contexts) == checks.check(
        pack_2025, "consumption", sparse, contexts
    )
