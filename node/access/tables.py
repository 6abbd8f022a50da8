"""Accounts, passwords, keys, sessions, tokens, requests for two: working state, of no projector.

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

# The second factor of a user: one Ed25519 key.
access_key = Table(
    "access_key",
    metadata,
    Column("name", Text, primary_key=True),
    Column("public_key", LargeBinary, nullable=False),
    Column("added_ms", BigInteger, nullable=False),
)

access_token = Table(
    "access_token",
    metadata,
    Column("token_id", Text, primary_key=True),
    Column("token_sha256", LargeBinary, nullable=False),
    # Of the user in whose name the program acts.
    Column("name", Text, nullable=False),
    Column("title", Text, nullable=False),
    # These four are sorted, with a blank between; empty ones but the first mean all.
    Column("permissions", Text, nullable=False),
    Column("units", Text, nullable=False),
    Column("forms", Text, nullable=False),
    Column("paths", Text, nullable=False),
    # An address or a network; empty for any.
    Column("source", Text, nullable=False),
    Column("calls_per_minute", Integer, nullable=False),
    Column("given_by", Text, nullable=False),
    Column("made_ms", BigInteger, nullable=False),
    Column("expires_ms", BigInteger, nullable=False),
    # 0 if it is not; an ended token is kept, so that its end is told.
    Column("revoked_ms", BigInteger, nullable=False),
    Column("used_ms", BigInteger, nullable=False),
    Index("ix_access_token_sha256", "token_sha256", unique=True),
    Index("ix_access_token_name", "name", "made_ms"),
)

# A call that takes two: written down when it is asked for, spent when it is made.
access_request = Table(
    "access_request",
    metadata,
    Column("request_id", Text, primary_key=True),
    Column("call", Text, nullable=False),
    # SHA-256 of the call and all of its request that is no secret.
    Column("digest", LargeBinary, nullable=False),
    # The same as JSON, for who approves.
    Column("shown", Text, nullable=False),
    # Whom it is about; empty for nobody.
    Column("about", Text, nullable=False),
    # Roles, sorted, with a blank between.
    Column("approvers", Text, nullable=False),
    Column("made_by", Text, nullable=False),
    Column("made_ms", BigInteger, nullable=False),
    Column("expires_ms", BigInteger, nullable=False),
    # waiting, approved, refused, spent
    Column("state", Text, nullable=False),
    Column("decided_by", Text, nullable=False),
    Column("decided_ms", BigInteger, nullable=False),
    Index("ix_access_request_made_by", "made_by", "made_ms"),
)
