"""The tables of the views of sign-offs."""

from sqlalchemy import BigInteger, Boolean, Column, Index, LargeBinary, Table, Text

from yidao.node.store.tables import metadata

#: What a node says of whose signatures count.
signoff_policy = Table(
    "signoff_policy",
    metadata,
    # Of the proposal.
    Column("position", BigInteger, primary_key=True, autoincrement=False),
    Column("node_id", LargeBinary, nullable=False),
    Column("record_id", LargeBinary, nullable=False),
    Column("scope", Text, nullable=False),
    # SHA-256 of the statement; `base` is that of the root policy that it descends from.
    Column("digest", LargeBinary, nullable=False),
    Column("base", LargeBinary, nullable=False),
    Column("statement", LargeBinary, nullable=False),
    Column("proposed_by", Text, nullable=False),
    # Empty and 0 while nobody has confirmed it.
    Column("confirmed_by", Text, nullable=False),
    Column("confirmed_at", BigInteger, nullable=False),
    # A root policy where another one was in force.
    Column("is_reset", Boolean, nullable=False),
    Index("ix_signoff_policy_node", "node_id", "scope", "confirmed_at"),
)

#: Batches that are believed.
signoff_batch = Table(
    "signoff_batch",
    metadata,
    Column("position", BigInteger, primary_key=True, autoincrement=False),
    Column("node_id", LargeBinary, nullable=False),
    Column("pack", Text, nullable=False),
    Column("form", Text, nullable=False),
    Column("period", Text, nullable=False),
    Column("returns", BigInteger, nullable=False),
    Column("statement", LargeBinary, nullable=False),
    Column("policy", LargeBinary, nullable=False),
    Column("base", LargeBinary, nullable=False),
    # JSON: who signed, and when by their own clock.
    Column("signers", LargeBinary, nullable=False),
    Column("submitted_by", Text, nullable=False),
    Column("created_ms", BigInteger, nullable=False),
    Index("ix_signoff_batch_node", "node_id", "form", "period"),
)

#: Which return is signed off by which batch; the first one stands.
signoff_return = Table(
    "signoff_return",
    metadata,
    # Of the return's record.
    Column("position", BigInteger, primary_key=True, autoincrement=False),
    Column("batch", BigInteger, nullable=False),
    # Place among the leaves of the batch.
    Column("leaf_index", BigInteger, nullable=False),
    Index("ix_signoff_return_batch", "batch"),
)

#: What was said and is not believed, with the code of the error.
signoff_refused = Table(
    "signoff_refused",
    metadata,
    Column("position", BigInteger, primary_key=True, autoincrement=False),
    Column("node_id", LargeBinary, nullable=False),
    Column("kind", Text, nullable=False),
    Column("code", Text, nullable=False),
)

#: Which root policies of its children a node believes.
signoff_filing = Table(
    "signoff_filing",
    metadata,
    Column("by_id", LargeBinary, primary_key=True),
    Column("node_id", LargeBinary, primary_key=True),
    Column("policy", LargeBinary, primary_key=True),
    Column("position", BigInteger, nullable=False),
    Column("filed_by", Text, nullable=False),
)

#: For which forms a node wants the signatures of its children.
signoff_demand = Table(
    "signoff_demand",
    metadata,
    Column("node_id", LargeBinary, primary_key=True),
    Column("scope", Text, primary_key=True),
    Column("demanded", Boolean, nullable=False),
    Column("set_by", Text, nullable=False),
    Column("position", BigInteger, nullable=False),
)
