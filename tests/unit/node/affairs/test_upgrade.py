"""A store of the revision before withdrawals and receipts: its views are folded again."""

import re
from importlib.resources import files
from threading import Event

import pytest
from sqlalchemy import create_engine, text

from yidao.node.affairs.affairs import Affairs
from yidao.node.affairs.errors import ViewsBehind
from yidao.node.affairs.reporting.queries import ReturnFilter, list_returns
from yidao.node.affairs.reporting.receipts import receipt
from yidao.node.store.store import Store

AGENCY = "/33/06/a"
BACK = (
    "DROP INDEX ix_return_version_leaf",
    "ALTER TABLE return_version DROP COLUMN leaf",
    "ALTER TABLE return_version DROP COLUMN withdrawn_by",
    "ALTER TABLE return_version DROP COLUMN withdrawn_reason",
    "ALTER TABLE early_verdict DROP COLUMN faults",
    "DROP INDEX enrolment_path",
    "ALTER TABLE enrolment DROP COLUMN revoked",
    "ALTER TABLE enrolment DROP COLUMN cosign_pq",
    "ALTER TABLE cosignature DROP COLUMN line_pq",
    "ALTER TABLE journal DROP COLUMN quarantined_to",
    "ALTER TABLE record_id ADD COLUMN content_sha256 BLOB NOT NULL DEFAULT x''",
    "DELETE FROM cursor WHERE name LIKE 'access.%' OR name LIKE 'catalog.%'"
    " OR name LIKE 'signoff%'",
    "UPDATE alembic_version SET version_num = '0002'",
)


def younger_tables():
    """The tables that revisions after 0002 make, but for those that they make anew."""
    return made_by(r"r00(0[3-9]|[1-9]\d)_\w+\.py") - made_by(r"r000[1-2]_\w+\.py")


def made_by(scripts):
    """The tables that the scripts of such names make."""
    return {
        name
        for script in (files("yidao.migrations") / "versions").iterdir()
        if re.fullmatch(scripts, script.name)
        for name in re.findall(r'create_table\(\s*"(\w+)"', script.read_text("utf-8"))
    }


@pytest.fixture
def older(registered, rows):
    """An agency's store with returns in it, as the revision before left it."""
    tree = registered()
    node = tree[AGENCY]
    node.submit(rows.consumption(0), rows.consumption(1, water_tap_m3="1.00"))
    node.store.close()
    url = f"sqlite:///{tree.folder}/33-06-a.db"
    engine = create_engine(url)
    with engine.begin() as conn:
        for statement in (*BACK, *map("DROP TABLE {}".format, younger_tables())):
            conn.execute(text(statement))
    engine.dispose()
    node.store = Store.open(url, clock_ms=tree.clock, random=tree.random)
    node.store.bind(node.identity)
    node.affairs = Affairs(node.store, node.identity, clock_ms=tree.clock, random=tree.random)
    return node


def test_an_upgraded_store_shows_what_it_showed_and_gives_receipts(older, rows):
    """The first command waits for the fold, so that rows handed in before are recognised."""
    older.store.start(older.affairs.projectors, older.affairs.deciders)
    again = older.submit(rows.consumption(0), rows.consumption(1, water_tap_m3="1.00")).results
    assert [each.outcome.value for each in again] == ["unchanged"] * 2
    with older.desk.read() as conn:
        listed, _ = list_returns(conn, ReturnFilter())
    assert [each.state for each in listed] == ["submitted", "refused"]
    code = receipt(older.desk, record_id=again[0].record_id).code
    assert receipt(older.desk, code=code).about.unit == rows.unit(0)
    assert older.store.rebuild().equal


def test_nothing_is_decided_on_views_that_lag(older, rows, monkeypatch):
    """A fold that takes too long is an error that says to try again, never a second version."""
    monkeypatch.setattr("yidao.node.affairs.desk._SETTLE_SECONDS", 0.05)
    slow = Slow()
    older.store.start([*older.affairs.projectors, slow], ())
    size = older.store.last_position()
    try:
        with pytest.raises(ViewsBehind):
            older.submit(rows.consumption(0))
    finally:
        slow.may_go_on.set()
    assert older.store.last_position() == size


class Slow:
    """A projector that takes as long as the test."""

    name = "sample.slow"
    tables = ()

    def __init__(self):
        self.may_go_on = Event()

    def fold(self, conn, records, reader):
        self.may_go_on.wait(60)
