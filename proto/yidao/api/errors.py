"""The base of every error that Yidao shows to a caller.

It lives in the lowest layer because `yidao.sync`, `yidao.catalog` and
`yidao.node` all raise it, and none of the first two may import the other.
An error carries a stable code and plain parameters, never a formatted
sentence: the texts a clerk reads, Chinese and English, stand in one catalogue
(`yidao.node.messages`) keyed by the code.
"""

from collections.abc import Iterator, Mapping
from typing import ClassVar


class YidaoError(Exception):
    """An error with a stable code.

    Args:
        params: What the message needs: names, positions, limits. Never a
            secret and never a payload value.

    Attributes:
        code: UPPER_SNAKE, never renamed once released.
        retryable: Whether the same call may succeed later without a change.
    """

    code: ClassVar[str] = "INTERNAL"
    retryable: ClassVar[bool] = False

    def __init__(self, **params: str | int) -> None:
        self.params: Mapping[str, str | int] = params
        super().__init__(self.code, dict(params))

    def __str__(self) -> str:
        details = ", ".join(f"{name}={value}" for name, value in self.params.items())
        return f"{self.code}({details})" if details else self.code


def every_error(base: type[YidaoError] = YidaoError) -> Iterator[type[YidaoError]]:
    """Yield every error class that is defined, so that a test can ask for its text."""
    for child in base.__subclasses__():
        yield child
        yield from every_error(child)
