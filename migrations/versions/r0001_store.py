"""The store: journals, segments, parts, trust, cursors, problems."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "cosignature",
        sa.Column(
            "id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column("journal_id", sa.BigInteger(), nullable=False),
        sa.Column("cosigner", sa.LargeBinary(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("line", sa.Text(), nullable=False),
        sa.Column("time_s", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("journal_id", "size", "cosigner", name="cosignature_size"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "cursor",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )
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
        sa.PrimaryKeyConstraint("node_id"),
        sa.UniqueConstraint("path"),
    )
    op.create_table(
        "join_token",
        sa.Column("token_id", sa.Text(), nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("secret", sa.LargeBinary(), nullable=True),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.Column("expires_ms", sa.BigInteger(), nullable=False),
        sa.Column("operator", sa.Text(), nullable=False),
        sa.Column("bad_macs", sa.Integer(), nullable=False),
        sa.Column("used_ms", sa.BigInteger(), nullable=True),
        sa.Column("request_sha256", sa.LargeBinary(), nullable=True),
        sa.Column("node_id", sa.LargeBinary(), nullable=True),
        sa.Column("position", sa.BigInteger(), nullable=True),
        sa.Column("tls_chain", sa.LargeBinary(), nullable=True),
        sa.Column("ca_chain", sa.LargeBinary(), nullable=True),
        sa.Column("killed_ms", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("token_id"),
    )
    op.create_table(
        "journal",
        sa.Column(
            "id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column("node_id", sa.LargeBinary(), nullable=False),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("epoch", sa.Text(), nullable=False),
        sa.Column("suite", sa.Integer(), nullable=True),
        sa.Column("public_key", sa.LargeBinary(), nullable=True),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("frontier", sa.LargeBinary(), nullable=False),
        sa.Column("checkpoint", sa.LargeBinary(), nullable=True),
        sa.Column("own", sa.Boolean(), nullable=False),
        sa.Column("up_lane", sa.Integer(), nullable=True),
        sa.Column("down_lane", sa.Integer(), nullable=True),
        sa.Column("down_target", sa.Text(), nullable=True),
        sa.Column("via", sa.LargeBinary(), nullable=True),
        sa.Column("quarantined_at_seq", sa.BigInteger(), nullable=True),
        sa.Column("quarantine_code", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("node_id", "channel", "epoch", name="journal_name"),
    )
    op.create_table(
        "lane_cursor",
        sa.Column("peer_node_id", sa.LargeBinary(), nullable=False),
        sa.Column("lane", sa.Integer(), nullable=False),
        sa.Column("store_id", sa.LargeBinary(), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("checkpoint_sha256", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("peer_node_id", "lane"),
    )
    op.create_table(
        "meta",
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("value", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("key"),
    )
    op.create_table(
        "parked_parts",
        sa.Column(
            "id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column("journal_id", sa.BigInteger(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("blob", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("parked_parts_seq", "parked_parts", ["journal_id", "seq"], unique=False)
    op.create_table(
        "parts",
        sa.Column(
            "id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column("journal_id", sa.BigInteger(), nullable=False),
        sa.Column("first_seq", sa.BigInteger(), nullable=False),
        sa.Column("last_seq", sa.BigInteger(), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("waits", sa.Boolean(), nullable=False),
        sa.Column("late", sa.Boolean(), nullable=False),
        sa.Column("reach", sa.Integer(), nullable=False),
        sa.Column("blob", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("parts_position", "parts", ["position"], unique=False)
    op.create_index("parts_seq", "parts", ["journal_id", "first_seq"], unique=False)
    op.create_table(
        "peer_ack",
        sa.Column("peer_node_id", sa.LargeBinary(), nullable=False),
        sa.Column("lane", sa.Integer(), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("peer_node_id", "lane"),
    )
    op.create_table(
        "problem",
        sa.Column(
            "id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("journal", sa.Text(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("peer", sa.LargeBinary(), nullable=False),
        sa.Column("params", sa.Text(), nullable=False),
        sa.Column("first_ms", sa.BigInteger(), nullable=False),
        sa.Column("last_ms", sa.BigInteger(), nullable=False),
        sa.Column("times", sa.BigInteger(), nullable=False),
        sa.Column("cleared_ms", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("code", "journal", "seq", "peer", name="problem_key"),
    )
    op.create_table(
        "record_id",
        sa.Column("record_id", sa.LargeBinary(), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("content_sha256", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("record_id"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "released",
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("journal_id", sa.BigInteger(), nullable=False),
        sa.Column("seqs", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("position", "journal_id"),
    )
    op.create_table(
        "segment",
        sa.Column("position", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("record_count", sa.Integer(), nullable=False),
        sa.Column("journal_id", sa.BigInteger(), nullable=False),
        sa.Column("first_seq", sa.BigInteger(), nullable=False),
        sa.Column("headers", sa.LargeBinary(), nullable=False),
        sa.Column("checkpoint", sa.LargeBinary(), nullable=False),
        sa.Column("up_lane", sa.Integer(), nullable=True),
        sa.Column("down_lane", sa.Integer(), nullable=True),
        sa.Column("down_target", sa.Text(), nullable=True),
        sa.Column("stored_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("position"),
        sa.UniqueConstraint("journal_id", "first_seq", name="segment_seq"),
    )
    op.create_index(
        "segment_down",
        "segment",
        ["down_lane", "position"],
        unique=False,
        sqlite_where=sa.text("down_lane IS NOT NULL"),
        postgresql_where=sa.text("down_lane IS NOT NULL"),
    )
    op.create_index(
        "segment_up",
        "segment",
        ["up_lane", "position"],
        unique=False,
        sqlite_where=sa.text("up_lane IS NOT NULL"),
        postgresql_where=sa.text("up_lane IS NOT NULL"),
    )
    op.create_table(
        "store_head",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("last_position", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "tile",
        sa.Column("journal_id", sa.BigInteger(), nullable=False),
        sa.Column("level", sa.Integer(), nullable=False),
        sa.Column("idx", sa.BigInteger(), nullable=False),
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("journal_id", "level", "idx"),
        sqlite_with_rowid=False,
    )
