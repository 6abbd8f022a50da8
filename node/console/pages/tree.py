"""All nodes below and the link to the parent: health, lag, next try, problems; kept fresh."""

import time

from nicegui import ui

from yidao.api.errors import YidaoError
from yidao.node.client import Client, NodeInfo, Peer, Status
from yidao.node.console.pages.receipt import moment
from yidao.node.console.visit import SignInAgain, Visit, sign_in_address
from yidao.node.console.widgets.html import Tag, button
from yidao.node.console.widgets.tables import badge, table
from yidao.node.messages import catalogue, message

_REFRESH_SECONDS = 5.0
_DEADLINE_MS = 3_000


async def draw(visit: Visit) -> None:
    """Draw the tree, and draw it again every few seconds."""
    words = visit.words
    with Tag("p", classes="doing"):
        fresh = Tag("span", classes="help", role="status")
        stop = button(words("tree.pause"), None, aria_pressed="false")
    place = Tag("div")

    async def refresh(*, action: bool = False) -> None:
        status, nodes = await visit.ask(_look, action=action)
        place.clear()
        with place:
            _draw(visit, status, nodes)
        fresh.set_text(words("tree.as_of", at=moment(int(time.time() * 1000))))

    async def again() -> None:
        try:
            await refresh()
        except SignInAgain:
            timer.deactivate()
            ui.navigate.to(sign_in_address("idle", visit.path))
        except YidaoError as error:
            visit.tell_error(error)

    async def pause() -> None:
        timer.active = not timer.active
        stop.put("aria_pressed", "false" if timer.active else "true")

    await refresh(action=True)
    stop.heard("click", visit.acting(pause))
    timer = ui.timer(_REFRESH_SECONDS, again, immediate=False)


def _look(client: Client) -> tuple[Status, tuple[NodeInfo, ...]]:
    return client.status(), client.list_tree(live=True, deadline_ms=_DEADLINE_MS)


def _draw(visit: Visit, status: Status, nodes: tuple[NodeInfo, ...]) -> None:
    words = visit.words
    for peer in status.peers:
        if peer.role == "parent":
            _parent(visit, peer, status.parent_error)
    headings = ("path", "state", "lag_up", "lag_down", "seen", "retry", "problems", "version")
    numeric = frozenset({2, 3, 6})
    with table(
        words("tree.caption"), [words(f"tree.{each}") for each in headings], numeric=numeric
    ) as row:
        for node in nodes:
            row(
                f"{'　' * _depth(node.path, status.path)}{node.path} {node.office_name}".rstrip(),
                lambda node=node: badge(words.named("tree", f"state_{node.state}"), node.state),
                str(node.lag_up),
                str(node.lag_down),
                moment(node.last_seen_ms),
                lambda node=node: _retry(visit, node.next_retry_ms),
                str(node.problems),
                node.version,
            )
    _problems(visit, status)


def _depth(path: str, own: str) -> int:
    return len([each for each in path.split("/") if each]) - len([e for e in own.split("/") if e])


def _parent(visit: Visit, peer: Peer, error: str) -> None:
    words = visit.words
    with Tag("section", classes="card", aria_label=words("tree.parent")):
        Tag("h2", words("tree.parent_of", path=peer.path))
        with Tag("p", classes="doing"):
            badge(words.named("tree", f"state_{peer.state}"), peer.state)
            Tag("span", words("tree.waits", count=peer.lag))
            if peer.next_retry_ms:
                Tag("span", words("tree.next"))
                _retry(visit, peer.next_retry_ms)
        if error and error not in catalogue(words.language):
            # What the transport says of a line that cannot be opened has no code of ours.
            Tag("p", words("tree.parent_unreached", cause=error))
        elif error and "{" in catalogue(words.language)[error].text:
            # Its text names things that only the log has; what to do is the same.
            Tag("p", words("tree.parent_unreached", cause=error))
            Tag("p", message(error, {}, words.language).hint)
        elif error:
            shown = message(error, {}, words.language)
            Tag("p", words("tree.parent_error", text=shown.text, hint=shown.hint))


def _retry(visit: Visit, at_ms: int) -> None:
    """Draw how long it takes to the next try, counted down by the browser."""
    if not at_ms:
        Tag("span", "–")
        return
    seconds = max(0, round(at_ms / 1000 - time.time()))
    made = Tag("span", visit.words("tree.in_seconds", seconds=seconds), classes="countdown")
    made.put("data_seconds", seconds)
    made.put("data_text", visit.words("tree.in_seconds"))


def _problems(visit: Visit, status: Status) -> None:
    words = visit.words
    with Tag("section", aria_label=words("tree.problems")):
        Tag("h2", words("tree.problems_here", count=len(status.problems)))
        for problem in status.problems:
            shown = message(problem.code, problem.params, words.language)
            with Tag("div", classes="card back"):
                Tag("strong", shown.text)
                Tag("p", shown.hint)
                last = moment(problem.last_ms)
                Tag(
                    "p",
                    words("tree.seen_times", count=problem.count, last=last, code=shown.code),
                    classes="help",
                )
