"""Records that say whom to trust, which take effect in the transaction that stores them."""

from collections.abc import Sequence
from typing import Final

from yidao.node.store import papering, revoking, rootlists, trust
from yidao.node.store.foreignheaders import read_header
from yidao.node.store.journals import Head
from yidao.node.store.parts import RuledPart
from yidao.node.store.scope import Scope
from yidao.node.store.values import Draft
from yidao.sync.approval import ASKED_CHANNEL, DECIDED_CHANNELS
from yidao.sync.enrolment import KIND as KIND_ENROLLED
from yidao.sync.epoch import KIND as KIND_EPOCH
from yidao.sync.ids import NodeId
from yidao.sync.journal import Seal
from yidao.sync.record import decode_header
from yidao.sync.revocation import CHANNELS as REVOCATION_CHANNELS
from yidao.sync.revocation import KIND as KIND_REVOKED
from yidao.sync.rootlist import CHANNEL as ROOT_LIST_CHANNEL
from yidao.sync.rootlist import KIND as KIND_ROOT_LISTED

# Where a node writes them itself.
_OWN_CHANNELS: Final = frozenset(
    {
        trust.NODE_CHANNEL,
        ROOT_LIST_CHANNEL,
        ASKED_CHANNEL,
        *DECIDED_CHANNELS,
        *REVOCATION_CHANNELS,
    }
)


def fold_own(scope: Scope, channel: str, data: bytes, draft: Draft) -> NodeId | None:
    """Fold a record of this node's own, and return whom it enrols.

    Args:
        scope: The transaction.
        channel: Where it is written.
        data: Its header.
        draft: What it was made of.
    """
    if channel not in _OWN_CHANNELS:
        return None
    header = decode_header(data)
    core = next((part.body for part in draft.parts if part.name == "core"), None)
    by, by_path = scope.identity.node_id, scope.identity.path
    papering.fold(scope, channel, header, core, by, by_path)
    if header.kind == KIND_REVOKED and channel in REVOCATION_CHANNELS:
        revoking.fold(scope, core, by, by_path)
    if header.kind == KIND_ROOT_LISTED and channel == ROOT_LIST_CHANNEL:
        rootlists.fold(scope, core, by)
    if header.kind != KIND_ENROLLED or channel != trust.NODE_CHANNEL:
        return None
    own = trust.enrolled(scope.conn, scope.identity.node_id)
    return trust.fold_enrolled(scope, own, header, core, None)


def fold_foreign(
    scope: Scope, head: Head, seal: Seal, position: int, found: Sequence[RuledPart]
) -> None:
    """Fold the records of a seal that another node made.

    Args:
        scope: The transaction.
        head: Of the journal.
        seal: Verified, and stored from `position` on.
        position: Of its first record.
        found: The parts that came with it.
    """
    cores = {ruled.seq: ruled.part.body for ruled in found if ruled.part.name == "core"}
    for offset, data in enumerate(seal.headers):
        seq = seal.first_seq + offset
        header = read_header(scope, head, seq, data)
        if header is None:
            continue
        core = cores.get(seq)
        if head.journal.channel == trust.NODE_CHANNEL:
            trust.fold_foreign(scope, head, seq, header, core, position + offset)
        elif header.kind == KIND_EPOCH:
            trust.fold_epoch_above(scope, head.journal, seq, core)
        if header.kind == KIND_REVOKED:
            revoking.fold_foreign(scope, head.journal, seq, core)
        elif header.kind == KIND_ROOT_LISTED and head.journal.channel == ROOT_LIST_CHANNEL:
            rootlists.fold_foreign(scope, head.journal, seq, core)
        papering.fold_foreign(scope, head.journal, seq, header, core)
