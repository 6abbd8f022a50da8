"""The demonstration from start to end, told as it happens and summed up in figures."""

import shutil
import tempfile
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import orjson

from yidao.node.demo import audit, directing, proving, reporting
from yidao.node.demo.facts import Facts
from yidao.node.demo.nation import PLACES, Nation
from yidao.node.demo.tree import DemoStepFailed, wait_until
from yidao.node.importing import Progress

Bar = Callable[[], AbstractContextManager[Progress]]
Tell = Callable[[str, str], None]
"""Tells one thing that happened, in Chinese and in English."""


def run_demo(*, folder: Path | None, keep: bool, tell: Tell, bar: Bar) -> Facts:
    """Run every step on six real daemons and give what was shown.

    Args:
        folder: Where to work; None makes a folder that is removed afterwards.
        keep: Leave the daemons running until the user interrupts.
        tell: Called with what happens.
        bar: Makes the progress bar of an import.

    Raises:
        DemoStepFailed: A step did not come out; the daemons are ended all the same.
    """
    started = time.monotonic()
    work = folder or Path(tempfile.mkdtemp(prefix="yidao-"))
    work.mkdir(mode=0o700, exist_ok=True)
    facts = Facts()
    nation = Nation(work)
    try:
        _play(nation, work, facts, tell, bar)
        facts.seconds = round(time.monotonic() - started, 1)
        if keep:
            nation.wake()
            tell(f"数据目录: {work} (Ctrl-C 结束)", f"Folders: {work} (Ctrl-C ends)")
            _wait_for_interrupt()
    except DemoStepFailed:
        # The logs are what the next step is about: they stay.
        tell(f"各节点的日志: {work}/*.log", f"Logs of the nodes: {work}/*.log")
        raise
    finally:
        nation.stop()
    if folder is None and not keep:
        shutil.rmtree(work)
    return facts


def sum_up(facts: Facts) -> str:
    """The figures as one JSON line."""
    return orjson.dumps(facts.as_dict()).decode()


def _play(nation: Nation, work: Path, facts: Facts, tell: Tell, bar: Bar) -> None:
    tell("一、六个节点逐级加入", "1. Six nodes join, parent by parent")
    nation.found(lambda place: tell(f"   {place}", f"   {place}"))
    facts.nodes = len(nation.nodes)
    facts.tiers = len(
        {node.path.count("/") if node.path != "/" else 0 for node in nation.nodes.values()}
    )
    tell("二、国家级发布标准, 逐级下行", "2. The root publishes the standard; it travels down")
    for pack in reporting.publish_standards(nation):
        tell(f"   {pack}", f"   {pack}")
    _report(nation, work, facts, tell, bar)
    directive = _through_a_broken_line(nation, work, facts, tell, bar)
    _direct(nation, directive, facts, tell)
    _compare(nation, facts, tell)
    _prove(nation, work, facts, tell)
    _audit(nation, facts, tell)


def _report(nation: Nation, work: Path, facts: Facts, tell: Tell, bar: Bar) -> None:
    tell("三、机构甲: 计量数据 → 月台账 → 季报 (样例)", "3. Agency A: meter → ledgers → returns")
    building = reporting.report_building(nation)
    tell("   机构乙: 导入500个单位的工作簿 (样例)", "   Agency B imports the workbook of 500 units")
    report = reporting.import_units(nation, work, bar)
    facts.rows_rejected = len(report.refused)
    tell(
        f"   {report.rows} 行, 收 {report.submitted}, 拒 {facts.rows_rejected}",
        f"   {report.rows} rows, {report.submitted} taken, {facts.rows_rejected} refused",
    )
    for row in report.refused:
        for fault in row.faults:
            place = f"   ! {row.sheet}!{row.row_number} {fault.field} {fault.rule or fault.code}: "
            tell(place + fault.text.zh, place + fault.text.en)
    units = 500
    reporting.wait_for_submissions(nation, building + report.submitted - units)
    tell("   县退回一份, 机构更正重报", "   The county returns one; the agency hands it in mended")
    reporting.send_one_back(nation)


def _through_a_broken_line(nation: Nation, work: Path, facts: Facts, tell: Tell, bar: Bar) -> str:
    tell("五、县的线路中断, 上下照常工作", "5. The county's line drops; work goes on on both sides")
    directing.drop_line(nation)
    report = reporting.import_corrections(nation, work, bar)
    if report.refused or report.submitted != facts.rows_rejected:
        raise DemoStepFailed(step="corrections", detail=str(report.refused))
    directive = directing.issue(nation)
    directing.pass_on(nation["province"], nation["city"])
    directing.pass_on(nation["city"], nation["county"])
    accepted = reporting.accept_everything(nation)
    tell(f"四、县接受 {accepted} 份 (线路仍断)", f"4. The county accepts {accepted}, still cut off")
    tell(
        "   线路恢复片刻, 又半开 (无声中断)",
        "   The line returns for a moment, then goes half-open",
    )
    directing.half_open_line(nation)
    directing.mend_line(nation)
    tell("   线路恢复, 各节点自行续传", "   The line is mended; the nodes resume by themselves")
    return directive


def _direct(nation: Nation, directive: str, facts: Facts, tell: Tell) -> None:
    tell(
        "六、指令: 国家 → 省 → 市 → 县, 签收与进展逐级上行", "6. The directive and its status tree"
    )
    directing.carry_out(nation["county"])
    targets = directing.wait_for_tree(nation, directive)
    for depth, target in enumerate(targets):
        line = f"   {'  ' * depth}{target.path}: {target.state} {target.percent}% {target.actor}"
        tell(line, line)
    facts.directives_delivered = sum(target.state != "waiting" for target in targets)
    facts.directives_acknowledged = sum(bool(target.actor) for target in targets)


def _compare(nation: Nation, facts: Facts, tell: Tell) -> None:
    reporting.wait_for_acceptances(nation)
    wrong = proving.rollups_equal_sources(nation, proving.holdings(nation))
    facts.rollup_equals_sources = not wrong
    for difference in wrong[:10]:
        tell(f"   ! {difference}", f"   ! {difference}")
    for line in reporting.figures(nation):
        tell(f"   {line}", f"   {line}")
    tell("   各级汇总与来源逐项相等", "   Every tier's roll-up equals its sources")


def _prove(nation: Nation, work: Path, facts: Facts, tell: Tell) -> None:
    tell(
        "七、存证导出, 空目录离线核验; 翻转一位即被拒",
        "7. Evidence, verified offline; a bit flipped",
    )
    facts.evidence_verified, facts.tampered_evidence_refused = proving.evidence(nation, work)
    tell("   市的库中改动一个字节", "   One byte is changed in the city's store")
    facts.tampered_store_noticed = proving.tamper(nation)
    tell(
        "   上级拒收并指名; 还原后自行补齐",
        "   Refused and named above; mended, it arrives by itself",
    )


def _audit(nation: Nation, facts: Facts, tell: Tell) -> None:
    tell("八、逐库核对", "8. Every store is compared with every other")
    wait_until("everything is settled", lambda: _is_settled(nation), 40)
    nation.rest()
    held = proving.holdings(nation)
    accepted = held["county"].accepted()
    root = held["nation"]
    facts.returns_submitted = audit.submissions(held[key] for key in ("agency_a", "agency_b"))
    facts.returns_accepted = len(accepted)
    facts.records_at_root = sum(journal not in root.own for journal, _ in root.headers)
    missing = [
        *(
            f"up {p.key} {m}"
            for p in PLACES[1:]
            for m in audit.missing_above(held[p.key], root, accepted)
        ),
        *(
            f"down {above.path}→{below.path} {m}"
            for above in held.values()
            for below in held.values()
            if above.path.is_ancestor_of(below.path)
            for m in audit.missing_below(above, below)
        ),
    ]
    for each in missing[:10]:
        tell(f"   ! {each}", f"   ! {each}")
    facts.lost = len(missing)
    facts.duplicated = audit.duplicates(held.values())
    stores = {key: node.folder / "store.db" for key, node in nation.nodes.items()}
    cosigners = audit.cosigners(stores["nation"], root.network)
    facts.receipts_verified = sum(
        audit.verified_receipts(file, cosigners) for file in stores.values()
    )


def _is_settled(nation: Nation) -> bool:
    """Whether every receipt is back, nothing waits for a peer and no problem is open."""
    for node in nation.nodes.values():
        with node.client() as client:
            status = client.status()
        # Reminders of what is due have to do with today, not with the sample's periods.
        problems = [each for each in status.problems if not each.code.startswith("RETURN_")]
        if status.receipts_current != status.receipts_expected or problems:
            return False
        if any(peer.lag for peer in status.peers):
            return False
    return True


def _wait_for_interrupt() -> None:
    try:
        while True:
            time.sleep(3600)
    except KeyboardInterrupt:
        return
