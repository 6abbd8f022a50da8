"""Checkpoints that nodes below were shown of journals that travel down only."""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "seen_checkpoint",
        sa.Column("node_id", sa.LargeBinary(), nullable=False),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("epoch", sa.Text(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("note", sa.LargeBinary(), nullable=False),
        sa.Column("witness", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("node_id", "channel", "epoch", "size"),
    )
