"""What was signed in a simulated tree: where an epoch has two histories, and who knows."""

from collections.abc import Sequence
from dataclasses import replace

from sim.model_state import OPENED, decode_header
from yidao.sync.ids import JournalId, NodeId


class Histories:
    """Every own record that was durable on a disk, and where a journal has two of one place."""

    def __init__(self) -> None:
        self._signed: dict[JournalId, list[bytes]] = {}
        self._parted_at: dict[JournalId, int] = {}
        # Epochs of which somebody has found that two histories were signed.
        self._exposed: set[tuple[NodeId, str]] = set()

    def expose(self, journal: JournalId) -> None:
        """Somebody has two signed checkpoints of an epoch that contradict each other."""
        self._exposed.add((journal.node_id, journal.epoch))

    def signed(self, journal: JournalId, headers: Sequence[bytes], since: int) -> None:
        """What a process has signed is durable on its disk, and may leave it from now on."""
        known = self._signed.setdefault(journal, [])
        for seq in range(since, len(headers)):
            if seq == len(known):
                known.append(headers[seq])
            elif known[seq] != headers[seq]:
                self._parted_at[journal] = min(seq, self._parted_at.get(journal, seq))

    def forked(self) -> dict[JournalId, int]:
        """Where two histories part that somebody has found."""
        found = {
            journal: seq
            for journal, seq in self._parted_at.items()
            if (journal.node_id, journal.epoch) in self._exposed
        }
        for journal in self._signed:
            node = replace(journal, channel="node")
            if journal.channel.startswith("up") and node in found:
                # Who holds the other history of what declares it takes nothing of it.
                opened = [decode_header(raw) for raw in self._signed[node][: found[node]]]
                if not any(h.kind == OPENED and h.object_id == journal.channel for h in opened):
                    found[journal] = 0
        return found
