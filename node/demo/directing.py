"""Steps 5 and 6: the line that fails, the directive that waits, the tree that fills."""

from yidao.node.client import EnergyTarget, TreeNode
from yidao.node.demo.nation import Nation
from yidao.node.demo.relay import LineState
from yidao.node.demo.tree import DemoNode, wait_until

LEADER = "样例负责人"
NUMBER = "样例〔2026〕1号"
TITLE = "样例: 下达2026年度公共机构节能指标"


def targets_for(path: str) -> list[EnergyTarget]:
    """Give one region's energy targets, as a sample year.

    The figures are the national ones: 2020 values and the drops aimed at by 2025
    (EPA -5 %, EPC -6 %), from the energy pack's benchmarks.
    """
    return [
        EnergyTarget(
            target=path,
            year=2026,
            indicator=indicator,
            base_year=2020,
            base_value=base,
            change_percent=change,
            binding=True,
        )
        for indicator, base, change in (("EPA", "18.48", "-5.00"), ("EPC", "329.56", "-6.00"))
    ]


def issue(nation: Nation) -> str:
    """The root issues the directive to the province; gives its name."""
    root, province = nation["nation"], nation["province"]
    with root.client() as client:
        issued = client.issue(
            actor=f"{LEADER}@/",
            number=NUMBER,
            title=TITLE,
            body="样例指令 (sample directive)",
            targets=[province.path],
            due="2026-12-31",
            energy_targets=targets_for(province.path),
        )
    return issued.directive


def pass_on(node: DemoNode, below: DemoNode) -> None:
    """A tier acknowledges what came (签收) and passes it on to the tier below."""
    received = _wait_for_directive(node)
    with node.client() as client:
        client.report(actor=f"{LEADER}@{node.path}", directive=received, state="acknowledged")
        client.issue(
            actor=f"{LEADER}@{node.path}",
            number=f"{NUMBER}-{node.path.count('/')}",
            title=TITLE,
            targets=[below.path],
            due="2026-12-31",
            energy_targets=targets_for(below.path),
            parent_directive=received,
        )


def carry_out(node: DemoNode) -> None:
    """The last tier acknowledges, reports progress and completes."""
    received = _wait_for_directive(node)
    actor = f"{LEADER}@{node.path}"
    with node.client() as client:
        client.report(actor=actor, directive=received, state="acknowledged")
        client.report(
            actor=actor,
            directive=received,
            state="progressed",
            percent=60,
            note="样例: 指标已分解到各机构",
        )
        client.report(actor=actor, directive=received, state="completed", percent=100)


def wait_for_tree(nation: Nation, directive: str) -> list[TreeNode]:
    """Wait until the root sees every target acknowledged and the last one done."""
    seen: list[TreeNode] = []

    def filled() -> bool:
        with nation["nation"].client() as client:
            seen[:] = flatten(client.tree(directive))
        reached = [node for node in seen if node.actor]
        return len(reached) == 3 and seen[-1].state == "completed"

    wait_until("the status tree fills", filled)
    return seen


def flatten(branches: tuple[TreeNode, ...]) -> list[TreeNode]:
    """The nodes of the tree, each before those below it."""
    return [node for branch in branches for node in (branch, *flatten(branch.passed_on))]


def drop_line(nation: Nation) -> None:
    """Cut the county off, and wait until both ends know."""
    nation.line.set(LineState.DROPPED)
    wait_until("both ends notice the cut", lambda: _both_lost(nation))


def half_open_line(nation: Nation) -> None:
    """Let the line come back for a moment, then go dead without a word."""
    nation.line.set(LineState.OPEN)
    wait_until("the county comes back", lambda: _linked(nation))
    nation.line.set(LineState.HALF_OPEN)
    wait_until("both ends notice a dead line", lambda: _both_lost(nation))


def mend_line(nation: Nation) -> None:
    """Mend the line and do nothing else: the nodes find each other."""
    nation.line.set(LineState.OPEN)
    wait_until("the county comes back", lambda: _linked(nation))


def _linked(nation: Nation) -> bool:
    return _states(nation) == ["connected", "connected"]


def _both_lost(nation: Nation) -> bool:
    return "connected" not in _states(nation)


def _states(nation: Nation) -> list[str]:
    """How county and city see their link."""
    seen = []
    county, city = nation["county"], nation["city"]
    for node, path in ((county, city.path), (city, county.path)):
        with node.client() as client:
            seen += [peer.state for peer in client.status().peers if peer.path == path]
    return seen


def _wait_for_directive(node: DemoNode) -> str:
    found: list[str] = []

    def came() -> bool:
        with node.client() as client:
            known = client.directives()
        # Listed before it is reported as delivered: only then can it be acknowledged.
        found[:] = [each.directive for each in known if each.state not in ("issued", "waiting")]
        return bool(found)

    wait_until(f"the directive reaches {node.path}", came)
    return found[0]
