"""`yidao user`, `token`, `approval` and `policy`, verb by verb, at a node on a socket."""

import json
import stat
from collections.abc import Iterator
from pathlib import Path as FilePath
from typing import Any

import pytest
from typer.testing import CliRunner

from tests.unit.node.api.offices import FIRST, OWN, Office
from yidao.node.cli import files
from yidao.node.cli.commands import app
from yidao.node.cli.connection import PURPOSE, TOKEN_FILE


class Shell:
    """Types commands at a node."""

    def __init__(self, office: Office) -> None:
        self.office = office
        self.runner = CliRunner()
        self.environment: dict[str, str] = {}

    def type(self, *words: str, typed: str = "", expect: int = 0, to_node: bool = True) -> str:
        data = ("--data", str(self.office.folder)) if to_node else ()
        done = self.runner.invoke(app, [*words, *data], input=typed, env=self.environment)
        assert done.exit_code == expect, done.output
        return done.output

    def json(self, *words: str, typed: str = "", to_node: bool = True) -> Any:
        told = self.type(*words, "--json", typed=typed, to_node=to_node)
        return json.loads(told[told.index("{") :])

    def refused(self, *words: str, typed: str = "", to_node: bool = True) -> str:
        """Give the code of the error."""
        data = ("--data", str(self.office.folder)) if to_node else ()
        done = self.runner.invoke(app, [*words, *data, "--json"], input=typed, env=self.environment)
        assert done.exit_code, done.output
        return str(json.loads(done.output[done.output.index("{") :])["error"])

    def become(self, file: FilePath | None, purpose: str = "") -> None:
        self.environment = {} if file is None else {TOKEN_FILE: str(file)}
        if purpose:
            self.environment[PURPOSE] = purpose


@pytest.fixture
def shell(tmp_path: FilePath) -> Iterator[Shell]:
    """A node of a test network."""
    office = Office(tmp_path)
    yield Shell(office)
    office.close()


def test_a_user_is_added_changed_disabled_and_listed(shell: Shell) -> None:
    """Each verb tells what is so now; a name that is there is not added again."""
    told = shell.json(
        *("user", "add", "li", "--role", "filler", "--title", "样例填报人", "--password-stdin"),
        typed=f"{FIRST}\n",
    )
    assert (told["name"], told["roles"], told["must_change_password"]) == ("li", ["filler"], True)
    again = ("user", "add", "li", "--role", "filler", "--password-stdin")
    assert shell.refused(*again, typed="x\n") == "USER_EXISTS"
    assert shell.json("user", "roles", "li", "--role", "reviewer")["roles"] == ["reviewer"]
    assert shell.json("user", "disable", "li")["disabled"]
    assert not shell.json("user", "disable", "li", "--undo")["disabled"]
    assert [each["title"] for each in shell.json("user", "list")["users"]] == ["样例填报人"]
    assert "样例填报人" in shell.type("user", "list")
    assert shell.refused("user", "roles", "ghost", "--role", "filler") == "USER_UNKNOWN"
    reset = ("user", "reset-password", "li", "--password-stdin")
    assert shell.refused(*reset, typed="x\n") == "PASSWORD_WEAK"


def test_a_lock_ends_and_a_password_is_reset(shell: Shell) -> None:
    """And the audit tells both, newest first, by user and event."""
    office = shell.office
    office.add("li", "filler")
    for _ in range(5):
        with pytest.raises(Exception, match="SIGN_IN_REFUSED"):
            office.machine.sign_in("li", "Sample-wrong1")
    assert shell.json("user", "list")["users"][0]["locked_until_ms"] > 0
    assert shell.json("user", "unlock", "li")["locked_until_ms"] == 0
    reset = shell.json("user", "reset-password", "li", "--password-stdin", typed="Sample-third-3\n")
    assert reset["must_change_password"]
    entries = shell.json("user", "audit", "--event", "access.user", "--user", "li")["entries"]
    assert [each["event"] for each in entries][:2] == ["access.user.unlocked", "access.user.locked"]
    assert "access.password.reset" in shell.type("user", "audit", "--limit", "5")


def test_a_person_signs_in_works_and_signs_out(shell: Shell, tmp_path: FilePath) -> None:
    """The token lies in a file that only they read; without it a command is not theirs."""
    shell.json(*("user", "add", "li", "--role", "filler", "--password-stdin"), typed=f"{FIRST}\n")
    first, second = tmp_path / "first", tmp_path / "second"
    told = shell.json(
        "user", "sign-in", "li", "--out", str(first), "--password-stdin", typed=f"{FIRST}\n"
    )
    assert told["must_change_password"]
    assert stat.S_IMODE(first.stat().st_mode) == 0o600
    shell.become(first)
    shell.json("user", "change-password", "--password-stdin", typed=f"{FIRST}\n{OWN}\n")
    told = shell.json("user", "whoami")
    assert told["actor"] == "li@/"
    assert "reporting.submit" in told["permissions"]
    assert shell.refused("user", "list") == "PERMISSION_DENIED"
    shell.json("user", "sign-out")
    assert shell.refused("user", "whoami") == "SESSION_ENDED"
    shell.become(tmp_path / "nothing")
    assert shell.refused("user", "whoami") == "TOKEN_FILE_UNREADABLE"
    shell.become(None)
    assert shell.json("user", "whoami")["actor"] == ""
    # With a key, which is in a file of its own.
    key = tmp_path / "li.key"
    shell.json("user", "sign-in", "li", "--out", str(second), "--password-stdin", typed=f"{OWN}\n")
    made = shell.json("user", "key", "new", "--out", str(key), to_node=False)
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    new = ("user", "key", "new", "--out", str(key))
    held = key.read_bytes()
    assert shell.refused(*new, to_node=False) == "OUTPUT_FILE_UNWRITABLE"
    assert key.read_bytes() == held
    shell.become(second)
    told = shell.json("user", "key", "register", "--key", str(key))
    assert told["public_key"] == made["public_key"]
    shell.become(None)
    third = str(tmp_path / "third")
    sign_in = ("user", "sign-in", "li", "--password-stdin")
    assert shell.refused(*sign_in, "--out", third, typed=f"{OWN}\n") == "SIGN_IN_REFUSED"
    shell.json(*sign_in, "--out", third, "--key", str(key), typed=f"{OWN}\n")
    shell.json("user", "key", "remove", "li")
    shell.json(*sign_in, "--out", f"{third}-2", typed=f"{OWN}\n")


def test_a_program_gets_a_token_uses_it_and_loses_it(shell: Shell, tmp_path: FilePath) -> None:
    """The secret is told once, or goes into a file."""
    shell.office.add("li", "filler")
    file = tmp_path / "program"
    new = ("token", "new", "--for", "li", "--scope", "reporting.read", "--title", "样例程序")
    told = shell.json(*new, "--form", "energy/profile", "--days", "7", "--out", str(file))
    assert "secret" not in told
    assert told["forms"] == ["energy/profile"]
    assert shell.json(*new)["secret"].startswith("yidao_")
    shell.become(file, purpose="样例核查")
    who = shell.json("user", "whoami")
    assert (who["actor"], who["token_id"]) == ("li@/", told["id"])
    shell.become(None)
    listed = shell.json("token", "list")["tokens"]
    assert {each["title"] for each in listed} == {"样例程序"}
    assert told["id"] in shell.type("token", "list")
    assert shell.json("token", "revoke", told["id"])["revoked_ms"]
    shell.become(file)
    assert shell.refused("user", "whoami") == "TOKEN_REVOKED"


def test_no_token_is_given_that_cannot_be_kept(shell: Shell, tmp_path: FilePath) -> None:
    """A file that is there, dangling or in no folder is refused before the node is asked."""
    shell.office.add("li", "filler")
    taken, dangling = tmp_path / "taken", tmp_path / "dangling"
    taken.write_text("样例\n")
    dangling.symlink_to(tmp_path / "nowhere")
    new = ("token", "new", "--for", "li", "--scope", "reporting.read", "--out")
    for out in (taken, dangling, tmp_path / "no folder" / "token"):
        assert shell.refused(*new, str(out)) == "OUTPUT_FILE_UNWRITABLE"
        # The password would be refused, were it asked for.
        sign_in = ("user", "sign-in", "li", "--password-stdin", "--out", str(out))
        assert shell.refused(*sign_in, typed="x\n") == "OUTPUT_FILE_UNWRITABLE"
    assert shell.json("token", "list")["tokens"] == []
    assert taken.read_text() == "样例\n"


def test_a_file_that_appears_meanwhile_is_not_overwritten(
    shell: Shell, tmp_path: FilePath, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The secret is lost then, but by a typed error, and the other file is whole."""
    shell.json(*("user", "add", "li", "--role", "filler", "--password-stdin"), typed=f"{FIRST}\n")
    monkeypatch.setattr(files, "check_new", lambda path: None)
    taken = tmp_path / "taken"
    taken.write_text("样例\n")
    new = ("token", "new", "--for", "li", "--scope", "reporting.read", "--out", str(taken))
    assert shell.refused(*new) == "OUTPUT_FILE_UNWRITABLE"
    sign_in = ("user", "sign-in", "li", "--password-stdin", "--out", str(taken))
    assert shell.refused(*sign_in, typed=f"{FIRST}\n") == "OUTPUT_FILE_UNWRITABLE"
    assert taken.read_text() == "样例\n"


def test_the_policy_is_shown_and_set(shell: Shell) -> None:
    """Line by line; a line that is none is refused before the node is asked."""
    assert shell.json("policy", "show")["set_by"] == ""
    rule = "4 role:reviewer show 样例核查"
    told = shell.json("policy", "set", "--rule", rule, "--rule", "3 token refuse")
    assert [each["outcome"] for each in told["rules"]] == ["show", "refuse"]
    assert "role:reviewer" in shell.type("policy", "show")
    shell.type("policy", "set", "--rule", "show me", expect=2)
    assert shell.refused("policy", "set", "--rule", "2 * show") == "POLICY_INVALID"
    assert shell.json("approval", "list")["requests"] == []
    for decision in ("approve", "refuse"):
        assert shell.refused("approval", decision, "00") == "REQUEST_UNKNOWN"


def test_a_person_is_added_without_a_role(shell: Shell) -> None:
    """As the administrator of a real network must, who gives none; another one does."""
    told = shell.json("user", "add", "newcomer", "--password-stdin", typed=f"{FIRST}\n")
    assert (told["name"], told["roles"]) == ("newcomer", [])
    told = shell.json("user", "roles", "newcomer", "--role", "viewer")
    assert told["roles"] == ["viewer"]
