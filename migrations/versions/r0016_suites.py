"""Second cosigning keys, and the cosignatures that are made with them."""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("enrolment", sa.Column("cosign_pq", sa.LargeBinary(), nullable=True))
    op.add_column("cosignature", sa.Column("line_pq", sa.Text(), nullable=True))
