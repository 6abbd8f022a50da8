"""Corpus rows 85–95: schemas and data that are wrong, huge or hostile.

Each is refused with a typed error of stable code, or is a fault of the row;
none raises anything else, takes long or is half accepted. (Row numbers are
those of the project's list of bad inputs.)
"""

import re
import time
from importlib.resources import files

import pytest

from yidao.catalog import faults
from yidao.catalog.errors import CatalogError, PackInvalid, PayloadInvalid
from yidao.catalog.numbers import parse_decimal, quantise
from yidao.catalog.pack.loader import load_pack
from yidao.catalog.pack.model import Pack, Value
from yidao.catalog.pack.versions import PackSet
from yidao.catalog.rollup import Rollup
from yidao.catalog.rows import parse_row
from yidao.catalog.validate import Checks

Row = dict[str, Value]
_SHIPPED = (files("yidao.catalog") / "packs" / "energy-2025.yaml").read_bytes()


@pytest.fixture(scope="module")
def pack() -> Pack:
    """Give the shipped pack that the bad inputs are tried on."""
    return load_pack(_SHIPPED)


def refused(data: bytes) -> str:
    """Load a pack that must be refused; give the reason."""
    with pytest.raises(PackInvalid) as caught:
        load_pack(data)
    return str(caught.value.params["reason"])


def changed(old: str, new: str) -> bytes:
    """Give the shipped pack with one change."""
    text = _SHIPPED.decode()
    assert old in text
    return text.replace(old, new, 1).encode()


@pytest.mark.parametrize("schema", ["energy/1999/consumption", "x", "", "energy/2025/'; DROP"])
def test_85_an_unknown_schema_is_refused(pack: Pack, schema: str) -> None:
    """A record of a schema that nobody published cannot be judged yet."""
    with pytest.raises(CatalogError) as caught:
        PackSet.of([pack]).resolve(schema, pack.digest)
    assert caught.value.code == "SCHEMA_UNKNOWN"
    assert caught.value.retryable


def test_86_a_schema_under_another_digest_is_refused(pack: Pack) -> None:
    """Same name, other bytes: one of the two was not published."""
    for digest in (b"", pack.digest[:31], bytes(32), pack.digest + b"\0"):
        with pytest.raises(CatalogError) as caught:
            PackSet.of([pack]).resolve("energy/2025/consumption", digest)
        assert caught.value.code == "SCHEMA_MISMATCH"


def test_87_a_schema_cannot_contain_itself() -> None:
    """Forms are flat: YAML aliases, the only way to recur, are refused, bombs among them."""
    assert refused(changed("basis: >-", "basis: &loop >-")) == "anchor_or_alias"
    bomb = b"a: &a [x, x, x, x, x, x, x, x, x]\n" + b"".join(
        b"%c: &%c [%s]\n" % (98 + n, 98 + n, b", ".join([b"*%c" % (97 + n)] * 9)) for n in range(9)
    )
    assert refused(bomb) == "anchor_or_alias"
    assert refused(b"a: " + b"[" * 1_000 + b"]" * 1_000) == "too_deep"
    assert refused(b"a: [" + b"x," * 100_000 + b"]") == "too_many_values"
    assert refused(b"a: " + b"x" * 2_000_000) == "too_large"


def test_88_a_thousand_columns_are_refused() -> None:
    """A form has at most 256 fields."""
    many = "".join(
        f"      - {{name: f{number}, zh: 指标, en: Field, type: int}}\n" for number in range(1_000)
    )
    assert refused(changed("    retired:\n", many + "    retired:\n")) == "too_many"


NAMES = {
    "a keyword of SQL": ("select", "reserved_name"),
    "a constant of CEL": ("true", "expected_text"),
    "a keyword of CEL": ("in", "reserved_name"),
    "an injection": ("'x\"; DROP TABLE journals; --'", "name"),
    "a path": ("../etc", "name"),
    "a dunder": ("__class__", "name"),
    "Cyrillic look-alikes": ("еlec_kwh", "name"),
    "Chinese": ("电", "name"),
    "nothing": ('""', "blank"),
    "64 characters": ("f" * 64, "name"),
    "a NUL": ('"a\\0b"', "name"),
    "a newline": ('"a\\nb"', "name"),
}


@pytest.mark.parametrize(("name", "reason"), NAMES.values(), ids=NAMES.keys())
def test_89_a_hostile_name_is_refused(name: str, reason: str) -> None:
    """Names are lower-case ASCII and no reserved words, whatever they will be used for."""
    assert refused(changed("name: pv_kwh", f"name: {name}")) == reason


def test_90_a_type_that_changes_between_versions_cannot_be_added(pack: Pack) -> None:
    """A field that becomes another kind in a later version refuses to merge with its past."""
    was = "name: vehicles, zh: 公务用车数量, en: Official vehicles, type: int"
    later = load_pack(changed(was, was.replace("type: int", "type: area")))
    old, new = Rollup.zero(pack.form("profile")), Rollup.zero(later.form("profile"))
    with pytest.raises(CatalogError) as caught:
        old.merge(new)
    assert caught.value.code == "ROLLUP_MISMATCH"
    assert caught.value.params["field"] == "vehicles"


def test_91_no_input_makes_a_pattern_backtrack(pack: Pack) -> None:
    """A pack cannot bring a regular expression, and ours are linear in what is sent."""
    hostile = changed("expr: 'row.nev <= row.vehicles'", "expr: 'row.note.matches(\"(a+)+$\")'")
    assert refused(hostile) == "not_in_the_language"
    row: Row = {"uscc": "1" * 300_000, "period": "2" * 300_000, "floor_area": "1" * 300_000 + "x"}
    begun = time.process_time()
    verdict = Checks().check(pack, "profile", row)
    spent = time.process_time() - begun
    assert {fault.field for fault in verdict.faults} >= {"uscc", "period", "floor_area"}
    # A guard against exponential time, far above what a busy machine needs for the linear one.
    assert spent < 5


NUMBERS = {
    "NaN": "NaN",
    "infinity": "-Infinity",
    "minus zero": "-0.00",
    "1e400": "1e400",
    "hexadecimal": "0x10",
    "full-width digits": "１.00",
    "a million digits": "9" * 1_000_000 + ".00",
}


@pytest.mark.parametrize("text", NUMBERS.values(), ids=NUMBERS.keys())
def test_92_what_is_no_number_never_becomes_one(pack: Pack, text: str) -> None:
    """Refused as a text, as a value of a row, and as a cell that a person typed (but −0)."""
    with pytest.raises(CatalogError) as caught:
        parse_decimal(text, 16, 2)
    assert caught.value.code == "NUMBER_INVALID"
    row: Row = {"uscc": "113301060000000195", "period": "2026-Q1", "floor_area": text,
                "energy_users": 1}  # fmt: skip
    verdict = Checks().check(pack, "profile", row)
    assert [(fault.field, fault.code) for fault in verdict.faults] == [
        ("floor_area", faults.VALUE_SPELLING)
    ]
    if text == "-0.00":
        assert quantise(text, 16, 2) == "0.00"
    else:
        with pytest.raises(CatalogError):
            quantise(text, 16, 2)


@pytest.mark.parametrize("literal", [b"NaN", b"Infinity", b"-Infinity", b"1e400", b"-0.0", b"1.0"])
def test_92_json_numbers_that_are_no_integers_are_refused(literal: bytes) -> None:
    """A figure is a text or an integer; no float enters a row."""
    with pytest.raises(PayloadInvalid):
        parse_row(b'{"floor_area":' + literal + b"}")


DAYS = {
    "the zero day": "0000-00-00",
    "the last day": "9999-12-31",
    "a leap second": "2016-12-31T23:59:60Z",
    "an offset": "2024-01-01T00:00:00+14:00",
    "a 30th of February": "2024-02-30",
    "a month that does not exist": "2024-13-01",
    "a two-digit year": "24-01-01",
    "full-width digits": "２０２４-01-01",
}


@pytest.mark.parametrize("day", DAYS.values(), ids=DAYS.keys())
def test_93_what_is_no_day_is_refused(day: str) -> None:
    """As a day of a pack, and as a value of a row."""
    assert refused(changed("valid_from: 2026-01-01", f'valid_from: "{day}"')) == "expected_day"
    dated = load_pack(_with_day())
    row: Row = {"uscc": "113301060000000195", "name": "样例", "region_code": "330106",
                "inst_type": "01", "reg_status": "1", "founded": day}  # fmt: skip
    verdict = Checks().check(dated, "institution", row)
    assert [(fault.field, fault.code) for fault in verdict.faults] == [
        ("founded", faults.VALUE_SPELLING)
    ]


def _with_day() -> bytes:
    """Give the shipped pack with a field that holds a day."""
    field = "      - {name: founded, zh: 成立日期, en: Founded, type: date}\n"
    return re.sub("(  institution:.*?    fields:\n)", r"\1" + field, _SHIPPED.decode(),
                  count=1, flags=re.DOTALL).encode()  # fmt: skip


def test_94_a_cell_of_ten_megabytes_is_refused(pack: Pack) -> None:
    """Too large for a row; and where a row is checked without its bytes, too long for its field."""
    cell = "长" * 10_000_000
    with pytest.raises(PayloadInvalid) as caught:
        parse_row(f'{{"note":"{cell}"}}'.encode())
    assert caught.value.params["reason"] == "too_large"
    row: Row = {"uscc": "113301060000000195", "period": "2026-Q1", "floor_area": "1.00",
                "energy_users": 1, "note": cell}  # fmt: skip
    verdict = Checks().check(pack, "profile", row)
    assert [(fault.field, fault.code) for fault in verdict.faults] == [
        ("note", faults.VALUE_TOO_LONG)
    ]
    assert len(verdict.faults[0].text.zh) < 200


PAYLOADS = {
    "ten thousand brackets": (b"[" * 10_000, "not_json"),
    "ten thousand nested lists": (b'{"a":' + b"[" * 10_000 + b"]" * 10_000 + b"}", "not_json"),
    "a little nesting": (b'{"a":[1]}', "value_type"),
    "a nested object": (b'{"a":{"b":1}}', "value_type"),
    "null": (b'{"a":null}', "value_type"),
    "a duplicate key": (b'{"a":1,"a":2}', "duplicate_key"),
    "a duplicate key by escape": (b'{"a":1,"\\u0061":1}', "duplicate_key"),
    "a big integer": (b'{"a":123456789012345678901234567890}', "value_type"),
    "an integer past 10^15": (b'{"a":1000000000000001}', "integer_too_large"),
    "2^63": (b'{"a":9223372036854775808}', "integer_too_large"),
    "a list": (b"[]", "not_an_object"),
    "a bare text": (b'"x"', "not_an_object"),
    "nothing": (b"", "not_json"),
    "two documents": (b"{}{}", "not_json"),
    "a trailing comma": (b'{"a":1,}', "not_json"),
    "a byte order mark": (b"\xef\xbb\xbf{}", "not_json"),
    "GB18030": ('{"a":"电能"}'.encode("gb18030"), "not_json"),
    "a lone surrogate": (b'{"a":"\\ud800"}', "not_json"),
    "a raw control character": (b'{"a":"\x01"}', "not_json"),
    "257 fields": (
        b"{" + b",".join(b'"f%d":1' % number for number in range(257)) + b"}", "too_many_fields",
    ),
    "a quarter of a megabyte and more": (b'{"a":"' + b"x" * 262_144 + b'"}', "too_large"),
}  # fmt: skip


@pytest.mark.parametrize(("data", "reason"), PAYLOADS.values(), ids=PAYLOADS.keys())
def test_95_json_that_is_no_row_is_refused(data: bytes, reason: str) -> None:
    """Depth, duplicates, big integers, encodings: one error code, each with its reason."""
    with pytest.raises(PayloadInvalid) as caught:
        parse_row(data)
    assert caught.value.code == "PAYLOAD_INVALID"
    assert caught.value.params["reason"] == reason
