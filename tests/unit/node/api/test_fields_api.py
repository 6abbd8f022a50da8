"""Every call that shows rows asks the one policy: secrets are looked for in all answers."""

import importlib
import pkgutil
import zipfile
from collections.abc import Iterator
from importlib.resources import files
from io import BytesIO
from pathlib import Path as FilePath

import pytest
from google.protobuf.descriptor import Descriptor

import yidao.api.local.v1 as local_api
from tests.unit.node.affairs.signing import approvers, sign_policy
from tests.unit.node.api.offices import Office, refused
from yidao.catalog.codes import sample_uscc
from yidao.node.access.calls import RULES
from yidao.node.client import Client, ClientError, FieldRule, Row, Token
from yidao.sync.signofffile import open_batch_file

UNIT = sample_uscc(1, "330106")
#: Sample values (样例) of grade 3, of grade 4, and of a person; no other value contains them.
SECRETS = {"grade 3": "31337.55", "grade 4": "样例机密事项", "personal": "样例统计员甲"}
WHY = "样例核查"
_FIELDS = {
    "ups_capacity": "grade: 3, ",
    "note": "grade: 4, ",
}


def standard() -> bytes:
    """The sample standard, with two fields of the sizes graded 3 and 4."""
    text = (files("yidao.catalog") / "packs" / "energy-2022.yaml").read_text(encoding="utf-8")
    head, profile, rest = text.partition("  profile:\n")
    sizes, consumption, tail = rest.partition("  consumption:\n")
    for name, grade in _FIELDS.items():
        assert f"{{name: {name}, " in sizes
        sizes = sizes.replace(f"{{name: {name}, ", f"{{name: {name}, {grade}")
    return (head + profile + sizes + consumption + tail).encode()


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office]:
    """A node with one institution, its sizes, and people who read."""
    made = Office(tmp_path_factory.mktemp("fields"))
    try:
        fill(made)
        yield made
    finally:
        made.close()


def fill(made: Office) -> None:
    made.machine.publish_pack(standard(), actor="std@/")
    for name, roles, unit in (
        ("author", ("filler",), ""),
        ("clerk", ("filler",), ""),
        ("desk", ("filler",), UNIT),
        ("view", ("viewer",), ""),
        ("rev", ("reviewer",), ""),
        ("boss", ("approver",), ""),
    ):
        made.add(name, *roles, unit=unit)
    author = made.enter("author")
    register = {
        "uscc": UNIT,
        "name": "样例单位1",
        "region_code": "330106",
        "inst_type": "01",
        "reg_status": "1",
        "statistician": SECRETS["personal"],
    }
    sizes: dict[str, str | int] = {
        "uscc": UNIT,
        "period": "2025-Q2",
        "floor_area": "5000.00",
        "energy_users": 100,
        "ups_capacity": SECRETS["grade 3"],
        "note": SECRETS["grade 4"],
    }
    for row in (
        Row.of("institution", register, row=1),
        Row.of("profile", sizes, period="2025-Q2", row=1),
    ):
        [done] = author.submit("energy", [row], actor="").results
        assert done.outcome != "refused", done.faults
    wrong = Row.of("profile", sizes | {"energy_users": -1}, period="2025-Q2", row=1)
    assert author.submit("energy", [wrong], actor="").results[0].outcome == "refused"


def seen(client: Client) -> set[str]:
    """Ask everything that shows rows, and tell which secrets are in what came."""
    told = []
    for ask in (
        lambda: [_read(each.payload) + str(each.faults) for each in client.returns().returns],
        lambda: [
            _read(client.receipt(record_id=each.record_id).about.payload)
            for each in client.returns().returns
            if each.state == "submitted"
        ],
        lambda: [_read(each.payload) for each in client.follow(until_now=True, local_too=True)],
        lambda: [
            _unpacked(client.export_evidence(each.record_id)) for each in client.returns().returns
        ],
        lambda: [
            _unpacked(client.export_return_evidence(unit=UNIT, form="profile", period="2025-Q2"))
        ],
        lambda: [str(client.units())],
    ):
        try:
            told += ask()
        except ClientError as error:
            if error.code != "PERMISSION_DENIED":
                raise
    text = "\n".join(told)
    return {name for name, value in SECRETS.items() if value in text}


def _read(payload: bytes) -> str:
    return payload.decode()


def _unpacked(evidence: bytes) -> str:
    with zipfile.ZipFile(BytesIO(evidence)) as file:
        return b"\n".join(file.read(each) for each in file.namelist()).decode(errors="replace")


#: What holds where nobody has set another policy.
DEFAULT_RULES = [
    FieldRule(grade=grade, who=f"role:{role}", outcome=outcome)
    for grade, outcome in ((3, "show"), (4, "mask"))
    for role in ("reviewer", "approver")
]
#: Who reads, and what for → what of the secrets they see.
READERS = {
    ("view", ""): set(),
    ("view", WHY): set(),
    ("clerk", WHY): set(),
    ("rev", ""): set(),
    ("rev", WHY): {"grade 3", "personal"},
    ("boss", WHY): {"grade 3", "personal"},
    ("desk", ""): {"grade 3", "grade 4", "personal"},
    ("author", ""): {"grade 3", "grade 4", "personal"},
}


@pytest.mark.parametrize(("name", "purpose"), READERS)
def test_no_answer_holds_what_its_reader_may_not_see(
    office: Office, name: str, purpose: str
) -> None:
    """List, receipt, follow, evidence of a record and of a return, the register."""
    found = seen(office.enter(name).with_purpose(purpose))
    assert found == READERS[name, purpose]


def test_what_is_hidden_is_masked_or_absent_and_the_rest_stands(office: Office) -> None:
    """Grade 3 as a mask, grade 4 not at all; the same decimal texts as ever beside them."""
    [row] = [
        each for each in office.enter("view").returns(state="submitted").returns if each.payload
    ]
    text = _read(row.payload)
    assert "5000.00" in text
    assert "***" in text
    assert "note" not in text


def test_what_is_shown_stands_in_the_audit_with_its_purpose(office: Office) -> None:
    """Before the answer; who sees nothing sensitive, or their own, leaves no such entry."""
    before = len(office.machine.audit(event="access.fields", limit=500))
    for name, purpose in (("view", WHY), ("rev", ""), ("author", WHY), ("desk", "")):
        office.enter(name).with_purpose(purpose).returns()
    assert len(office.machine.audit(event="access.fields", limit=500)) == before
    office.enter("rev").with_purpose(WHY).returns()
    entry = office.machine.audit(event="access.fields", limit=500)[0]
    assert (entry.event, entry.actor, entry.object, entry.detail) == (
        "access.fields.shown",
        "rev@/",
        "call/ReportingService/ListReturns",
        f"grade=3 purpose={WHY}",
    )


def test_a_policy_that_is_set_holds_for_the_next_call(office: Office) -> None:
    """Grade 4 for a reviewer with the purpose that is named; a program as the policy says."""
    rules = [
        FieldRule(grade=4, who="role:reviewer", outcome="show", purpose="核查"),
        FieldRule(grade=3, who="token", outcome="refuse"),
    ]
    office.machine.set_field_policy(rules, actor="")
    try:
        rev = office.enter("rev")
        assert "grade 4" in seen(rev.with_purpose(WHY))
        assert "grade 4" not in seen(rev.with_purpose("样例宣传"))
        assert "grade 3" not in seen(rev.with_purpose(WHY))
        given = office.machine.give_token(
            Token(user="rev", permissions=["reporting.read"]), actor="", days=1
        )
        program = office.machine.with_token(given.secret).with_purpose(WHY)
        text = "".join(_read(each.payload) for each in program.returns().returns)
        assert "ups_capacity" not in text
        refused("POLICY_INVALID", lambda: office.machine.set_field_policy(rules * 40, actor=""))
    finally:
        office.machine.set_field_policy(DEFAULT_RULES, actor="")


def test_figures_to_sign_are_handed_out_as_they_are_or_not_at_all(office: Office) -> None:
    """Nobody signs what is masked: who may not see a field gets no file, and it is audited."""
    made = office.machine.propose_policy(
        actor="ting@/", approvers=approvers("sun", path="/"), threshold=1
    )
    signed = [each.encode() for each in sign_policy(made.file, "sun")]
    office.machine.confirm_policy(actor="chu@/", files=signed)
    wanted = {"actor": "", "form": "profile", "period": "2025-Q2"}
    boss_desk = office.enter("boss")
    for purpose in ("", WHY):
        # Grade 4 is masked for an approver, whatever the purpose.
        refused(
            "PART_HIDDEN", lambda p=purpose: boss_desk.with_purpose(p).prepare_signoff(**wanted)
        )
    rules = [
        FieldRule(grade=grade, who="role:approver", outcome="show", purpose=WHY) for grade in (3, 4)
    ]
    office.machine.set_field_policy(rules, actor="")
    try:
        refused("PART_HIDDEN", lambda: boss_desk.prepare_signoff(**wanted))
        file = boss_desk.with_purpose(WHY).prepare_signoff(**wanted).file
    finally:
        office.machine.set_field_policy(DEFAULT_RULES, actor="")
    assert SECRETS["grade 4"] in open_batch_file(file).returns[0].core.decode()
    entry = office.machine.audit(event="access.fields", limit=500)[0]
    assert (entry.actor, entry.object) == ("boss@/", "call/SignoffService/PrepareBatch")


#: Members of answers that hold what institutions wrote, as bytes or cells.
_ROWS = {"payload", "cells", "evidence", "bundle", "body", "file"}
#: Answers with such members that show no row to who calls, and why.
_NO_ROWS = {
    "NodeService/AddChild": "an invitation",
    "DirectivesService/ListDirectives": "the words of a directive, for everybody whom it is for",
    "SignoffService/ProposePolicy": "names and keys of those who sign",
    "BundleService/Export": "encrypted to a neighbour, who is sent the same over a link",
}


def test_every_call_whose_answer_holds_rows_asks_which_fields_may_be_shown() -> None:
    """A new call that shows rows fails here until its rule says that it asks."""
    holding = set()
    for module in pkgutil.iter_modules(local_api.__path__):
        if not module.name.endswith("_pb2"):
            continue
        loaded = importlib.import_module(f"{local_api.__name__}.{module.name}")
        for service in loaded.DESCRIPTOR.services_by_name.values():
            for method in service.methods:
                if _holds_rows(method.output_type, set()):
                    holding.add(f"{service.name}/{method.name}")
    assert holding - _NO_ROWS.keys() == {name for name, rule in RULES.items() if rule.asks_fields}


def _holds_rows(message: Descriptor, known: set[str]) -> bool:
    if message.full_name in known:
        return False
    known.add(message.full_name)
    return any(
        each.name in _ROWS or (each.message_type and _holds_rows(each.message_type, known))
        for each in message.fields
    )


def test_the_policy_is_in_the_store_and_not_in_a_setting(
    office: Office, tmp_path: FilePath
) -> None:
    """Folded from its records: a rebuild gives the same."""
    before = office.affairs.access.fields.current()
    report = office.store.rebuild()
    assert all(table.before == table.after for table in report.tables)
    assert office.affairs.access.fields.current() == before
