"""Kinds and payloads of the registry affair."""

REGISTERED = "registry.unit.registered"
#: Bulk, to the root: everybody above may know the unit.
UP_CHANNEL = "up:15"


def object_of(unit: str) -> str:
    """Give the object name, `unit/<统一社会信用代码>`."""
    return f"unit/{unit}"
