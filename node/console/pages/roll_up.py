"""Totals of a form and period, submitted beside accepted; taken apart, with a chart."""

from collections.abc import Mapping
from decimal import Decimal

from nicegui import ui

from yidao.catalog.pack.model import RollupKind
from yidao.node.client import BreakDownPage, Client, RollUp
from yidao.node.console.visit import Visit, address
from yidao.node.console.widgets.choose import Choice, chosen, draw_choice
from yidao.node.console.widgets.html import Tag, link
from yidao.node.console.widgets.names import FormNames
from yidao.node.console.widgets.tables import table

WAYS = ("child", "region", "inst_type", "unit")
_ROWS = 100
_BARS = 20
# No colour says alone what a bar is.
_HATCHED = {"symbol": "rect", "dashArrayX": [1, 0], "dashArrayY": [2, 5], "rotation": 0.8}


async def draw(visit: Visit) -> None:
    """Draw totals, parts and chart."""
    words, query = visit.words, visit.query
    names = await visit.ask(lambda client: FormNames.of(visit.console.packs(client), words))
    choice = chosen(visit, names)
    fields = summed_fields(names, choice)
    ways = [(way, words(f"roll_up.by_{way}")) for way in WAYS]
    more = [
        ("by", words("roll_up.by"), ways),
        ("field", words("roll_up.field"), list(fields.items())),
    ]
    draw_choice(visit, names, choice, more=more)
    if not choice.chosen:
        Tag("p", words("choose.no_pack"), classes="card empty")
        return
    by = query.get("by", "") if query.get("by", "") in WAYS else WAYS[0]
    field = query.get("field", "") if query.get("field", "") in fields else next(iter(fields), "")
    whole = await visit.ask(
        lambda client: client.roll_up(pack=choice.pack, form=choice.form, period=choice.period)
    )
    submitted, accepted = await visit.ask(lambda client: _parts(client, visit, choice, by))
    offices = await visit.ask(_offices) if by == "child" and visit.may("node.read") else {}
    shares = _shares(field, submitted, accepted, offices)
    _parts_shown(visit, by, fields.get(field, field), shares)
    if submitted.next:
        further = address("/roll-up", **{**query, "after": submitted.next})
        link(words("frame.more"), further, classes="button")
    _totals(visit, names, choice, whole)


def summed_fields(names: FormNames, choice: Choice) -> dict[str, str]:
    """Give the fields that are added up, with label and unit."""
    form = names.forms.get((choice.pack, choice.form))
    if form is None:
        return {}
    return {
        field.name: names.words.of(field.label) + (f" ({field.unit})" if field.unit else "")
        for field in form.fields.values()
        if field.rollup is RollupKind.SUM
    }


def _parts(
    client: Client, visit: Visit, choice: Choice, by: str
) -> tuple[BreakDownPage, BreakDownPage]:
    path, after = visit.query.get("path", ""), visit.query.get("after", "")
    pages = [
        client.break_down(
            pack=choice.pack,
            form=choice.form,
            period=choice.period,
            by=by,
            scope=scope,
            path=path,
            after=after,
            limit=_ROWS,
        )
        for scope in ("submitted", "accepted")
    ]
    return pages[0], pages[1]


Shares = dict[str, tuple[str, int, int, str, str]]
"""Key → title, returns submitted and accepted, figure submitted and accepted."""


def _offices(client: Client) -> dict[str, str]:
    """Give what people call the nodes below, as far as their health has told it."""
    return {each.path: each.office_name for each in client.list_tree() if each.office_name}


def _shares(
    field: str, submitted: BreakDownPage, accepted: BreakDownPage, offices: Mapping[str, str]
) -> Shares:
    below = {row.key: row for row in accepted.rows}
    shares: Shares = {}
    for row in submitted.rows:
        other = below.get(row.key)
        shares[row.key] = (
            offices.get(row.key, row.title),
            row.totals.returns,
            other.totals.returns if other else 0,
            row.totals.fields.get(field, "0"),
            other.totals.fields.get(field, "0") if other else "0",
        )
    return shares


def _parts_shown(visit: Visit, by: str, label: str, shares: Shares) -> None:
    words = visit.words
    if not shares:
        Tag("p", words("roll_up.none"), classes="card empty")
        return
    _chart(visit, label, shares)
    names = ("part", "returns_submitted", "returns_accepted")
    headings = [words(f"roll_up.{each}") for each in names]
    headings += [
        words("roll_up.submitted_of", field=label),
        words("roll_up.accepted_of", field=label),
    ]
    with table(
        words("roll_up.parts", field=label), headings, numeric=frozenset({1, 2, 3, 4})
    ) as row:
        for key, (title, sent, taken, figure, official) in shares.items():
            row(
                lambda key=key, title=title: _part(visit, by, key, title),
                str(sent),
                str(taken),
                figure,
                official,
            )


def _part(visit: Visit, by: str, key: str, title: str) -> None:
    """A part; a node leads to what is below it, then to the units."""
    text = f"{title} {key}".strip()
    if by == "child" and key != visit.query.get("path", ""):
        link(text, address("/roll-up", **{**visit.query, "path": key, "after": ""}))
    elif by == "child":
        link(text, address("/roll-up", **{**visit.query, "path": key, "by": "unit", "after": ""}))
    else:
        Tag("span", text)


def _chart(visit: Visit, label: str, shares: Shares) -> None:
    """Draw the first parts as bars; the table below holds the same figures for every reader."""
    words = visit.words
    shown = list(shares.items())[:_BARS]
    names = [title or key for key, (title, *_) in shown]
    series = [
        {
            "name": words(f"roll_up.{scope}"),
            "type": "bar",
            "data": [float(Decimal(share[place])) for _, share in shown],
            "itemStyle": {"color": colour, "decal": decal},
        }
        for scope, place, colour, decal in (
            (
                "submitted",
                3,
                "#8fb3d9",
                _HATCHED,
            ),
            ("accepted", 4, "#12395b", None),
        )
    ]
    with Tag("figure", classes="card", aria_hidden="true"):
        Tag("figcaption", label)
        ui.echart(
            {
                "animation": False,
                "legend": {"top": 0},
                # The last figure of the axis stands half beside it.
                "grid": {"left": 8, "right": 72, "bottom": 8, "top": 36, "containLabel": True},
                "xAxis": {
                    "type": "value",
                    "splitNumber": 3,
                    "axisLabel": {"hideOverlap": True},
                },
                "yAxis": {"type": "category", "data": names, "inverse": True},
                "series": series,
            },
            renderer="svg",
        ).style(f"height: {90 + 46 * len(shown)}px")


def _totals(visit: Visit, names: FormNames, choice: Choice, whole: RollUp) -> None:
    words = visit.words
    fields = summed_fields(names, choice)
    headings = [words(f"roll_up.{each}") for each in ("name", "submitted", "accepted")]
    with table(words("roll_up.totals"), headings, numeric=frozenset({1, 2})) as row:
        row(words("roll_up.returns"), str(whole.submitted.returns), str(whole.accepted.returns))
        for name, label in fields.items():
            row(label, _of(whole.submitted.fields, name), _of(whole.accepted.fields, name))
        for name in sorted({*whole.submitted.indicators, *whole.accepted.indicators}):
            row(
                name,
                _of(whole.submitted.indicators, name),
                _of(whole.accepted.indicators, name),
            )
    Tag("p", words("roll_up.position", position=whole.position), classes="help")


def _of(figures: Mapping[str, str], name: str) -> str:
    return figures.get(name, "–")
