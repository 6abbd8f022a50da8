"""Schema history of the store.

| revision | what it adds |
|----------|--------------|
| 0001     | journals, segments, parts, trust, cursors, problems  |
| 0002     | views: units, packs, returns, roll-ups, directives   |
| 0003     | accounts, passwords, sessions; the view of the audit |
| 0004     | views: the catalog and what it is searched by        |
| 0005     | views: withdrawals and receipt codes of returns      |
| 0008     | what nodes below have stated of their journals       |
| 0009     | nodes that were revoked, another node at their path  |
| 0010     | epochs that nodes opened after their first           |
| 0012     | requests to join, and the papers that let nodes in   |
| 0013     | root lists, and how fresh what comes from above is   |
| 0014     | policies and batches of sign-offs, filings, demands  |
| 0015     | keys, tokens, what takes two, the policy on fields   |
| 0016     | second cosigning keys and their cosignatures         |
| 0017     | letters on their way, parts that are gone, snapshots |
| 0018     | checkpoints that nodes below were shown from above   |
| 0019     | own record ids without a digest of the content       |
| 0020     | how far what was refused of a journal reaches        |
| 0021     | indexes by which parts are found                     |

The daemon compares a store's revision with `REVISIONS` and loads Alembic only to
upgrade. A new revision is one file in `versions/` and one entry here.
"""

from typing import Final

REVISIONS: Final = (
    "0001",
    "0002",
    "0003",
    "0004",
    "0005",
    "0008",
    "0009",
    "0010",
    "0012",
    "0013",
    "0014",
    "0015",
    "0016",
    "0017",
    "0018",
    "0019",
    "0020",
    "0021",
)
