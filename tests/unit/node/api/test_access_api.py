"""Users, sessions and the audit over a real socket: who gets in, as whom, and what stays."""

import hashlib
import threading
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path as FilePath

import grpc
import orjson
import pytest

from tests.unit.node.api.offices import FIRST, HOUR_MS, MINUTE_MS, OWN, Office, refused
from yidao.api.local.v1 import access_pb2, access_pb2_grpc, reporting_pb2, reporting_pb2_grpc
from yidao.catalog.codes import sample_uscc
from yidao.node.access.passwords import Hasher
from yidao.node.api.access_service import AccessServicer
from yidao.node.api.server import LocalServer
from yidao.node.api.servicers import affair_servicers
from yidao.node.client import ClientError, Row, User


@pytest.fixture
def office(tmp_path: FilePath) -> Iterator[Office]:
    """A node without users."""
    made = Office(tmp_path)
    yield made
    made.close()


def test_a_person_gets_in_works_and_leaves(office: Office) -> None:
    """Added with a first password, changed at once, one name and its permissions, out again."""
    office.machine.put_user(
        User(name="li", title="样例填报人", roles=("filler",)), actor="", password=FIRST
    )
    session = office.machine.sign_in("li", FIRST, source="192.0.2.7")
    assert session.user.must_change_password
    assert session.idle_seconds == 1_200
    mine = office.machine.with_token(session.token)
    refused("PASSWORD_CHANGE_DUE", mine.packs)
    mine.change_password(FIRST, OWN)
    assert mine.packs() == ()
    told = mine.who_am_i()
    assert (told.user.name, told.actor) == ("li", "li@/")
    assert "reporting.submit" in told.permissions
    assert "reporting.review" not in told.permissions
    refused("PERMISSION_DENIED", lambda: mine.review(actor="", decision="accept", form="profile"))
    mine.sign_out()
    refused("SESSION_ENDED", mine.packs)
    assert [event for event, *_ in reversed(office.events(user="li"))] == [
        "access.user.added",
        "access.session.opened",
        "access.call.refused",
        "access.password.changed",
        "access.call.refused",
        "access.session.closed",
    ]


def test_who_does_not_exist_looks_like_who_does(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Same code, same text, same work, and locked after as many tries."""
    office.add("li", "filler")
    office.machine.put_user(User(name="wang", roles=("filler",)), actor="", password=FIRST)
    office.machine.put_user(User(name="wang", roles=("filler",), disabled=True), actor="")
    seen = []
    original = Hasher.verify

    def verify(self, kept, password):
        seen.append(kept is None)
        return original(self, kept, password)

    monkeypatch.setattr(Hasher, "verify", verify)
    told = {}
    for name, password in (("li", "wrong"), ("wang", FIRST), ("ghost", "wrong"), ("g@st /", "x")):
        errors = [
            refused("SIGN_IN_REFUSED", lambda n=name, p=password: office.machine.sign_in(n, p))
            for _ in range(5)
        ]
        errors.append(refused("USER_LOCKED", lambda n=name: office.machine.sign_in(n, OWN)))
        told[name] = [(error.code, dict(error.params), error.retryable) for error in errors]
    assert told["li"] == told["wang"] == told["ghost"] == told["g@st /"]
    assert len(seen) == 24


def test_five_wrong_passwords_lock_for_ten_minutes(office: Office) -> None:
    """Also for the right one; then the count begins anew. An administrator may end it before."""
    office.add("li", "filler")

    def wrong() -> None:
        refused("SIGN_IN_REFUSED", lambda: office.machine.sign_in("li", "Sample-wrong1"))

    for _ in range(5):
        wrong()
    error = refused("USER_LOCKED", lambda: office.machine.sign_in("li", OWN))
    assert error.params["minutes"] == "10"
    office.later(10 * MINUTE_MS - 1)
    refused("USER_LOCKED", lambda: office.machine.sign_in("li", OWN))
    office.later(1)
    for _ in range(4):
        wrong()
    office.machine.sign_in("li", OWN)
    for _ in range(5):
        wrong()
    assert office.machine.users()[0].locked_until_ms == office.now_ms + 10 * MINUTE_MS
    assert office.machine.unlock_user("li", actor="").locked_until_ms == 0
    office.machine.sign_in("li", OWN)
    assert [event for event, *_ in office.events(event="access.user")][:3] == [
        "access.user.unlocked",
        "access.user.locked",
        "access.user.locked",
    ]


def test_a_session_of_a_clock_that_was_ahead_is_over(office: Office) -> None:
    """Else it would hold until that day; a swing of a minute ends nothing."""
    office.add("li", "filler")
    mine = office.machine.with_token(office.machine.sign_in("li", OWN).token)
    office.later(-MINUTE_MS)
    mine.packs()
    office.later(-400 * 24 * 60 * MINUTE_MS)
    refused("SESSION_ENDED", mine.packs)


def test_guesses_at_the_same_time_are_counted_one_by_one(office: Office) -> None:
    """Ten at once are five and a lock; none of them slips through."""
    office.add("li", "filler")
    codes = []

    def guess() -> None:
        with pytest.raises(ClientError) as caught:
            office.machine.sign_in("li", "Sample-wrong1")
        codes.append(caught.value.code)

    threads = [threading.Thread(target=guess) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(codes) == ["SIGN_IN_REFUSED"] * 5 + ["USER_LOCKED"] * 5


def test_guessing_the_old_password_in_a_session_locks_too(office: Office) -> None:
    """Who sits down at an open desk does not get five tries a minute for ever."""
    office.add("li", "filler")
    mine = office.enter("li")
    for _ in range(5):
        refused("SIGN_IN_REFUSED", lambda: mine.change_password("Sample-wrong1", "Sample-new-33"))
    refused("USER_LOCKED", lambda: mine.change_password(OWN, "Sample-new-33"))


def test_a_session_ends_by_idling_and_by_age(office: Office) -> None:
    """Twenty minutes without a call; twelve hours with as many as one likes."""
    office.add("li", "filler")
    mine = office.enter("li")
    office.later(19 * MINUTE_MS)
    mine.packs()
    office.later(19 * MINUTE_MS)
    mine.packs()
    office.later(20 * MINUTE_MS)
    refused("SESSION_ENDED", mine.packs)
    busy = office.enter("li")
    for _ in range(47):
        office.later(15 * MINUTE_MS)
        busy.packs()
    office.later(15 * MINUTE_MS)
    refused("SESSION_ENDED", busy.packs)
    expired = office.events(event="access.session.expired")
    assert expired == [("access.session.expired", "li@/", "user/li", "SESSION_ENDED")] * 2


def raw(office: Office, *metadata: tuple[str, str]) -> str:
    """Call with any metadata, and give the code of the error, or nothing."""
    with grpc.insecure_channel(f"unix:{office.socket}") as channel:
        stub = access_pb2_grpc.AccessServiceStub(channel)
        try:
            stub.ListUsers(access_pb2.ListUsersRequest(), metadata=metadata, timeout=30)
        except grpc.RpcError as failure:
            return str(failure.details())
    return ""


def test_a_token_that_was_not_given_out_opens_nothing(office: Office) -> None:
    """Invented, doubled, cut, of another scheme: no session, and never the machine's account."""
    office.add("admin", "security_admin")
    token = office.machine.sign_in("admin", OWN).token
    assert raw(office, ("authorization", f"Bearer {token}")) == ""
    bad = {
        "invented": [("authorization", "Bearer " + "A" * 43)],
        "empty": [("authorization", "Bearer ")],
        "nothing": [("authorization", "")],
        "no scheme": [("authorization", token)],
        "another scheme": [("authorization", f"Basic {token}")],
        "cut": [("authorization", f"Bearer {token[:-1]}")],
        "longer": [("authorization", f"Bearer {token}A")],
        "huge": [("authorization", "Bearer " + "A" * 4_000)],
        "its digest": [("authorization", f"Bearer {hashlib.sha256(token.encode()).hexdigest()}")],
        "twice": [("authorization", f"Bearer {token}")] * 2,
        "a source without a session": [("x-yidao-source", "192.0.2.7")],
    }
    assert {name: raw(office, *each) for name, each in bad.items()} == dict.fromkeys(
        bad, "SESSION_ENDED"
    )
    for each in ("", "a b", "x\n", "ü" * 20, "A" * 129):
        refused("SESSION_ENDED", lambda t=each: office.machine.with_token(t))


def test_each_sign_in_has_a_token_of_its_own(office: Office) -> None:
    """A session is never continued by signing in, and the ninth ends the first of a user."""
    office.add("li", "filler")
    first = office.machine.sign_in("li", OWN).token
    with grpc.insecure_channel(f"unix:{office.socket}") as channel:
        stub = access_pb2_grpc.AccessServiceStub(channel)
        answer = stub.SignIn(
            access_pb2.SignInRequest(user="li", password=OWN),
            metadata=[("authorization", f"Bearer {first}")],
            timeout=30,
        )
    assert answer.token != first
    tokens = [first, answer.token]
    for _ in range(7):
        office.later(1)
        tokens.append(office.machine.sign_in("li", OWN).token)
    assert len(set(tokens)) == 9
    open_ones = [raw(office, ("authorization", f"Bearer {each}")) for each in tokens]
    assert open_ones.count("PERMISSION_DENIED") == 8
    assert open_ones.count("SESSION_ENDED") == 1


def test_secrets_are_nowhere(office: Office, capfd: pytest.CaptureFixture[str]) -> None:
    """Neither a password nor a token is in the store's files or in what was printed."""
    office.add("li", "filler")
    tokens = [office.machine.sign_in("li", OWN).token for _ in range(2)]
    refused("SIGN_IN_REFUSED", lambda: office.machine.sign_in("Typed-secret-9", "Wrong-secret-9"))
    refused("SIGN_IN_REFUSED", lambda: office.machine.sign_in("li", "Wrong-secret-9"))
    refused("SESSION_ENDED", office.machine.with_token("Guessed-token-9").packs)
    assert len(office.machine.audit()) > 5
    kept = b"".join(each.read_bytes() for each in office.folder.glob("store.db*"))
    assert b"access.session.opened" in kept
    printed = "".join(capfd.readouterr())
    secrets = [FIRST, OWN, "Typed-secret-9", "Wrong-secret-9", "Guessed-token-9", *tokens]
    for secret in secrets:
        assert secret.encode() not in kept
        assert secret not in printed
    assert all(token not in repr(office.machine.sign_in("li", OWN)) for token in tokens)


def test_passwords_change_and_do_not_come_back(office: Office) -> None:
    """Not one of the last five; other sessions end, this one goes on."""
    office.add("li", "filler")
    mine, other = office.enter("li"), office.enter("li")
    refused("PASSWORD_WEAK", lambda: mine.change_password(OWN, "short"))
    for reused in (OWN, FIRST):
        refused("PASSWORD_REUSED", lambda r=reused: mine.change_password(OWN, r))
    former = OWN
    for number in range(4):
        mine.change_password(former, f"Sample-own-3{number}")
        former = f"Sample-own-3{number}"
    refused("PASSWORD_REUSED", lambda: mine.change_password(former, OWN))
    mine.change_password(former, "Sample-own-39")
    mine.change_password("Sample-own-39", OWN)
    refused("SESSION_ENDED", other.packs)
    mine.packs()
    due = mine.who_am_i().user.password_due_ms
    assert due == office.now_ms + 90 * 24 * HOUR_MS


def test_what_is_taken_from_a_user_is_taken_at_once(office: Office) -> None:
    """Roles, the account and the password: sessions that were opened before are over."""
    office.add("li", "filler", "reviewer")
    one = office.enter("li")
    office.machine.put_user(User(name="li", roles=("viewer",)), actor="")
    refused("SESSION_ENDED", one.packs)
    two = office.enter("li")
    assert "reporting.submit" not in two.who_am_i().permissions
    office.machine.put_user(User(name="li", roles=("viewer",), title="样例"), actor="")
    two.packs()
    office.machine.put_user(
        User(name="li", roles=("viewer",), title="样例", disabled=True), actor=""
    )
    refused("SESSION_ENDED", two.packs)
    refused("SIGN_IN_REFUSED", lambda: office.enter("li"))
    office.machine.put_user(User(name="li", roles=("viewer",)), actor="")
    three = office.enter("li")
    office.machine.put_user(User(name="li", roles=("viewer",)), actor="", password="Sample-set-77")
    refused("SESSION_ENDED", three.packs)
    refused("PASSWORD_CHANGE_DUE", office.enter("li", "Sample-set-77").packs)


def test_two_administrators_make_a_user_and_a_third_reads_of_it(office: Office) -> None:
    """One adds, one gives roles, neither does the other's, nobody reads the audit but its own."""
    for name in ("system_admin", "security_admin", "audit_admin"):
        office.add(name, name)
    system, security = office.enter("system_admin"), office.enter("security_admin")
    audit = office.enter("audit_admin", source="192.0.2.9")
    li = User(name="li", title="样例")
    with_role = User(name="li", title="样例", roles=("filler",))
    refused("PERMISSION_DENIED", lambda: system.put_user(with_role, actor="", password=FIRST))
    refused("PERMISSION_DENIED", lambda: security.put_user(li, actor="", password=FIRST))
    system.put_user(li, actor="system_admin@/", password=FIRST)
    refused("PERMISSION_DENIED", lambda: system.put_user(with_role, actor=""))
    security.put_user(with_role, actor="")
    both = User(name="li", roles=("filler", "audit_admin"))
    refused("ROLES_EXCLUSIVE", lambda: security.put_user(both, actor=""))
    for each in (system, security, office.enter("li", FIRST)):
        with pytest.raises(ClientError):
            each.audit()
    refused("PERMISSION_DENIED", lambda: audit.put_user(li, actor=""))
    entries = audit.audit(user="li", event="access.user")
    assert [(each.event, each.actor, each.detail) for each in entries] == [
        ("access.user.changed", "security_admin@/", "roles=filler"),
        ("access.user.added", "system_admin@/", "title=样例"),
    ]
    [read] = audit.audit(user="audit_admin", event="access.call.done")
    assert (read.object, read.source) == ("call/AccessService/ListAudit", "192.0.2.9")


PACKS = files("yidao.catalog") / "packs"
PERIOD = "2025-Q2"


def institution(index: int, **more: object) -> Row:
    entry = {
        "uscc": sample_uscc(index, "330106"),
        "name": f"样例单位{index}",
        "region_code": "330106",
        "inst_type": "01",
        "reg_status": "1",
    }
    return Row(row=index, form="institution", payload=orjson.dumps(entry | more))


def profile(index: int, area: str = "5000.00") -> Row:
    entry = {
        "uscc": sample_uscc(index, "330106"),
        "period": PERIOD,
        "floor_area": area,
        "energy_users": 100,
    }
    return Row(row=index, form="profile", period=PERIOD, payload=orjson.dumps(entry))


@pytest.fixture
def desk(office: Office) -> Office:
    """A node with the standard in force and two institutions that have reported."""
    for version in ("2022", "2025"):
        data = (PACKS / f"energy-{version}.yaml").read_bytes()
        office.machine.publish_pack(data, actor="wang@/")
    rows = [institution(1), institution(2), profile(1), profile(2)]
    done = office.machine.submit("energy", rows, actor="wang@/")
    assert {each.outcome for each in done.results} == {"submitted"}
    return office


def test_a_session_acts_under_its_own_name(desk: Office) -> None:
    """Named by nobody it is filled in; another's name is refused and nothing is written."""
    desk.add("li", "filler")
    mine = desk.enter("li", source="192.0.2.7")
    done = mine.submit("energy", [profile(1, "5100.00")], actor="")
    assert done.results[0].outcome == "submitted"
    returns = mine.returns(form="profile", unit=sample_uscc(1, "330106")).returns
    assert {each.submitted_by for each in returns} == {"wang@/", "li@/"}
    position = desk.store.last_position()
    refused("ACTOR_NOT_YOURS", lambda: mine.submit("energy", [profile(2, "1.00")], actor="wang@/"))
    assert desk.store.last_position() == position + 1
    newest, before = desk.machine.audit(user="li", limit=2)
    assert (newest.event, newest.result) == ("access.call.refused", "ACTOR_NOT_YOURS")
    assert (before.event, before.source) == ("access.call.done", "192.0.2.7")
    assert before.object == "call/ReportingService/Submit"


def test_the_machine_is_marked_in_the_audit(desk: Office) -> None:
    """With whom it says to act for; a dry run and a read leave nothing."""
    newest = desk.machine.audit(limit=1)[0]
    assert (newest.actor, newest.source, newest.detail) == ("local@/", "local", "as=wang@/")
    desk.machine.submit("energy", [profile(1)], actor="wang@/", dry_run=True)
    desk.machine.returns(form="profile")
    told = [each for each in desk.machine.audit() if each.object != "call/AccessService/ListAudit"]
    assert told[0] == newest


def ask(office: Office, token: str, call: str, request: object) -> object:
    with grpc.insecure_channel(f"unix:{office.socket}") as channel:
        stub = reporting_pb2_grpc.ReportingServiceStub(channel)
        metadata = [("authorization", f"Bearer {token}")]
        return getattr(stub, call)(request, metadata=metadata, timeout=30)


@pytest.mark.parametrize("desk_of", ["the user's own", "chosen at the door"])
def test_a_desk_of_one_institution_stays_in_it(desk: Office, desk_of: str) -> None:
    """Ids and codes of others are as if they were not there, whatever the request says."""
    own, other = sample_uscc(1, "330106"), sample_uscc(2, "330106")
    if desk_of == "the user's own":
        desk.add("li", "filler", unit=own)
        refused("UNIT_FOREIGN", lambda: desk.machine.sign_in("li", OWN, unit=other))
        mine = desk.enter("li")
    else:
        desk.add("li", "filler", "reviewer")
        refused("UNIT_FOREIGN", lambda: desk.machine.sign_in("li", OWN, unit="' OR 1=1"))
        mine = desk.enter("li", unit=own)
    assert mine.who_am_i().user.unit == own
    listed = mine.returns()
    assert {each.unit for each in listed.returns} == {own}
    assert len(desk.machine.returns().returns) > len(listed.returns)
    refused("UNIT_FOREIGN", lambda: mine.returns(unit=other))
    assert {each.unit for each in mine.due(on="2025-07-01").due} <= {own}
    refused("UNIT_FOREIGN", lambda: mine.due(unit=other))
    assert (
        mine.submit("energy", [profile(1, "5200.00")], actor="").results[0].outcome == "submitted"
    )
    for rows in ([profile(2)], [profile(1), profile(2)], [institution(2)], [institution(3)]):
        refused("UNIT_FOREIGN", lambda r=rows: mine.submit("energy", r, actor=""))
    torn = Row(row=1, form="profile", period=PERIOD, payload=b'{"uscc":')
    assert mine.submit("energy", [torn], actor="").results[0].outcome == "refused"
    theirs = [each for each in desk.machine.returns(unit=other).returns if each.form == "profile"]
    foreign, unknown = theirs[0].record_id, bytes(range(16))
    told = [
        refused(
            "UNIT_FOREIGN", lambda i=each: mine.withdraw(actor="", record_ids=[i], reason="样例")
        )
        for each in (foreign, unknown)
    ]
    assert {error.code for error in told} == {"UNIT_FOREIGN"}
    for each in (foreign, unknown):
        refused("RETURN_UNKNOWN", lambda i=each: mine.receipt(record_id=i))
        refused("UNIT_FOREIGN", lambda i=each: mine.export_evidence(i))
    code = desk.machine.receipt(record_id=foreign).code
    refused("RETURN_UNKNOWN", lambda: mine.receipt(code=code))
    newest = [each for each in mine.returns(form="profile").returns if each.state == "submitted"]
    assert mine.receipt(record_id=newest[-1].record_id).about.unit == own
    for closed in (
        lambda: mine.roll_up(pack="energy", form="profile", period=PERIOD),
        lambda: mine.break_down(pack="energy", form="profile", period=PERIOD, by="unit"),
        lambda: mine.missing(pack="energy", form="profile", period=PERIOD),
        lambda: list(mine.units()),
        mine.directives,
        lambda: mine.review(actor="", decision="accept", form="profile"),
    ):
        refused("PERMISSION_DENIED", closed)
    asked = {"form": "profile", "period": PERIOD}
    for wrong in ({"unit": other}, {"unit": ""}, {"unit": own, "with_letters": True}):
        refused("UNIT_FOREIGN", lambda w=wrong: mine.export_return_evidence(**asked, **w))
    assert desk.machine.export_return_evidence(**asked, unit=other, with_letters=True)
    assert mine.export_return_evidence(**asked, unit=own)
    assert mine.export_evidence(newest[-1].record_id)
    assert desk.events(user="li")[0][2] == "call/NodeService/ExportEvidence"
    done = mine.withdraw(actor="", record_ids=[newest[-1].record_id], reason="样例")
    assert done.withdrawn == 1


def test_a_page_of_another_desk_is_no_way_in(desk: Office) -> None:
    """A cursor into others' returns still gives one's own alone; a huge page is a page."""
    own = sample_uscc(1, "330106")
    desk.add("li", "filler", unit=own)
    token = desk.machine.sign_in("li", OWN).token
    page = desk.machine.returns(limit=1)
    for request in (
        reporting_pb2.ListReturnsRequest(after=page.next),
        reporting_pb2.ListReturnsRequest(limit=2**32 - 1),
    ):
        answer = ask(desk, token, "ListReturns", request)
        assert {each.unit for each in answer.returns} <= {own}


def test_a_stream_ends_with_its_session(desk: Office) -> None:
    """What is followed by a session stops with it; the audit itself is never followed."""
    desk.add("zhao", "reviewer")
    desk.add("li", "filler")
    refused("PERMISSION_DENIED", lambda: next(desk.enter("li").follow()))
    mine = desk.enter("zhao")
    seen = [event.kind for event in mine.follow(until_now=True, local_too=True)]
    assert "reporting.return.submitted" in seen
    assert not [kind for kind in seen if kind.startswith("access.")]
    stream = mine.follow(kinds=["reporting."])
    assert next(stream).kind == "reporting.return.submitted"
    assert next(stream).kind == "reporting.return.submitted"
    mine.sign_out()
    desk.machine.submit("energy", [profile(1, "5300.00")], actor="wang@/")
    refused("SESSION_ENDED", lambda: next(stream))


def test_guessing_does_not_fill_the_disk(office: Office) -> None:
    """A hundred refusals are a handful of records, and their number is kept."""
    office.add("li", "filler")
    position = office.store.last_position()
    for number in range(50):
        with pytest.raises(ClientError):
            office.machine.sign_in("li", "Sample-wrong1")
        with pytest.raises(ClientError):
            office.machine.sign_in(f"ghost{number}", "Sample-wrong1")
        assert raw(office, ("authorization", f"Bearer {'A' * 40}{number:03}")) == "SESSION_ENDED"
    assert office.store.last_position() - position <= 5
    office.later(MINUTE_MS)
    office.affairs.access.auditor.flush()
    assert office.store.last_position() - position <= 10
    entries = [each for each in office.machine.audit() if each.position > position]
    assert sum(each.times for each in entries if each.event == "access.session.refused") == 100
    assert sum(each.times for each in entries if each.event == "access.call.refused") == 50
    assert [each.object for each in entries if "ghost" in each.object] == []


def test_the_audit_is_sealed_and_folds_again_to_the_same(office: Office) -> None:
    """Each entry is a record that can be proved; a rebuild gives equal tables."""
    office.add("li", "filler")
    office.enter("li", source="2001:db8::7%\r\neth0\u202e<script>").packs()
    entries = office.machine.audit()
    assert entries[0].source == "2001:db8::7%eth0script"
    for entry in entries:
        proven = office.store.prove(entry.position)
        assert proven.journal.channel == "local"
        assert entry.event.encode() in proven.header
    report = office.store.rebuild()
    assert report.equal
    # Reading it was one entry more.
    assert {table.name: table.rows for table in report.tables}["audit_entry"] == len(entries) + 1
    assert office.machine.audit()[-len(entries) :] == entries
    assert office.machine.sign_in("li", OWN).user.name == "li"


def test_the_audit_is_read_in_pages(office: Office) -> None:
    """Newest first, by user and event; numbers out of range and odd filters give what there is."""
    office.add("li", "filler")
    office.add("wang", "viewer")
    everything = office.machine.audit(limit=1_000)
    pages, before = [], 0
    while page := office.machine.audit(limit=3, before=before):
        pages += page
        before = page[-1].position
    # The first page shows that everything was read.
    assert tuple(pages[1:]) == everything
    huge = office.machine.audit(before=2**64 - 1, limit=2**32 - 1)
    assert office.machine.audit()[1:] == huge
    for odd in ({"user": "a\x00b"}, {"event": "%"}, {"event": "access.\x00"}, {"user": "' OR 1"}):
        assert office.machine.audit(**odd) == ()


def test_a_hash_of_former_parameters_is_made_anew(office: Office) -> None:
    """At the next sign-in, once, and the history goes with it."""
    office.add("li", "filler")
    dated = Hasher(memory_kib=32, passes=1, lanes=1).hash(OWN, salt=bytes(16))
    conn_job = (
        "UPDATE account SET password_hash = '" + dated + "'",
        "UPDATE password_history SET password_hash = '" + dated + "' WHERE number = 2",
    )
    office.store.run(lambda tx: [tx.conn.exec_driver_sql(each) for each in conn_job] and None)
    mine = office.enter("li")
    account = office.affairs.access.users.get("li")
    assert account is not None
    assert "m=64," in account.password_hash
    refused("PASSWORD_REUSED", lambda: mine.change_password(OWN, OWN))


def test_too_many_at_the_door_are_asked_to_come_again(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Sixteen wait, the next is told so at once; other calls go on."""
    go, codes = threading.Event(), []
    sessions = office.affairs.access.sessions
    monkeypatch.setattr(type(sessions), "open", lambda *_, **__: go.wait(30))

    def knock() -> None:
        with pytest.raises(ClientError) as caught:
            office.machine.sign_in("li", "x")
        codes.append(caught.value.code)

    waiting = [threading.Thread(target=knock) for _ in range(16)]
    for thread in waiting:
        thread.start()
    while office.run(count_waiting(office)) < 16:
        assert office.machine.packs() == ()
    late = threading.Timer(20, go.set)
    late.start()
    assert refused("SIGN_IN_BUSY", lambda: office.machine.sign_in("li", "x")).retryable
    late.cancel()
    go.set()
    for thread in waiting:
        thread.join()
    assert len(codes) == 16


async def count_waiting(office: Office) -> int:
    [servicer] = [each for each in office.server._servicers if isinstance(each, AccessServicer)]
    return servicer._hashing._waiting


def test_nothing_is_served_without_the_guard(tmp_path: FilePath, office: Office) -> None:
    """Whoever leaves it out has no server."""
    servicers = [
        each for each in affair_servicers(office.affairs) if not isinstance(each, AccessServicer)
    ]
    with pytest.raises(ValueError, match="unpack"):
        office.run(LocalServer(tmp_path / "other.sock", servicers).start())
    assert not (tmp_path / "other.sock").exists()
