"""Step 7: evidence that stands alone, and stores that cannot be changed unseen."""

import shutil
import sqlite3
import tempfile
from decimal import Decimal
from pathlib import Path

import orjson

from yidao.node.client import Totals
from yidao.node.demo import sampleunits
from yidao.node.demo.audit import Holdings, read_holdings
from yidao.node.demo.nation import Nation
from yidao.node.demo.reporting import PACK, RETURN_FORMS, report_one_more
from yidao.node.demo.samples import PERIODS
from yidao.node.demo.totals import accepted_totals
from yidao.node.demo.tree import DemoNode, DemoStepFailed, run_yidao, wait_until
from yidao.sync.ids import NodeId
from yidao.sync.ids import Path as TreePath


def holdings(nation: Nation) -> dict[str, Holdings]:
    """What every store holds now; daemons may run or rest."""
    held = {}
    for key, node in nation.nodes.items():
        identity = orjson.loads((node.folder / "keys" / "identity.json").read_bytes())
        node_id = NodeId(bytes.fromhex(identity["node_id"]))
        held[key] = read_holdings(node.folder / "store.db", node_id, TreePath.parse(node.path))
    return held


def rollups_equal_sources(nation: Nation, held: dict[str, Holdings]) -> list[str]:
    """Compare every tier's accepted totals with sums over the agencies' own bytes.

    Returns:
        What differs, in words; nothing if all is equal.
    """
    leaves = [held["agency_a"], held["agency_b"]]
    truth = accepted_totals(leaves, held["county"].accepted())
    wrong = []
    for node in nation.offices:
        with node.client() as client:
            sizes = {each.origin: each.size for each in client.status().journals}
            for form in RETURN_FORMS:
                for period in PERIODS:
                    seen = client.roll_up(pack=PACK, form=form, period=period)
                    where = f"{node.path} {form} {period}"
                    wrong += [
                        f"{where} {name}"
                        for name in _differences(seen.accepted, truth.sums[form, period])
                    ]
                    if seen.accepted.returns != truth.returns[form, period]:
                        wrong.append(f"{where} returns")
                    if not seen.frontiers or any(
                        sizes.get(each.origin, -1) < each.size for each in seen.frontiers
                    ):
                        wrong.append(f"{where} frontiers")
    return wrong


def _differences(seen: Totals, truth: dict[str, Decimal]) -> list[str]:
    """Fields whose sums differ; the pack sums some fields only, all of which must be there."""
    shared = [name for name in truth if name in seen.fields]
    if not shared:
        return ["no field is summed"]
    return [name for name in shared if Decimal(seen.fields[name]) != truth[name]]


def evidence(nation: Nation, folder: Path) -> tuple[bool, bool]:
    """Export one return's evidence at the root and verify it elsewhere.

    Returns:
        Whether it verifies in an empty directory, and whether a flipped bit is refused.
    """
    root = nation["nation"]
    unit = sampleunits.building_uscc()
    with root.client() as client:
        page = client.returns(form="consumption", period="2025-Q3", unit=unit, state="accepted")
    record = page.returns[0].record_id.hex()
    proof = folder / "evidence.zip"

    def exported() -> bool:
        """The tiers' cosignatures travel after the record: ask until all are there."""
        proof.unlink(missing_ok=True)
        run_yidao("evidence", "export", record, "--data", str(root.folder), "--out", str(proof))
        return _verifies(proof, root.folder / "keys" / "root.pem")

    wait_until("every tier has cosigned", exported, 40)
    with tempfile.TemporaryDirectory(prefix="yidao-verify-") as empty:
        root_pem = Path(empty) / "ROOT.pem"
        shutil.copy(root.folder / "keys" / "root.pem", root_pem)
        verified = _verifies(proof, root_pem)
        damaged = Path(empty) / "damaged.zip"
        damaged.write_bytes(_flip_a_bit(proof.read_bytes()))
        refused = not _verifies(damaged, root_pem)
    return verified, refused


def _verifies(proof: Path, root_pem: Path) -> bool:
    try:
        run_yidao("evidence", "verify", str(proof), "--root", str(root_pem), "--json")
    except DemoStepFailed:
        return False
    return True


def _flip_a_bit(data: bytes) -> bytes:
    """Flip one bit in the middle of the file."""
    at = len(data) // 2
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


def tamper(nation: Nation) -> bool:
    """Change one byte in the city's store before it is relayed; then put it back.

    The province is down meanwhile, so that the city holds a record that it has
    not passed on. With the byte changed, the province refuses the journal, the
    nation never gets the record, and `status` on city, province and nation names
    it. With the byte mended the record arrives by itself.

    Returns:
        Whether all of that was seen.
    """
    city, province, root = nation["city"], nation["province"], nation["nation"]
    before = _records(root)
    province.stop()
    record = report_one_more(nation)
    wait_until("the city holds one more return", lambda: _holds(city, record))
    city.stop()
    position, offset = _change_newest_header(city, record)
    city.start()
    province.start()
    wait_until("the province refuses", lambda: _named(province), 40)
    wait_until("the city is told", lambda: _named(city), 40)
    wait_until("the nation is told", lambda: _named(root), 40)
    noticed = not _holds(root, record) and _records(root) >= before
    city.stop()
    _flip(city, position, offset)
    city.start()
    wait_until("the mended record arrives", lambda: _holds(root, record), 40)
    return noticed


def _records(node: DemoNode) -> int:
    with node.client() as client:
        return client.status().records


def _holds(node: DemoNode, record: bytes) -> bool:
    with node.client() as client:
        page = client.returns(unit=sampleunits.building_uscc(), limit=1_000)
    return any(each.record_id == record for each in page.returns)


def _named(node: DemoNode) -> bool:
    """Whether `status` names the refusal."""
    with node.client() as client:
        return any(
            problem.code in ("LINK_REFUSED", "JOURNAL_REFUSED", "JOURNAL_REFUSED_BELOW")
            for problem in client.status().problems
        )


def _change_newest_header(node: DemoNode, record: bytes) -> tuple[int, int]:
    """Flip one bit of the record's header in the database; gives where."""
    connection = sqlite3.connect(node.folder / "store.db")
    try:
        newest = connection.execute(
            "SELECT position, headers FROM segment ORDER BY position DESC LIMIT 50"
        ).fetchall()
    finally:
        connection.close()
    places = [(position, blob.find(record)) for position, blob in newest if record in blob]
    if not places:
        raise DemoStepFailed(step="tamper", detail="the record is not in the store")
    position, offset = places[0]
    _flip(node, position, offset)
    return position, offset


def _flip(node: DemoNode, position: int, offset: int) -> None:
    connection = sqlite3.connect(node.folder / "store.db")
    try:
        (blob,) = connection.execute(
            "SELECT headers FROM segment WHERE position = ?", (position,)
        ).fetchone()
        changed = blob[:offset] + bytes([blob[offset] ^ 1]) + blob[offset + 1 :]
        connection.execute("UPDATE segment SET headers = ? WHERE position = ?", (changed, position))
        connection.commit()
    finally:
        connection.close()
