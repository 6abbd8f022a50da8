"""Why a sign-off, or a policy that says whose signatures count, is not believed.

Each class is one code; what was wrong stands in `params`.
"""

from yidao.sync.errors import PeerError


class SignoffMalformed(PeerError):
    """A statement, a signature or a file has another shape (params: field)."""

    code = "SIGNOFF_MALFORMED"


class SignoffPolicyInvalid(PeerError):
    """A policy names approvers or a number of them that cannot be (params: reason)."""

    code = "SIGNOFF_POLICY_INVALID"


class SignoffPolicyUnknown(PeerError):
    """What is signed rests on a policy that is not in force at that place."""

    code = "SIGNOFF_POLICY_UNKNOWN"


class SignoffOnePerson(PeerError):
    """One person proposed and confirmed a policy (params: actor)."""

    code = "SIGNOFF_ONE_PERSON"


class SignoffApproverUnknown(PeerError):
    """A signature is by a key that the policy does not name (params: key)."""

    code = "SIGNOFF_APPROVER_UNKNOWN"


class SignoffSignatureWrong(PeerError):
    """A signature is not by its approver over this statement (params: actor)."""

    code = "SIGNOFF_SIGNATURE_WRONG"


class SignoffTooFew(PeerError):
    """Fewer approvers have signed than must (params: have, need)."""

    code = "SIGNOFF_TOO_FEW"


class SignoffForeign(PeerError):
    """A statement is about what is not its author's own (params: field)."""

    code = "SIGNOFF_FOREIGN"


class SignoffRootWrong(PeerError):
    """The returns that are listed do not have the root that was signed."""

    code = "SIGNOFF_ROOT_WRONG"
