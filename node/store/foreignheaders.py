"""Headers that another node has sealed: read, or shown as what nobody can read."""

from collections.abc import Sequence
from typing import Final

from yidao.node.store.journals import Head
from yidao.node.store.scope import Scope
from yidao.sync.errors import PeerError
from yidao.sync.record import Header, HeaderReader, PartDigest, decode_header

RECORD_MALFORMED: Final = "RECORD_MALFORMED"


def read_header(scope: Scope, head: Head, seq: int, data: bytes) -> Header | None:
    """Return a header; None, and a problem, where it is malformed."""
    try:
        return decode_header(data)
    except PeerError as error:
        _show_malformed(scope, head, seq, error)
        return None


def read_digests(
    scope: Scope, head: Head, seq: int, data: bytes, reader: HeaderReader
) -> Sequence[PartDigest] | None:
    """Return what a header commits to; None, and a problem, where it is malformed."""
    try:
        return reader.read(data).parts
    except PeerError as error:
        _show_malformed(scope, head, seq, error)
        return None


def _show_malformed(scope: Scope, head: Head, seq: int, error: PeerError) -> None:
    # Sealed by its origin, so it is kept as evidence; nobody can read it.
    scope.raise_problem(RECORD_MALFORMED, {"reason": error.code}, journal=head.journal, seq=seq)
