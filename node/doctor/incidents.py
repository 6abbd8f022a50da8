"""One screen for one incident: what happened, what proves it, what is safe, what to do.

The words on what happened and what to do are those of the message pages, under the
incident's code; here is what else belongs on the screen.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from yidao.node.client.recovery import Incident
from yidao.node.messages import message

_SAFE: Final[Mapping[str, tuple[str, str]]] = {
    "NODE_FORKED": (
        "已收到回执的记录都在上级; 本节点不再签名, 仍可读取和接收。",
        "What has a receipt is held above. This node signs nothing; it still reads and receives.",
    ),
    "SEAL_FORK": (
        "先收到的历史继续有效, 后到的不予接收; 其他节点照常。",
        "The history that came first stays valid, the other is not taken; other nodes go on.",
    ),
    "STATE_ROLLED_BACK": (
        "已收到回执的记录一条不失: 从邻居取回, 验自己的签名后原样保存。",
        "Nothing that has a receipt is lost: it comes back from the neighbours, under its own "
        "signature, as it was.",
    ),
    "STORE_RESTORED": (
        "备份之后已收到回执的记录从上级取回; 未发出的须重新填报。",
        "What has a receipt since the backup comes back from above; what was never sent must be "
        "reported again.",
    ),
    "NODE_CLONED": (
        "只有一个进程签名; 之前的记录都有效。",
        "One of the processes signs, the other does not; what was written before is valid.",
    ),
    "NODE_PUT_ASIDE": (
        "该下级已有的记录不受影响; 它的新记录等候放行。",
        "What is held of that child stays; new records of it wait until it is let in.",
    ),
    "PEER_ROLLED_BACK": (
        "本节点保有全部记录, 会自动补发; 回执证明对方曾经持有。",
        "This node holds everything and sends it again; the receipt proves that it was held there.",
    ),
    "EPOCH_UNWITNESSED": (
        "旧纪元的记录继续有效; 上级恢复后会对齐。",
        "What was written in the old epoch stays valid; it is made even once the parent is back.",
    ),
    "START_DOUBTFUL": (
        "读取、接收和下级的续传照常, 只是暂不签名。",
        "Reading, receiving and resuming of children go on; only signing waits.",
    ),
    "ENROLMENT_CONFLICT": (
        "先登记的密钥继续有效, 第二个不予承认。",
        "The key that was enrolled first stays valid; the second one counts for nothing.",
    ),
    "INCIDENT_BELOW": (
        "本节点所持记录不受影响。",
        "What this node holds is not touched.",
    ),
}
_VERIFY: Final = (
    "核验: 下面两份是 C2SP 签名检查点; 起源名中的节点以登记的日志公钥验签, "
    "同一大小而根不同即为铁证。",
    "To verify: these are C2SP signed checkpoints. Check both under the journal key that the "
    "origin's node was enrolled with; one size with two roots proves it.",
)
_RECEIPT: Final = (
    "核验: 下面是签名检查点及对方的联署 (回执), 以登记的联署公钥验签。",
    "To verify: this is a signed checkpoint with the other node's cosignature, its receipt. "
    "Check it under the cosigning key that it was enrolled with.",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Screen:
    """What an operator reads of one incident."""

    code: str
    happened: str
    safe: str
    todo: str
    verify: str
    held: str
    other: str


def screen(incident: Incident, language: str) -> Screen:
    """Return the screen of an incident in `zh` or `en`."""
    about: dict[str, str | int] = {"journal": incident.journal, "peer": incident.peer}
    told = message(incident.code, {**about, **incident.params}, language)
    which = 0 if language == "zh" else 1
    verify = ""
    if incident.held or incident.other:
        verify = (_VERIFY if incident.held and incident.other else _RECEIPT)[which]
    return Screen(
        code=incident.code,
        happened=told.text,
        safe=_SAFE[incident.code][which],
        todo=told.hint,
        verify=verify,
        held=incident.held,
        other=incident.other,
    )
