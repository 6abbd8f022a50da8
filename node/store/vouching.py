"""What vouches for a database that several daemons share: a word in it of who last looked.

A daemon's memory of how far it was says little of a database that others write as well.
So the word lies in the database: which run of which server was found to be where it
must be, and in which epoch the node writes. A server that was restarted, restored or promoted
is another run, so that every daemon is fenced with its next transaction, until
one of them has heard from a neighbour and gives the word anew.
"""

from dataclasses import dataclass
from enum import Enum
from typing import Any, Final

from sqlalchemy import Connection, delete, insert, select

from yidao.node.store.tables import meta

KEY: Final = "vouched"
#: Under which name a connection knows the run of its server.
RUN: Final = "run"
#: Why a fence is closed that no daemon has opened for this run of the server.
UNVOUCHED: Final = "fenced"
#: Why a fence is closed whose node goes on under keys that this process does not have.
KEYS_ELSEWHERE: Final = "keys"

# The run of a server: a copy has the identifier of what was copied, and another start.
_SELECT_RUN: Final = (
    "SELECT system_identifier::text || '/' ||"
    " (extract(epoch FROM pg_postmaster_start_time()) * 1000000)::bigint::text"
    " FROM pg_control_system()"
)


@dataclass(frozen=True, slots=True)
class Word:
    """What stands in the database.

    Attributes:
        run: The run of the server for which the word was given, or why it was taken back.
        epoch: In which the node writes since.
    """

    run: str
    epoch: str

    @property
    def is_taken_back(self) -> bool:
        """Whether a daemon has found that the database is not where it must be."""
        return "/" not in self.run

    def encode(self) -> bytes:
        """Give the row's value."""
        return f"{self.run} {self.epoch}".encode()

    @classmethod
    def decode(cls, value: bytes) -> "Word":
        """Read a row's value."""
        run, _, epoch = bytes(value).decode().partition(" ")
        return cls(run, epoch)


class Vouched(Enum):
    """What a database says of itself at a start.

    Attributes:
        NEVER: Nobody ever gave a word.
        YES: It is the run of the server that was believed.
        NO: It is another run.
        DOUBTED: A daemon has found that the database is not where it must be.
    """

    NEVER = "never"
    YES = "yes"
    NO = "no"
    DOUBTED = "doubted"


def run_of(raw: Any) -> str:
    """Return the run of the server behind a driver's connection."""
    cursor = raw.cursor()
    try:
        cursor.execute(_SELECT_RUN)
        return str(cursor.fetchone()[0])
    finally:
        cursor.close()


def give(conn: Connection, word: Word) -> None:
    """Replace the word, in this transaction."""
    conn.execute(delete(meta).where(meta.c.key == KEY))
    conn.execute(insert(meta).values(key=KEY, value=word.encode()))


def read(conn: Connection) -> Word | None:
    """Return the word; None if nobody ever gave one."""
    found = conn.execute(select(meta.c.value).where(meta.c.key == KEY)).scalar_one_or_none()
    return None if found is None else Word.decode(found)


def name_epoch(conn: Connection, epoch: str) -> None:
    """Let the word, if there is one, name the epoch in which the node writes from here on."""
    word = read(conn)
    if word is not None:
        give(conn, Word(word.run, epoch))


def judge(conn: Connection) -> Vouched:
    """Return what the word says of the run behind this connection."""
    word = read(conn)
    if word is None:
        return Vouched.NEVER
    if word.is_taken_back:
        return Vouched.DOUBTED
    return Vouched.YES if word.run == conn.info[RUN] else Vouched.NO
