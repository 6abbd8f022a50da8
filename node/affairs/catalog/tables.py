"""The tables of the catalog; all are projections."""

from sqlalchemy import BigInteger, Boolean, Column, Index, LargeBinary, Table, Text

from yidao.node.store.tables import metadata

# The merged catalog of the subtree: what is published or withdrawn, one row an entry.
catalog_entry = Table(
    "catalog_entry",
    metadata,
    # The bit of the entry in all postings, from 0 in the order of first publication.
    Column("doc", BigInteger, primary_key=True, autoincrement=False),
    Column("code", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("owner", LargeBinary, nullable=False),
    Column("owner_path", Text, nullable=False),
    Column("version", BigInteger, nullable=False),
    # Canonical JSON, see `yidao.catalog.resource`.
    Column("resource", LargeBinary, nullable=False),
    # Another node has published the code too.
    Column("contested", Boolean, nullable=False),
    Column("registered_ms", BigInteger, nullable=False),
    # Of the record that brought the present state.
    Column("changed_ms", BigInteger, nullable=False),
    Column("changed_by", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("record_id", LargeBinary, nullable=False),
    Column("position", BigInteger, nullable=False),
    Index("ix_catalog_entry_code", "code", unique=True),
)

# This node's own working copies: drafted, submitted or reviewed.
catalog_copy = Table(
    "catalog_copy",
    metadata,
    Column("code", Text, primary_key=True),
    Column("state", Text, nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("resource", LargeBinary, nullable=False),
    Column("submitted_by", Text, nullable=False),
    Column("changed_ms", BigInteger, nullable=False),
    Column("changed_by", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("record_id", LargeBinary, nullable=False),
    Column("position", BigInteger, nullable=False),
)

# The highest number that has been seen of a class; the next one is free here.
catalog_sequence = Table(
    "catalog_sequence",
    metadata,
    Column("class_code", Text, primary_key=True),
    Column("last", BigInteger, nullable=False),
)

# Which entries hold a run of characters: see `postings`.
catalog_posting = Table(
    "catalog_posting",
    metadata,
    Column("gram", Text, primary_key=True),
    Column("block", BigInteger, primary_key=True, autoincrement=False),
    Column("docs", LargeBinary, nullable=False),
    sqlite_with_rowid=False,
)

# Which entries have a value that people choose by: see `postings`.
catalog_facet = Table(
    "catalog_facet",
    metadata,
    Column("facet", Text, primary_key=True),
    Column("value", Text, primary_key=True),
    Column("block", BigInteger, primary_key=True, autoincrement=False),
    Column("docs", LargeBinary, nullable=False),
    sqlite_with_rowid=False,
)
