"""Passwords: what is accepted, and how they are kept. GB/T 22239-2019 8.1.4.1.

Kept as argon2id with the parameters of RFC 9106 section 4, second choice (64 MiB,
3 passes, 4 lanes), which stand in the hash: one made with others is made anew
at the next sign-in.
"""

import unicodedata
from base64 import b64encode
from collections.abc import Iterable
from typing import Final

from argon2 import PasswordHasher, Type
from argon2.exceptions import InvalidHashError, VerificationError

from yidao.node.access.errors import PasswordReused, PasswordWeak

MIN_CHARACTERS: Final = 10
#: Longer than any phrase; a bound on what is normalised and hashed for a stranger.
MAX_CHARACTERS: Final = 128
MIN_CLASSES: Final = 3
#: The present password and those before it that may not come back.
HISTORY: Final = 5
#: After so many days a change is asked for.
LIFE_DAYS: Final = 90

_SALT_BYTES: Final = 16
_HASH_BYTES: Final = 32


def check_password(password: str, user: str) -> None:
    """Say whether a new password is good enough.

    Raises:
        PasswordWeak: rule `short`, `long`, `classes` (three of: lower case, upper case,
            digits, others) or `name` (it holds the user's name).
    """
    text = normal(password)
    if len(text) < MIN_CHARACTERS:
        raise PasswordWeak(rule="short")
    if len(text) > MAX_CHARACTERS:
        raise PasswordWeak(rule="long")
    if len({_class_of(each) for each in text}) < MIN_CLASSES:
        raise PasswordWeak(rule="classes")
    if normal(user).casefold() in text.casefold():
        raise PasswordWeak(rule="name")


def normal(password: str) -> str:
    """Give one form of texts that look alike: input methods compose characters differently."""
    return unicodedata.normalize("NFKC", password)


def _class_of(character: str) -> str:
    if character.isdecimal():
        return "digit"
    if character.islower():
        return "lower"
    return "upper" if character.isupper() else "other"


class Hasher:
    """Makes and checks argon2id hashes.

    Args:
        memory_kib: Memory of one check.
        passes: How often it is gone over.
        lanes: Of it.
    """

    def __init__(self, *, memory_kib: int = 65_536, passes: int = 3, lanes: int = 4) -> None:
        self._argon = PasswordHasher(
            time_cost=passes,
            memory_cost=memory_kib,
            parallelism=lanes,
            hash_len=_HASH_BYTES,
            salt_len=_SALT_BYTES,
            type=Type.ID,
        )
        salt, tag = (b64encode(bytes(size)).decode().rstrip("=") for size in (16, _HASH_BYTES))
        self._nobody = f"$argon2id$v=19$m={memory_kib},t={passes},p={lanes}${salt}${tag}"

    def hash(self, password: str, *, salt: bytes) -> str:
        """Make the hash of a password with 16 random bytes."""
        return self._argon.hash(normal(password), salt=salt)

    def verify(self, kept: str | None, password: str) -> bool:
        """Whether a password is the one that a hash was made of.

        For `None`, a user that does not exist, the same work is done in vain, so
        that the time of an answer does not tell who exists.
        """
        if len(password) > MAX_CHARACTERS:
            password = password[:MAX_CHARACTERS]
            kept = None
        try:
            return self._argon.verify(kept or self._nobody, normal(password)) and kept is not None
        except (VerificationError, InvalidHashError):
            return False

    def is_dated(self, kept: str) -> bool:
        """Whether a hash was made with other parameters than those of today."""
        return self._argon.check_needs_rehash(kept)

    def check_new(self, password: str, former: Iterable[str]) -> None:
        """Refuse a password that was used before.

        Raises:
            PasswordReused: It is one of the former.
        """
        if any(self.verify(each, password) for each in former):
            raise PasswordReused(kept=HISTORY)
