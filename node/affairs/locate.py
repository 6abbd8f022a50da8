"""Finds where a record that came from another node lies.

The store indexes the ids of its own records alone; those of others are found
through the views, which is enough for what people ask evidence of.
"""

from sqlalchemy import select

from yidao.node.affairs.reporting.tables import return_version
from yidao.node.store.store import Store


def locate(store: Store, record_id: bytes) -> int | None:
    """Return the position of a return's record, own or of a node below; None if it is not here."""
    with store.read() as connection:
        position: int | None = connection.execute(
            select(return_version.c.position).where(return_version.c.record_id == record_id)
        ).scalar()
    return position
