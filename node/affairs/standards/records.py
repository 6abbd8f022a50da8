"""Kinds and payloads of the standards affair. The payload is the pack's exact bytes."""

PUBLISHED = "standards.pack.published"
#: Down to everybody below, ahead of everything that needs the pack.
CHANNEL = "down.control"


def object_of(pack: str) -> str:
    """Give the object name, `pack/<id>`."""
    return f"pack/{pack}"


def schema_of(pack: str, version: str) -> str:
    """Give the header's schema field of a published version, `energy@2022`."""
    return f"{pack}@{version}"
