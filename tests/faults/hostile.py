"""An enrolled child that keeps to the protocol as far as it must, and no further."""

import queue
import secrets
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Final, TypeVar

import grpc

from yidao.node.config import Settings
from yidao.node.keys import KeyFolder
from yidao.node.link.credentials import channel_credentials, target_name
from yidao.node.link.options import CONTROL, DATA, SERVICE, SESSION_KEY, client_options
from yidao.sync.ids import JournalId, Lane
from yidao.sync.ids import Path as TreePath
from yidao.sync.journal import Seal
from yidao.sync.message import Ack, Control, Frame, Goodbye, Hello, Item, Resume
from yidao.sync.wire import decode_control, encode_control, encode_frame, with_number

_SECONDS: Final = 60.0
T = TypeVar("T")


class HostileChild:
    """One connection of a node, of which only the folder with its keys is used.

    Args:
        folder: The data folder of a node that has joined and does not run.
        port: The parent's link port.
    """

    def __init__(self, folder: Path, port: int) -> None:
        keys = KeyFolder(folder)
        self.own = keys.load_identity()
        parent = self.own.path.parent or TreePath()
        self._channel = grpc.secure_channel(
            f"127.0.0.1:{port}",
            channel_credentials(keys.load_certificates()),
            options=[
                *client_options(Settings(data_dir=folder), target_name(parent)),
                # Its own side holds it to nothing.
                ("grpc.max_send_message_length", -1),
            ],
        )
        self._metadata = ((SESSION_KEY, secrets.token_hex(16)),)
        self._control_out: queue.Queue[bytes | None] = queue.Queue()
        self._data_out: queue.Queue[bytes | None] = queue.Queue()
        self._heard: queue.Queue[Control | None] = queue.Queue()
        self._number = 0
        self._position = 0
        self._credit_bytes = 0
        self._has_more = threading.Condition()
        # How each stream ended, where it was not in order.
        self.status = ""
        self.data_status = ""
        self.ended = threading.Event()
        self.data_ended = threading.Event()

    def open(self) -> None:
        """Open the control stream, and say nothing."""
        stream = self._method(CONTROL)(_drain(self._control_out), metadata=self._metadata)
        threading.Thread(target=self._hear, args=(stream,), daemon=True).start()

    def greet(self) -> None:
        """Open it, say hello and where it stands; frames may be sent now.

        Raises:
            AssertionError: The parent ended the session.
        """
        self.open()
        own = self.own
        self.say(
            Hello(
                network=own.network,
                node_id=own.node_id,
                store_id=secrets.token_bytes(16),
                path=own.path,
                epoch="1",
            )
        )
        parent = self.expect(Hello)
        self.say(Resume(store_id=parent.store_id, credit_bytes=1 << 20))
        self.expect(Resume)
        data = self._method(DATA)(_drain(self._data_out), metadata=self._metadata)
        threading.Thread(target=self._ignore, args=(data,), daemon=True).start()

    def say(self, message: Control) -> None:
        """Send a message of the control stream."""
        self.say_bytes(encode_control(message))

    def say_bytes(self, data: bytes) -> None:
        """Send whatever bytes as a message of the control stream."""
        self._control_out.put(data)

    def send_bytes(self, data: bytes) -> None:
        """Send whatever bytes as a message of the data stream."""
        self._data_out.put(data)

    def send_seals(self, count: int) -> None:
        """Send a frame of tiny seals, in order and with room for them, that nobody signed."""
        journal = JournalId(node_id=self.own.node_id, channel="node", epoch="1")
        root = "A" * 43 + "="
        note = f"{journal.origin(self.own.network)}\n1\n{root}\n\n— x {'A' * 91}=\n".encode()
        after = self._position
        items = []
        for _ in range(count):
            self._position += 1
            seal = Seal(journal=journal, first_seq=0, headers=(b"x",), checkpoint=note)
            items.append(Item(position=self._position, seal=seal))
        frame = Frame(lane=Lane.CONTROL, items=tuple(items), after_position=after)
        self._number += 1
        data = encode_frame(frame)
        with self._has_more:
            self._has_more.wait_for(
                lambda: self._credit_bytes >= len(data) or self.ended.is_set(), _SECONDS
            )
            self._credit_bytes -= len(data)
        self.send_bytes(with_number(data, self._number))

    def expect(self, kind: type[T]) -> T:
        """Return the next message of a kind; others before it are passed over.

        Raises:
            AssertionError: The session ended without one, or nothing came.
        """
        while True:
            message = self._heard.get(timeout=_SECONDS)
            assert message is not None, f"ended before {kind.__name__}"
            if isinstance(message, kind):
                return message
            assert not isinstance(message, Goodbye), message

    def close(self) -> None:
        """Hang up."""
        self._control_out.put(None)
        self._data_out.put(None)
        self._channel.close()

    def _method(self, name: str) -> grpc.StreamStreamMultiCallable:
        return self._channel.stream_stream(f"/{SERVICE}/{name}")

    def _hear(self, stream: Iterator[bytes]) -> None:
        try:
            for data in stream:
                message = decode_control(data)
                self._heard.put(message)
                if isinstance(message, Resume | Ack):
                    with self._has_more:
                        self._credit_bytes += message.credit_bytes
                        self._has_more.notify()
        except grpc.RpcError as error:
            self.status = error.code().name  # type: ignore[attr-defined]
        finally:
            with self._has_more:
                self.ended.set()
                self._has_more.notify()
            self._heard.put(None)

    def _ignore(self, stream: Iterator[bytes]) -> None:
        try:
            for _ in stream:
                pass
        except grpc.RpcError as error:
            self.data_status = error.code().name  # type: ignore[attr-defined]
        finally:
            self.data_ended.set()


def _drain(out: "queue.Queue[bytes | None]") -> Iterator[bytes]:
    while (message := out.get()) is not None:
        yield message
