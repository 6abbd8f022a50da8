"""What may be repeated is repeated while a daemon is started again; nothing else is."""

import json
import socket
import threading
import time
from contextlib import ExitStack, suppress
from importlib import import_module
from pathlib import Path

import pytest
from google.protobuf.descriptor import FileDescriptor

import yidao.api.local.v1
from yidao.node.client import Client, NodeUnreachable, Retries
from yidao.node.client.retries import ONCE, REPEATABLE


def every_call() -> set[tuple[str, str]]:
    folder = Path(yidao.api.local.v1.__path__[0])
    files: list[FileDescriptor] = [
        import_module(f"yidao.api.local.v1.{file.stem}").DESCRIPTOR
        for file in folder.glob("*_pb2.py")
    ]
    return {
        (service.name, method.name)
        for file in files
        for service in file.services_by_name.values()
        for method in service.methods
    }


def test_it_is_said_of_every_call_whether_it_may_be_repeated() -> None:
    """A call that is added gets its place in `retries`."""
    named = [
        (service, method)
        for table in (REPEATABLE, ONCE)
        for service, methods in table.items()
        for method in methods
    ]
    assert len(named) == len(set(named))
    assert set(named) == every_call()


def test_what_answers_how_much_it_changed_is_made_once() -> None:
    """Settled a second time, nothing is left to settle: the caller would read of none."""
    config = json.loads(Retries().service_config())
    repeated = {(each["service"], each["method"]) for each in config["methodConfig"][0]["name"]}
    for method in ("OpenEpoch", "ReleaseNode", "SettleIncidents"):
        assert ("yidao.api.local.v1.RecoveryService", method) not in repeated
    assert ("yidao.api.local.v1.RecoveryService", "ListIncidents") in repeated


def test_a_call_outlives_a_restart(served, client: Client) -> None:
    """A daemon that is back within seconds is not noticed."""
    served.stop()
    timer = threading.Timer(0.5, served.start)
    timer.start()
    assert [each.id for each in client.packs()] == ["energy"]
    timer.join()


def test_a_call_that_may_not_be_repeated_fails_at_once(served, client: Client, rows) -> None:
    """The caller decides: a second review would not say what the first one did."""
    served.stop()
    with pytest.raises(NodeUnreachable):
        client.review(actor=rows.actor, decision="accept", form="profile")
    served.start()


def test_retries_can_be_turned_off(served) -> None:
    """One attempt is one attempt."""
    with Client.open(served.socket, retries=Retries(attempts=1)) as client:
        served.stop()
        with pytest.raises(NodeUnreachable):
            client.packs()
        served.start()


def test_retries_end(served) -> None:
    """A node that stays away is told as unreachable."""
    quick = Retries(attempts=3, first_wait_seconds=0.05, max_wait_seconds=0.1)
    with Client.open(served.socket, retries=quick) as client:
        served.stop()
        with pytest.raises(NodeUnreachable):
            client.packs()
        served.start()


def test_a_busy_node_may_take_its_time_to_answer_a_connect(served, tmp_path: Path) -> None:
    """Nobody is told that it is gone because its first bytes come half a second late."""
    late = tmp_path / "late.sock"
    with socket.socket(socket.AF_UNIX) as listener, ExitStack() as stack:
        listener.bind(str(late))
        listener.listen()

        def carry(source: socket.socket, target: socket.socket) -> None:
            with suppress(OSError):
                while data := source.recv(65_536):
                    target.sendall(data)

        def relay() -> None:
            near = stack.enter_context(listener.accept()[0])
            time.sleep(0.5)
            far = stack.enter_context(socket.socket(socket.AF_UNIX))
            far.connect(str(served.socket))
            threading.Thread(target=carry, args=(far, near), daemon=True).start()
            carry(near, far)

        threading.Thread(target=relay, daemon=True).start()
        with Client.open(late, retries=Retries(attempts=1)) as client:
            assert [each.id for each in client.packs()] == ["energy"]


def test_why_nobody_answers_stands_in_the_trace(tmp_path: Path) -> None:
    """A program's log shows what the transport said; its text for people does not."""
    nobody = tmp_path / "none.sock"
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind(str(nobody))
    once = Retries(attempts=1)
    with Client.open(nobody, retries=once) as client, pytest.raises(NodeUnreachable) as caught:
        client.status()
    (note,) = caught.value.__notes__
    assert note.startswith("UNAVAILABLE: ")
    assert len(note) > len("UNAVAILABLE: ")
