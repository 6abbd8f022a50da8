"""An approver's key in its file: opened by its passphrase alone."""

import pytest

from yidao.node.approverkeys import ApproverKeyUnusable, PassphraseTooShort, new_key, open_key

PASSPHRASE = "four sample words here"
FILE, PUBLIC = new_key(bytes(range(32)), bytes(16), PASSPHRASE)


def test_the_passphrase_opens_the_key() -> None:
    """The same key comes back; the file shows nothing of it."""
    assert open_key(FILE, PASSPHRASE).public_key == PUBLIC
    assert b"ENCRYPTED PRIVATE KEY" in FILE
    with pytest.raises(PassphraseTooShort):
        new_key(bytes(32), bytes(16), "eleven char")


@pytest.mark.parametrize(
    "file",
    [
        b"",
        FILE.partition(b"\n")[2],
        FILE.replace(b" 00", b" 01", 1),
        FILE.replace(b" 00", b" zz", 1),
        FILE.replace(b" 00", b" ", 1),
        FILE[: len(FILE) // 2],
        FILE + b"x" * 20_000,
    ],
)
def test_other_files_open_nothing(file: bytes) -> None:
    """Damaged, cut, without its salt or of another kind: one typed error."""
    with pytest.raises(ApproverKeyUnusable):
        open_key(file, PASSPHRASE)


def test_another_passphrase_opens_nothing() -> None:
    """As another file does."""
    with pytest.raises(ApproverKeyUnusable):
        open_key(FILE, PASSPHRASE + " ")
