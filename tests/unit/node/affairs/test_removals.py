"""What is erased or pruned leaves the views as they are, and a rebuild comes to the same."""

import base64
import hashlib
from functools import partial
from pathlib import Path as FilePath

import orjson
import pytest
from sqlalchemy import select

from yidao.node.access.retention import KEPT_DAYS
from yidao.node.affairs.cores import payload_digest
from yidao.node.affairs.locate import locate
from yidao.node.affairs.registry.views import unit
from yidao.node.affairs.reporting.records import Decision
from yidao.node.affairs.reporting.review import Choice
from yidao.node.affairs.reporting.tables import return_version
from yidao.node.removals import PRESENT, PRUNED, REDACTED, Removals
from yidao.node.store import tables
from yidao.node.store.parterrors import PartPruned, PruningUnready, SnapshotDamaged
from yidao.node.store.pruning import PruneOrder
from yidao.node.store.values import DraftPart
from yidao.sync.ids import Lane
from yidao.sync.partsrun import Absence
from yidao.sync.removal import KIND_PRUNED, KIND_SEALED, Pruning, SealedSnapshot

ROOT, CITY, COUNTY, AGENCY = "/", "/33", "/33/06", "/33/06/a"
PERSON = "样例张三"
WHY = {"reason": "样例：法院判决", "basis": "样例判决书", "operator": "li@/33/06/a"}


def removals(node) -> Removals:
    return Removals(node.store, partial(locate, node.store))


def order(node, **fields) -> PruneOrder:
    given = {"before_ms": node.tree.now_ms + 1, "reason": "样例：到期", "operator": node.actor}
    return PruneOrder(**(given | fields))


def prune(node, *, dry_run: bool = False, **fields):
    """Prune, and give records, bytes and what was kept."""
    steps = list(removals(node).prune(order(node, **fields), dry_run=dry_run))
    assert steps[-1].is_last
    kept = {rule: sum(s.kept.get(rule, 0) for s in steps) for rule in ("audit", "open")}
    kept["unacknowledged"] = sum(s.kept.get("unacknowledged", 0) for s in steps)
    node.settle()
    return sum(s.records for s in steps), sum(s.bodies_bytes for s in steps), kept


def acknowledge(tree) -> None:
    """Let every node know that its neighbours hold what it has."""
    for source in tree.nodes.values():
        for target in tree.nodes.values():
            paths = source.identity.path, target.identity.path
            if paths[0].parent == paths[1] or paths[1].parent == paths[0]:
                head = source.store.last_position()

                def note(tx, target=target, head=head) -> None:
                    for lane in Lane:
                        tx.peer_acked(target.peer, lane, head)

                source.store.run(note)


def files(node) -> bytes:
    """Every byte of the node's files."""
    node.store.checkpoint_wal()
    name = node.path.strip("/").replace("/", "-") or "root"
    return b"".join(each.read_bytes() for each in FilePath(node.tree.folder).glob(f"{name}.db*"))


def accept_all(node, period: str = "2025-Q2") -> None:
    node.affairs.review.review(node.actor, Choice(period=period), Decision.ACCEPT.value)


def of_return(node, period: str = "2025-Q2") -> bytes:
    """The id of the one return of a period that a node shows."""
    mine = return_version.c.period == period
    [(found,)] = node.query(select(return_version.c.record_id).where(mine))
    return bytes(found)


@pytest.fixture
def known(accepted):
    """The same, and every node knows that its neighbours hold what it has."""
    acknowledge(accepted)
    return accepted


# Erasing.


def test_erased_personal_fields_leave_no_trace_in_views_and_files(accepted, rows):
    """Also no digest that covers them without a salt; a rebuild is equal at every tier."""
    four = accepted
    four[AGENCY].submit(rows.institution(0, statistician=PERSON))
    four.exchange()
    [(record_id,)] = four[AGENCY].query(select(unit.c.record_id))
    [(entry, digest)] = four[AGENCY].query(select(unit.c.entry, unit.c.digest))
    pii = orjson.dumps({"statistician": PERSON})
    assert digest == payload_digest(entry, pii)
    # One of them has a snapshot, which must forget as well.
    four[COUNTY].store.seal_snapshot()
    assert digest.hex().encode() in hexed(four[COUNTY])
    for path in (AGENCY, COUNTY):
        assert PERSON.encode() in files(four[path])
    removals(four[AGENCY]).redact(bytes(record_id), "pii", **WHY)
    four.exchange()
    for path in four.nodes:
        node = four[path]
        assert PERSON.encode() not in files(node)
        assert digest not in files(node)
        assert digest.hex().encode() not in hexed(node)
        assert node.store.rebuild().equal
        assert node.store.scrub().faults == ()
    # The same row again is another row now: nobody knows any more that it is the same.
    [done] = four[AGENCY].submit(rows.institution(0, statistician=PERSON)).results
    assert done.outcome.value == "submitted"


def hexed(node) -> bytes:
    """Everything in the snapshot, with its bytes in hex."""
    with node.store.read() as conn:
        blobs = conn.execute(select(tables.snapshot_chunk.c.blob)).scalars().all()
    found = []
    for blob in blobs:
        for row in orjson.loads(blob)["rows"]:
            found += [
                base64.b64decode(value["b64"]).hex() for value in row if isinstance(value, dict)
            ]
    return " ".join(found).encode()


def test_an_erased_refused_row_is_gone_from_its_table(accepted, rows):
    """A row that was refused is kept as it came, whatever was in it; it can go."""
    node = accepted[AGENCY]
    [done] = node.submit(rows.consumption(0, elec_kwh=PERSON)).results
    assert done.outcome.value == "refused"
    assert PERSON.encode() in files(node)
    [(record_id,)] = node.query(
        select(return_version.c.record_id).where(return_version.c.state == "refused")
    )
    removals(node).redact(bytes(record_id), "core", **WHY)
    assert PERSON.encode() not in files(node)
    assert node.query(select(return_version.c.state)) == [("accepted",)]
    assert node.store.rebuild().equal


# Pruning.


def test_a_rebuild_comes_to_the_same_before_and_after_a_pruning(known, rows):
    """Tables are what they were, from the sealed snapshot; what comes later is folded on top."""
    for path in known.nodes:
        node = known[path]
        before = node.store.rebuild()
        assert before.equal
        records, size, _ = prune(node, kinds=("reporting.", "registry."))
        assert records >= 2
        assert size > 0
        after = node.store.rebuild()
        assert after.equal
        assert {t.name: t.after for t in after.tables} == {t.name: t.after for t in before.tables}
        assert removals(node).states(of_return(node))[0].state == PRUNED
        assert node.store.scrub().faults == ()
    known[AGENCY].submit(rows.profile(0, floor_area="6000.00"))
    known.exchange()
    accept_all(known[COUNTY])
    known.exchange()
    for node in known.nodes.values():
        assert node.store.rebuild().equal


def test_a_pruning_says_what_went_and_its_record_goes_to_the_root(known):
    """Journal, range, reason and operator; the snapshot's digests stay in `local`."""
    node = known[COUNTY]
    records, size, _ = prune(node, kinds=("reporting.return.submitted",), forms=("profile",))
    assert records == 1
    found = {r.header.kind: r for r in node.store.records(0, 1_000)}
    core = Pruning.decode(found[KIND_PRUNED].parts["core"])
    assert (core.records, core.bodies_bytes, core.operator) == (1, size, node.actor)
    [span] = core.ranges
    assert (span.journal.channel, span.records) == ("up:15", 1)
    snapshot = SealedSnapshot.decode(found[KIND_SEALED].parts["core"])
    assert (found[KIND_SEALED].journal.channel, snapshot.position) == ("local", core.snapshot)
    known.exchange()
    kinds = {r.header.kind for r in known[ROOT].store.records(0, 1_000)}
    assert KIND_PRUNED in kinds
    assert KIND_SEALED not in kinds
    with pytest.raises(PartPruned):
        removals(node).part(of_return(node), "core")
    why = removals(node).states(of_return(node))[0]
    assert (why.state, why.reason, why.operator) == (PRUNED, "样例：到期", node.actor)


def test_a_dry_run_counts_and_removes_nothing(known):
    """Records and bytes are those that a real run then removes."""
    node = known[COUNTY]
    position = node.store.last_position()
    said = prune(node, dry_run=True)
    assert node.store.last_position() == position
    assert removals(node).states(of_return(node))[0].state == PRESENT
    assert said[:2] == prune(node)[:2]
    # A second run finds nothing more.
    assert prune(node)[:2] == (0, 0)


def test_open_business_and_what_nobody_else_holds_yet_are_kept(known, rows):
    """Not before the verdict, and then not before the parent holds what it released."""
    tree, county, period = known, known[COUNTY], "2025-Q1"
    tree[AGENCY].submit(rows.profile(0, period))
    tree.exchange()
    acknowledge(tree)
    kinds = ("reporting.return.submitted",)
    for path in (AGENCY, COUNTY):
        *_, kept = prune(tree[path], kinds=kinds)
        assert kept["open"] == 1
        assert removals(tree[path]).states(of_return(tree[path], period))[0].state == PRESENT
    accept_all(county, period)
    *_, kept = prune(county, kinds=kinds)
    assert (kept["open"], kept["unacknowledged"]) == (0, 1)
    assert removals(county).states(of_return(county, period))[0].state == PRESENT
    tree.exchange()
    acknowledge(tree)
    records, _, kept = prune(county, kinds=kinds)
    assert (records, kept["unacknowledged"]) == (1, 0)
    mine = return_version.c.period == period
    assert tree[CITY].query(select(return_version.c.payload).where(mine))[0].payload


def test_the_audit_of_half_a_year_is_kept(accepted):
    """Whatever is asked for; a day older, it may go."""
    node = accepted[COUNTY]
    part = DraftPart(name="core", body=b"{}")
    node.forge("local", kind="access.sample.noted", object_id="a", parts=(part,))
    assert prune(node, kinds=("access.",)) == (
        0,
        0,
        {"audit": 1, "open": 0, "unacknowledged": 0},
    )
    accepted.now_ms += KEPT_DAYS * 24 * 3600 * 1000
    assert prune(node, kinds=("access.",))[0] == 1


def test_what_the_tree_rests_on_is_never_pruned(known):
    """Enrolments and packs stay, though nothing protects them but their kind."""
    node = known[ROOT]
    prune(node)
    for record in node.store.records(0, 1_000):
        if record.header.kind.startswith(("node.", "standards.")) and record.header.parts:
            assert "core" in record.parts


def test_who_backfills_gets_headers_and_is_told_what_is_gone(known):
    """A new node below gets the history without stalling, with the pruned part marked."""
    node = known[CITY]
    part = DraftPart(name="core", body=b'{"n":1}')
    record_id = hashlib.sha256(b"notice").digest()[:16]
    node.forge(
        "down", record_id=record_id, kind="sample.notice.posted", object_id="a", parts=(part,)
    )
    known.exchange()
    acknowledge(known)
    assert prune(node, kinds=("sample.",))[0] == 1
    known.grow("/33/07")
    known.exchange()
    late = known["/33/07"]
    [got] = [r for r in late.store.records(0, 1_000) if r.header.record_id == record_id]
    assert got.parts == {}
    with late.store.read() as conn:
        [gone] = conn.execute(select(tables.absent_part)).all()
    assert (gone.absence, gone.position) == (Absence.PRUNED, 0)
    assert late.store.scrub().faults == ()


def test_a_pruned_part_can_still_be_erased_for_all(known):
    """What the author pruned at home its parent may still hold."""
    agency, county = known[AGENCY], known[COUNTY]
    record_id = of_return(agency)
    prune(agency, kinds=("reporting.",))
    removals(agency).redact(record_id, "file:1", **WHY)
    known.exchange()
    for node in (agency, county):
        states = {each.digest.name: each.state for each in removals(node).states(record_id)}
        assert states["file:1"] == REDACTED
    assert b"sample invoice" not in files(county)
    assert agency.store.rebuild().equal


def test_a_snapshot_that_was_changed_is_refused(known):
    """A rebuild never starts from rows that are not those that were sealed; nothing changes."""
    node = known[COUNTY]
    prune(node)
    chunk = tables.snapshot_chunk
    mine = chunk.c.name == "return_version"
    with node.store.read() as conn:
        blob = conn.execute(select(chunk.c.blob).where(mine)).scalar_one()
    changed = bytes(blob).replace(b"accepted", b"returned", 1)
    assert changed != blob
    node.store.run(
        lambda tx: tx.conn.execute(chunk.update().where(mine).values(blob=changed)).rowcount
    )
    before = node.query(select(return_version))
    with pytest.raises(SnapshotDamaged):
        node.store.rebuild()
    assert node.query(select(return_version)) == before


def test_nothing_is_pruned_over_views_that_lag(known):
    """A snapshot is of views that show everything."""
    node = known[COUNTY]

    def lag(tx) -> None:
        moved = tables.cursor.update().where(tables.cursor.c.name == "reporting.return")
        tx.conn.execute(moved.values(position=0))
        # What this process knows of it is greater than what another one wrote, or equal.
        node.store._runner._cursors["reporting.return"] = 0
        with pytest.raises(PruningUnready):
            node.store._runner.seal_snapshot(tx, node.store.last_position())
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        node.store.run(lag)
