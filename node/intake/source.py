"""Opens a file by what it is, not by what it is called."""

from collections.abc import Sequence
from pathlib import Path

from yidao.catalog.pack.model import Form
from yidao.node.intake.errors import SourceUnreadable
from yidao.node.intake.rows import Source

# A zip, or the OLE container of old and of encrypted workbooks: `xlsx` tells them apart.
_WORKBOOK_MAGICS = (b"PK\x03\x04", bytes.fromhex("d0cf11e0a1b11ae1"))


def open_source(path: Path, forms: Sequence[Form]) -> Source:
    """Open a workbook or a table of text.

    Args:
        path: The file.
        forms: All forms, of all pack versions, that it may hold.

    Raises:
        IntakeError: The file as a whole is refused; no row has been given.
    """
    try:
        with path.open("rb") as file:
            head = file.read(8)
    except OSError as error:
        raise SourceUnreadable(name=path.name, reason=type(error).__name__) from None
    # An .xlsx that is no zip is a workbook gone wrong, and better told so.
    if head.startswith(_WORKBOOK_MAGICS) or path.suffix.lower() in (".xlsx", ".xls", ".xlsm"):
        # openpyxl takes 0.2 s and 15 MB; a daemon that imports nothing does without.
        from yidao.node.intake.xlsx import open_workbook

        return open_workbook(path, forms)
    from yidao.node.intake.table import open_table

    return open_table(path, forms)
