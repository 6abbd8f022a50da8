"""Two offices with a console each, and somebody at a browser before one."""

import signal
import subprocess
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from playwright.sync_api import Page, expect

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
OFFICES = {"root": "样例国家事务局", "province": "样例省事务局"}
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
                [*yidao_command(), "console", *self._options()],
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

    def _options(self) -> list[str]:
        return ["--data", str(self.node.folder), "--port", str(self.port)]

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

    def submit(self, number: int, **values: str | int) -> bytes:
        """Hand a return in for a sample institution, as a program of the province would."""
        row = {"uscc": uscc(number), "period": PERIOD, **values}
        with self.province.node.client() as client:
            done = client.submit(
                "energy",
                [Row(row=1, form="profile", period=PERIOD, payload=encode_row(row))],
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


def make_node(base: Path, name: str, path: str, parent: DemoNode | None) -> DemoNode:
    link_port, join_port = free_ports(2)
    node = DemoNode(
        name=name, path=path, folder=base / name, link_port=link_port, join_port=join_port
    )
    ports = ["--listen", f"127.0.0.1:{link_port}", "--join-listen", f"127.0.0.1:{join_port}"]
    if parent is None:
        run_yidao("init", "--test", "--name", OFFICES[name], "--data", str(node.folder), *ports)
    else:
        bundle = base / f"{name}.bundle"
        with parent.client() as client:
            bundle.write_bytes(client.add_child("33", ttl_seconds=600, operator="admin@/"))
        bundle.chmod(0o600)
        named = ["--bundle", str(bundle), "--name", OFFICES[name]]
        run_yidao("init", *named, "--data", str(node.folder), *ports)
    node.start()
    return node


def register(client: Client, names: dict[int, str]) -> None:
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


def put_users(client: Client, wanted: dict[str, User], path: str) -> None:
    for name, user in wanted.items():
        client.put_user(user, actor=f"admin@{path}", password=FIRST_PASSWORD)
        if not name.startswith("new"):
            session = client.sign_in(name, FIRST_PASSWORD)
            client.with_token(session.token).change_password(FIRST_PASSWORD, PASSWORD)


def fill(page: Page, **values: str) -> None:
    """Type into fields by their names in the standard."""
    for name, text in values.items():
        page.fill(f"#field-{name}", text)


def told(page: Page, text: str) -> None:
    """Expect a text in the page's notice."""
    expect(page.locator("#notice")).to_contain_text(text)


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
