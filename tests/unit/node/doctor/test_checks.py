"""Each usual fault of a node's own house, made, and named with a next step."""

import base64
import secrets
import socket
import sqlite3
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import orjson
import pytest
from google.protobuf.internal import api_implementation
from sqlalchemy import insert, update

from yidao.node import clock, datadir
from yidao.node.client import Peer, Status
from yidao.node.clock import system_clock_ms, utc
from yidao.node.demo.tree import free_ports
from yidao.node.doctor import checks, errors, machine, storecheck
from yidao.node.doctor.diagnosis import diagnose
from yidao.node.keys import CA_KEY, JOURNAL_KEY, TLS_KEY, KeyFolder
from yidao.node.link.founding import record_founding
from yidao.node.messages import LANGUAGES, message
from yidao.node.setup import found
from yidao.node.store import tables
from yidao.node.store.store import Store

NOW_MS = system_clock_ms()


class House:
    """A founded root that has run once."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        link, join = free_ports(2)
        found(folder, {"listen": f"127.0.0.1:{link}", "join_listen": f"127.0.0.1:{join}"})
        with self.store() as store:
            keys = KeyFolder(folder)
            record_founding(store, keys, keys.load_identity())

    def store(self) -> "Opened":
        return Opened(self.folder)

    def set(self, line: str) -> None:
        with (self.folder / "config.toml").open("a") as file:
            file.write(line + "\n")

    def codes(self) -> dict[str, str]:
        """What the doctor finds, by check; each with a text in both languages."""
        findings = checks.examine(self.folder, wait=lambda _seconds: None)
        for finding in findings:
            for language in LANGUAGES if finding.code else ():
                told = message(finding.code, finding.params, language)
                assert told.hint
                assert "\n" not in told.text
        return {finding.check: finding.code for finding in findings if finding.code}


class Opened:
    """The node's store, open for a moment."""

    def __init__(self, folder: Path) -> None:
        self._store = Store.open(
            f"sqlite:///{folder}/store.db",
            clock_ms=lambda: NOW_MS,
            random=secrets.token_bytes,
        )
        self._store.bind(KeyFolder(folder).load_identity())
        self._store.start()

    def __enter__(self) -> Store:
        return self._store

    def __exit__(self, *_: object) -> None:
        self._store.close()


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path / "node")


#: A node that does not run is a finding of its own, beside the one that a test makes.
STOPPED = {"daemon": "NODE_NOT_RUNNING"}


def test_a_sound_node_that_is_stopped_is_only_that(house: House) -> None:
    """Nothing else is found, and nothing is changed."""
    before = sorted(each.name for each in house.folder.iterdir())
    assert house.codes() == STOPPED
    assert {*before} <= {each.name for each in house.folder.iterdir()}


def _expose_folder(house: House) -> None:
    house.folder.chmod(0o755)


def _expose_key(house: House) -> None:
    (house.folder / "keys" / TLS_KEY).chmod(0o644)


def _lose_key(house: House) -> None:
    (house.folder / "keys" / JOURNAL_KEY).unlink()


def _misspell(house: House) -> None:
    house.set('lisen = "127.0.0.1:1"')


def _everywhere(house: House) -> None:
    file = house.folder / "config.toml"
    file.write_text(file.read_text().replace("127.0.0.1", "0.0.0.0"))


def _another_machine(house: House) -> None:
    house.set('metrics_listen = "192.0.2.77:9000"')


def _damage_database(house: House) -> None:
    (house.folder / "store.db").write_bytes(b"no database" * 1000)


def _grow_wal(house: House) -> None:
    with (house.folder / "store.db-wal").open("wb") as file:
        file.truncate(600 * 1024 * 1024)


def _stall(house: House) -> None:
    with house.store() as store:
        store.run(lambda tx: tx.raise_problem("PROJECTION_STALLED", name="returns", error="X"))


def _quarantine(house: House) -> None:
    with house.store() as store:
        journal = tables.journal
        store.run(
            lambda tx: tx.conn.execute(
                update(journal).values(quarantine_code="SEAL_ROOT", quarantined_at_seq=4)
            )
        )


FAULTS: dict[str, tuple[Callable[[House], None], dict[str, str]]] = {
    "others may enter the folder": (_expose_folder, {"folder": "DATA_DIR_EXPOSED"}),
    "others may read a key": (
        _expose_key,
        {"certificate": "KEY_FILE_EXPOSED", **STOPPED, "parent": ""},
    ),
    "a key is lost": (_lose_key, {"keys": "KEY_FILE_MISSING", **STOPPED}),
    "a setting is misspelt": (_misspell, {"settings": "CONFIG_KEY_UNKNOWN"}),
    "bundles would name 0.0.0.0": (_everywhere, {"addresses": "ADDRESS_UNSEEN", **STOPPED}),
    "an address is another machine's": (_another_machine, {"ports": "ADDRESS_NOT_OURS", **STOPPED}),
    "the database is damaged": (_damage_database, {"database": "DATABASE_DAMAGED", **STOPPED}),
    "a projection stands still": (_stall, {"problems": "PROJECTION_STALLED", **STOPPED}),
    "a journal is quarantined": (_quarantine, {"journals": "JOURNAL_QUARANTINED", **STOPPED}),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_has_its_cause(house: House, name: str) -> None:
    """One line that names it, one that says what to do."""
    make, expected = FAULTS[name]
    make(house)
    codes = house.codes()
    assert {**codes, **{k: v for k, v in expected.items() if v}} == codes
    assert set(codes) <= {*expected, "parent", "keys"}


def test_a_wal_that_has_grown_is_named(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its size is compared with what a checkpoint every few minutes leaves."""
    _grow_wal(house)
    monkeypatch.setattr(sqlite3, "connect", lambda *_args, **_more: _Whole())
    with pytest.raises(errors.WalTooLarge) as grown:
        storecheck.check_file(house.folder / "store.db")
    assert grown.value.params["size_mib"] == 600


class _Whole:
    """A database that finds itself whole."""

    def execute(self, _statement: str) -> "_Whole":
        return self

    def fetchone(self) -> tuple[str]:
        return ("ok",)

    def close(self) -> None:
        pass


def test_a_port_in_use_is_named(house: House) -> None:
    """Only where no daemon runs, since a daemon uses it itself."""
    settings = checks.load(house.folder)
    host, _, port = settings.listen.rpartition(":")
    with socket.create_server((host, int(port))):
        assert house.codes() == {"ports": "LINK_PORT_TAKEN", **STOPPED}


def test_a_daemon_that_holds_the_folder_and_is_silent_is_named(house: House) -> None:
    """The lock tells that it lives, the socket that it does not answer; a second one is refused."""
    with datadir.FolderLock.take(house.folder):
        assert house.codes() == {"daemon": "NODE_SILENT"}


CLOCKS = {
    "the battery is empty": (timedelta(days=-20_000), {"clock": "CLOCK_BEFORE_BUILD"}),
    "the clock is a month behind": (
        timedelta(days=-30),
        {"certificate": "CERTIFICATE_NOT_YET_VALID"},
    ),
    "the certificate has a week left": (
        timedelta(days=25),
        {"certificate": "CERTIFICATE_ENDS_SOON"},
    ),
    "the certificate has ended": (timedelta(days=60), {"certificate": "CERTIFICATE_ENDED"}),
}


@pytest.mark.parametrize("name", CLOCKS)
def test_the_clock_and_the_certificate(name: str, tmp_path: Path) -> None:
    """What is wrong is told from the clock that the machine has."""
    found(tmp_path / "node", {})
    folder = KeyFolder(tmp_path / "node")
    shift, expected = CLOCKS[name]
    now = utc(NOW_MS) + shift
    ((check, code),) = expected.items()
    if check == "clock":
        with pytest.raises(Exception, match=code):
            clock.check_clock(int(now.timestamp() * 1000))
        return
    with pytest.raises(Exception, match=code):
        machine.check_certificate(folder, now)


def test_a_nearly_full_disk_is_named(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the room that is left and the room that is needed."""
    monkeypatch.setattr(machine, "_FREE_BYTES", 1 << 60)
    assert house.codes() == {"disk": "DISK_NEARLY_FULL", **STOPPED}


def test_a_slow_protobuf_parser_is_named(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its limits are not those that are relied on."""
    monkeypatch.setattr(api_implementation, "Type", lambda: "python")
    assert house.codes() == {"libraries": "LIBRARY_UNFIT", **STOPPED}


def test_a_socket_path_that_is_too_long_is_named(tmp_path: Path) -> None:
    """Before the daemon fails on it."""
    assert House(tmp_path / ("n" * 100)).codes()["socket"] == "SOCKET_PATH_TOO_LONG"


def test_parts_that_wait_are_a_finding_only_if_they_stay(house: House) -> None:
    """The oldest lot is looked at twice."""
    with house.store() as store:
        store.run(
            lambda tx: tx.conn.execute(
                insert(tables.parked_parts).values(journal_id=1, seq=1, blob=b"x")
            )
        )
    with storecheck.opened(checks.load(house.folder)) as connection:
        count, oldest = storecheck.parked(connection)
    assert count == 1
    with pytest.raises(errors.RecordsParked):
        checks.check_parked((count, oldest), (count, oldest))
    checks.check_parked((count, oldest), (2, oldest + 1))
    checks.check_parked((0, 0), (1, 1))


def _status(lag: int, state: str = "connected") -> Status:
    peer = Peer(
        node_id=b"n",
        path="/33",
        role="child",
        state=state,
        lag=lag,
        last_seen_ms=0,
        next_retry_ms=0,
    )
    return Status(
        network=b"",
        node_id=b"",
        path="/",
        epoch="1",
        state="active",
        last_position=0,
        applied_position=0,
        records=0,
        peers=(peer,),
        problems=(),
        journals=(),
        durability="",
        version="",
        receipts_current=0,
        receipts_expected=0,
    )


def test_lag_is_a_finding_only_if_it_grows_on_a_line_that_is_up() -> None:
    """What shrinks is catching up; behind a cut line everything waits."""
    with pytest.raises(errors.LagGrowing):
        checks.check_lag(_status(5), _status(9))
    checks.check_lag(_status(9), _status(5))
    checks.check_lag(_status(0), _status(5))
    checks.check_lag(_status(5, "lost"), _status(9, "lost"))


def test_a_postgresql_that_does_not_answer_is_named_without_its_password(house: House) -> None:
    """Address and a word for the reason; nothing of the URL."""
    port = free_ports(1)[0]
    house.set(f'database_url = "postgresql://yidao:sample-password@127.0.0.1:{port}/yidao"')
    findings = checks.examine(house.folder)
    found_it = next(each for each in findings if each.check == "database")
    assert found_it.code == "POSTGRESQL_UNREACHABLE"
    assert found_it.params == {"address": f"127.0.0.1:{port}", "reason": "REFUSED"}


@pytest.fixture
def planted(house: House) -> tuple[House, list[str]]:
    """A node with secrets in every place that a bundle is made from, and what they are."""
    log = house.folder / "yidao.log"
    house.set('database_url = "postgresql://yidao:db-password-9@127.0.0.1:1/x?password=qp-7777777"')
    house.set('proxy = "http://li:proxy%2Fword8@127.0.0.1:3128"')
    house.set(f'log_file = "{log}"')
    planted = ["db-password-9", "qp-7777777", "proxy%2Fword8", "proxy/word8"]
    for name in (CA_KEY, TLS_KEY, JOURNAL_KEY):
        pem = (house.folder / "keys" / name).read_text()
        body = "".join(pem.splitlines()[1:-1])
        planted += [body, *pem.splitlines()[1:-1], base64.b64decode(body).hex()]
    seed = base64.b64decode(planted[-2])[-32:]
    planted += [seed.hex(), base64.b64encode(seed).decode()]
    lines = [f"somebody logged {each}" for each in planted]
    lines += [
        "authorization: Bearer bearer-value-6",
        "password=plain-value-5 x",
        '"token": "t-val-4"',
    ]
    lines.append("node.daemon.started path=/")
    planted += ["bearer-value-6", "plain-value-5", "t-val-4"]
    log.write_text("\n".join(lines))
    return house, planted


def test_the_bundle_holds_what_helps_and_no_secret(planted: tuple[House, list[str]]) -> None:
    """Keys, passwords and tokens are in no form anywhere in its bytes."""
    house, secret = planted
    bundle = diagnose(house.folder, checks.examine(house.folder))
    assert [each for each in secret if each.encode() in bundle] == []
    assert b"PRIVATE KEY" not in bundle
    said = orjson.loads(bundle)
    assert said["settings"]["database_url"] == "postgresql://127.0.0.1:1/x"
    assert said["settings"]["proxy"] == "http://127.0.0.1:3128"
    assert said["log"][-1] == "node.daemon.started path=/"
    assert said["identity"]["path"] == "/"
    assert {each["check"] for each in said["checks"]} > {"clock", "database"}
    assert {"name": "keys/tls.key", "mode": "0600"}.items() <= next(
        each for each in said["files"] if each["name"] == "keys/tls.key"
    ).items()


def test_the_bundle_counts_the_rows_of_the_store(house: House) -> None:
    """Tables with their sizes, the schema's revision, open problems with their params."""
    _stall(house)
    store = orjson.loads(diagnose(house.folder, ()))["store"]
    assert store["rows"]["problem"] == 1
    assert store["rows"]["alembic_version"] == 1
    assert store["revision"]
    assert store["problems"][0]["code"] == "PROJECTION_STALLED"


def test_a_folder_without_a_node_still_gives_a_bundle(tmp_path: Path) -> None:
    """Where little is there, little is said, and nothing fails."""
    folder = datadir.prepare(tmp_path / "empty")
    said = orjson.loads(diagnose(folder, checks.examine(folder)))
    assert said["identity"]["error"]
    assert said["store"] == {"error": "NEVER_RAN"}
