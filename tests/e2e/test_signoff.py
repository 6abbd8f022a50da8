"""Three leaders and their keys: two of them sign, the parent accepts, a court verifies it."""

import json
import subprocess
from collections.abc import Callable, Iterator
from hashlib import sha256
from importlib.resources import files
from pathlib import Path

import pytest

from yidao.catalog.codes import sample_uscc
from yidao.node.approverkeys import new_key, open_key
from yidao.node.client import ClientError, Row
from yidao.node.demo.tree import (
    DemoNode,
    clean_environment,
    free_ports,
    run_yidao,
    wait_until,
    yidao_command,
)
from yidao.sync.signoff import Approver, Signature, batch_text, policy_text
from yidao.sync.signofffile import (
    BATCH_FORMAT,
    SignatureFile,
    approver_file,
    format_of,
    open_approver_file,
    open_batch_file,
    open_policy_file,
)

pytestmark = pytest.mark.e2e

PASSPHRASE = "four sample words here"
PERIOD = "2025-Q2"


class Pair:
    """A root and a province that joins it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        ports = free_ports(4)
        self.root = self._node("root", "/", ports[:2])
        run_yidao("init", "--data", str(self.root.folder), *self._listen(self.root))
        self.root.start()
        bundle = folder / "join.bundle"
        with self.root.client() as client:
            bundle.write_bytes(client.add_child("33", ttl_seconds=600, operator="admin@/"))
        bundle.chmod(0o600)
        self.province = self._node("province", "/33", ports[2:])
        data = ("--data", str(self.province.folder))
        run_yidao("join", str(bundle), *data, *self._listen(self.province))
        self.province.start()

    def stop(self) -> None:
        self.province.stop()
        self.root.stop()

    def at(self, node: DemoNode, *words: str, expect: int = 0) -> str:
        """Run a verb of `yidao signoff` at a node."""
        return run_yidao("signoff", *words, "--data", str(node.folder), expect=expect)

    def _node(self, name: str, path: str, ports: list[int]) -> DemoNode:
        folder = self.folder / name
        return DemoNode(name=name, path=path, folder=folder, link_port=ports[0], join_port=ports[1])

    def _listen(self, node: DemoNode) -> tuple[str, ...]:
        return (
            *("--listen", f"127.0.0.1:{node.link_port}"),
            *("--join-listen", f"127.0.0.1:{node.join_port}"),
        )


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[Pair]:
    made = Pair(tmp_path)
    try:
        yield made
    finally:
        made.stop()


def typed(*words: str, passphrase: str = PASSPHRASE) -> subprocess.CompletedProcess[str]:
    """Run a command on an approver's machine, which gets the passphrase."""
    return subprocess.run(
        [*yidao_command(), *words, "--passphrase-stdin"],
        input=passphrase + "\n",
        capture_output=True,
        text=True,
        check=False,
        env=clean_environment(),
    )


class Leader:
    """An approver whose key lies in a file of theirs; only the first one types commands."""

    def __init__(self, folder: Path, name: str) -> None:
        self.actor = f"{name}@/33"
        self.key = folder / f"{name}.pem"
        pem, public = new_key(sha256(name.encode()).digest(), bytes(16), PASSPHRASE)
        self.key.write_bytes(pem)
        self.person = Approver(actor=self.actor, name="样例", key=public)
        Path(f"{self.key}.pub").write_bytes(approver_file(self.person))

    def sign(self, data: bytes) -> bytes:
        """Sign a file as `yidao signoff sign` does."""
        signer = open_key(self.key.read_bytes(), PASSPHRASE)
        if format_of(data) == BATCH_FORMAT:
            batch = open_batch_file(data)
            statement, seqs = batch.statement, tuple(each.seq for each in batch.returns)
            text = batch_text(statement, 1_795_000_000)
        else:
            statement, seqs = open_policy_file(data).statement, ()
            text = policy_text(statement, 1_795_000_000)
        made = Signature(key=signer.public_key, time_s=1_795_000_000, signature=signer.sign(text))
        return SignatureFile(statement=statement, seqs=seqs, signature=made).encode()


def sign(file: Path, key: Path) -> bytes:
    """Sign by the command line."""
    out = file.with_name(f"{file.name}.sig")
    done = typed("signoff", "sign", str(file), "--key", str(key), "--out", str(out), "--yes")
    assert done.returncode == 0, done.stderr
    return out.read_bytes()


def hand_in(pair: Pair) -> None:
    """Publish the standard, register two units, hand their returns in."""
    with pair.root.client() as client:
        pack = (files("yidao.catalog") / "packs" / "energy-2022.yaml").read_bytes()
        client.publish_pack(pack, actor="sample@/")
    with pair.province.client() as client:
        wait_until("the standard is here", lambda: bool(client.packs()))
        rows = []
        for index in range(2):
            unit = {"uscc": sample_uscc(index, "330106")}
            entry = {"name": f"样例单位{index}", "region_code": "330106", "inst_type": "01"}
            rows.append(Row.of("institution", unit | entry | {"reg_status": "1"}))
            figures = {"period": PERIOD, "floor_area": "1000.00", "energy_users": 50}
            rows.append(Row.of("profile", unit | figures, period=PERIOD))
        done = client.submit("energy", rows, actor="sample@/33")
        assert {each.outcome for each in done.results} == {"submitted"}


def appoint(pair: Pair, leaders: list[Leader]) -> None:
    """Name the leaders at the province; the root files them and demands their signatures."""
    policy = pair.folder / "policy.json"
    people = [word for each in leaders for word in ("--approver", f"{each.key}.pub")]
    who = ("--threshold", "2", "--actor", "ting@/33", "--out", str(policy))
    pair.at(pair.province, "policy", "propose", *people, *who)
    signatures = [each.sign(policy.read_bytes()) for each in leaders[1:]]
    signatures.append(sign(policy, leaders[0].key))
    with pair.province.client() as client:
        assert refused(lambda: client.confirm_policy(actor="ting@/33", files=signatures)) == (
            "SIGNOFF_ONE_PERSON"
        )
        client.confirm_policy(actor="chu@/33", files=signatures)
    with pair.root.client() as client:
        # The proposal comes first; only what was confirmed has a base, and can be filed.
        wait_until(
            "the root knows it confirmed",
            lambda: any(each.base for each in client.signoff(path="/33").policies),
        )
        client.file_policy(actor="shen@/", digest=client.signoff(path="/33").policies[0].base)
        client.demand_signoff(actor="shen@/", scope="energy/profile")


def refused(call: Callable[[], object]) -> str:
    with pytest.raises(ClientError) as told:
        call()
    return told.value.code


def test_a_key_is_made_behind_a_passphrase(tmp_path: Path) -> None:
    """In a file of its owner alone, encrypted; a short passphrase makes none."""
    key = tmp_path / "sun.pem"
    words = ("approver", "key", "new", str(key), "--actor", "sun@/33", "--name", "样例")
    assert "PASSPHRASE_TOO_SHORT" in typed(*words, passphrase="short").stderr
    assert typed(*words).returncode == 0
    assert key.stat().st_mode & 0o777 == 0o600
    assert b"ENCRYPTED" in key.read_bytes()
    assert open_approver_file(Path(f"{key}.pub").read_bytes()).actor == "sun@/33"


def test_two_of_three_leaders_sign_and_the_parent_accepts(pair: Pair, tmp_path: Path) -> None:
    """Policy by two persons, filing and demand; refused before, accepted after, proved."""
    leaders = [Leader(tmp_path, name) for name in ("sun", "qian", "zhao")]
    appoint(pair, leaders)
    hand_in(pair)
    with pair.root.client() as client:
        wait_until("the returns are there", lambda: bool(client.signoff().waiting))
        [first, _] = client.returns(form="profile", waiting=True).returns
        assert client.unsigned([first.record_id]) == {first.record_id}
        accept = {"actor": "wang@/", "decision": "accept"}
        assert refused(lambda: client.review(record_ids=[first.record_id], **accept)) == (
            "SIGNOFF_MISSING"
        )
        sign_off(pair, leaders)
        wait_until("the root holds the sign-off", lambda: bool(client.signoff().batches))
        assert client.review(form="profile", **accept).reviewed == 2
        evidence = client.export_return_evidence(unit=first.unit, form="profile", period=PERIOD)
    file = tmp_path / "evidence.zip"
    file.write_bytes(evidence)
    pem = str(pair.root.folder / "keys" / "root.pem")
    facts = json.loads(run_yidao("evidence", "verify", str(file), "--root", pem, "--json"))
    signed = facts["versions"][0]["signed_off"]
    assert sorted(each["actor"] for each in signed["signers"]) == ["sun@/33", "zhao@/33"]
    assert (signed["threshold"], signed["approvers"], signed["filed_by"]) == (2, 3, "shen@/")


def sign_off(pair: Pair, leaders: list[Leader]) -> None:
    """Prepare, look, sign: a wrong passphrase, nobody who said yes, and one leader twice fail."""
    batch = pair.folder / "batch.json"
    choice = ("--form", "profile", "--period", PERIOD, "--actor", "ting@/33")
    pair.at(pair.province, "prepare", *choice, "--out", str(batch))
    shown = run_yidao("signoff", "show", str(batch))
    assert "2000.00" in shown
    assert sample_uscc(1, "330106") in shown
    key = str(leaders[0].key)
    wrong = typed("signoff", "sign", str(batch), "--key", key, "--yes", passphrase="x")
    assert "APPROVER_KEY_UNUSABLE" in wrong.stderr
    unasked = typed("signoff", "sign", str(batch), "--key", key)
    assert "SIGNATURE_UNCONFIRMED" in unasked.stderr
    one, other = sign(batch, leaders[0].key), leaders[2].sign(batch.read_bytes())
    with pair.province.client() as client:
        assert refused(lambda: client.submit_signoff(actor="ting@/33", files=[one, one])) == (
            "SIGNOFF_TOO_FEW"
        )
        client.submit_signoff(actor="ting@/33", files=[one, other])
        assert client.signoff().waiting == ()
