"""The doctor and its bundle on both databases, with a real server behind one of them."""

import secrets
from collections.abc import Callable
from pathlib import Path

import orjson
import pytest
from sqlalchemy.engine import make_url

from yidao.node.clock import system_clock_ms
from yidao.node.config import load_settings
from yidao.node.doctor import checks, errors, storecheck
from yidao.node.doctor.diagnosis import diagnose
from yidao.node.keys import KeyFolder
from yidao.node.link.founding import record_founding
from yidao.node.setup import found
from yidao.node.store.store import Store


def test_the_store_is_looked_into_on_either_database(
    new_url: Callable[[], str], tmp_path: Path
) -> None:
    """No fault is found but that no daemon runs; tables and revision are in the bundle."""
    folder = tmp_path / "node"
    url = new_url()
    on_server = url.startswith("postgresql")
    found(folder, {"database_url": url} if on_server else {})
    keys = KeyFolder(folder)
    store = Store.open(
        url if on_server else f"sqlite:///{folder}/store.db",
        clock_ms=system_clock_ms,
        random=secrets.token_bytes,
    )
    store.bind(keys.load_identity())
    store.start()
    record_founding(store, keys, keys.load_identity())
    store.close()
    findings = checks.examine(folder)
    wrong = {each.check for each in findings if each.code}
    assert wrong <= {"daemon", "ports"}
    said = orjson.loads(diagnose(folder, findings))["store"]
    assert said["rows"]["segment"] == 1
    assert said["revision"]
    assert said["problems"] == []


def test_a_server_that_knows_no_such_database_says_so(
    postgresql: Callable[[], str], tmp_path: Path
) -> None:
    """The reason is one word; nothing of the driver's sentence goes on."""
    url = make_url(postgresql()).set(database="sample_missing")
    settings = load_settings(
        None, {}, data_dir=tmp_path, database_url=url.render_as_string(hide_password=False)
    )
    with (
        pytest.raises(errors.PostgresqlUnreachable) as refused,
        storecheck.opened(settings),
    ):
        pass
    assert refused.value.params["reason"] == "DATABASE_OR_ROLE_MISSING"
