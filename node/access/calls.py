"""What every call of the local API needs: one table, total over all RPCs. Pure.

A new RPC is one line here; a test walks the descriptors of all services and
fails on one that is missing. A call that is in no line is refused to every
session, and is audited for the machine's own account.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Final

from yidao.node.access.roles import Permission

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


@dataclass(frozen=True, slots=True, kw_only=True)
class CallRule:
    """What one RPC needs.

    Attributes:
        needs: A permission, or one of several, or what no role gives.
        audited: Each call of it is a record: it changes state, or shows what is guarded.
        unit: For sessions of one institution.
    """

    needs: frozenset[Permission] | Needs
    audited: bool
    unit: UnitRule

    def allows(self, permissions: frozenset[Permission]) -> bool:
        """Whether these permissions suffice."""
        return isinstance(self.needs, Needs) or not self.needs.isdisjoint(permissions)

    @property
    def named(self) -> str:
        """What is needed, for the error."""
        return self.needs.value if isinstance(self.needs, Needs) else "|".join(sorted(self.needs))


def _reads(*needs: Permission, unit: UnitRule = UnitRule.CLOSED) -> CallRule:
    return CallRule(needs=frozenset(needs), audited=False, unit=unit)


def _acts(*needs: Permission, unit: UnitRule = UnitRule.CLOSED) -> CallRule:
    return CallRule(needs=frozenset(needs), audited=True, unit=unit)


def _free(needs: Needs) -> CallRule:
    # These write audit records of their own, which say more than the call's name.
    return CallRule(needs=needs, audited=False, unit=UnitRule.OPEN)


#: `Service/Method` → what it needs.
RULES: Final[Mapping[str, CallRule]] = {
    "AccessService/SignIn": _free(Needs.NOTHING),
    "AccessService/SignOut": _free(Needs.SESSION),
    "AccessService/WhoAmI": _free(Needs.SESSION),
    "AccessService/ChangePassword": _free(Needs.SESSION),
    "AccessService/PutUser": _reads(_P.ACCESS_USERS, _P.ACCESS_ROLES),
    "AccessService/UnlockUser": _reads(_P.ACCESS_ROLES),
    "AccessService/ListUsers": _reads(_P.ACCESS_USERS, _P.ACCESS_ROLES, _P.ACCESS_AUDIT),
    "AccessService/ListAudit": _acts(_P.ACCESS_AUDIT),
    "NodeService/Status": _reads(_P.NODE_READ, unit=UnitRule.OPEN),
    "NodeService/ListTree": _reads(_P.NODE_READ),
    "NodeService/AddChild": _acts(_P.NODE_OPERATE),
    "NodeService/RevokeChild": _acts(_P.NODE_OPERATE),
    "NodeService/ExportEvidence": _acts(_P.EVIDENCE_EXPORT, unit=UnitRule.RECORDS),
    "NodeService/Rebuild": _acts(_P.NODE_OPERATE),
    "NodeService/VerifyStore": _acts(_P.NODE_OPERATE),
    "IdentityService/ListKeys": _reads(_P.NODE_READ),
    "IdentityService/PrepareKeys": _acts(_P.NODE_OPERATE),
    "IdentityService/ActivateKeys": _acts(_P.NODE_OPERATE),
    "IdentityService/TaintKeys": _acts(_P.NODE_OPERATE),
    "IdentityService/RevokeKeys": _acts(_P.NODE_OPERATE),
    "StandardsService/PublishPack": _acts(_P.STANDARDS_PUBLISH),
    "StandardsService/ListPacks": _reads(_P.STANDARDS_READ, unit=UnitRule.OPEN),
    "StandardsService/GetPack": _reads(_P.STANDARDS_READ, unit=UnitRule.OPEN),
    "RegistryService/ListUnits": _reads(_P.REGISTRY_READ),
    "ReportingService/Submit": _acts(_P.REPORTING_SUBMIT, unit=UnitRule.ROWS),
    "ReportingService/Withdraw": _acts(_P.REPORTING_WITHDRAW, unit=UnitRule.RECORDS),
    "ReportingService/Review": _acts(_P.REPORTING_REVIEW),
    "ReportingService/ListReturns": _reads(_P.REPORTING_READ, unit=UnitRule.FIELD),
    "ReportingService/ListDue": _reads(_P.REPORTING_READ, unit=UnitRule.FIELD),
    "ReportingService/ListMissing": _reads(_P.REPORTING_READ),
    "ReportingService/RollUp": _reads(_P.REPORTING_READ),
    "ReportingService/BreakDown": _reads(_P.REPORTING_READ),
    "ReportingService/GetReceipt": _reads(_P.REPORTING_READ, unit=UnitRule.ANSWER),
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
    "CatalogService/GetEntry": _reads(_P.CATALOG_READ, unit=UnitRule.OPEN),
    "CatalogService/ListDrafts": _reads(_P.CATALOG_READ),
    "CatalogService/SearchCatalog": _reads(_P.CATALOG_READ, unit=UnitRule.OPEN),
    "CatalogService/ExportCatalog": _reads(_P.CATALOG_READ, unit=UnitRule.OPEN),
    "QueryService/QueryRows": _acts(_P.QUERY_ASK),
    "FollowService/Follow": _reads(_P.RECORDS_FOLLOW),
    "RecoveryService/ListIncidents": _reads(_P.NODE_READ, unit=UnitRule.CLOSED),
    "RecoveryService/OpenEpoch": _acts(_P.NODE_OPERATE),
    "RecoveryService/SettleIncidents": _acts(_P.NODE_OPERATE),
    "RecoveryService/ReleaseNode": _acts(_P.NODE_OPERATE),
    "BundleService/Export": _acts(_P.NODE_OPERATE),
    "BundleService/Import": _acts(_P.NODE_OPERATE),
}


def call_name(method: str) -> str:
    """Give `Service/Method` of a full gRPC method name; other packages' stay as they are."""
    return method.removeprefix(_PREFIX)


def is_public(method: str) -> bool:
    """Whether a method is none of the local API: gRPC's own health service."""
    return method.startswith("/grpc.health.v1.Health/")
