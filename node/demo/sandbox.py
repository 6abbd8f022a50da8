"""A node of one's own to try things on: one daemon with the sample standards, units and returns.

The data are those of `samples`, made by rule from a fixed seed. A file beside
the node's settings says what the folder is, and a folder without it is never
touched: real nodes are no playgrounds.
"""

from collections.abc import Iterable, Iterator
from decimal import Decimal
from importlib.resources import files
from itertools import islice
from pathlib import Path
from typing import Final

from yidao.api.errors import YidaoError
from yidao.catalog.pack.loader import load_pack
from yidao.catalog.pack.model import Field, FieldKind
from yidao.catalog.resource import EntryState
from yidao.node.client import Client, NodeUnreachable, Row
from yidao.node.demo import samples
from yidao.node.demo.tree import DemoNode, DemoStepFailed, free_ports
from yidao.node.setup import found

NAME: Final = "样例沙箱 Sample sandbox"
ACTOR: Final = "dev@/"
#: Nobody reviews what they submitted.
SECOND: Final = "dev2@/"
UNITS: Final = 5
#: The period of the sample returns; the next one is left to whoever tries.
PERIOD: Final = samples.PERIODS[0]
FREE_PERIOD: Final = samples.PERIODS[1]
MARK: Final = "SAMPLE-样例.txt"
_MARK_TEXT: Final = (
    f"样例数据 sample data, seed {samples.SEED}. Made by `yidao dev`; delete at will.\n"
)
_YES: Final = "是"


class SandboxForeign(YidaoError):
    """The folder holds something that `yidao dev` did not make (params: path)."""

    code = "SANDBOX_FOREIGN"


class Sandbox:
    """One sample node in a folder.

    Args:
        folder: Its data folder; made if it is not there.
        port: Where links of children would arrive, the next one for those that join;
            0 takes free ones.

    Raises:
        SandboxForeign: Something else is in the folder.
    """

    def __init__(self, folder: Path, port: int = 0) -> None:
        self.is_new = not folder.exists() or not any(folder.iterdir())
        if not self.is_new and not (folder / MARK).exists():
            raise SandboxForeign(path=str(folder))
        link_port, join_port = (port, port + 1) if port else free_ports(2)
        self.node = DemoNode(
            name=NAME, path="/", folder=folder, link_port=link_port, join_port=join_port
        )

    @property
    def socket(self) -> Path:
        """Of the local API."""
        return self.node.socket.absolute()

    def runs_already(self) -> bool:
        """Tell whether a daemon answers in the folder."""
        try:
            with self.node.client() as client:
                client.status()
        except NodeUnreachable:
            return False
        return True

    def start(self) -> None:
        """Found the network if it is new, start the daemon, and fill in what is missing."""
        folder = self.node.folder
        if not (folder / "keys" / "identity.json").exists():
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            # Before the node: a start that is cut short must find its own folder again.
            (folder / MARK).write_text(_MARK_TEXT, encoding="utf-8")
            found(
                folder,
                {
                    "listen": f"127.0.0.1:{self.node.link_port}",
                    "join_listen": f"127.0.0.1:{self.node.join_port}",
                    "office_name": NAME,
                    "test_network": True,
                },
            )
        self.node.start()
        with self.node.client() as client:
            fill(client)

    def stop(self) -> None:
        """End the daemon."""
        self.node.stop()

    def wait(self) -> None:
        """Return once the daemon has ended."""
        if self.node.process is not None:
            self.node.process.wait()


def fill(client: Client) -> None:
    """Publish the sample standards and hand in units, sizes and returns; again changes nothing."""
    for page in sorted((files("yidao.catalog") / "packs").iterdir(), key=lambda each: each.name):
        if page.name.endswith(".yaml"):
            client.publish_pack(page.read_bytes(), actor=ACTOR)
    for rows in (samples.institutions(), samples.profiles(), samples.consumptions()):
        done = client.submit("energy", _rows(islice(rows, UNITS)), actor=ACTOR)
        if refused := [each for each in done.results if each.outcome == "refused"]:
            raise DemoStepFailed(step="sample rows", detail=refused[0].faults[0].en)
    _register(client)


def _register(client: Client) -> None:
    """Publish the sample returns as a resource; goes on where a start was cut short."""
    if client.search_catalog().total:
        return
    held = next(client.working_copies(), None)
    code = held.code if held is not None else _drafted(client)
    state = held.state if held is not None else EntryState.DRAFT
    if state is EntryState.DRAFT:
        client.submit_entry(code, actor=ACTOR)
    if state in {EntryState.DRAFT, EntryState.SUBMITTED}:
        client.review_entry(code, actor=SECOND)
    client.publish_entry(code, actor=ACTOR)


def _drafted(client: Client) -> str:
    draft = client.draft_from_form(
        actor=ACTOR,
        pack="energy",
        form="consumption",
        class_code=samples.RESOURCE_CLASS,
        unit=str(next(samples.institutions()).cells["uscc"]),
        share_type=2,
        share_text="样例: 说明用途后使用",
    )
    return draft.code


def _rows(found: Iterable[samples.SampleRow]) -> Iterator[Row]:
    pack = load_pack((files("yidao.catalog") / "packs" / "energy-2022.yaml").read_bytes())
    for number, each in enumerate(found, 1):
        form = pack.form(each.form_id)
        period = str(each.cells.get("period", ""))
        yield Row.of(
            each.form_id,
            {name: _value(form.fields[name], cell) for name, cell in each.cells.items()},
            period=period,
            row=number,
            key=f"sample-{samples.SEED}-{each.form_id}-{period}-{number}",
        )


def _value(field: Field, cell: samples.Cell) -> str | int | bool:
    """Give a cell of a sample workbook as a row holds it."""
    if field.kind is FieldKind.BOOL:
        return cell == _YES
    if isinstance(cell, Decimal):
        return format(cell, f".{field.scale}f")
    return cell


def snippet(socket: Path) -> str:
    """Give a program of ten lines that publishes a return and follows; it runs as it stands."""
    uscc = str(next(samples.institutions()).cells["uscc"])
    return f"""\
from yidao.node.client import Client, FileCursor, Row

size = {{"floor_area": "5000.00", "energy_users": 100}}
cells = {{"uscc": "{uscc}", "period": "{FREE_PERIOD}", **size}}
with Client.open("{socket}") as client:
    row = Row.of("profile", cells, period="{FREE_PERIOD}", key="erp-2025-0001")
    print(client.submit("energy", [row], actor="{ACTOR}").results[0].outcome)
    for event in client.follow(cursor=FileCursor("cursor.json"), until_now=True):
        print(event.position, event.kind, event.object)
"""
