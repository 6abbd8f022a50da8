"""Indicators come from totals; averaging would give another number, and tests say which."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from yidao.catalog.errors import PackInvalid
from yidao.catalog.formula import Formula
from yidao.catalog.indicator import indicator_values
from yidao.catalog.pack.loader import load_pack
from yidao.catalog.pack.model import Pack, Value
from yidao.catalog.rollup import Rollup
from yidao.catalog.validate import Checks

Row = dict[str, Value]


def unit(pack: Pack, checks: Checks, kwh: str, area: str, people: int) -> dict[str, Rollup]:
    """Make the roll-ups of a single unit."""
    consumption = checks.complete(pack, "consumption", {"elec_kwh": kwh, "water_m3": "10.00"})
    profile: Row = {"floor_area": area, "energy_users": people}
    return {
        "consumption": Rollup.of(pack.form("consumption"), [consumption]),
        "profile": Rollup.of(pack.form("profile"), [profile]),
    }


def merged(left: dict[str, Rollup], right: dict[str, Rollup]) -> dict[str, Rollup]:
    """Add two units."""
    return {form: left[form].merge(right[form]) for form in left}


def test_an_average_of_ratios_is_another_number(pack_2022: Pack, checks: Checks) -> None:
    """A small wasteful unit and a large thrifty one: 1.34 kgce/m², not the mean 6.76."""
    small = unit(pack_2022, checks, "10000.00", "100.00", 5)
    large = unit(pack_2022, checks, "100000.00", "10000.00", 500)
    both = indicator_values(pack_2022, merged(small, large))["EPA"]
    alone = [indicator_values(pack_2022, each)["EPA"].value for each in (small, large)]
    assert both.shown == "1.34"
    assert alone == [Fraction("12.29"), Fraction("1.229")]
    mean = Fraction("6.7595")
    assert both.value == Fraction(110_000) * Fraction("0.1229") / 10_100
    assert both.value != mean


@given(
    parts=st.lists(
        st.tuples(
            st.integers(min_value=1, max_value=10**9),
            st.integers(min_value=1, max_value=10**7),
        ),
        min_size=2,
        max_size=6,
    )
)
def test_a_tier_equals_its_parts_whatever_their_size(
    pack_2022: Pack, parts: list[tuple[int, int]]
) -> None:
    """ElPA of the whole is Σ kWh / Σ m² exactly, for any split into parts."""
    consumption = [{"elec_kwh": f"{kwh}.00"} for kwh, _ in parts]
    profile = [{"floor_area": f"{area}.00"} for _, area in parts]
    rollups = {
        "consumption": Rollup.of(pack_2022.form("consumption"), consumption),
        "profile": Rollup.of(pack_2022.form("profile"), profile),
    }
    total = Fraction(sum(kwh for kwh, _ in parts), sum(area for _, area in parts))
    assert indicator_values(pack_2022, rollups)["ElPA"].value == total


def test_vehicle_fuel_is_no_energy_of_the_building(pack_2022: Pack, checks: Checks) -> None:
    """EPA leaves vehicle petrol out, EPC counts it."""
    row = checks.complete(
        pack_2022,
        "consumption",
        {"elec_kwh": "10000.00", "gasoline_l": "100.00", "gasoline_vehicle_l": "100.00"},
    )
    profile: Row = {"floor_area": "1000.00", "energy_users": 10}
    values = indicator_values(
        pack_2022,
        {
            "consumption": Rollup.of(pack_2022.form("consumption"), [row]),
            "profile": Rollup.of(pack_2022.form("profile"), [profile]),
        },
    )
    assert values["EPA"].shown == "1.23"
    assert values["EPC"].shown == "133.64"
    assert values["TOTAL_E"].shown == "1.3364"


def test_what_cannot_be_formed_has_no_value(pack_2022: Pack, checks: Checks) -> None:
    """Without the profile, or with an area of zero, there is no EPA; zero would be a lie."""
    only = {"consumption": unit(pack_2022, checks, "1.00", "1.00", 1)["consumption"]}
    values = indicator_values(pack_2022, only)
    assert (values["EPA"].value, values["EPA"].shown) == (None, "")
    assert values["TOTAL_W"].shown == "10.00"
    only["profile"] = Rollup.zero(pack_2022.form("profile"))
    assert indicator_values(pack_2022, only)["EPA"].value is None


def test_distinct_counts_count_what_is_there(pack_2022: Pack) -> None:
    """A unit whose correction came before its return is not counted until the return comes."""
    per_unit = "formula: consumption.water_m3 / consumption.uscc}"
    text = pack_2022.source.decode().replace(
        "formula: consumption.water_m3 / profile.energy_users}", per_unit, 1
    )
    pack = load_pack(text.encode())
    form = pack.form("consumption")
    rows: list[Row] = [{"uscc": "a", "water_m3": "6.00"}, {"uscc": "b", "water_m3": "2.00"}]
    rollup = Rollup.of(form, rows).subtract(form, {"uscc": "c"})
    assert indicator_values(pack, {"consumption": rollup})["WPC"].value == 4


FORMULAS = {
    "precedence": ("1 + 2 * 3", Fraction(7)),
    "parentheses": ("(1 + 2) * 3", Fraction(9)),
    "division is exact": ("1 / 3 * 3", Fraction(1)),
    "left to right": ("8 - 4 - 2", Fraction(2)),
    "a sign": ("-a * 2", Fraction(-5)),
    "a sign within": ("4 * -a", Fraction(-10)),
    "a decimal": ("0.1 + 0.2", Fraction(3, 10)),
    "a dotted name": ("b.c / 2", Fraction(1)),
    "division by zero": ("1 / (a - a)", None),
    "a name without value": ("1 + zzz", None),
}


@pytest.mark.parametrize(("text", "expected"), FORMULAS.values(), ids=FORMULAS.keys())
def test_formulas_are_exact_arithmetic(text: str, expected: Fraction | None) -> None:
    """The little language, term by term."""
    known = {"a": Fraction(5, 2), "b.c": Fraction(2)}
    assert Formula.parse(text).value(known.get) == expected


REFUSED = {
    "nothing": "",
    "a call": "print(1)",
    "a power": "2 ** 3",
    "an attribute of an attribute": "a.b.c",
    "two numbers": "1 2",
    "an open parenthesis": "(1",
    "a closing one": "1)",
    "an operator at the end": "1 +",
    "an exponent": "1e9",
    "full-width digits": "１",
    "a capital": "A",
    "deep nesting": "(" * 100 + "1" + ")" * 100,
    "many signs": "-" * 100 + "1",
    "three thousand characters": "+".join("1" * 1_500),
}


@pytest.mark.parametrize("text", REFUSED.values(), ids=REFUSED.keys())
def test_other_formulas_are_refused(text: str) -> None:
    """Nothing but arithmetic, bounded in length and depth."""
    with pytest.raises(PackInvalid):
        Formula.parse(text)


WEIGHTS = {
    "a weighted sum": ("(a * k.a + b * 2) / 1000 + c", {"a": "0.0005", "b": "0.002", "c": "1"}),
    "a weight on the left": ("k.a * a - b", {"a": "0.5", "b": "-1"}),
    "a product of fields": ("a * b", None),
    "a quotient of fields": ("a / b", None),
    "a constant": ("a + 1", None),
    "division by zero": ("a / 0", None),
}


@pytest.mark.parametrize(("text", "expected"), WEIGHTS.values(), ids=WEIGHTS.keys())
def test_the_weights_of_a_formula(text: str, expected: dict[str, str] | None) -> None:
    """A computed field is a weighted sum or nothing."""
    weights = Formula.parse(text).weights({"k.a": Fraction(1, 2)})
    wanted = None if expected is None else {name: Fraction(w) for name, w in expected.items()}
    assert weights == wanted
