"""The one place where a node reads its wall clock, and its check for sanity.

Order in Yidao never comes from a clock. Certificates, deadlines and tokens do
need one, so that a clock before the day of the program's making, the usual sign
of an empty battery, stops the start.
"""

import time
from datetime import UTC, datetime
from typing import Final

from yidao.node import errors

# The day of this release; no honest clock is before it.
BUILT_AT_MS: Final = int(datetime(2026, 11, 1, tzinfo=UTC).timestamp() * 1000)


def system_clock_ms() -> int:
    """Return the wall clock, milliseconds of Unix time."""
    return time.time_ns() // 1_000_000


def utc(now_ms: int) -> datetime:
    """Return milliseconds of Unix time as an aware UTC datetime."""
    return datetime.fromtimestamp(now_ms / 1000, tz=UTC)


def check_clock(now_ms: int) -> None:
    """Refuse a clock that cannot be right.

    Raises:
        ClockBeforeBuild: It is before the day on which this program was made.
    """
    if now_ms < BUILT_AT_MS:
        # A clock near zero cannot be trusted to format years before 1970.
        raise errors.ClockBeforeBuild(now=utc(max(now_ms, 0)).date().isoformat())
