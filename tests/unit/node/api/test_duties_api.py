"""Separated duties over a real socket: the machine's account, what takes two, keys, programs."""

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path as FilePath

import pytest

from tests.unit.node.api.offices import (
    FIRST,
    HOUR_MS,
    LENIENT,
    MINUTE_MS,
    OWN,
    STRICT,
    Office,
    refused,
)
from yidao.api.errors import YidaoError
from yidao.api.local.v1 import query_pb2
from yidao.catalog.codes import sample_uscc
from yidao.node.access.caller import Caller
from yidao.node.access.calls import RULES
from yidao.node.access.mode import Mode
from yidao.node.access.pairs import LIFE_MS, MAX_WAITING
from yidao.node.access.roles import ADMINISTRATORS
from yidao.node.api.scoping import check_forms, check_paths
from yidao.node.client import Client, ClientError, FieldRule, Row, Token, User
from yidao.sync.ids import Path
from yidao.sync.removal import check_erasable
from yidao.sync.removalerrors import PartNotErasable
from yidao.sync.suite import Ed25519Signer

UNIT, OTHER = sample_uscc(1, "330106"), sample_uscc(2, "330106")
KINDS = {"sys": "system_admin", "sec": "security_admin", "aud": "audit_admin"}
KEYS = {name: Ed25519Signer(name.encode().ljust(32, b"k")) for name in (*KINDS, "li", "wang")}


class Ministry(Office):
    """A real node with its three administrators, two fillers and a reviewer, all signed in."""

    def __init__(self, folder: FilePath) -> None:
        super().__init__(folder, STRICT)
        self.desks: dict[str, Client] = {}
        for name, role in KINDS.items():
            self.machine.put_user(User(name=name, roles=(role,)), actor="", password=FIRST)
            self.desks[name] = self.begin(name)
        for name, roles in (("li", ("filler",)), ("wang", ("filler",)), ("rev", ("reviewer",))):
            self.desks["sys"].put_user(User(name=name), actor="", password=FIRST)
            self.desks["sec"].put_user(User(name=name, roles=roles), actor="")
            self.desks[name] = self.begin(name)

    def begin(self, name: str) -> Client:
        """Change the first password, and register a key where one is due."""
        self.enter(name, FIRST).change_password(FIRST, OWN)
        desk = self.enter(name)
        if name in KINDS:
            desk.register_key(KEYS[name].public_key, KEYS[name].sign)
        return desk

    def approve(self, desk: str, request_id: str = "") -> None:
        """Approve what waits."""
        client = self.desks[desk]
        request_id = request_id or next(e.id for e in client.requests() if e.state == "waiting")
        client.decide_request(request_id, "approve", actor="")

    def by_two(self, call: Callable[[], object], desk: str) -> object:
        """Ask, have it approved, and do it."""
        self.approve(desk, asked(call))
        return call()


def asked(call: Callable[[], object]) -> str:
    """Make a call that takes two, and give the number of its request."""
    return refused("APPROVAL_NEEDED", call).params["request"]


@pytest.fixture
def ministry(tmp_path: FilePath) -> Iterator[Ministry]:
    """As on a real network."""
    made = Ministry(tmp_path)
    yield made
    made.close()


@pytest.fixture
def office(tmp_path: FilePath) -> Iterator[Office]:
    """As on a test network."""
    made = Office(tmp_path)
    yield made
    made.close()


def revoke(client: Client, label: str = "33", operator: str = "") -> Callable[[], object]:
    return lambda: client.revoke_child(label, reason="closed", operator=operator)


def test_the_machines_account_of_a_real_node_operates_and_does_nothing_else(
    ministry: Ministry,
) -> None:
    """No business, no rows, no audit, nobody's name; and no account can do everything."""
    machine = ministry.machine
    may = set(machine.who_am_i().permissions)
    assert may == {
        "access.bootstrap",
        "catalog.read",
        "node.operate",
        "node.read",
        "standards.read",
    }
    assert machine.packs() == ()
    assert {each.name for each in machine.users()} == {*KINDS, "li", "wang", "rev"}
    for call in (
        lambda: machine.submit("energy", [row(UNIT)], actor="li@/"),
        lambda: machine.review(actor="rev@/", decision="accept", form="profile"),
        lambda: machine.publish_pack(b"x", actor="li@/"),
        machine.returns,
        lambda: machine.export_evidence(bytes(16)),
        lambda: list(machine.follow(until_now=True)),
        machine.audit,
        machine.requests,
        lambda: machine.give_token(Token(user="li", permissions=["node.read"]), actor="", days=1),
    ):
        refused("PERMISSION_DENIED", call)
    refusals = ministry.desks["aud"].audit(event="access.call.refused", user="local")
    assert {each.object for each in refusals} >= {"call/ReportingService/Submit"}


def test_the_machine_makes_the_first_administrator_of_each_kind_and_no_second(
    ministry: Ministry,
) -> None:
    """Nor changes one, nor adds a person of business; a kind without anybody is begun again."""
    machine = ministry.machine
    for user in (
        User(name="zhao", roles=("system_admin",)),
        User(name="zhao", roles=("filler",)),
        User(name="zhao"),
        User(name="sec", roles=("security_admin",), disabled=True),
    ):
        refused("PERMISSION_DENIED", lambda u=user: machine.put_user(u, actor="", password=FIRST))
    gone = User(name="aud", roles=("audit_admin",), disabled=True)
    ministry.by_two(lambda: ministry.desks["sys"].put_user(gone, actor=""), "sec")
    machine.put_user(User(name="zhao", roles=("audit_admin",)), actor="", password=FIRST)


def test_what_takes_two_is_asked_for_approved_by_another_and_done_once(
    ministry: Ministry,
) -> None:
    """Just this request: another child, or a second time, is another matter."""
    sys, sec = ministry.desks["sys"], ministry.desks["sec"]
    request = asked(revoke(sys))
    assert asked(revoke(sys)) == request
    assert sys.revoke_child("33", reason="closed", operator="", dry_run=True).path == "/33"
    [shown] = sec.requests()
    assert (shown.call, shown.made_by) == ("NodeService/RevokeChild", "sys")
    assert shown.shown == '{"label": "33", "reason": "closed"}'
    refused("APPROVER_SAME", lambda: sys.decide_request(request, "approve", actor=""))
    for nobody in ("aud", "li", "rev"):
        refused(
            "PERMISSION_DENIED",
            lambda n=nobody: ministry.desks[n].decide_request(request, "approve", actor=""),
        )
    refused("PERMISSION_DENIED", lambda: ministry.machine.decide_request(request, "x", actor=""))
    refused("REQUEST_DECISION_UNKNOWN", lambda: sec.decide_request(request, "yes", actor=""))
    refused("REQUEST_UNKNOWN", lambda: sec.decide_request("00" * 8, "approve", actor=""))
    assert ministry.revoked == []
    ministry.approve("sec", request)
    asked(revoke(sys, "44"))
    asked(revoke(ministry.machine, operator="sys@/"))
    revoke(sys)()
    assert ministry.revoked == ["/33 sys@/"]
    assert asked(revoke(sys)) != request
    refused("REQUEST_UNKNOWN", lambda: sec.decide_request(request, "approve", actor=""))
    events = [(e.event, e.actor) for e in reversed(ministry.desks["aud"].audit())]
    told = [each for each in events if each[0].startswith("access.request")]
    assert told[0] == ("access.request.made", "sys@/")
    assert ("access.request.approved", "sec@/") in told
    assert ("access.request.spent", "sys@/") in told


def test_a_request_that_was_refused_or_is_old_opens_nothing(ministry: Ministry) -> None:
    """The same call asks anew; approvals do not wait for ever."""
    sys, sec = ministry.desks["sys"], ministry.desks["sec"]
    first = asked(revoke(sys))
    assert sec.decide_request(first, "refuse", actor="").state == "refused"
    second = asked(revoke(sys))
    assert second != first
    ministry.approve("sec", second)
    ministry.later(LIFE_MS)
    sys, sec = (ministry.enter(name, sign=KEYS[name].sign) for name in ("sys", "sec"))
    third = asked(revoke(sys))
    assert third not in (first, second)
    assert sorted(each.state for each in sec.requests(over_too=True)) == [
        "expired",
        "refused",
        "waiting",
    ]
    for number in range(MAX_WAITING - 1):
        asked(revoke(sys, f"x{number}"))
    refused("REQUESTS_TOO_MANY", revoke(sys, "y"))
    assert ministry.revoked == []


def test_powers_are_given_and_taken_by_two(ministry: Ministry) -> None:
    """Administrators, the policy, lost keys, tokens: each left a signed record of who and who."""
    sys, sec, aud = (ministry.desks[name] for name in KINDS)
    chief = User(name="rev", roles=("system_admin",))
    ministry.by_two(lambda: sec.put_user(chief, actor=""), "sys")
    refused("SESSION_ENDED", ministry.desks["rev"].packs)
    reset = User(name="sec", roles=("security_admin",))
    request = asked(lambda: sys.put_user(reset, actor="", password="Sample-third-3"))
    refused("APPROVER_SAME", lambda: sec.decide_request(request, "approve", actor=""))
    policy = [FieldRule(grade=4, who="role:reviewer", outcome="show", purpose="核查")]
    ministry.by_two(lambda: sec.set_field_policy(policy, actor=""), "aud")
    assert list(sec.field_policy().rules) == policy
    lost = asked(lambda: sys.remove_key("sec", actor=""))
    refused("APPROVER_SAME", lambda: sec.decide_request(lost, "approve", actor=""))
    ministry.approve("aud", lost)
    sys.remove_key("sec", actor="")
    refused("SESSION_ENDED", sec.users)
    assert not next(each for each in aud.users() if each.name == "sec").has_key
    kept = {each.event for each in aud.audit(limit=200)}
    assert kept >= {
        "access.user.changed",
        "access.policy.set",
        "access.key.removed",
        "access.request.approved",
    }
    ministry.store.rebuild()
    assert next(iter(ministry.affairs.access.fields.current().rules)).outcome == "show"
    assert ministry.store.scrub().faults == ()


def test_an_administrator_signs_in_with_password_and_key(ministry: Ministry) -> None:
    """One without the other is nothing, and looks like a wrong password."""
    key, stranger = KEYS["sys"], KEYS["wang"]
    told = ministry.machine.sign_in("sys", OWN, sign=key.sign)
    assert told.user.has_key
    for name, password, sign in (
        ("sys", OWN, None),
        ("sys", OWN, stranger.sign),
        ("sys", FIRST, key.sign),
        ("sys", OWN, lambda text: key.sign(text + b"x")),
        ("sys", OWN, lambda text: b""),
    ):
        refused(
            "SIGN_IN_REFUSED",
            lambda n=name, p=password, s=sign: ministry.machine.sign_in(n, p, sign=s),
        )
    refused("USER_LOCKED", lambda: ministry.machine.sign_in("sys", OWN, sign=key.sign))


def replayed(office: Office, user: str, challenge: str, signature: bytes) -> str:
    """Sign in with what was signed before, and give the error, or nothing."""
    from yidao.api.local.v1 import access_pb2, access_pb2_grpc

    stub = access_pb2_grpc.AccessServiceStub(office.machine._channel)
    request = access_pb2.SignInRequest(
        user=user, password=OWN, challenge=challenge, signature=signature
    )
    try:
        office.machine._call(stub.SignIn, request)
    except ClientError as error:
        return error.code
    return ""


def test_a_challenge_is_for_one_user_of_one_node_for_two_minutes_and_once(
    ministry: Ministry, tmp_path: FilePath
) -> None:
    """What was signed for something else opens nothing."""
    challenges = ministry.affairs.access.sessions.challenges
    key = KEYS["sys"]

    def signed(user: str = "sys", later_ms: int = 0) -> str:
        challenge = challenges.make(user)
        signature = key.sign(challenges.text(challenge, user))
        ministry.later(later_ms)
        return replayed(ministry, "sys", challenge, signature)

    assert signed() == ""
    assert signed(later_ms=119_999) == ""
    assert signed(later_ms=120_000) == "SIGN_IN_REFUSED"
    assert signed(user="sec") == "SIGN_IN_REFUSED"
    challenge = challenges.make("sys")
    signature = key.sign(challenges.text(challenge, "sys"))
    assert replayed(ministry, "sys", challenge, signature) == ""
    assert replayed(ministry, "sys", challenge, signature) == "SIGN_IN_REFUSED"
    elsewhere = challenges.text(challenges.make("sys"), "sys")
    assert bytes(16).hex().encode() in elsewhere
    made_up = "1795140000000." + "00" * 16 + "." + "00" * 32
    told = f"yidao sign-in v1\n{bytes(16).hex()}/{bytes(16).hex()}\nsys\n{made_up}\n".encode()
    assert replayed(ministry, "sys", made_up, key.sign(told)) == "SIGN_IN_REFUSED"


def test_nothing_goes_before_an_administrator_has_a_key(tmp_path: FilePath) -> None:
    """But its registration, once; others may register one too, and need it from then on."""
    office = Office(tmp_path, STRICT)
    with contextlib.closing(office):
        office.machine.put_user(User(name="sys", roles=("system_admin",)), actor="", password=FIRST)
        office.enter("sys", FIRST).change_password(FIRST, OWN)
        sys = office.enter("sys")
        assert sys.who_am_i().must_register_key
        refused("SIGN_KEY_DUE", sys.users)
        key = KEYS["sys"]
        for wrong in (b"", bytes(32), b"\x01" + bytes(31), KEYS["li"].public_key):
            refused("SIGN_KEY_INVALID", lambda w=wrong: sys.register_key(w, key.sign))
        sys.register_key(key.public_key, key.sign)
        refused("SIGN_KEY_REGISTERED", lambda: sys.register_key(key.public_key, key.sign))
        assert sys.users()
        assert not sys.who_am_i().must_register_key
        refused("SIGN_IN_REFUSED", lambda: office.enter("sys"))
        assert office.enter("sys", sign=key.sign).users()


def row(unit: str, form: str = "profile", **more: str) -> Row:
    cells: dict[str, str | int] = {"uscc": unit, "period": "2025-Q2"}
    return Row.of(form, cells | more, period="2025-Q2", row=1)


def program(office: Office, secret: str, source: str = "") -> Client:
    return office.machine.with_token(secret, source=source)


def give(office: Office, *, days: int = 30, **more: object) -> tuple[Client, Token]:
    """Give a token by the machine's account of a test network."""
    wanted = {"user": "li", "permissions": ["reporting.submit", "reporting.read"]}
    given = office.machine.give_token(Token(**(wanted | more)), actor="", days=days)  # type: ignore[arg-type]
    assert given.secret not in repr(given)
    return program(office, given.secret), given.token


def test_a_program_may_what_its_token_says_and_its_user_may(office: Office) -> None:
    """In its user's name, no more than they may now; the audit names the token."""
    office.add("li", "filler")
    mine, token = give(office)
    told = mine.who_am_i()
    assert (told.actor, told.token_id) == ("li@/", token.id)
    assert set(told.permissions) == {"reporting.read", "reporting.submit"}
    assert mine.returns().returns == ()
    refused("PERMISSION_DENIED", mine.packs)
    refused("ACTOR_NOT_YOURS", lambda: mine.submit("energy", [row(UNIT)], actor="wang@/"))
    refused("PACK_UNKNOWN", lambda: mine.submit("energy", [row(UNIT)], actor=""))
    for call in (mine.sign_out, lambda: mine.change_password(OWN, FIRST)):
        refused("PERMISSION_DENIED", call)
    refused(
        "PERMISSION_DENIED",
        lambda: mine.give_token(Token(user="li", permissions=["node.read"]), actor="", days=1),
    )
    [entry] = [e for e in office.machine.audit(user="li") if "Submit" in e.object][:1]
    assert entry.detail == f"token={token.id}"
    office.machine.put_user(User(name="li", roles=("viewer",)), actor="")
    refused("PERMISSION_DENIED", lambda: mine.submit("energy", [row(UNIT)], actor=""))
    assert mine.returns().returns == ()
    office.machine.put_user(User(name="li", roles=("viewer",), disabled=True), actor="")
    refused("SESSION_ENDED", mine.returns)


WIDER = {
    "more than the user may": ({"permissions": ["reporting.review"]}, "TOKEN_TOO_WIDE"),
    "the node's upkeep": ({"permissions": ["node.operate"]}, "TOKEN_TOO_WIDE"),
    "who may do what": ({"permissions": ["access.roles"]}, "TOKEN_TOO_WIDE"),
    "nothing": ({"permissions": []}, "TOKEN_INVALID"),
    "what there is not": ({"permissions": ["everything"]}, "TOKEN_INVALID"),
    "another institution than the user's": ({"user": "fill", "units": [OTHER]}, "TOKEN_TOO_WIDE"),
    "a unit that is none": ({"units": ["x"]}, "TOKEN_INVALID"),
    "a form without a pack": ({"forms": ["profile"]}, "TOKEN_INVALID"),
    "a path that is none": ({"paths": ["33"]}, "TOKEN_INVALID"),
    "a source that is none": ({"source": "somewhere"}, "TOKEN_INVALID"),
    "more than a year": ({"days": 366}, "TOKEN_INVALID"),
    "for ever": ({"days": 0}, "TOKEN_INVALID"),
    "without end a minute": ({"calls_per_minute": 60_001}, "TOKEN_INVALID"),
    "more forms than anybody reads": (
        {"forms": [f"energy/f{n}" for n in range(65)]},
        "TOKEN_INVALID",
    ),
    "somebody who is not here": ({"user": "ghost"}, "USER_UNKNOWN"),
}


def test_no_token_is_wider_than_its_user(office: Office) -> None:
    """Each wrong one is refused by its own name, and none was given."""
    office.add("li", "filler")
    office.add("fill", "filler", unit=UNIT)
    found = {}
    for case, (more, _) in WIDER.items():
        with pytest.raises(ClientError) as caught:
            give(office, **more)
        found[case] = caught.value.code
    assert found == {case: code for case, (_, code) in WIDER.items()}
    assert office.machine.tokens() == ()


def test_a_token_is_held_to_its_institutions_forms_and_places(office: Office) -> None:
    """What it does not name is refused by a typed error, read or written."""
    office.add("li", "filler")
    office.add("rev", "reviewer")
    one, _ = give(office, units=[UNIT])
    refused("UNIT_FOREIGN", lambda: one.submit("energy", [row(OTHER)], actor=""))
    refused("PACK_UNKNOWN", lambda: one.submit("energy", [row(UNIT)], actor=""))
    refused("UNIT_FOREIGN", lambda: one.returns(unit=OTHER))
    assert one.returns().returns == ()
    two, _ = give(office, units=[UNIT, OTHER])
    refused("UNIT_FOREIGN", two.returns)
    assert two.returns(unit=OTHER).returns == ()
    formed, _ = give(office, forms=["energy/profile"])
    refused("FORM_FOREIGN", lambda: formed.submit("energy", [row(UNIT, "consumption")], actor=""))
    refused("PACK_UNKNOWN", lambda: formed.submit("energy", [row(UNIT)], actor=""))
    refused("FORM_FOREIGN", lambda: formed.roll_up(pack="energy", form="consumption", period="x"))
    refused("FORM_FOREIGN", formed.due)
    placed, _ = give(office, user="rev", permissions=["query.ask", "node.read"], paths=["/33"])
    refused("PATH_FOREIGN", placed.status)
    refused("PATH_FOREIGN", lambda: placed.status(path="/44"))
    refused("PATH_FOREIGN", placed.list_tree)
    follower, _ = give(office, user="rev", permissions=["records.follow"], forms=["energy/profile"])
    refused("FORM_FOREIGN", lambda: list(follower.follow(until_now=True)))
    assert list(follower.follow(until_now=True, forms=["profile"])) == []


QUESTIONS = {
    "the place itself": ("/33", "", "energy/profile", ""),
    "what is below": ("", "/33/3301", "energy/profile", ""),
    "another place": ("/44", "", "energy/profile", "PATH_FOREIGN"),
    "one that begins alike": ("/330", "", "energy/profile", "PATH_FOREIGN"),
    "all that is above": ("", "/", "energy/profile", "PATH_FOREIGN"),
    "no place": ("", "", "energy/profile", "PATH_FOREIGN"),
    "what is no path": ("33", "", "energy/profile", "PATH_FOREIGN"),
    "another form": ("/33", "", "energy/consumption", "FORM_FOREIGN"),
    "another pack's": ("/33", "", "water/profile", "FORM_FOREIGN"),
    "a resource by its code": ("/33", "", "307010001/000001", "FORM_FOREIGN"),
}


@pytest.mark.parametrize("case", QUESTIONS)
def test_a_program_asks_about_its_places_and_forms_alone(case: str) -> None:
    """Of a live question, before it is signed."""
    of, under, resource, code = QUESTIONS[case]
    caller = Caller(
        user="rev",
        session=b"s" * 32,
        token_id="00",
        forms=frozenset({"energy/profile"}),
        paths=(Path.parse("/33"),),
    )
    question = query_pb2.RowsQuestion(resource=resource, of=of, under=under)
    request = query_pb2.QueryRowsRequest(question=question)
    rule = RULES["QueryService/QueryRows"]
    told = ""
    try:
        check_forms(rule, request, caller)
        check_paths(rule, request, caller)
    except YidaoError as error:
        told = error.code
    assert told == code


def test_a_token_ends_by_time_by_word_by_place_and_by_haste(office: Office) -> None:
    """Expired, ended, elsewhere, too often: a code each; a made-up one is nobody's."""
    office.add("li", "filler")
    short, token = give(office, days=1)
    short.returns()
    office.later(24 * HOUR_MS - 1)
    short.returns()
    used = office.machine.tokens()[0]
    office.later(1)
    assert refused("TOKEN_EXPIRED", short.returns).params["id"] == token.id
    assert used.made_ms == token.made_ms
    ended, token = give(office)
    assert office.machine.revoke_token(token.id, actor="").revoked_ms
    refused("TOKEN_REVOKED", ended.returns)
    refused("TOKEN_UNKNOWN", lambda: office.machine.revoke_token("00" * 8, actor=""))
    _, token = give(office, source="192.0.2.0/24")
    secret = office.machine.give_token(
        Token(user="li", permissions=["reporting.read"], source="192.0.2.0/24"), actor="", days=1
    ).secret
    program(office, secret, "192.0.2.7").returns()
    for elsewhere in ("", "192.0.3.7", "example"):
        refused("TOKEN_SOURCE", program(office, secret, elsewhere).returns)
    hasty, token = give(office, calls_per_minute=3)
    for _ in range(3):
        hasty.returns()
    assert refused("TOKEN_RATE", hasty.returns).retryable
    office.later(MINUTE_MS)
    hasty.returns()
    office.later(MINUTE_MS)
    hasty.returns()
    office.store.run(lambda tx: None)
    used_ms = {each.id: each.used_ms for each in office.machine.tokens()}
    assert used_ms[token.id] == office.now_ms
    refused("SESSION_ENDED", program(office, "yidao_" + "A" * 43).returns)


def test_secrets_of_programs_are_nowhere(office: Office) -> None:
    """Only their SHA-256 is in the store's files."""
    office.add("li", "filler")
    given = office.machine.give_token(
        Token(user="li", permissions=["reporting.read"]), actor="", days=1
    )
    program(office, given.secret).returns()
    office.store.run(lambda tx: None)
    held = b"".join(each.read_bytes() for each in office.folder.glob("store.db*"))
    assert given.secret.encode() not in held
    assert given.secret.removeprefix("yidao_").encode() not in held


def test_on_a_real_node_a_token_takes_its_user_and_an_administrator(ministry: Ministry) -> None:
    """Each gives their own alone; who gives roles gives, sees and ends all, not alone either."""
    li, wang, sec = (ministry.desks[name] for name in ("li", "wang", "sec"))
    wanted = Token(user="li", permissions=["reporting.submit"], title="样例抄表程序")
    request = asked(lambda: li.give_token(wanted, actor="", days=30))
    assert li.requests()[0].id == request
    assert wang.requests() == ()
    ministry.approve("sec", request)
    given = li.give_token(wanted, actor="", days=30)
    assert ministry.machine.with_token(given.secret).who_am_i().actor == "li@/"
    asked(lambda: sec.give_token(wanted, actor="", days=30))
    theirs = Token(user="li", permissions=["reporting.submit"])
    refused(
        "PERMISSION_DENIED",
        lambda: ministry.by_two(lambda: wang.give_token(theirs, actor="", days=1), "sec"),
    )
    assert [each.id for each in li.tokens()] == [given.token.id]
    assert wang.tokens() == ()
    refused("TOKEN_UNKNOWN", lambda: wang.revoke_token(given.token.id, actor=""))
    sec.revoke_token(given.token.id, actor="")
    events = {each.event: each.actor for each in ministry.desks["aud"].audit(limit=200)}
    assert events["access.token.given"] == "li@/"
    assert events["access.token.revoked"] == "sec@/"


def test_a_call_that_answers_by_a_stream_takes_two_as_well(ministry: Ministry) -> None:
    """Nobody prunes alone; a trial is free, and one approval is good for one pruning."""
    sys = ministry.desks["sys"]

    def prune(*, dry_run: bool = False) -> object:
        return sys.prune(before_ms=1, reason="样例", operator="", dry_run=dry_run)

    prune(dry_run=True)
    request = asked(prune)
    assert ministry.pruned == []
    ministry.approve("sec", request)
    prune()
    assert ministry.pruned == ["样例"]
    asked(prune)
    assert ministry.pruned == ["样例"]


def test_whom_a_token_is_for_does_not_approve_it(ministry: Ministry) -> None:
    """Not even an administrator; another one may."""
    wanted = Token(user="aud", permissions=["node.read"])

    def give() -> object:
        return ministry.desks["sec"].give_token(wanted, actor="", days=1)

    request = asked(give)
    refused("APPROVER_SAME", lambda: ministry.approve("aud", request))
    ministry.approve("sys", request)
    give()


def test_two_at_once_use_an_approval_once(ministry: Ministry) -> None:
    """It is spent before the call runs."""
    import threading

    sys = ministry.desks["sys"]
    ministry.approve("sec", asked(revoke(sys)))
    codes = []

    def go() -> None:
        try:
            revoke(sys)()
            codes.append("done")
        except YidaoError as error:
            codes.append(error.code)

    threads = [threading.Thread(target=go) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(codes) == ["APPROVAL_NEEDED"] * 5 + ["done"]
    assert len(ministry.revoked) == 1


def test_no_mode_or_call_stops_the_audit(office: Office, tmp_path: FilePath) -> None:
    """Under every mode the same changing call leaves its entry, and no call removes one."""
    office.machine.put_user(User(name="li", roles=("filler",)), actor="", password=FIRST)
    changes = [name for name, rule in RULES.items() if rule.audited]
    assert "NodeService/RevokeChild" in changes
    words = ("Audit", "Log", "Prune", "Purge", "Delete", "Erase", "Redact")
    named = [name for name in RULES if name.partition("/")[2].startswith(words)]
    # One spares the audit of half a year (`test_pruning`), and the other all that others
    # rest on (`test_what_others_rest_on_is_not_erased`), of which the audit is part.
    assert sorted(named) == ["PartsService/Prune", "PartsService/Redact"]
    with pytest.raises(PartNotErasable):
        check_erasable("access.call.done", "core")
    revoke(office.machine, operator="sample@/")()
    seen = [each.event for each in office.machine.audit()]
    assert seen[0] == "access.call.done"
    for number, mode in enumerate((LENIENT, STRICT, Mode(four_eyes=True))):
        folder = tmp_path / f"n{number}"
        folder.mkdir()
        with contextlib.closing(Office(folder, mode)) as made:
            made.affairs.access.state_mode()
            made.store.applied(made.store.last_position()).result(30)
            made.affairs.access.state_mode()
            with contextlib.suppress(ClientError):
                revoke(made.machine, operator="sample@/")()
            made.store.applied(made.store.last_position()).result(30)
            entries = made.affairs.access.entries()
            assert [each.detail for each in entries if each.event == "access.mode.stated"] == [
                mode.told()
            ]
            assert any(each.object == "call/NodeService/RevokeChild" for each in entries)


def test_a_call_that_takes_two_says_who_is_the_other() -> None:
    """Only administrators approve, and what is approved is written down."""
    pairs = {name: rule for name, rule in RULES.items() if rule.pair}
    assert set(pairs) == {
        "AccessService/RemoveKey",
        "AccessService/GiveToken",
        "AccessService/SetPolicy",
        "NodeService/RevokeChild",
        "AdmissionService/AskReenrolment",
        "PartsService/Redact",
        "PartsService/Prune",
    }
    assert all(rule.audited and rule.pair <= ADMINISTRATORS for rule in pairs.values())
