"""Who of the subtree has not reported a form and period."""

from yidao.node.console.visit import Visit, address
from yidao.node.console.widgets.choose import chosen, draw_choice
from yidao.node.console.widgets.html import Tag, link
from yidao.node.console.widgets.names import FormNames
from yidao.node.console.widgets.tables import badge, table

_ROWS = 100


async def draw(visit: Visit) -> None:
    """Draw the count and the list."""
    words = visit.words
    names = await visit.ask(lambda client: FormNames.of(visit.console.packs(client), words))
    choice = chosen(visit, names)
    draw_choice(visit, names, choice)
    if not choice.chosen:
        Tag("p", words("choose.no_pack"), classes="card empty")
        return
    page = await visit.ask(
        lambda client: client.missing(
            pack=choice.pack,
            form=choice.form,
            period=choice.period,
            after=visit.query.get("after", ""),
            limit=_ROWS,
        )
    )
    with Tag("div", classes="card"):
        counts = words(
            "missing.counts",
            missing=page.units - page.reported,
            units=page.units,
            reported=page.reported,
        )
        Tag("p", counts, classes="count")
        Tag("progress", value=page.reported, max=max(page.units, 1), aria_label=counts)
    if not page.missing:
        Tag("p", words("missing.none"), classes="card empty")
        return
    headings = [words(f"missing.{each}") for each in ("unit", "code", "region", "node", "state")]
    with table(words("missing.caption"), headings) as row:
        for each in page.missing:
            row(
                each.unit_name,
                each.unit,
                each.region_code,
                each.origin_path,
                lambda each=each: badge(words.named("state", each.state), each.state),
            )
    if page.next:
        further = address("/missing", **{**visit.query, "after": page.next})
        link(words("frame.more"), further, classes="button")
