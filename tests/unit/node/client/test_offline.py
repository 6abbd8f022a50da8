"""Rows judged without a node, and what codes mean."""

from datetime import date

import pytest

from yidao.catalog.faults import TEXTS
from yidao.node.client import Client, Row, explain, explanations, validate_offline

ON = date(2026, 4, 1)


def test_a_node_and_its_standard_find_the_same_faults(
    client: Client, rows, standard: bytes
) -> None:
    """Valid rows are valid, wrong ones wrong for the same reasons, in both languages."""
    client.submit("energy", [rows.institution(1)], actor=rows.actor)
    handed = [
        rows.profile(1),
        rows.profile(1, "-1"),
        rows.profile(1, energy_users="many"),
        rows.institution(2, inst_type="99"),
        Row(row=9, form="profile", period="2025-Q2", payload=b"[1]"),
        Row.of("profile", {"uscc": "x", "period": "2025-Q3"}, period="2025-Q2", row=10),
    ]
    there = client.validate("energy", handed, actor=rows.actor).results
    here = validate_offline(standard, handed, on=ON)
    assert [each.outcome for each in here] == ["valid", *["refused"] * 5]
    assert [(each.row, each.outcome, each.faults) for each in here] == [
        (each.row, each.outcome, each.faults) for each in there
    ]
    assert client.returns().returns == ()


def test_a_row_takes_no_float() -> None:
    """A float is not the figure that it shows."""
    with pytest.raises(TypeError, match="floor_area: give a str, int, bool or Decimal, not float"):
        Row.of("profile", {"floor_area": 0.1}, period="2025-Q2")  # type: ignore[dict-item]


@pytest.mark.parametrize("language", ["zh", "en"])
def test_every_code_is_explained(language: str) -> None:
    """Errors and faults, each once, with a text and what to do."""
    found = explanations(language)
    assert [each.code for each in found] == sorted({each.code for each in found})
    assert all(each.text and each.hint for each in found)
    assert {*TEXTS, "KEY_REUSED", "NODE_UNREACHABLE"} <= {each.code for each in found}


def test_an_explanation_names_its_parameters() -> None:
    """And a code that is none is none."""
    found = explain("KEY_REUSED", "en")
    assert found is not None
    assert found.params == ("key",)
    assert explain("NO_SUCH_CODE") is None
