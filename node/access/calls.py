"""What every call of the local API needs: one table, total over all RPCs. Pure.

A new RPC is one line here; a test walks the descriptors of all services and
fails on one that is missing. A call that is in no line is refused to every
session, and is audited for the machine's own account.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Final

from yidao.node.access.roles import Permission, Role

PACKAGE: Final = "yidao.api.local.v1"
_PREFIX: Final = f"/{PACKAGE}."
_P: Final = Permission


class Needs(Enum):
    """What a call needs that no role gives.

    Attributes:
        NOTHING: Anybody may call, without a session too.
        SESSION: Any session, also one whose password is to be changed.
    """

    NOTHING = "nothing"
    SESSION = "session"


class UnitRule(Enum):
    """What a session that fills for one institution may ask of a call.

    Attributes:
        CLOSED: Nothing: the call shows or changes what is not the institution's.
        OPEN: Anything: the call concerns no institution.
        FIELD: The request's `unit` is the institution's; an empty one is filled in.
        ROWS: Each row's `uscc` is the institution's.
        RECORDS: Each record named in the request is a return of the institution.
        ANSWER: What the answer is about must be the institution's.
    """

    CLOSED = "closed"
    OPEN = "open"
    FIELD = "field"
    ROWS = "rows"
    RECORDS = "records"
    ANSWER = "answer"


class Scoped(Enum):
    """What a program whose token names forms, or paths, may ask of a call.

    Attributes:
        CLOSED: Nothing.
        OPEN: Anything: the call shows nothing of a form, or of a place.
        NAMED: Each form or place that the request names is one of the token's.
        ANSWER: What the answer is about must be of the token's forms.
    """

    CLOSED = "closed"
    OPEN = "open"
    NAMED = "named"
    ANSWER = "answer"


@dataclass(frozen=True, slots=True, kw_only=True)
class CallRule:
    """What one RPC needs.

    Attributes:
        needs: A permission, or one of several, or what no role gives.
        audited: Each call of it is a record: it changes state, or shows what is guarded.
        unit: For sessions of one institution.
        form, path: For programs whose token names some.
        pair: It takes two where the node says so; the other one has one of these roles.
        asks_fields: Its answer holds fields of rows, and asks `fields` which may be shown.
        for_programs: A token may make it though it needs no permission.
    """

    needs: frozenset[Permission] | Needs
    audited: bool
    unit: UnitRule
    form: Scoped = Scoped.CLOSED
    path: Scoped = Scoped.CLOSED
    pair: frozenset[Role] = frozenset()
    asks_fields: bool = False
    for_programs: bool = False

    def allows(self, permissions: frozenset[Permission]) -> bool:
        """Whether these permissions suffice."""
        return isinstance(self.needs, Needs) or not self.needs.isdisjoint(permissions)

    @property
    def named(self) -> str:
        """What is needed, for the error."""
        return self.needs.value if isinstance(self.needs, Needs) else "|".join(sorted(self.needs))


def _reads(
    *needs: Permission,
    unit: UnitRule = UnitRule.CLOSED,
    form: Scoped = Scoped.CLOSED,
    path: Scoped = Scoped.CLOSED,
    asks_fields: bool = False,
) -> CallRule:
    return CallRule(
        needs=frozenset(needs),
        audited=False,
        unit=unit,
        form=form,
        path=path,
        asks_fields=asks_fields,
    )


def _acts(
    *needs: Permission,
    unit: UnitRule = UnitRule.CLOSED,
    form: Scoped = Scoped.CLOSED,
    path: Scoped = Scoped.CLOSED,
    asks_fields: bool = False,
) -> CallRule:
    return CallRule(
        needs=frozenset(needs),
        audited=True,
        unit=unit,
        form=form,
        path=path,
        asks_fields=asks_fields,
    )


def _pairs(*needs: Permission, by: frozenset[Role]) -> CallRule:
    """A call that takes two, where the node says so: one asks, one of other roles approves."""
    return CallRule(needs=frozenset(needs), audited=True, unit=UnitRule.CLOSED, pair=by)


def _free(needs: Needs, *, for_programs: bool = False) -> CallRule:
    # These write audit records of their own, which say more than the call's name.
    return CallRule(needs=needs, audited=False, unit=UnitRule.OPEN, for_programs=for_programs)


#: Who approves what concerns the node: another system administrator, or the one for security.
TECHNICAL: Final = frozenset({Role.SYSTEM_ADMIN, Role.SECURITY_ADMIN})
#: Who approves what concerns who may do what.
POWERS: Final = frozenset({Role.SECURITY_ADMIN, Role.SYSTEM_ADMIN, Role.AUDIT_ADMIN})

#: `Service/Method` → what it needs.
RULES: Final[Mapping[str, CallRule]] = {
    "AccessService/SignIn": _free(Needs.NOTHING),
    "AccessService/SignOut": _free(Needs.SESSION),
    "AccessService/WhoAmI": _free(Needs.SESSION, for_programs=True),
    "AccessService/Challenge": _free(Needs.NOTHING),
    "AccessService/RegisterKey": _free(Needs.SESSION),
    "AccessService/ChangePassword": _free(Needs.SESSION),
    "AccessService/PutUser": _reads(_P.ACCESS_USERS, _P.ACCESS_ROLES, _P.ACCESS_BOOTSTRAP),
    "AccessService/UnlockUser": _reads(_P.ACCESS_ROLES),
    "AccessService/ListUsers": _reads(
        _P.ACCESS_USERS, _P.ACCESS_ROLES, _P.ACCESS_AUDIT, _P.ACCESS_BOOTSTRAP
    ),
    "AccessService/RemoveKey": _pairs(_P.ACCESS_APPROVE, by=POWERS),
    "AccessService/GiveToken": _pairs(_P.ACCESS_TOKENS, _P.ACCESS_ROLES, by=POWERS),
    "AccessService/ListTokens": _reads(
        _P.ACCESS_TOKENS, _P.ACCESS_ROLES, _P.ACCESS_AUDIT, unit=UnitRule.OPEN
    ),
    "AccessService/RevokeToken": _acts(_P.ACCESS_TOKENS, _P.ACCESS_ROLES, unit=UnitRule.OPEN),
    "AccessService/ListRequests": _reads(_P.ACCESS_APPROVE, _P.ACCESS_TOKENS),
    "AccessService/DecideRequest": _reads(_P.ACCESS_APPROVE),
    "AccessService/GetPolicy": _reads(_P.ACCESS_POLICY, _P.ACCESS_AUDIT, _P.NODE_READ),
    "AccessService/SetPolicy": _pairs(_P.ACCESS_POLICY, by=POWERS),
    "AccessService/ListAudit": _acts(_P.ACCESS_AUDIT),
    "NodeService/Status": _reads(
        _P.NODE_READ, unit=UnitRule.OPEN, form=Scoped.OPEN, path=Scoped.NAMED
    ),
    "NodeService/ListTree": _reads(_P.NODE_READ),
    "NodeService/AddChild": _acts(_P.NODE_OPERATE),
    "NodeService/RevokeChild": _pairs(_P.NODE_OPERATE, by=TECHNICAL),
    "AdmissionService/AddChildCode": _acts(_P.NODE_OPERATE),
    "AdmissionService/ListOpenRequests": _reads(_P.NODE_READ),
    "AdmissionService/DecideJoin": _acts(_P.NODE_OPERATE),
    "AdmissionService/AskReenrolment": _pairs(_P.NODE_OPERATE, by=TECHNICAL),
    "AdmissionService/HandOverUnits": _acts(_P.NODE_OPERATE),
    "NodeService/ExportEvidence": _acts(
        _P.EVIDENCE_EXPORT, unit=UnitRule.RECORDS, asks_fields=True
    ),
    "NodeService/Rebuild": _acts(_P.NODE_OPERATE),
    "NodeService/VerifyStore": _acts(_P.NODE_OPERATE),
    "IdentityService/ListKeys": _reads(_P.NODE_READ),
    "IdentityService/PrepareKeys": _acts(_P.NODE_OPERATE),
    "IdentityService/ActivateKeys": _acts(_P.NODE_OPERATE),
    "IdentityService/TaintKeys": _acts(_P.NODE_OPERATE),
    "IdentityService/RevokeKeys": _acts(_P.NODE_OPERATE),
    "StandardsService/PublishPack": _acts(_P.STANDARDS_PUBLISH),
    "StandardsService/ListPacks": _reads(
        _P.STANDARDS_READ, unit=UnitRule.OPEN, form=Scoped.OPEN, path=Scoped.OPEN
    ),
    "StandardsService/GetPack": _reads(
        _P.STANDARDS_READ, unit=UnitRule.OPEN, form=Scoped.OPEN, path=Scoped.OPEN
    ),
    "RegistryService/ListUnits": _reads(_P.REGISTRY_READ, form=Scoped.OPEN),
    "ReportingService/Submit": _acts(
        _P.REPORTING_SUBMIT, unit=UnitRule.ROWS, form=Scoped.NAMED, path=Scoped.OPEN
    ),
    "ReportingService/Withdraw": _acts(_P.REPORTING_WITHDRAW, unit=UnitRule.RECORDS),
    "ReportingService/Review": _acts(_P.REPORTING_REVIEW),
    "ReportingService/ListReturns": _reads(
        _P.REPORTING_READ, unit=UnitRule.FIELD, form=Scoped.ANSWER, asks_fields=True
    ),
    "ReportingService/ListDue": _reads(_P.REPORTING_READ, unit=UnitRule.FIELD),
    "ReportingService/ListMissing": _reads(_P.REPORTING_READ, form=Scoped.NAMED),
    "ReportingService/RollUp": _reads(_P.REPORTING_READ, form=Scoped.NAMED),
    "ReportingService/BreakDown": _reads(_P.REPORTING_READ, form=Scoped.NAMED),
    "ReportingService/GetReceipt": _reads(
        _P.REPORTING_READ, unit=UnitRule.ANSWER, form=Scoped.ANSWER, asks_fields=True
    ),
    "SignoffService/ProposePolicy": _acts(_P.SIGNOFF_MANAGE),
    "SignoffService/ConfirmPolicy": _acts(_P.SIGNOFF_MANAGE),
    "SignoffService/FilePolicy": _acts(_P.SIGNOFF_MANAGE),
    "SignoffService/SetDemand": _acts(_P.SIGNOFF_MANAGE),
    "SignoffService/ListSignoff": _reads(_P.REPORTING_READ, _P.SIGNOFF_MANAGE),
    # It hands out the figures of many institutions in one file.
    "SignoffService/PrepareBatch": _acts(_P.SIGNOFF_SUBMIT, asks_fields=True),
    "SignoffService/SubmitBatch": _acts(_P.SIGNOFF_SUBMIT),
    "SignoffService/ListUnsigned": _reads(_P.REPORTING_READ),
    "DirectivesService/Issue": _acts(_P.DIRECTIVES_ISSUE),
    "DirectivesService/Report": _acts(_P.DIRECTIVES_REPORT),
    "DirectivesService/ListDirectives": _reads(_P.DIRECTIVES_READ),
    "DirectivesService/Tree": _reads(_P.DIRECTIVES_READ),
    "CatalogService/IssueCode": _acts(_P.CATALOG_DRAFT),
    "CatalogService/SaveDraft": _acts(_P.CATALOG_DRAFT),
    "CatalogService/DraftFromForm": _acts(_P.CATALOG_DRAFT),
    "CatalogService/SubmitEntry": _acts(_P.CATALOG_DRAFT),
    "CatalogService/ReviewEntry": _acts(_P.CATALOG_REVIEW),
    "CatalogService/SendBackEntry": _acts(_P.CATALOG_REVIEW),
    "CatalogService/PublishEntry": _acts(_P.CATALOG_PUBLISH),
    "CatalogService/WithdrawEntry": _acts(_P.CATALOG_PUBLISH),
    "CatalogService/GetEntry": _reads(_P.CATALOG_READ, unit=UnitRule.OPEN, form=Scoped.OPEN),
    "CatalogService/ListDrafts": _reads(_P.CATALOG_READ),
    "CatalogService/SearchCatalog": _reads(_P.CATALOG_READ, unit=UnitRule.OPEN),
    "CatalogService/ExportCatalog": _reads(_P.CATALOG_READ, unit=UnitRule.OPEN),
    "QueryService/QueryRows": _acts(
        _P.QUERY_ASK, form=Scoped.NAMED, path=Scoped.NAMED, asks_fields=True
    ),
    "TrustService/PublishRootList": _acts(_P.NODE_OPERATE),
    "TrustService/GetRootList": _reads(_P.NODE_READ),
    "RecordsService/Append": _acts(_P.RECORDS_PUBLISH),
    "RecordsService/Publish": _acts(_P.RECORDS_PUBLISH),
    "FollowService/Follow": _reads(_P.RECORDS_FOLLOW, form=Scoped.NAMED, asks_fields=True),
    "RecoveryService/ListIncidents": _reads(_P.NODE_READ, unit=UnitRule.CLOSED),
    "RecoveryService/OpenEpoch": _acts(_P.NODE_OPERATE),
    "RecoveryService/SettleIncidents": _acts(_P.NODE_OPERATE),
    "RecoveryService/ReleaseNode": _acts(_P.NODE_OPERATE),
    "BundleService/Export": _acts(_P.NODE_OPERATE),
    "BundleService/Import": _acts(_P.NODE_OPERATE),
    "PartsService/ListParts": _reads(_P.EVIDENCE_EXPORT),
    "PartsService/GetPart": _acts(_P.EVIDENCE_EXPORT, asks_fields=True),
    "PartsService/Redact": _pairs(_P.NODE_OPERATE, by=TECHNICAL),
    "PartsService/Prune": _pairs(_P.NODE_OPERATE, by=TECHNICAL),
}


def call_name(method: str) -> str:
    """Give `Service/Method` of a full gRPC method name; other packages' stay as they are."""
    return method.removeprefix(_PREFIX)


def is_public(method: str) -> bool:
    """Whether a method is none of the local API: gRPC's own health service."""
    return method.startswith("/grpc.health.v1.Health/")
