"""Reports from an agency over county and city to the root, on real stores."""

import orjson
import pytest
from sqlalchemy import select

from yidao.catalog.errors import PackConflict, PackInvalid, PackUnknown
from yidao.node.access.actors import parse_actor
from yidao.node.access.errors import ActorElsewhere
from yidao.node.affairs.errors import (
    CursorInvalid,
    PackPublishForbidden,
    ReturnStateWrong,
    ReturnUnknown,
    ReviewForbidden,
    ReviewOwn,
    ReviewScopeInvalid,
    RowsTooMany,
)
from yidao.node.affairs.registry.queries import count_units, list_units
from yidao.node.affairs.registry.views import unit
from yidao.node.affairs.reporting import records, review
from yidao.node.affairs.reporting.queries import ReturnFilter, list_returns, roll_up
from yidao.node.affairs.reporting.review import Choice
from yidao.node.affairs.reporting.rules import Decision
from yidao.node.affairs.reporting.tables import early_verdict, return_version
from yidao.node.affairs.standards.commands import publish_pack
from yidao.node.affairs.standards.queries import list_packs, pack_bytes
from yidao.node.store.values import DraftPart
from yidao.sync.record import Release

ROOT, CITY, COUNTY, AGENCY = "/", "/33", "/33/06", "/33/06/a"
Q2 = "2025-Q2"


def listed(node, **wanted):
    with node.desk.read() as conn:
        return list_returns(conn, ReturnFilter(**wanted))[0]


def outcomes(done) -> list[str]:
    return [result.outcome.value for result in done.results]


def codes(done) -> list[list[str]]:
    return [[fault.rule or fault.code for fault in result.faults] for result in done.results]


def totals(node, form: str = "consumption", period: str = Q2):
    return roll_up(node.desk, "energy", form, period)


def accept(node, **choice):
    return node.affairs.review.review(
        node.actor, Choice(**(choice or {"period": Q2})), Decision.ACCEPT.value
    )


def give_back(node, *record_ids: bytes, reason: str = "水费缺凭证"):
    return node.affairs.review.review(
        node.actor, Choice(record_ids=record_ids), Decision.RETURN.value, reason
    )


# The way up.


def test_a_return_goes_up_and_its_figures_follow_the_acceptance(registered, rows):
    """The city knows a submitted return by its header and its figures once it is accepted."""
    tree = registered()
    done = tree[AGENCY].submit(
        rows.profile(0), rows.consumption(0), rows.profile(1), rows.consumption(1)
    )
    assert outcomes(done) == ["submitted"] * 4
    assert codes(done) == [[]] * 4
    tree.exchange()

    city = totals(tree[CITY])
    assert (city.submitted.returns, city.submitted.summed) == (2, 0)
    assert city.accepted.returns == 0
    assert {row.payload for row in listed(tree[CITY])} == {b""}
    county = totals(tree[COUNTY])
    assert (county.submitted.returns, county.submitted.summed) == (2, 2)
    assert county.submitted.fields["elec_kwh"] == "100001.00"
    assert county.accepted.returns == 0

    assert (accept(tree[COUNTY]).reviewed, accept(tree[COUNTY]).left) == (4, 0)
    tree.exchange()
    everywhere = [totals(tree[path]) for path in tree.nodes]
    assert [each.accepted for each in everywhere] == [everywhere[0].accepted] * 4
    assert [each.submitted for each in everywhere] == [everywhere[0].submitted] * 4
    top = everywhere[0].accepted
    assert top.returns == top.summed == 2
    assert top.fields["elec_kwh"] == "100001.00"
    assert top.fields["total_tce"] > "0"
    assert top.indicators["EPC"]
    for path in tree.nodes:
        assert {row.state for row in listed(tree[path])} == {"accepted"}
        assert {row.reviewed_by for row in listed(tree[path])} == {tree[COUNTY].actor}


def test_a_roll_up_names_the_journals_that_it_rests_on(registered, rows):
    """Every journal with a return or an acceptance, at the size that the figures cover."""
    tree = registered()
    tree[AGENCY].submit(rows.consumption(0))
    tree.exchange()
    accept(tree[COUNTY])
    tree.exchange()
    found = totals(tree[ROOT])
    heads = {
        head.journal.origin(tree[ROOT].identity.network): head for head in tree[ROOT].store.heads()
    }
    owners = {tree[path].identity.node_id.hex() for path in (AGENCY, COUNTY)}
    assert {each.origin.split("/")[2] for each in found.frontiers} == owners
    for each in found.frontiers:
        assert (each.size, each.root) == (heads[each.origin].size, heads[each.origin].root)
    assert found.position == tree[ROOT].store.last_position()


def test_a_form_that_stays_never_leaves(registered, rows):
    """A monthly ledger and its file are recorded at the agency and known nowhere else."""
    tree = registered()
    done = tree[AGENCY].submit(rows.ledger(0, attachment=b"meter readings"))
    assert outcomes(done) == ["recorded"]
    tree.exchange()
    assert [row.state for row in listed(tree[AGENCY])] == ["recorded"]
    assert listed(tree[COUNTY]) == ()
    again = tree[AGENCY].submit(rows.ledger(0, elec_kwh="17001.00"))
    assert (outcomes(again), again.results[0].version) == (["recorded"], 2)
    assert [row.state for row in listed(tree[AGENCY])] == ["superseded", "recorded"]


def test_a_file_goes_one_tier_up(registered, rows):
    """The parent that judges has the file, the tiers above have not."""
    tree = registered()
    row = rows.consumption(0)
    tree[AGENCY].submit(rows.row("consumption", Q2, row.payload, attachment=b"invoice"))
    tree.exchange()
    accept(tree[COUNTY])
    tree.exchange()
    for path, there in ((COUNTY, True), (CITY, False), (ROOT, False)):
        [(pk, seq)] = tree[path].query(select(return_version.c.journal_pk, return_version.c.seq))
        parts = tree[path].store.parts_of(pk, [seq])[seq]
        assert ("file:1" in parts) is there
        assert "core" in parts


def test_personal_fields_go_one_tier_up(four, rows):
    """The city sees the registry entry without the person in it."""
    done = four[AGENCY].submit(rows.institution(0, statistician="样例张三"))
    assert outcomes(done) == ["submitted"]
    four.exchange()
    for path in four.nodes:
        [(entry,)] = four[path].query(select(unit.c.entry))
        assert "statistician" not in orjson.loads(entry)
    held = {
        path: any("pii" in record.parts for record in four[path].store.records(0, 100))
        for path in (AGENCY, COUNTY, CITY)
    }
    assert held == {AGENCY: True, COUNTY: True, CITY: False}
    assert outcomes(four[AGENCY].submit(rows.institution(0, statistician="样例张三"))) == [
        "unchanged"
    ]
    assert outcomes(four[AGENCY].submit(rows.institution(0, statistician="样例李四"))) == [
        "submitted"
    ]


# Judging.


def test_the_version_in_force_judges_a_period(registered, rows):
    """2025 goes by the version of 2022; 2026 by the revision, which refuses 用地面积 by name."""
    tree = registered()
    done = tree[AGENCY].submit(
        rows.profile(0, "2025-Q4", land_area="900.00"),
        rows.profile(0, "2026-Q1", land_area="900.00"),
        rows.profile(0, "2026-Q1"),
    )
    assert outcomes(done) == ["submitted", "refused", "submitted"]
    [fault] = done.results[1].faults
    assert (fault.field, fault.code) == ("land_area", "FIELD_RETIRED")
    assert "用地面积" in fault.zh
    assert [row.pack_version for row in listed(tree[AGENCY])] == ["2022", "2025", "2025"]


WRONG = {
    "a total that is not the sum of its parts": (
        lambda rows: rows.consumption(0, water_tap_m3="1.00"),
        ["EN-01"],
    ),
    "a negative quantity": (
        lambda rows: rows.consumption(0, elec_kwh="-1.00"),
        ["VALUE_RANGE"],
    ),
    "a wrong check character": (
        lambda rows: rows.consumption(0, uscc="113301060000000009"),
        ["VALUE_CHECK_DIGIT"],
    ),
    "a unit that nobody registered": (lambda rows: rows.consumption(9), ["UNIT_UNKNOWN"]),
    "a period of another kind": (
        lambda rows: rows.consumption(0, "2025-07"),
        ["ROW_PERIOD_KIND_WRONG"],
    ),
    "a period that is none": (lambda rows: rows.consumption(0, "2025-Q5"), ["PERIOD_INVALID"]),
    "no period": (
        lambda rows: rows.row("consumption", "", {"uscc": rows.unit(0)}),
        ["ROW_PERIOD_KIND_WRONG"],
    ),
    "a period for the registry": (
        lambda rows: rows.row("institution", Q2, rows.institution(0).payload),
        ["ROW_PERIOD_KIND_WRONG"],
    ),
    "two periods": (
        lambda rows: rows.row("consumption", "2025-Q3", rows.consumption(0).payload),
        ["ROW_PERIOD_MISMATCH"],
    ),
    "no version of that time": (
        lambda rows: rows.consumption(0, "1999-Q1"),
        ["PACK_NOT_IN_FORCE"],
    ),
    "a form that is none": (lambda rows: rows.row("x" * 900, Q2, {}), ["FORM_UNKNOWN"]),
    "no JSON": (lambda rows: rows.row("consumption", Q2, b"{"), ["PAYLOAD_INVALID"]),
    "no UTF-8": (lambda rows: rows.row("consumption", Q2, b'{"uscc":"\xff"}'), ["PAYLOAD_INVALID"]),
    "a nested row": (
        lambda rows: rows.row("consumption", Q2, {"uscc": {"a": 1}}),
        ["PAYLOAD_INVALID"],
    ),
    "a float": (lambda rows: rows.consumption(0, elec_kwh=1.5), ["PAYLOAD_INVALID"]),
    "a payload over the limit": (
        lambda rows: rows.row("consumption", Q2, b" " * 40_000),
        ["PAYLOAD_TOO_LARGE"],
    ),
    "a file over the limit": (
        lambda rows: rows.row(
            "consumption", Q2, rows.consumption(0).payload, attachment=b"x" * 262_145
        ),
        ["ATTACHMENT_TOO_LARGE"],
    ),
    "a cause that is no id": (
        lambda rows: rows.row("consumption", Q2, rows.consumption(0).payload, causes=(b"x",)),
        ["CAUSES_INVALID"],
    ),
}


@pytest.mark.parametrize("case", WRONG.values(), ids=WRONG.keys())
def test_a_wrong_row_is_refused_and_the_others_go_on(agency, rows, case) -> None:
    """Each wrong row is refused with its faults in both languages; its neighbours are handed in."""
    make, expected = case
    before = count(agency)
    good = [
        rows.consumption(0, elec_kwh=f"{before + 1}.00"),
        rows.profile(0, energy_users=before + 1),
    ]
    done = agency.submit(good[0], make(rows), good[1])
    assert outcomes(done) == ["submitted", "refused", "submitted"]
    faults = done.results[1].faults
    assert [fault.rule or fault.code for fault in faults if fault.severity == "error"] == expected
    assert all(fault.zh and fault.en for fault in faults)
    [kept] = [row for row in listed(agency) if row.record_id == done.results[1].record_id]
    assert (kept.state, kept.faults) == ("refused", faults)
    assert outcomes(agency.submit(make(rows))) == ["unchanged"]
    assert count(agency) == before + 3


def count(node) -> int:
    return len(node.query(select(return_version.c.position)))


def test_a_refused_row_never_leaves_the_agency(registered, rows):
    """The county hears of good rows only."""
    tree = registered()
    tree[AGENCY].submit(rows.consumption(0, water_tap_m3="1.00"), rows.consumption(1))
    tree.exchange()
    assert [row.unit for row in listed(tree[COUNTY])] == [rows.unit(1)]


def test_a_corrected_row_is_accepted_and_both_versions_stay(registered, rows):
    """The wrong version keeps its number and its faults; the right one is the next."""
    tree = registered()
    tree[AGENCY].submit(rows.consumption(0, water_tap_m3="1.00"))
    done = tree[AGENCY].submit(rows.consumption(0))
    assert (outcomes(done), done.results[0].version) == (["submitted"], 2)
    tree.exchange()
    accept(tree[COUNTY])
    tree.exchange()
    assert [(row.version, row.state) for row in listed(tree[AGENCY])] == [
        (1, "refused"),
        (2, "accepted"),
    ]


def test_a_row_sees_the_rows_before_it_in_its_own_call(four, rows):
    """Unit, size and consumption can be handed in at once; the order counts."""
    done = four[AGENCY].submit(rows.consumption(0), rows.institution(0), rows.consumption(0))
    assert outcomes(done) == ["refused", "submitted", "submitted"]
    assert codes(done)[0] == ["UNIT_UNKNOWN"]
    wild = rows.consumption(0, "2025-Q3", elec_kwh="90000000.00", elec_fee="55800000.00")
    done = four[AGENCY].submit(rows.profile(0, "2025-Q3"), wild)
    assert any(code.startswith("EN-12") for code in codes(done)[1])
    assert outcomes(done) == ["submitted"] * 2


def test_the_rules_compare_with_the_year_before(registered, rows):
    """A jump against the same quarter of the year before is a warning, not a refusal."""
    tree = registered()
    tree[AGENCY].submit(rows.consumption(0, "2024-Q2"))
    jump = rows.consumption(0, Q2, elec_kwh="150000.00", elec_fee="93000.00")
    done = tree[AGENCY].submit(jump)
    assert outcomes(done) == ["submitted"]
    assert "EN-10.elec" in codes(done)[0]


def test_the_same_rows_again_change_nothing(registered, rows):
    """An import can be run again, before and after the acceptance."""
    tree = registered()
    batch = [rows.profile(0), rows.consumption(0), rows.consumption(1, water_tap_m3="1.00")]
    first = tree[AGENCY].submit(*batch)
    size = tree[AGENCY].store.last_position()
    again = tree[AGENCY].submit(*batch)
    assert outcomes(again) == ["unchanged"] * 3
    assert [each.record_id for each in again.results] == [each.record_id for each in first.results]
    assert tree[AGENCY].store.last_position() == size
    tree.exchange()
    accept(tree[COUNTY])
    tree.exchange()
    assert outcomes(tree[AGENCY].submit(*batch)) == ["unchanged"] * 3


def test_a_row_twice_in_one_call_makes_two_versions_or_none(registered, rows):
    """The second row is judged on the first one."""
    tree = registered()
    done = tree[AGENCY].submit(
        rows.consumption(0), rows.consumption(0), rows.consumption(0, elec_kwh="50001.00")
    )
    assert outcomes(done) == ["submitted", "unchanged", "submitted"]
    assert [each.version for each in done.results] == [1, 1, 2]


def test_a_dry_run_judges_and_appends_nothing(registered, rows):
    """The outcome is told, the store stays as it is."""
    tree = registered()
    size = tree[AGENCY].store.last_position()
    batch = [rows.institution(7), rows.profile(7), rows.consumption(7, water_tap_m3="1.00")]
    done = tree[AGENCY].submit(*batch, dry_run=True)
    assert outcomes(done) == ["valid", "valid", "refused"]
    assert tree[AGENCY].store.last_position() == size
    assert {each.record_id for each in done.results} == {b""}


def test_a_unit_belongs_to_the_node_that_registered_it(four, rows):
    """Nobody else can register or report it; a claim that comes all the same is contested."""
    four.grow("/33/06/b")
    four.exchange()
    four[AGENCY].submit(rows.institution(0))
    four.exchange()
    refused = four[COUNTY].submit(rows.institution(0, name="样例别名"), rows.consumption(0))
    assert codes(refused) == [["UNIT_HOSTED_ELSEWHERE"], ["UNIT_HOSTED_ELSEWHERE"]]
    # The sibling cannot know of the first registration; the tiers above see both.
    assert outcomes(four["/33/06/b"].submit(rows.institution(0))) == ["submitted"]
    four.exchange()
    for path in (COUNTY, CITY, ROOT):
        with four[path].desk.read() as conn:
            [held] = list_units(conn, "", 10)
            assert (held.origin_path, held.contested) == (AGENCY, True)
            assert count_units(conn) == 1


def test_a_call_over_the_limit_or_without_a_standard_appends_nothing(tree, rows):
    """Too many rows, a pack that is still on its way, an actor from elsewhere: typed errors."""
    tree.grow(ROOT, CITY)
    with pytest.raises(PackUnknown):
        tree[CITY].submit(rows.institution(0))
    tree.publish("2022")
    with pytest.raises(RowsTooMany):
        tree[CITY].submit(*(rows.institution(index) for index in range(501)))
    with pytest.raises(ActorElsewhere):
        tree[CITY].affairs.submission.submit("energy", "li@/", [rows.institution(0)])
    assert listed(tree[CITY]) == ()


# Verdicts.


def test_a_returned_return_is_handed_in_again(registered, rows):
    """The origin reads the reason, and may even hand in the same row again."""
    tree = registered()
    done = tree[AGENCY].submit(rows.consumption(0))
    tree.exchange()
    give_back(tree[COUNTY], done.results[0].record_id)
    tree.exchange()
    for path in tree.nodes:
        [row] = listed(tree[path])
        assert (row.state, row.reason) == ("returned", "水费缺凭证")
    assert totals(tree[ROOT]).submitted.returns == 0
    again = tree[AGENCY].submit(rows.consumption(0))
    assert (outcomes(again), again.results[0].version) == (["submitted"], 2)
    tree.exchange()
    accept(tree[COUNTY])
    tree.exchange()
    assert [row.state for row in listed(tree[ROOT])] == ["returned", "accepted"]
    assert totals(tree[ROOT]).accepted.returns == 1


def test_a_correction_replaces_the_accepted_figures_once_it_is_accepted(registered, rows):
    """Until then the accepted total stands on the older version, the submitted one on the newer."""
    tree = registered()
    tree[AGENCY].submit(rows.consumption(0))
    tree.exchange()
    accept(tree[COUNTY])
    tree[AGENCY].submit(rows.consumption(0, elec_kwh="60000.00"))
    tree.exchange()
    county = totals(tree[COUNTY])
    assert county.submitted.fields["elec_kwh"] == "60000.00"
    assert county.accepted.fields["elec_kwh"] == "50000.00"
    city = totals(tree[CITY])
    assert (city.submitted.returns, city.submitted.summed) == (1, 0)
    assert city.accepted.fields["elec_kwh"] == "50000.00"
    accept(tree[COUNTY])
    tree.exchange()
    for path in tree.nodes:
        assert totals(tree[path]).accepted.fields["elec_kwh"] == "60000.00"
        assert totals(tree[path]).accepted.returns == 1
        assert [row.state for row in listed(tree[path])] == ["superseded", "accepted"]


def test_only_the_newest_waiting_version_is_chosen(registered, rows):
    """A review of all that waits does not accept what is overtaken already."""
    tree = registered()
    tree[AGENCY].submit(rows.consumption(0))
    tree[AGENCY].submit(rows.consumption(0, elec_kwh="60000.00"))
    tree.exchange()
    assert accept(tree[COUNTY]).reviewed == 1
    assert [row.state for row in listed(tree[COUNTY])] == ["superseded", "accepted"]


def test_a_review_has_a_limit_and_tells_what_is_left(registered, rows):
    """The next call takes the rest."""
    tree = registered(3)
    tree[AGENCY].submit(*(rows.consumption(index) for index in range(3)))
    tree.exchange()
    first = accept(tree[COUNTY], form="consumption", limit=2)
    assert (first.reviewed, first.left) == (2, 1)
    assert accept(tree[COUNTY], form="consumption").reviewed == 1
    assert accept(tree[COUNTY], form="consumption").reviewed == 0


def test_what_is_left_is_counted_only_so_far(registered, rows, monkeypatch):
    """A country may wait; but whoever asks first, by a dry run, is told of all."""
    monkeypatch.setattr(review, "MAX_LEFT", 1)
    tree = registered(4)
    tree[AGENCY].submit(*(rows.consumption(index) for index in range(4)))
    tree.exchange()
    assert accept(tree[COUNTY], form="consumption", limit=1, dry_run=True).left == 4
    assert accept(tree[COUNTY], form="consumption", limit=1).left == 1
    assert accept(tree[COUNTY], form="consumption", limit=2).left == 1
    assert accept(tree[COUNTY], form="consumption").left == 0


def test_nobody_reviews_what_they_submitted(registered, rows, monkeypatch):
    """Even if a node below writes down that the reviewer was who submitted it."""
    tree = registered()
    reviewer = tree[COUNTY].actor
    with monkeypatch.context() as patched:
        patched.setattr("yidao.node.affairs.desk.authorise", lambda text, _: parse_actor(text))
        done = tree[AGENCY].affairs.submission.submit("energy", reviewer, [rows.consumption(0)])
    tree[AGENCY].submit(rows.consumption(1))
    tree.exchange()
    with pytest.raises(ReviewOwn):
        accept(tree[COUNTY], record_ids=(done.results[0].record_id,))
    assert accept(tree[COUNTY], form="consumption").reviewed == 1
    other = f"another@{COUNTY}"
    review = tree[COUNTY].affairs.review
    assert review.review(other, Choice(form="consumption"), "accept").reviewed == 1


def test_a_verdict_that_may_not_be_is_refused_and_nothing_is_written(registered, rows):
    """Wrong tier, wrong state, unknown record, no scope: typed errors, the store unchanged."""
    tree = registered()
    done = tree[AGENCY].submit(rows.consumption(0), rows.consumption(1))
    first, second = (result.record_id for result in done.results)
    tree.exchange()
    accept(tree[COUNTY], record_ids=(first,))
    sizes = {path: tree[path].store.last_position() for path in tree.nodes}
    with pytest.raises(ReviewForbidden):
        accept(tree[CITY], record_ids=(second,))
    with pytest.raises(ReviewForbidden):
        accept(tree[AGENCY], record_ids=(second,))
    with pytest.raises(ReturnStateWrong):
        accept(tree[COUNTY], record_ids=(second, first))
    with pytest.raises(ReturnUnknown):
        accept(tree[COUNTY], record_ids=(bytes(16),))
    for choice in (Choice(), Choice(record_ids=(second,), form="x"), Choice(form="x", limit=0)):
        with pytest.raises(ReviewScopeInvalid):
            tree[COUNTY].affairs.review.review(tree[COUNTY].actor, choice, "accept")
    with pytest.raises(ActorElsewhere):
        tree[COUNTY].affairs.review.review("li@/33", Choice(form="consumption"), "accept")
    assert accept(tree[CITY], form="consumption").reviewed == 0
    assert {path: tree[path].store.last_position() for path in tree.nodes} == sizes


# What a faulty or hostile child sends is a verdict, never a stall.


def forged(node, rows, **changed):
    """A return as the agency would write it, but for what is changed."""
    key = records.ReturnKey(pack="energy", form="consumption", period=Q2, unit=rows.unit(0))
    with node.desk.read() as conn:
        digest = next(each.sha256 for each in list_packs(conn) if each.version == "2022")
    body = changed.pop("body", rows.consumption(0).payload)
    part = DraftPart(name="core", body=body, release=Release.WHEN_ACCEPTED)
    fields = {
        "kind": records.SUBMITTED,
        "object_id": key.object_id,
        "unit": key.unit,
        "period": Q2,
        "schema": "energy/2022/consumption",
        "schema_sha256": digest,
        "parts": (part,),
    }
    node.forge("up:15", **fields | changed)


DOUBTS = {
    "a payload that is none": ({"body": b"{"}, "PAYLOAD_INVALID"),
    "a broken rule": (
        {"body": b'{"uscc": 1}'},
        "HEADER_CONTRADICTS_PAYLOAD",
    ),
    "another object": (
        {"object_id": "return/energy/consumption/2025-Q3/x"},
        "HEADER_CONTRADICTS_PAYLOAD",
    ),
    "an unknown schema": ({"schema": "energy/1999/consumption"}, "SCHEMA_UNKNOWN"),
    "another pack of that name": ({"schema_sha256": bytes(32)}, "SCHEMA_MISMATCH"),
}


@pytest.mark.parametrize("case", DOUBTS.values(), ids=DOUBTS.keys())
def test_a_wrong_return_of_a_child_is_doubtful_and_what_follows_goes_on(registered, rows, case):
    """The parent says what is wrong, can only return it, and the next return is fine."""
    changed, code = case
    tree = registered()
    forged(tree[AGENCY], rows, **changed)
    tree[AGENCY].submit(rows.consumption(1))
    tree.exchange()
    found = {row.state: row for row in listed(tree[COUNTY])}
    assert set(found) == {"doubtful", "submitted"}
    assert [fault.code for fault in found["doubtful"].faults] == [code]
    sums = totals(tree[COUNTY]).submitted
    assert sums.summed == 1
    assert accept(tree[COUNTY], form="consumption").reviewed == 1
    with pytest.raises(ReturnStateWrong):
        accept(tree[COUNTY], record_ids=(found["doubtful"].record_id,))
    give_back(tree[COUNTY], found["doubtful"].record_id)
    tree.exchange()
    assert {row.state for row in listed(tree[ROOT])} == {"returned", "accepted"}


def test_the_origin_sees_every_fault_that_its_parent_found(registered, rows):
    """A doubtful return that comes back brings its faults along, with the reviewer's reason."""
    tree = registered()
    row = orjson.loads(rows.consumption(0).payload)
    row |= {"elec_kwh": "-1.00", "water_m3": "-7.00"}
    forged(tree[AGENCY], rows, body=orjson.dumps(row))
    tree.exchange()
    [doubtful] = listed(tree[COUNTY])
    assert len(doubtful.faults) >= 2
    give_back(tree[COUNTY], doubtful.record_id)
    tree.exchange()
    [back] = listed(tree[AGENCY])
    assert (back.state, back.reason) == ("returned", "水费缺凭证")
    assert back.faults == doubtful.faults
    assert tree[AGENCY].store.rebuild().equal


def test_figures_that_overflow_count_but_are_in_no_sum(registered, rows):
    """A figure that no total can hold is left out of the sums, with the reason."""
    tree = registered(12)
    huge = "9" * 14 + ".99"
    batch = [rows.consumption(index, elec_kwh=huge, elec_fee="1.00") for index in range(2)]
    assert outcomes(tree[AGENCY].submit(*batch)) == ["submitted"] * 2
    for index in range(2, 12):
        forged_row = orjson.loads(rows.consumption(index).payload)
        forged_row |= {"coal_fee": "9" * 16 + ".99", "coal_t": "1.000"}
        key = records.ReturnKey(pack="energy", form="consumption", period=Q2, unit=rows.unit(index))
        forged(
            tree[AGENCY],
            rows,
            body=orjson.dumps(forged_row),
            object_id=key.object_id,
            unit=key.unit,
        )
    held = totals(tree[AGENCY]).submitted
    assert held.returns == 12
    assert held.summed < 12
    excluded = tree[AGENCY].query(
        select(return_version.c.excluded).where(return_version.c.excluded != "")
    )
    assert {code for (code,) in excluded} == {"NUMBER_OVERFLOW"}
    assert len(excluded) == 12 - held.summed


def forge_acceptance(county, record_id: bytes) -> None:
    """Accept what the rules would not let through, as a faulty county would."""
    [row] = county.query(select(return_version).where(return_version.c.record_id == record_id))
    key = records.ReturnKey(pack=row.pack, form=row.form, period=row.period, unit=row.unit)
    verdict = records.Verdict(origin=bytes(row.origin), decision=Decision.ACCEPT, reason="")
    county.forge(
        "up:15",
        kind=records.ACCEPTED,
        object_id=key.object_id,
        causes=(record_id,),
        releases=((row.journal_pk, row.seq),),
        parts=(DraftPart(name="core", body=verdict.encode()),),
    )


def test_an_acceptance_that_overflows_takes_the_figures_out_of_both_sums(registered, rows):
    """A correction made room in the submitted sums only; they never hold what the others lack."""
    tree = registered(10)
    agency, county, city = tree[AGENCY], tree[COUNTY], tree[CITY]

    def costly(index: int) -> bytes:
        record_id = agency.desk.mint()
        row = orjson.loads(rows.consumption(index).payload)
        row |= {"coal_fee": "9999999999999999.99", "coal_t": "1.000"}
        key = records.ReturnKey(pack="energy", form="consumption", period=Q2, unit=rows.unit(index))
        body = orjson.dumps(row)
        forged(agency, rows, body=body, object_id=key.object_id, unit=key.unit, record_id=record_id)
        return record_id

    first = [costly(index) for index in range(9)]
    tree.exchange()
    for record_id in first:
        forge_acceptance(county, record_id)
    forged(agency, rows, object_version=2)
    last = costly(9)
    tree.exchange()
    before = totals(city)
    assert (before.submitted.returns, before.submitted.summed) == (10, 8)
    assert (before.accepted.returns, before.accepted.summed) == (9, 9)
    forge_acceptance(county, last)
    tree.exchange()
    after = totals(city)
    assert (after.submitted.returns, after.submitted.summed) == (10, 8)
    assert (after.accepted.returns, after.accepted.summed) == (10, 9)
    assert after.submitted.fields["coal_fee"] == "79999999999999999.92"
    assert after.accepted.fields["coal_fee"] == "89999999999999999.91"


def test_nobody_but_the_parent_accepts(registered, rows):
    """An acceptance by the origin itself, or by a tier too high, changes nothing anywhere."""
    tree = registered()
    [result] = tree[AGENCY].submit(rows.consumption(0)).results
    tree.exchange()
    key = records.ReturnKey(pack="energy", form="consumption", period=Q2, unit=rows.unit(0))
    for path in (AGENCY, CITY, ROOT):
        verdict = records.Verdict(
            origin=tree[AGENCY].identity.node_id, decision=Decision.ACCEPT, reason=""
        )
        tree[path].forge(
            "up:15",
            kind=records.ACCEPTED,
            object_id=key.object_id,
            causes=(result.record_id,),
            parts=(DraftPart(name="core", body=verdict.encode()),),
        )
    tree.exchange()
    for path in tree.nodes:
        assert [row.state for row in listed(tree[path])] == ["submitted"]
        assert totals(tree[path]).accepted.returns == 0


def test_a_child_cannot_refuse_record_or_doubt_here(registered, rows):
    """Kinds that stay at their node are not believed when they come from elsewhere."""
    tree = registered()
    refusal = records.Refusal(payload=b"{}", faults=())
    forged(tree[AGENCY], rows, kind=records.REFUSED, body=refusal.encode())
    forged(tree[AGENCY], rows, kind=records.RECORDED)
    [result] = tree[AGENCY].submit(rows.consumption(1)).results
    doubt = records.Doubt(origin=tree[AGENCY].identity.node_id, faults=())
    key = records.ReturnKey(pack="energy", form="consumption", period=Q2, unit=rows.unit(1))
    forged(
        tree[AGENCY],
        rows,
        kind=records.DOUBTED,
        body=doubt.encode(),
        object_id=key.object_id,
        causes=(result.record_id,),
    )
    tree.exchange()
    assert [row.state for row in listed(tree[COUNTY])] == ["submitted"]


MALFORMED = {
    "no core": (records.ACCEPTED, None),
    "a core that is no JSON": (records.ACCEPTED, b"\xff"),
    "a core that is a list": (records.RETURNED, b"[]"),
    "a node id that is none": (records.RETURNED, b'{"origin": "xyz"}'),
    "a number for a text": (records.RETURNED, b'{"origin": "%s", "reason": 7}' % (b"0" * 32)),
    "a letter that is none": (records.NOTIFIED, b'{"reviews": [1]}'),
    "faults that are none": (records.DOUBTED, b'{"origin": "%s", "faults": {}}' % (b"0" * 32)),
}


@pytest.mark.parametrize("case", MALFORMED.values(), ids=MALFORMED.keys())
def test_a_malformed_verdict_is_passed_over(registered, rows, case):
    """The views stay in step and show nothing of it."""
    kind, core = case
    tree = registered()
    [result] = tree[AGENCY].submit(rows.consumption(0)).results
    tree[AGENCY].forge(
        "up:15",
        kind=kind,
        object_id=f"return/energy/consumption/{Q2}/{rows.unit(0)}",
        causes=(result.record_id,),
        parts=(DraftPart(name="core", body=core),) if core is not None else (),
    )
    tree.exchange()
    for path in tree.nodes:
        assert [row.state for row in listed(tree[path])] == ["submitted"]
        assert tree[path].store.applied_position == tree[path].store.last_position()


def test_a_verdict_that_comes_before_its_return_waits_for_it(registered, rows):
    """Mending a journal brings its records after what was said of them; the outcome is the same."""
    tree = registered()
    county, agency = tree[COUNTY], tree[AGENCY]
    record_id = agency.desk.mint()
    key = records.ReturnKey(pack="energy", form="consumption", period=Q2, unit=rows.unit(0))
    verdict = records.Verdict(origin=agency.identity.node_id, decision=Decision.ACCEPT, reason="早")
    county.forge(
        "up:15",
        kind=records.ACCEPTED,
        object_id=key.object_id,
        causes=(record_id,),
        parts=(DraftPart(name="core", body=verdict.encode()),),
    )
    assert len(county.query(select(early_verdict))) == 1
    forged(agency, rows, record_id=record_id)
    tree.exchange()
    [row] = listed(county)
    assert (row.state, row.reason) == ("accepted", "早")
    assert totals(county).accepted.fields["elec_kwh"] == "50000.00"
    assert county.query(select(early_verdict)) == []


# Rebuild.


def test_a_rebuild_gives_equal_tables_at_every_tier(registered, rows):
    """Folding all journals again gives the same rows, whatever was handed in, judged and undone."""
    tree = registered(6)
    tree[AGENCY].submit(*(rows.profile(index) for index in range(6)))
    tree[AGENCY].submit(*(rows.consumption(index) for index in range(6)), rows.ledger(0))
    forged(tree[AGENCY], rows, body=b"{")
    tree.exchange()
    waiting = [row.record_id for row in listed(tree[COUNTY], state="submitted")]
    give_back(tree[COUNTY], waiting[0])
    accept(tree[COUNTY])
    tree.exchange()
    tree[AGENCY].submit(
        rows.consumption(1, elec_kwh="7.00", elec_fee="5.00"),
        rows.consumption(2, water_tap_m3="1.00"),
        rows.institution(3, name="样例新名"),
    )
    tree.exchange()
    accept(tree[COUNTY])
    tree.exchange()
    for node in tree.nodes.values():
        report = node.store.rebuild()
        assert report.equal, [each.name for each in report.tables if each.before != each.after]
        assert {each.name for each in report.tables} >= {"return_version", "rollup", "unit", "pack"}
        assert next(each.rows for each in report.tables if each.name == "return_version") > 0


# Standards.


def test_only_the_root_publishes(four):
    """Any other node is refused; nothing is appended."""
    size = four[CITY].store.last_position()
    with pytest.raises(PackPublishForbidden):
        publish_pack(four[CITY].desk, b"x", four[CITY].actor)
    assert four[CITY].store.last_position() == size


def test_a_version_is_published_once(four, packs):
    """The same bytes give the first place, other bytes of that version are refused."""
    root = four[ROOT]
    size = root.store.last_position()
    placed = publish_pack(root.desk, packs("2022"), root.actor)
    assert placed.repeat
    assert root.store.record_at(placed.position).header.record_id == placed.record_id
    with pytest.raises(PackConflict):
        publish_pack(root.desk, packs("2022") + b"# changed\n", root.actor)
    with pytest.raises(PackInvalid):
        publish_pack(root.desk, b"format: 1\n", root.actor)
    assert root.store.last_position() == size


def test_a_pack_comes_to_every_node_as_it_was_published(four, packs):
    """The exact bytes, by version and by a day on which they are in force."""
    for node in four.nodes.values():
        with node.desk.read() as conn:
            assert [each.version for each in list_packs(conn)] == ["2022", "2025"]
            assert pack_bytes(conn, "energy", "2022", "") == packs("2022")
            assert pack_bytes(conn, "energy", "", "2026-02-01") == packs("2025")


def test_a_pack_of_another_node_is_not_believed(four):
    """A city that writes a publication changes no standard below it."""
    four[CITY].forge(
        "down.control",
        kind="standards.pack.published",
        object_id="pack/other",
        schema="other@1",
        parts=(DraftPart(name="core", body=b"format: 1\n"),),
    )
    four.exchange()
    for node in four.nodes.values():
        with node.desk.read() as conn:
            assert {each.id for each in list_packs(conn)} == {"energy"}


def test_a_pack_that_this_program_cannot_read_is_listed_and_not_in_force(four):
    """A newer root may publish what an older node does not know."""
    four[ROOT].forge(
        "down.control",
        kind="standards.pack.published",
        object_id="pack/future",
        schema="future@9",
        parts=(DraftPart(name="core", body=b"format: 99\n"),),
    )
    four.exchange()
    with four[AGENCY].desk.read() as conn:
        [future] = [each for each in list_packs(conn) if each.id == "future"]
        assert future.unusable == "PACK_INVALID"
        with pytest.raises(PackUnknown):
            pack_bytes(conn, "future", "", "2026-02-01")
        assert pack_bytes(conn, "future", "9", "") == b"format: 99\n"


# Lists.


def test_lists_page_without_gap_or_repeat(registered, rows):
    """Pages follow each other by key and end with an empty one."""
    tree = registered(5)
    tree[AGENCY].submit(*(rows.consumption(index) for index in range(5)))
    with tree[AGENCY].desk.read() as conn:
        seen, after = [], ""
        while True:
            page, after = list_returns(conn, ReturnFilter(limit=2, after=after))
            seen.extend(row.unit for row in page)
            if not after:
                break
    assert seen == sorted(rows.unit(index) for index in range(5))


@pytest.mark.parametrize(
    "wanted", [{"after": "x"}, {"after": "a/b/c/1/" + "9" * 30}, {"state": "lost"}]
)
def test_a_list_refuses_what_is_no_key_or_state(registered, wanted):
    """A typed error, not an empty page."""
    tree = registered()
    with pytest.raises(CursorInvalid):
        listed(tree[AGENCY], **wanted)
