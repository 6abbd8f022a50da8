"""Every error that `yidao.sync` raises, as a class with a stable code.

Two families, because a caller reacts differently: after a `PeerError` the bytes
or names that came in are wrong and nothing has changed here; after a
`LocalError` this node itself asked for something that it must not do. A class
is one code; what was wrong stands in `params`, never in another class.
"""

from collections.abc import Mapping

from yidao.api.errors import YidaoError


class SyncError(YidaoError):
    """Base of all errors of `yidao.sync`."""

    code = "SYNC_ERROR"


class PeerError(SyncError):
    """What came in is wrong; nothing here has changed."""

    code = "PEER_ERROR"


class LocalError(SyncError):
    """This node asked for something that it must not do."""

    code = "LOCAL_ERROR"


# Names.


class IdInvalid(PeerError):
    """An identifier has the wrong length or alphabet (params: field)."""

    code = "ID_INVALID"


class PathInvalid(PeerError):
    """A path is not `/` or labels of `[a-z0-9-]{1,32}` (params: reason)."""

    code = "PATH_INVALID"


class ChannelInvalid(PeerError):
    """A channel names no audience that exists (params: reason)."""

    code = "CHANNEL_INVALID"


class EpochInvalid(PeerError):
    """An epoch is neither a counter nor a counter with 64 random bits."""

    code = "EPOCH_INVALID"


class OriginInvalid(PeerError):
    """A checkpoint origin is not one of Yidao's (params: reason)."""

    code = "ORIGIN_INVALID"


# Records.


class HeaderTooLarge(PeerError):
    """Header bytes are over the limit (params: size_bytes, limit_bytes)."""

    code = "HEADER_TOO_LARGE"


class HeaderMalformed(PeerError):
    """Header bytes are no protobuf message of that type."""

    code = "HEADER_MALFORMED"


class HeaderNotCanonical(PeerError):
    """Header bytes are not the one deterministic encoding (params: reason)."""

    code = "HEADER_NOT_CANONICAL"


class HeaderFieldInvalid(PeerError):
    """A field is missing or out of range (params: field)."""

    code = "HEADER_FIELD_INVALID"


class HeaderCriticalUnknown(PeerError):
    """The header needs a feature that this version does not know (params: feature)."""

    code = "HEADER_CRITICAL_UNKNOWN"


class PartUnknown(PeerError):
    """A part came that its header does not name (params: part)."""

    code = "PART_UNKNOWN"


class PartTooLarge(PeerError):
    """A part is over the limit (params: part, size_bytes, limit_bytes)."""

    code = "PART_TOO_LARGE"


class PartCommitmentMismatch(PeerError):
    """A part's bytes are not those that its header commits to (params: part)."""

    code = "PART_COMMITMENT_MISMATCH"


# Trees.


class FrontierMalformed(PeerError):
    """Stored frontier bytes have the wrong length for their size."""

    code = "FRONTIER_MALFORMED"


class ProofInvalid(PeerError):
    """A Merkle proof does not lead to the root (params: reason)."""

    code = "PROOF_INVALID"


class ProofMalformed(PeerError):
    """A proof file has the wrong form (params: reason)."""

    code = "PROOF_MALFORMED"


class TreeRangeInvalid(LocalError):
    """A proof was asked for a leaf or a size that the tree does not have."""

    code = "TREE_RANGE_INVALID"


class TreeReadFailed(LocalError):
    """The store gave fewer hashes than its tree size promises (params: level, first)."""

    code = "TREE_READ_FAILED"


# Keys, notes, checkpoints.


class SuiteUnknown(PeerError):
    """No such cryptographic suite here (params: suite)."""

    code = "SUITE_UNKNOWN"


class SuiteSelfTestFailed(LocalError):
    """A suite gives wrong answers to known questions; the node must not start."""

    code = "SUITE_SELF_TEST_FAILED"


class KeyMalformed(PeerError):
    """A key has the wrong length or text form."""

    code = "KEY_MALFORMED"


class KeyWeak(PeerError):
    """A public key is of small order or not in canonical form."""

    code = "KEY_WEAK"


class SignatureInvalid(PeerError):
    """A signature does not verify."""

    code = "SIGNATURE_INVALID"


class NoteMalformed(PeerError):
    """Bytes are no C2SP signed note (params: reason)."""

    code = "NOTE_MALFORMED"


class NoteUnsigned(PeerError):
    """A note bears no signature of a known key."""

    code = "NOTE_UNSIGNED"


class NoteSignatureInvalid(PeerError):
    """A known key's signature on a note fails, so that the whole note is refused."""

    code = "NOTE_SIGNATURE_INVALID"


class CheckpointMalformed(PeerError):
    """A signed note is no checkpoint of three lines (params: reason)."""

    code = "CHECKPOINT_MALFORMED"


class CheckpointOriginMismatch(PeerError):
    """A checkpoint is of another log than expected (params: expected, found)."""

    code = "CHECKPOINT_ORIGIN_MISMATCH"


class CosignatureInvalid(PeerError):
    """A cosignature line is malformed, of another key, or fails (params: reason)."""

    code = "COSIGNATURE_INVALID"


# Seals.


class SealJournalMismatch(PeerError):
    """A seal was offered to another journal's state."""

    code = "SEAL_JOURNAL_MISMATCH"


class SealTooLarge(PeerError):
    """A seal is over a limit (params: what, size, limit)."""

    code = "SEAL_TOO_LARGE"


class SealEmpty(PeerError):
    """A seal holds no header, or an empty one."""

    code = "SEAL_EMPTY"


class SealGap(PeerError):
    """A seal begins after the end of what is held (params: held, first_seq)."""

    code = "SEAL_GAP"


class SealOverlap(PeerError):
    """A seal begins inside what is held and ends beyond it (params: held, first_seq)."""

    code = "SEAL_OVERLAP"


class SealSizeMismatch(PeerError):
    """The checkpoint's size is not where the seal ends (params: expected, found)."""

    code = "SEAL_SIZE_MISMATCH"


class SealRootMismatch(PeerError):
    """The headers do not lead to the root that the origin signed."""

    code = "SEAL_ROOT_MISMATCH"


class SealFork(PeerError):
    """The origin signed two roots for one size: evidence, kept for the operator."""

    code = "SEAL_FORK"


# Enrolment and evidence.


class EnrolmentMalformed(PeerError):
    """An enrolment record's core has the wrong form (params: field)."""

    code = "ENROLMENT_MALFORMED"


class EnrolmentChainBroken(PeerError):
    """Authority does not lead from the root to this enrolment (params: step, reason)."""

    code = "ENROLMENT_CHAIN_BROKEN"


class RevocationMalformed(PeerError):
    """A revocation record's core has the wrong form (params: field)."""

    code = "REVOCATION_MALFORMED"


class RevocationUnauthorised(PeerError):
    """Whoever revokes a node does not stand above it (params: path, by)."""

    code = "REVOCATION_UNAUTHORISED"


class RootStatementInvalid(PeerError):
    """The root statement is malformed or not signed by the root certificate's key."""

    code = "ROOT_STATEMENT_INVALID"


class EvidenceMalformed(PeerError):
    """An evidence file has the wrong form (params: reason)."""

    code = "EVIDENCE_MALFORMED"


class EvidenceIncomplete(PeerError):
    """An evidence file lacks what its claim needs (params: missing)."""

    code = "EVIDENCE_INCOMPLETE"


class EvidenceMismatch(PeerError):
    """Two pieces of an evidence file contradict each other (params: reason)."""

    code = "EVIDENCE_MISMATCH"


# The link.


class WireMalformed(PeerError):
    """Bytes are no link message of that type."""

    code = "WIRE_MALFORMED"


class WireTooLarge(PeerError):
    """A link message or one of its lists is over the limit (params: what, size, limit)."""

    code = "WIRE_TOO_LARGE"


class WireFieldInvalid(PeerError):
    """A field of a link message is missing or out of range (params: field)."""

    code = "WIRE_FIELD_INVALID"


class FrameTooLarge(LocalError):
    """What was read for one frame does not fit it (params: size_bytes, limit_bytes)."""

    code = "FRAME_TOO_LARGE"


class ReadInvalid(LocalError):
    """The store answered another question than the session asked (params: lane, reason)."""

    code = "READ_INVALID"


class FrameGap(PeerError):
    """A frame of the session is missing or came twice (params: expected, number)."""

    code = "FRAME_GAP"


class LaneGap(PeerError):
    """A frame follows one that did not arrive (params: lane, held, after)."""

    code = "LANE_GAP"


class LaneMismatch(PeerError):
    """A journal came in another lane than its channel's (params: lane, channel)."""

    code = "LANE_MISMATCH"


class CreditExceeded(PeerError):
    """More was sent than there was credit for (params: lane, size_bytes)."""

    code = "CREDIT_EXCEEDED"


class AckInvalid(PeerError):
    """An acknowledgement covers what was not sent, or goes back (params: lane, position)."""

    code = "ACK_INVALID"


class SessionOutOfOrder(PeerError):
    """A message came in a state that has no place for it (params: state, event)."""

    code = "SESSION_OUT_OF_ORDER"


class SessionMisused(LocalError):
    """The session was driven in an order that it does not have (params: state, event)."""

    code = "SESSION_MISUSED"


class VersionUnsupported(PeerError):
    """The two nodes share no version of the link protocol (params: minimum, maximum)."""

    code = "VERSION_UNSUPPORTED"


class NetworkMismatch(PeerError):
    """The peer belongs to another deployment."""

    code = "NETWORK_MISMATCH"


class PeerMismatch(PeerError):
    """The peer says that it is another node than its certificate (params: field)."""

    code = "PEER_MISMATCH"


class NotAdjacent(LocalError):
    """Two nodes that are not parent and child want a link (params: own, peer)."""

    code = "NOT_ADJACENT"


class SessionStalled(PeerError):
    """The peer lives but acknowledges nothing of what was sent (params: seconds)."""

    code = "SESSION_STALLED"
    retryable = True


class SessionSilent(PeerError):
    """Nothing came from the peer for too long (params: seconds)."""

    code = "SESSION_SILENT"
    retryable = True


# Questions.


class QueryMalformed(PeerError):
    """A question that is none (params: field)."""

    code = "QUERY_MALFORMED"


class QueryForeign(PeerError):
    """A question of another network or by an unknown node."""

    code = "QUERY_FOREIGN"


class QueryExpired(PeerError):
    """A question whose time is over."""

    code = "QUERY_EXPIRED"


class QuerySignatureInvalid(PeerError):
    """A question that the named asker did not sign as it is."""

    code = "QUERY_SIGNATURE_INVALID"


class QueryUnroutable(PeerError):
    """No way leads from this node to the one that is asked (params: path)."""

    code = "QUERY_UNROUTABLE"
    retryable = True


class QueryLooped(PeerError):
    """A question came back to a node that had passed it on (params: path)."""

    code = "QUERY_LOOPED"


class QueryReplayed(PeerError):
    """A question that was answered before."""

    code = "QUERY_REPLAYED"


class QueryRefused(PeerError):
    """The question was refused on its way or where it was asked (params: path, reason).

    Attributes:
        said: The parameters of the refusing node's error; texts of another node.
    """

    code = "QUERY_REFUSED"

    def __init__(self, *, path: str, reason: str, said: Mapping[str, str]) -> None:
        super().__init__(path=path, reason=reason)
        self.said = said
