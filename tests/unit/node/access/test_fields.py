"""The policy on sensitive fields, as one table: grade, purpose, who reads, what they see."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from yidao.catalog.masks import Outcome
from yidao.node.access.errors import PolicyInvalid
from yidao.node.access.fieldpolicy import FieldReader
from yidao.node.access.fields import (
    BUILT_IN,
    MAX_RULES,
    Asker,
    FieldRule,
    check_policy,
    decide,
    decode,
    encode,
    is_purpose,
)
from yidao.node.access.roles import Role
from yidao.sync.ids import Path

UNIT = "12330106MB0000001X"
WHY = "样例: 年度核查"


def person(*roles: Role, purpose: str = "", **more: object) -> Asker:
    given = {"roles": frozenset(roles), "actor": "li@/33", "purpose": purpose}
    return Asker(**(given | more))  # type: ignore[arg-type]


ABOVE = Asker.above(Path.parse("/33"), WHY)
MACHINE = Asker(sees_all=True)
SHOW, MASK, REFUSE = Outcome.SHOW, Outcome.MASK, Outcome.REFUSE

#: Who reads → what they see of grades 1, 2, 3 and 4 under the built-in policy.
READERS = {
    "a viewer": (person(Role.VIEWER), (SHOW, SHOW, MASK, REFUSE)),
    "a viewer with a purpose": (person(Role.VIEWER, purpose=WHY), (SHOW, SHOW, MASK, REFUSE)),
    "a filler of the office": (person(Role.FILLER), (SHOW, SHOW, MASK, REFUSE)),
    "a reviewer without a purpose": (person(Role.REVIEWER), (SHOW, SHOW, MASK, MASK)),
    "a reviewer who says blanks": (person(Role.REVIEWER, purpose="  "), (SHOW, SHOW, MASK, MASK)),
    "a reviewer with a purpose": (person(Role.REVIEWER, purpose=WHY), (SHOW, SHOW, SHOW, MASK)),
    "an approver with a purpose": (person(Role.APPROVER, purpose=WHY), (SHOW, SHOW, SHOW, MASK)),
    "the system administrator": (
        person(Role.SYSTEM_ADMIN, purpose=WHY),
        (SHOW, SHOW, MASK, REFUSE),
    ),
    "a program of a reviewer": (
        person(is_program=True, purpose=WHY),
        (SHOW, SHOW, MASK, REFUSE),
    ),
    "an office above": (ABOVE, (SHOW, SHOW, MASK, REFUSE)),
    "who fills for the institution": (
        person(Role.FILLER, units=frozenset({UNIT})),
        (SHOW, SHOW, SHOW, SHOW),
    ),
    "who fills for another": (
        person(Role.FILLER, units=frozenset({"12330106MB0000002X"})),
        (SHOW, SHOW, MASK, REFUSE),
    ),
    "who handed the row in": (
        person(Role.FILLER, actor="author@/33"),
        (SHOW, SHOW, SHOW, SHOW),
    ),
    "the machine's account of a test network": (MACHINE, (SHOW, SHOW, SHOW, SHOW)),
}


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("grade", [1, 2, 3, 4])
def test_what_is_shown_of_a_grade_to_whom_and_what_for(reader: str, grade: int) -> None:
    """One decision for every reader: the fields of grade 3 and 4 need a role and a purpose."""
    asker, outcomes = READERS[reader]
    found = decide(BUILT_IN, asker, grade, unit=UNIT, author="author@/33")
    assert found is outcomes[grade - 1]


def rule(grade: int, who: str, outcome: Outcome, purpose: str = "") -> FieldRule:
    return FieldRule(grade=grade, who=who, outcome=outcome, purpose=purpose)


#: A policy, who reads, a grade, and what comes of it.
POLICIES = {
    "an office by its path": ([rule(4, "path:/33", SHOW)], ABOVE, 4, SHOW),
    "not another office": ([rule(4, "path:/44", SHOW)], ABOVE, 4, REFUSE),
    "not one that begins alike": ([rule(4, "path:/3", SHOW)], ABOVE, 4, REFUSE),
    "any office above": ([rule(3, "above", SHOW)], ABOVE, 3, SHOW),
    "no person is an office above": (
        [rule(3, "above", SHOW)],
        person(Role.VIEWER, purpose=WHY),
        3,
        MASK,
    ),
    "an office above has no role here": ([rule(3, "role:reviewer", SHOW)], ABOVE, 3, MASK),
    "programs": ([rule(3, "token", SHOW)], person(is_program=True, purpose=WHY), 3, SHOW),
    "a program is not its user": (
        [rule(3, "role:filler", SHOW)],
        person(Role.FILLER, is_program=True, purpose=WHY),
        3,
        MASK,
    ),
    "the purpose that is named": ([rule(4, "*", SHOW, "年度核查")], ABOVE, 4, SHOW),
    "another purpose": ([rule(4, "*", SHOW, "宣传")], ABOVE, 4, REFUSE),
    "the first line that fits": (
        [rule(3, "above", REFUSE), rule(3, "*", SHOW)],
        ABOVE,
        3,
        REFUSE,
    ),
    "grade 3 without a purpose is masked, whatever is set": (
        [rule(3, "*", SHOW)],
        person(Role.VIEWER),
        3,
        MASK,
    ),
    "grade 4 without a purpose is refused, whatever is set": (
        [rule(4, "*", SHOW)],
        person(Role.VIEWER),
        4,
        REFUSE,
    ),
    "a line for another grade": ([rule(3, "*", SHOW)], ABOVE, 4, REFUSE),
    "nothing is set": ([], ABOVE, 3, MASK),
    "one's own row, whatever is set": (
        [rule(4, "*", REFUSE)],
        person(Role.FILLER, units=frozenset({UNIT})),
        4,
        SHOW,
    ),
}


@pytest.mark.parametrize("case", POLICIES)
def test_the_first_line_that_fits_decides(case: str) -> None:
    """By grade, reader and purpose; and nothing sensitive goes without a purpose."""
    rules, asker, grade, outcome = POLICIES[case]
    check_policy(rules)
    assert decide(rules, asker, grade, unit=UNIT, author="author@/33") is outcome
    assert decode(encode(rules)) == tuple(rules)


FAULTS = {
    "grade 2": (rule(2, "*", MASK), "grade"),
    "grade 5": (rule(5, "*", MASK), "grade"),
    "nobody": (rule(3, "", MASK), "who"),
    "a role that there is not": (rule(3, "role:root", MASK), "who"),
    "a path that is none": (rule(3, "path:33", MASK), "who"),
    "a purpose with a line break": (rule(3, "*", MASK, "a\nb"), "purpose"),
    "a purpose without end": (rule(3, "*", MASK, "x" * 201), "purpose"),
}


@pytest.mark.parametrize("case", FAULTS)
def test_a_line_that_means_nothing_is_refused(case: str) -> None:
    """By its number and field: a policy that is half understood protects nobody."""
    wrong, field = FAULTS[case]
    with pytest.raises(PolicyInvalid) as caught:
        check_policy([rule(3, "*", MASK), wrong])
    assert caught.value.params == {"line": 2, "field": field}
    with pytest.raises(PolicyInvalid):
        check_policy([rule(3, "*", MASK)] * (MAX_RULES + 1))


@given(
    st.lists(
        st.builds(
            rule,
            st.sampled_from([3, 4]),
            st.sampled_from(["*", "above", "token", "role:viewer", "path:/33"]),
            st.sampled_from(list(Outcome)),
            st.sampled_from(["", "核查"]),
        ),
        max_size=4,
    ),
    st.sampled_from([3, 4]),
    st.sampled_from([[Role.VIEWER], [Role.REVIEWER], []]),
    st.booleans(),
)
def test_no_policy_shows_anything_sensitive_without_a_purpose(
    rules: list[FieldRule], grade: int, roles: list[Role], is_program: bool
) -> None:
    """Whatever lines there are; only one's own rows are seen without saying why."""
    asker = person(*roles, is_program=is_program)
    assert decide(rules, asker, grade, unit=UNIT, author="author@/33") is not Outcome.SHOW


def test_a_reader_remembers_the_highest_grade_that_it_showed() -> None:
    """For the audit: what was one's own, masked or of a low grade is none of it."""
    reader = FieldReader(BUILT_IN, person(Role.REVIEWER, purpose=WHY, units=frozenset({UNIT})))
    reader.outcome(2)
    reader.outcome(4)
    reader.outcome(3, unit=UNIT)
    assert reader.top_grade == 0
    assert reader.outcome(3, unit="another") is Outcome.SHOW
    assert reader.top_grade == 3


def test_a_purpose_is_a_text_that_a_person_can_read() -> None:
    """At most 200 characters, in one line."""
    assert is_purpose(WHY)
    assert is_purpose("")
    assert not any(is_purpose(each) for each in ("x" * 201, "a\nb", "\x00", "a\u202eb"))
