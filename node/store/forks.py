"""Two histories of one journal, as its author's own signatures tell them."""

from yidao.node.store.journals import Head
from yidao.node.store.scope import Scope
from yidao.node.store.values import Fork
from yidao.sync.checkpoint import open_checkpoint
from yidao.sync.errors import SyncError
from yidao.sync.journal import Seal


def is_signed(scope: Scope, head: Head, seal: Seal) -> bool:
    """Whether the journal's own key signed the seal's checkpoint."""
    if head.public_key is None:
        return False
    try:
        open_checkpoint(
            seal.checkpoint, head.journal.origin(scope.identity.network), head.public_key
        )
    except SyncError:
        return False
    return True


def of_own(head: Head, seal: Seal) -> Fork:
    """Return the fork that a seal of ours shows which does not follow what is here."""
    return Fork(journal=head.journal, held=head.checkpoint or b"", other=seal.checkpoint)
