"""A row as it is typed: texts become values, and what cannot be read says so at its field."""

from decimal import Decimal
from importlib.resources import files

import pytest

from yidao.catalog.pack.loader import load_pack
from yidao.catalog.rows import encode_row
from yidao.node.client import RowFault
from yidao.node.console.entry import computed_texts, read_entry, texts_of, together

PACK = load_pack((files("yidao.catalog") / "packs" / "energy-2025.yaml").read_bytes())
PROFILE, CONSUMPTION = PACK.form("profile"), PACK.form("consumption")

READ = {
    "a decimal": ("floor_area", "5000.50", "5000.50"),
    "a decimal with blanks": ("floor_area", " 5000.5 ", "5000.50"),
    "full-width digits": ("energy_users", "１２０", 120),
    "a whole number": ("energy_users", "120", 120),
}
UNREAD = {
    "a number in words": ("floor_area", "五千"),
    "half a person": ("energy_users", "1.5"),
    "a formula": ("floor_area", "=1+1"),
}


@pytest.mark.parametrize(("name", "text", "value"), READ.values(), ids=READ.keys())
def test_a_text_is_read_as_in_a_workbook(name: str, text: str, value: object) -> None:
    """Form and import take the same spellings."""
    entry = read_entry(PROFILE, {name: text})
    assert entry.faults == ()
    assert entry.values[name] == value


@pytest.mark.parametrize(("name", "text"), UNREAD.values(), ids=UNREAD.keys())
def test_what_cannot_be_read_is_a_fault_and_stays(name: str, text: str) -> None:
    """The node gets it as typed, to refuse it by name too."""
    entry = read_entry(PROFILE, {name: text})
    assert [fault.field for fault in entry.faults] == [name]
    assert entry.faults[0].zh
    assert entry.faults[0].en
    assert entry.values[name] == text


def test_what_is_empty_computed_or_unknown_is_left_out() -> None:
    """A browser may send anything; only fields that people fill in are read."""
    computed = next(each.name for each in CONSUMPTION.fields.values() if each.computed)
    entry = read_entry(CONSUMPTION, {"elec_kwh": " ", computed: "9", "$do": "submit", "x": "1"})
    assert (entry.values, entry.faults) == ({}, ())


def test_a_field_has_one_fault_when_it_could_not_be_read() -> None:
    """What the node says of the text as well is not said twice."""
    made = [
        RowFault(field=name, rule="", code=code, severity="error", zh="样例", en="sample")
        for name, code in (("a", "TYPED"), ("a", "JUDGED"), ("b", "JUDGED"))
    ]
    assert [f.code + f.field for f in together((made[0],), tuple(made[1:]))] == [
        "TYPEDa",
        "JUDGEDb",
    ]


def test_computed_fields_follow_from_what_is_typed() -> None:
    """As the node computes them; what cannot be read counts as nothing."""
    values = read_entry(CONSUMPTION, {"elec_kwh": "10000"}).values
    texts = computed_texts(PACK, CONSUMPTION, values)
    assert any(Decimal(text) > 0 for text in texts.values())
    unread = computed_texts(PACK, CONSUMPTION, {"elec_kwh": "9" * 30})
    assert {Decimal(text) for text in unread.values()} == {Decimal(0)}


@pytest.mark.parametrize("payload", [b"", b"{", b"\xff", b"[1]"])
def test_a_payload_that_is_no_row_starts_an_empty_form(payload: bytes) -> None:
    """What was refused once may be anything."""
    assert texts_of(payload) == {}


def test_a_row_becomes_texts_again() -> None:
    """Yes and no as the form's choices spell them."""
    row = {"uscc": "x", "energy_users": 3, "is_key_user": True}
    assert texts_of(encode_row(row)) == {"uscc": "x", "energy_users": "3", "is_key_user": "true"}
