"""The catalog through a real socket: client calls and the command line, a real store behind."""

import asyncio
import hashlib
import itertools
import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from importlib.resources import files
from pathlib import Path as FilePath
from typing import Any

import orjson
import pytest
from typer.testing import CliRunner

from yidao.catalog.codes import sample_uscc
from yidao.catalog.resource import EntryState, Item, Resource, ShareType, encode_resource
from yidao.node.affairs.affairs import Affairs
from yidao.node.api.server import LocalServer
from yidao.node.api.servicers import affair_servicers
from yidao.node.cli.commands import app
from yidao.node.client import Client, ClientError, Row
from yidao.node.keys import Identity
from yidao.node.store.store import Store
from yidao.sync.ids import NetworkId, NodeId, Path
from yidao.sync.suite import ED25519_SHA256, Ed25519Signer

CLERK, REVIEWER = "li@/", "wang@/"
NOW_MS = 1_795_140_000_000
CLASS = "30603733010600000001"
UNIT = sample_uscc(1, "330106")
SAMPLE = Resource(
    code="",
    title="样例公共机构能耗",
    class_code=CLASS,
    provider_name="样例机关事务管理局",
    provider_uscc=UNIT,
    description="样例: 各单位每季度的用电与用水。",
    format="3",
    items=(Item(name="elec_kwh", title="用电量", type="N", length=18),),
    share_type=ShareType.UNCONDITIONAL,
    share_condition="",
    share_mode="1",
    share_basis="",
    open=False,
    open_condition="",
    update_cycle="5",
    issued="",
    related=(f"{CLASS}/000009",),
    extra={"来源系统": "样例系统"},
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FilePath]:
    """The data folder of a root that serves its affairs, with the pack and one unit."""
    made = tmp_path_factory.mktemp("node")
    numbers = itertools.count(1)

    def random(size: int) -> bytes:
        return hashlib.shake_128(next(numbers).to_bytes(8, "big")).digest(size)

    identity = Identity(
        network=NetworkId(bytes(16)),
        node_id=NodeId(bytes(16)),
        path=Path(),
        epoch="1",
        suite=ED25519_SHA256,
        journal=Ed25519Signer(b"j" * 32),
        cosign=Ed25519Signer(b"c" * 32),
    )
    store = Store.open(f"sqlite:///{made}/store.db", clock_ms=lambda: NOW_MS, random=random)
    store.bind(identity)
    affairs = Affairs(store, identity, clock_ms=lambda: NOW_MS, random=random)
    store.start(affairs.projectors, affairs.deciders)
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    server = LocalServer(made / "local.sock", affair_servicers(affairs))

    def run(work: Any) -> None:
        asyncio.run_coroutine_threadsafe(work, loop).result(30)

    run(server.start())
    with Client.open(made / "local.sock", timeout_seconds=60) as client:
        pack = files("yidao.catalog") / "packs" / "energy-2025.yaml"
        client.publish_pack(pack.read_bytes(), actor=CLERK)
        unit = {"uscc": UNIT, "name": "样例单位", "region_code": "330106"}
        unit |= {"inst_type": "01", "reg_status": "1"}
        client.submit(
            "energy", [Row(row=1, form="institution", payload=orjson.dumps(unit))], actor=CLERK
        )
    yield made
    run(server.stop(0.1))
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()
    store.close()


@pytest.fixture
def client(folder: FilePath) -> Iterator[Client]:
    """A client of it."""
    with Client.open(folder / "local.sock", timeout_seconds=60) as made:
        yield made


def publish(client: Client, resource: Resource = SAMPLE) -> str:
    code = client.save_draft(resource, actor=CLERK).code
    client.submit_entry(code, actor=CLERK)
    client.review_entry(code, actor=REVIEWER)
    client.publish_entry(code, actor=CLERK)
    return code


def test_an_entry_goes_through_the_socket_as_it_is(client: Client) -> None:
    """Every member of a resource comes back; states follow the steps."""
    drafted = client.save_draft(SAMPLE, actor=CLERK)
    assert drafted.faults == ()
    wanted = replace(SAMPLE, code=drafted.code)
    copy = client.working_copy(drafted.code)
    assert copy is not None
    assert (copy.resource, copy.state, copy.owner_path) == (wanted, EntryState.DRAFT, "/")
    assert client.entry(drafted.code) == copy
    assert drafted.code in [each.code for each in client.working_copies()]
    client.submit_entry(drafted.code, actor=CLERK)
    client.send_back_entry(drafted.code, actor=REVIEWER, reason="样例: 改摘要")
    client.submit_entry(drafted.code, actor=CLERK)
    client.review_entry(drafted.code, actor=REVIEWER)
    placed = client.publish_entry(drafted.code, actor=CLERK)
    entry = client.entry(drafted.code)
    assert entry.resource == replace(wanted, issued="2026-11-20")
    assert (entry.state, entry.version, entry.record_id) == (
        EntryState.PUBLISHED,
        1,
        placed.record_id,
    )
    assert client.working_copy(drafted.code) is None
    client.withdraw_entry(drafted.code, actor=CLERK, reason="样例")
    assert client.entry(drafted.code).state is EntryState.WITHDRAWN


def test_a_draft_tells_its_faults_in_both_languages(client: Client) -> None:
    """Saving an unfinished draft succeeds and says what it lacks."""
    [fault] = client.save_draft(replace(SAMPLE, title=""), actor=CLERK).faults
    assert (fault.field, fault.code) == ("title", "VALUE_MISSING")
    assert fault.zh != fault.en


def test_pages_and_facets_come_through(client: Client) -> None:
    """A search gives totals and counts; its key gives the next page."""
    for number in range(3):
        publish(client, replace(SAMPLE, title=f"样例分页{number}"))
    page = client.search_catalog("分页", limit=2)
    assert (len(page.entries), page.total, bool(page.next)) == (2, 3, True)
    rest = client.search_catalog("分页", limit=2, after=page.next)
    assert (len(rest.entries), rest.next) == (1, "")
    counts = {(each.facet, each.value): each.count for each in page.facets}
    assert counts["owner", "/"] == counts["class", "306"] == counts["share_type", "1"] == 3
    assert client.search_catalog("分页", filters={"share_type": "2"}).total == 0


def test_the_export_holds_every_entry_and_tombstone(client: Client) -> None:
    """One JSON document: each published entry as a dataset, each entry as a record."""
    code = publish(client)
    graph = json.loads(client.export_dcat())["@graph"]
    kinds: dict[str, list[str]] = {}
    for node in graph:
        kinds.setdefault(str(node.get("@type")), []).append(node["@id"])
    assert f"urn:jgsw:res:{code}" in kinds["dcat:Dataset"]
    published = client.search_catalog().total
    withdrawn = client.search_catalog(filters={"state": "withdrawn"}).total
    assert len(kinds["dcat:Dataset"]) == published
    assert len(kinds["dcat:CatalogRecord"]) == published + withdrawn
    assert kinds["dcat:Catalog"] == ["urn:jgsw:cat:/"]


REFUSALS: dict[str, tuple[Callable[[Client], object], str]] = {
    "an unknown code": (lambda c: c.entry(f"{CLASS}/999999"), "CATALOG_ENTRY_UNKNOWN"),
    "a class that is none": (lambda c: c.issue_code("9", actor=CLERK), "CLASS_CODE_INVALID"),
    "a code that is none": (
        lambda c: c.save_draft(replace(SAMPLE, code="x"), actor=CLERK),
        "CLASS_CODE_INVALID",
    ),
    "an unfinished draft": (
        lambda c: c.submit_entry(
            c.save_draft(replace(SAMPLE, title=""), actor=CLERK).code, actor=CLERK
        ),
        "RESOURCE_INVALID",
    ),
    "a step out of order": (
        lambda c: c.publish_entry(c.save_draft(SAMPLE, actor=CLERK).code, actor=CLERK),
        "CATALOG_STATE_WRONG",
    ),
    "somebody from elsewhere": (lambda c: c.save_draft(SAMPLE, actor="li@/33"), "ACTOR_ELSEWHERE"),
    "a filter that is none": (
        lambda c: c.search_catalog(filters={"colour": "red"}),
        "SEARCH_INVALID",
    ),
    "a query that is too long": (lambda c: c.search_catalog("能" * 10_000), "SEARCH_INVALID"),
    "a key that is none": (lambda c: c.search_catalog(after="x"), "CURSOR_INVALID"),
    "an unknown unit": (
        lambda c: c.draft_from_form(
            actor=CLERK, pack="energy", form="profile", class_code=CLASS, unit="x"
        ),
        "UNIT_UNKNOWN",
    ),
    "a form that is none": (
        lambda c: c.draft_from_form(
            actor=CLERK, pack="energy", form="x", class_code=CLASS, unit=UNIT
        ),
        "FORM_UNKNOWN",
    ),
    "a share type that is none": (
        lambda c: c.draft_from_form(
            actor=CLERK, pack="energy", form="x", class_code=CLASS, unit=UNIT, share_type=9
        ),
        "RESOURCE_MALFORMED",
    ),
}


@pytest.mark.parametrize(("call", "code"), REFUSALS.values(), ids=REFUSALS.keys())
def test_a_refusal_comes_back_typed(
    client: Client, call: Callable[[Client], object], code: str
) -> None:
    """The node's own code reaches the caller."""
    with pytest.raises(ClientError) as caught:
        call(client)
    assert caught.value.code == code


def command(folder: FilePath, *words: str, exits: int = 0) -> dict[str, Any]:
    """Run `yidao catalog … --json` and give its line."""
    done = CliRunner().invoke(app, ["catalog", *words, "--data", str(folder), "--json"])
    assert done.exit_code == exits, done.output
    return dict(json.loads(done.stdout)) if done.stdout else {}


def test_a_clerk_registers_a_form_from_the_command_line(folder: FilePath) -> None:
    """One command drafts; another person reviews; it is found, shown, exported and withdrawn."""
    form = ["--pack", "energy", "--form", "consumption", "--unit", UNIT, "--class-code", CLASS]
    made = command(folder, "draft", *form, "--actor", CLERK)
    code = made["code"]
    assert made["faults"] == []
    command(folder, "submit", code, "--actor", CLERK)
    command(folder, "review", code, "--actor", CLERK, exits=4)
    command(folder, "review", code, "--actor", REVIEWER)
    command(folder, "publish", code, "--actor", CLERK)
    title = command(folder, "show", code)["resource"]["title"]
    page = command(folder, "search", title, "--where", "update_cycle=5", "--limit", "500")
    assert code in [each["code"] for each in page["entries"]]
    assert page["facets"]["update_cycle"] == {"5": page["total"]}
    assert code not in [each["code"] for each in command(folder, "drafts")["entries"]]
    export = command(folder, "export", str(folder / "catalog.jsonld"))
    assert (folder / "catalog.jsonld").stat().st_size == export["bytes"]
    command(folder, "withdraw", code, "--actor", CLERK, "--reason", "样例")
    assert command(folder, "show", code)["state"] == "withdrawn"
    for words in (["search", "能耗"], ["show", code], ["drafts"]):
        done = CliRunner().invoke(app, ["catalog", *words, "--data", str(folder)])
        assert done.exit_code == 0, done.output


def test_a_draft_from_a_file_may_be_unfinished(folder: FilePath) -> None:
    """The exit code says that something is lacking; a wrong call says what to give."""
    file = folder / "resource.json"
    file.write_bytes(encode_resource(replace(SAMPLE, description="")))
    made = command(folder, "draft", "--file", str(file), "--actor", CLERK, exits=1)
    assert [each["field"] for each in made["faults"]] == ["description"]
    file.write_bytes(b"{}")
    command(folder, "draft", "--file", str(file), "--actor", CLERK, exits=2)
    command(folder, "draft", "--pack", "energy", "--actor", CLERK, exits=2)
    assert command(folder, "code", "--class-code", CLASS, "--actor", CLERK)["code"] > made["code"]
