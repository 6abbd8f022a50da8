"""How far what was refused of a journal reaches: so long it is asked for again."""

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("journal", sa.Column("quarantined_to", sa.BigInteger(), nullable=True))
