"""Directives down four tiers and their reports back up, on real stores."""

from dataclasses import replace

import pytest
from sqlalchemy import select

from yidao.node.access.errors import ActorElsewhere
from yidao.node.affairs.directives import records
from yidao.node.affairs.directives.commands import issue, report
from yidao.node.affairs.directives.queries import list_directives, status_tree
from yidao.node.affairs.directives.rules import Directive, EnergyTarget
from yidao.node.affairs.directives.views import directive, directive_link, directive_target
from yidao.node.affairs.errors import (
    DirectiveExists,
    DirectiveExpired,
    DirectiveFieldInvalid,
    DirectiveNotOurs,
    DirectiveOrderWrong,
    DirectiveTargetInvalid,
    DirectiveUnknown,
)
from yidao.node.store.values import DraftPart

ROOT, CITY, COUNTY, AGENCY = "/", "/33", "/33/06", "/33/06/a"

ORDER = Directive(
    number="样例节能〔2026〕1号",
    title="下达2026年度能耗指标",
    body="请按指标落实。",
    targets=(CITY, COUNTY),
    due="2026-12-31",
    energy_targets=(
        EnergyTarget(target=CITY, year=2026, indicator="EPA", cap_value="18.00", binding=True),
    ),
)


@pytest.fixture
def chain(tree):
    """Root, city, county, agency; no packs."""
    tree.grow(ROOT, CITY, COUNTY, AGENCY)
    tree.exchange()
    return tree


def give(node, content=ORDER):
    return issue(node.desk, node.actor, content)


def say(node, name, state, **more):
    return report(node.desk, node.actor, name, state, **more)


def drawn(node, name):
    """The tree as nested (path, state, percent) tuples."""

    def draw(nodes):
        return [(each.path, each.state, each.percent, *draw(each.passed_on)) for each in nodes]

    with node.desk.read() as conn:
        return draw(status_tree(conn, name))


def known(node):
    with node.desk.read() as conn:
        return [(row.state, row.content) for row in list_directives(conn, node.desk)]


def test_a_directive_is_delivered_to_its_targets_and_the_issuer_knows(chain):
    """Receipts come back without anybody's doing; who is no target does not list it."""
    name = give(chain[ROOT]).directive
    assert drawn(chain[ROOT], name) == [(CITY, "waiting", 0), (COUNTY, "waiting", 0)]
    chain.exchange()
    assert drawn(chain[ROOT], name) == [(CITY, "delivered", 0), (COUNTY, "delivered", 0)]
    assert known(chain[ROOT]) == [("issued", ORDER)]
    assert known(chain[CITY]) == known(chain[COUNTY]) == [("delivered", ORDER)]
    assert known(chain[AGENCY]) == []


def test_reports_come_up_as_a_status_tree(chain):
    """Who acknowledged, how far it is and what was said are known at the issuer."""
    name = give(chain[ROOT]).directive
    chain.exchange()
    say(chain[CITY], name, "acknowledged")
    say(chain[CITY], name, "progressed", percent=40, note="已部署")
    say(chain[COUNTY], name, "acknowledged")
    say(chain[COUNTY], name, "progressed", percent=70)
    say(chain[COUNTY], name, "completed")
    chain.exchange()
    assert drawn(chain[ROOT], name) == [(CITY, "progressed", 40), (COUNTY, "completed", 100)]
    with chain[ROOT].desk.read() as conn:
        city, county = status_tree(conn, name)
    assert (city.actor, city.note) == (chain[CITY].actor, "已部署")
    assert county.actor == chain[COUNTY].actor


def test_passing_on_draws_a_deeper_tree_at_every_ancestor(chain):
    """The root sees what the city's and the county's own directives have come to."""
    name = give(chain[ROOT], replace(ORDER, targets=(CITY,))).directive
    chain.exchange()
    say(chain[CITY], name, "acknowledged")
    second = give(
        chain[CITY],
        replace(ORDER, targets=(COUNTY,), energy_targets=(), parent_directive=name),
    ).directive
    chain.exchange()
    third = give(
        chain[COUNTY],
        replace(ORDER, targets=(AGENCY,), energy_targets=(), parent_directive=second),
    ).directive
    chain.exchange()
    say(chain[AGENCY], third, "acknowledged")
    chain.exchange()
    deepest = (AGENCY, "acknowledged", 0)
    expected = [(CITY, "acknowledged", 0, (COUNTY, "delivered", 0, deepest))]
    assert drawn(chain[ROOT], name) == drawn(chain[CITY], name) == expected
    assert drawn(chain[CITY], second) == [expected[0][3]]
    assert drawn(chain[COUNTY], third) == [deepest]
    for node in chain.nodes.values():
        assert node.store.rebuild().equal


def test_the_same_directive_again_gives_its_first_place(chain):
    """Another text under its number is refused."""
    first = give(chain[ROOT])
    again = give(chain[ROOT])
    assert again.placed.repeat
    assert (again.directive, again.placed.position) == (first.directive, first.placed.position)
    with pytest.raises(DirectiveExists):
        give(chain[ROOT], replace(ORDER, title="另一个标题"))


def test_what_may_not_be_issued_is_refused_and_nothing_is_written(chain):
    """Wrong fields, targets, parents and actors are typed errors."""
    name = give(chain[ROOT], replace(ORDER, targets=(COUNTY,), energy_targets=())).directive
    sizes = {path: chain[path].store.last_position() for path in chain.nodes}
    with pytest.raises(DirectiveFieldInvalid):
        give(chain[ROOT], replace(ORDER, number=""))
    with pytest.raises(DirectiveTargetInvalid):
        give(chain[CITY], replace(ORDER, targets=(CITY,), energy_targets=()))
    with pytest.raises(ActorElsewhere):
        issue(chain[CITY].desk, "li@/", ORDER)
    below = replace(ORDER, targets=(AGENCY,), energy_targets=())
    with pytest.raises(DirectiveUnknown):
        give(chain[COUNTY], replace(below, parent_directive="directive/x/1"))
    with pytest.raises(DirectiveNotOurs):
        give(chain[ROOT], replace(ORDER, number="2", parent_directive=name))
    figures = tuple(replace(ORDER.energy_targets[0], year=1990 + n % 200) for n in range(2_000))
    with pytest.raises(DirectiveFieldInvalid):
        give(chain[ROOT], replace(ORDER, energy_targets=figures))
    assert {path: chain[path].store.last_position() for path in chain.nodes} == sizes


def test_a_report_out_of_order_is_refused_and_nothing_is_written(chain):
    """Nobody reports on what has not come, is not theirs, or is complete."""
    name = give(chain[ROOT]).directive
    with pytest.raises(DirectiveUnknown):
        say(chain[CITY], name, "acknowledged")
    chain.exchange()
    size = chain[CITY].store.last_position()
    with pytest.raises(DirectiveOrderWrong):
        say(chain[CITY], name, "completed")
    with pytest.raises(DirectiveOrderWrong):
        say(chain[CITY], name, "progressed", percent=1)
    with pytest.raises(DirectiveNotOurs):
        say(chain[AGENCY], name, "acknowledged")
    with pytest.raises(DirectiveFieldInvalid):
        say(chain[CITY], name, "delivered")
    with pytest.raises(ActorElsewhere):
        report(chain[CITY].desk, "li@/", name, "acknowledged")
    assert chain[CITY].store.last_position() == size
    say(chain[CITY], name, "acknowledged")
    with pytest.raises(DirectiveOrderWrong):
        say(chain[CITY], name, "acknowledged")


def test_nobody_reports_or_issues_in_another_ones_name(chain):
    """A forged report, a forged issuer, a directive sideways: all are passed over."""
    name = give(chain[ROOT], replace(ORDER, targets=(CITY,))).directive
    chain.exchange()
    core = records.Report(percent=100).encode()
    chain[COUNTY].forge(
        "up:15.urgent",
        kind="directives.directive.acknowledged",
        object_id=name,
        parts=(DraftPart(name="core", body=core),),
    )
    named = replace(ORDER, number="9", targets=(COUNTY,), energy_targets=())
    chain[CITY].forge(
        "down",
        kind=records.ISSUED,
        object_id=records.object_of(chain[ROOT].identity.node_id, "9"),
        parts=(DraftPart(name="core", body=records.encode_directive(named)),),
    )
    sideways = replace(ORDER, number="8", targets=("/44",), energy_targets=())
    chain[CITY].forge(
        "down",
        kind=records.ISSUED,
        object_id=records.object_of(chain[CITY].identity.node_id, "8"),
        parts=(DraftPart(name="core", body=records.encode_directive(sideways)),),
    )
    others = records.object_of(chain[ROOT].identity.node_id, "7")
    for path, child in ((COUNTY, name), (CITY, others)):
        passage = records.Passage(child=child, targets=(COUNTY,)).encode()
        chain[path].forge(
            "up:15.urgent",
            kind=records.PASSED_ON,
            object_id=name,
            parts=(DraftPart(name="core", body=passage),),
        )
    chain.exchange()
    assert drawn(chain[ROOT], name) == [(CITY, "delivered", 0)]
    for node in chain.nodes.values():
        assert [row.object_id for row in node.query(select(directive))] == [name]
        assert [row.path for row in node.query(select(directive_target))] == [CITY]
        assert node.query(select(directive_link)) == []
        assert node.store.applied_position == node.store.last_position()


@pytest.mark.parametrize("core", [b"\xff", b"[]", b'{"percent": -1}', b'{"percent": "x"}'])
def test_a_malformed_report_is_passed_over(chain, core):
    """The target's state stays what it was."""
    name = give(chain[ROOT], replace(ORDER, targets=(CITY,))).directive
    chain.exchange()
    chain[CITY].forge(
        "up:15.urgent",
        kind="directives.directive.acknowledged",
        object_id=name,
        parts=(DraftPart(name="core", body=core),),
    )
    chain.exchange()
    states = chain[ROOT].query(select(directive_target.c.state))
    assert [state for (state,) in states] == ["delivered"]


def test_a_directive_that_has_expired_is_not_applied(chain):
    """Kept back until its last day was over it is not delivered; nobody reports on it any more."""
    ending = replace(ORDER, expires="2026-11-21")
    name = give(chain[ROOT], ending).directive
    chain._carry(chain[ROOT], chain[CITY])
    chain[CITY].settle()
    assert known(chain[CITY]) == [("delivered", ending)]
    say(chain[CITY], name, "acknowledged")
    chain.now_ms += 2 * 24 * 3600 * 1000
    chain.exchange()
    assert drawn(chain[ROOT], name) == [(CITY, "acknowledged", 0), (COUNTY, "waiting", 0)]
    for node in (ROOT, CITY, COUNTY):
        assert known(chain[node]) == [("expired", ending)]
    for action in (
        lambda: say(chain[CITY], name, "completed"),
        lambda: give(
            chain[CITY],
            replace(
                ORDER, number="转", targets=(COUNTY,), energy_targets=(), parent_directive=name
            ),
        ),
    ):
        with pytest.raises(DirectiveExpired):
            action()
    with pytest.raises(DirectiveFieldInvalid):
        give(chain[ROOT], replace(ORDER, number="又", expires="2026-13-01"))
