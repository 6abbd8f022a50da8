"""Own record ids without a digest of what was handed in: the header says it, salted."""

from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.drop_column("record_id", "content_sha256")
