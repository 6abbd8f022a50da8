"""A look for what stops the way to the parent finds it or nothing; it never stops the daemon."""

import asyncio
import errno
import os
import socket
import threading
from collections.abc import Iterator
from pathlib import Path as FilePath
from types import SimpleNamespace
from typing import Any, cast
from unittest.mock import MagicMock, patch

import pytest

from yidao.node.clock import system_clock_ms, utc
from yidao.node.config import Settings
from yidao.node.datadir import prepare
from yidao.node.errors import KeyFileMalformed, KeyFileMissing, NodeError
from yidao.node.keys import TLS_CHAIN, TLS_KEY, KeyFolder
from yidao.node.link import certificates
from yidao.node.link.credentials import target_name
from yidao.node.link.dialer import Dialer
from yidao.node.link.founding import found_network
from yidao.node.link.way import Way, check_way, why_lost
from yidao.node.link.wayerrors import ParentUnreachable, ProxyRefuses, ProxyUnreachable
from yidao.sync.ids import Path

CLOSED = "127.0.0.1:1"
GRPC_SAYS = "UNAVAILABLE: sample"


@pytest.fixture
def keys(tmp_path: FilePath) -> KeyFolder:
    """The keys of a root, which serve as any node's."""
    data = prepare(tmp_path / "node")
    found_network(data, now=utc(system_clock_ms()), random=os.urandom)
    return KeyFolder(data)


def way(keys: KeyFolder, address: str = CLOSED, proxy: str | None = None) -> Way:
    return Way(
        address=address,
        server_name=target_name(Path()),
        root_pem=keys.load_certificates().root_pem,
        chain_file=keys.path / TLS_CHAIN,
        key_file=keys.path / TLS_KEY,
        proxy=proxy,
    )


def test_a_key_and_a_chain_of_two_renewals_are_named(keys: KeyFolder) -> None:
    """Between two files of a renewal they are no pair: nothing that the parent is to blame for."""
    keys.remove(TLS_KEY)
    keys.write_tls_key(TLS_KEY, certificates.generate_key())
    with pytest.raises(KeyFileMalformed):
        check_way(way(keys))
    keys.replace(TLS_CHAIN, b"sample")
    with pytest.raises(KeyFileMalformed):
        check_way(way(keys))
    whole = way(keys)
    keys.remove(TLS_CHAIN)
    with pytest.raises(KeyFileMissing):
        check_way(whole)


@pytest.mark.parametrize("at", ["settimeout", "recv"])
def test_a_network_that_goes_away_on_the_way_is_unreachable(keys: KeyFolder, at: str) -> None:
    """Not every error of a line is a cut one."""
    line = MagicMock()
    line.__enter__.return_value = line
    lost = OSError(errno.EHOSTUNREACH, "sample")
    context = MagicMock()
    if at == "settimeout":
        line.settimeout.side_effect = lost
    else:
        context.wrap_socket.return_value.__enter__.return_value.recv.side_effect = lost
    with (
        patch("yidao.node.link.way.socket.create_connection", return_value=line),
        patch("yidao.node.link.way._context", return_value=context),
        pytest.raises(ParentUnreachable) as found,
    ):
        check_way(way(keys))
    assert found.value.params["reason"] == "EHOSTUNREACH"


@pytest.mark.parametrize(
    "address",
    ["sample", "sample:", "sample:link", "127.0.0.1:99999", "a..b:1", f"{'a' * 70}.example:1"],
)
def test_an_address_that_is_none_is_unreachable(keys: KeyFolder, address: str) -> None:
    """Whatever stands in the settings."""
    with pytest.raises(ParentUnreachable):
        check_way(way(keys, address))
    for proxy in (f"http://{address}", f"http://[{address}"):
        with pytest.raises(ProxyUnreachable):
            check_way(way(keys, CLOSED, proxy))


@pytest.fixture
def answering(request: pytest.FixtureRequest) -> Iterator[str]:
    """A proxy that gives one answer and hangs up."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def run() -> None:
            line, _ = listener.accept()
            with line:
                line.recv(4096)
                line.sendall(request.param)

        thread = threading.Thread(target=run)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        thread.join()


ANSWERS = {
    "nothing": (b"", "?"),
    "no status": (b"HTTP/1.1\r\n\r\n", "?"),
    "an empty status": (b"HTTP/1.1 \r\n\r\n", "?"),
    "words": (b"HTTP/1.1 sample\r\n\r\n", "?"),
    "digits of no status": (b"HTTP/1.1 20000\r\n\r\n", "?"),
    "bytes": (bytes(range(128, 256)) + b"\r\n\r\n", "?"),
    "another protocol": (b"SSH-2.0 200\r\n\r\n", "?"),
    "a refusal": (b"HTTP/1.0 403 Forbidden\r\n\r\n", "403"),
}


@pytest.mark.parametrize(
    ("answering", "status"), ANSWERS.values(), ids=list(ANSWERS), indirect=["answering"]
)
def test_whatever_a_proxy_answers_is_a_refusal(
    keys: KeyFolder, answering: str, status: str
) -> None:
    """Nothing is assumed of it."""
    with pytest.raises(ProxyRefuses) as found:
        check_way(way(keys, CLOSED, answering))
    assert found.value.params["status"] == status


def test_unfit_files_are_findings(keys: KeyFolder, tmp_path: FilePath) -> None:
    """The daemon goes on with the code of it."""
    settings = Settings(data_dir=tmp_path / "node", parent_address=CLOSED)

    def why() -> str:
        return why_lost(settings, keys, Path(), system_clock_ms)

    assert why() == "PARENT_PORT_CLOSED"
    keys.replace(TLS_CHAIN, b"sample")
    assert why() == "KEY_FILE_MALFORMED"
    keys.remove(TLS_CHAIN)
    assert why() == "KEY_FILE_MISSING"


@pytest.mark.parametrize("said", [GRPC_SAYS, "INTERNAL: Internal error from Core"])
@pytest.mark.parametrize("error", [RuntimeError("sample"), OSError(5, "sample"), NodeError()])
def test_a_diagnosis_that_fails_keeps_what_grpc_said(
    error: Exception, said: str, tmp_path: FilePath
) -> None:
    """The dialer dials on, and the log has what went wrong."""
    hub = SimpleNamespace(dial_error="", clock_ms=lambda: 0, next_dial_ms=0)
    settings = Settings(data_dir=tmp_path, parent_address=CLOSED, backoff_min_seconds=0.01)
    asked, twice = [0], threading.Event()

    def why() -> str:
        asked[0] += 1
        if asked[0] == 2:
            twice.set()
        raise error

    dialer = Dialer(
        cast("Any", hub),
        cast("Any", SimpleNamespace(path=Path())),
        cast("Any", None),
        settings,
        lambda: 0.0,
        why,
    )

    async def scene() -> None:
        dialing = asyncio.create_task(dialer.run())
        assert await asyncio.to_thread(twice.wait, 10)
        dialing.cancel()
        await asyncio.gather(dialing, return_exceptions=True)

    with (
        patch.object(Dialer, "_hold_session", return_value=said),
        patch("yidao.node.link.dialer.log") as log,
    ):
        asyncio.run(scene())
    assert hub.dial_error == said
    call = log.warning.call_args_list[0]
    assert (call.args, call.kwargs["error"]) == (("link.diagnosis.failed",), type(error).__name__)
