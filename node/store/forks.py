"""Two histories of one journal, as its author's own signatures tell them."""

from yidao.node.store import standing
from yidao.node.store.journals import Head
from yidao.node.store.scope import Scope
from yidao.node.store.values import Fork
from yidao.sync.checkpoint import open_checkpoint, parse_checkpoint
from yidao.sync.errors import SyncError
from yidao.sync.journal import Seal
from yidao.sync.merkle import leaf_hashes


def is_signed(scope: Scope, head: Head, seal: Seal) -> bool:
    """Whether the journal's own key signed the seal's checkpoint."""
    if head.public_key is None:
        return False
    try:
        open_checkpoint(
            seal.checkpoint,
            head.journal.origin(scope.identity.network),
            head.public_key,
            head.state.suite,
        )
    except SyncError:
        return False
    return True


def is_shown_by(scope: Scope, head: Head, seal: Seal) -> bool:
    """Whether a seal that begins within what is held and ends beyond is of another history.

    Its author signed the root to which its headers lead from what is held before it, and
    on the way there the tree differs from the one that is held, which it signed too.
    """
    if not 0 <= seal.first_seq < head.size < seal.end_seq or not is_signed(scope, head, seal):
        return False
    suite = head.state.suite
    before = standing.frontier_at(scope.conn, head.pk, suite, seal.first_seq)
    hashes = leaf_hashes(seal.headers, suite)
    shared = before.append_many(hashes[: head.size - seal.first_seq])
    whole = before.append_many(hashes)
    return (
        whole.root() == parse_checkpoint(seal.checkpoint).root
        and shared.root() != head.state.frontier.root()
    )


def of_own(head: Head, seal: Seal) -> Fork:
    """Return the fork that a seal of ours shows which does not follow what is here."""
    return Fork(journal=head.journal, held=head.checkpoint or b"", other=seal.checkpoint)
