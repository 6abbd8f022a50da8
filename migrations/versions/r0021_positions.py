"""What came with a segment is found by position and journal, parts by both ends of their run."""

from alembic import op

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for table, index, columns in (
        ("parts", "parts_position", ["position", "journal_id"]),
        ("parts", "parts_seq", ["journal_id", "first_seq", "last_seq"]),
        ("sealed_part", "sealed_part_position", ["position", "journal_id"]),
    ):
        op.drop_index(index, table)
        op.create_index(index, table, columns)
