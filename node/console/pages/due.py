"""The clerk's desk: what is due, soonest first, and what came back with all its faults."""

import asyncio
from collections.abc import Callable

from yidao.node.client import Client, Due, DuePage, ReturnInfo
from yidao.node.console.visit import Visit, address
from yidao.node.console.widgets.faults import fault_list
from yidao.node.console.widgets.html import Tag, link
from yidao.node.console.widgets.names import FormNames
from yidao.node.console.widgets.tables import badge, table

_ROWS = 100
_SENT_BACK = frozenset({"returned", "refused"})
_SHOWN_BACK = 20


async def draw(visit: Visit) -> None:
    """Draw the desk."""
    unit = visit.session.unit
    page = await visit.ask(
        lambda client: client.due(unit=unit, limit=_ROWS, after=visit.query.get("after", ""))
    )
    names = await visit.ask(lambda client: FormNames.of(visit.console.packs(client), visit.words))
    back = [each for each in page.due if each.state in _SENT_BACK][:_SHOWN_BACK]
    found = await asyncio.gather(*(visit.ask(_newest(each)) for each in back))
    for due, version in zip(back, found, strict=True):
        _sent_back(visit, names, due, version)
    _owed(visit, names, page)


def _newest(due: Due) -> Callable[[Client], ReturnInfo | None]:
    def ask(client: Client) -> ReturnInfo | None:
        versions = client.returns(form=due.form, period=due.period, unit=due.unit).returns
        return next((each for each in versions if each.record_id == due.record_id), None)

    return ask


def _sent_back(visit: Visit, names: FormNames, due: Due, version: ReturnInfo | None) -> None:
    """What must be mended: the reason, and every fault at once."""
    words = visit.words
    with Tag("section", classes="card back", aria_label=words("due.back")):
        Tag("h2", words("due.back_title", form=names.form(due.pack, due.form), period=due.period))
        Tag("p", f"{due.unit_name} {due.unit}")
        if version is not None:
            if version.reason:
                Tag("p", words("due.reason", reason=version.reason, by=version.reviewed_by))
            fault_list(words, version.faults, names.fields(due.pack, due.form))
        link(words("due.mend"), fill_address(due), classes="button main")


def _owed(visit: Visit, names: FormNames, page: DuePage) -> None:
    words = visit.words
    if not page.due:
        Tag("p", words("due.none"), classes="card empty")
        return
    headings = ("due.day", "due.form", "due.period", "due.unit", "due.state", "due.doing")
    with table(words("due.caption"), [words(each) for each in headings]) as row:
        for due in page.due:
            row(
                _day(visit, due),
                names.form(due.pack, due.form),
                due.period,
                f"{due.unit_name} {due.unit}".strip(),
                lambda due=due: badge(words.named("state", due.state), due.state),
                lambda due=due: _doing(visit, due),
                classes="overdue" if due.days_left < 0 else "",
            )
    if page.next:
        link(words("frame.more"), address("/due", after=page.next), classes="button")


def _day(visit: Visit, due: Due) -> str:
    if due.days_left < 0:
        return visit.words("due.overdue", day=due.due, days=-due.days_left)
    return visit.words("due.left", day=due.due, days=due.days_left)


def _doing(visit: Visit, due: Due) -> None:
    words = visit.words
    about = f"{due.unit_name} {due.period}"
    with Tag("div", classes="doing"):
        link(words("due.fill"), fill_address(due), aria_label=words("due.fill_of", what=about))
        link(
            words("due.template"),
            address(
                "/files/template", pack=due.pack, form=due.form, period=due.period, unit=due.unit
            ),
            download="",
            aria_label=words("due.template_of", what=about),
        )


def fill_address(due: Due) -> str:
    """Where the form of this return is filled in."""
    return address("/fill", pack=due.pack, form=due.form, period=due.period, unit=due.unit)


def template_address(due: Due) -> str:
    """Where the workbook of this return comes from."""
    return address(
        "/files/template", pack=due.pack, form=due.form, period=due.period, unit=due.unit
    )
