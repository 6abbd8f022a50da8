"""An operator's two nodes, the lower one behind a proxy: set up, looked at, looked after."""

import json
import os
import pty
import select
import signal
import socket
import subprocess
import threading
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from yidao.node.demo.tree import (
    DemoNode,
    clean_environment,
    free_ports,
    run_yidao,
    wait_until,
    yidao_command,
)

pytestmark = pytest.mark.e2e


class ConnectProxy:
    """An HTTP proxy that does CONNECT and nothing else, and remembers where to."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _serve(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._carry, args=(near,), daemon=True).start()

    def _carry(self, near: socket.socket) -> None:
        head = b""
        while b"\r\n\r\n" not in head:
            head += near.recv(4096)
        method, target, _ = head.split(b" ", 2)
        assert method == b"CONNECT"
        self.asked.append(target.decode())
        host, _, port = target.decode().rpartition(":")
        try:
            far = socket.create_connection((host, int(port)))
        except OSError:
            near.close()
            return
        near.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        while ready := select.select([near, far], [], [])[0]:
            for one, other in ((near, far), (far, near)):
                if one in ready:
                    try:
                        data = one.recv(65536)
                        other.sendall(data)
                    except OSError:
                        data = b""
                    if not data:
                        near.close()
                        far.close()
                        return


@dataclass(slots=True)
class Nodes:
    """The office above and the office below."""

    root: DemoNode
    child: DemoNode
    proxy: ConnectProxy
    metrics: str


def _node(folder: Path, name: str, path: str) -> DemoNode:
    link, join = free_ports(2)
    return DemoNode(name=name, path=path, folder=folder / name, link_port=link, join_port=join)


@pytest.fixture(scope="module")
def nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nodes]:
    """A test network of two nodes that run; the child's only way out is a proxy."""
    patch = pytest.MonkeyPatch()
    # What the web's settings say must not matter.
    patch.setenv("no_proxy", "127.0.0.1")
    patch.setenv("https_proxy", "http://127.0.0.1:9")
    folder = tmp_path_factory.mktemp("operator")
    root, child = _node(folder, "root", "/"), _node(folder, "child", "/33")
    proxy, metrics = ConnectProxy(), f"127.0.0.1:{free_ports(1)[0]}"
    bundle = folder / "33.bundle"
    listen = ("--listen", f"127.0.0.1:{root.link_port}")
    run_yidao(
        *("init", "--data", str(root.folder), "--test", "--name", "样例国家", *listen),
        *("--join-listen", f"127.0.0.1:{root.join_port}"),
    )
    with (root.folder / "config.toml").open("a") as file:
        file.write(f'metrics_listen = "{metrics}"\nlog_file = "{folder}/root.json"\n')
        file.write('log_format = "json"\n')
    root.start()
    try:
        add = ("child", "add", "33", "--data", str(root.folder), "--operator", "admin@/")
        run_yidao(*add, "--out", str(bundle))
        run_yidao(
            *("init", "--bundle", str(bundle), "--data", str(child.folder), "--name", "样例省"),
            *("--proxy", f"http://{proxy.address}"),
            *("--listen", f"127.0.0.1:{child.link_port}"),
            *("--join-listen", f"127.0.0.1:{child.join_port}"),
        )
        child.start()
        try:
            yield Nodes(root=root, child=child, proxy=proxy, metrics=metrics)
        finally:
            child.stop()
    finally:
        root.stop()
        proxy.close()
        patch.undo()


def test_the_child_joined_and_dials_through_its_proxy(nodes: Nodes) -> None:
    """Both the joining and the link were asked of the proxy, by the addresses of the bundle."""
    wait_until("link", lambda: _parent_state(nodes.child) == "connected")
    assert nodes.proxy.asked[:2] == [
        f"127.0.0.1:{nodes.root.join_port}",
        f"127.0.0.1:{nodes.root.link_port}",
    ]


def test_a_test_network_says_so_at_every_node(nodes: Nodes) -> None:
    """The mark came with the bundle; status shows the banner, in both languages."""
    for node in (nodes.root, nodes.child):
        said = run_yidao("--lang", "zh", "status", "--data", str(node.folder))
        assert "测试网络" in said.splitlines()[0]
        assert "TEST NETWORK" in run_yidao("--lang", "en", "status", "--data", str(node.folder))
        facts = json.loads(run_yidao("status", "--json", "--data", str(node.folder)))
        assert facts["test_network"] is True
        assert facts["certificate_until_ms"] > 1_700_000_000_000


def test_the_tree_shows_both_nodes_live(nodes: Nodes) -> None:
    """The child's own name and version come by its answer."""
    wait_until("link", lambda: _parent_state(nodes.child) == "connected")
    facts = json.loads(run_yidao("tree", "--json", "--data", str(nodes.root.folder)))
    found = [(each["path"], each["state"], each["office_name"]) for each in facts["nodes"]]
    assert found == [("/", "self", "样例国家"), ("/33", "connected", "样例省")]
    assert facts["nodes"][1]["version"]
    assert "样例省" in run_yidao("tree", "--data", str(nodes.root.folder))


def test_a_node_tells_others_its_health_without_its_journals(nodes: Nodes) -> None:
    """Those of a province with thousands of nodes would not fit an answer."""
    pack = files("yidao.catalog.packs").joinpath("energy-2022.yaml")
    run_yidao("pack", "publish", str(pack), "--data", str(nodes.root.folder), "--actor", "std@/")
    with nodes.root.client() as above, nodes.child.client() as below:
        wait_until("pack", lambda: bool(below.status().journals))
        told = above.status(path="/33")
    assert (told.path, told.journals) == ("/33", ())
    assert told.records > 0


def test_metrics_are_served_by_the_daemon(nodes: Nodes) -> None:
    """They parse, and say that the child is connected."""
    wait_until("link", lambda: _parent_state(nodes.child) == "connected")
    with urllib.request.urlopen(f"http://{nodes.metrics}/metrics", timeout=10) as answer:
        page = answer.read().decode()
    found = {
        (sample.name, sample.labels.get("peer", "")): sample.value
        for family in text_string_to_metric_families(page)
        for sample in family.samples
    }
    assert found["yidao_link_connected", "/33"] == 1
    assert found["yidao_store_position", ""] >= 2
    assert found["yidao_commit_seconds_count", ""] >= 2


def test_the_log_is_opened_anew_on_sighup(nodes: Nodes) -> None:
    """As logrotate wants it; the daemon goes on."""
    file = nodes.root.folder.parent / "root.json"
    file.rename(file.with_suffix(".1"))
    assert nodes.root.process is not None
    nodes.root.process.send_signal(signal.SIGHUP)
    wait_until("new log", file.exists)
    wait_until("line", lambda: "node.log.reopened" in file.read_text())
    assert "node.daemon.started" in file.with_suffix(".1").read_text()
    assert nodes.root.running


def test_the_doctor_finds_both_nodes_sound(nodes: Nodes) -> None:
    """The child's way is gone through its proxy to the real parent, as far as TLS."""
    wait_until("link", lambda: _parent_state(nodes.child) == "connected")
    for node in (nodes.root, nodes.child):
        facts = json.loads(run_yidao("doctor", "--json", "--data", str(node.folder)))
        assert [each for each in facts["checks"] if not each["ok"]] == []
        assert {"parent", "daemon", "lag", "parked"} <= {each["check"] for each in facts["checks"]}


def test_the_bundle_of_a_running_node_holds_no_key(nodes: Nodes, tmp_path: Path) -> None:
    """One file, for the owner alone, with the live status and the end of the log."""
    out = tmp_path / "bundle.json"
    run_yidao("doctor", "--data", str(nodes.root.folder), "--bundle", str(out))
    said = json.loads(out.read_text())
    assert out.stat().st_mode & 0o777 == 0o600
    assert said["status"]["peers"][0]["path"] == "/33"
    assert any("node." in line for line in said["log"])
    for key in nodes.root.folder.glob("keys/*.key"):
        assert not [line for line in key.read_text().splitlines() if line in out.read_text()]


def test_a_second_daemon_on_the_folder_is_refused(nodes: Nodes) -> None:
    """It names the first one's process; the first goes on."""
    done = subprocess.run(
        [*yidao_command(), "run", "--data", str(nodes.root.folder)],
        capture_output=True,
        text=True,
        check=False,
        env=clean_environment(),
        timeout=60,
    )
    assert nodes.root.process is not None
    assert done.returncode == 2
    assert "DATA_DIR_LOCKED" in done.stderr
    assert str(nodes.root.process.pid) in done.stderr
    assert nodes.root.running


def _parent_state(node: DemoNode) -> str:
    with node.client() as client:
        return next(peer.state for peer in client.status().peers if peer.role == "parent")


def _typed(arguments: list[str], typed: str, folder: Path) -> tuple[int, str]:
    """Run one command on a terminal, type, and return its exit code and what was shown."""
    upper, lower = pty.openpty()
    process = subprocess.Popen(
        [*yidao_command(), *arguments],
        stdin=lower,
        stdout=lower,
        stderr=lower,
        cwd=folder,
        env=clean_environment(),
    )
    os.close(lower)
    os.write(upper, typed.encode())
    shown = b""
    while True:
        try:
            data = os.read(upper, 4096)
        except OSError:
            break
        if not data:
            break
        shown += data
    os.close(upper)
    return process.wait(60), shown.decode()


def test_a_person_is_asked_four_questions(tmp_path: Path) -> None:
    """A wrong answer is asked again; an empty line takes the default."""
    code, shown = _typed(
        ["--lang", "en", "init", "--data", "node"],
        "\n样例市\nnonsense\n127.0.0.1:9000\ntest\n",
        tmp_path,
    )
    assert code == 0, shown
    questions = ("Bundle file", "Name of this office", "Address where", "Test network or real")
    assert [shown.count(question) for question in questions] == [1, 1, 2, 1]
    assert (tmp_path / "node" / "config.toml").read_text() == (
        'office_name = "样例市"\nlisten = "127.0.0.1:9000"\n'
        'join_listen = "127.0.0.1:9001"\ntest_network = true\n'
    )


def test_what_an_option_says_is_not_asked(tmp_path: Path) -> None:
    """With two options given, two questions are left; Enter twice is a network of one node."""
    code, shown = _typed(
        ["--lang", "en", "init", "--data", "node", "--name", "x", "--real"], "\n\n", tmp_path
    )
    assert code == 0, shown
    assert "Name of this office" not in shown
    assert "Test network or real" not in shown


def test_a_person_who_gives_up_leaves_nothing(tmp_path: Path) -> None:
    """Ctrl-D at a question ends it; no folder is made."""
    code, _ = _typed(["init", "--data", "node"], "\n\x04", tmp_path)
    assert code == 1
    assert not (tmp_path / "node").exists()


def test_a_script_is_never_asked(tmp_path: Path) -> None:
    """Without a terminal the defaults stand, and one node alone needs no more to run."""
    node = _node(tmp_path, "node", "/")
    listen = ("--listen", f"127.0.0.1:{node.link_port}")
    done = subprocess.run(
        [*yidao_command(), "init", "--data", str(node.folder), *listen],
        capture_output=True,
        text=True,
        check=True,
        stdin=subprocess.DEVNULL,
        env=clean_environment(),
        timeout=60,
    )
    assert "?" not in done.stdout
    assert f":{node.link_port + 1}" in (node.folder / "config.toml").read_text()


def test_an_idle_daemon_loads_nothing_that_it_does_not_need(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One node alone, with all defaults: no workbooks, migrations, web or metrics in memory."""
    node = _node(tmp_path, "node", "/")
    listen = ("--listen", f"127.0.0.1:{node.link_port}")
    run_yidao("init", "--data", str(node.folder), *listen)
    # The first start makes the store, for which the migrations are needed.
    node.start()
    node.stop()
    monkeypatch.setenv("PYTHONPROFILEIMPORTTIME", "1")
    node.start()
    node.stop()
    loaded = {
        line.rpartition("|")[2].strip().split(".")[0]
        for line in node.log.read_text().splitlines()
        if line.startswith("import time:")
    }
    assert {"grpc", "sqlalchemy"} <= loaded
    assert not loaded & {
        *("openpyxl", "alembic", "nicegui", "fastapi", "uvicorn", "prometheus_client"),
        *("pandas", "pyarrow", "httpx"),
    }
