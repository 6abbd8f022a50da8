"""The JSON form that all papers of admission share: canonical bytes, named members."""

from typing import cast

import orjson

from yidao.sync.admissionerrors import PaperMalformed
from yidao.sync.ids import NodeId, Path, RecordId, id_from_hex

#: A paper has some ten short members.
MAX_CORE_BYTES = 4 * 1024
MAX_TEXT_CHARS = 512


def encode(members: dict[str, object]) -> bytes:
    """Return the one JSON form of a paper: sorted members, no spaces."""
    return orjson.dumps(members, option=orjson.OPT_SORT_KEYS)


class Members:
    """The members of a paper that came, each read with its check.

    Members that a newer version adds are allowed.

    Raises:
        PaperMalformed: Other JSON than the canonical one, or too much of it.
    """

    def __init__(self, core: bytes | None) -> None:
        if core is None or len(core) > MAX_CORE_BYTES:
            raise PaperMalformed(field="core")
        try:
            members = orjson.loads(core)
        except orjson.JSONDecodeError:
            raise PaperMalformed(field="JSON") from None
        # Equality with the canonical form also refuses repeated members, of which
        # readers disagree on the one that counts.
        if type(members) is not dict or encode(members) != core:
            raise PaperMalformed(field="JSON")
        self._members = cast("dict[str, object]", members)

    def text(self, field: str) -> str:
        """Return a text of at most 512 characters."""
        value = self._members.get(field)
        if type(value) is not str or len(value) > MAX_TEXT_CHARS:
            raise PaperMalformed(field=field)
        return value

    def flag(self, field: str) -> bool:
        """Return a truth value."""
        value = self._members.get(field)
        if type(value) is not bool:
            raise PaperMalformed(field=field)
        return value

    def key(self, field: str) -> bytes:
        """Return 32 bytes, written in lower-case hex."""
        text = self.text(field)
        try:
            value = bytes.fromhex(text)
        except ValueError:
            raise PaperMalformed(field=field) from None
        # fromhex skips spaces and reads upper case.
        if value.hex() != text or len(value) != 32:
            raise PaperMalformed(field=field)
        return value

    def node(self, field: str) -> NodeId:
        """Return a node's id; raises `IdInvalid`."""
        return NodeId(id_from_hex(self.text(field), field))

    def record(self, field: str) -> RecordId:
        """Return a record's id; raises `IdInvalid`."""
        return RecordId(id_from_hex(self.text(field), field))

    def path(self, field: str) -> Path:
        """Return a path; raises `PathInvalid`."""
        return Path.parse(self.text(field))
