"""The report on the evidence of one record: the same plan as that of a whole return."""

from collections.abc import Iterator
from typing import Final

from yidao.node.printing.evidencewords import NOT_PROVED
from yidao.node.printing.paper import Speech, civil_time, cosigned_time
from yidao.node.printing.revocations import revocation_section
from yidao.node.printing.sections import Report, Section
from yidao.sync.evidence import EvidenceReport, Step
from yidao.sync.goneevidence import GonePart
from yidao.sync.merkle import leaf_hash
from yidao.sync.partsrun import Absence

_STEPS: Final = {
    Step.FILES: ("文件完整 ({0})", "The file is whole ({0})"),
    Step.CHAIN: ("登记链到 {0}", "The enrolment of {0} leads from the root certificate"),
    Step.HEADER: ("记录 {0} 属于该网络和该节点", "Record {0} is of this network and node"),
    Step.CHECKPOINT: ("日志 {0} 的印记有效", "The seal of journal {0} is good"),
    Step.INCLUSION: ("记录在日志中, 序号 {0}", "The record is in the journal, number {0}"),
    Step.PART: ("内容 {0} 与承诺一致", "Part {0} is what the record commits to"),
    Step.COSIGNED: ("{0} 会签: 当时已持有", "{0} cosigned: it held the journal then"),
}


def record_report(evidence: EvidenceReport, file_sha256: str, language: str = "zh") -> Report:
    """Give the report on a record's evidence that verified.

    Args:
        evidence: What it proves.
        file_sha256: Of the evidence file, hex.
        language: `zh` or `en`.
    """
    say = Speech(language)
    path = evidence.origin.path
    return Report(
        language=language,
        title=say("记录存证核验报告", "Report on the evidence of a record"),
        verdict=say(
            f"核验通过。该记录由 {path} 写入, 其后未被改动。",
            f"VERIFIED. The record was written by {path} and not changed since.",
        ),
        sections=(
            Section(title=say("记录", "The record"), rows=tuple(_what(evidence, say))),
            Section(title=say("时间", "When"), rows=tuple(_when(evidence, say))),
            Section(title=say("核验步骤", "What was checked"), rows=tuple(_steps(evidence, say))),
            revocation_section(evidence.revocations, say),
            Section(
                title=say("本文件不能证明", "What is NOT proved"),
                rows=tuple((str(n), say(*each)) for n, each in enumerate(NOT_PROVED, 1)),
            ),
            Section(
                title=say("校验值", "Hashes"),
                rows=tuple(_hashes(evidence, file_sha256, say)),
                is_hash=True,
            ),
        ),
    )


def _what(evidence: EvidenceReport, say: Speech) -> Iterator[tuple[str, str]]:
    header = evidence.header
    none = say("无", "none")
    yield say("种类", "Kind"), header.kind
    yield say("对象", "Object"), f"{header.object_id}  v{header.object_version}"
    yield say("单位", "Unit"), header.unit or none
    yield say("报告期", "Period"), header.period or none
    yield say("经办", "Actor"), header.actor
    yield say("节点", "Node"), str(evidence.origin.path)
    for gone in evidence.gone:
        yield _gone(gone, say)


def _gone(gone: GonePart, say: Speech) -> tuple[str, str]:
    """Who removed a part, and why; as certain as the record itself."""
    if gone.absence is Absence.PRUNED:
        label = say(f"{gone.name} 已按期限清理", f"{gone.name} was removed by age")
    elif gone.everywhere:
        label = say(f"{gone.name} 已依据决定删除", f"{gone.name} was erased by an order")
    else:
        label = say(
            f"{gone.name} 已在 {gone.by} 删除", f"{gone.name} was erased at {gone.by} alone"
        )
    told = (str(gone.by), gone.operator, gone.reason, gone.basis)
    return label, "; ".join(text for text in told if text)


def _when(evidence: EvidenceReport, say: Speech) -> Iterator[tuple[str, str]]:
    yield (
        say("创建 (节点自己的时钟)", "Created, by its node's clock"),
        civil_time(evidence.header.created_ms),
    )
    for cosigner in evidence.cosigners:
        label = say(f"{cosigner.path} 最迟已持有", f"Held by {cosigner.path} at the latest")
        yield label, cosigned_time(cosigner)


def _steps(evidence: EvidenceReport, say: Speech) -> Iterator[tuple[str, str]]:
    for each in evidence.steps():
        mark = say("是", "yes") if each.ok else say("无", "absent")
        yield mark, say(*_STEPS[each.step]).format(each.subject)


def _hashes(evidence: EvidenceReport, file_sha256: str, say: Speech) -> Iterator[tuple[str, str]]:
    checkpoint = evidence.checkpoint
    yield say("本文件 SHA-256", "SHA-256 of the file"), file_sha256
    yield say("记录号", "Record"), evidence.header.record_id.hex()
    yield say("叶哈希", "Leaf hash"), leaf_hash(evidence.raw).hex()
    yield say("日志", "Journal"), checkpoint.origin
    yield say("日志大小与树根", "Size and root"), f"{checkpoint.size} {checkpoint.root.hex()}"
