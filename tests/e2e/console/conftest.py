"""A root and a province with a console each, and a real Chromium before them."""

import re
import shutil
import signal
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from yidao.catalog.codes import sample_uscc
from yidao.catalog.rows import encode_row
from yidao.node.client import Client, Row, User
from yidao.node.demo.tree import (
    DemoNode,
    clean_environment,
    free_ports,
    run_yidao,
    wait_until,
    yidao_command,
)

CHROMIUM = "/usr/bin/chromium"
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
WIDTHS = {"wide": (1440, 900), "narrow": (390, 844)}
SCREENSHOTS = Path(__file__).parents[3] / "build" / "screenshots"
PASSWORD = "样例-Langes-Passwort-27"
FIRST_PASSWORD = "样例-Erstes-Passwort-31"
PERIOD = "2026-Q3"
#: Names, reasons and titles that a browser must show and never obey.
HOSTILE = '<img src=x onerror="window.hit=1"><script>window.hit=1</script>{{7*7}}`${7*7}`\'"'


def uscc(number: int) -> str:
    """A sample institution's code."""
    return sample_uscc(number, "330106")


@dataclass(slots=True, kw_only=True)
class Desk:
    """A console that runs, over its node."""

    node: DemoNode
    port: int
    process: subprocess.Popen[bytes] | None = None
    log: Path = field(init=False)

    def __post_init__(self) -> None:
        self.log = self.node.folder.with_suffix(".console.log")

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [*yidao_command(), "console", "--data", str(self.node.folder)]
                + ["--port", str(self.port)],
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                env=clean_environment(),
            )

    def wait(self) -> None:
        wait_until(f"console of {self.node.path}", self._answers, 40)

    def stop(self) -> None:
        if self.process is not None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(15)

    def _answers(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, self.log.read_text(errors="replace")[-1500:]
        try:
            with urllib.request.urlopen(f"{self.url}/sign-in", timeout=5) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False


@dataclass(slots=True, kw_only=True)
class Offices:
    """The root, where returns are reviewed, and the province below it, where they are made."""

    root: Desk
    province: Desk

    def submit(
        self, number: int, form: str = "profile", period: str = PERIOD, **values: str
    ) -> bytes:
        """Hand a return in for a sample institution, as a program of the province would."""
        row = {"uscc": uscc(number), "period": period, **values}
        with self.province.node.client() as client:
            done = client.submit(
                "energy",
                [Row(row=1, form=form, period=period, payload=encode_row(row))],
                actor="cheng@/33",
            )
        (result,) = done.results
        assert result.outcome == "submitted", result
        return result.record_id

    def arrived(self, record_id: bytes) -> None:
        """Wait until the root holds a return with its figures."""

        def held() -> bool:
            with self.root.node.client() as client:
                found = client.returns(state="submitted", limit=1_000).returns
            return any(each.record_id == record_id and each.payload for each in found)

        wait_until("the return reaches the root", held)

    def until_state(self, record_id: bytes, state: str) -> None:
        """Wait until the province knows of a return's verdict."""

        def known() -> bool:
            with self.province.node.client() as client:
                found = client.returns(state=state, limit=1_000).returns
            return any(each.record_id == record_id for each in found)

        wait_until(f"the return is {state}", known)


def _node(base: Path, name: str, path: str, parent: DemoNode | None) -> DemoNode:
    link_port, join_port = free_ports(2)
    node = DemoNode(
        name=name, path=path, folder=base / name, link_port=link_port, join_port=join_port
    )
    ports = ["--listen", f"127.0.0.1:{link_port}", "--join-listen", f"127.0.0.1:{join_port}"]
    if parent is None:
        run_yidao("init", "--data", str(node.folder), *ports)
    else:
        bundle = base / f"{name}.bundle"
        with parent.client() as client:
            bundle.write_bytes(client.add_child("33", ttl_seconds=600, operator="admin@/"))
        bundle.chmod(0o600)
        run_yidao("join", str(bundle), "--data", str(node.folder), *ports)
    node.start()
    return node


def _register(client: Client, names: dict[int, str]) -> None:
    rows = [
        Row(
            row=number,
            form="institution",
            payload=encode_row(
                {
                    "uscc": uscc(number),
                    "name": name,
                    "region_code": "330106",
                    "inst_type": "021" if number % 2 else "01",
                    "reg_status": "1",
                }
            ),
        )
        for number, name in names.items()
    ]
    done = client.submit("energy", rows, actor="cheng@/33")
    assert done.count("submitted") == len(rows), done


def _users(client: Client, wanted: dict[str, User], path: str) -> None:
    for name, user in wanted.items():
        client.put_user(user, actor=f"admin@{path}", password=FIRST_PASSWORD)
        if not name.startswith("new"):
            session = client.sign_in(name, FIRST_PASSWORD)
            client.with_token(session.token).change_password(FIRST_PASSWORD, PASSWORD)


@pytest.fixture(scope="session")
def offices(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Offices]:
    """Two daemons and their consoles, with users, standards and sample institutions."""
    base = tmp_path_factory.mktemp("c")
    root = _node(base, "root", "/", None)
    province = _node(base, "province", "/33", root)
    desks = [Desk(node=node, port=free_ports(1)[0]) for node in (root, province)]
    try:
        packs = files("yidao.catalog") / "packs"
        with root.client() as client:
            for name in ("energy-2022.yaml", "energy-2025.yaml"):
                client.publish_pack((packs / name).read_bytes(), actor="admin@/")
            reviewer = User(name="wang", title="样例审核员", roles=("reviewer",))
            _users(client, {"wang": reviewer}, "/")
        with province.client() as client:
            wait_until("the standard arrives", lambda: len(client.packs()) == 2)
            _register(client, {number: f"样例单位{number}" for number in range(1, 8)})
            _register(client, {8: HOSTILE})
            clerk = User(name="li", title="样例填报员", roles=("filler",), unit=uscc(1))
            office = User(name="zhao", title="样例经办人", roles=("filler",))
            fresh = User(name="newcomer", title="样例新人", roles=("filler",), unit=uscc(2))
            other = User(name="sun", title="样例填报员二", roles=("filler",), unit=uscc(3))
            hostile = User(name="evil", title=HOSTILE[:60], roles=("filler",))
            users = (clerk, office, fresh, other, hostile)
            _users(client, {user.name: user for user in users}, "/33")
        for desk in desks:
            desk.start()
        for desk in desks:
            desk.wait()
        yield Offices(root=desks[0], province=desks[1])
    finally:
        for desk in desks:
            desk.stop()
        province.stop()
        root.stop()


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """A real Chromium; without one these tests fail, since what they are about cannot be seen."""
    assert shutil.which(CHROMIUM), f"these tests need Chromium at {CHROMIUM}"
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield opened
        opened.close()


@dataclass(slots=True, kw_only=True)
class Seat:
    """Somebody at a browser, which notes where it asks and what goes wrong in it."""

    page: Page
    desk: Desk
    width: str
    asked: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)

    def open(self, path: str) -> None:
        """Open a page and wait until it is alive."""
        self.page.goto(self.desk.url + path)
        self.alive()

    def alive(self) -> None:
        """Wait until the page is drawn and hears what is done on it."""
        self.page.wait_for_function("window.did_handshake === true")

    def sign_in(self, user: str, password: str = PASSWORD, unit: str = "") -> None:
        """Sign in through the form."""
        self.open("/sign-in")
        self.page.fill("#unit", unit)
        self.page.fill("#user", user)
        self.page.fill("#password", password)
        self.page.press("#password", "Enter")
        expect(self.page.locator("[data-test=seat]")).to_be_visible()
        self.alive()

    def shoot(self, name: str) -> Path:
        """Keep what the page looks like."""
        SCREENSHOTS.mkdir(parents=True, exist_ok=True)
        file = SCREENSHOTS / f"{name}-{self.width}.png"
        self.page.screenshot(path=file, full_page=True)
        return file


Sit = Callable[..., Seat]


@pytest.fixture
def sit(browser: Browser, offices: Offices) -> Iterator[Sit]:
    """Opens a browser of its own for somebody: fresh cookies, one width, one language."""
    contexts: list[BrowserContext] = []
    seats: list[Seat] = []

    def take(desk: Desk, width: str = "wide", language: str = "zh") -> Seat:
        w, h = WIDTHS[width]
        context = browser.new_context(viewport={"width": w, "height": h}, accept_downloads=True)
        contexts.append(context)
        if language == "en":
            context.add_cookies([{"name": "yidao_language", "value": "en", "url": desk.url}])
        page = context.new_page()
        page.set_default_timeout(15_000)
        seat = Seat(page=page, desk=desk, width=width)
        page.on("request", lambda request: seat.asked.append(request.url))
        page.on("websocket", lambda socket: seat.asked.append(socket.url))
        page.on("pageerror", lambda error: seat.faults.append(str(error)))
        seats.append(seat)
        return seat

    yield take
    for context in contexts:
        context.close()
    own = re.compile(r"(http|ws)://127\.0\.0\.1:\d+/|data:|blob:|about:")
    for seat in seats:
        strange = [url for url in seat.asked if not own.match(url)]
        assert strange == [], "a page asked for something that is not on this machine"
        assert seat.faults == []


def steady(page: Page) -> None:
    """Let the page draw what it has been sent."""
    page.evaluate("() => new Promise((done) => requestAnimationFrame(() => setTimeout(done, 50)))")
    time.sleep(0)
