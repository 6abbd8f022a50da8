"""Errors about other nodes: their certificates, join bundles, and joining.

A `JoinRefusal` carries no parameters, so that it can travel to the other side as
its code alone and be raised there as the same class.
"""

from yidao.node.errors import NodeError


class LinkError(NodeError):
    """Base of the errors between nodes."""

    code = "LINK_ERROR"


# The peer check.


class PeerCheckError(LinkError):
    """A peer's certificates do not show that it is who it must be."""

    code = "PEER_CHECK_ERROR"


class PeerTransportWeak(PeerCheckError):
    """The connection is not TLS 1.3 with a certificate (params: found)."""

    code = "PEER_TRANSPORT_WEAK"


class PeerChainMalformed(PeerCheckError):
    """The certificate chain is no clean list of certificates (params: reason)."""

    code = "PEER_CHAIN_MALFORMED"


class PeerChainTooLong(PeerCheckError):
    """The certificate chain is longer than any tree here (params: found, limit)."""

    code = "PEER_CHAIN_TOO_LONG"


class PeerKeyForbidden(PeerCheckError):
    """A certificate's key or signature is not ECDSA on P-256 (params: depth)."""

    code = "PEER_KEY_FORBIDDEN"


class PeerCertificateExpired(PeerCheckError):
    """A certificate has expired (params: depth, until)."""

    code = "PEER_CERTIFICATE_EXPIRED"


class PeerCertificateEarly(PeerCheckError):
    """A certificate is not valid yet, or a clock is wrong (params: depth, since)."""

    code = "PEER_CERTIFICATE_EARLY"
    retryable = True


class PeerChainUntrusted(PeerCheckError):
    """The chain does not lead to this network's root by its rules (params: reason)."""

    code = "PEER_CHAIN_UNTRUSTED"


class PeerNamesInvalid(PeerCheckError):
    """A certificate is not named by one URI and the DNS name of one path (params: reason)."""

    code = "PEER_NAMES_INVALID"


class PeerNetworkMismatch(PeerCheckError):
    """The peer belongs to another network."""

    code = "PEER_NETWORK_MISMATCH"


class PeerAuthorityWrong(PeerCheckError):
    """A tier signed for a node that is not directly below it (params: depth)."""

    code = "PEER_AUTHORITY_WRONG"


class PeerNotEnrolled(PeerCheckError):
    """No node of that id is enrolled here (params: node)."""

    code = "PEER_NOT_ENROLLED"


class PeerRevoked(PeerCheckError):
    """The peer is the enrolled node, and was revoked (params: path)."""

    code = "PEER_REVOKED"


class PeerPathMismatch(PeerCheckError):
    """The peer stands elsewhere than its enrolment says (params: expected, found)."""

    code = "PEER_PATH_MISMATCH"


class PeerKeyMismatch(PeerCheckError):
    """The certificate's key is not the enrolled one (params: path)."""

    code = "PEER_KEY_MISMATCH"


# Bundles.


class BundleError(LinkError):
    """A join bundle cannot be used."""

    code = "BUNDLE_ERROR"


class BundleMalformed(BundleError):
    """The file is no whole join bundle (params: reason)."""

    code = "BUNDLE_MALFORMED"


class BundleEdited(BundleError):
    """The bundle's content is not what its checksum says."""

    code = "BUNDLE_EDITED"


class BundleExpired(BundleError):
    """The bundle's time is over (params: expired)."""

    code = "BUNDLE_EXPIRED"


class BundleNetworkMismatch(BundleError):
    """Root certificate, root statement and network of the bundle do not belong together."""

    code = "BUNDLE_NETWORK_MISMATCH"


# Joining.


class JoinError(LinkError):
    """A child could not be enrolled."""

    code = "JOIN_ERROR"


class ChildPathUnfit(JoinError):
    """A child cannot stand at that path (params: path, reason)."""

    code = "CHILD_PATH_UNFIT"


class ChildPathTaken(JoinError):
    """A node is enrolled at that path already (params: path)."""

    code = "CHILD_PATH_TAKEN"


class ChildOperatorInvalid(JoinError):
    """The name of whoever gives out a bundle cannot stand in a record (params: operator)."""

    code = "CHILD_OPERATOR_INVALID"


class JoinUnreachable(JoinError):
    """The parent did not answer (params: address, reason)."""

    code = "JOIN_UNREACHABLE"
    retryable = True


class JoinCodeError(JoinError):
    """What was typed is no join code."""

    code = "JOIN_CODE_ERROR"


class JoinCodeForm(JoinCodeError):
    """It does not begin as these codes do (params: prefix)."""

    code = "JOIN_CODE_FORM"


class JoinCodeLength(JoinCodeError):
    """Characters are missing or too many (params: found, wanted)."""

    code = "JOIN_CODE_LENGTH"


class JoinCodeCharacter(JoinCodeError):
    """A character that no code has (params: character, group)."""

    code = "JOIN_CODE_CHARACTER"


class JoinCodeMistyped(JoinCodeError):
    """A group does not fit its check character (params: group)."""

    code = "JOIN_CODE_MISTYPED"


class JoinRootMismatch(JoinError):
    """Who answers stands under another root than the code names."""

    code = "JOIN_ROOT_MISMATCH"


class JoinInvitationInvalid(JoinError):
    """What the token is for was not told by who made the code (params: reason)."""

    code = "JOIN_INVITATION_INVALID"


class JoinAnswerInvalid(JoinError):
    """The parent's answer does not prove the enrolment (params: reason)."""

    code = "JOIN_ANSWER_INVALID"


class JoinRefusal(JoinError):
    """The parent refuses to enrol."""

    code = "JOIN_REFUSED"


class NoAuthority(JoinRefusal):
    """The node has no certificate authority, so it can enrol nobody."""

    code = "NO_AUTHORITY"


class JoinRequestMalformed(JoinRefusal):
    """The request is not of the form that the protocol asks for."""

    code = "JOIN_REQUEST_MALFORMED"


class JoinRateLimited(JoinRefusal):
    """Too many tries from this address in the last minute."""

    code = "JOIN_RATE_LIMITED"
    retryable = True


class JoinTokenUnknown(JoinRefusal):
    """There is no such token at this node."""

    code = "JOIN_TOKEN_UNKNOWN"


class JoinTokenKilled(JoinRefusal):
    """The token was closed after three requests that did not know its secret."""

    code = "JOIN_TOKEN_KILLED"


class JoinTokenExpired(JoinRefusal):
    """The token's time is over."""

    code = "JOIN_TOKEN_EXPIRED"


class JoinTokenUsed(JoinRefusal):
    """The token was spent by another request, or too long ago to repeat the answer."""

    code = "JOIN_TOKEN_USED"


class JoinMacWrong(JoinRefusal):
    """The request was not made with the token's secret."""

    code = "JOIN_MAC_WRONG"


class JoinNetworkMismatch(JoinRefusal):
    """The request is for another network."""

    code = "JOIN_NETWORK_MISMATCH"


class JoinPathMismatch(JoinRefusal):
    """The request is for another path than the token's."""

    code = "JOIN_PATH_MISMATCH"


class JoinKeyUnfit(JoinRefusal):
    """A key of the request is weak, repeated, or not proved to be the child's."""

    code = "JOIN_KEY_UNFIT"


class JoinSuiteUnsupported(JoinRefusal):
    """The parent cannot verify what the child would sign (params: suite)."""

    code = "JOIN_SUITE_UNSUPPORTED"


class JoinCsrInvalid(JoinRefusal):
    """A certificate request of the child is malformed, unsigned or not P-256."""

    code = "JOIN_CSR_INVALID"


class JoinNodeTaken(JoinRefusal):
    """A node with that id, or at that path, is enrolled already."""

    code = "JOIN_NODE_TAKEN"


class JoinWaiting(JoinRefusal):
    """The request is kept, and a person must decide on it (params: request, fingerprint).

    They do not travel: the child knows its own request.
    """

    code = "JOIN_WAITING"
    retryable = True


class JoinRejected(JoinRefusal):
    """An operator of the parent, or of the node above it, said no (params: reason)."""

    code = "JOIN_REJECTED"


class JoinRequestExpired(JoinRefusal):
    """Nobody decided on the request in time."""

    code = "JOIN_REQUEST_EXPIRED"


# The session of a link.


class LinkSessionError(LinkError):
    """A session with a peer cannot be opened or held."""

    code = "LINK_SESSION_ERROR"
    retryable = True


class LinkNetworkMismatch(LinkSessionError):
    """The peer belongs to another network."""

    code = "LINK_NETWORK_MISMATCH"


class LinkPathMismatch(LinkSessionError):
    """The peer says it stands elsewhere than its certificate does (params: said, certified)."""

    code = "LINK_PATH_MISMATCH"


class LinkSessionUnknown(LinkSessionError):
    """A data stream names no open session of that peer."""

    code = "LINK_SESSION_UNKNOWN"


class LinkQuotaExceeded(LinkSessionError):
    """A child sent too much that had to be refused (params: seconds until it may come again)."""

    code = "LINK_QUOTA_EXCEEDED"


class LinkFrameAfterFailure(LinkSessionError):
    """A frame came behind one that could not be stored; the session ends and resumes."""

    code = "LINK_FRAME_AFTER_FAILURE"


class LinkPortTaken(LinkError):
    """The address to listen on is in use or may not be used (params: address)."""

    code = "LINK_PORT_TAKEN"


# Questions to other nodes.


class QueryError(LinkError):
    """A question to another node was not answered."""

    code = "QUERY_ERROR"


class QueryDenied(QueryError):
    """The asker may not know this, or the node does not answer that (params: kind)."""

    code = "QUERY_DENIED"


class QueryOverload(QueryError):
    """Too many questions are under way, or the answer is too large."""

    code = "QUERY_OVERLOAD"
    retryable = True


class QueryTooLate(QueryError):
    """Nobody answered before the question's time was over (params: path)."""

    code = "QUERY_TOO_LATE"
    retryable = True


class QueryLineLost(QueryError):
    """The line that the question had gone over was lost (params: path)."""

    code = "QUERY_LINE_LOST"
    retryable = True


class QueryElsewhere(QueryError):
    """The line that leads there is held by another daemon of this node (params: path)."""

    code = "QUERY_ELSEWHERE"
    retryable = True


class QueryAnswerInvalid(QueryError):
    """What came is no answer: pages out of order, too many or too large (params: path)."""

    code = "QUERY_ANSWER_INVALID"


class LinkNodeCloned(LinkError):
    """The peer says itself that another process speaks as it (params: path)."""

    code = "NODE_CLONED_TOLD"


class LinkNodeAside(LinkError):
    """The node was put aside: two processes speak as it in turn (params: path)."""

    code = "NODE_PUT_ASIDE"
