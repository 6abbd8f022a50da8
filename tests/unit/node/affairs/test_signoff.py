"""Sign-offs over real stores: approvers with their own keys, at every tier, and the gate."""

from dataclasses import replace

from sqlalchemy import select

from tests.unit.node.affairs.signing import (
    AGENCY,
    COUNTY,
    NAMES,
    ROOT,
    TIERS,
    accept,
    appoint,
    approvers,
    batch_of,
    forge,
    key,
    marked,
    prepared,
    refused,
    said,
    sign_batch,
    sign_policy,
    sign_policy_of_nobody,
    stored_at,
    submit,
)
from yidao.node.affairs.registry.views import unit as unit_table
from yidao.node.affairs.signoff import records
from yidao.node.affairs.signoff.batches import Choice
from yidao.node.affairs.signoff.queries import list_batches, list_policies, list_refused
from yidao.node.affairs.signoff.tables import signoff_policy, signoff_refused
from yidao.node.affairs.signoff.waiting import demanded_of_us, list_waiting, unsigned_of
from yidao.sync.merkle import leaf_hash
from yidao.sync.signoff import Signature
from yidao.sync.signofffile import open_batch_file


def test_the_parent_accepts_only_what_two_of_three_have_signed(waiting) -> None:
    """Before it is refused with a code; one signature twice is one; then every tier marks all."""
    tree, ids = waiting
    assert accept(tree) == 0
    assert refused(lambda: accept(tree, *ids)) == "SIGNOFF_MISSING"
    file = prepared(tree)
    twice = sign_batch(file, "sun", "sun")
    assert refused(lambda: submit(tree, twice)) == "SIGNOFF_TOO_FEW"
    submit(tree, sign_batch(file, "sun", "zhao"))
    for path in TIERS:
        node = tree[path]
        assert marked(node) == 3
        with node.desk.read() as conn:
            [batch] = list_batches(node.desk, conn)
        assert [signer[0] for signer in batch.signers] == sorted(
            (f"sun@{AGENCY}", f"zhao@{AGENCY}"),
            key=lambda actor: key(actor.split("@")[0]).public_key,
        )
        assert (batch.threshold, batch.approvers, batch.returns) == (2, 3, 3)
    assert accept(tree) == 3
    for path in TIERS:
        assert tree[path].store.rebuild().equal


def test_what_is_wrong_is_a_verdict_at_every_tier_and_the_journal_goes_on(waiting) -> None:
    """A faulty node writes each of these; nothing is marked, people are told, a good one counts."""
    tree, ids = waiting
    batch, seqs = batch_of(tree)
    entry = tree[AGENCY].query(select(unit_table.c.position))[0].position
    held = stored_at(tree[AGENCY], entry)
    other = replace(batch, count=1, root=leaf_hash(held.raw))
    county = replace(batch.journal, node_id=tree[COUNTY].identity.node_id)
    cases = {
        "signed over something else": (
            said(batch, seqs, "sun", "zhao", over=batch.statement() + b" "),
            "SIGNOFF_SIGNATURE_WRONG",
        ),
        "one of two": (said(batch, seqs, "sun"), "SIGNOFF_TOO_FEW"),
        "one person twice": (said(batch, seqs, "sun", "sun"), "SIGNOFF_MALFORMED"),
        "a stranger's key": (said(batch, seqs, "sun", "li"), "SIGNOFF_APPROVER_UNKNOWN"),
        "a return left out": (said(batch, seqs[1:], "sun", "zhao"), "SIGNOFF_ROOT_WRONG"),
        "a return put in": (said(batch, (0, *seqs), "sun", "zhao"), "SIGNOFF_ROOT_WRONG"),
        "a return that never came": (
            said(batch, (*seqs[:2], 999), "sun", "zhao"),
            "SIGNOFF_ROOT_WRONG",
        ),
        "another order": (said(batch, seqs[::-1], "sun", "zhao"), "SIGNOFF_MALFORMED"),
        "no return at all": (said(other, (held.seq,), "sun", "zhao"), "SIGNOFF_FOREIGN"),
        "another period": (
            said(replace(batch, period="2025-Q3"), seqs, "sun", "zhao"),
            "SIGNOFF_FOREIGN",
        ),
        "another node's returns": (
            said(replace(batch, journal=county), seqs, "sun", "zhao"),
            "SIGNOFF_FOREIGN",
        ),
        "a policy that is not in force": (
            said(replace(batch, policy=bytes(32)), seqs, "sun", "zhao"),
            "SIGNOFF_POLICY_UNKNOWN",
        ),
        "no core": (b"{}", "SIGNOFF_MALFORMED"),
    }
    for core, _ in cases.values():
        forge(tree, core)
    tree.exchange()
    for path in TIERS:
        node = tree[path]
        with node.desk.read() as conn:
            told = [each.code for each in list_refused(node.desk, conn)][::-1]
        assert dict(zip(cases, told, strict=True)) == {
            name: code for name, (_, code) in cases.items()
        }
        assert marked(node) == 0
        [problem] = [each for each in node.store.problems() if each.code == "SIGNOFF_REFUSED"]
        assert (problem.times, problem.params["path"]) == (len(cases), AGENCY)
    assert refused(lambda: accept(tree, *ids)) == "SIGNOFF_MISSING"
    submit(tree, sign_batch(prepared(tree), "qian", "zhao"))
    assert accept(tree, *ids) == 3
    for path in TIERS:
        assert marked(tree[path]) == 3
        assert tree[path].store.rebuild().equal


def test_commands_refuse_what_tiers_would_not_believe(waiting, rows) -> None:
    """Before anything is written: too few, strangers, changes since, twice, several files."""
    tree, ids = waiting
    file = prepared(tree)
    files = sign_batch(file, "sun", "zhao", "li")
    assert refused(lambda: submit(tree, [])) == "SIGNOFF_MIXED"
    assert refused(lambda: submit(tree, [files[0], files[2]])) == "SIGNOFF_APPROVER_UNKNOWN"
    assert (
        refused(lambda: submit(tree, [files[0], *sign_policy_of_nobody(tree)])) == "SIGNOFF_MIXED"
    )
    tree[AGENCY].submit(rows.consumption(1, water_fee="3600.00"))
    assert refused(lambda: submit(tree, files[:2])) == "SIGNOFF_CHANGED"
    fresh = sign_batch(prepared(tree), "sun", "zhao")
    submit(tree, fresh)
    assert refused(lambda: submit(tree, fresh)) == "SIGNOFF_ALREADY"
    assert refused(lambda: prepared(tree)) == "SIGNOFF_NOTHING"
    assert refused(lambda: prepared(tree, form="profile")) == "SIGNOFF_NOTHING"
    # The version that was corrected stays unsigned, the newer one is signed.
    assert refused(lambda: accept(tree, ids[1])) == "SIGNOFF_MISSING"
    assert accept(tree) == 3


def test_two_persons_and_the_approvers_themselves_decide_who_signs(small) -> None:
    """One person, a missing approver, a key without its owner, too few of the former: refused."""
    tree = small
    policies = tree[AGENCY].affairs.policies
    ting, chu = f"ting@{AGENCY}", f"chu@{AGENCY}"
    made = policies.propose(ting, "", 2, approvers(*NAMES))
    files = sign_policy(made.file, *NAMES)
    assert refused(lambda: policies.confirm(ting, files)) == "SIGNOFF_ONE_PERSON"
    assert refused(lambda: policies.confirm(chu, files[:2])) == "SIGNOFF_TOO_FEW"
    policies.confirm(chu, files)
    weak = replace(approvers("zhao")[0], key=bytes(32))
    stolen = replace(approvers("sun")[0], key=key("zhao").public_key)
    bad = {
        "a weak key": [weak],
        "one person with two keys": [*approvers("zhao"), replace(weak, key=key("sun").public_key)],
        "one key for two": [*approvers("zhao"), stolen],
        "somebody of another node": approvers("zhao", path=COUNTY),
    }
    for name, given in bad.items():
        code = refused(lambda given=given: policies.propose(ting, "", 1, given))
        assert code == "SIGNOFF_POLICY_INVALID", name
    assert (
        refused(lambda: policies.propose(ting, "", 4, approvers(*NAMES)))
        == "SIGNOFF_POLICY_INVALID"
    )
    # A change: of the former three, two must sign too.
    made = policies.propose(ting, "", 1, approvers("li"))
    assert refused(lambda: policies.confirm(chu, sign_policy(made.file, "li", "sun"))) == (
        "SIGNOFF_TOO_FEW"
    )
    policies.confirm(chu, sign_policy(made.file, "li", "sun", "zhao"))
    # A form's own policy follows the one for all forms.
    made = policies.propose(ting, "energy/consumption", 1, approvers("qian"))
    assert refused(lambda: policies.confirm(chu, sign_policy(made.file, "qian"))) == (
        "SIGNOFF_TOO_FEW"
    )
    policies.confirm(chu, sign_policy(made.file, "qian", "li"))
    tree.exchange()
    for path in TIERS:
        node = tree[path]
        with node.desk.read() as conn:
            found = list_policies(node.desk, conn)
        assert [(each.policy.scope, each.state) for each in found] == [
            ("energy/consumption", "in_force"),
            ("", "in_force"),
            ("", "replaced"),
        ]
        assert not any(each.is_reset for each in found)


def test_a_reset_shows_above_and_counts_only_once_it_is_filed(waiting) -> None:
    """An insider with the node's key names approvers of their own: the parent accepts nothing."""
    tree, ids = waiting
    digest = appoint(tree, "li", threshold=1, reset=True)
    submit(tree, sign_batch(prepared(tree), "li"))
    for path in TIERS:
        assert [p.code for p in tree[path].store.problems()] == ["SIGNOFF_RESET"]
        assert marked(tree[path]) == 3
    assert accept(tree) == 0
    assert refused(lambda: accept(tree, *ids)) == "SIGNOFF_UNFILED"
    county = tree[COUNTY].affairs.policies
    assert refused(lambda: county.file(f"shen@{COUNTY}", bytes(32))) == "SIGNOFF_FILING_UNKNOWN"
    assert refused(lambda: tree[ROOT].affairs.policies.file(f"shen@{ROOT}", digest)) == (
        "SIGNOFF_FILING_UNKNOWN"
    )
    county.file(f"shen@{COUNTY}", digest)
    assert accept(tree, *ids) == 3


def test_a_policy_that_was_filed_once_does_not_come_back(waiting) -> None:
    """A faulty node proposes the very first statement again, to reset to it: a verdict."""
    tree, _ = waiting
    with tree[AGENCY].desk.read() as conn:
        [first] = list_policies(tree[AGENCY].desk, conn)
    appoint(tree, "li", threshold=1, signing=("sun", "zhao"))
    forge(tree, records.Proposal(statement=first.policy.statement()).encode(), records.PROPOSED)
    tree.exchange()
    for path in TIERS:
        [row] = tree[path].query(select(signoff_refused))
        assert (row.kind, row.code) == (records.PROPOSED, "SIGNOFF_POLICY_INVALID")
        assert tree[path].store.rebuild().equal


def test_without_a_demand_nothing_changes(small, rows) -> None:
    """A parent that demands nothing accepts as ever; a demand that ends is gone."""
    tree = small
    [first, second] = tree[AGENCY].submit(rows.consumption(0), rows.consumption(1)).results
    tree.exchange()
    assert accept(tree, first.record_id) == 1
    county = tree[COUNTY].affairs.policies
    county.demand(f"shen@{COUNTY}", "", demanded=True)
    assert accept(tree) == 0
    tree.exchange()
    with tree[AGENCY].desk.read() as conn:
        assert demanded_of_us(tree[AGENCY].desk, conn) == {""}
    county.demand(f"shen@{COUNTY}", "energy/profile", demanded=True)
    county.demand(f"shen@{COUNTY}", "", demanded=False)
    assert accept(tree, second.record_id) == 1


def test_who_waits_is_listed_here_and_above(waiting) -> None:
    """The agency sees its own; the county those of its children; nobody once they are signed."""
    tree, ids = waiting
    for path in (AGENCY, COUNTY):
        node = tree[path]
        with node.desk.read() as conn:
            [row] = list_waiting(node.desk, conn)
            assert (row.path, row.form, row.returns) == (AGENCY, "consumption", 3)
    with tree[COUNTY].desk.read() as conn:
        assert set(unsigned_of(tree[COUNTY].desk, conn, ids)) == set(ids)
    submit(tree, sign_batch(prepared(tree), "sun", "zhao"))
    for path in (AGENCY, COUNTY):
        with tree[path].desk.read() as conn:
            assert list_waiting(tree[path].desk, conn) == ()
    with tree[COUNTY].desk.read() as conn:
        assert unsigned_of(tree[COUNTY].desk, conn, ids) == ()


def test_one_unit_at_a_time_and_what_is_left(waiting, rows) -> None:
    """A file of one unit holds its return alone; the next file holds the others."""
    tree, _ = waiting
    done = tree[AGENCY].affairs.batches.prepare(
        Choice(form="consumption", period="2025-Q2", unit=rows.unit(1))
    )
    assert (done.batch.count, done.left) == (1, 0)
    submit(tree, sign_batch(done.file, "sun", "zhao"))
    assert open_batch_file(prepared(tree)).batch.count == 2


def test_a_policy_that_was_not_made_as_it_must_is_a_verdict_at_every_tier(waiting) -> None:
    """A faulty node confirms alone, without the approvers, without the former, or for another."""
    tree, _ = waiting
    with tree[AGENCY].desk.read() as conn:
        [former] = list_policies(tree[AGENCY].desk, conn)
    ting, chu = f"ting@{AGENCY}", f"chu@{AGENCY}"
    policies = tree[AGENCY].affairs.policies
    made = policies.propose(ting, "", 1, approvers("li"))
    county = replace(made.policy, node_id=tree[COUNTY].identity.node_id)
    proposal = (
        tree[AGENCY]
        .query(
            select(signoff_policy.c.record_id).where(
                signoff_policy.c.digest == made.policy.digest()
            )
        )[0]
        .record_id
    )

    def confirm(actor: str, *names: str, causes: tuple[bytes, ...] = (proposal,)) -> None:
        signatures = tuple(
            sorted((each.signature for each in sign_policy(made.file, *names)), key=by_key)
        )
        core = records.Confirmation(signatures=signatures).encode()
        forge(tree, core, records.CONFIRMED, actor=actor, causes=causes)

    confirm(ting, "li", "sun", "zhao")
    confirm(chu, "li", "sun")
    confirm(chu, "sun", "zhao")
    confirm(chu, "li", "sun", "zhao", causes=())
    confirm(chu, "li", "sun", "zhao", causes=(bytes(former.record_id),))
    forge(tree, records.Proposal(statement=county.statement()).encode(), records.PROPOSED)
    forge(tree, records.Demand(scope="", demanded=False).encode(), records.DEMANDED)
    tree.exchange()
    expected = [
        "SIGNOFF_ONE_PERSON",
        "SIGNOFF_TOO_FEW",
        "SIGNOFF_TOO_FEW",
        "SIGNOFF_POLICY_UNKNOWN",
        "SIGNOFF_POLICY_UNKNOWN",
        "SIGNOFF_FOREIGN",
        "SIGNOFF_FOREIGN",
    ]
    for path in TIERS:
        rows = tree[path].query(select(signoff_refused).order_by(signoff_refused.c.position))
        assert [row.code for row in rows] == expected
        with tree[path].desk.read() as conn:
            states = [each.state for each in list_policies(tree[path].desk, conn)]
        assert states == ["proposed", "in_force"]
        assert tree[path].store.rebuild().equal


def by_key(signature: Signature) -> bytes:
    return signature.key
