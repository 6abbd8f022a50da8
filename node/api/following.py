"""What a follower is sent: pure choices over records, and the errors of a bad request.

A record's `core` part is given as payload, and nothing else of it: personal
fields and files are asked for one by one. Of a record that stays at this node
not even that: a refused row is kept as it came, with whatever stood in it.
"""

from dataclasses import dataclass
from typing import Final, Self

from yidao.api.errors import YidaoError
from yidao.api.local.v1 import follow_pb2
from yidao.node.store.values import StoredRecord

MAX_CHOICES: Final = 500
MAX_KEEP_ALIVE_SECONDS: Final = 300
KEEP_ALIVE_SECONDS: Final = 15
_MAX_TEXT: Final = 256
_LOCAL: Final = "local"
_AUDIT: Final = "access."


class CursorOfAnotherStore(YidaoError):
    """A cursor counts in a store that this node does not have (params: cursor, store)."""

    code = "CURSOR_OF_ANOTHER_STORE"


class CursorAheadOfStore(YidaoError):
    """A cursor stands where this store has no record yet (params: cursor, position)."""

    code = "CURSOR_AHEAD_OF_STORE"


class FollowFilterInvalid(YidaoError):
    """A filter or the keep-alive is out of range (params: field, limit)."""

    code = "FOLLOW_FILTER_INVALID"


class FollowersTooMany(YidaoError):
    """As many programs follow this node as it serves at once (params: limit)."""

    code = "FOLLOWERS_TOO_MANY"
    retryable = True


class FollowEnded(YidaoError):
    """The node stops; call again from the last position."""

    code = "FOLLOW_ENDED"
    retryable = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which records a follower wants; empty matches all.

    Attributes:
        kinds: Whole kinds.
        families: Beginnings of kinds, each with its closing dot.
        only: Forms, `pack/form`, that a program is held to.
    """

    kinds: frozenset[str]
    families: tuple[str, ...]
    forms: frozenset[str]
    periods: frozenset[str]
    units: frozenset[str]
    object_prefix: str
    local_too: bool
    audit_too: bool
    only: frozenset[str] = frozenset()

    @classmethod
    def of(
        cls,
        message: follow_pb2.FollowFilter,
        *,
        audit_too: bool,
        only: frozenset[str] = frozenset(),
    ) -> Self:
        """Read a filter; raises `FollowFilterInvalid`.

        Args:
            message: Of the request.
            audit_too: The caller may see who signed in and did what.
            only: Forms, `pack/form`, that a program is held to; empty for all.
        """
        lists = (message.kinds, message.forms, message.periods, message.units)
        for field, chosen in zip(("kinds", "forms", "periods", "units"), lists, strict=True):
            if len(chosen) > MAX_CHOICES or any(len(each) > _MAX_TEXT for each in chosen):
                raise FollowFilterInvalid(field=field, limit=MAX_CHOICES)
        if len(message.object_prefix) > _MAX_TEXT:
            raise FollowFilterInvalid(field="object_prefix", limit=_MAX_TEXT)
        return cls(
            kinds=frozenset(kind for kind in message.kinds if not kind.endswith(".")),
            families=tuple(kind for kind in message.kinds if kind.endswith(".")),
            forms=frozenset(message.forms),
            periods=frozenset(message.periods),
            units=frozenset(message.units),
            object_prefix=message.object_prefix,
            local_too=message.local_too,
            audit_too=audit_too,
            only=only,
        )

    def matches(self, record: StoredRecord) -> bool:
        """Tell whether a record is wanted."""
        header = record.header
        return (
            (self.local_too or record.journal.channel != _LOCAL)
            and (self.audit_too or not header.kind.startswith(_AUDIT))
            and self._is_kind(header.kind)
            and (not self.forms or _schema(header.schema)[1] in self.forms)
            and (not self.only or "/".join(_schema(header.schema)) in self.only)
            and (not self.periods or header.period in self.periods)
            and (not self.units or header.unit in self.units)
            and header.object_id.startswith(self.object_prefix)
        )

    def _is_kind(self, kind: str) -> bool:
        if not self.kinds and not self.families:
            return True
        return kind in self.kinds or kind.startswith(self.families)


def event_of(record: StoredRecord, core: bytes) -> follow_pb2.Event:
    """Give the event of a record, with what of its core may be seen."""
    header = record.header
    pack, form = _schema(header.schema)
    stays_here = record.journal.channel == _LOCAL
    return follow_pb2.Event(
        position=record.position,
        record_id=header.record_id,
        kind=header.kind,
        object=header.object_id,
        version=header.object_version,
        unit=header.unit,
        pack=pack,
        form=form,
        period=header.period,
        actor=header.actor,
        created_ms=header.created_ms,
        origin=header.node_id,
        causes=header.causes,
        payload=b"" if stays_here else core,
    )


def keep_alive_seconds(asked: int) -> int:
    """Give how often a sign of life is due; raises `FollowFilterInvalid`."""
    if asked > MAX_KEEP_ALIVE_SECONDS:
        raise FollowFilterInvalid(field="keep_alive_seconds", limit=MAX_KEEP_ALIVE_SECONDS)
    return asked or KEEP_ALIVE_SECONDS


def _schema(schema: str) -> tuple[str, str]:
    """Take `pack/version/form` apart into pack and form."""
    pieces = schema.split("/")
    return (pieces[0], pieces[2]) if len(pieces) == 3 else ("", "")
