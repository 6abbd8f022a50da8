"""Accounts, their former passwords and open sessions: working state, of no projector.

They are backed up with the store and never rebuilt. No table holds a password or
a token: only argon2id hashes and SHA-256 of 256 random bits.
"""

from sqlalchemy import BigInteger, Boolean, Column, Index, Integer, LargeBinary, Table, Text

from yidao.node.store.tables import metadata

account = Table(
    "account",
    metadata,
    Column("name", Text, primary_key=True),
    Column("title", Text, nullable=False),
    # Names, sorted, with a blank between.
    Column("roles", Text, nullable=False),
    # Empty for the office itself.
    Column("unit", Text, nullable=False),
    Column("disabled", Boolean, nullable=False),
    Column("password_hash", Text, nullable=False),
    Column("password_set_ms", BigInteger, nullable=False),
    Column("must_change_password", Boolean, nullable=False),
    Column("failures", Integer, nullable=False),
    # 0 if it never was.
    Column("locked_until_ms", BigInteger, nullable=False),
    Column("last_sign_in_ms", BigInteger, nullable=False),
    Column("created_ms", BigInteger, nullable=False),
)

# The present password too; `number` counts a user's passwords from 1.
password_history = Table(
    "password_history",
    metadata,
    Column("name", Text, primary_key=True),
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("password_hash", Text, nullable=False),
)

access_session = Table(
    "access_session",
    metadata,
    Column("token_sha256", LargeBinary, primary_key=True),
    Column("name", Text, nullable=False),
    # The institution whose desk was opened; empty for all that the user sees.
    Column("unit", Text, nullable=False),
    Column("source", Text, nullable=False),
    Column("opened_ms", BigInteger, nullable=False),
    # The last call, at most a minute late.
    Column("seen_ms", BigInteger, nullable=False),
    Index("ix_access_session_name", "name", "opened_ms"),
)
