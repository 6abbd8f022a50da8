"""What receipts add to a line: counted in bytes, so that it is the same on every machine."""

from collections.abc import Callable
from typing import Any

from yidao.sync.ids import Lane
from yidao.sync.message import Frame
from yidao.sync.wire import encode_control, encode_frame

MINUTES = 30
# A county of a few hundred institutions on the last day of a period: a commit every three seconds.
COMMITS_A_MINUTE = 20
RECORDS_A_COMMIT = 5


class Line:
    """One hop, upward records and downward receipts, with what went over it."""

    def __init__(self, child: Any, parent: Any) -> None:
        self.child, self.parent = child, parent
        self.mark = self.mark_up = self.frames = self.receipts = self.sent = 0

    def carry(self) -> None:
        """Send up what is new, as a link would."""
        known = {c.lane: c.position for c in self.parent.store.cursors(self.child.peer)}
        last = self.child.store.last_position()
        for lane in Lane:
            after = known.get(lane, 0)
            items, _ = self.child.store.read_lane(self.parent.peer, lane, after, last, 256 * 1024)
            if items:
                frame = Frame(lane=lane, items=items, after_position=after)
                self.frames += len(encode_frame(frame))
                self.parent.store.run(lambda tx, f=frame: tx.ingest(self.child.peer, f))

    def confirm(self) -> None:
        """Send the receipts that are new: upward what the child cosigned, then downward."""
        self.mark_up = self._send(self.child, self.parent, self.mark_up)
        self.mark = self._send(self.parent, self.child, self.mark)

    def _send(self, source: Any, target: Any, mark: int) -> int:
        receipts, mark = source.store.receipts(target.peer, mark)
        for receipt in receipts:
            self.receipts += len(encode_control(receipt))
            self.sent += 1
            target.store.run(lambda tx, r=receipt: tx.add_receipt(source.peer, r))
        return int(mark)


def test_receipts_of_four_tiers(new_node: Callable[..., Any]) -> None:
    """Half an hour of a busy county under city, province and nation."""
    nodes = [new_node("/")]
    nodes[0].start()
    for path in ("/33", "/33/3301", "/33/3301/330106"):
        node = new_node(path, tuple(above.enrolment for above in nodes))
        node.start()
        nodes[-1].enrol(node)
        nodes.append(node)
    county = nodes[-1]
    lines = [Line(nodes[depth], nodes[depth - 1]) for depth in (3, 2, 1)]
    for line in reversed(lines):
        line.carry()
    for line in lines:
        line.frames = 0
    for _ in range(MINUTES):
        for _ in range(COMMITS_A_MINUTE):
            county.append(county.drafts(RECORDS_A_COMMIT))
            for line in lines:
                line.carry()
            # A link sends receipts as soon as there are some.
            for line in (*lines, *reversed(lines)):
                line.confirm()
        for node in nodes:
            node.now_ms += 60_000
            node.store.run(lambda tx: tx.cosign_due(60))
    names = ("county-city", "city-province", "province-nation")
    for name, line in zip(names, lines, strict=True):
        share = line.receipts / line.frames
        print(f"{name}: {line.frames} B up, {line.sent} receipts of {line.receipts} B: {share:.2%}")
        assert line.sent > 0
