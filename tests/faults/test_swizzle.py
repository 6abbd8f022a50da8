"""R69: links stop one by one and come back in another order (FoundationDB's swizzle-clog)."""

import random
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass

import pytest

from tests.faults import invariants
from tests.faults.daemons import Daemon, Nursery, Pair, rows, wait_until
from tests.faults.growing import grow
from tests.faults.links import DOWN, UP, Proxy
from tests.faults.report import record
from tests.faults.watch import is_even

pytestmark = pytest.mark.e2e


@dataclass
class Tree:
    """A root, nodes below it in two tiers, and a proxy for each link."""

    nodes: list[Daemon]
    lines: list[Proxy]

    def report(self, count: int) -> None:
        """Somebody hands rows in at every node but the root."""
        for node in self.nodes[1:]:
            node.submit(rows(count))

    def settle(self) -> None:
        """Wait until everything has arrived, tier by tier."""
        for node in reversed(self.nodes):
            wait_until(f"{node.path} has sent everything", lambda node=node: is_even(node))


def _knows_standard(node: Daemon) -> bool:
    with node.client() as client:
        return bool(client.packs())


@pytest.fixture
def tree(pair: Pair, nursery: Nursery, request: pytest.FixtureRequest) -> Iterator[Tree]:
    """A root with two children, and `request.param` children below the first of them."""
    with ExitStack() as stack:

        def line_to(parent: Daemon) -> Proxy:
            return stack.enter_context(Proxy(("127.0.0.1", parent.link_port)))

        lines = [line_to(pair.root)]
        pair.office.settings["YIDAO_PARENT_ADDRESS"] = lines[0].address
        stack.callback(pair.kill)
        pair.start()
        nodes = [pair.root, pair.office]
        parents = [pair.root, *[pair.office] * request.param]
        for number, parent in enumerate(parents):
            lines.append(line_to(parent))
            node = grow(
                nursery, parent, f"s{number}", pair.folder, parent_address=lines[-1].address
            )
            stack.callback(node.kill)
            node.start()
            nodes.append(node)
        for node in nodes[2:]:
            wait_until(f"{node.path} knows the standard", lambda node=node: _knows_standard(node))
        yield Tree(nodes, lines)


@pytest.mark.parametrize(
    ("tree", "rounds"),
    [
        pytest.param(1, 3, id="three links"),
        pytest.param(4, 100, id="six links", marks=pytest.mark.long),
    ],
    indirect=["tree"],
)
def test_links_stop_and_come_back_in_any_order(tree: Tree, rounds: int) -> None:
    """Whatever subset stands still, and however it comes back: all arrives once and in order."""
    draw = random.Random(69)
    injected = 0
    for _ in range(rounds):
        chosen = draw.sample(tree.lines, draw.randint(1, len(tree.lines)))
        for line in chosen:
            line.stall(*draw.choice([(UP, DOWN), (UP,), (DOWN,)]))
            injected += 1
            tree.report(3)
        for line in draw.sample(chosen, len(chosen)):
            line.heal()
            if draw.random() < 0.3:
                line.cut(reset=True)
            tree.report(3)
    tree.settle()
    for node in reversed(tree.nodes):
        node.stop()
    acked = {node.folder: node.acked for node in tree.nodes}
    assert invariants.check([node.folder for node in tree.nodes], acked=acked) == []
    total = sum(map(len, acked.values()))
    at_root = invariants.read(tree.nodes[0].folder).record_ids()
    held = {record_id for _, record_id in at_root}
    assert not [each for found in acked.values() for each in found if bytes(each) not in held]
    record("R69 swizzle-clog", injected=injected, acked=total)
