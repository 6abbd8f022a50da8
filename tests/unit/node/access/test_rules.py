"""Roles, the table of calls, and who may change whom: all pure."""

import importlib
import pkgutil

import pytest
from google.protobuf.descriptor import ServiceDescriptor

import yidao.api.local.v1 as local_api
from yidao.node.access import calls
from yidao.node.access.accounts import Profile
from yidao.node.access.caller import LOCAL, Caller, acting_as, check_call
from yidao.node.access.calls import RULES, CallRule, Needs, UnitRule
from yidao.node.access.errors import (
    AccessError,
    ActorNotYours,
    PasswordChangeDue,
    PermissionDenied,
    RolesExclusive,
    UserInvalid,
)
from yidao.node.access.roles import (
    ADMINISTRATORS,
    ALLOWS,
    Permission,
    Role,
    parse_roles,
    permissions_of,
)
from yidao.node.access.users import check_profile, check_put

UNIT = "12330106MB0000001X"


def services() -> list[ServiceDescriptor]:
    found = []
    for module in pkgutil.iter_modules(local_api.__path__):
        if module.name.endswith("_pb2"):
            loaded = importlib.import_module(f"{local_api.__name__}.{module.name}")
            found += list(loaded.DESCRIPTOR.services_by_name.values())
    return found


def everybody(role: Role, **more: object) -> Caller:
    given = {
        "user": "li",
        "actor": "li@/33",
        "permissions": permissions_of([role]),
        "session": b"s" * 32,
    }
    return Caller(**(given | more))  # type: ignore[arg-type]


def allowed(caller: Caller, name: str) -> bool:
    try:
        check_call(caller, RULES.get(name), name=name)
    except AccessError:
        return False
    return True


def test_every_call_of_the_local_api_has_a_rule() -> None:
    """And no rule is of a call that is not there."""
    there = {f"{each.name}/{method.name}" for each in services() for method in each.methods}
    assert len(there) > 25
    assert there - RULES.keys() == set(), "add a line to node/access/calls.py"
    assert RULES.keys() - there == set()


def test_who_acts_stands_in_one_field() -> None:
    """A request that changes state and names who does it names it `actor` or `operator`, a text."""
    for service in services():
        for method in service.methods:
            fields = method.input_type.fields_by_name
            named = {"actor", "operator"} & set(fields)
            assert len(named) <= 1
            assert all(fields[each].type == fields[each].TYPE_STRING for each in named)


def test_unit_rules_fit_their_requests() -> None:
    """Where a rule looks at a field of the request, the request has it."""
    inputs = {
        f"{each.name}/{method.name}": method.input_type.fields_by_name
        for each in services()
        for method in each.methods
    }
    needed = {
        UnitRule.FIELD: {"unit"},
        UnitRule.ROWS: {"rows"},
        UnitRule.RECORDS: {"record_ids", "record_id"},
    }
    for name, rule in RULES.items():
        if rule.unit in needed:
            assert needed[rule.unit] & set(inputs[name]), name


MAY = {
    "AccessService/SignIn": set(Role),
    "AccessService/WhoAmI": set(Role),
    "AccessService/PutUser": {Role.SYSTEM_ADMIN, Role.SECURITY_ADMIN},
    "AccessService/UnlockUser": {Role.SECURITY_ADMIN},
    "AccessService/ListUsers": set(ADMINISTRATORS),
    "AccessService/ListAudit": {Role.AUDIT_ADMIN},
    "NodeService/Status": set(Role),
    "NodeService/AddChild": {Role.SYSTEM_ADMIN},
    "NodeService/RevokeChild": {Role.SYSTEM_ADMIN},
    "NodeService/Rebuild": {Role.SYSTEM_ADMIN},
    "NodeService/VerifyStore": {Role.SYSTEM_ADMIN},
    "NodeService/ExportEvidence": {Role.FILLER, Role.REVIEWER, Role.APPROVER},
    "ReportingService/Submit": {Role.FILLER},
    "ReportingService/Withdraw": {Role.FILLER},
    "ReportingService/Review": {Role.REVIEWER},
    "ReportingService/ListReturns": set(Role) - ADMINISTRATORS,
    "StandardsService/PublishPack": {Role.APPROVER},
    "DirectivesService/Issue": {Role.APPROVER},
    "DirectivesService/ListDirectives": set(Role) - ADMINISTRATORS,
}


@pytest.mark.parametrize("name", MAY)
def test_roles_may_call_what_they_are_for(name: str) -> None:
    """Nobody else may, the administrators no business, and the business no administration."""
    assert {role for role in Role if allowed(everybody(role), name)} == MAY[name]


def test_there_is_no_superuser() -> None:
    """No role has all permissions, no administrator has business, each permission has a role.

    But for one: the machine's account makes the first administrators.
    """
    assert all(set(Permission) - ALLOWS[role] for role in Role)
    business = set().union(*(ALLOWS[role] for role in set(Role) - ADMINISTRATORS))
    for role in ADMINISTRATORS:
        assert ALLOWS[role] & business <= {Permission.NODE_READ}
    everything = set(Permission) - {Permission.ACCESS_BOOTSTRAP}
    assert set().union(*ALLOWS.values()) == everything


@pytest.mark.parametrize("admin", sorted(ADMINISTRATORS))
@pytest.mark.parametrize("other", sorted(Role))
def test_an_administrator_has_one_role_alone(admin: Role, other: Role) -> None:
    """Neither business nor another administration stands beside it."""
    if admin is other:
        assert parse_roles([admin]) == {admin}
        return
    with pytest.raises(RolesExclusive):
        parse_roles([other, admin])


def test_roles_of_business_go_together_and_unknown_ones_do_not_go() -> None:
    """A person may fill and review, but no role is invented."""
    assert parse_roles(["filler", "reviewer"]) == {Role.FILLER, Role.REVIEWER}
    for wrong in ("root", "", "FILLER"):
        with pytest.raises(UserInvalid):
            parse_roles([wrong])


def test_a_call_without_a_rule_is_refused_to_sessions_alone() -> None:
    """A forgotten line closes; the machine's own account goes on."""
    for role in Role:
        assert not allowed(everybody(role), "NovelService/Do")
    assert allowed(LOCAL, "NovelService/Do")


def test_a_password_to_be_changed_closes_all_but_its_change() -> None:
    """Whatever the role."""
    for role in Role:
        caller = everybody(role, must_change_password=True)
        for name, rule in RULES.items():
            assert allowed(caller, name) == isinstance(rule.needs, Needs)
    with pytest.raises(PasswordChangeDue):
        check_call(
            everybody(Role.FILLER, must_change_password=True),
            RULES["ReportingService/Submit"],
            name="x",
        )


def test_a_desk_of_one_institution_sees_no_other() -> None:
    """What shows or changes more than the institution's own is closed to it."""
    caller = everybody(Role.FILLER, units=frozenset({UNIT}))
    open_calls = {name for name in RULES if allowed(caller, name)}
    assert open_calls == {
        "AccessService/Challenge",
        "AccessService/RegisterKey",
        "AccessService/ListTokens",
        "AccessService/RevokeToken",
        "AccessService/SignIn",
        "AccessService/SignOut",
        "AccessService/WhoAmI",
        "AccessService/ChangePassword",
        "NodeService/Status",
        "NodeService/ExportEvidence",
        "StandardsService/ListPacks",
        "StandardsService/GetPack",
        "ReportingService/Submit",
        "ReportingService/Withdraw",
        "ReportingService/ListReturns",
        "ReportingService/ListDue",
        "ReportingService/GetReceipt",
        "CatalogService/GetEntry",
        "CatalogService/SearchCatalog",
        "CatalogService/ExportCatalog",
    }


def test_what_changes_state_is_audited() -> None:
    """But for what writes entries of its own; and what shows the guarded."""
    own_entries = {f"AccessService/{each}" for each in ("SignIn", "SignOut", "ChangePassword")}
    own_entries |= {f"AccessService/{each}" for each in ("PutUser", "UnlockUser", "RegisterKey")}
    own_entries |= {"AccessService/DecideRequest", "AccessService/Challenge"}
    quiet = {name for name, rule in RULES.items() if not rule.audited} - own_entries
    reads = ("List", "Get", "Tree", "Status", "RollUp", "BreakDown", "WhoAmI", "Search", "Follow")
    quiet.remove("CatalogService/ExportCatalog")
    assert [name for name in quiet if not name.partition("/")[2].startswith(reads)] == []
    assert RULES["NodeService/ExportEvidence"].audited
    assert RULES["AccessService/ListAudit"].audited


def test_a_session_acts_as_itself() -> None:
    """Nobody named is filled in, another one refused; the machine's account names anybody."""
    caller = everybody(Role.FILLER)
    assert acting_as(caller, "") == "li@/33"
    assert acting_as(caller, "li@/33") == "li@/33"
    for other in ("wang@/33", "li@/", "LI@/33", "li"):
        with pytest.raises(ActorNotYours):
            acting_as(caller, other)
    assert acting_as(LOCAL, "wang@/33") == "wang@/33"


SYSTEM, SECURITY = everybody(Role.SYSTEM_ADMIN), everybody(Role.SECURITY_ADMIN)
HELD = Profile(name="wang", title="样例", roles=frozenset({Role.FILLER}), unit=UNIT)
BARE = Profile(name="wang", title="样例")
AUDITOR = Profile(name="wang", title="样例", roles=frozenset({Role.AUDIT_ADMIN}))
ALSO = frozenset({Role.FILLER, Role.REVIEWER})

PUTS = {
    "the system administrator adds an account without roles": (SYSTEM, None, BARE, True, True),
    "but gives no roles": (SYSTEM, None, HELD, True, False),
    "nor changes them": (
        SYSTEM,
        BARE,
        Profile(name="wang", title="样例", roles=ALSO),
        False,
        False,
    ),
    "nor whom a filler fills for": (
        SYSTEM,
        HELD,
        Profile(name="wang", title="样例", roles=HELD.roles),
        False,
        False,
    ),
    "the system administrator disables": (
        SYSTEM,
        HELD,
        Profile(name="wang", title="样例", roles=HELD.roles, unit=UNIT, disabled=True),
        False,
        True,
    ),
    "and resets a password": (SYSTEM, HELD, HELD, True, True),
    "the security administrator gives roles": (
        SECURITY,
        BARE,
        Profile(name="wang", title="样例", roles=ALSO),
        False,
        True,
    ),
    "but adds no account": (SECURITY, None, BARE, True, False),
    "nor resets a password": (SECURITY, HELD, HELD, True, False),
    "nor disables": (
        SECURITY,
        BARE,
        Profile(name="wang", title="样例", disabled=True),
        False,
        False,
    ),
    "the security administrator makes no administrator": (SECURITY, BARE, AUDITOR, False, False),
    "nobody but the machine's account touches an auditor": (SECURITY, AUDITOR, BARE, False, False),
    "not to disable either": (
        SYSTEM,
        AUDITOR,
        Profile(name="wang", title="样例", roles=AUDITOR.roles, disabled=True),
        False,
        False,
    ),
    "nor to set a password": (SYSTEM, AUDITOR, AUDITOR, True, False),
    "nobody changes their own account": (
        SECURITY,
        Profile(name="li"),
        Profile(name="li", roles=ALSO),
        False,
        False,
    ),
    "a filler changes nobody": (everybody(Role.FILLER), BARE, HELD, False, False),
    "the machine's account makes an auditor": (LOCAL, None, AUDITOR, True, True),
}


@pytest.mark.parametrize("case", PUTS)
def test_duties_are_apart(case: str) -> None:
    """It takes two people to make a third who can do something, and none to touch an auditor."""
    caller, held, wanted, resets, may = PUTS[case]
    if may:
        check_put(caller, held, wanted, resets_password=resets)
        return
    with pytest.raises(PermissionDenied):
        check_put(caller, held, wanted, resets_password=resets)


PROFILES = {
    "a blank in the name": (Profile(name="l i"), UserInvalid),
    "no name": (Profile(name=""), UserInvalid),
    "a name that is too long": (Profile(name="x" * 65), UserInvalid),
    "a name that looks like another": (Profile(name="ｌｉ"), UserInvalid),
    "the node's own name": (Profile(name="system"), UserInvalid),
    "the machine's account": (Profile(name="local"), UserInvalid),
    "nobody": (Profile(name="nobody"), UserInvalid),
    "a line break in the title": (Profile(name="li", title="a\nb"), UserInvalid),
    "a unit that is no code": (Profile(name="li", unit="sample"), UserInvalid),
    "a reviewer of one institution": (
        Profile(name="li", roles=frozenset({Role.REVIEWER}), unit=UNIT),
        RolesExclusive,
    ),
    "an administrator of one institution": (
        Profile(name="li", roles=frozenset({Role.AUDIT_ADMIN}), unit=UNIT),
        RolesExclusive,
    ),
}


@pytest.mark.parametrize("case", PROFILES)
def test_a_user_that_cannot_be_is_refused(case: str) -> None:
    """Whoever asks for it."""
    profile, error = PROFILES[case]
    with pytest.raises(error):
        check_profile(profile)
    check_profile(Profile(name="李明", title="样例填报人", roles=HELD.roles, unit=UNIT))


def test_a_rule_names_what_it_needs() -> None:
    """For the error that a person reads."""
    rule = CallRule(
        needs=frozenset({Permission.ACCESS_USERS, Permission.ACCESS_ROLES}),
        audited=False,
        unit=UnitRule.CLOSED,
    )
    assert rule.named == "access.roles|access.users"
    assert calls.call_name("/yidao.api.local.v1.NodeService/Status") == "NodeService/Status"
    assert calls.is_public("/grpc.health.v1.Health/Check")
