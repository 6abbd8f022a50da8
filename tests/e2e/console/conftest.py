"""A root and a province with a console each, and a real Chromium before them.

Lets tests import what they share as `console.seats`.
"""

import re
import shutil
import sys
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, sync_playwright

sys.path.insert(0, str(Path(__file__).parents[1]))

from console.seats import (
    ARGUMENTS,
    CHROMIUM,
    HOSTILE,
    WIDTHS,
    Desk,
    Offices,
    Seat,
    Sit,
    make_node,
    put_users,
    register,
    uscc,
)
from yidao.node.client import User
from yidao.node.demo.tree import free_ports, wait_until


@pytest.fixture(scope="session")
def offices(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Offices]:
    """Two daemons and their consoles, with users, standards and sample institutions."""
    base = tmp_path_factory.mktemp("c")
    root = make_node(base, "root", "/", None)
    province = make_node(base, "province", "/33", root)
    desks = [Desk(node=node, port=free_ports(1)[0]) for node in (root, province)]
    try:
        packs = files("yidao.catalog") / "packs"
        with root.client() as client:
            for name in ("energy-2022.yaml", "energy-2025.yaml"):
                client.publish_pack((packs / name).read_bytes(), actor="admin@/")
            reviewer = User(name="wang", title="样例审核员", roles=("reviewer",))
            put_users(client, {"wang": reviewer}, "/")
        with province.client() as client:
            wait_until("the standard arrives", lambda: len(client.packs()) == 2)
            register(client, {number: f"样例单位{number}" for number in (*range(1, 8), 9)})
            register(client, {8: HOSTILE})
            clerk = User(name="li", title="样例填报员", roles=("filler",), unit=uscc(1))
            office = User(name="zhao", title="样例经办人", roles=("filler",))
            fresh = User(name="newcomer", title="样例新人", roles=("filler",), unit=uscc(2))
            other = User(name="sun", title="样例填报员二", roles=("filler",), unit=uscc(3))
            hostile = User(name="evil", title=HOSTILE[:60], roles=("filler",))
            passing = User(name="qian", title="样例经办人二", roles=("filler",))
            locked = User(name="locked", title="样例经办人三", roles=("filler",))
            users = (clerk, office, fresh, other, hostile, passing, locked)
            put_users(client, {user.name: user for user in users}, "/33")
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
