"""The rules of directives, as tables."""

import itertools
from dataclasses import replace

import pytest

from yidao.node.affairs.directives import records
from yidao.node.affairs.directives.rules import (
    TRANSITIONS,
    Directive,
    EnergyTarget,
    State,
    Step,
    check_directive,
    check_report,
    evolve,
    percent_after,
)
from yidao.node.affairs.errors import (
    DirectiveFieldInvalid,
    DirectiveOrderWrong,
    DirectiveTargetInvalid,
)
from yidao.sync.ids import Path

GOOD = Directive(
    number="样例节能〔2026〕1号",
    title="下达年度能耗指标",
    body="正文",
    targets=("/33", "/33/06"),
    due="2026-12-31",
    energy_targets=(
        EnergyTarget(
            target="/33/06/a",
            year=2026,
            indicator="EPA",
            base_year=2025,
            base_value="10.23",
            change_percent="-1.20",
        ),
    ),
)


def figure(**changed: object) -> Directive:
    return replace(GOOD, energy_targets=(replace(GOOD.energy_targets[0], **changed),))


def test_a_good_directive_passes_and_comes_back_from_its_record() -> None:
    """What is stated is what its record says."""
    check_directive(GOOD, Path())
    assert records.decode_directive(records.encode_directive(GOOD)) == GOOD


WRONG = {
    "no number": (replace(GOOD, number=""), DirectiveFieldInvalid),
    "a slash in the number": (replace(GOOD, number="1/2"), DirectiveFieldInvalid),
    "a blank in the number": (replace(GOOD, number="1 2"), DirectiveFieldInvalid),
    "a hidden mark in the number": (replace(GOOD, number="1\u202e2"), DirectiveFieldInvalid),
    "a number that is too long": (replace(GOOD, number="1" * 49), DirectiveFieldInvalid),
    "no title": (replace(GOOD, title=" "), DirectiveFieldInvalid),
    "a body over the limit": (replace(GOOD, body="文" * 20_001), DirectiveFieldInvalid),
    "no targets": (replace(GOOD, targets=()), DirectiveFieldInvalid),
    "a target twice": (replace(GOOD, targets=("/33", "/33")), DirectiveFieldInvalid),
    "a target that is no path": (replace(GOOD, targets=("33",)), DirectiveTargetInvalid),
    "too many targets": (
        replace(GOOD, targets=tuple(f"/{n}" for n in range(3_001))),
        DirectiveFieldInvalid,
    ),
    "a due date that is none": (replace(GOOD, due="2026-02-30"), DirectiveFieldInvalid),
    "another spelling of a date": (replace(GOOD, due="20261231"), DirectiveFieldInvalid),
    "a figure for a node that is no target": (figure(target="/44"), DirectiveTargetInvalid),
    "a figure without a path": (figure(target="x y"), DirectiveTargetInvalid),
    "a figure without an indicator": (figure(indicator=""), DirectiveFieldInvalid),
    "a figure of another age": (figure(year=1492), DirectiveFieldInvalid),
    "a figure that asks nothing": (figure(change_percent=""), DirectiveFieldInvalid),
    "a figure that is no number": (figure(change_percent="1e3"), DirectiveFieldInvalid),
    "a base that is no number": (figure(base_value="many"), DirectiveFieldInvalid),
}


@pytest.mark.parametrize("case", WRONG.values(), ids=WRONG.keys())
def test_a_wrong_directive_is_refused(case) -> None:
    """Each wrong field has its typed error."""
    directive, error = case
    with pytest.raises(error):
        check_directive(directive, Path())


@pytest.mark.parametrize("issuer", ["/33", "/33/06", "/44"])
def test_targets_lie_strictly_below_the_issuer(issuer: str) -> None:
    """Neither the issuer itself nor a node beside or above it can be a target."""
    with pytest.raises(DirectiveTargetInvalid):
        check_directive(GOOD, Path.parse(issuer))


@pytest.mark.parametrize(("state", "step"), list(itertools.product(State, Step)))
def test_only_the_steps_of_the_table_are_possible(state: State, step: Step) -> None:
    """A step that the table names gives its state, every other one is a typed error."""
    if (state, step) in TRANSITIONS:
        assert evolve(state, step) is TRANSITIONS[state, step]
    else:
        with pytest.raises(DirectiveOrderWrong):
            evolve(state, step)


def test_a_receipt_comes_before_progress_and_nothing_after_completion() -> None:
    """Nobody works on what was not acknowledged, and what is complete stays so."""
    assert (State.DELIVERED, Step.PROGRESS) not in TRANSITIONS
    assert (State.DELIVERED, Step.COMPLETE) not in TRANSITIONS
    assert not [step for state, step in TRANSITIONS if state is State.COMPLETED]


REPORTS = {
    "acknowledged": (("acknowledged", 0, ""), Step.ACKNOWLEDGE),
    "progressed": (("progressed", 40, "已部署"), Step.PROGRESS),
    "completed": (("completed", 100, ""), Step.COMPLETE),
    "delivered is the node's own word": (("delivered", 0, ""), None),
    "passed_on too": (("passed_on", 0, ""), None),
    "no such state": (("done", 0, ""), None),
    "a percentage over 100": (("progressed", 101, ""), None),
    "an acknowledgement with progress": (("acknowledged", 1, ""), None),
    "a note over the limit": (("progressed", 1, "注" * 2_001), None),
}


@pytest.mark.parametrize("case", REPORTS.values(), ids=REPORTS.keys())
def test_what_a_person_may_report(case) -> None:
    """A state of the three with a percentage; anything else is a typed error."""
    given, step = case
    if step is None:
        with pytest.raises(DirectiveFieldInvalid):
            check_report(*given)
    else:
        assert check_report(*given) is step


def test_progress_shows_what_was_reported_last() -> None:
    """Completion is 100 per cent, an acknowledgement changes nothing."""
    assert percent_after(Step.PROGRESS, 40, 10) == 40
    assert percent_after(Step.COMPLETE, 0, 40) == 100
    assert percent_after(Step.ACKNOWLEDGE, 0, 7) == 7


@pytest.mark.parametrize(
    "name",
    [
        "",
        "directive",
        "directive/zz/1",
        "directive/00/1",
        "pack/" + "0" * 32 + "/1",
        "directive/" + "0" * 32,
        "directive/" + "0" * 31 + "A/1",
    ],
)
def test_only_a_directives_name_has_an_issuer(name: str) -> None:
    """Other names give none, and nothing is raised."""
    assert records.issuer_of(name) is None
