"""Nodes that were revoked, and another node at the path of one."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # The uniqueness of paths is without a name on SQLite: the table is made anew.
    op.rename_table("enrolment", "enrolment_before")
    op.create_table(
        "enrolment",
        sa.Column("node_id", sa.LargeBinary(), nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("parent_id", sa.LargeBinary(), nullable=False),
        sa.Column("journal_key", sa.LargeBinary(), nullable=False),
        sa.Column("cosign_key", sa.LargeBinary(), nullable=False),
        sa.Column("suite", sa.Integer(), nullable=False),
        sa.Column("tls_sha256", sa.LargeBinary(), nullable=False),
        sa.Column("ca_sha256", sa.LargeBinary(), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=True),
        sa.Column("revoked", sa.Boolean(), nullable=False),
        # PostgreSQL gives every index of a schema its own name, also of renamed tables.
        sa.PrimaryKeyConstraint("node_id", name="enrolment_key"),
    )
    op.execute(
        "INSERT INTO enrolment (node_id, path, parent_id, journal_key, cosign_key, suite,"
        " tls_sha256, ca_sha256, position, revoked)"
        " SELECT node_id, path, parent_id, journal_key, cosign_key, suite,"
        " tls_sha256, ca_sha256, position, false FROM enrolment_before"
    )
    op.drop_table("enrolment_before")
    op.create_index(
        "enrolment_path",
        "enrolment",
        ["path"],
        unique=True,
        sqlite_where=sa.text("revoked IS 0"),
        postgresql_where=sa.text("revoked IS false"),
    )
    op.create_table(
        "revocation",
        sa.Column("node_id", sa.LargeBinary(), nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("by_id", sa.LargeBinary(), nullable=False),
        sa.Column("core", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("node_id", "path", "by_id"),
    )
