"""What the writer tells somebody outside of the database of how far it is."""

from typing import Protocol


class HighWater(Protocol):
    """Remembers positions outside of the database; called in the writer's thread."""

    def reaching(self, position: int) -> None:
        """A commit up to `position` is about to be made."""

    def reached(self, position: int) -> None:
        """It is durable."""


class NoHighWater:
    """Nobody remembers."""

    def reaching(self, position: int) -> None:
        """Nothing."""

    def reached(self, position: int) -> None:
        """Nothing."""
