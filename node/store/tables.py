"""The tables of the store; affairs put their view tables on the same `metadata`.

Journals and what came with them are append-only. `parts` is apart from
`segment`, because only parts are ever pruned or redacted. A segment, its head,
its tiles and the cursor of the lane that it came by are one transaction.

The migrations in `yidao.migrations` create these tables; a test compares.
"""

from typing import Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    Text,
    UniqueConstraint,
)

metadata: Final = MetaData()

# SQLite gives an automatic key only to INTEGER PRIMARY KEY.
_KEY: Final = BigInteger().with_variant(Integer, "sqlite")

meta = Table(
    "meta",
    metadata,
    Column("key", Text, primary_key=True),
    Column("value", LargeBinary, nullable=False),
)

#: The row of `meta` that names the process that last began to speak for this store.
LIFE: Final = "life"

# One row, id 1. On PostgreSQL its lock puts the commits of several daemons in order.
head = Table(
    "store_head",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("last_position", BigInteger, nullable=False),
)

# public_key is NULL while nothing declares the journal: then the row is only a
# note that it was refused, so that it can be asked for once it is declared.
journal = Table(
    "journal",
    metadata,
    Column("id", _KEY, primary_key=True, autoincrement=True),
    Column("node_id", LargeBinary, nullable=False),
    Column("channel", Text, nullable=False),
    Column("epoch", Text, nullable=False),
    Column("suite", Integer, nullable=True),
    Column("public_key", LargeBinary, nullable=True),
    Column("size", BigInteger, nullable=False),
    Column("frontier", LargeBinary, nullable=False),
    Column("checkpoint", LargeBinary, nullable=True),
    Column("own", Boolean, nullable=False),
    Column("up_lane", Integer, nullable=True),
    Column("down_lane", Integer, nullable=True),
    Column("down_target", Text, nullable=True),
    Column("via", LargeBinary, nullable=True),
    Column("quarantined_at_seq", BigInteger, nullable=True),
    Column("quarantine_code", Text, nullable=True),
    Column("quarantined_to", BigInteger, nullable=True),
    UniqueConstraint("node_id", "channel", "epoch", name="journal_name"),
)

segment = Table(
    "segment",
    metadata,
    Column("position", BigInteger, primary_key=True, autoincrement=False),
    Column("record_count", Integer, nullable=False),
    Column("journal_id", BigInteger, nullable=False),
    Column("first_seq", BigInteger, nullable=False),
    Column("headers", LargeBinary, nullable=False),
    Column("checkpoint", LargeBinary, nullable=False),
    Column("up_lane", Integer, nullable=True),
    Column("down_lane", Integer, nullable=True),
    Column("down_target", Text, nullable=True),
    Column("stored_ms", BigInteger, nullable=False),
    UniqueConstraint("journal_id", "first_seq", name="segment_seq"),
)
Index(
    "segment_up",
    segment.c.up_lane,
    segment.c.position,
    sqlite_where=segment.c.up_lane.is_not(None),
    postgresql_where=segment.c.up_lane.is_not(None),
)
Index(
    "segment_down",
    segment.c.down_lane,
    segment.c.position,
    sqlite_where=segment.c.down_lane.is_not(None),
    postgresql_where=segment.c.down_lane.is_not(None),
)

# A run of parts of one journal with the same reach and the same release.
# position: the segment that they came with; late: that segment is an acceptance,
# or they came before their record.
parts = Table(
    "parts",
    metadata,
    Column("id", _KEY, primary_key=True, autoincrement=True),
    Column("journal_id", BigInteger, nullable=False),
    Column("first_seq", BigInteger, nullable=False),
    Column("last_seq", BigInteger, nullable=False),
    Column("position", BigInteger, nullable=False),
    Column("waits", Boolean, nullable=False),
    Column("late", Boolean, nullable=False),
    Column("reach", Integer, nullable=False),
    Column("blob", LargeBinary, nullable=False),
    # Runs that end too early are passed over in the index.
    Index("parts_seq", "journal_id", "first_seq", "last_seq"),
    # With the journal, or SQLite takes the other index and reads all of its rows.
    Index("parts_position", "position", "journal_id"),
)

# Parts that an acceptance brought before their record could be stored.
parked_parts = Table(
    "parked_parts",
    metadata,
    Column("id", _KEY, primary_key=True, autoincrement=True),
    Column("journal_id", BigInteger, nullable=False),
    Column("seq", BigInteger, nullable=False),
    Column("blob", LargeBinary, nullable=False),
    Index("parked_parts_seq", "journal_id", "seq"),
)

# Parts of letters on their way to somebody else; position: the segment that they came with.
sealed_part = Table(
    "sealed_part",
    metadata,
    Column("journal_id", BigInteger, nullable=False),
    Column("seq", BigInteger, nullable=False),
    Column("name", Text, nullable=False),
    Column("position", BigInteger, nullable=False),
    Column("ciphertext", LargeBinary, nullable=False),
    PrimaryKeyConstraint("journal_id", "seq", "name"),
    Index("sealed_part_position", "position", "journal_id"),
)

# Parts that were here and are gone, or whose sender said so; position: the record that
# says why, 0 if no such record is here.
absent_part = Table(
    "absent_part",
    metadata,
    Column("journal_id", BigInteger, nullable=False),
    Column("seq", BigInteger, nullable=False),
    Column("name", Text, nullable=False),
    Column("absence", Integer, nullable=False),
    Column("position", BigInteger, nullable=False),
    PrimaryKeyConstraint("journal_id", "seq", "name"),
)

# The projected tables as they were at a position: what a rebuild starts from once parts
# are gone. Rows lie in chunks, by table.
snapshot = Table(
    "snapshot",
    metadata,
    Column("position", BigInteger, primary_key=True, autoincrement=False),
    Column("core", LargeBinary, nullable=False),
)
snapshot_chunk = Table(
    "snapshot_chunk",
    metadata,
    Column("position", BigInteger, nullable=False),
    Column("name", Text, nullable=False),
    Column("idx", Integer, nullable=False),
    Column("blob", LargeBinary, nullable=False),
    PrimaryKeyConstraint("position", "name", "idx"),
)

# What an acceptance of this node lets go further; position: the acceptance's segment.
released = Table(
    "released",
    metadata,
    Column("position", BigInteger, nullable=False),
    Column("journal_id", BigInteger, nullable=False),
    Column("seqs", LargeBinary, nullable=False),
    PrimaryKeyConstraint("position", "journal_id"),
)

tile = Table(
    "tile",
    metadata,
    Column("journal_id", BigInteger, nullable=False),
    Column("level", Integer, nullable=False),
    Column("idx", BigInteger, nullable=False),
    Column("hash", LargeBinary, nullable=False),
    PrimaryKeyConstraint("journal_id", "level", "idx"),
    sqlite_with_rowid=False,
)

record_id = Table(
    "record_id",
    metadata,
    Column("record_id", LargeBinary, primary_key=True),
    Column("position", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)

lane_cursor = Table(
    "lane_cursor",
    metadata,
    Column("peer_node_id", LargeBinary, nullable=False),
    Column("lane", Integer, nullable=False),
    Column("store_id", LargeBinary, nullable=False),
    Column("position", BigInteger, nullable=False),
    Column("checkpoint_sha256", LargeBinary, nullable=False),
    PrimaryKeyConstraint("peer_node_id", "lane"),
)

peer_ack = Table(
    "peer_ack",
    metadata,
    Column("peer_node_id", LargeBinary, nullable=False),
    Column("lane", Integer, nullable=False),
    Column("position", BigInteger, nullable=False),
    PrimaryKeyConstraint("peer_node_id", "lane"),
)

cosignature = Table(
    "cosignature",
    metadata,
    Column("id", _KEY, primary_key=True, autoincrement=True),
    Column("journal_id", BigInteger, nullable=False),
    Column("cosigner", LargeBinary, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("line", Text, nullable=False),
    # The line of the cosigner's second key, of ML-DSA-44.
    Column("line_pq", Text, nullable=True),
    Column("time_s", BigInteger, nullable=False),
    UniqueConstraint("journal_id", "size", "cosigner", name="cosignature_size"),
    # Marks are handed to links; a number must never come back after a pruning.
    sqlite_autoincrement=True,
)

enrolment = Table(
    "enrolment",
    metadata,
    Column("node_id", LargeBinary, primary_key=True),
    Column("path", Text, nullable=False),
    Column("parent_id", LargeBinary, nullable=False),
    Column("journal_key", LargeBinary, nullable=False),
    Column("cosign_key", LargeBinary, nullable=False),
    Column("suite", Integer, nullable=False),
    Column("tls_sha256", LargeBinary, nullable=False),
    Column("ca_sha256", LargeBinary, nullable=False),
    Column("position", BigInteger, nullable=True),
    Column("revoked", Boolean, nullable=False),
    Column("cosign_pq", LargeBinary, nullable=True),
)
# One node stands at a path; those that stood there and were revoked stay known.
Index(
    "enrolment_path",
    enrolment.c.path,
    unique=True,
    sqlite_where=enrolment.c.revoked.is_(False),
    postgresql_where=enrolment.c.revoked.is_(False),
)

# Every revocation that is held, of nodes that are known here or not; core: the record's.
revocation = Table(
    "revocation",
    metadata,
    Column("node_id", LargeBinary, nullable=False),
    Column("path", Text, nullable=False),
    Column("by_id", LargeBinary, nullable=False),
    Column("core", LargeBinary, nullable=False),
    PrimaryKeyConstraint("node_id", "path", "by_id"),
)

# Every epoch that a node has opened after its first, which has the keys of its enrolment.
epoch = Table(
    "epoch",
    metadata,
    Column("node_id", LargeBinary, nullable=False),
    Column("epoch", Text, nullable=False),
    Column("previous", Text, nullable=False),
    Column("suite", Integer, nullable=False),
    Column("journal_key", LargeBinary, nullable=False),
    Column("cosign_key", LargeBinary, nullable=False),
    Column("core", LargeBinary, nullable=False),
    Column("live", Boolean, nullable=False),
    PrimaryKeyConstraint("node_id", "epoch"),
    UniqueConstraint("node_id", "previous", name="epoch_previous"),
)
Index(
    "epoch_live",
    epoch.c.node_id,
    unique=True,
    sqlite_where=epoch.c.live.is_(True),
    postgresql_where=epoch.c.live.is_(True),
)

join_token = Table(
    "join_token",
    metadata,
    Column("token_id", Text, primary_key=True),
    Column("path", Text, nullable=False),
    Column("secret", LargeBinary, nullable=True),
    Column("created_ms", BigInteger, nullable=False),
    Column("expires_ms", BigInteger, nullable=False),
    Column("operator", Text, nullable=False),
    Column("bad_macs", Integer, nullable=False),
    Column("used_ms", BigInteger, nullable=True),
    Column("request_sha256", LargeBinary, nullable=True),
    Column("node_id", LargeBinary, nullable=True),
    Column("position", BigInteger, nullable=True),
    Column("tls_chain", LargeBinary, nullable=True),
    Column("ca_chain", LargeBinary, nullable=True),
    Column("killed_ms", BigInteger, nullable=True),
)

# journal "" , seq -1 and peer b"" mean none: NULLs would never be equal in the key.
problem = Table(
    "problem",
    metadata,
    Column("id", _KEY, primary_key=True, autoincrement=True),
    Column("code", Text, nullable=False),
    Column("journal", Text, nullable=False),
    Column("seq", BigInteger, nullable=False),
    Column("peer", LargeBinary, nullable=False),
    Column("params", Text, nullable=False),
    Column("first_ms", BigInteger, nullable=False),
    Column("last_ms", BigInteger, nullable=False),
    Column("times", BigInteger, nullable=False),
    Column("cleared_ms", BigInteger, nullable=True),
    UniqueConstraint("code", "journal", "seq", "peer", name="problem_key"),
)

cursor = Table(
    "cursor",
    metadata,
    Column("name", Text, primary_key=True),
    Column("position", BigInteger, nullable=False),
)

# Checkpoints of journals that do not come here, as nodes below were shown them: the
# authors' own signed notes, the first one of each size.
seen_checkpoint = Table(
    "seen_checkpoint",
    metadata,
    Column("node_id", LargeBinary, nullable=False),
    Column("channel", Text, nullable=False),
    Column("epoch", Text, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("note", LargeBinary, nullable=False),
    Column("witness", LargeBinary, nullable=False),
    PrimaryKeyConstraint("node_id", "channel", "epoch", "size"),
)

# What nodes below have stated of their journals: the newest claim and when it came,
# and when they last said anything. Local, since it holds times of this node.
frontier_statement = Table(
    "frontier_statement",
    metadata,
    Column("node_id", LargeBinary, nullable=False),
    Column("channel", Text, nullable=False),
    Column("epoch", Text, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("root", LargeBinary, nullable=False),
    Column("stated_ms", BigInteger, nullable=False),
    Column("seen_ms", BigInteger, nullable=False),
    PrimaryKeyConstraint("node_id", "channel", "epoch"),
)

# Every root list that was accepted, step by step; local, since one may come with a bundle.
root_list = Table(
    "root_list",
    metadata,
    Column("version", BigInteger, primary_key=True, autoincrement=False),
    Column("list", LargeBinary, nullable=False),
    Column("statement", LargeBinary, nullable=False),
    Column("accepted_ms", BigInteger, nullable=False),
)

# Until when the newest word of each node above holds that nothing is kept back.
feed = Table(
    "feed",
    metadata,
    Column("node_id", LargeBinary, primary_key=True),
    Column("since_ms", BigInteger, nullable=False),
    Column("until_ms", BigInteger, nullable=False),
    Column("seen_ms", BigInteger, nullable=True),
)
