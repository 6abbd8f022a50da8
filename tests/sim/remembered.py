"""Signatures that were verified once are not computed again.

Forty nodes of one process verify the same seals. Whether a signature is right depends
on key, signature and message alone, so the answer of the first is that of all.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache

from yidao.sync import suite

_verify = lru_cache(maxsize=65_536)(suite.verify)


@contextmanager
def remembered_verifications() -> Iterator[None]:
    """Within this context remember which signatures are right; wrong ones still raise."""
    real = suite.verify
    suite.verify = _verify
    try:
        yield
    finally:
        suite.verify = real
