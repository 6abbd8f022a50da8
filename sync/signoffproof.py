"""Where a return stands under a root that was signed off: a small text beside its record.

    yidao-signed-off-v1
    <id of the batch's record, hex>
    index <place among the leaves, from 0>
    <hashes of the inclusion path in base 64, from the leaf's sibling up, one a line>

The path is RFC 6962's, over the leaf hashes of the batch.
"""

from base64 import b64decode, b64encode
from binascii import Error as Base64Error
from dataclasses import dataclass
from typing import Final

from yidao.sync import signofferrors as errors
from yidao.sync.ids import id_from_hex
from yidao.sync.merkle import HASH_BYTES, verify_inclusion
from yidao.sync.signoff import MAX_RETURNS, Batch

_HEAD: Final = "yidao-signed-off-v1"
# ceil(log2(MAX_RETURNS)) hashes and the lines before.
_MAX_LINES: Final = 3 + (MAX_RETURNS - 1).bit_length()
_MAX_BYTES: Final = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedPlace:
    """Where one return stands in a batch."""

    batch: bytes
    index: int
    path: tuple[bytes, ...]

    def encode(self) -> bytes:
        """Return the text."""
        lines = [_HEAD, self.batch.hex(), f"index {self.index}"]
        lines += [b64encode(each).decode() for each in self.path]
        return ("\n".join(lines) + "\n").encode()

    @classmethod
    def decode(cls, data: bytes) -> "SignedPlace":
        """Return the place that a text says; raises `SignoffMalformed`, `IdInvalid`."""
        try:
            lines = data[: _MAX_BYTES + 1].decode("ascii").split("\n")[:-1]
            if not 3 <= len(lines) <= _MAX_LINES:
                raise errors.SignoffMalformed(field="place")
            place = cls(
                batch=id_from_hex(lines[1], "batch"),
                index=int(lines[2].removeprefix("index ")),
                path=tuple(b64decode(line, validate=True) for line in lines[3:]),
            )
        except (ValueError, Base64Error):
            raise errors.SignoffMalformed(field="place") from None
        # One form alone, so that nothing else can stand in it.
        if (
            place.index < 0
            or place.encode() != data
            or any(len(each) != HASH_BYTES for each in place.path)
        ):
            raise errors.SignoffMalformed(field="place")
        return place

    def check(self, batch: Batch, leaf: bytes) -> None:
        """Return only if a leaf hash stands there under the root of a batch.

        Raises:
            ProofInvalid: It does not.
        """
        verify_inclusion(leaf, self.index, batch.count, self.path, batch.root)
