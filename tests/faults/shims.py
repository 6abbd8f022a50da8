"""What a daemon of a test does otherwise than ours; put on in the process that becomes it."""

import dataclasses
from typing import Any, Final

#: A field of a header, and of any other message, that this release does not know: number
#: 1000, three bytes.
UNKNOWN_FIELD: Final = b"\xc2\x3e\x03abc"


def careless() -> None:
    """Do not sync commits: SQLite's synchronous=NORMAL."""
    from yidao.node.store import engine

    engine._WRITER_PRAGMAS = {**engine._WRITER_PRAGMAS, "synchronous": 1}  # type: ignore[misc]


def newer() -> None:
    """Be of the next release: it speaks two versions, and its headers have a field more."""
    from yidao.node.link import hub

    made = hub.Hello

    def hello(**fields: Any) -> Any:
        return dataclasses.replace(made(**fields), max_version=2)

    hub.Hello = hello  # type: ignore[attr-defined]
    newer_headers()


def newer_headers() -> None:
    """Let headers that are written here have a field more."""
    from yidao.sync.mold import Mold

    plain = Mold.header

    def header(mold: Mold, given: Any, parts: Any) -> bytes:
        return plain(mold, given, parts) + UNKNOWN_FIELD

    Mold.header = header  # type: ignore[method-assign]


def page_cache(kib: str) -> None:
    """Let each connection keep so little in memory that it is full at once: ours fill for hours."""
    from yidao.node.store import engine

    for name in ("_WRITER_PRAGMAS", "_READER_PRAGMAS"):
        setattr(engine, name, {**getattr(engine, name), "cache_size": -int(kib)})


def leak(size: str) -> None:
    """Keep so many bytes of each commit for ever."""
    from yidao.node.store.writer import Writer

    kept: list[bytes] = []
    plain = Writer._committed

    def committed(writer: Writer, position: int) -> None:
        kept.append(b"x" * int(size))
        plain(writer, position)

    Writer._committed = committed  # type: ignore[method-assign]
