"""The papers of admission: cores by which nodes ask for, decide on and hand over a place."""

from typing import Final

from yidao.sync.admissionerrors import PaperMalformed
from yidao.sync.members import Members

#: A paper has some ten short members.
MAX_CORE_BYTES: Final = 4 * 1024
MAX_TEXT_CHARS: Final = 512


def paper_members(core: bytes | None) -> Members:
    """Return what a paper says; members that a newer version adds are allowed.

    Raises:
        PaperMalformed: Other JSON than the canonical one, or too much of it.
    """
    return Members.parse_canonical(core, PaperMalformed, limit=MAX_CORE_BYTES)
