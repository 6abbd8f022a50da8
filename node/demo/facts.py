"""What a run of the demonstration has shown, and whether it is enough."""

from dataclasses import asdict, dataclass


@dataclass(slots=True, kw_only=True)
class Facts:
    """The figures of one run; field names are those of `yidao demo --json`.

    Attributes:
        records_at_root: Records of other nodes that the root holds.
        lost: Leaves and parts within reach and released that an upper or lower node lacks.
        query_rows: Rows of the agency that answered the nation live.
        query_saw_later_change: A row changed after the resource was registered was in
            the next answer as it was then.
        receipts_verified: Cosignatures in the nodes' stores that verify.
    """

    nodes: int = 0
    tiers: int = 0
    returns_submitted: int = 0
    rows_rejected: int = 0
    returns_accepted: int = 0
    records_at_root: int = 0
    lost: int = -1
    duplicated: int = -1
    receipts_verified: int = 0
    directives_delivered: int = 0
    directives_acknowledged: int = 0
    rollup_equals_sources: bool = False
    evidence_verified: bool = False
    tampered_evidence_refused: bool = False
    tampered_store_noticed: bool = False
    catalog_entries_at_root: int = 0
    query_rows: int = 0
    query_saw_later_change: bool = False
    seconds: float = 0.0

    def as_dict(self) -> dict[str, int | float | bool]:
        """The figures by name."""
        return asdict(self)

    def shortfalls(self) -> list[str]:
        """Name every figure that is short of what the demonstration must show."""
        enough = {
            "nodes": self.nodes == 6,
            "tiers": self.tiers == 5,
            "returns_submitted": self.returns_submitted >= 2_000,
            "rows_rejected": self.rows_rejected == 3,
            "returns_accepted": self.returns_accepted >= 2_000,
            "records_at_root": self.records_at_root >= 2_000,
            "lost": self.lost == 0,
            "duplicated": self.duplicated == 0,
            "receipts_verified": self.receipts_verified > 0,
            "directives_delivered": self.directives_delivered == 3,
            "directives_acknowledged": self.directives_acknowledged == 3,
            "rollup_equals_sources": self.rollup_equals_sources,
            "evidence_verified": self.evidence_verified,
            "tampered_evidence_refused": self.tampered_evidence_refused,
            "tampered_store_noticed": self.tampered_store_noticed,
            "catalog_entries_at_root": self.catalog_entries_at_root > 0,
            "query_rows": self.query_rows > 0,
            "query_saw_later_change": self.query_saw_later_change,
        }
        return [name for name, is_enough in enough.items() if not is_enough]
