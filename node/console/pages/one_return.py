"""One return: its figures beside those of the version before and of the period before."""

from collections.abc import Mapping
from dataclasses import dataclass

from yidao.catalog.calendar import Period
from yidao.catalog.errors import CatalogError
from yidao.node.client import Client, ReturnInfo
from yidao.node.console.entry import texts_of
from yidao.node.console.visit import Visit, address
from yidao.node.console.widgets.faults import fault_list
from yidao.node.console.widgets.html import Tag, link
from yidao.node.console.widgets.names import FormNames, named_unit
from yidao.node.console.widgets.tables import badge, table


@dataclass(frozen=True, slots=True, kw_only=True)
class _Versions:
    """A return with what it is compared with."""

    this: ReturnInfo
    before: ReturnInfo | None
    last_period: ReturnInfo | None


def record_of(visit: Visit) -> bytes:
    """Read the record's id from the address; what is no id is nobody's."""
    try:
        return bytes.fromhex(visit.query.get("record", ""))
    except ValueError:
        return b""


async def draw(visit: Visit) -> None:
    """Draw the comparison."""
    words, record = visit.words, record_of(visit)
    names = await visit.ask(lambda client: FormNames.of(visit.console.packs(client), words))
    found = await visit.ask(lambda client: _versions(client, record))
    this = found.this
    pack = this.pack
    with Tag("div", classes="card"):
        Tag("h2", f"{names.form(pack, this.form)} {this.period}")
        Tag(
            "p",
            words(
                "one_return.about",
                unit=named_unit(this),
                version=this.version,
                by=this.submitted_by,
            ),
        )
        badge(words.named("state", this.state), this.state)
        if this.reason:
            Tag("p", words("due.reason", reason=this.reason, by=this.reviewed_by))
        fault_list(words, this.faults, names.fields(pack, this.form))
    if not this.payload:
        Tag("p", words("one_return.not_here"), classes="card empty")
    else:
        _figures(visit, names, pack, found)
    with Tag("p", classes="doing"):
        link(words("returns.receipt"), address("/receipt", record=record.hex()), classes="button")
        link(words("one_return.all"), "/returns", classes="button")


def _versions(client: Client, record: bytes) -> _Versions:
    this = client.receipt(record_id=record).about
    same = client.returns(form=this.form, period=this.period, unit=this.unit).returns
    earlier = [each for each in same if each.version < this.version and each.payload]
    return _Versions(
        this=next((each for each in same if each.record_id == record), this),
        before=max(earlier, key=lambda each: each.version, default=None),
        last_period=_last_period(client, this),
    )


def _last_period(client: Client, this: ReturnInfo) -> ReturnInfo | None:
    try:
        period = str(Period.parse(this.period).previous())
    except CatalogError:
        return None
    found = client.returns(form=this.form, period=period, unit=this.unit).returns
    good = [each for each in found if each.payload and each.state in ("submitted", "accepted")]
    return max(good, key=lambda each: each.version, default=None)


def _figures(visit: Visit, names: FormNames, pack: str, found: _Versions) -> None:
    words = visit.words
    form = names.forms.get((pack, found.this.form))
    this, before, last = (
        texts_of(each.payload) if each else {}
        for each in (found.this, found.before, found.last_period)
    )
    headings = [words(f"one_return.{each}") for each in ("field", "this", "before", "last")]
    with table(words("one_return.caption"), headings, numeric=frozenset({1, 2, 3})) as row:
        order = list(form.fields) if form else []
        for name in sorted(this, key=lambda name: order.index(name) if name in order else 0):
            text = this[name]
            field = form.fields.get(name) if form else None
            label = words.of(field.label) if field else name
            unit = f" ({field.unit})" if field and field.unit else ""
            row(
                label + unit,
                text,
                _beside(before, name),
                _beside(last, name),
                classes="changed" if before and before.get(name) != text else "",
            )


def _beside(texts: Mapping[str, str], name: str) -> str:
    return texts.get(name, "–")
