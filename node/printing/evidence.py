"""The report on a return's evidence for people who know nothing of the program: a court clerk.

It says who, what, when, what was decided by whom, what was checked, and what the
file does not prove. What the file does not hold is said to be absent.
"""

from collections.abc import Iterator

from yidao.catalog.pack.model import Field, FieldKind, Form, Pack, Value
from yidao.node.affairs.reporting import records
from yidao.node.affairs.reporting.rules import Decision
from yidao.node.affairs.reporting.story import SaidTold, Story, VersionTold
from yidao.node.printing.evidencewords import KINDS, NOT_PROVED
from yidao.node.printing.paper import Speech, civil_time, cosigned_time
from yidao.node.printing.sections import Report, Section
from yidao.sync.evidencefiles import ProvenRecord
from yidao.sync.merkle import leaf_hash


def evidence_report(story: Story, file_sha256: str, language: str = "zh") -> Report:
    """Give the report on a return's evidence that verified.

    Args:
        story: What the evidence tells.
        file_sha256: Of the evidence file, hex.
        language: `zh` or `en`.
    """
    return _Writer(story, Speech(language), language).report(file_sha256)


class _Writer:
    """Writes one report."""

    def __init__(self, story: Story, say: Speech, language: str) -> None:
        self._story = story
        self._say = say
        self._language = language

    def report(self, file_sha256: str) -> Report:
        say = self._say
        rows = self._rows
        return Report(
            language=self._language,
            title=say("报表存证核验报告", "Report on the evidence of a return"),
            verdict=say("核验通过。", "VERIFIED. ") + self._outcome(self._story.newest),
            sections=(
                Section(title=say("报送单位", "Who"), rows=rows(self._who())),
                Section(title=say("报表", "What"), rows=rows(self._what())),
                *(self._figures(version) for version in self._story.versions),
                Section(
                    title=say("时间", "When"),
                    rows=rows(self._when()),
                    note=say(
                        "填报时间取自填报节点的时钟; 「最迟」为上级节点会签时自己的时间。",
                        "The first is by the author's clock; 'at the latest' is by the clock of "
                        "the node above that cosigned.",
                    ),
                ),
                Section(
                    title=say("审核与决定", "What was decided, by whom"), rows=rows(self._said())
                ),
                Section(
                    title=say("核验步骤", "What was checked"),
                    rows=rows(self._steps()),
                    note=self._absent(),
                ),
                Section(
                    title=say("本文件不能证明", "What is NOT proved"),
                    rows=tuple((str(n), say(*each)) for n, each in enumerate(NOT_PROVED, 1)),
                ),
                Section(
                    title=say("校验值", "Hashes"),
                    rows=rows(self._hashes(file_sha256)),
                    is_hash=True,
                ),
            ),
        )

    @staticmethod
    def _rows(pairs: Iterator[tuple[str, str]]) -> tuple[tuple[str, ...], ...]:
        return tuple(pairs)

    def _outcome(self, version: VersionTold) -> str:
        say, story = self._say, self._story
        name = say(f"第 {version.number} 版", f"Version {version.number}")
        verdict = story.verdict_on(version)
        if verdict is not None:
            by = verdict.record.header.actor
            if verdict.decision is Decision.ACCEPT:
                return say(f"{name}已被 {by} 接受。", f"{name} was accepted by {by}.")
            return say(f"{name}已被 {by} 退回。", f"{name} was returned by {by}.")
        if story.withdrawal_of(version) is not None:
            return say(f"{name}已由填报方撤回。", f"{name} was withdrawn by its author.")
        if version.record.header.kind == records.REFUSED:
            return say(f"{name}在本节点被拒收, 未报出。", f"{name} was refused at its node.")
        if version.record.header.kind == records.RECORDED:
            return say(
                f"{name}只在本节点登记, 无需审核。", f"{name} stays at its node, unreviewed."
            )
        return say(f"{name}: 本文件中没有审核决定。", f"{name}: this file holds no verdict.")

    def _who(self) -> Iterator[tuple[str, str]]:
        say, story = self._say, self._story
        absent = say("本文件中没有单位登记", "the file holds no registration")
        yield say("单位名称 (按登记)", "Unit, as registered"), story.unit_name or absent
        yield say("统一社会信用代码", "Unified social credit code"), story.key.unit
        yield say("填报节点", "Node that handed it in"), str(story.origin.path)
        yield say("上级链", "Enrolled by"), " ← ".join(str(e.path) for e in reversed(story.chain))
        yield say("网络", "Network"), story.network.hex()

    def _what(self) -> Iterator[tuple[str, str]]:
        say, story = self._say, self._story
        _, form = self._standard(story.newest)
        title = say(form.title.zh, form.title.en) if form else ""
        yield say("报表", "Form"), f"{title} ({story.key.pack}/{story.key.form})".strip()
        yield say("报告期", "Period"), story.key.period or say("无", "none")
        for version in story.versions:
            header = version.record.header
            pack, _ = self._standard(version)
            standard = (
                header.schema
                if pack
                else header.schema
                + say(" (标准不在本文件中)", " (the standard is not in the file)")
            )
            yield (
                say(f"第 {version.number} 版", f"Version {version.number}"),
                ", ".join((say(*KINDS[header.kind]), header.actor, standard or "-")),
            )

    def _standard(self, version: VersionTold) -> tuple[Pack | None, Form | None]:
        pack = self._story.pack_of(version)
        return pack, None if pack is None else pack.forms.get(self._story.key.form)

    def _figures(self, version: VersionTold) -> Section:
        say = self._say
        pack, form = self._standard(version)
        title = say(f"第 {version.number} 版数据", f"Figures of version {version.number}")
        if version.row is None:
            note = say(
                "数据不在本文件中, 或无法读取。", "The figures are not in the file, or unreadable."
            )
            return Section(title=title, rows=(), note=note)
        story_unit = self._story.key.unit
        fields = form.fields if form else {}
        order = {name: place for place, name in enumerate(fields)}
        names = sorted(version.row, key=lambda name: (order.get(name, len(order)), name))
        rows = tuple(
            self._figure(name, version.row[name], fields.get(name), pack) for name in names
        )
        differs = version.row.get("uscc", story_unit) != story_unit
        return Section(
            title=title,
            note=say("数据中的单位不是报送单位!", "The figures name another unit!")
            if differs
            else "",
            columns=(
                say("项目", "Item"),
                say("字段", "Field"),
                say("数值", "Value"),
                say("单位", "Unit"),
            ),
            rows=rows,
        )

    def _figure(
        self, name: str, value: Value, field: Field | None, pack: Pack | None
    ) -> tuple[str, ...]:
        say = self._say
        shown = (
            say("是", "yes") if value is True else say("否", "no") if value is False else str(value)
        )
        if field is None or pack is None:
            return ("-", name, shown, "-")
        if field.kind is FieldKind.CODE and field.list_id in pack.lists:
            item = pack.lists[field.list_id].items.get(shown)
            if item is not None:
                shown = f"{shown} {say(item.label.zh, item.label.en)}"
        return (say(field.label.zh, field.label.en), name, shown, field.unit or "-")

    def _when(self) -> Iterator[tuple[str, str]]:
        for version in self._story.versions:
            name = self._say(f"第 {version.number} 版", f"Version {version.number}")
            yield from self._times(name, version.record)
            for each in self._story.said_of(version):
                kind = self._say(*KINDS[each.record.header.kind])
                yield from self._times(f"{name}, {kind}", each.record)

    def _times(self, name: str, record: ProvenRecord) -> Iterator[tuple[str, str]]:
        say = self._say
        yield name + say(", 创建", ", created"), civil_time(record.header.created_ms)
        for cosigner in record.cosigners:
            label = name + say(
                f", {cosigner.path} 最迟已持有", f", held by {cosigner.path} at the latest"
            )
            yield label, cosigned_time(cosigner)

    def _said(self) -> Iterator[tuple[str, str]]:
        say, story = self._say, self._story
        for version in story.versions:
            name = say(f"第 {version.number} 版", f"Version {version.number}")
            yield name, self._outcome(version)
            for each in story.said_of(version):
                yield f"{name}, {say(*KINDS[each.record.header.kind])}", self._words(each)

    def _words(self, said: SaidTold) -> str:
        say = self._say
        header = said.record.header
        words = [header.actor]
        if said.by_letter:
            words.append(
                say("接受", "accepted")
                if said.decision is Decision.ACCEPT
                else say("退回", "returned")
            )
        words.append(say("理由: ", "reason: ") + (said.reason or say("无", "none")))
        if said.others:
            words.append(
                say(
                    f"该通知另涉及 {said.others} 份其他报表, 此处不列",
                    f"the letter tells of {said.others} other returns, not shown here",
                )
            )
        return "; ".join(words)

    def _steps(self) -> Iterator[tuple[str, str]]:
        say, story = self._say, self._story
        yes = say("是", "yes")
        yield (
            yes,
            say(
                "文件完整, 形式唯一, 没有多余内容",
                "The file is whole, in its one form, with nothing beside",
            ),
        )
        for enrolment in story.chain:
            yield (
                yes,
                say(
                    f"从根证书出发, {enrolment.path} 的登记有效",
                    f"From the root certificate, the enrolment of {enrolment.path} holds",
                ),
            )
        for record in self._records():
            yield from self._record_steps(record)
        yield (
            yes,
            say(
                f"记录均属同一报表; 决定由直接上级作出, 填报与撤回由 {story.origin.path} 作出",
                "All records are of this one return; verdicts are of the direct parent, versions "
                f"and withdrawals of {story.origin.path}",
            ),
        )
        if all(story.verdict_on(version) is None for version in story.versions):
            yield say("无", "absent"), say("审核决定", "A verdict")

    def _absent(self) -> str:
        return self._say(
            "「无」表示本文件中没有, 不是差错; 记录号取末 8 位。",
            "'absent' means that the file does not hold it, and is no fault; records are named by "
            "the last 8 digits of their ids.",
        )

    def _records(self) -> Iterator[ProvenRecord]:
        story = self._story
        seen = set()
        background = [record for _, record in story.packs.values()]
        if story.registration is not None:
            background.append(story.registration)
        for record in (
            *(version.record for version in story.versions),
            *(each.record for each in story.said),
            *background,
        ):
            if record.raw not in seen:
                seen.add(record.raw)
                yield record

    def _record_steps(self, record: ProvenRecord) -> Iterator[tuple[str, str]]:
        say = self._say
        header = record.header
        name = f"{say(*KINDS[header.kind])} {header.record_id.hex()[-8:]}"
        channel, path = record.journal.channel, record.origin.path
        told = say(
            f"{name}: 在 {path} 的日志 {channel} 中, 序号 {record.seq}, 由该节点签名",
            f"{name}: in journal {channel} of {path}, number {record.seq}, signed by that node",
        )
        yield say("是", "yes"), told
        given = {part.name for part in record.parts}
        for digest in header.parts:
            mark = say("是", "yes") if digest.name in given else say("无", "absent")
            yield (
                mark,
                say(
                    f"{name}: 内容 {digest.name} 与承诺一致",
                    f"{name}: part {digest.name} is what it commits to",
                ),
            )
        cosigned = {cosigner.node_id for cosigner in record.cosigners}
        for tier in record.tiers:
            mark = say("是", "yes") if tier.node_id in cosigned else say("无", "absent")
            yield mark, say(f"{name}: {tier.path} 会签", f"{name}: cosigned by {tier.path}")

    def _hashes(self, file_sha256: str) -> Iterator[tuple[str, str]]:
        say = self._say
        yield say("本文件 SHA-256", "SHA-256 of the file"), file_sha256
        for record in self._records():
            name = say(*KINDS[record.header.kind])
            yield f"{name}, {say('记录号', 'record')}", record.header.record_id.hex()
            yield f"{name}, {say('叶哈希', 'leaf hash')}", leaf_hash(record.raw).hex()
            yield f"{name}, {say('日志', 'journal')}", record.checkpoint.origin
            yield (
                f"{name}, {say('日志大小与树根', 'size and root')}",
                f"{record.checkpoint.size} {record.checkpoint.root.hex()}",
            )
