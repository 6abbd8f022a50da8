"""What a report says of revocations: by whose word, as of when, and what that means."""

from collections.abc import Iterator
from typing import Final

from yidao.node.printing.paper import Speech, civil_time
from yidao.node.printing.sections import Section
from yidao.sync.evidencerevocations import RevocationState
from yidao.sync.revocation import Reason

_REASONS: Final = {
    Reason.KEY_STOLEN: ("密钥被盗", "its key was stolen"),
    Reason.MACHINE_LOST: ("机器丢失", "its machine was lost"),
    Reason.REPLACED: ("已更换", "it was replaced"),
    Reason.CLOSED: ("单位撤销", "its office was closed"),
}


def revocation_section(state: RevocationState | None, say: Speech) -> Section:
    """Give the section on revocations of the nodes that a file rests on."""
    return Section(
        title=say("撤销情况", "Revocations"),
        rows=tuple(_rows(state, say)),
        note=say(
            "截断位置之前的记录仍然有效; 已撤销节点的会签一概不计。此后的撤销, 本文件不知道。",
            "What lies before a cut stays valid; cosignatures of a revoked node count for "
            "nothing. The file knows nothing of later revocations.",
        ),
    )


def revocation_facts(state: RevocationState | None) -> dict[str, object] | None:
    """Give the same for programs; times in Unix milliseconds."""
    if state is None:
        return None
    return {
        "stated_by": str(state.by.path),
        "as_of_ms": state.as_of_ms,
        "revoked": [
            {"path": str(each.path), "reason": each.reason.value, "by": str(by.path)}
            for each, by in state.revocations
        ],
    }


def _rows(state: RevocationState | None, say: Speech) -> Iterator[tuple[str, str]]:
    if state is None:
        yield (
            say("本文件未说明", "Not stated"),
            say("请向上级核实有关节点是否已被撤销", "ask a node above whether one was revoked"),
        )
        return
    yield (
        say("出具节点", "Stated by"),
        say(
            f"{state.by.path}, 截至 {civil_time(state.as_of_ms)}",
            f"{state.by.path}, as of {civil_time(state.as_of_ms)}",
        ),
    )
    if not state.revocations:
        yield (
            say("已撤销的节点", "Revoked nodes"),
            say("有关节点均未被撤销", "none of those that this file rests on"),
        )
    for each, by in state.revocations:
        why = say(*_REASONS[each.reason])
        yield (
            say(f"{each.path} 已被撤销", f"{each.path} was revoked"),
            say(f"由 {by.path}, 原因: {why}", f"by {by.path}: {why}"),
        )
