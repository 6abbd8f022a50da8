"""What may not be pruned: the audit of the last 180 days. Pure.

《网络安全法》 article 21 (3): network logs are kept for no less than six months. Whatever
prunes a store asks here, for each record of its own `local` journal, and keeps what is kept.
"""

from typing import Final

from yidao.node.access.audit import CHANNEL

#: The longest six months there are; the law and GB/T 22239 say 180 days or six months.
KEPT_DAYS: Final = 184
_DAY_MS: Final = 86_400_000
#: Who signed in and did what; who asked live and was answered.
_KINDS: Final = ("access.", "sharing.question.")


def is_kept(*, channel: str, kind: str, created_ms: int, now_ms: int) -> bool:
    """Whether a record must stay as it is, with its parts.

    Args:
        channel: Of its journal.
        kind: Of its header.
        created_ms: When it was written, by the node's clock, Unix milliseconds.
        now_ms: The clock. One that was put back keeps more, never less.
    """
    is_audit = channel == CHANNEL and kind.startswith(_KINDS)
    return is_audit and now_ms - created_ms < KEPT_DAYS * _DAY_MS
