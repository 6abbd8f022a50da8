"""Which calls may be made again by themselves, and how that is told to gRPC.

gRPC repeats a call that failed with UNAVAILABLE (no daemon, or one that is
stopping), after waits that double and are jittered, within the call's own
deadline (gRFC A6). A call that is not named here is made once.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

_PACKAGE: Final = "yidao.api.local.v1"
#: gRPC makes no more, whatever it is told (gRFC A6).
MAX_ATTEMPTS: Final = 5

#: Calls that read, and those that a second time changes nothing: an equal row is left alone, a
#: pack of the same bytes is the same pack.
REPEATABLE: Final[Mapping[str, tuple[str, ...]]] = {
    "AccessService": (
        "WhoAmI",
        "Challenge",
        "ListUsers",
        "ListAudit",
        "ListTokens",
        "RevokeToken",
        "ListRequests",
        "GetPolicy",
    ),
    "CatalogService": ("GetEntry", "ListDrafts", "SearchCatalog", "ExportCatalog"),
    "DirectivesService": ("ListDirectives", "Tree"),
    "IdentityService": ("ListKeys", "PrepareKeys", "TaintKeys", "RevokeKeys"),
    "AdmissionService": ("ListOpenRequests",),
    "NodeService": ("Status", "ListTree", "ExportEvidence", "VerifyStore"),
    "PartsService": ("ListParts", "GetPart"),
    "RecoveryService": ("ListIncidents",),
    "RegistryService": ("ListUnits",),
    "ReportingService": (
        "Submit",
        "ListReturns",
        "RollUp",
        "ListDue",
        "ListMissing",
        "BreakDown",
        "GetReceipt",
    ),
    "SignoffService": ("ListSignoff", "PrepareBatch", "ListUnsigned"),
    "StandardsService": ("PublishPack", "ListPacks", "GetPack"),
    "TrustService": ("GetRootList",),
}
#: Calls that are made once: a second one would do more, or be refused for what the first did.
ONCE: Final[Mapping[str, tuple[str, ...]]] = {
    "AccessService": (
        "SignIn",
        "SignOut",
        "ChangePassword",
        "PutUser",
        "UnlockUser",
        "RegisterKey",
        "RemoveKey",
        "GiveToken",
        "DecideRequest",
        "SetPolicy",
    ),
    # Packing is work, and what is taken in is a stream that cannot be read twice.
    "BundleService": ("Export", "Import"),
    "CatalogService": (
        "IssueCode",
        "SaveDraft",
        "DraftFromForm",
        "SubmitEntry",
        "ReviewEntry",
        "SendBackEntry",
        "PublishEntry",
        "WithdrawEntry",
    ),
    "DirectivesService": ("Issue", "Report"),
    # Again it would ask for the pair after the next.
    "IdentityService": ("ActivateKeys",),
    "AdmissionService": ("AddChildCode", "DecideJoin", "AskReenrolment", "HandOverUnits"),
    "NodeService": ("AddChild", "RevokeChild", "Rebuild"),
    # What is gone cannot be asked for again.
    "PartsService": ("Redact", "Prune"),
    # They answer what they changed: a second time that is nothing.
    "RecoveryService": ("OpenEpoch", "ReleaseNode", "SettleIncidents"),
    "ReportingService": ("Review", "Withdraw"),
    "SignoffService": (
        "ProposePolicy",
        "ConfirmPolicy",
        "FilePolicy",
        "SetDemand",
        "SubmitBatch",
    ),
    "TrustService": ("PublishRootList",),
    # Each question is signed and answered once.
    "QueryService": ("QueryRows",),
    # The client opens it again at its last position.
    "FollowService": ("Follow",),
    # What was not answered the caller sends again, under the same record ids.
    "RecordsService": ("Append", "Publish"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Retries:
    """How often and after what waits a repeatable call is made again.

    Attributes:
        attempts: All tries together, 1 to 5; 1 makes every call once.
        first_wait_seconds: The longest first wait; each next one is twice as long.
        max_wait_seconds: No wait is longer.
    """

    attempts: int = MAX_ATTEMPTS
    first_wait_seconds: float = 0.3
    max_wait_seconds: float = 5.0

    def channel_options(self) -> tuple[tuple[str, str | int], ...]:
        """Give what a channel is opened with."""
        if self.attempts < 2:
            return (("grpc.enable_retries", 0),)
        return (("grpc.service_config", self.service_config()),)

    def service_config(self) -> str:
        """Give the service config of gRPC, as JSON."""
        names = [
            {"service": f"{_PACKAGE}.{service}", "method": method}
            for service, methods in REPEATABLE.items()
            for method in methods
        ]
        policy = {
            "maxAttempts": min(self.attempts, MAX_ATTEMPTS),
            "initialBackoff": f"{self.first_wait_seconds:.3f}s",
            "maxBackoff": f"{self.max_wait_seconds:.3f}s",
            "backoffMultiplier": 2,
            "retryableStatusCodes": ["UNAVAILABLE"],
        }
        return json.dumps({"methodConfig": [{"name": names, "retryPolicy": policy}]})


#: Five tries within about five seconds: a daemon that is started again is back by then.
DEFAULT_RETRIES: Final = Retries()
