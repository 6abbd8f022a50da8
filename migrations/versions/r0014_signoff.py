"""Views of sign-offs: policies, batches, the returns that they cover, filings and demands."""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "signoff_policy",
        sa.Column("position", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("node_id", sa.LargeBinary(), nullable=False),
        sa.Column("record_id", sa.LargeBinary(), nullable=False),
        sa.Column("scope", sa.Text(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("base", sa.LargeBinary(), nullable=False),
        sa.Column("statement", sa.LargeBinary(), nullable=False),
        sa.Column("proposed_by", sa.Text(), nullable=False),
        sa.Column("confirmed_by", sa.Text(), nullable=False),
        sa.Column("confirmed_at", sa.BigInteger(), nullable=False),
        sa.Column("is_reset", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("position"),
    )
    op.create_index(
        "ix_signoff_policy_node", "signoff_policy", ["node_id", "scope", "confirmed_at"]
    )
    op.create_table(
        "signoff_batch",
        sa.Column("position", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("node_id", sa.LargeBinary(), nullable=False),
        sa.Column("pack", sa.Text(), nullable=False),
        sa.Column("form", sa.Text(), nullable=False),
        sa.Column("period", sa.Text(), nullable=False),
        sa.Column("returns", sa.BigInteger(), nullable=False),
        sa.Column("statement", sa.LargeBinary(), nullable=False),
        sa.Column("policy", sa.LargeBinary(), nullable=False),
        sa.Column("base", sa.LargeBinary(), nullable=False),
        sa.Column("signers", sa.LargeBinary(), nullable=False),
        sa.Column("submitted_by", sa.Text(), nullable=False),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("position"),
    )
    op.create_index("ix_signoff_batch_node", "signoff_batch", ["node_id", "form", "period"])
    op.create_table(
        "signoff_return",
        sa.Column("position", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("batch", sa.BigInteger(), nullable=False),
        sa.Column("leaf_index", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("position"),
    )
    op.create_index("ix_signoff_return_batch", "signoff_return", ["batch"])
    op.create_table(
        "signoff_refused",
        sa.Column("position", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("node_id", sa.LargeBinary(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("code", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("position"),
    )
    op.create_table(
        "signoff_filing",
        sa.Column("by_id", sa.LargeBinary(), nullable=False),
        sa.Column("node_id", sa.LargeBinary(), nullable=False),
        sa.Column("policy", sa.LargeBinary(), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("filed_by", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("by_id", "node_id", "policy"),
    )
    op.create_table(
        "signoff_demand",
        sa.Column("node_id", sa.LargeBinary(), nullable=False),
        sa.Column("scope", sa.Text(), nullable=False),
        sa.Column("demanded", sa.Boolean(), nullable=False),
        sa.Column("set_by", sa.Text(), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("node_id", "scope"),
    )
