"""Roles, what they allow, and which of them exclude each other. Pure.

The three administrators (三员: system, security, audit) exclude each other and
every role of business, after GB/T 22239-2019 8.1.5: nobody is a superuser.
"""

from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Final

from yidao.node.access.errors import RolesExclusive, UserInvalid


class Role(StrEnum):
    """What a user is for."""

    FILLER = "filler"
    REVIEWER = "reviewer"
    APPROVER = "approver"
    VIEWER = "viewer"
    SYSTEM_ADMIN = "system_admin"
    SECURITY_ADMIN = "security_admin"
    AUDIT_ADMIN = "audit_admin"


class Permission(StrEnum):
    """What a role may allow."""

    REPORTING_READ = "reporting.read"
    REPORTING_SUBMIT = "reporting.submit"
    REPORTING_WITHDRAW = "reporting.withdraw"
    REPORTING_REVIEW = "reporting.review"
    SIGNOFF_SUBMIT = "signoff.submit"
    SIGNOFF_MANAGE = "signoff.manage"
    REGISTRY_READ = "registry.read"
    STANDARDS_READ = "standards.read"
    STANDARDS_PUBLISH = "standards.publish"
    DIRECTIVES_READ = "directives.read"
    DIRECTIVES_ISSUE = "directives.issue"
    DIRECTIVES_REPORT = "directives.report"
    CATALOG_READ = "catalog.read"
    CATALOG_DRAFT = "catalog.draft"
    CATALOG_REVIEW = "catalog.review"
    CATALOG_PUBLISH = "catalog.publish"
    QUERY_ASK = "query.ask"
    RECORDS_FOLLOW = "records.follow"
    RECORDS_PUBLISH = "records.publish"
    EVIDENCE_EXPORT = "evidence.export"
    NODE_READ = "node.read"
    NODE_OPERATE = "node.operate"
    ACCESS_USERS = "access.users"
    ACCESS_ROLES = "access.roles"
    ACCESS_AUDIT = "access.audit"
    ACCESS_TOKENS = "access.tokens"
    ACCESS_APPROVE = "access.approve"
    ACCESS_POLICY = "access.policy"
    # No role's: the machine's account makes the first administrators.
    ACCESS_BOOTSTRAP = "access.bootstrap"


_P: Final = Permission
_READS: Final = frozenset(
    {
        _P.REPORTING_READ,
        _P.REGISTRY_READ,
        _P.STANDARDS_READ,
        _P.DIRECTIVES_READ,
        _P.CATALOG_READ,
        _P.NODE_READ,
    }
)

#: The one table of what a role allows.
ALLOWS: Final[Mapping[Role, frozenset[Permission]]] = {
    Role.VIEWER: _READS,
    Role.FILLER: _READS
    | {
        _P.REPORTING_SUBMIT,
        _P.REPORTING_WITHDRAW,
        _P.RECORDS_PUBLISH,
        _P.SIGNOFF_SUBMIT,
        _P.CATALOG_DRAFT,
        _P.EVIDENCE_EXPORT,
        _P.ACCESS_TOKENS,
    },
    Role.REVIEWER: _READS
    | {
        _P.REPORTING_REVIEW,
        _P.SIGNOFF_SUBMIT,
        _P.CATALOG_REVIEW,
        _P.QUERY_ASK,
        _P.RECORDS_FOLLOW,
        _P.EVIDENCE_EXPORT,
        _P.ACCESS_TOKENS,
    },
    Role.APPROVER: _READS
    | {
        _P.SIGNOFF_SUBMIT,
        _P.SIGNOFF_MANAGE,
        _P.STANDARDS_PUBLISH,
        _P.DIRECTIVES_ISSUE,
        _P.DIRECTIVES_REPORT,
        _P.RECORDS_PUBLISH,
        _P.CATALOG_PUBLISH,
        _P.QUERY_ASK,
        _P.RECORDS_FOLLOW,
        _P.EVIDENCE_EXPORT,
        _P.ACCESS_TOKENS,
    },
    Role.SYSTEM_ADMIN: frozenset(
        {_P.NODE_READ, _P.NODE_OPERATE, _P.ACCESS_USERS, _P.ACCESS_APPROVE}
    ),
    Role.SECURITY_ADMIN: frozenset(
        {
            _P.NODE_READ,
            _P.ACCESS_ROLES,
            _P.ACCESS_POLICY,
            _P.ACCESS_APPROVE,
        }
    ),
    Role.AUDIT_ADMIN: frozenset({_P.NODE_READ, _P.ACCESS_AUDIT, _P.ACCESS_APPROVE}),
}

#: What a program's token may allow: nothing of who may do what, and nothing of the node's upkeep.
GRANTABLE: Final = frozenset(
    each
    for each in Permission
    if not each.value.startswith("access.") and each is not Permission.NODE_OPERATE
)

ADMINISTRATORS: Final = frozenset({Role.SYSTEM_ADMIN, Role.SECURITY_ADMIN, Role.AUDIT_ADMIN})


def parse_roles(names: Iterable[str]) -> frozenset[Role]:
    """Read roles by their names.

    Raises:
        UserInvalid: There is no such role.
        RolesExclusive: An administrator's role stands beside another role.
    """
    try:
        roles = frozenset(Role(name) for name in names)
    except ValueError:
        raise UserInvalid(field="roles") from None
    if roles & ADMINISTRATORS and len(roles) > 1:
        raise RolesExclusive(roles=" ".join(sorted(roles)))
    return roles


def check_unit(roles: frozenset[Role], unit: str) -> None:
    """Refuse a user of one institution who is more than its filler.

    Raises:
        RolesExclusive: Whoever reviews, approves or administers sees other institutions.
    """
    if unit and not roles <= {Role.FILLER, Role.VIEWER}:
        raise RolesExclusive(roles=" ".join(sorted(roles)))


def permissions_of(roles: Iterable[Role]) -> frozenset[Permission]:
    """Give what these roles allow together."""
    return frozenset().union(*(ALLOWS[role] for role in roles))


def is_administrator(roles: Iterable[Role]) -> bool:
    """Whether one of the three administrators is among them."""
    return not ADMINISTRATORS.isdisjoint(roles)
