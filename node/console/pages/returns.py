"""What was handed in: every version with its state, its faults, and what can be done."""

from yidao.node.client import ReturnInfo
from yidao.node.console.visit import Visit, address
from yidao.node.console.widgets.faults import fault_list
from yidao.node.console.widgets.html import Tag, link, options
from yidao.node.console.widgets.names import FormNames, named_unit
from yidao.node.console.widgets.tables import badge, table

_ROWS = 50
STATES = (
    "submitted",
    "doubtful",
    "accepted",
    "returned",
    "refused",
    "withdrawn",
    "recorded",
    "superseded",
    "revoked",
)
WAITING = frozenset({"submitted", "doubtful"})
_TO_MEND = frozenset({"returned", "refused", "withdrawn"})


async def draw(visit: Visit) -> None:
    """Draw the list, by the filters of the address."""
    query, words = visit.query, visit.words
    names = await visit.ask(lambda client: FormNames.of(visit.console.packs(client), words))
    unit = visit.session.unit or query.get("unit", "")
    page = await visit.ask(
        lambda client: client.returns(
            form=query.get("form", ""),
            period=query.get("period", ""),
            state=query.get("state", ""),
            unit=unit,
            after=query.get("after", ""),
            limit=_ROWS,
        )
    )
    _filters(visit, names)
    if not page.returns:
        Tag("p", words("returns.none"), classes="card empty")
        return
    headings = ("form", "period", "unit", "version", "state", "doing")
    with table(words("returns.caption"), [words(f"returns.{each}") for each in headings]) as row:
        for each in page.returns:
            row(
                names.form(each.pack, each.form),
                each.period,
                named_unit(each),
                str(each.version),
                lambda each=each: _state(visit, names, each),
                lambda each=each: _doing(visit, names, each),
            )
    if page.next:
        link(
            words("frame.more"),
            address("/returns", **{**query, "after": page.next}),
            classes="button",
        )


def _filters(visit: Visit, names: FormNames) -> None:
    words, query = visit.words, visit.query
    everything = ("", words("returns.all"))
    forms = [(form, names.form(pack, form)) for pack, form in names.forms]
    with Tag("form", method="get", action="/returns", classes="card choose"):
        with Tag("div"):
            Tag("label", words("returns.form"), for_="form")
            with Tag("select", id="form", name="form"):
                options([everything, *forms], query.get("form", ""))
        with Tag("div"):
            Tag("label", words("returns.state"), for_="state")
            with Tag("select", id="state", name="state"):
                states = [(state, words.named("state", state)) for state in STATES]
                options([everything, *states], query.get("state", ""))
        with Tag("div"):
            Tag("label", words("returns.period"), for_="period")
            Tag("input", id="period", name="period", type="text", value=query.get("period", ""))
        Tag("button", words("choose.go"), classes="button", type="submit")


def _state(visit: Visit, names: FormNames, each: ReturnInfo) -> None:
    words = visit.words
    with Tag("div"):
        badge(words.named("state", each.state), each.state)
        if each.reason:
            Tag("p", words("due.reason", reason=each.reason, by=each.reviewed_by))
        if each.faults:
            with Tag("details"):
                Tag("summary", words("faults.count", count=len(each.faults)))
                fault_list(words, each.faults, names.fields(each.pack, each.form))


def _doing(visit: Visit, names: FormNames, each: ReturnInfo) -> None:
    words, record = visit.words, each.record_id.hex()
    about = f"{names.form(each.pack, each.form)} {each.period} {named_unit(each)}"
    own = each.origin_path == visit.console.path and visit.may("reporting.submit")
    with Tag("div", classes="doing"):
        link(
            words("returns.look"),
            address("/return", record=record),
            aria_label=words("returns.look_at", what=about),
        )
        if each.state not in ("refused", "recorded"):
            link(words("returns.receipt"), address("/receipt", record=record))
        if own and each.state in WAITING:
            link(words("returns.withdraw"), address("/withdraw", record=record))
        if own and each.state in _TO_MEND:
            mend = address(
                "/fill", pack=each.pack, form=each.form, period=each.period, unit=each.unit
            )
            link(words("due.mend"), mend)
