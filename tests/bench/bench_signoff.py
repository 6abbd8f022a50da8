"""What a tier pays to believe that 2,000 returns are signed off. Run with `make bench`."""

import json
import time
from collections.abc import Callable
from importlib.resources import files
from typing import Any

from pytest_benchmark.fixture import BenchmarkFixture
from sqlalchemy import delete

from tests.bench.bench_reporting import consumption, institution
from tests.unit.node.affairs.signing import approvers, key, sign_batch, sign_policy
from yidao.node.affairs.reporting.judging import RowIn
from yidao.node.affairs.signoff.batches import Choice
from yidao.node.affairs.signoff.tables import signoff_batch, signoff_return
from yidao.node.affairs.signoff.views import SignoffProjector
from yidao.node.affairs.standards.commands import publish_pack
from yidao.node.store.records import Reader, record_at
from yidao.node.store.scanning import headers_at
from yidao.sync.signofffile import open_batch_file
from yidao.sync.suite import ED25519_SHA256, verify

Against = Callable[[str, Callable[[], float]], None]
RETURNS = 2_000
PERIOD = "2025-Q2"


def test_believe_2000_returns_that_two_signed(
    benchmark: BenchmarkFixture, new_node: Callable[..., Any], against: Against
) -> None:
    """Policy, two signatures, 2,000 headers read and hashed to one root, 2,000 rows marked."""
    node = new_node("/")
    affairs = node.start_with_affairs()
    pack = (files("yidao.catalog") / "packs" / "energy-2022.yaml").read_bytes()
    publish_pack(affairs.desk, pack, "sample@/")
    made = affairs.policies.propose("ting@/", "", 2, approvers("sun", "qian", "zhao", path="/"))
    affairs.policies.confirm("chu@/", sign_policy(made.file, "sun", "qian", "zhao"))
    for form, period, row_of in (
        ("institution", "", institution),
        ("consumption", PERIOD, lambda number: consumption(number, PERIOD)),
    ):
        for first in range(1, RETURNS + 1, 500):
            rows = [
                RowIn(row=n, form=form, period=period, payload=json.dumps(row_of(n)).encode())
                for n in range(first, first + 500)
            ]
            affairs.submission.submit("energy", "sample@/", rows)
    done = affairs.batches.prepare(Choice(form="consumption", period=PERIOD))
    placed = affairs.batches.submit("ting@/", sign_batch(done.file, "sun", "zhao"))
    with affairs.desk.read() as conn:
        item = record_at(conn, placed.position)
        seqs = [each.seq for each in open_batch_file(done.file).returns]
        headers = [data for _, data in headers_at(conn, item.journal, seqs, placed.position)]
    assert done.batch.count == len(headers) == RETURNS
    projector = SignoffProjector()

    def fold(tx: Any) -> None:
        tx.conn.execute(delete(signoff_return))
        tx.conn.execute(delete(signoff_batch))
        projector.fold(tx.conn, [item], Reader(tx.conn, node.identity))

    benchmark.pedantic(lambda: node.store.run(fold), rounds=5)
    signer = key("sun")
    signatures = [signer.sign(header) for header in headers]

    def one_by_one() -> float:
        started = time.perf_counter()
        for header, signature in zip(headers, signatures, strict=True):
            verify(ED25519_SHA256, signer.public_key, signature, header)
        return time.perf_counter() - started

    against("2,000 single signatures verified", one_by_one)
