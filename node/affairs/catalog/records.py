"""Kinds and payloads of the catalog affair.

The payload of `drafted` and `published` is the canonical JSON of the resource
(see `yidao.catalog.resource`); that of the other kinds is a reason.
"""

from dataclasses import dataclass
from typing import Self

from yidao.node.affairs.catalog.rules import Step
from yidao.node.affairs.cores import Core, encode_core

CODE_ISSUED = "catalog.code.issued"
_KINDS = {
    Step.DRAFT: "catalog.entry.drafted",
    Step.SUBMIT: "catalog.entry.submitted",
    Step.REVIEW: "catalog.entry.reviewed",
    Step.SEND_BACK: "catalog.entry.sent_back",
    Step.PUBLISH: "catalog.entry.published",
    Step.WITHDRAW: "catalog.entry.withdrawn",
}
#: The step that a record of a kind is.
STEPS = {kind: step for step, kind in _KINDS.items()}

LOCAL_CHANNEL = "local"
#: Bulk, to the root: everybody above may know what is there.
UP_CHANNEL = "up:15"


def kind_of(step: Step) -> str:
    """Give the kind of the record that a step is."""
    return _KINDS[step]


def channel_of(step: Step) -> str:
    """Give where a step is written: what everybody above may know goes up."""
    return UP_CHANNEL if step in {Step.PUBLISH, Step.WITHDRAW} else LOCAL_CHANNEL


def object_of(code: str) -> str:
    """Give the object name, `resource/<信息资源代码>`."""
    return f"resource/{code}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """Why an entry was sent back or withdrawn; empty for the other steps."""

    reason: str = ""

    def encode(self) -> bytes:
        """Write the core part."""
        return encode_core({"reason": self.reason})

    @classmethod
    def decode(cls, data: bytes | None) -> Self:
        """Read the core part; raises `CoreMalformed`."""
        return cls(reason=Core.decode(data).text("reason"))
