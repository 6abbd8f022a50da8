"""What printed pages share: the language, times of the offices, and text that cannot pretend."""

import unicodedata
from datetime import UTC, datetime, timedelta, timezone
from typing import Final

from yidao.sync.evidencefiles import Cosigner

# Times are those of the offices, wherever the machine's clock is set.
_CIVIL_TIME: Final = timezone(timedelta(hours=8))
# Controls, marks that reorder or hide text, separators of lines, what has no meaning.
_UNSEEN: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})


class Speech:
    """Picks the language."""

    def __init__(self, language: str) -> None:
        self._english = language == "en"

    def __call__(self, zh: str, en: str) -> str:
        """Give the text in the chosen language."""
        return en if self._english else zh


def civil_time(moment_ms: int) -> str:
    """Give Unix milliseconds as a time of day in China, to the second."""
    moment = datetime.fromtimestamp(moment_ms / 1000, tz=UTC).astimezone(_CIVIL_TIME)
    return moment.strftime("%Y-%m-%d %H:%M:%S UTC+8")


def cosigned_time(cosigner: Cosigner) -> str:
    """Give when a tier cosigned, and by which algorithms where they are not the usual one."""
    told = civil_time(cosigner.time_s * 1000)
    return f"{told} ({cosigner.signed_with})" if cosigner.signed_with else told


def plain(text: str) -> str:
    """Give text that others wrote with whatever cannot be seen written out as its code.

    So nobody's reason or name can add a line of its own to a report, or turn its order.
    """
    return "".join(
        f"<U+{ord(char):04X}>" if unicodedata.category(char) in _UNSEEN else char for char in text
    )
