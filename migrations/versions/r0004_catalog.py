"""The views of the catalog: entries, working copies, codes, and what is searched by."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "catalog_entry",
        sa.Column("doc", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("owner", sa.LargeBinary(), nullable=False),
        sa.Column("owner_path", sa.Text(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("resource", sa.LargeBinary(), nullable=False),
        sa.Column("contested", sa.Boolean(), nullable=False),
        sa.Column("registered_ms", sa.BigInteger(), nullable=False),
        sa.Column("changed_ms", sa.BigInteger(), nullable=False),
        sa.Column("changed_by", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("record_id", sa.LargeBinary(), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("doc"),
    )
    op.create_index("ix_catalog_entry_code", "catalog_entry", ["code"], unique=True)
    op.create_table(
        "catalog_copy",
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("resource", sa.LargeBinary(), nullable=False),
        sa.Column("submitted_by", sa.Text(), nullable=False),
        sa.Column("changed_ms", sa.BigInteger(), nullable=False),
        sa.Column("changed_by", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("record_id", sa.LargeBinary(), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("code"),
    )
    op.create_table(
        "catalog_sequence",
        sa.Column("class_code", sa.Text(), nullable=False),
        sa.Column("last", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("class_code"),
    )
    op.create_table(
        "catalog_posting",
        sa.Column("gram", sa.Text(), nullable=False),
        sa.Column("block", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("docs", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("gram", "block"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "catalog_facet",
        sa.Column("facet", sa.Text(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.Column("block", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("docs", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("facet", "value", "block"),
        sqlite_with_rowid=False,
    )
