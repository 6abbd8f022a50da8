"""Withdrawals, the codes of receipts and the faults of early verdicts in the views of returns.

The views of returns are emptied and folded again from the journals at the next
start, since only there stand the hashes that the new column holds.
"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_VIEWS = ("return_version", "rollup", "rollup_source", "early_verdict")


def upgrade() -> None:
    for view in _VIEWS:
        op.execute(sa.delete(sa.table(view)))
    cursor = sa.table("cursor", sa.column("name"), sa.column("position"))
    op.execute(cursor.update().where(cursor.c.name == "reporting.return").values(position=0))
    for name in ("withdrawn_by", "withdrawn_reason"):
        op.add_column(
            "return_version", sa.Column(name, sa.Text(), nullable=False, server_default="")
        )
    op.add_column(
        "return_version",
        sa.Column("leaf", sa.LargeBinary(), nullable=False, server_default=sa.text("''")),
    )
    op.create_index("ix_return_version_leaf", "return_version", ["leaf"], unique=False)
    op.add_column("early_verdict", sa.Column("faults", sa.LargeBinary(), nullable=True))
