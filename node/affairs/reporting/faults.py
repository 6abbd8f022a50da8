"""From faults and errors to the notes that records and answers carry."""

from yidao.api.errors import YidaoError
from yidao.catalog.faults import Fault
from yidao.node.affairs.reporting.records import FaultNote
from yidao.node.messages import render

_ERROR = "error"


def note_of_fault(fault: Fault) -> FaultNote:
    """Give the note of a fault that a check found."""
    return FaultNote(
        field=fault.field,
        rule=fault.rule,
        code=fault.code,
        severity=fault.severity.value,
        zh=fault.text.zh,
        en=fault.text.en,
    )


def note_of_error(error: YidaoError, field: str = "") -> FaultNote:
    """Give the note of an error that refuses a row as a whole, in the words of the catalogue."""
    return FaultNote(
        field=field,
        rule="",
        code=error.code,
        severity=_ERROR,
        zh=render(error, "zh").text,
        en=render(error, "en").text,
    )


def is_wrong(notes: tuple[FaultNote, ...]) -> bool:
    """Tell whether the notes refuse a row: a warning does not."""
    return any(note.severity == _ERROR for note in notes)
