"""Choosing a form and a period: the way into every list that is about one of each."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import islice

from nicegui.events import GenericEventArguments

from yidao.catalog.calendar import Period, PeriodKind
from yidao.catalog.errors import CatalogError
from yidao.catalog.pack.model import Form
from yidao.node.console.visit import Visit
from yidao.node.console.widgets.html import Tag, options
from yidao.node.console.widgets.names import FormNames

_PERIODS = 12
_PARTS = "/"

More = tuple[str, str, list[tuple[str, str]]]
"""A further choice: its name, its label, its values with their labels."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """What was chosen; the last period that has ended unless the address says another."""

    pack: str
    form: str
    period: str

    @property
    def chosen(self) -> bool:
        """Whether there is a form at all."""
        return bool(self.form)


def chosen(visit: Visit, names: FormNames) -> Choice:
    """Read the choice from the address; what it does not say is the first form, the last period."""
    known = names.reported()
    asked = tuple(visit.query.get("form", "").partition(_PARTS)[::2])
    if asked not in known:
        asked = known[0] if known else ("", "")
    period = visit.query.get("period", "")
    if not period and known:
        period = next(iter(periods(names.forms[asked], visit.console.today())), "")
    return Choice(pack=asked[0], form=asked[1], period=period)


def periods(form: Form, today: date) -> list[str]:
    """Give the periods that one asks about, newest first: those that have ended, and this one."""
    if form.period is PeriodKind.ON_CHANGE:
        return []
    current = Period.containing(form.period, today)
    return [str(period) for period in islice(_back_from(current.previous()), _PERIODS)] + [
        str(current)
    ]


def _back_from(period: Period) -> Iterator[Period]:
    while True:
        yield period
        try:
            period = period.previous()
        except CatalogError:
            return


def draw_choice(
    visit: Visit,
    names: FormNames,
    choice: Choice,
    *,
    more: Sequence[tuple[str, str, list[tuple[str, str]]]] = (),
) -> None:
    """Draw the choice as a plain form that leads to the same page.

    Args:
        visit: Whose page.
        names: What forms are called.
        choice: What is chosen now.
        more: Further choices: name, label, values with their labels.
    """
    words = visit.words
    today = visit.console.today()
    with Tag("form", method="get", action=visit.path.partition("?")[0], classes="card choose"):
        with _labelled(words("choose.form"), "form") as forms:
            options(
                ((_PARTS.join(key), names.form(*key)) for key in names.reported()),
                _PARTS.join((choice.pack, choice.form)),
            )
        with _labelled(words("choose.period"), "period") as offered:
            _offer_periods(names, (choice.pack, choice.form), choice.period, today)
        for name, label, values in more:
            with _labelled(label, name):
                options(values, visit.query.get(name, values[0][0] if values else ""))
        Tag("button", words("choose.go"), classes="button", type="submit")

    def offer(event: GenericEventArguments) -> None:
        offered.clear()
        with offered:
            _offer_periods(names, tuple(str(event.args).partition(_PARTS)[::2]), "", today)

    forms.heard("change", offer, "(e) => emit(e.target.value)")


def _labelled(label: str, name: str) -> Tag:
    with Tag("div"):
        Tag("label", label, for_=f"choose-{name}")
        return Tag("select", id=f"choose-{name}", name=name)


def _offer_periods(names: FormNames, key: tuple[str, ...], period: str, today: date) -> None:
    form = names.forms.get((key[0], key[1]))
    offered = periods(form, today) if form else []
    if period and period not in offered:
        offered.append(period)
    options(
        ((each, each) for each in sorted(offered, reverse=True)), period or next(iter(offered), "")
    )
