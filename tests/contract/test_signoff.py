"""Sign-offs on every database: over two commits and in any batches, equal after a rebuild."""

from collections.abc import Callable
from importlib.resources import files
from typing import Any

from tests.contract.test_affairs import PERIOD, put_to_work, row
from tests.unit.node.affairs.signing import key, sign_batch, sign_policy
from yidao.node.affairs.reporting.review import Choice as ReviewChoice
from yidao.node.affairs.signoff.batches import Choice
from yidao.node.affairs.signoff.queries import list_batches, list_policies
from yidao.node.affairs.signoff.waiting import list_waiting
from yidao.node.affairs.standards.commands import publish_pack
from yidao.sync.signoff import Approver


def test_returns_are_signed_off_accepted_and_proved_on_every_database(
    tree: Any, carry_all: Callable[..., Any]
) -> None:
    """Name approvers, demand, sign, accept; what waits is counted; a rebuild gives equal tables."""
    root = tree.node("/")
    nodes = (root, tree.node("/33", root))
    above, below = (put_to_work(node, tree) for node in nodes)

    def exchange() -> None:
        for _ in range(3):
            carry_all(nodes[0], nodes[1])
            carry_all(nodes[1], nodes[0])
            for affairs in (above, below):
                affairs.desk.settle(affairs.desk.store.last_position())

    pack = (files("yidao.catalog") / "packs" / "energy-2022.yaml").read_bytes()
    publish_pack(above.desk, pack, "sample@/")
    exchange()
    people = [
        Approver(actor=f"{name}@/33", name=f"样例 {name}", key=key(name).public_key)
        for name in ("sun", "zhao")
    ]
    made = below.policies.propose("ting@/33", "", 2, people)
    below.policies.confirm("chu@/33", sign_policy(made.file, "sun", "zhao"))
    entry = {"region_code": "330106", "inst_type": "01", "reg_status": "1"}
    rows = [row("institution", index, name=f"样例单位{index}", **entry) for index in range(3)]
    rows += [
        row("profile", index, PERIOD, floor_area="1000.00", energy_users=50) for index in range(3)
    ]
    below.submission.submit("energy", "sample@/33", rows)
    exchange()
    above.policies.file("shen@/", made.policy.digest())
    above.policies.demand("shen@/", "energy/profile", demanded=True)
    exchange()
    everything = ReviewChoice(form="profile", period=PERIOD)
    assert above.review.review("wang@/", everything, "accept").reviewed == 0
    done = below.batches.prepare(Choice(form="profile", period=PERIOD))
    below.batches.submit("ting@/33", sign_batch(done.file, "zhao", "sun"))
    exchange()
    assert above.review.review("wang@/", everything, "accept").reviewed == 3
    exchange()
    for affairs in (above, below):
        with affairs.desk.read() as conn:
            [batch] = list_batches(affairs.desk, conn, form="profile", period=PERIOD)
            [policy] = list_policies(affairs.desk, conn)
            assert list_waiting(affairs.desk, conn) == ()
        assert (batch.returns, batch.path, len(batch.signers)) == (3, "/33", 2)
        assert (policy.state, policy.is_reset) == ("in_force", False)
        assert affairs.desk.store.rebuild().equal
