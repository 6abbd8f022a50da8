"""The catalog's search on every database: the same entries, counts, pages; equal when rebuilt."""

import random
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from yidao.catalog.codes import sample_uscc
from yidao.catalog.errors import SearchInvalid
from yidao.catalog.resource import Item, Resource, ShareType, encode_resource
from yidao.catalog.terms import normalised
from yidao.node.affairs.affairs import Affairs
from yidao.node.affairs.catalog import records
from yidao.node.affairs.catalog.exporting import export_page
from yidao.node.affairs.catalog.facets import Facet
from yidao.node.affairs.catalog.postings import FACETS, GRAMS, block_bitmap, encode_block
from yidao.node.affairs.catalog.rules import Step
from yidao.node.affairs.catalog.searching import Search, SearchPage, search_catalog
from yidao.node.affairs.errors import CursorInvalid
from yidao.node.store.store import Store
from yidao.node.store.values import Draft, DraftPart

SEED = 20261126
TOPICS = ("公共机构能耗", "公务用车", "车辆维修", "办公用房", "资产台账", "Energy ledger", "会议")
KINDS = ("统计", "目录", "年报", "名录", "50%_样本")
WITHDRAWN_AT = 7
ENTRIES = 60


def entry(index: int) -> Resource:
    """A sample entry; equal indices give equal entries."""
    chance = random.Random(SEED + index)
    class_code = f"{chance.choice('123')}06037330106000000{index % 3:02d}"
    return Resource(
        code=f"{class_code}/{index:06d}",
        title=f"样例{chance.choice(TOPICS)}{chance.choice(KINDS)}",
        class_code=class_code,
        provider_name=f"样例单位{index % 5}",
        provider_uscc=sample_uscc(index, "330106"),
        description=f"样例: 第{index}号, {chance.choice(TOPICS)}的{chance.choice(KINDS)}。",
        format=chance.choice("123456"),
        items=(Item(name="elec_kwh", title="用电量", type="N"),),
        share_type=ShareType(chance.randint(1, 3)),
        share_condition="样例",
        share_mode="1",
        share_basis="样例",
        open=False,
        open_condition="",
        update_cycle=chance.choice("12345678"),
        issued="2026-11-26",
    )


class Catalog:
    """A root with two children that publish, each text also kept as Python holds it."""

    def __init__(self, tree: Any, carry: Callable[..., Any]) -> None:
        self.root = tree.node("/")
        self.children = [tree.node(path, self.root) for path in ("/33", "/44")]
        self._carry = carry
        for node in (self.root, *self.children):
            node.store.close()
            node.store = Store.open(node.url, clock_ms=tree.clock, random=tree.random)
            node.store.bind(node.identity)
            affairs = Affairs(node.store, node.identity, clock_ms=tree.clock, random=tree.random)
            node.store.start(affairs.projectors, affairs.deciders)
        self.held: list[tuple[Resource, str, str]] = []

    def publish(self, *indices: int) -> None:
        """Publish entries, each from one of the children, and carry them up."""
        drafts: dict[str, list[Draft]] = {"/33": [], "/44": []}
        for index in indices:
            node = self.children[index % 2]
            path = str(node.identity.path)
            resource = entry(index)
            body = encode_resource(resource)
            drafts[path].append(self.draft(node, Step.PUBLISH, resource.code, body))
            state = "published"
            if index % 10 == WITHDRAWN_AT:
                reason = b'{"reason":"sample"}'
                drafts[path].append(self.draft(node, Step.WITHDRAW, resource.code, reason))
                state = "withdrawn"
            self.held.append((resource, path, state))
        for node in self.children:
            if drafts[str(node.identity.path)]:
                node.append("up:15", *drafts[str(node.identity.path)])
            self._carry(node, self.root)
        self.root.store.applied(self.root.store.last_position()).result(30)

    def draft(self, node: Any, step: Step, code: str, body: bytes) -> Draft:
        made: Draft = node.draft(
            f"{step} {code}",
            kind=records.kind_of(step),
            object_id=records.object_of(code),
            parts=(DraftPart(name="core", body=body),),
        )
        return made

    def search(self, query: str = "", **fields: Any) -> SearchPage:
        with self.root.store.read() as conn:
            return search_catalog(conn, self.root.identity.path, Search(query=query, **fields))

    def expected(self, query: str, filters: dict[Facet, str]) -> list[tuple[Resource, str, str]]:
        """Look for the words in the texts themselves, as a person would."""
        found = []
        for resource, owner, state in self.held:
            texts = (
                resource.title,
                resource.code,
                resource.provider_name,
                resource.provider_uscc,
                resource.description,
                "用电量",
                "elec_kwh",
            )
            holds = all(
                any(word in normalised(text) for text in texts)
                for word in normalised(query).split()
            )
            values = {
                Facet.OWNER: owner,
                Facet.CLASS: resource.code[:3],
                Facet.SHARE_TYPE: str(resource.share_type.value),
                Facet.FORMAT: resource.format,
                Facet.UPDATE_CYCLE: resource.update_cycle,
                Facet.STATE: state,
            }
            wanted = {Facet.STATE: "published"} | filters
            if holds and all(values[facet] == value for facet, value in wanted.items()):
                found.append((resource, owner, state))
        return found


@pytest.fixture
def catalog(tree: Any, carry_all: Callable[..., Any]) -> Catalog:
    """Sixty sample entries of two children, six of them withdrawn."""
    made = Catalog(tree, carry_all)
    made.publish(*range(ENTRIES))
    return made


QUERIES = [
    "",
    "能耗",
    "车",
    "车辆",
    "公务用车统计",
    "energy",
    "ＥＮＥＲＧＹ ledger",
    "样例单位3 目录",
    "50%_样",
    "%",
    "_",
    "elec_kwh",
    "没有的词",
    "第7号",
    "000006",
    "00000000/0000",
    "06037330106000000",
]


def test_a_search_finds_what_stands_in_the_texts(catalog: Catalog) -> None:
    """Words of any length, filters, totals and every facet's counts, as a plain look finds them."""
    cases = [(query, {}) for query in QUERIES]
    cases += [
        ("样例", {facet: value})
        for facet, value in (
            (Facet.OWNER, "/33"),
            (Facet.SHARE_TYPE, "2"),
            (Facet.FORMAT, "3"),
            (Facet.STATE, "withdrawn"),
            (Facet.UPDATE_CYCLE, "9"),
            (Facet.CLASS, "306"),
        )
    ]
    for query, filters in cases:
        expected = catalog.expected(query, filters)
        page = catalog.search(query, filters=filters, limit=500)
        codes = {found.code for found in page.entries}
        assert codes == {resource.code for resource, _, _ in expected}, (query, filters)
        assert page.total == len(expected)
        counts = Counter(("owner", owner) for _, owner, _ in expected)
        counts.update(("share_type", str(each.share_type.value)) for each, _, _ in expected)
        counts.update(("class", each.code[:3]) for each, _, _ in expected)
        counts.update(("format", each.format) for each, _, _ in expected)
        counts.update(("update_cycle", each.update_cycle) for each, _, _ in expected)
        counts.update(("state", state) for _, _, state in expected)
        assert {(each.facet.value, each.value): each.count for each in page.facets} == counts


def test_titles_come_first_and_the_newest_before_the_older(catalog: Catalog) -> None:
    """Entries with the word in the title lead; in both groups later registrations lead."""
    codes = {resource.code: number for number, (resource, _, _) in enumerate(catalog.held)}
    page = catalog.search("车辆", limit=500)
    ranks = ["车辆" not in found.resource.title for found in page.entries]
    assert ranks == sorted(ranks)
    assert {True, False} <= set(ranks)
    for rank in (False, True):
        numbers = [
            codes[found.code]
            for found, other in zip(page.entries, ranks, strict=True)
            if other is rank and codes[found.code] % 2
        ]
        assert numbers == sorted(numbers, reverse=True)


def test_pages_neither_skip_nor_repeat_while_entries_come_in(catalog: Catalog) -> None:
    """What was there when the first page was read is read once, whatever comes between."""
    before = [found.code for found in catalog.search("样例", limit=500).entries]
    page = catalog.search("样例", limit=7)
    seen = [found.code for found in page.entries]
    index = ENTRIES
    while page.next:
        catalog.publish(index, index + 1)
        index += 2
        page = catalog.search("样例", limit=7, after=page.next)
        seen += [found.code for found in page.entries]
    assert seen == before


def test_large_entries_make_shorter_pages(catalog: Catalog) -> None:
    """No page is larger than a message, and the pages together hold every entry once."""
    large = {f"样例{number}": "长" * 2_000 for number in range(30)}
    node = catalog.children[0]
    drafts = []
    for index in range(100, 115):
        resource = replace(entry(index), extra=large)
        body = encode_resource(resource)
        drafts.append(catalog.draft(node, Step.PUBLISH, resource.code, body))
    node.append("up:15", *drafts)
    catalog.publish()
    page = catalog.search(limit=500)
    sizes, codes = [len(page.entries)], [found.code for found in page.entries]
    while page.next:
        page = catalog.search(limit=500, after=page.next)
        sizes.append(len(page.entries))
        codes += [found.code for found in page.entries]
    assert sizes[0] < 15
    assert len(codes) == len(set(codes)) == page.total == 15 + len(catalog.expected("", {}))
    with catalog.root.store.read() as conn:
        piece = export_page(conn, catalog.root.identity.path, "")
        pieces = [piece.nodes]
        while piece.next:
            piece = export_page(conn, catalog.root.identity.path, piece.next)
            pieces.append(piece.nodes)
    assert len(pieces) > 1
    assert sum(each.count(b'"dcat:CatalogRecord"') for each in pieces) == 15 + ENTRIES


def test_hostile_words_are_words(catalog: Catalog) -> None:
    """Signs that databases read as operators find themselves or nothing; too much is refused."""
    for query in ('"', "*", "AND", "NEAR(", "'; DROP TABLE catalog_entry; --", "\x00", "能\x00耗"):
        page = catalog.search(query)
        assert page.total == len(catalog.expected(query, {})), query
    for query in ("能" * 10_000, "a " * 17):
        with pytest.raises(SearchInvalid):
            catalog.search(query)
    for filters in ({Facet.OWNER: "33"}, {Facet.FORMAT: "x" * 10_000}):
        with pytest.raises(SearchInvalid):
            catalog.search(filters=filters)
    for after in ("x", "2.1", "0.-1", "0.1 OR 1=1", "0." + "9" * 50):
        with pytest.raises(CursorInvalid):
            catalog.search(after=after)


def test_a_rebuild_gives_the_same_tables(catalog: Catalog) -> None:
    """Entries, postings and facets come out as they were, whatever batches they came in."""
    found = catalog.search("样例")
    for node in (catalog.root, *catalog.children):
        report = node.store.rebuild()
        assert report.equal, [each.name for each in report.tables if each.before != each.after]
    assert catalog.search("样例") == found


def test_a_reason_with_a_nul_stops_no_projector(catalog: Catalog) -> None:
    """PostgreSQL stores no NUL; the tombstone stands, and what comes behind it as well."""
    resource, owner, _ = catalog.held[0]
    node = next(each for each in catalog.children if str(each.identity.path) == owner)
    withdrawal = catalog.draft(node, Step.WITHDRAW, resource.code, b'{"reason":"a\\u0000b"}')
    node.append("up:15", withdrawal)
    catalog.publish(ENTRIES)
    page = catalog.search(filters={Facet.STATE: "withdrawn"}, limit=500)
    assert {each.code: each.reason for each in page.entries}[resource.code] == "ab"
    assert catalog.search(f"{ENTRIES:06d}").total == 1


@pytest.mark.parametrize("space", [GRAMS, FACETS], ids=["grams", "facets"])
def test_a_block_holds_any_set(space: Any) -> None:
    """Sparse or dense, first bit or last, a stored block gives back its bits."""
    chance = random.Random(SEED)
    for count in (1, 2, 100, 255, 256, 257, 1_000, space.block_bits):
        bits = 0
        for offset in chance.sample(range(space.block_bits), count):
            bits |= 1 << offset
        stored = encode_block(space, bits)
        assert len(stored) <= space.block_bytes
        assert int.from_bytes(block_bitmap(space, stored), "little") == bits
