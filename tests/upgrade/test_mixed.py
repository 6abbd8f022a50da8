"""R65: nodes of this release and of the next one in one tree.

The next release is played by a shim: it writes a header field and kinds that this one does
not know, and speaks a later version of the protocol beside ours.
"""

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.contract.conftest import Tree, carry
from tests.faults import invariants
from tests.faults.conftest import nursery, pair, pattern  # noqa: F401 (they are fixtures)
from tests.faults.daemons import Pair, rows, wait_until
from tests.faults.report import record
from tests.faults.shims import UNKNOWN_FIELD, newer_headers
from yidao.sync.mold import Mold
from yidao.sync.record import decode_header


@pytest.fixture
def tree(tmp_path: Path) -> Iterator[Tree]:
    """Stores in files."""
    numbers = iter(range(100))
    made = Tree(lambda: f"sqlite:///{tmp_path}/store{next(numbers)}.db")
    yield made
    made.close()


def _seals(node: Any) -> list[tuple[Any, int, tuple[bytes, ...]]]:
    """What a store holds, byte by byte: journal, number, header bytes."""
    records = node.store.records(after=0, limit=10_000)
    return sorted(
        (str(record.journal), record.seq, record.raw)
        for record in records
        if record.journal.channel.startswith("up")
    )


def test_a_middle_tier_passes_on_what_it_does_not_know(
    tree: Tree, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Four tiers, N+1 at the bottom: unknown fields and kinds reach the top byte by byte."""
    nation = tree.node("/")
    province = tree.node("/33", nation)
    city = tree.node("/33/3301", province)
    county = tree.node("/33/3301/330106", city)
    line = (county, city, province, nation)
    for lower, upper in reversed(list(itertools.pairwise(line))):
        carry(upper, lower)
    county.append("up:15", county.draft("before"))
    with monkeypatch.context() as patch:
        patch.setattr(Mold, "header", Mold.header)
        newer_headers()
        later = county.draft("later", b'{"of": "the next release"}', kind="future.thing.happened")
        county.append("up:15", later, county.draft("later still"))
    county.append("up:15", county.draft("after"))
    for lower, upper in itertools.pairwise(line):
        carry(lower, upper)

    written = _seals(county)
    assert [raw.endswith(UNKNOWN_FIELD) for *_, raw in written] == [False, True, True, False]
    assert decode_header(written[1][2]).kind == "future.thing.happened"
    for upper in line[1:]:
        assert _seals(upper) == written
        assert upper.store.scrub().faults == ()


@pytest.mark.e2e
@pytest.mark.parametrize("newer", ["office", "root"])
def test_daemons_of_two_releases_work_together(pair: Pair, newer: str) -> None:  # noqa: F811
    """N+1 below N, and N+1 above N: they agree on the version that both speak; all arrives.

    Rows go up, a directive comes down and is answered.
    """
    getattr(pair, newer).begin(shims=["newer"])
    pair.start()
    for _ in range(3):
        pair.office.submit(rows(4))
    directive = send_down_and_back(pair)
    assert pair.healed() == []
    office, root = (invariants.read(each.folder).view for each in (pair.office, pair.root))
    shared = office.headers.keys() & root.headers.keys()
    assert all(office.headers[journal] == root.headers[journal] for journal in shared)
    for view, name in ((office, "office"), (root, "root")):
        raws = [r for j in shared if j.node_id == view.node_id for r in view.headers[j]]
        of_directive = [raw for raw in raws if directive in decode_header(raw).object_id]
        assert of_directive, f"of the directive and its report, what the {name} wrote"
        assert all(raw.endswith(UNKNOWN_FIELD) == (name == newer) for raw in of_directive)
    record("R65 mixed tree of N and N+1", acked=pair.newly_acked())


def send_down_and_back(pair: Pair) -> str:  # noqa: F811
    """A directive of the root's reaches the office, whose report reaches the root; its name."""
    with pair.root.client() as root, pair.office.client() as office:
        root.issue(actor="sample@/", number="样例1号", title="核对数据", targets=["/33"])
        wait_until(
            "the directive comes",
            lambda: [each.state for each in office.directives()] == ["delivered"],
        )
        (come,) = office.directives()
        assert come.title == "核对数据"
        office.report(actor="sample@/33", directive=come.directive, state="acknowledged")
        wait_until(
            "the report comes",
            lambda: [each.state for each in root.tree(come.directive)] == ["acknowledged"],
        )
    return come.directive
