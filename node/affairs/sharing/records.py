"""The kind and the payload of the sharing affair."""

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Self

from yidao.node.affairs.cores import Core, encode_core

ANSWERED = "sharing.question.answered"
LOCAL_CHANNEL = "local"

_DOMAIN = b"yidao-sharing-question-v1\n"


def record_id_of(asker: bytes, query_id: bytes) -> bytes:
    """Give the id of the record about a question: the same question has the same."""
    return sha256(_DOMAIN + asker + query_id).digest()[:16]


def object_of(asker: bytes, query_id: bytes) -> str:
    """Give the object name, `question/<asker's node id>/<query id>`."""
    return f"question/{asker.hex()}/{query_id.hex()}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """The core of `sharing.question.answered`.

    Attributes:
        asker: Path of the node that signed the question.
        actor: For whom, as that node says.
        outcome: `answered`, or the code of the error that the asker was told.
        question: The question as it was signed, JSON; empty if it is none.
        columns: What was given, masked ones too.
        masked: Which of them masked.
        rows: How many rows or groups were given.
        size_bytes: Of all pages.
    """

    asker: str
    actor: str
    purpose: str
    resource: str
    outcome: str
    question: str
    columns: Sequence[str] = ()
    masked: Sequence[str] = ()
    rows: int = 0
    size_bytes: int = 0

    def encode(self) -> bytes:
        """Write the core part."""
        return encode_core(
            {
                "asker": self.asker,
                "actor": self.actor,
                "purpose": self.purpose,
                "resource": self.resource,
                "outcome": self.outcome,
                "question": self.question,
                "columns": self.columns,
                "masked": self.masked,
                "rows": self.rows,
                "size_bytes": self.size_bytes,
            }
        )

    @classmethod
    def decode(cls, data: bytes | None) -> Self:
        """Read the core part; raises `CoreMalformed`."""
        core = Core.decode(data)
        return cls(
            asker=core.text("asker"),
            actor=core.text("actor"),
            purpose=core.text("purpose"),
            resource=core.text("resource"),
            outcome=core.text("outcome"),
            question=core.text("question"),
            columns=core.texts("columns"),
            masked=core.texts("masked"),
            rows=core.integer("rows"),
            size_bytes=core.integer("size_bytes"),
        )
