"""The oracle itself, on vectors and on stores of a few records made by hand."""

import importlib.util
import json
import sys
from collections import Counter
from decimal import Decimal
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

HERE = Path(__file__).parent
VECTORS = HERE.parent / "vectors"
AGENCY, ROOT = b"a" * 16, b"r" * 16
UP = (AGENCY, "up:15", "1")


def _load() -> ModuleType:
    """The oracle as a module; it is a program and in no package."""
    spec = importlib.util.spec_from_file_location("the_oracle", HERE / "oracle.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


oracle = _load()


def a_return(seq: int, version: int, area: str, *, record_id: bytes | None = None) -> Any:
    """A submitted return whose figures wait for acceptance."""
    digest = {1: [b"core"], 2: [b""], 3: [0], 5: [15], 6: [oracle.WHEN_ACCEPTED]}
    header = {
        3: [record_id or bytes([seq]) * 16],
        4: [oracle.SUBMITTED.encode()],
        7: [b"/return:x"],
        8: [version],
        10: [b"energy/profile"],
        12: [b"2025-Q2"],
        14: [_message(digest)],
    }
    body = json.dumps({"floor_area": area, "energy_users": 7, "uscc": "91330", "x": True}).encode()
    parts = {"core": (bytes(32), body)}
    return oracle.Record(UP, seq, header, f"header {seq}".encode(), parts)


def _message(values: dict[int, list[bytes | int]]) -> bytes:
    """A protobuf message of one value a field, each below 128."""
    encoded = b""
    for number, (value,) in values.items():
        if isinstance(value, int):
            encoded += bytes([number << 3, value])
        else:
            encoded += bytes([number << 3 | 2, len(value)]) + value
    return encoded


def a_store(path: str, records: list[object], own: set[object]) -> Any:
    """A store that holds these records once each."""
    held = {(record.journal, record.seq): record for record in records}
    return oracle.Store(Path(path), own, held, Counter(held.keys()), {}, path)


def test_trees_are_those_of_rfc_6962() -> None:
    """The roots of the Certificate Transparency test data, at every size."""
    vector = json.loads((VECTORS / "tree-v1.json").read_text())
    leaves = [bytes.fromhex(each) for each in vector["leaves"]]
    roots = [oracle.tree_root(leaves[:size]).hex() for size in range(len(leaves) + 1)]
    assert roots == vector["roots"]


@pytest.mark.parametrize(
    ("name", "kind", "object_id", "version"),
    [
        ("minimal", "node.epoch.opened", "epoch:1", 1),
        (
            "full",
            "reporting.return.submitted",
            "return:sample/form-1:2025-Q2:91330100MA27X00X0X",
            2**63 - 1,
        ),
    ],
)
def test_headers_are_read_by_their_wire_format(
    name: str, kind: str, object_id: str, version: int
) -> None:
    """Kind, object and version of the golden headers."""
    vector = json.loads((VECTORS / "header-v1.json").read_text())["headers"][name]
    raw = bytes.fromhex(vector["encoded"])
    record = oracle.Record(UP, 0, oracle.fields(raw), raw)
    assert (record.text(4), record.text(7), record.number(8)) == (kind, object_id, version)


@pytest.mark.parametrize(
    ("value", "amount"),
    [
        (7, "7"),
        (True, "0"),
        ("12.50", "12.50"),
        ("-0.25", "-0.25"),
        ("0.10000000000000000001", "0.10000000000000000001"),
        ("91330100", "0"),
        ("2025-Q2", "0"),
        ("1.2.3", "0"),
        (None, "0"),
        ([1], "0"),
    ],
)
def test_only_figures_are_added(value: object, amount: str) -> None:
    """Integers and decimal strings, exactly; codes, periods and flags count nothing."""
    assert oracle.amount(value) == Decimal(amount)


def test_the_newest_accepted_version_counts() -> None:
    """A version that nobody accepted changes no total, an older one neither."""
    returns = [a_return(0, 1, "1.10"), a_return(1, 2, "2.20"), a_return(2, 3, "3.30")]
    leaf = a_store("/33/a", returns, {UP})
    accepted = {returns[0].record_id, returns[1].record_id}
    chosen = oracle.newest_accepted([leaf], accepted)
    assert [record.seq for record in chosen] == [1]
    assert oracle.totals(chosen) == {
        "profile 2025-Q2": {"returns": "1", "floor_area": "2.20", "energy_users": "7"}
    }


@pytest.mark.parametrize(
    ("case", "missing"),
    [
        ("all is there", []),
        ("the figures of what nobody accepted are not to be there", []),
        ("a header is gone", ["up:15 0"]),
        ("a header was changed", ["up:15 0"]),
        ("accepted figures are gone", ["up:15 0 core"]),
        ("accepted figures were changed", ["up:15 0 core"]),
    ],
)
def test_what_is_missing_at_the_root(case: str, missing: list[str]) -> None:
    """Headers always, figures once they are accepted, byte for byte."""
    below, above = a_return(0, 1, "1.10"), a_return(0, 1, "1.10")
    accepted = {below.record_id}
    if case.startswith("the figures of what nobody"):
        accepted = set()
        above.parts = {}
    elif case == "a header was changed":
        above.raw = b"other"
    elif case == "accepted figures are gone":
        above.parts = {}
    elif case == "accepted figures were changed":
        above.parts["core"] = (bytes(32), b"{}")
    held = [] if case == "a header is gone" else [above]
    leaf, root = a_store("/33/a", [below], {UP}), a_store("/", held, set())
    assert oracle.missing(leaf, root, accepted) == missing


def test_a_record_that_is_there_twice() -> None:
    """In two seals, or under two numbers with one id."""
    once = a_store("/", [a_return(0, 1, "1.10"), a_return(1, 2, "2.20")], set())
    assert oracle.duplicates(once) == 0
    once.copies[UP, 0] += 1
    assert oracle.duplicates(once) == 1
    same = bytes(16)
    again = [a_return(0, 1, "1.10", record_id=same), a_return(1, 2, "2.20", record_id=same)]
    assert oracle.duplicates(a_store("/", again, set())) == 1
