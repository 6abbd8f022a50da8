"""What attackers send to a console: bad input 109 to 117 of the corpus, against one that runs."""

import http.client
import json
import re
import socket
from collections.abc import Mapping
from dataclasses import dataclass

import pytest
from playwright.sync_api import expect

from console.seats import HOSTILE, PASSWORD, PERIOD, Desk, Offices, Seat, Sit, uscc
from yidao.node.demo.tree import wait_until

pytestmark = pytest.mark.e2e

_TITLE = json.dumps(HOSTILE)
#: A standard that nobody has to report by yet, with titles as no ministry would choose them.
STRANGE_PACK = f"""
format: 1
pack: strange
version: "2030"
title: {{zh: {_TITLE}, en: {_TITLE}}}
basis: sample
valid_from: 2030-01-01
forms:
  odd:
    title: {{zh: {_TITLE}, en: {_TITLE}}}
    key: [uscc, period]
    period: quarter
    fields:
      - {{name: uscc, zh: 代码, en: Code, type: uscc, required: true}}
      - {{name: period, zh: 报告期, en: Period, type: period, required: true}}
      - {{name: odd, zh: {_TITLE}, en: {_TITLE}, type: str, max_length: 9}}
"""
FORM = "application/x-www-form-urlencoded"


def raw(desk: Desk, request: bytes, seconds: float = 10) -> tuple[int, bytes]:
    """Send bytes as they are; give the status, 0 if the door was shut, and all that came back."""
    with socket.create_connection(("127.0.0.1", desk.port), timeout=seconds) as line:
        try:
            line.sendall(request)
            answer = b""
            while chunk := line.recv(65536):
                answer += chunk
        except (ConnectionError, TimeoutError):
            pass
    found = re.match(rb"HTTP/1.1 (\d{3})", answer)
    return (int(found[1]) if found else 0), answer


@dataclass(slots=True)
class Visitor:
    """A browser by hand: cookies and the token of the sign-in form."""

    desk: Desk
    cookies: dict[str, str]
    form_token: str = ""

    def ask(
        self, method: str, path: str, body: str = "", headers: Mapping[str, str] | None = None
    ) -> tuple[int, dict[str, str], str]:
        """Ask as a browser on our own pages would, but for what `headers` say."""
        line = http.client.HTTPConnection("127.0.0.1", self.desk.port, timeout=20)
        sent = {"Cookie": "; ".join(f"{name}={value}" for name, value in self.cookies.items())}
        if method == "POST":
            sent |= {"Content-Type": FORM, "Origin": self.desk.url}
        line.request(method, path, body.encode(), {**sent, **(headers or {})})
        answer = line.getresponse()
        for value in answer.headers.get_all("Set-Cookie") or []:
            name, _, rest = value.partition("=")
            self.cookies[name] = rest.partition(";")[0]
        text = answer.read().decode(errors="replace")
        line.close()
        return answer.status, {k.lower(): v for k, v in answer.headers.items()}, text

    def begin(self) -> "Visitor":
        """Fetch the sign-in form with its token."""
        for _ in range(2):
            text = self.ask("GET", "/sign-in")[2]
        self.form_token = re.findall(r"form_token.{1,40}?([0-9a-f]{64})", text)[0]
        return self

    def sign_in(self, user: str, password: str, unit: str = "") -> tuple[int, dict[str, str], str]:
        """Send the sign-in form."""
        body = f"form_token={self.form_token}&user={user}&password={password}&unit={unit}"
        return self.ask("POST", "/session", body)


def visitor(desk: Desk) -> Visitor:
    return Visitor(desk, {}).begin()


def head(line: str, *headers: str, body: bytes = b"") -> bytes:
    """A request of this first line and these headers, as they stand."""
    return "\r\n".join([line, *headers, "Connection: close", "", ""]).encode() + body


def get(path: str, *headers: str) -> bytes:
    return head(f"GET {path} HTTP/1.1", "Host: 127.0.0.1", *headers)


def post(path: str, *headers: str, body: bytes = b"") -> bytes:
    own = ("Host: 127.0.0.1", "Origin: http://127.0.0.1")
    return head(f"POST {path} HTTP/1.1", *own, *headers, body=body)


CHUNKED = "Transfer-Encoding: chunked"
#: Case: the bytes, and the status; 0 = any refusal.
HEADS = {
    "a name that was made to lead here": (head("GET / HTTP/1.1", "Host: evil.example"), 421),
    "two hosts": (get("/", "Host: evil.example"), 0),
    "no host": (head("GET / HTTP/1.1"), 0),
    "trace": (head("TRACE / HTTP/1.1", "Host: 127.0.0.1"), 405),
    "a method made into another": (get("/sign-in", "X-HTTP-Method-Override: DELETE"), 405),
    "dots": (get("/static/../app.py"), 400),
    "encoded dots": (get("/static/%2e%2e%2fapp.py"), 400),
    "doubly encoded dots": (get("/static/%252e%252e/app.py"), 400),
    "an absolute path": (get("/static//etc/passwd"), 400),
    "another server's address": (get("http://evil.example/"), 0),
    "backslashes": (get("/static/..\\app.py"), 400),
    "two lengths": (
        post("/session", "Content-Length: 5", "Content-Length: 6", body=b"abcdef"),
        400,
    ),
    "a length and chunks": (
        post("/session", "Content-Length: 5", CHUNKED, body=b"0\r\n\r\n"),
        0,
    ),
    "ten gigabytes": (post("/files/upload?name=x.csv", "Content-Length: 10737418240"), 0),
    "a line feed in a header": (get("/", "X-A: b\nX-B: c"), 0),
}


@pytest.mark.parametrize("case", HEADS)
def test_malformed_requests_are_refused(offices: Offices, case: str) -> None:
    """None reaches a page; each gets its own status and no cookie of a session."""
    request, wanted = HEADS[case]
    status, answer = raw(offices.province, request)
    assert status == wanted if wanted else status == 0 or status >= 303, answer[:300]
    assert b"yidao_session" not in answer
    assert b"root:" not in answer


def test_forms_of_other_pages_are_refused(offices: Offices) -> None:
    """Corpus 109: no token, a wrong one, one of another browser, another origin, none at all."""
    mine, other = visitor(offices.province), visitor(offices.province)
    body = f"user=zhao&password={PASSWORD}&form_token="
    for token in ("", "0" * 64, other.form_token):
        assert (
            mine.ask("POST", "/session", body.encode("utf-8").decode("latin-1") + token)[0] == 403
        )
    for headers in ({"Origin": "http://evil.example"}, {"Origin": "null"}):
        assert mine.ask("POST", "/session", "", headers)[0] == 403
    upload = mine.ask("POST", "/files/upload?name=a.csv", "a", {"X-CSRF-Token": "0" * 43})
    assert upload[0] == 403
    assert "yidao_session" not in mine.cookies


def test_a_socket_of_another_page_is_refused(offices: Offices) -> None:
    """A browser opens sockets for any page and sends our cookies along; the origin tells."""
    status, _ = raw(
        offices.province,
        b"GET /_nicegui_ws/socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: 127.0.0.1\r\n"
        b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
        b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nOrigin: http://evil.example\r\n\r\n",
    )
    assert status == 403


def test_nothing_is_written_into_headers(offices: Offices) -> None:
    """Corpus 115: line ends in an address or a form never become a header of the answer."""
    seat = visitor(offices.province)
    for path in ("/sign-in?next=/%0d%0aSet-Cookie:%20a=b", "/due?after=%0d%0aX-Evil:%201"):
        status, headers, _ = seat.ask("GET", path)
        assert status < 500
        assert "x-evil" not in headers
    body = f"form_token={seat.form_token}&language=en&next=/%0d%0aX-Evil:%201"
    status, headers, _ = seat.ask("POST", "/language", body)
    assert (status, headers["location"]) == (303, "/")
    for target in ("//evil.example/", "https://evil.example/", "/\\evil.example"):
        body = f"form_token={seat.form_token}&language=en&next={target}"
        assert seat.ask("POST", "/language", body)[1]["location"] == "/"


def test_sessions_are_new_and_ones_own(offices: Offices, sit: Sit) -> None:
    """Corpus 116: a planted cookie is not taken over, a foreign one opens nothing."""
    seat = visitor(offices.province)
    planted = "planted" + "A" * 36
    seat.cookies["yidao_session"] = planted
    status, headers, _ = seat.ask("GET", "/due")
    assert (status, headers["location"].partition("?")[0]) == (303, "/sign-in")
    browser = sit(offices.province)
    browser.page.context.add_cookies(
        [{"name": "yidao_session", "value": planted, "url": offices.province.url}]
    )
    browser.sign_in("li")
    held = {each["name"]: each for each in browser.page.context.cookies()}
    cookie = held["yidao_session"]
    assert cookie["value"] != planted
    assert (cookie["httpOnly"], cookie["sameSite"]) == (True, "Strict")
    # The node's token is in no cookie, page or storage: the page knows no secret but its form's.
    everything = browser.page.content() + str(browser.page.evaluate("({...sessionStorage})"))
    assert cookie["value"] not in everything
    browser.open("/due")
    browser.page.get_by_role("button", name="退出").click()
    browser.page.wait_for_url("**/sign-in?why=out*")
    thief = visitor(offices.province)
    thief.cookies["yidao_session"] = cookie["value"]
    assert thief.ask("GET", "/due")[0] == 303


def test_what_others_own_is_not_there(offices: Offices, sit: Sit) -> None:
    """Corpus 117: returns of another institution, absurd pages and sizes give a typed refusal."""
    record = offices.submit(6, floor_area="60.00", energy_users=6).hex()
    seat = sit(offices.province)
    seat.sign_in("li")
    page = seat.page
    for path in (f"/receipt?record={record}", f"/return?record={record}", "/receipt?record=zz"):
        seat.open(path)
        expect(page.locator("#notice.error")).to_be_visible()
        assert uscc(6) not in page.locator("body").inner_text()
    seat.open(f"/returns?unit={uscc(6)}&after=-1&limit=1000000000")
    assert uscc(6) not in page.locator("tbody").all_inner_texts()
    assert page.request.get(f"{seat.desk.url}/files/annotated?id={'0' * 32}").status == 404


def test_hostile_texts_are_only_shown(offices: Offices, sit: Sit) -> None:
    """Corpus 114: markup in names, titles and reasons is text in every page, and runs nowhere."""
    seat = sit(offices.province)
    seat.sign_in("evil")
    page = seat.page
    for path in (
        "/due",
        "/missing",
        f"/fill?pack=energy&form=profile&period={PERIOD}&unit={uscc(8)}",
    ):
        seat.open(path)
        assert page.evaluate("window.hit") is None, path
        assert page.locator("img[src=x]").count() == 0, path
    seat.open("/missing")
    expect(page.locator("tbody")).to_contain_text(HOSTILE)
    seat.open(
        "/sign-in?why=" + "%3Cscript%3Ewindow.hit=1%3C/script%3E&next=%22%3E%3Cimg%20src=x%3E"
    )
    assert page.evaluate("window.hit") is None


def test_hostile_reasons_and_standards_are_only_shown(sit: Sit, offices: Offices) -> None:
    """Corpus 114: reasons that a reviewer wrote and titles of a standard are text, everywhere."""
    record = offices.submit(8, floor_area="80.00", energy_users=8)
    offices.arrived(record)
    reviewer, clerk = sit(offices.root), sit(offices.province)
    reviewer.sign_in("wang")
    reviewer.open(f"/review?form=energy/profile&period={PERIOD}")
    _only_shown(reviewer)
    with offices.root.node.client() as client:
        client.review(actor="wang@/", decision="return", record_ids=[record], reason=HOSTILE)
        client.publish_pack(STRANGE_PACK.encode(), actor="admin@/")
    offices.until_state(record, "returned")
    with offices.province.node.client() as client:
        wait_until("the standard arrives", lambda: len(client.packs()) == 3)
    clerk.sign_in("evil")
    for path in (
        "/due",
        "/returns?state=returned",
        f"/return?record={record.hex()}",
        "/import",
        "/missing",
        "/fill?pack=strange&form=odd&period=2030-Q1",
    ):
        clerk.open(path)
        _only_shown(clerk)


def _only_shown(seat: Seat) -> None:
    assert HOSTILE in seat.page.locator("body").inner_text(), seat.page.url
    assert seat.page.evaluate("window.hit") is None, seat.page.url
    assert seat.page.locator("img[src=x]").count() == 0, seat.page.url


def test_passwords_are_not_guessed(offices: Offices) -> None:
    """Corpus 116: tries are few a minute, and a wrong name reads like a wrong password."""
    seat = visitor(offices.root)
    assert seat.sign_in("nobody", "wrong")[0] == 303
    # Whatever is sent counts; without the form's token no password is looked at.
    statuses = [seat.ask("POST", "/session", "")[0] for _ in range(30)]
    assert set(statuses) == {403, 429}
    assert statuses[-1] == 429
    assert seat.sign_in("nobody", "wrong")[0] == 429
