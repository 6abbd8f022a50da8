"""What the composition root itself decides."""

import resource
import subprocess
import sys
from datetime import timedelta
from pathlib import Path as FilePath
from types import SimpleNamespace

import pytest

from yidao.node.children import Children
from yidao.node.config import Settings
from yidao.node.daemon import OPEN_FILES, ProtobufSlow, raise_file_limit, self_test
from yidao.sync.ids import Path


class _Tokens:
    """Remembers what a bundle was asked for."""

    def __init__(self) -> None:
        self.asked: dict[str, object] = {}

    def add(self, path: Path, **asked: object) -> SimpleNamespace:
        self.asked = {"path": path, **asked}
        return SimpleNamespace(encode=lambda: b"bundle")


@pytest.mark.parametrize(
    ("more", "join_address", "link_address"),
    [
        ({}, "127.0.0.1:7351", "127.0.0.1:7350"),
        (
            {"join_listen_seen": "node.example:443", "listen_seen": "node.example:444"},
            "node.example:443",
            "node.example:444",
        ),
    ],
)
def test_a_bundle_names_the_addresses_that_children_see(
    tmp_path: FilePath, more: dict[str, str], join_address: str, link_address: str
) -> None:
    """Where a node listens behind a translator, its children are told the outer address."""
    tokens = _Tokens()
    settings = Settings(data_dir=tmp_path, **more)  # type: ignore[arg-type]
    children = Children(tokens, SimpleNamespace(revoke=None), settings)  # type: ignore[arg-type]
    children.add(Path.parse("/33"), operator="admin", life=timedelta(hours=1))
    assert tokens.asked["join_addresses"] == (join_address,)
    assert tokens.asked["link_address"] == link_address


def test_a_slow_protobuf_parser_stops_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its limits are not those that the decoders rely on."""
    from google.protobuf.internal import api_implementation

    self_test()
    monkeypatch.setattr(api_implementation, "Type", lambda: "python")
    with pytest.raises(ProtobufSlow):
        self_test()


def test_an_idle_daemon_does_without_what_only_work_needs() -> None:
    """Each of these is a tenth of the start or more, and megabytes for as long as it runs."""
    spared = ["alembic", "openpyxl", "nicegui", "fastapi", "yidao.node.client"]
    code = f"import sys, yidao.node.daemon; sys.exit(str([*{{*{spared}}} & {{*sys.modules}}]))"
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
    assert done.stderr == "[]\n"


def test_a_low_limit_of_open_files_is_raised() -> None:
    """As far as the system lets us, and never lowered: each child is a connection."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = OPEN_FILES if hard == resource.RLIM_INFINITY else min(OPEN_FILES, hard)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard))
        raise_file_limit()
        assert resource.getrlimit(resource.RLIMIT_NOFILE) == (most, hard)
        raise_file_limit()
        assert resource.getrlimit(resource.RLIMIT_NOFILE) == (most, hard)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
