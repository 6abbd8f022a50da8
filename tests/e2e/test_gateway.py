"""A real daemon and a real gateway: an integrator's day over HTTP, and who may not."""

import base64
import io
import json
import subprocess
import zipfile
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis.checks import load_all_checks, not_a_server_error
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from yidao.catalog.codes import sample_uscc
from yidao.node.client import User
from yidao.node.demo.tree import (
    DemoNode,
    clean_environment,
    free_ports,
    run_yidao,
    wait_until,
    yidao_command,
)

pytestmark = pytest.mark.e2e

PERIOD = "2025-Q2"
FIRST, OWN = "Sample-first-1", "Sample-own-22"
UNITS = [sample_uscc(index, "330106") for index in (1, 2)]
#: The users of the sample node: roles, and the unit that they fill for.
USERS: dict[str, tuple[tuple[str, ...], str]] = {
    "office": (("filler", "approver", "viewer"), ""),
    "clerk": (("filler",), ""),
    "wang": (("reviewer", "viewer"), ""),
    "one": (("filler",), UNITS[0]),
    "two": (("filler",), UNITS[1]),
    "audit": (("audit_admin",), ""),
}


class Served:
    """A node, its gateway, and a session for each sample user."""

    def __init__(self, folder: Path) -> None:
        link, join, self.port = free_ports(3)
        self.node = DemoNode(
            name="样例", path="/", folder=folder / "root", link_port=link, join_port=join
        )
        listen = ["--listen", f"127.0.0.1:{link}", "--join-listen", f"127.0.0.1:{join}"]
        run_yidao("init", "--data", str(self.node.folder), *listen)
        self.log = folder / "gateway.log"
        self.base = f"http://127.0.0.1:{self.port}/api/v1"
        self.tokens: dict[str, str] = {}

    def start(self) -> None:
        """Start the gateway first: it waits for its node."""
        command = [*yidao_command(), "gateway", "-d", str(self.node.folder)]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [*command, "--listen", f"127.0.0.1:{self.port}"],
                stderr=log,
                env=clean_environment(),
            )
        wait_until("the gateway answers", lambda: self._health() == 503)
        self.node.start()
        assert self._health() == 200
        self._fill()

    def stop(self) -> None:
        """End both."""
        self.process.terminate()
        assert self.process.wait(15) == 0
        self.node.stop()

    def _health(self) -> int:
        try:
            return httpx.get(f"{self.base}/health").status_code
        except httpx.TransportError:
            return 0

    def _fill(self) -> None:
        """Publish the sample pack, add users, and sign them in over HTTP."""
        with self.node.client() as client:
            for version in ("2022", "2025"):
                pack = files("yidao.catalog") / "packs" / f"energy-{version}.yaml"
                client.publish_pack(pack.read_bytes(), actor="sample@/")
            for name, (roles, unit) in USERS.items():
                client.put_user(User(name=name, roles=roles, unit=unit), actor="", password=FIRST)
        for name in USERS:
            # The pace of sign-in is tested with the corpus; here each user signs in once or twice.
            first = self.sign_in(name, FIRST)
            changed = self.call(
                first, "POST", "/change-password", {"old_password": FIRST, "new_password": OWN}
            )
            assert changed.status_code == 204
            self.tokens[name] = first

    def sign_in(self, name: str, password: str) -> str:
        """Sign in and give the token."""
        answer = httpx.post(f"{self.base}/sign-in", json={"user": name, "password": password})
        assert answer.status_code == 200, answer.text
        return str(answer.json()["token"])

    def call(
        self, token: str, method: str, path: str, body: Any = None, **more: Any
    ) -> httpx.Response:
        """Make one call under a token."""
        headers = {"authorization": f"Bearer {token}", **more.pop("headers", {})}
        return httpx.request(
            method, self.base + path, json=body, headers=headers, timeout=30, **more
        )

    def get(self, user: str, path: str, **params: Any) -> httpx.Response:
        """Get as one of the users."""
        return self.call(self.tokens[user], "GET", path, params=params)

    def post(self, user: str, path: str, body: Any, **headers: str) -> httpx.Response:
        """Post as one of the users."""
        return self.call(self.tokens[user], "POST", path, body, headers=headers)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A node with two institutions that have reported."""
    one = Served(tmp_path_factory.mktemp("served"))
    try:
        one.start()
        rows = [institution(0), institution(1), profile(0), profile(1)]
        done = one.post("office", "/returns", {"pack": "energy", "rows": rows})
        assert {each["outcome"] for each in done.json()["results"]} == {"submitted"}, done.text
        yield one
    finally:
        one.stop()
    assert "web.request.failed" not in one.log.read_text()


def institution(index: int) -> dict[str, Any]:
    """A row of the registry."""
    entry = {
        "uscc": UNITS[index],
        "name": f"样例单位{index}<script>alert(1)</script>",
        "region_code": "330106",
        "inst_type": "01",
        "reg_status": "1",
    }
    return {"row": index, "form": "institution", "payload": entry}


def profile(index: int, area: Any = "5000.00", **more: Any) -> dict[str, Any]:
    """A row of a return."""
    entry = {"uscc": UNITS[index], "period": PERIOD, "floor_area": area, "energy_users": 100}
    return {"row": index, "form": "profile", "period": PERIOD, "payload": entry, **more}


def returns_of(served: Served, user: str, **params: Any) -> list[dict[str, Any]]:
    """List returns of the sample form."""
    answer = served.get(user, "/returns", form="profile", **params)
    assert answer.status_code == 200, answer.text
    return list(answer.json()["returns"])


def test_the_day_of_an_integrator(served: Served) -> None:
    """Try rows, hand them in, see them, prove them; the same key again changes nothing."""
    body = {"pack": "energy", "rows": [profile(0, "5100.00")]}
    tried = served.post("one", "/returns", {**body, "dry_run": True}).json()
    assert [each["outcome"] for each in tried["results"]] == ["valid"]
    keyed = {"idempotency-key": "erp-2026-11-26"}
    first = served.post("one", "/returns", body, **keyed).json()["results"][0]
    again = served.post("one", "/returns", body, **keyed).json()["results"][0]
    assert first["outcome"] == "submitted"
    assert again["record_id"] == first["record_id"]
    assert (first["repeat"], again["repeat"]) == (False, True)
    mine = returns_of(served, "one")
    newest = next(each for each in mine if each["record_id"] == first["record_id"])
    assert newest["payload"]["floor_area"] == "5100.00"
    assert newest["submitted_by"] == "one@/"
    receipt = served.get("one", "/receipts", record_id=first["record_id"]).json()
    assert served.get("one", "/receipts", code=receipt["code"]).json() == receipt
    proof = served.get("one", f"/evidence/{first['record_id']}")
    assert proof.headers["content-type"] == "application/zip"
    assert zipfile.ZipFile(io.BytesIO(proof.content)).testzip() is None


def test_wrong_rows_are_refused_alone(served: Served) -> None:
    """Each with its faults in both languages; nothing of them is lost, nothing is rounded."""
    rows = [profile(0, "5200.00"), profile(1, "-1")]
    done = served.post("office", "/returns", {"pack": "energy", "rows": rows, "dry_run": True})
    good, bad = done.json()["results"]
    assert (good["outcome"], bad["outcome"]) == ("valid", "refused")
    assert bad["faults"][0]["zh"] != bad["faults"][0]["en"]
    rounded = served.post("office", "/returns", {"pack": "energy", "rows": [profile(0, 5200.5)]})
    assert rounded.status_code == 422
    assert rounded.json()["faults"][0]["where"].startswith("body.rows.0.payload.floor_area")


def test_pages(served: Served) -> None:
    """Lists are paged by key until nothing is left, without a gap."""
    whole = [each["record_id"] for each in returns_of(served, "wang")]
    found, after = [], ""
    while True:
        page = served.get("wang", "/returns", form="profile", limit=1, after=after).json()
        found += [each["record_id"] for each in page["returns"]]
        after = page["next"]
        if not after:
            break
    assert found == whole
    units = served.get("wang", "/units", limit=1).json()
    assert len(units["units"]) == 1
    rest = served.get("wang", "/units", after=units["next"]).json()["units"]
    assert {units["units"][0]["unit"], *(each["unit"] for each in rest)} == set(UNITS)


def test_figures(served: Served) -> None:
    """Totals are decimal texts, and what they are taken apart into adds up to them."""
    where = {"pack": "energy", "form": "profile", "period": PERIOD}
    totals = served.get("wang", "/roll-up", **where).json()
    assert isinstance(totals["submitted"]["fields"]["floor_area"], str)
    rows = served.get("wang", "/break-down", **where, by="unit", scope="submitted").json()["rows"]
    assert sum(each["totals"]["returns"] for each in rows) == totals["submitted"]["returns"] == 2
    missing = served.get("wang", "/missing", **where).json()
    assert (missing["units"], missing["reported"]) == (2, 2)
    assert served.get("wang", "/due", on="2025-07-01").status_code == 200


def test_standards_directives_catalog_and_node(served: Served) -> None:
    """The other affairs answer over HTTP what the client library answers."""
    version = "2025"
    pack = files("yidao.catalog") / "packs" / "energy-2025.yaml"
    assert served.get("one", "/packs/energy", version=version).content == pack.read_bytes()
    assert served.get("wang", "/directives").json() == []
    unknown = served.get("wang", "/directives/tree", directive="none")
    assert (unknown.status_code, unknown.json()["code"]) == (404, "DIRECTIVE_UNKNOWN")
    draft = served.post(
        "office",
        "/catalog/drafts/from-form",
        {"pack": "energy", "form": "profile", "class_code": "306037", "unit": UNITS[0]},
    )
    assert draft.status_code == 201 or draft.json()["code"], draft.text
    assert served.get("one", "/catalog", query="样例").json()["total"] == 0
    dcat = served.get("one", "/catalog/dcat")
    assert json.loads(dcat.content)["@context"]
    assert served.get("wang", "/status").json()["path"] == "/"
    (node,) = served.get("wang", "/nodes").json()
    assert (node["path"], node["state"]) == ("/", "self")


def test_follow(served: Served) -> None:
    """Records come in order, as lines or as events, and go on from a cursor without a gap."""
    params = {"until_now": True, "kinds": "reporting."}
    lines = served.get("wang", "/follow", **params).text.splitlines()
    events = [json.loads(line) for line in lines if line]
    assert len(events) >= 2
    assert [each["position"] for each in events] == sorted(each["position"] for each in events)
    rest = served.get("wang", "/follow", **params, after=events[0]["cursor"]).text.splitlines()
    assert [json.loads(line) for line in rest if line] == events[1:]
    as_events = served.call(
        served.tokens["wang"],
        "GET",
        "/follow",
        params=params,
        headers={"accept": "text/event-stream", "last-event-id": events[-2]["cursor"]},
    )
    assert as_events.headers["content-type"].startswith("text/event-stream")
    assert f"id: {events[-1]['cursor']}\n" in as_events.text
    assert as_events.text.count("data: ") == 1


def test_follow_is_told_at_once_that_it_may_not(served: Served) -> None:
    """A stream that is refused has its status; a caller who leaves frees the place."""
    forbidden = served.get("one", "/follow", until_now=True)
    assert (forbidden.status_code, forbidden.json()["code"]) == (403, "PERMISSION_DENIED")
    other = served.get("wang", "/follow", until_now=True, after="ab:1")
    assert (other.status_code, other.json()["code"]) == (409, "CURSOR_OF_ANOTHER_STORE")
    for _ in range(40):
        with httpx.stream(
            "GET",
            f"{served.base}/follow",
            headers={"authorization": f"Bearer {served.tokens['wang']}"},
        ) as stream:
            assert stream.status_code == 200
            assert next(stream.iter_lines())


def published(served: Served) -> str:
    """Register the sample form as a resource, by two people; gives its code."""
    draft = served.post(
        "office",
        "/catalog/drafts/from-form",
        {
            "pack": "energy",
            "form": "profile",
            "class_code": "30603733010600000001",
            "unit": UNITS[0],
            "share_type": 2,
            "share_text": "样例: 说明用途后使用",
        },
    ).json()
    for user, step in (("office", "submit"), ("wang", "review"), ("office", "publish")):
        done = served.post(user, "/catalog/steps", {"code": draft["code"], "step": step})
        assert done.status_code == 201, done.text
    return str(draft["code"])


def asked(served: Served, resource: str, **question: Any) -> list[dict[str, Any]]:
    """Ask a question and give the lines of its answer."""
    answer = served.post("wang", "/query", {"resource": resource, **question})
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/x-ndjson"
    return [json.loads(line) for line in answer.text.splitlines() if line]


def test_questions(served: Served) -> None:
    """Rows come as lines, decimals as texts; the last line says how each node answered."""
    code = published(served)
    *rows, end = asked(
        served, code, purpose="样例", select=["unit", "floor_area"], order=["unit"], limit=1
    )
    assert [(row["cells"]["unit"], row["path"]) for row in rows] == [(min(UNITS), "/")]
    assert isinstance(rows[0]["cells"]["floor_area"], str)
    assert [each["name"] for each in end["columns"]] == ["unit", "floor_area"]
    assert [(each["path"], each["state"], each["cut"]) for each in end["nodes"]] == [
        ("/", "answered", True)
    ]
    assert end["complete"] is False
    *groups, end = asked(served, "energy/profile", of="/", aggregate=["count"])
    assert [row["cells"] for row in groups] == [{"count": 2}]
    assert end["complete"] is True


QUESTIONS = {
    "of a session without `query.ask`": ("clerk", {}, 403, "PERMISSION_DENIED"),
    "of a filler of one institution": ("one", {}, 403, "PERMISSION_DENIED"),
    "about what nobody owns": ("wang", {"resource": "energy/none"}, 404, "SHARE_RESOURCE_UNKNOWN"),
    "that is no question": ("wang", {"where": "floor_area >"}, 422, "QUESTION_INVALID"),
    "with a mistyped member": ("wang", {"wehre": "unit"}, 422, "GATEWAY_REQUEST_INVALID"),
    "without an end": ("wang", {"deadline_ms": 60_001}, 422, "GATEWAY_REQUEST_INVALID"),
}


@pytest.mark.parametrize(("user", "more", "status", "code"), QUESTIONS.values(), ids=QUESTIONS)
def test_questions_that_are_refused(
    served: Served, user: str, more: dict[str, Any], status: int, code: str
) -> None:
    """A question has the status of its refusal; nobody asks who may not."""
    answer = served.post(user, "/query", {"resource": "energy/profile", **more})
    assert (answer.status_code, answer.json()["code"]) == (status, code)


def test_sessions(served: Served) -> None:
    """116: only a token that the node gave opens anything, in its header, until its end."""
    token = served.sign_in("one", OWN)
    assert served.call(token, "GET", "/who-am-i").json()["actor"] == "one@/"
    assert served.call(token, "POST", "/sign-out").status_code == 204
    for stale in (token, "A" * 43, "x", "../../etc", "li@/"):
        answer = served.call(stale, "GET", "/packs")
        assert (answer.status_code, answer.json()["code"]) == (401, "SESSION_ENDED"), stale
        assert answer.headers["www-authenticate"] == "Bearer"
    good = served.tokens["one"]
    elsewhere = httpx.get(
        f"{served.base}/packs", params={"token": good}, headers={"cookie": f"session={good}"}
    )
    assert elsewhere.status_code == 401
    # A token that the caller chose for the victim is worth nothing after signing in either.
    fixed = httpx.post(
        f"{served.base}/sign-in",
        json={"user": "two", "password": OWN},
        headers={"authorization": "Bearer " + "B" * 43, "cookie": "session=" + "B" * 43},
    )
    assert fixed.json()["token"] != "B" * 43
    assert served.call("B" * 43, "GET", "/packs").status_code == 401


def test_wrong_passwords_look_alike(served: Served) -> None:
    """116: a wrong name and a wrong password have the same answer, and say nothing of either."""
    answers = [
        httpx.post(f"{served.base}/sign-in", json={"user": name, "password": "Sample-wrong-9"})
        for name in ("one", "nobody")
    ]
    # The pace of this source may have been reached by the tests before.
    assert {each.status_code for each in answers} <= {401, 429}
    assert answers[0].json() == answers[1].json() or answers[1].status_code == 429
    assert "wrong" not in answers[0].text


FOREIGN = {
    "the other's returns": lambda served, record: served.get("one", "/returns", unit=UNITS[1]),
    "the other's receipt": lambda served, record: served.get("one", "/receipts", record_id=record),
    "the other's evidence": lambda served, record: served.get("one", f"/evidence/{record}"),
    "a row for the other": lambda served, record: served.post(
        "one", "/returns", {"pack": "energy", "rows": [profile(1, "1.00")]}
    ),
    "taking the other's back": lambda served, record: served.post(
        "one", "/returns/withdraw", {"record_ids": [record], "reason": "样例"}
    ),
    "a review": lambda served, record: served.post(
        "one", "/returns/review", {"decision": "accept", "record_ids": [record]}
    ),
    "everybody's totals": lambda served, record: served.get(
        "one", "/roll-up", pack="energy", form="profile", period=PERIOD
    ),
    "the users": lambda served, record: served.get("one", "/users"),
    "the audit": lambda served, record: served.get("one", "/audit"),
    "the stream": lambda served, record: served.get("one", "/follow", until_now=True),
}


@pytest.mark.parametrize("attempt", FOREIGN.values(), ids=FOREIGN)
def test_what_is_another_units(served: Served, attempt: Any) -> None:
    """117: an id of another institution opens nothing for a filler of this one."""
    record = returns_of(served, "wang", unit=UNITS[1])[0]["record_id"]
    answer = attempt(served, record)
    assert answer.status_code in {403, 404}, answer.text
    # It may repeat what was asked for, and nothing else.
    assert "样例单位1" not in answer.text
    assert "floor_area" not in answer.text


def test_own_lists_hold_nothing_foreign(served: Served) -> None:
    """117: without a filter a filler sees their own institution, and nothing else."""
    assert {each["unit"] for each in returns_of(served, "two")} == {UNITS[1]}


NUMBERS = {
    "minus one": "-1",
    "none": "0",
    "a billion": "1000000000",
    "past 64 bits": "9" * 30,
    "an exponent": "1e3",
    "no number": "NaN",
    "two": "1,2",
}


@pytest.mark.parametrize("limit", NUMBERS.values(), ids=NUMBERS)
@pytest.mark.parametrize("path", ["/returns", "/units", "/due", "/audit", "/catalog"])
def test_numbers_out_of_range(served: Served, path: str, limit: str) -> None:
    """117: a page of a billion or of minus one is refused by its form."""
    answer = served.get("audit", path, limit=limit)
    assert (answer.status_code, answer.json()["code"]) == (422, "GATEWAY_REQUEST_INVALID")
    assert answer.json()["faults"][0]["where"] == "query.limit"


BODIES: dict[str, tuple[Any, int]] = {
    "no JSON": (b'{"pack": ', 422),
    "no UTF-8": (b'{"pack": "\xff"}', 400),
    "a lone surrogate": (b'{"pack": "\\ud800", "rows": []}', 422),
    "NUL": (b'{"pack": "a\\u0000", "rows": []}', 422),
    "deep": (b"[" * 50_000, 400),
    "a huge number": (b'{"pack": "energy", "rows": [], "dry_run": ' + b"9" * 9_000 + b"}", 400),
    "a mistyped member": (b'{"pack": "energy", "rows": [], "dryrun": true}', 422),
    "another type": (b'{"pack": 7, "rows": {}}', 422),
}


@pytest.mark.parametrize(("body", "status"), BODIES.values(), ids=BODIES)
def test_bodies(served: Served, body: bytes, status: int) -> None:
    """95: whatever a body holds, its answer is a problem that does not quote it."""
    answer = httpx.post(
        f"{served.base}/returns",
        content=body,
        headers={
            "authorization": f"Bearer {served.tokens['office']}",
            "content-type": "application/json",
        },
    )
    assert (answer.status_code, answer.json()["code"]) == (status, "GATEWAY_REQUEST_INVALID")
    assert len(answer.content) < 2_000


def test_nothing_stored_becomes_a_page(served: Served) -> None:
    """114: what people wrote comes as JSON that no browser sniffs for a page."""
    answer = served.get("wang", "/units")
    assert "<script>" in answer.text
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert answer.headers["cache-control"] == "no-store"


def test_the_audit_names_the_caller(served: Served) -> None:
    """Who called over HTTP stands in the node's audit under their own name, with their address."""
    entries = served.call(
        served.tokens["audit"], "GET", "/audit", params={"user": "one", "limit": 1_000}
    ).json()
    by_http = {each["actor"] for each in entries if each["source"] == "127.0.0.1"}
    assert by_http == {"one@/"}


def test_languages(served: Served) -> None:
    """The same code, and texts in the language that is asked for."""
    zh, en = (
        served.call(served.tokens["one"], "GET", "/users", headers={"accept-language": language})
        for language in ("zh-CN,zh;q=0.9", "en")
    )
    assert zh.json()["code"] == en.json()["code"]
    assert zh.json()["title"] != en.json()["title"]
    assert (zh.headers["content-language"], en.headers["content-language"]) == ("zh", "en")


def test_attachments(served: Served) -> None:
    """A file travels with its row in base64; one that is none is refused."""
    file = base64.b64encode(b"sample").decode()
    rows = [profile(0, "5300.00", attachment=file)]
    done = served.post("one", "/returns", {"pack": "energy", "rows": rows, "dry_run": True})
    assert done.json()["results"][0]["outcome"] == "valid"
    rows = [profile(0, "5300.00", attachment="*")]
    done = served.post("one", "/returns", {"pack": "energy", "rows": rows, "dry_run": True})
    assert done.status_code == 422


#: Sign-in has a pace, sign-out and a new password end what the others need.
NOT_FUZZED = r"^/api/v1/(sign-in|sign-out|change-password)$"
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]


def test_the_description_holds(served: Served) -> None:
    """Whatever a caller sends, answers are as the description says, and none is a defect."""
    load_all_checks()
    described = httpx.get(f"http://127.0.0.1:{served.port}/openapi.json").json()
    assert described == json.loads(run_yidao("gateway", "--openapi"))
    schema = schemathesis.openapi.from_dict(described).exclude(path_regex=NOT_FUZZED)
    called = set()
    for found in schema.get_all_operations():
        operation = found.ok()
        user = "audit" if operation.path.endswith("/audit") else "office"
        if operation.path.endswith(("/follow", "/review")):
            user = "wang"
        declared = described["paths"][operation.path][operation.method]
        _fuzz(served, operation, GenerationMode.POSITIVE, served.tokens[user])
        # A call that takes nothing cannot be given anything wrong.
        if declared.get("parameters") or declared.get("requestBody"):
            _fuzz(served, operation, GenerationMode.NEGATIVE, served.tokens[user])
        called.add(operation.label)
    assert len(called) > 30


def _fuzz(served: Served, operation: Any, mode: GenerationMode, token: str) -> None:
    @settings(
        max_examples=6,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(data=st.data())
    def one(data: st.DataObject) -> None:
        case = data.draw(operation.as_strategy(generation_mode=mode))
        if operation.path.endswith("/follow"):
            case.query = {**(case.query or {}), "until_now": "true"}
        response = case.call(
            base_url=f"http://127.0.0.1:{served.port}",
            headers={"authorization": f"Bearer {token}"},
        )
        case.validate_response(response, checks=CHECKS)

    one()


def test_the_node_may_go_and_come(served: Served) -> None:
    """Without its node the gateway says so, and goes on by itself once the node is there again."""
    served.node.stop()
    gone = served.get("one", "/packs")
    assert (gone.status_code, gone.json()["code"]) == (503, "NODE_UNREACHABLE")
    assert gone.json()["retryable"] is True
    served.node.start()
    wait_until("the gateway finds its node", lambda: served.get("one", "/packs").status_code == 200)
