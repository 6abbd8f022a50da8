"""The catalog over real stores: drafted, reviewed, published upward, withdrawn, rebuilt."""

from functools import partial

import pytest

from yidao.catalog.codes import sample_uscc
from yidao.catalog.errors import ResourceInvalid
from yidao.catalog.resource import EntryState, Item, Resource, ShareType, encode_resource
from yidao.node.affairs.catalog import records
from yidao.node.affairs.catalog.commands import (
    Drafted,
    draft_from_form,
    issue_code,
    save_draft,
    take_step,
)
from yidao.node.affairs.catalog.errors import (
    EntryElsewhere,
    EntryReviewerSame,
    EntryStateWrong,
    EntryUnknown,
)
from yidao.node.affairs.catalog.queries import Entry, find_copy, find_entry
from yidao.node.affairs.catalog.rules import Step
from yidao.node.affairs.errors import ReasonMissing, UnitUnknown
from yidao.node.store.values import DraftPart

ROOT, CITY = "/", "/33"
CLASS = "30603733010600000001"


def resource(**changed: object) -> Resource:
    """A sample resource without a fault."""
    given: dict[str, object] = {
        "code": "",
        "title": "样例公共机构能耗",
        "class_code": CLASS,
        "provider_name": "样例机关事务管理局",
        "provider_uscc": sample_uscc(1, "330106"),
        "description": "样例: 各单位每季度的用电与用水。",
        "format": "3",
        "items": (Item(name="elec_kwh", title="用电量", type="N", length=18),),
        "share_type": ShareType.UNCONDITIONAL,
        "share_condition": "",
        "share_mode": "1",
        "share_basis": "",
        "open": False,
        "open_condition": "",
        "update_cycle": "5",
        "issued": "",
    }
    return Resource(**(given | changed))  # type: ignore[arg-type]


class Office:
    """One node, with a clerk and a reviewer."""

    def __init__(self, node) -> None:
        self.node = node
        self.clerk = f"li@{node.path}"
        self.reviewer = f"wang@{node.path}"

    def draft(self, **changed: object) -> Drafted:
        return save_draft(self.node.desk, self.clerk, resource(**changed))

    def step(self, code: str, step: Step, reason: str = "", actor: str = "") -> None:
        take_step(self.node.desk, actor or self.clerk, code, step, reason)

    def publish(self, **changed: object) -> str:
        code = self.draft(**changed).code
        self.step(code, Step.SUBMIT)
        self.step(code, Step.REVIEW, actor=self.reviewer)
        self.step(code, Step.PUBLISH)
        return code

    def entry(self, code: str) -> Entry | None:
        with self.node.desk.read() as conn:
            return find_entry(conn, code)

    def copy(self, code: str) -> Entry | None:
        with self.node.desk.read() as conn:
            return find_copy(conn, self.node.desk, code)


@pytest.fixture
def two(tree):
    """A root and a city of it."""
    tree.grow(ROOT, CITY)
    tree.exchange()
    return tree


def offices(tree) -> tuple[Office, Office]:
    return Office(tree[ROOT]), Office(tree[CITY])


def equal_after_rebuild(tree) -> bool:
    return all(node.store.rebuild().equal for node in tree.nodes.values())


def test_what_is_published_below_stands_in_the_catalog_above(two) -> None:
    """Draft and steps stay; the publication goes up with the owner's path, and is dated."""
    root, city = offices(two)
    code = city.draft().code
    assert code == f"{CLASS}/000001"
    for step, actor in ((Step.SUBMIT, city.clerk), (Step.REVIEW, city.reviewer)):
        city.step(code, step, actor=actor)
        two.exchange()
        assert root.entry(code) is None
    city.step(code, Step.PUBLISH)
    two.exchange()
    above = root.entry(code)
    assert above is not None
    assert above == city.entry(code)
    assert (above.state, above.version, str(above.owner_path)) == (EntryState.PUBLISHED, 1, CITY)
    assert above.owner == two[CITY].identity.node_id
    assert above.resource.issued == "2026-11-20"
    assert city.copy(code) is None
    assert equal_after_rebuild(two)


def test_an_entry_is_withdrawn_to_a_tombstone_and_published_again(two) -> None:
    """Withdrawn it stays as a tombstone with the reason; a new version makes it stand again."""
    root, city = offices(two)
    code = city.publish()
    with pytest.raises(ReasonMissing):
        city.step(code, Step.WITHDRAW)
    city.step(code, Step.WITHDRAW, "样例: 停止采集")
    two.exchange()
    gone = root.entry(code)
    assert gone is not None
    assert (gone.state, gone.version, gone.reason) == (EntryState.WITHDRAWN, 1, "样例: 停止采集")
    with pytest.raises(EntryStateWrong):
        city.step(code, Step.WITHDRAW, "again")
    assert city.publish(code=code, title="样例新版") == code
    two.exchange()
    back = root.entry(code)
    assert back is not None
    assert (back.state, back.version, back.reason) == (EntryState.PUBLISHED, 2, "")
    assert (back.resource.title, back.registered_ms) == ("样例新版", gone.registered_ms)
    assert equal_after_rebuild(two)


def test_an_entry_stands_while_its_next_version_is_drafted(two) -> None:
    """The published version is served until the next one is published."""
    root, city = offices(two)
    code = city.publish()
    city.draft(code=code, title="样例第二版")
    copy = city.copy(code)
    assert copy is not None
    assert (copy.version, copy.state) == (2, EntryState.DRAFT)
    standing = city.entry(code)
    assert standing is not None
    assert (standing.version, standing.state) == (1, EntryState.PUBLISHED)
    city.step(code, Step.WITHDRAW, "样例")
    assert city.copy(code) == copy
    city.step(code, Step.SUBMIT)
    city.step(code, Step.REVIEW, actor=city.reviewer)
    city.step(code, Step.PUBLISH)
    two.exchange()
    above = root.entry(code)
    assert above is not None
    assert (above.version, above.resource.title) == (2, "样例第二版")


def test_who_submits_does_not_review(two) -> None:
    """A second person reviews; also after a send-back it is the last submitter who may not."""
    _, city = offices(two)
    code = city.draft().code
    city.step(code, Step.SUBMIT)
    with pytest.raises(EntryReviewerSame):
        city.step(code, Step.REVIEW)
    with pytest.raises(ReasonMissing):
        city.step(code, Step.SEND_BACK, actor=city.reviewer)
    city.step(code, Step.SEND_BACK, "样例: 摘要不清", actor=city.reviewer)
    copy = city.copy(code)
    assert copy is not None
    assert (copy.state, copy.reason) == (EntryState.DRAFT, "样例: 摘要不清")
    city.step(code, Step.SUBMIT, actor=city.reviewer)
    with pytest.raises(EntryReviewerSame):
        city.step(code, Step.REVIEW, actor=city.reviewer)
    city.step(code, Step.REVIEW)
    copy = city.copy(code)
    assert copy is not None
    assert copy.state is EntryState.REVIEWED
    assert equal_after_rebuild(two)


@pytest.mark.parametrize(
    ("before", "step"),
    [
        ((), Step.REVIEW),
        ((), Step.PUBLISH),
        ((), Step.WITHDRAW),
        ((), Step.SEND_BACK),
        ((Step.SUBMIT,), Step.SUBMIT),
        ((Step.SUBMIT,), Step.PUBLISH),
        ((Step.SUBMIT,), Step.DRAFT),
        ((Step.SUBMIT, Step.REVIEW), Step.DRAFT),
        ((Step.SUBMIT, Step.REVIEW), Step.WITHDRAW),
        ((Step.SUBMIT, Step.REVIEW, Step.PUBLISH), Step.PUBLISH),
        ((Step.SUBMIT, Step.REVIEW, Step.PUBLISH), Step.SUBMIT),
    ],
)
def test_no_step_is_taken_out_of_order(two, before: tuple[Step, ...], step: Step) -> None:
    """Each step asks for its state; a refused one changes nothing."""
    _, city = offices(two)
    code = city.draft().code
    for each in before:
        city.step(code, each, actor=city.reviewer if each is Step.REVIEW else city.clerk)
    standing = city.entry(code), city.copy(code)
    again = partial(city.step, code, step, "样例", actor=city.reviewer)
    with pytest.raises(EntryStateWrong):
        (partial(city.draft, code=code) if step is Step.DRAFT else again)()
    assert (city.entry(code), city.copy(code)) == standing


def test_a_draft_may_lack_things_and_a_submission_may_not(two) -> None:
    """Saving tells all faults; submitting refuses while there are any."""
    _, city = offices(two)
    drafted = city.draft(title="", share_type=ShareType.NONE, update_cycle="9")
    assert [each.field for each in drafted.faults] == ["title", "share_basis", "update_cycle"]
    with pytest.raises(ResourceInvalid) as refused:
        city.step(drafted.code, Step.SUBMIT)
    assert refused.value.params == {"resource": drafted.code, "faults": 3, "first": "title"}
    with pytest.raises(EntryUnknown):
        city.step(f"{CLASS}/999999", Step.SUBMIT)


def test_codes_are_issued_once(two) -> None:
    """Every code that was issued, drafted or published here is taken."""
    root, city = offices(two)
    first, _ = issue_code(two[CITY].desk, city.clerk, CLASS)
    assert first == f"{CLASS}/000001"
    assert city.draft().code == f"{CLASS}/000002"
    assert city.publish(code=f"{CLASS}/000040") == f"{CLASS}/000040"
    assert city.draft().code == f"{CLASS}/000041"
    two.exchange()
    # The root has seen what was published, and nothing of the drafts.
    assert root.draft().code == f"{CLASS}/000041"
    assert equal_after_rebuild(two)


def test_a_code_that_another_node_owns_is_contested_and_not_taken_over(two) -> None:
    """The first publisher keeps the code; the other's publication only marks it."""
    root, city = offices(two)
    code = city.publish()
    two.exchange()
    with pytest.raises(EntryElsewhere):
        root.draft(code=code)
    with pytest.raises(EntryElsewhere):
        root.step(code, Step.WITHDRAW, "样例")
    body = encode_resource(resource(code=code, title="样例: 别人的", issued="2026-11-20"))
    kind = records.kind_of(Step.PUBLISH)
    two[ROOT].forge(
        "up:15",
        kind=kind,
        object_id=records.object_of(code),
        object_version=9,
        parts=(DraftPart(name="core", body=body),),
    )
    kept = root.entry(code)
    assert kept is not None
    assert (kept.contested, kept.version, kept.resource.title) == (True, 1, "样例公共机构能耗")
    city.step(code, Step.WITHDRAW, "样例")
    two.exchange()
    gone = root.entry(code)
    assert gone is not None
    assert (gone.contested, gone.state) == (True, EntryState.WITHDRAWN)
    assert equal_after_rebuild(two)


PUBLISH, WITHDRAW, DRAFT = (records.kind_of(s) for s in (Step.PUBLISH, Step.WITHDRAW, Step.DRAFT))


@pytest.mark.parametrize(
    ("kind", "channel", "code", "body"),
    [
        pytest.param(PUBLISH, "up:15", "x", b"{}", id="no code"),
        pytest.param(PUBLISH, "up:15", f"{CLASS}/1", b"", id="no resource"),
        pytest.param(PUBLISH, "up:15", f"{CLASS}/1", b'{"code":"x"}', id="half a resource"),
        pytest.param(PUBLISH, "up:15", f"{CLASS}/1", None, id="another code inside"),
        pytest.param(PUBLISH, "local", f"{CLASS}/2", None, id="published in a local journal"),
        pytest.param(DRAFT, "up:15", f"{CLASS}/2", None, id="drafted upward"),
        pytest.param(WITHDRAW, "up:15", f"{CLASS}/3", b'{"reason":"x"}', id="unknown withdrawn"),
        pytest.param("catalog.entry.reviewed", "local", f"{CLASS}/3", b"{}", id="no copy"),
        pytest.param("catalog.entry.praised", "up:15", f"{CLASS}/3", b"{}", id="no such kind"),
    ],
)
def test_what_is_malformed_changes_nothing(
    two, kind: str, channel: str, code: str, body: bytes | None
) -> None:
    """A faulty node's records are passed over, here and above, and stop nothing."""
    root, city = offices(two)
    if body is None:
        body = encode_resource(resource(code=f"{CLASS}/2", issued="2026-11-20"))
    two[CITY].forge(
        channel,
        kind=kind,
        object_id=records.object_of(code),
        parts=(DraftPart(name="core", body=body),),
    )
    two.exchange()
    for office in (root, city):
        assert (office.entry(code), office.copy(code)) == (None, None)
        assert not [problem.code for problem in office.node.store.problems()]
    assert equal_after_rebuild(two)


def test_an_office_registers_a_form_in_one_step(four, rows) -> None:
    """A form's fields become items; the unit answers; its rows are found by the source."""
    agency = four["/33/06/a"]
    agency.submit(rows.institution(0))
    office = Office(agency)
    drafted = draft_from_form(
        agency.desk,
        office.clerk,
        "energy",
        "consumption",
        class_code=CLASS,
        unit=rows.unit(0),
    )
    assert drafted.faults == ()
    office.step(drafted.code, Step.SUBMIT)
    office.step(drafted.code, Step.REVIEW, actor=office.reviewer)
    office.step(drafted.code, Step.PUBLISH)
    four.exchange()
    for path in ("/", "/33", "/33/06", "/33/06/a"):
        entry = Office(four[path]).entry(drafted.code)
        assert entry is not None
        made = entry.resource
        assert (made.provider_name, made.provider_uscc) == ("样例单位0000", rows.unit(0))
        assert (made.source.pack, made.source.form) == ("energy", "consumption")
        assert (made.update_cycle, made.share_type) == ("5", ShareType.CONDITIONAL)
        assert {"uscc", "elec_kwh"} <= {item.name for item in made.items}
    with pytest.raises(UnitUnknown):
        draft_from_form(
            agency.desk, office.clerk, "energy", "profile", class_code=CLASS, unit=rows.unit(9)
        )
