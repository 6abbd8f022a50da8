"""The owner's answers over real stores: who is given what, and what is written down."""

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import replace

import pytest

from yidao.api.errors import YidaoError
from yidao.catalog.resource import ShareType
from yidao.catalog.selection.pages import read_page
from yidao.catalog.selection.question import RowsQuestion
from yidao.node.affairs.catalog.commands import draft_from_form, take_step
from yidao.node.affairs.catalog.rules import Step
from yidao.node.affairs.sharing import records
from yidao.node.affairs.sharing.answers import Answers, Wanted
from yidao.node.affairs.sharing.errors import ScopeInvalid
from yidao.node.affairs.sharing.gathering import Gathering, Request
from yidao.node.affairs.sharing.offers import CatalogShelf
from yidao.node.affairs.sharing.results import End, Line, Rows
from yidao.node.affairs.sharing.rules import Offer, decide
from yidao.node.affairs.sharing.targets import Scope
from yidao.node.link.errors import QueryTooLate
from yidao.node.store.records import read_records
from yidao.sync.errors import QueryRefused, QueryReplayed, QueryUnroutable
from yidao.sync.ids import Path

ROOT, AGENCY, OTHER = "/", "/33", "/44"
CLASS = "30603733010600000001"


def publish(
    node, rows, form: str = "consumption", share: int = 1, text: str = "", number: int = 1
) -> str:
    """Register a form's rows as a resource of a node; gives its code."""
    clerk, second = f"li@{node.path}", f"wang@{node.path}"
    drafted = draft_from_form(
        node.desk,
        clerk,
        "energy",
        form,
        class_code=f"{CLASS[:-1]}{number}",
        unit=rows.unit(0 if node.path == AGENCY else 3),
        share_type=ShareType(share),
        share_text=text,
    )
    for actor, step in ((clerk, Step.SUBMIT), (second, Step.REVIEW), (clerk, Step.PUBLISH)):
        take_step(node.desk, actor, drafted.code, step)
    return drafted.code


def wanted(node, asker, *, purpose: str = "", query_id: bytes = b"", **asked: object) -> Wanted:
    return Wanted(
        query_id=query_id or node.desk.mint(),
        asker=asker.identity.node_id,
        asker_path=asker.identity.path,
        actor=f"li@{asker.path}",
        purpose=purpose,
        args=RowsQuestion.make(**asked).encode(),  # type: ignore[arg-type]
        abandoned=lambda: False,
    )


def answered(node, asker, **asked: object) -> list[tuple[object, ...]]:
    pages = list(node.affairs.answers.answer(wanted(node, asker, **asked)))
    return [row for page in pages for row in read_page(page, keys=0, measures=0).rows]


def noted(node) -> list[records.Answered]:
    """What a node's journal says of questions, oldest first."""
    with node.desk.read() as conn:
        found, _ = read_records(conn, 0, 10_000)
    return [
        records.Answered.decode(each.parts["core"])
        for each in found
        if each.header.kind == records.ANSWERED
    ]


@pytest.fixture
def pair(tree, rows):
    """A root and an agency with three units and their returns."""
    tree.grow(ROOT, AGENCY)
    tree.publish("2022", "2025")
    hand_in(tree[AGENCY], rows, (0, 1, 2))
    return tree


def hand_in(node, rows, units: tuple[int, ...]) -> None:
    node.submit(*(rows.institution(n) for n in units))
    done = node.submit(*(rows.consumption(n) for n in units))
    assert {each.outcome.value for each in done.results} == {"submitted"}


@pytest.fixture
def shared(pair, rows):
    """The pair, and the code of the resource that its returns are."""
    return pair, publish(pair[AGENCY], rows)


def test_rows_are_the_newest_that_count(shared, rows) -> None:
    """A corrected return replaces the first one; a refused one does not."""
    tree, code = shared
    agency, root = tree[AGENCY], tree[ROOT]
    asked = {"resource": code, "select": ("unit", "elec_kwh", "version", "state")}
    agency.submit(rows.consumption(1, elec_kwh="61000.00"))
    agency.submit(rows.consumption(2, elec_kwh="-1.00"))
    assert answered(agency, root, **asked) == [
        (rows.unit(0), "50000.00", 1, "submitted"),
        (rows.unit(1), "61000.00", 2, "submitted"),
        (rows.unit(2), "50002.00", 1, "submitted"),
    ]
    assert answered(agency, root, where=f"unit = {rows.unit(1)}", **asked) == [
        (rows.unit(1), "61000.00", 2, "submitted")
    ]


OFFER = Offer(
    code="1/1",
    owner=bytes(16),
    owner_path=Path.parse(AGENCY),
    published=True,
    share_type=ShareType.UNCONDITIONAL,
    basis="样例规定",
    pack="energy",
    form="consumption",
    grades={},
)


@pytest.mark.parametrize(
    ("case", "asker", "changed", "purpose", "stays_local", "code"),
    [
        ("an ancestor", ROOT, {}, "", False, ""),
        ("the owner", AGENCY, {"share_type": ShareType.NONE}, "", True, ""),
        ("a sibling", OTHER, {}, "", False, "SHARE_ONLY_UPWARD"),
        ("a node below", "/33/x", {}, "", False, "SHARE_ONLY_UPWARD"),
        ("withdrawn", ROOT, {"published": False}, "", False, "SHARE_RESOURCE_WITHDRAWN"),
        ("only described", ROOT, {"pack": ""}, "", False, "SHARE_WITHOUT_ROWS"),
        ("a ledger", ROOT, {}, "", True, "SHARE_STAYS_LOCAL"),
        ("not shared", ROOT, {"share_type": ShareType.NONE}, "样例", False, "SHARE_FORBIDDEN"),
        (
            "without a purpose",
            ROOT,
            {"share_type": ShareType.CONDITIONAL},
            " ",
            False,
            "SHARE_PURPOSE_MISSING",
        ),
        ("with one", ROOT, {"share_type": ShareType.CONDITIONAL}, "样例", False, ""),
    ],
)
def test_the_owner_decides(case, asker, changed, purpose, stays_local, code) -> None:
    """By where the asker stands and by the share type."""
    asked = {"asker": Path.parse(asker), "purpose": purpose, "stays_local": stays_local}
    offer = replace(OFFER, **changed)
    if not code:
        decide(offer, own=Path.parse(AGENCY), **asked)
        return
    with pytest.raises(YidaoError) as refused:
        decide(offer, own=Path.parse(AGENCY), **asked)
    assert refused.value.code == code, case


def test_what_is_not_shared_is_refused_and_written_down(pair, rows) -> None:
    """The error names the basis; the record says who asked what, and that nothing was given."""
    tree = pair
    agency, root = tree[AGENCY], tree[ROOT]
    code = publish(agency, rows, "profile", 3, "样例: 《样例规定》第三条")
    with pytest.raises(YidaoError) as refused:
        answered(agency, root, resource=code, purpose="样例用途")
    assert refused.value.code == "SHARE_FORBIDDEN"
    assert "样例规定" in str(refused.value.params["basis"])
    [note] = noted(agency)
    assert (note.asker, note.actor, note.purpose) == ("/", "li@/", "样例用途")
    assert (note.outcome, note.rows, note.resource) == ("SHARE_FORBIDDEN", 0, "")
    assert code in note.question


def test_every_answer_is_written_down_before_it_leaves(shared) -> None:
    """With the columns that were given, the masked ones, and how many rows."""
    tree, code = shared
    agency, root = tree[AGENCY], tree[ROOT]
    pages = agency.affairs.answers.answer(
        wanted(agency, root, resource=code, select=("unit", "elec_kwh"))
    )
    next(pages)
    [note] = noted(agency)
    assert (note.outcome, note.rows, note.resource) == ("answered", 3, code)
    assert (tuple(note.columns), tuple(note.masked)) == (("unit", "elec_kwh"), ())
    assert note.size_bytes > 0


def test_r58_a_question_is_answered_once_over_a_restart(shared) -> None:
    """The record about it stays: another process of the node refuses it too."""
    tree, code = shared
    agency, root = tree[AGENCY], tree[ROOT]
    asked = wanted(agency, root, resource=code)
    assert list(agency.affairs.answers.answer(asked))
    again = Answers(agency.desk, CatalogShelf(), agency.affairs.access.fields)
    with pytest.raises(QueryReplayed):
        list(again.answer(asked))
    assert len(noted(agency)) == 1


@pytest.mark.parametrize(
    ("args", "code"),
    [
        (b"", "QUESTION_INVALID"),
        (b'{"resource":"9/9"}', "SHARE_RESOURCE_UNKNOWN"),
        (b'{"pack":"energy","form":"nothing"}', "SHARE_RESOURCE_UNKNOWN"),
    ],
)
def test_what_cannot_be_answered_is_a_typed_error(shared, args: bytes, code: str) -> None:
    """And is written down like everything that an ancestor asks."""
    tree, _ = shared
    agency, root = tree[AGENCY], tree[ROOT]
    asked = replace(wanted(agency, root, resource="1/1"), args=args)
    with pytest.raises(YidaoError) as refused:
        list(agency.affairs.answers.answer(asked))
    assert refused.value.code == code
    assert [note.outcome for note in noted(agency)] == [code]


def test_a_personal_field_comes_masked_from_its_own_part(pair, rows) -> None:
    """The register keeps it apart; the answer shows the family name and no more."""
    tree = pair
    agency, root = tree[AGENCY], tree[ROOT]
    agency.submit(rows.institution(0, statistician="欧阳修"), rows.institution(1))
    code = publish(agency, rows, "institution", 2, "样例")
    asked = {
        "resource": code,
        "select": ("unit", "statistician"),
        "purpose": "样例",
        "where": f"unit in ({rows.unit(0)}, {rows.unit(1)})",
    }
    assert answered(agency, root, **asked) == [(rows.unit(0), "欧阳*"), (rows.unit(1), None)]


class Links:
    """Plays the links of the root: asks the nodes of the tree, or fails as told."""

    def __init__(self, tree) -> None:
        self.tree = tree
        self.failures: dict[str, Exception] = {}
        self.asked: list[str] = []

    async def pages(
        self, target: Path, kind: str, *, args: bytes, purpose: str, actor: str, seconds: float
    ) -> AsyncGenerator[bytes, None]:
        self.asked.append(str(target))
        if (failure := self.failures.get(str(target))) is not None:
            raise failure
        node, root = self.tree[str(target)], self.tree[ROOT]
        asked = replace(wanted(node, root, resource="1/1", purpose=purpose), args=args)
        try:
            pages = await asyncio.to_thread(lambda: list(node.affairs.answers.answer(asked)))
        except YidaoError as error:
            said = {name: str(value) for name, value in error.params.items()}
            raise QueryRefused(path="/33", reason=error.code, said=said) from None
        for page in pages:
            yield page

    def gathering(self) -> Gathering:
        root = self.tree[ROOT]
        return Gathering(
            desk=root.desk, shelf=root.affairs.shelf, answers=root.affairs.answers, ask=self.pages
        )


def gather(
    gathering: Gathering, scope: Scope | None = None, purpose: str = "", **asked: object
) -> tuple[list[Line], End]:
    request = Request(
        actor="li@/",
        question=RowsQuestion.make(**asked),  # type: ignore[arg-type]
        scope=scope or Scope(),
        purpose=purpose,
        seconds=20.0,
    )

    async def collect() -> tuple[list[Line], End]:
        lines: list[Line] = []
        async for piece in gathering.ask(request):
            if isinstance(piece, Rows):
                lines.extend(piece.lines)
            else:
                return lines, piece
        raise AssertionError

    return asyncio.run(collect())


@pytest.fixture
def two(pair, rows):
    """Two agencies below the root, each with returns, and a resource of each over the same form."""
    tree = pair
    tree.grow(OTHER)
    tree.exchange()
    hand_in(tree[OTHER], rows, (3, 4))
    codes = [publish(tree[AGENCY], rows), publish(tree[OTHER], rows, number=2)]
    tree.exchange()
    return Links(tree), codes


FORM = {"pack": "energy", "form": "consumption"}


def test_a_subtree_adds_up_exactly(two) -> None:
    """Sum of sums and count of counts; an average of both, never of averages."""
    links, _ = two
    lines, end = gather(
        links.gathering(),
        **FORM,
        aggregate=("count", "sum elec_kwh", "avg elec_kwh"),
    )
    assert [line.cells for line in lines] == [(5, "250010.00", "50002.0000")]
    assert end.complete
    assert [(str(n.path), n.fate.value, n.rows) for n in end.nodes] == [
        (AGENCY, "answered", 3),
        (OTHER, "answered", 2),
    ]


def test_rows_of_a_subtree_are_put_in_order_and_cut(two, rows) -> None:
    """The greatest of all nodes come first, and the answer says that there are more."""
    links, _ = two
    lines, end = gather(
        links.gathering(), **FORM, select=("unit", "elec_kwh"), order=("-elec_kwh",), limit=2
    )
    assert [(line.cells[1], line.path) for line in lines] == [
        ("50004.00", OTHER),
        ("50003.00", OTHER),
    ]
    assert not end.complete


@pytest.mark.parametrize(
    ("failure", "fate", "code"),
    [
        (QueryUnroutable(path="/33"), "unreachable", "QUERY_UNROUTABLE"),
        (QueryTooLate(path=AGENCY), "late", "QUERY_TOO_LATE"),
        (
            QueryRefused(path="/33", reason="QUERY_LINE_LOST", said={}),
            "unreachable",
            "QUERY_LINE_LOST",
        ),
    ],
)
def test_older_figures_stand_in_and_say_so(two, failure, fate: str, code: str) -> None:
    """First what the node had sent up, then its last answer; each with its time."""
    links, _ = two
    gathering = links.gathering()
    links.failures[AGENCY] = failure
    asked = {**FORM, "select": ("unit", "elec_kwh")}
    lines, end = gather(gathering, **asked)
    node = end.nodes[0]
    assert (node.fate.value, node.code, node.cached, node.rows) == (fate, code, "held", 3)
    assert node.as_of_ms > 0
    assert {(line.path, line.cached) for line in lines} == {
        (AGENCY, True),
        (OTHER, False),
    }
    assert not end.complete
    del links.failures[AGENCY]
    assert gather(gathering, **asked)[1].complete
    links.failures[AGENCY] = failure
    # The live answer is newer than what was sent up.
    assert gather(gathering, **asked)[1].nodes[0].cached == "remembered"


def test_a_refusal_is_an_answer(two, rows) -> None:
    """Nothing stands in for it, and what was remembered is forgotten."""
    links, codes = two
    gathering = links.gathering()
    assert gather(gathering, resource=codes[0])[1].complete
    agency = links.tree[AGENCY]
    take_step(agency.desk, f"li@{AGENCY}", codes[0], Step.WITHDRAW, "样例")
    lines, end = gather(gathering, resource=codes[0])
    assert lines == []
    assert (end.nodes[0].fate.value, end.nodes[0].code) == ("refused", "SHARE_RESOURCE_WITHDRAWN")
    links.failures[AGENCY] = QueryTooLate(path=AGENCY)
    assert gather(gathering, resource=codes[0])[1].nodes[0].cached != "remembered"


def test_a_scope_asks_whom_it_says(two) -> None:
    """One node, those under a path, or the owner of the code; never a place outside."""
    links, codes = two
    gathering = links.gathering()
    for scope, asked, expected in (
        (Scope(of=Path.parse(AGENCY)), FORM, [AGENCY]),
        (Scope(under=Path.parse(OTHER)), FORM, [OTHER]),
        (Scope(under=Path.parse("/")), {"resource": CLASS[:-1]}, [AGENCY, OTHER]),
        (Scope(), {"resource": codes[1]}, [OTHER]),
    ):
        links.asked.clear()
        gather(gathering, scope, **asked)
        assert sorted(links.asked) == expected
    with pytest.raises(ScopeInvalid):
        gather(gathering, Scope(of=Path.parse("/33"), under=Path.parse("/33")), **FORM)
    with pytest.raises(YidaoError, match="SHARE_RESOURCE_UNKNOWN"):
        gather(gathering, Scope(under=Path.parse("/55")), **FORM)


def test_enough_rows_end_the_question(two) -> None:
    """Without an order the first that come are as good as any."""
    links, _ = two
    lines, end = gather(links.gathering(), **FORM, limit=1)
    assert len(lines) == 1
    assert not end.complete
