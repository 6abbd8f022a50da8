"""Follow the returns of one form: `python examples/follow_a_resource.py FOLDER FORM CURSOR`.

CURSOR is a file that keeps how far it came: start it again and it goes on there. A fourth
argument says after how many events to end; it follows for ever otherwise.
"""

import sys
from itertools import islice
from pathlib import Path

from yidao.node.client import Client, Event, FileCursor


def handle(event: Event) -> None:
    """Print one event; your program would write it into its own database."""
    print(event.position, event.kind, event.object, event.payload.decode(), flush=True)


def main(folder: Path, form: str, cursor: Path, events: int | None = None) -> None:
    """Handle each event once it is there; one that was cut off comes again."""
    # The essential part.
    with Client.open(folder / "local.sock") as client:
        following = client.follow(cursor=FileCursor(cursor), forms=[form])
        for event in islice(following, events):
            handle(event)
            following.done()


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3]), *map(int, sys.argv[4:]))
