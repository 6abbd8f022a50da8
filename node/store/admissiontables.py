"""Tables of admission: who waits to be let in, and the papers that let nodes in.

`join_request` is local work and is kept until it is decided. The others are folded
from records of `node` and `down.control` journals, in the transaction that stores
these, as enrolments and revocations are.
"""

from typing import Final

from sqlalchemy import BigInteger, Boolean, Column, LargeBinary, PrimaryKeyConstraint, Table, Text

from yidao.node.store.tables import metadata

# A request to join that a person, here or one tier above, must decide on.
# state: `waiting`, `approved`, `rejected`, `joined`, `expired`.
join_request: Final = Table(
    "join_request",
    metadata,
    Column("token_id", Text, primary_key=True),
    Column("claim_id", Text, nullable=False),
    Column("request_sha256", LargeBinary, nullable=False),
    Column("path", Text, nullable=False),
    Column("node_id", LargeBinary, nullable=False),
    Column("journal_key", LargeBinary, nullable=False),
    Column("cosign_key", LargeBinary, nullable=False),
    Column("tls_sha256", LargeBinary, nullable=False),
    Column("asked_ms", BigInteger, nullable=False),
    Column("expires_ms", BigInteger, nullable=False),
    Column("state", Text, nullable=False),
    Column("operator", Text, nullable=False),
    Column("reason", Text, nullable=False),
)

# Every `node.reenrolment.asked` that is held.
reenrolment: Final = Table(
    "reenrolment",
    metadata,
    Column("record_id", LargeBinary, nullable=False),
    Column("by_id", LargeBinary, nullable=False),
    Column("claim_id", Text, nullable=False),
    Column("path", Text, nullable=False),
    Column("core", LargeBinary, nullable=False),
    Column("asked_ms", BigInteger, nullable=False),
    PrimaryKeyConstraint("by_id", "record_id"),
)

# Every `node.reenrolment.decided` that is held; of one question the first counts.
reenrolment_decision: Final = Table(
    "reenrolment_decision",
    metadata,
    Column("asked", LargeBinary, nullable=False),
    Column("by_id", LargeBinary, nullable=False),
    Column("record_id", LargeBinary, nullable=False),
    Column("claim_id", Text, nullable=False),
    Column("approved", Boolean, nullable=False),
    Column("core", LargeBinary, nullable=False),
    PrimaryKeyConstraint("by_id", "asked"),
)

# Enrolments by nodes below that are not believed until their paper comes.
enrolment_waiting: Final = Table(
    "enrolment_waiting",
    metadata,
    Column("node_id", LargeBinary, nullable=False),
    Column("path", Text, nullable=False),
    Column("by_id", LargeBinary, nullable=False),
    Column("header", LargeBinary, nullable=False),
    Column("core", LargeBinary, nullable=False),
    Column("position", BigInteger, nullable=False),
    PrimaryKeyConstraint("node_id", "path"),
)
