"""Fixed sentences of the report on evidence, in Chinese and in English."""

from typing import Final

from yidao.node.affairs.registry.records import REGISTERED
from yidao.node.affairs.reporting import records
from yidao.node.affairs.signoff import records as signoff
from yidao.node.affairs.standards.records import PUBLISHED

KINDS: Final = {
    records.SUBMITTED: ("报送", "return handed in"),
    records.REFUSED: ("本地拒收", "row refused at its node"),
    records.RECORDED: ("本地登记", "row recorded at its node"),
    records.ACCEPTED: ("接受", "acceptance"),
    records.RETURNED: ("退回", "return for correction"),
    records.WITHDRAWN: ("撤回", "withdrawal"),
    records.NOTIFIED: ("审核通知", "letter about the review"),
    REGISTERED: ("单位登记", "registration of the unit"),
    signoff.SIGNED: ("签发", "sign-off"),
    signoff.PROPOSED: ("签发人名单拟定", "proposal of approvers"),
    signoff.CONFIRMED: ("签发人名单确认", "confirmation of approvers"),
    signoff.FILED: ("签发人名单备案", "filing of approvers"),
    PUBLISHED: ("标准发布", "publication of the standard"),
}
NOT_PROVED: Final = (
    (
        "数据本身是否真实: 只证明当时报送了这些数据。",
        "That the figures are true: only that they were handed in.",
    ),
    (
        "填报与审核时间是否准确: 取自各节点自己的时钟, 只有会签时间由上级独立给出。",
        "That times of handing in and deciding are right: they are by each node's own clock; only "
        "the times of cosignatures are given by others.",
    ),
    (
        "署名的经办人是否本人操作: 由其节点负责认定。",
        "That the person named did it: their node answers for that.",
    ),
    (
        "文件是否齐全: 可能另有版本、意见或撤回未列入本文件。",
        "That nothing was left out: there may be versions, verdicts or withdrawals that this file "
        "does not hold.",
    ),
    (
        "签发人名单当时是否仍有效: 其后更换名单的记录可能未列入本文件。",
        "That the policy of approvers was still in force: a later one may be left out of the file.",
    ),
    (
        "出具之后密钥是否被盗或停用: 只说明出具当时已知的撤销。",
        "That no key was stolen or revoked after the file was made: it tells only what was known "
        "then.",
    ),
)
