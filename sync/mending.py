"""How long a journal of which something was refused stays wanted.

What was refused is behind the cursor of its lane and does not come again by itself.
So the receiver remembers how far the refused seals reached, and asks for the
journal in every session until it holds as much: a session may end after the first
seal that fits.
"""


def refused_to(before: int | None, end_seq: int) -> int:
    """Return how far what was refused of a journal reaches.

    Args:
        before: How far it reached until now, in records; None if nothing was refused.
        end_seq: Where the seal ends that was refused, or was passed over behind one.
    """
    return max(before or 0, end_seq)


def is_mended(size: int, refused: int | None, *, in_order: bool) -> bool:
    """Whether a journal is whole again, now that a seal has extended it.

    Args:
        size: What is held now, in records.
        refused: As `refused_to` gave it; None where that is not known.
        in_order: The seal came in its lane's own order, not because it was asked for.
            Then nothing before it is missing, and what follows is still to come: a
            size that somebody only claimed does not keep the journal wanted for ever.
    """
    return in_order or size >= (refused or 0)
