"""What all tests share: Hypothesis, how new stores are made and how commands are started."""

import os
from collections.abc import Iterator

import pytest
from hypothesis import settings

from tests.forks import forking
from tests.templates import copied_sqlite_stores

# A busy machine makes an example slow without making it wrong. Where a result decides about a
# change, equal code must give an equal result; elsewhere every run looks for new examples.
settings.register_profile("project", deadline=None, derandomize=bool(os.environ.get("CI")))
settings.load_profile("project")


@pytest.fixture(scope="session", autouse=True)
def copied_stores(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """New SQLite stores are copies of one that the migrations made."""
    with copied_sqlite_stores(tmp_path_factory.mktemp("template")):
        yield


@pytest.fixture(scope="session", autouse=True)
def forked_commands() -> Iterator[None]:
    """Commands of trees are forks of one process, which starts with the first of them."""
    with forking():
        yield
