"""What a search of 100,000 sample entries costs, with all facets. Run with `make bench`.

Entries and queries follow from the seed. The queries mix words of one to eight
characters that few or all entries hold, codes, filters and later pages.
"""

import hashlib
import itertools
import random
import statistics
import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

from pytest_benchmark.fixture import BenchmarkFixture

from yidao.catalog.codes import sample_uscc
from yidao.catalog.resource import Item, Resource, ShareType, encode_resource
from yidao.node.affairs.catalog import records
from yidao.node.affairs.catalog.facets import Facet
from yidao.node.affairs.catalog.rules import Step
from yidao.node.affairs.catalog.searching import Search, search_catalog
from yidao.node.affairs.catalog.views import CatalogProjector
from yidao.sync.ids import Path

SEED = 20261126
ENTRIES = 100_000
BATCH = 2_000
LIMIT_MS = 50
CHILDREN = [f"/{number}" for number in range(11, 42)]
TOPICS = [
    "公共机构能耗",
    "公务用车",
    "车辆维修",
    "办公用房",
    "国有资产",
    "政府采购",
    "住房公积金",
    "会议服务",
    "餐饮服务",
    "安全防控",
    "物业管理",
    "房屋修缮",
    "用水",
    "用电",
    "集中供暖",
    "部门预算",
    "人员编制",
    "机构设置",
    "合同",
    "停车场",
    "档案",
    "绿化",
    "垃圾分类",
    "节能改造",
    "充电设施",
    "光伏发电",
    "食堂",
    "值班",
    "公务接待",
    "运行成本",
    "周转住房",
    "职工住宅",
    "设备",
    "家具",
    "办公用品",
]
KINDS = [
    "统计",
    "台账",
    "目录",
    "明细",
    "年报",
    "月报",
    "名录",
    "清单",
    "标准",
    "监测",
    "基本信息",
    "考核结果",
    "审批记录",
    "项目库",
]
VERBS = [
    "登记",
    "汇总",
    "核对",
    "上报",
    "公示",
    "更新",
    "归集",
    "采集",
    "共享",
    "分析",
    "审核",
    "调配",
    "评价",
    "监督",
]
PLACES = [
    "杭州",
    "宁波",
    "温州",
    "嘉兴",
    "湖州",
    "绍兴",
    "金华",
    "衢州",
    "舟山",
    "台州",
    "丽水",
    "西湖区",
    "上城区",
    "萧山区",
    "余杭区",
]


def entry(number: int) -> Resource:
    """A sample entry: 样例, seeded; its words are drawn from the lists above."""
    chance = random.Random(SEED * 1_000_000 + number)
    code = f"3{chance.randint(1, 30):02d}{chance.randint(0, 40):03d}33010600000001"
    place, topic, kind = chance.choice(PLACES), chance.choice(TOPICS), chance.choice(KINDS)
    story = "，".join(
        f"{chance.choice(PLACES)}{chance.choice(TOPICS)}{chance.choice(VERBS)}" for _ in range(6)
    )
    return Resource(
        code=f"{code}/{number:06d}",
        title=f"样例{place}{topic}{kind}",
        class_code=code,
        provider_name=f"样例{place}机关事务管理局",
        provider_uscc=sample_uscc(number, "330106"),
        description=f"样例: {story}。",
        format=chance.choice("123456"),
        items=tuple(
            Item(name=f"f{index}", title=chance.choice(TOPICS) + chance.choice(KINDS), type="N")
            for index in range(6)
        ),
        share_type=ShareType(chance.randint(1, 3)),
        share_condition="样例",
        share_mode="1",
        share_basis="样例",
        open=False,
        open_condition="",
        update_cycle=chance.choice("12345678"),
        issued="2026-11-26",
    )


def record(number: int, nodes: list[Any]) -> Any:
    """A publication as a projector sees it; the link that brings it is measured elsewhere."""
    resource = entry(number)
    header = SimpleNamespace(
        kind=records.kind_of(Step.PUBLISH),
        object_id=records.object_of(resource.code),
        object_version=1,
        node_id=nodes[number % len(nodes)].identity.node_id,
        actor="sample@/",
        created_ms=number,
        record_id=hashlib.sha256(b"%d" % number).digest()[:16],
    )
    return SimpleNamespace(
        header=header,
        position=number + 1,
        journal=SimpleNamespace(channel="up:15"),
        parts={"core": encode_resource(resource)},
    )


def searches() -> list[Search]:
    """240 searches: common and rare words, two words, codes, filters, nothing at all."""
    chance = random.Random(SEED)
    words = [
        *TOPICS,
        *KINDS,
        *(f"{chance.choice(PLACES)}{chance.choice(TOPICS)}" for _ in range(40)),
        *(f"样例{chance.choice(PLACES)}{chance.choice(TOPICS)}{topic}" for topic in KINDS),
        *(f"{chance.choice(TOPICS)} {chance.choice(KINDS)}" for _ in range(30)),
        *(f"{chance.randrange(ENTRIES):06d}" for _ in range(20)),
        *("机", "能", "车", "用", "样例", "机关事务管理局", "330106", "不存在的资源", "f1", ""),
    ]
    filters: list[dict[Facet, str]] = [
        {},
        {},
        {Facet.OWNER: "/33"},
        {Facet.SHARE_TYPE: "1"},
        {Facet.FORMAT: "3", Facet.UPDATE_CYCLE: "5"},
        {Facet.CLASS: "306"},
    ]
    made = [Search(query=word, filters=chance.choice(filters), limit=20) for word in words]
    while len(made) < 240:
        # Later pages: from the middle of what was found.
        after = f"1.{chance.randrange(ENTRIES)}"
        made.append(Search(query=chance.choice(TOPICS), after=after, limit=20))
    return made


def load(root: Any, nodes: list[Any]) -> list[float]:
    """Fold all entries, a batch a commit, and give the CPU seconds of each batch."""
    projector = CatalogProjector()
    paths = {node.identity.node_id: node.identity.path for node in nodes}
    reader: Any = SimpleNamespace(own=root.identity, path_of=paths.get)
    seconds = []
    for start in range(0, ENTRIES, BATCH):
        batch = [record(number, nodes) for number in range(start, start + BATCH)]
        began = time.process_time()
        root.store.run(lambda tx, items=batch: projector.fold(tx.conn, items, reader))
        seconds.append(time.process_time() - began)
    return seconds


def p99(values: list[float]) -> float:
    return statistics.quantiles(values, n=100)[98]


def test_search_100_000_entries(benchmark: BenchmarkFixture, new_node: Callable[..., Any]) -> None:
    """A page of 20, the total, and the counts of six facets, at the root of 31 children.

    Beside the time on the clock stands the CPU's: on a machine that does other
    work as well, only the second is the search's own.
    """
    root = new_node("/")
    root.start()
    nodes = [new_node(path, (root.enrolment,)) for path in CHILDREN]
    folded = load(root, nodes)
    mix = searches()
    turns = itertools.cycle(mix)
    found: list[int] = []
    cpu_ms: list[float] = []

    def search() -> None:
        began = time.process_time()
        with root.store.read() as conn:
            found.append(search_catalog(conn, Path(), next(turns)).total)
        cpu_ms.append((time.process_time() - began) * 1_000)

    benchmark.pedantic(search, rounds=4 * len(mix), warmup_rounds=len(mix))
    assert max(found) == ENTRIES
    assert 0 in found
    if benchmark.stats is not None:
        clock_ms = [seconds * 1_000 for seconds in benchmark.stats.stats.data]
        figures = {
            "searches": len(mix),
            "p50_ms": round(statistics.median(clock_ms), 2),
            "p99_ms": round(p99(clock_ms), 2),
            "cpu_p50_ms": round(statistics.median(cpu_ms), 2),
            "cpu_p99_ms": round(p99(cpu_ms), 2),
            "fold_cpu_ms_an_entry": round(statistics.median(folded) * 1_000 / BATCH, 3),
        }
        benchmark.extra_info.update(figures)
        print(f"\nsearch of {ENTRIES:,} (limit p99 {LIMIT_MS} ms): {figures}")
