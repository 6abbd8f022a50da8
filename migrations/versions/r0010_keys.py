"""Epochs that nodes opened after their first."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "epoch",
        sa.Column("node_id", sa.LargeBinary(), nullable=False),
        sa.Column("epoch", sa.Text(), nullable=False),
        sa.Column("previous", sa.Text(), nullable=False),
        sa.Column("suite", sa.Integer(), nullable=False),
        sa.Column("journal_key", sa.LargeBinary(), nullable=False),
        sa.Column("cosign_key", sa.LargeBinary(), nullable=False),
        sa.Column("core", sa.LargeBinary(), nullable=False),
        sa.Column("live", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("node_id", "epoch"),
        sa.UniqueConstraint("node_id", "previous", name="epoch_previous"),
    )
    op.create_index(
        "epoch_live",
        "epoch",
        ["node_id"],
        unique=True,
        sqlite_where=sa.text("live IS 1"),
        postgresql_where=sa.text("live IS true"),
    )
