"""Logs of a daemon: structured events, and a filter that keeps secrets and data out.

An event is `area.object.past_verb`; everything that varies is a field. Nobody
who writes a log line is trusted to remember what must not be in it: bytes never
pass, nor does a field whose name says key, secret, token, part or payload.
"""

import logging
import sys
import traceback
from collections.abc import Iterator, MutableMapping
from pathlib import Path
from typing import Any, Final, Literal, TextIO

import structlog

from yidao.api.errors import YidaoError

REDACTED: Final = "***"

# Whole words of a field's name; `key_count` and `token_id` say nothing secret.
_SECRET_WORDS: Final = frozenset(
    ("secret", "password", "passphrase", "mac", "salt", "seed", "pem", "body", "payload", "core")
)
_SECRET_NAMES: Final = frozenset(("key", "token", "private_key", "parts", "part", "row", "bundle"))
_SECRET_SUFFIXES: Final = ("_key", "_secret", "_token", "_pem", "_body", "_url")
MAX_VALUE_CHARS: Final = 500
MAX_CAUSES: Final = 6
MAX_FRAMES: Final = 20


def configure(
    *,
    level: Literal["debug", "info", "warning", "error"] = "info",
    format: Literal["json", "console"] = "console",  # noqa: A002 - the setting's own name
    stream: TextIO | None = None,
) -> None:
    """Send log lines of that level and above to `stream` (standard error if None)."""
    target = sys.stderr if stream is None else stream
    renderer: structlog.typing.Processor = (
        structlog.processors.JSONRenderer(ensure_ascii=False)
        if format == "json"
        else structlog.dev.ConsoleRenderer(colors=target.isatty())
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            spell_error,
            redact,
            spell_exception,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(
            logging.getLevelNamesMapping()[level.upper()]
        ),
        logger_factory=structlog.PrintLoggerFactory(target),
        cache_logger_on_first_use=False,
    )


def get_logger(**bound: str | int) -> structlog.typing.FilteringBoundLogger:
    """Return a logger with these fields on every line."""
    logger: structlog.typing.FilteringBoundLogger = structlog.get_logger(**bound)
    return logger


def spell_error(
    _logger: object, _method: str, event: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    """Turn an `error` field that is a `YidaoError` into its code and parameters."""
    error = event.get("error")
    if isinstance(error, YidaoError):
        event["error"] = error.code
        for name, value in error.params.items():
            event.setdefault(f"error_{name}", value)
    return event


def redact(
    _logger: object, _method: str, event: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    """Take out what must not be logged and put every value on one line."""
    for name, value in event.items():
        if name in ("event", "exc_info"):
            continue
        if is_secret(name):
            event[name] = REDACTED
        elif isinstance(value, str):
            event[name] = _one_line(value)
        elif not isinstance(value, bool | int | float | None):
            # Bytes, containers and objects print content that nobody has looked at.
            event[name] = type(value).__name__
    return event


def spell_exception(
    _logger: object, _method: str, event: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    """Turn `exc_info` into types and places, without what the exceptions say.

    The words of a library's exception hold what it was working on: a statement
    with its parameters, a value that was no number. Only our own errors and those
    of the operating system are quoted.
    """
    info = event.pop("exc_info", None)
    error = info if isinstance(info, BaseException) else sys.exc_info()[1]
    if info and error is not None:
        event["exception"] = "\n".join(_spelled_chain(error))
    return event


def _spelled_chain(error: BaseException | None) -> Iterator[str]:
    for _ in range(MAX_CAUSES):
        if error is None:
            return
        is_quotable = isinstance(error, YidaoError | OSError)
        words = f": {_one_line(str(error))}" if is_quotable else ""
        yield f"{type(error).__module__}.{type(error).__qualname__}{words}"
        for frame in traceback.extract_tb(error.__traceback__)[-MAX_FRAMES:]:
            yield f"  {'/'.join(Path(frame.filename).parts[-3:])}:{frame.lineno} {frame.name}"
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)


def is_secret(name: str) -> bool:
    """Whether a field of that name may hold a secret or reported data."""
    lowered = name.lower()
    return (
        lowered in _SECRET_NAMES
        or lowered.endswith(_SECRET_SUFFIXES)
        or not _SECRET_WORDS.isdisjoint(lowered.split("_"))
    )


def _one_line(value: str) -> str:
    """Escape control characters, so that a name from outside cannot forge a line."""
    printable = value if value.isprintable() else value.encode("unicode_escape").decode("ascii")
    return printable if len(printable) <= MAX_VALUE_CHARS else printable[:MAX_VALUE_CHARS] + "…"
