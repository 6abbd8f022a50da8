"""The store's contract, the same on SQLite and on PostgreSQL."""

from collections.abc import Callable
from typing import Any

import pytest

Carry = Callable[..., list[Any]]


class TestAppend:
    def test_positions_follow_each_other_and_the_journal_is_declared_first(self, tree: Any) -> None:
        """The first record of a channel brings the declaration of its journal before itself."""
        root = tree.node("/")
        assert root.append("up:15", root.draft("a"), root.draft("b")) == [2, 3]
        records = root.store.records(0, 100)
        assert [r.header.kind for r in records] == [
            "node.journal.opened",
            "test.thing.made",
            "test.thing.made",
        ]
        assert records[0].header.object_id == "journal/up:15/1"
        assert records[1].parts == {"core": b"{}"}


class TestTransfer:
    def test_records_go_up_two_tiers_with_their_parts(self, tree: Any, carry_all: Carry) -> None:
        root = tree.node("/")
        city = tree.node("/33", root)
        county = tree.node("/33/3301", city)
        county.append("up:15", county.draft("a"), county.draft("b"))
        carry_all(city, root)
        carry_all(county, city)
        outs = carry_all(city, root)
        assert [o.refusals for o in outs] == [()] * len(outs)
        seen = [
            (r.header.object_id, dict(r.parts))
            for r in root.store.records(0, 100)
            if r.header.kind == "test.thing.made"
        ]
        assert seen == [("thing/a", {"core": b"{}"}), ("thing/b", {"core": b"{}"})]
        assert not root.store.problems()
