"""What an approver is shown before signing: recomputed from the file on their own machine."""

from collections.abc import Mapping

from yidao.api.errors import YidaoError
from yidao.catalog.errors import CatalogError
from yidao.catalog.pack.loader import load_pack
from yidao.catalog.pack.model import Form, Value
from yidao.catalog.rollup import Rollup
from yidao.catalog.rows import parse_row
from yidao.node.printing.paper import Speech, civil_time
from yidao.node.printing.sections import Report, Section
from yidao.sync.signoff import Policy
from yidao.sync.signofffile import OpenedBatch, OpenedPolicy, OpenedReturn

Row = Mapping[str, Value]


def batch_report(opened: OpenedBatch, language: str = "zh") -> Report:
    """Give the list of returns that a batch signs off, with their totals."""
    say = Speech(language)
    batch = opened.batch
    form = _form(opened)
    rows = [_row(each) for each in opened.returns]
    title = say(form.title.zh, form.title.en) if form else ""
    facts = (
        (say("报送节点", "Node"), str(batch.path)),
        (say("报表", "Form"), f"{title} ({batch.pack}/{batch.form})".strip()),
        (say("报告期", "Period"), batch.period or say("无", "none")),
        (say("份数", "Returns"), str(batch.count)),
        *_policy_rows(opened.policy, say),
    )
    return Report(
        language=language,
        title=say("待签发报表清单", "Returns to be signed off"),
        verdict=say(
            f"共 {batch.count} 份, 数据与树根相符。签发即对全部数据负责。",
            f"{batch.count} returns; the figures have this root. Signing answers for all of them.",
        ),
        sections=(
            Section(title=say("概况", "Overview"), rows=facts),
            Section(
                title=say("合计", "Totals"),
                columns=(say("项目", "Item"), say("字段", "Field"), say("合计", "Total")),
                rows=tuple(_totals(form, rows, say)),
            ),
            Section(
                title=say("逐份", "Each return"),
                columns=(
                    say("序号", "No."),
                    say("单位", "Unit"),
                    say("版本", "Version"),
                    say("填报人", "Handed in by"),
                    say("数据", "Figures"),
                ),
                rows=tuple(
                    _line(number, each, row)
                    for number, (each, row) in enumerate(zip(opened.returns, rows, strict=True), 1)
                ),
            ),
            Section(
                title=say("校验值", "Hashes"),
                rows=((say("树根", "Root"), batch.root.hex()),),
                is_hash=True,
            ),
        ),
    )


def policy_report(opened: OpenedPolicy, language: str = "zh") -> Report:
    """Give what a proposed policy says."""
    say = Speech(language)
    policy = opened.policy
    note = (
        say("此前没有签发人, 或此前的签发人不再算数。", "It follows no other policy.")
        if opened.previous is None
        else say(
            f"接替第 {opened.previous.version} 版, 须有其中 {opened.previous.threshold} 人签名。",
            f"It follows version {opened.previous.version}, "
            f"{opened.previous.threshold} of whose approvers must sign too.",
        )
    )
    return Report(
        language=language,
        title=say("签发人名单", "Who signs off"),
        verdict=say(
            f"{len(policy.approvers)} 人中须有 {policy.threshold} 人签名。",
            f"{policy.threshold} of {len(policy.approvers)} must sign.",
        ),
        sections=(
            Section(
                title=say("概况", "Overview"),
                rows=(
                    (say("节点", "Node"), str(policy.path)),
                    (say("报表", "Forms"), policy.scope or say("全部", "all")),
                    (say("版本", "Version"), str(policy.version)),
                    (say("拟定时间", "Proposed"), civil_time(policy.made_ms)),
                    *_policy_rows(policy, say),
                ),
                note=note,
            ),
            Section(
                title=say("公钥", "Public keys"),
                rows=tuple((each.actor, each.key.hex()) for each in policy.approvers),
                is_hash=True,
            ),
        ),
    )


def _policy_rows(policy: Policy, say: Speech) -> tuple[tuple[str, str], ...]:
    names = "; ".join(f"{each.name} ({each.actor})" for each in policy.approvers)
    need = f"{policy.threshold}/{len(policy.approvers)}"
    return ((say("须签人数", "Must sign"), need), (say("签发人", "Approvers"), names))


def _form(opened: OpenedBatch) -> Form | None:
    """Give the form by the newest standard in the file; None where it cannot be read."""
    found = None
    for body in opened.packs.values():
        try:
            pack = load_pack(body)
        except YidaoError:
            continue
        if pack.id == opened.batch.pack:
            found = pack.forms.get(opened.batch.form) or found
    return found


def _row(each: OpenedReturn) -> Row:
    """Give the figures; none where they are no row, which the list then shows."""
    try:
        return parse_row(each.core)
    except YidaoError:
        return {}


def _totals(form: Form | None, rows: list[Row], say: Speech) -> list[tuple[str, ...]]:
    if form is None:
        return [(say("标准不在文件中", "the standard is not in the file"), "-", "-")]
    try:
        totals = Rollup.of(form, rows).totals()
    except CatalogError as error:
        return [(say("无法合计", "cannot be added up"), error.code, "-")]
    shown: list[tuple[str, ...]] = []
    for name, total in totals.items():
        label = form.fields[name].label
        text = (
            ", ".join(f"{code}: {count}" for code, count in total.items())
            if isinstance(total, Mapping)
            else str(total)
        )
        shown.append((say(label.zh, label.en), name, text))
    return shown


def _line(number: int, each: OpenedReturn, row: Row) -> tuple[str, ...]:
    header = each.header
    hidden = {"uscc", "period"}
    figures = ", ".join(f"{name} {value}" for name, value in row.items() if name not in hidden)
    return (
        str(number),
        header.unit,
        f"v{header.object_version}",
        header.actor,
        figures or "-",
    )
