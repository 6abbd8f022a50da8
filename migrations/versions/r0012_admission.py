"""Requests to join that a person decides on, and the papers that let nodes in."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "unit_claim",
        sa.Column("uscc", sa.Text(), nullable=False),
        sa.Column("origin", sa.LargeBinary(), nullable=False),
        sa.Column("journal_id", sa.BigInteger(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("to_path", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("uscc", "origin"),
    )
    op.create_table(
        "join_request",
        sa.Column("token_id", sa.Text(), primary_key=True),
        sa.Column("claim_id", sa.Text(), nullable=False),
        sa.Column("request_sha256", sa.LargeBinary(), nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("node_id", sa.LargeBinary(), nullable=False),
        sa.Column("journal_key", sa.LargeBinary(), nullable=False),
        sa.Column("cosign_key", sa.LargeBinary(), nullable=False),
        sa.Column("tls_sha256", sa.LargeBinary(), nullable=False),
        sa.Column("asked_ms", sa.BigInteger(), nullable=False),
        sa.Column("expires_ms", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("operator", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
    )
    op.create_table(
        "reenrolment",
        sa.Column("record_id", sa.LargeBinary(), nullable=False),
        sa.Column("by_id", sa.LargeBinary(), nullable=False),
        sa.Column("claim_id", sa.Text(), nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("core", sa.LargeBinary(), nullable=False),
        sa.Column("asked_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("by_id", "record_id"),
    )
    op.create_table(
        "reenrolment_decision",
        sa.Column("asked", sa.LargeBinary(), nullable=False),
        sa.Column("by_id", sa.LargeBinary(), nullable=False),
        sa.Column("record_id", sa.LargeBinary(), nullable=False),
        sa.Column("claim_id", sa.Text(), nullable=False),
        sa.Column("approved", sa.Boolean(), nullable=False),
        sa.Column("core", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("by_id", "asked"),
    )
    op.create_table(
        "enrolment_waiting",
        sa.Column("node_id", sa.LargeBinary(), nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("by_id", sa.LargeBinary(), nullable=False),
        sa.Column("header", sa.LargeBinary(), nullable=False),
        sa.Column("core", sa.LargeBinary(), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("node_id", "path"),
    )
