"""Actors: `user@path`, and the rule that an actor acts only at its own node."""

import re
from dataclasses import dataclass

from yidao.node.access.errors import ActorElsewhere, ActorInvalid
from yidao.sync.errors import PathInvalid
from yidao.sync.ids import Path

#: A user whose name a person may not take: the node itself acts under it.
SYSTEM_USER = "system"
#: So is it with these, under which the store and the audit write.
RESERVED_USERS = frozenset({SYSTEM_USER, "node", "local", "nobody"})
# No blanks, controls or second `@`: the text stands in signed headers and on screens.
_USER = re.compile(r"[^\s@/\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]{1,64}")
# The form of a 统一社会信用代码, as headers have it.
_UNIT = re.compile(r"[0-9A-Z]{18}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Actor:
    """A person or program and the node that it belongs to."""

    user: str
    home: Path

    def __str__(self) -> str:
        return f"{self.user}@{self.home}"


def is_user(text: str) -> bool:
    """Whether a text may be the name of a user."""
    return _USER.fullmatch(text) is not None


def is_unit(text: str) -> bool:
    """Whether a text has the form of an institution's code."""
    return _UNIT.fullmatch(text) is not None


def parse_actor(text: str) -> Actor:
    """Read `user@path`.

    Raises:
        ActorInvalid: Another form, or a character that a reader cannot see.
    """
    user, separator, home = text.partition("@")
    if not separator or _USER.fullmatch(user) is None:
        raise ActorInvalid
    try:
        return Actor(user=user, home=Path.parse(home))
    except PathInvalid:
        raise ActorInvalid from None


def authorise(text: str, own_path: Path) -> Actor:
    """Give the actor if it may act at this node.

    Raises:
        ActorInvalid: Not `user@path`, or the name that the node itself uses.
        ActorElsewhere: The actor's home is another node.
    """
    actor = parse_actor(text)
    if actor.user == SYSTEM_USER:
        raise ActorInvalid
    if actor.home != own_path:
        raise ActorElsewhere(home=str(actor.home), path=str(own_path))
    return actor


def system_actor(own_path: Path) -> Actor:
    """Give the actor under whose name the node's own deciders write."""
    return Actor(user=SYSTEM_USER, home=own_path)
