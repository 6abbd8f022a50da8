"""Read a pack from its exact bytes; refuse whatever is not fully understood.

Every refusal is `PackInvalid` with the place in the file. What the parts mean
together (rules that name fields, roll-ups that make sense) is checked by
`lint`, which `load_pack` ends with: a pack that loads can be used.
"""

import hashlib
import re
from fractions import Fraction

from yidao.catalog.calendar import PeriodKind
from yidao.catalog.errors import PackInvalid
from yidao.catalog.numbers import MAX_PRECISION
from yidao.catalog.pack.lint import lint
from yidao.catalog.pack.model import (
    Benchmark,
    CodeItem,
    CodeList,
    Due,
    FactorSet,
    Field,
    FieldKind,
    Form,
    Indicator,
    Pack,
    Retired,
    RollupKind,
    Rule,
    Severity,
)
from yidao.catalog.pack.section import Section, checked_name
from yidao.catalog.pack.source import parse_source

FORMAT = 1
_MAX_FORMS, _MAX_FIELDS, _MAX_RULES, _MAX_ITEMS = 32, 256, 512, 2_000
_MAX_TEXT_CHARS, _DEFAULT_TEXT_CHARS = 2_000, 200
#: Integers of rows stay far below 64 bits, so that millions of them can be added.
_INT_DIGITS = 12
_VERSION = re.compile(r"[0-9a-z][0-9a-z.-]{0,31}")
_LIST_ID = re.compile(r"[A-Z][A-Z0-9_]{0,40}")
_CODE = re.compile(r"[0-9A-Za-z_.-]{1,32}")
_RULE_ID = re.compile(r"[A-Z]{2,8}-[0-9]{2,3}(?:\.[a-z0-9_]{1,24})?")
_INDICATOR_ID = re.compile(r"[A-Z][A-Za-z0-9_]{0,30}")
_DECIMAL_TYPE = re.compile(r"dec\(([0-9]{1,2}),([0-9]{1,2})\)")
_FIXED_DECIMALS = {"money": (18, 2), "area": (14, 2)}


def load_pack(data: bytes) -> Pack:
    """Read one version of a pack; the result's digest is SHA-256 of these very bytes.

    Raises:
        PackInvalid: The bytes are no pack of this format, or break a promise of packs.
    """
    top = Section(dict(parse_source(data)), "")
    if top.integer("format", 0, least=0, most=10**6) != FORMAT:
        raise top.refuse("format", "unknown_format")
    valid_from = top.day("valid_from", required=True)
    valid_to = top.day("valid_to")
    if valid_from is None or (valid_to is not None and valid_to < valid_from):
        raise top.refuse("valid_to", "before_valid_from")
    pack = Pack(
        id=top.name("pack"),
        version=_matching(top, "version", _VERSION),
        title=top.bilingual("title"),
        basis=top.text("basis"),
        valid_from=valid_from,
        valid_to=valid_to,
        lists=_lists(top.section("lists")),
        forms=_forms(top.section("forms")),
        rules=tuple(_rule(section) for section in top.sections("rules", most=_MAX_RULES)),
        indicators=tuple(_indicator(each) for each in top.sections("indicators", most=64)),
        dues=_dues(top.section("dues")),
        factors=_factors(top.section("factors")),
        benchmarks=tuple(_benchmark(each) for each in top.sections("benchmarks", most=256)),
        source=data,
        digest=hashlib.sha256(data).digest(),
    )
    top.done()
    lint(pack)
    return pack


def _matching(section: Section, key: str, pattern: re.Pattern[str]) -> str:
    text = section.text(key)
    if pattern.fullmatch(text) is None:
        raise section.refuse(key, "spelling")
    return text


def _lists(top: Section) -> dict[str, CodeList]:
    lists = {}
    for list_id, section in top.named_sections(most=128):
        if _LIST_ID.fullmatch(list_id) is None:
            raise PackInvalid(at=section.at, reason="name")
        title = section.bilingual("title")
        items: dict[str, CodeItem] = {}
        for entry in section.sections("items", most=_MAX_ITEMS):
            item = CodeItem(
                code=_matching(entry, "code", _CODE),
                label=entry.bilingual(),
                valid_from=entry.day("valid_from"),
                valid_to=entry.day("valid_to"),
            )
            entry.done()
            if item.code in items:
                raise entry.refuse("code", "duplicate_code")
            items[item.code] = item
        section.done()
        lists[list_id] = CodeList(id=list_id, title=title, items=items)
    return lists


def _forms(top: Section) -> dict[str, Form]:
    forms = {}
    for form_id, section in top.named_sections(most=_MAX_FORMS):
        checked_name(form_id, section.at)
        forms[form_id] = Form(
            id=form_id,
            title=section.bilingual("title"),
            key=section.texts("key"),
            period=section.choice("period", PeriodKind),
            stays_local=section.flag("stays_local"),
            fields=_fields(section),
            retired=_retired(section),
        )
        section.done()
    return forms


def _fields(section: Section) -> dict[str, Field]:
    fields: dict[str, Field] = {}
    for each in section.sections("fields", most=_MAX_FIELDS):
        field = _field(each)
        if field.name in fields:
            raise each.refuse("name", "duplicate_name")
        fields[field.name] = field
    return fields


def _retired(section: Section) -> dict[str, Retired]:
    retired = {}
    for each in section.sections("retired", most=_MAX_FIELDS):
        name = each.name("name")
        retired[name] = Retired(
            name=name, label=each.bilingual(), since_version=_matching(each, "since", _VERSION)
        )
        each.done()
    return retired


def _field(section: Section) -> Field:
    name = section.name("name")
    kind, precision, scale = _kind(section)
    minimum, maximum = _bounds(section, kind, precision, scale)
    field = Field(
        name=name,
        label=section.bilingual(),
        kind=kind,
        precision=precision,
        scale=scale,
        unit=section.text("unit", ""),
        required=section.flag("required"),
        rollup=section.choice("rollup", RollupKind, RollupKind.NONE),
        pii=section.flag("pii"),
        grade=section.integer("grade", 1, least=1, most=4),
        list_id=section.text("list", ""),
        minimum=minimum,
        maximum=maximum,
        max_length=section.integer(
            "max_length", _DEFAULT_TEXT_CHARS, least=1, most=_MAX_TEXT_CHARS
        ),
        computed=section.text("computed", ""),
        formerly=section.texts("formerly"),
    )
    section.done()
    return field


def _kind(section: Section) -> tuple[FieldKind, int, int]:
    """Read the type of a field: its kind, and for decimals the digits."""
    text = section.text("type").replace(" ", "")
    match = _DECIMAL_TYPE.fullmatch(text)
    if match is not None or text in _FIXED_DECIMALS:
        size = _FIXED_DECIMALS.get(text) if match is None else (int(match[1]), int(match[2]))
        precision, scale = size or (0, 0)
        # Rules and roll-ups add in 64 bits, and some digits must stay free for that.
        if not 0 <= scale <= 9 or not scale <= precision <= MAX_PRECISION or precision == 0:
            raise section.refuse("type", "decimal_size")
        return FieldKind.DECIMAL, precision, scale
    try:
        kind = FieldKind(text)
    except ValueError:
        raise section.refuse("type", "unknown_type") from None
    if kind is FieldKind.DECIMAL:
        raise section.refuse("type", "decimal_size")
    return kind, 0, 0


def _bounds(
    section: Section, kind: FieldKind, precision: int, scale: int
) -> tuple[int | None, int | None]:
    """Read minimum and maximum as scaled integers; a number is not negative unless it says so."""
    low, high = section.number("minimum"), section.number("maximum")
    if kind not in (FieldKind.DECIMAL, FieldKind.INT):
        if low is not None or high is not None:
            raise section.refuse("minimum", "only_for_numbers")
        return None, None
    digits = precision if kind is FieldKind.DECIMAL else _INT_DIGITS
    scaled_low = _scaled_bound(section, low, scale, default=0)
    scaled_high = _scaled_bound(section, high, scale, default=10**digits - 1)
    if not -(10**digits) < scaled_low <= scaled_high < 10**digits:
        raise section.refuse("minimum", "bounds")
    return scaled_low, scaled_high


def _scaled_bound(section: Section, bound: Fraction | None, scale: int, *, default: int) -> int:
    if bound is None:
        return default
    scaled = bound * 10**scale
    if scaled.denominator != 1:
        raise section.refuse("minimum", "finer_than_the_scale")
    return int(scaled)


def _rule(section: Section) -> Rule:
    rule = Rule(
        id=_matching(section, "id", _RULE_ID),
        form=section.name("form"),
        field=section.name("field"),
        severity=section.choice("severity", Severity),
        label=section.bilingual(),
        fault=section.bilingual("fault"),
        needs=section.texts("needs"),
        expr=section.text("expr"),
    )
    section.done()
    return rule


def _indicator(section: Section) -> Indicator:
    indicator = Indicator(
        id=_matching(section, "id", _INDICATOR_ID),
        label=section.bilingual(),
        unit=section.text("unit", ""),
        scale=section.integer("scale", 2, least=0, most=6),
        better=section.text("better", "none"),
        formula=section.text("formula"),
    )
    if indicator.better not in ("lower", "higher", "none"):
        raise section.refuse("better", "not_one_of_the_choices")
    section.done()
    return indicator


def _dues(top: Section) -> dict[str, Due]:
    dues = {}
    for form_id, section in top.named_sections(most=_MAX_FORMS):
        dues[form_id] = Due(
            form=form_id,
            after_days=section.integer("after_days", 0, least=0, most=400),
            basis=section.text("basis"),
        )
        section.done()
    return dues


def _factors(top: Section) -> dict[str, FactorSet]:
    factors = {}
    for set_id, section in top.named_sections(most=16):
        checked_name(set_id, section.at)
        factors[set_id] = FactorSet(
            id=set_id,
            label=section.bilingual(),
            basis=section.text("basis"),
            values=section.section("values").numbers(),
        )
        section.done()
    return factors


def _benchmark(section: Section) -> Benchmark:
    benchmark = Benchmark(
        id=section.text("id"),
        label=section.bilingual(),
        source=section.text("source"),
        values=section.section("values").numbers(),
    )
    section.done()
    return benchmark
