"""The tables of the reporting views. Order of keys: one county's batch touches near pages."""

from sqlalchemy import BigInteger, Column, Index, LargeBinary, Table, Text

from yidao.node.store.tables import metadata

return_version = Table(
    "return_version",
    metadata,
    # Of the record that made the version: unique even where an origin counts wrongly.
    Column("position", BigInteger, primary_key=True, autoincrement=False),
    Column("journal_pk", BigInteger, nullable=False),
    Column("seq", BigInteger, nullable=False),
    Column("pack", Text, nullable=False),
    Column("form", Text, nullable=False),
    # Empty for forms without periods.
    Column("period", Text, nullable=False),
    Column("unit", Text, nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("state", Text, nullable=False),
    Column("pack_version", Text, nullable=False),
    Column("schema_sha256", LargeBinary, nullable=False),
    Column("origin", LargeBinary, nullable=False),
    Column("origin_path", Text, nullable=False),
    Column("record_id", LargeBinary, nullable=False),
    Column("submitted_by", Text, nullable=False),
    Column("created_ms", BigInteger, nullable=False),
    # Canonical JSON without personal fields; null while the part is not here.
    Column("payload", LargeBinary),
    # What recognises an equal row, see `cores.payload_digest`; null without payload.
    Column("digest", LargeBinary),
    # Code of the error for which the row's figures are in no sum; empty if they are.
    Column("excluded", Text, nullable=False),
    Column("faults", LargeBinary),
    Column("reviewed_by", Text, nullable=False),
    Column("reason", Text, nullable=False),
    # Who took it back and why; empty if nobody did.
    Column("withdrawn_by", Text, nullable=False),
    Column("withdrawn_reason", Text, nullable=False),
    # The first 10 bytes of the header's leaf hash: what the code of a receipt says.
    Column("leaf", LargeBinary, nullable=False),
    Index("ix_return_version_leaf", "leaf"),
    Index("ix_return_version_key", "pack", "form", "period", "unit", "version"),
    Index("ix_return_version_record", "record_id"),
    Index("ix_return_version_state", "state", "form", "period", "unit"),
)

rollup = Table(
    "rollup",
    metadata,
    Column("pack", Text, primary_key=True),
    Column("form", Text, primary_key=True),
    Column("period", Text, primary_key=True),
    # `submitted` or `accepted`.
    Column("scope", Text, primary_key=True),
    Column("pack_version", Text, primary_key=True),
    # Returns that count, by headers; `totals` says how many of them are summed.
    Column("returns", BigInteger, nullable=False),
    # `Rollup.encode()`.
    Column("totals", LargeBinary, nullable=False),
)

# Verdicts that came before their return: its journal may be quarantined and mended later.
early_verdict = Table(
    "early_verdict",
    metadata,
    # Of the verdict's record; a letter holds many verdicts.
    Column("position", BigInteger, primary_key=True, autoincrement=False),
    Column("record_id", LargeBinary, primary_key=True),
    Column("journal_pk", BigInteger, nullable=False),
    Column("kind", Text, nullable=False),
    Column("speaker", LargeBinary, nullable=False),
    Column("pack", Text, nullable=False),
    Column("form", Text, nullable=False),
    Column("period", Text, nullable=False),
    Column("unit", Text, nullable=False),
    Column("origin", LargeBinary, nullable=False),
    Column("step", Text, nullable=False),
    Column("reviewed_by", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("faults", LargeBinary),
    Index("ix_early_verdict_record", "record_id"),
)

# From which journals the figures of a roll-up come.
rollup_source = Table(
    "rollup_source",
    metadata,
    Column("pack", Text, primary_key=True),
    Column("form", Text, primary_key=True),
    Column("period", Text, primary_key=True),
    Column("journal_pk", BigInteger, primary_key=True, autoincrement=False),
)
