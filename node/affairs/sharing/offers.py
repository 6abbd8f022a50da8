"""Where offers are found: in the catalog of this node."""

from typing import Protocol

from sqlalchemy import Connection

from yidao.node.affairs.sharing.rules import Offer
from yidao.sync.ids import Path


class Shelf(Protocol):
    """The catalog, as far as sharing needs it."""

    def offer(self, conn: Connection, code: str) -> Offer | None:
        """Give the resource of a code, published or withdrawn; None if there is none."""

    def offers(
        self, conn: Connection, *, under: Path, code: str = "", pack: str = "", form: str = ""
    ) -> tuple[Offer, ...]:
        """Give the published resources with rows whose owners stand at or below a path, by code.

        Args:
            conn: One snapshot.
            under: The path.
            code: The beginning of their codes.
            pack: With `form`: those whose rows are of that form.
            form: With `pack`.
        """
