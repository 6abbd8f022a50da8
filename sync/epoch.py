"""Epochs: a node's journals under one key and one suite, and how the next one follows.

A node opens a new epoch by the record `node.epoch.opened`. It is the last record
of the old epoch's `node` journal, where that can still be written, and the first
of the new one's; for who stands below it is the same in `down.control`. It names
the new keys and, for each journal of the old epoch, the size at which that journal
ends. The old and the new journal key sign it both: whoever has only the new key
cannot speak for the node, and whoever has only the old one cannot name a key that
somebody else holds.

A key of an epoch is good for the records of that epoch, before its cut, for ever.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from itertools import pairwise
from typing import Final

from yidao.sync import suite
from yidao.sync.epocherrors import EpochConflict, EpochMalformed, EpochUnproven
from yidao.sync.errors import SignatureInvalid
from yidao.sync.ids import JournalId, NodeId
from yidao.sync.members import Members, canonical
from yidao.sync.revocation import CutLine
from yidao.sync.suite import Signer

KIND: Final = "node.epoch.opened"
#: To everybody above, and to everybody below.
CHANNELS: Final = ("node", "down.control")
FIRST: Final = "1"
#: With a journal to each of its children a node has as many as children, and some ten.
MAX_LINES: Final = 2_500
MAX_CORE_BYTES: Final = 256 * 1024
#: What both keys sign: this, then the core without its signatures.
SIGNED_PREFIX: Final = b"yidao-epoch-v1\n"


class Cause(Enum):
    """Why a new epoch begins."""

    KEY_ROTATED = "key-rotated"
    RESTORED = "restored"
    UNWITNESSED = "unwitnessed"
    SUITE_CHANGED = "suite-changed"


#: These keep the journal key, since nobody may have to believe a new one.
_SAME_KEY: Final = (Cause.RESTORED, Cause.UNWITNESSED)


@dataclass(frozen=True, slots=True, kw_only=True)
class EpochKey:
    """What verifies the journals of one epoch."""

    epoch: str
    suite: int
    journal_key: bytes
    cosign_key: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class EpochOpened:
    """The core of `node.epoch.opened`.

    Attributes:
        previous: The epoch that ends.
        cut: Where each of its journals ends; sorted, each once. A journal that is
            not listed is empty.
        old_signature: Over `signed_bytes()`, by the previous epoch's journal key.
        new_signature: The same by `journal_key`.
    """

    node_id: NodeId
    epoch: str
    suite: int
    journal_key: bytes
    cosign_key: bytes
    cause: Cause
    previous: str
    cut: tuple[CutLine, ...]
    old_signature: bytes = field(default=b"", repr=False)
    new_signature: bytes = field(default=b"", repr=False)

    @property
    def key(self) -> EpochKey:
        """What verifies the journals of the new epoch."""
        return EpochKey(
            epoch=self.epoch,
            suite=self.suite,
            journal_key=self.journal_key,
            cosign_key=self.cosign_key,
        )

    @property
    def ends_the_old(self) -> bool:
        """Whether nothing of the old epoch counts beyond the cut.

        A node that was restored names what it still knew: neighbours may hold more, with
        its signature and their receipts, and that stays true. Who could add to it has the
        key of the new epoch as well, so that refusing it would keep nobody out.
        """
        return self.cause not in _SAME_KEY

    def signed_bytes(self) -> bytes:
        """Return what both keys sign: the prefix and the canonical JSON without signatures."""
        return SIGNED_PREFIX + canonical(self._members())

    def sign(self, old: Signer, new: Signer) -> "EpochOpened":
        """Return it with both signatures."""
        text = self.signed_bytes()
        return replace(self, old_signature=old.sign(text), new_signature=new.sign(text))

    def encode(self) -> bytes:
        """Return the JSON bytes of the core part: sorted keys, ids, keys, signatures in hex.

        Raises:
            EpochMalformed: More journals than a record can list.
        """
        signatures = {
            "old_signature": self.old_signature.hex(),
            "new_signature": self.new_signature.hex(),
        }
        data = canonical(self._members() | signatures)
        if len(self.cut) > MAX_LINES or len(data) > MAX_CORE_BYTES:
            raise EpochMalformed(field="cut")
        return data

    @classmethod
    def decode(cls, data: bytes) -> "EpochOpened":
        """Return what `data` is the canonical JSON of; signatures are `check`'s question.

        Members are exactly these: what a later version adds would be signed and not read.

        Raises:
            EpochMalformed: Other JSON, or a member is missing, unknown or wrong.
            IdInvalid, ChannelInvalid, EpochInvalid, SuiteUnknown, KeyMalformed,
            KeyWeak: As named.
        """
        members = Members.parse(data, EpochMalformed, limit=MAX_CORE_BYTES)
        node_id, before = members.node("node_id"), members.inner("previous")
        cause = {each.value: each for each in Cause}.get(members.text("cause"))
        if cause is None:
            raise EpochMalformed(field="cause")
        ended = before.text("epoch")
        found = cls(
            node_id=node_id,
            epoch=members.text("epoch"),
            suite=members.number("suite"),
            journal_key=members.hex("journal_key"),
            cosign_key=members.hex("cosign_key"),
            cause=cause,
            previous=ended,
            cut=_cut(before.each("cut", MAX_LINES), node_id, ended),
            old_signature=members.hex("old_signature"),
            new_signature=members.hex("new_signature"),
        )
        # Equality refuses members that are not read, within `previous` too.
        if found.encode() != data:
            raise EpochMalformed(field="members")
        found._check_form()
        return found

    def size_of(self, journal: JournalId) -> int:
        """Return at what size a journal of the previous epoch ends."""
        for line in self.cut:
            if (line.channel, line.epoch) == (journal.channel, journal.epoch):
                return line.size
        return 0

    def _check_form(self) -> None:
        for name in (self.epoch, self.previous):
            JournalId(node_id=self.node_id, channel="node", epoch=name)
        (count, mark), (before, _) = _number(self.epoch), _number(self.previous)
        if count != before + 1 or bool(mark) != (self.cause is Cause.UNWITNESSED):
            raise EpochMalformed(field="epoch")
        suite.hasher(self.suite)
        suite.check_public_key(self.suite, self.journal_key)
        suite.check_public_key(self.suite, self.cosign_key)
        if self.journal_key == self.cosign_key:
            raise EpochMalformed(field="cosign_key")

    def _members(self) -> dict[str, object]:
        return {
            "node_id": self.node_id.hex(),
            "epoch": self.epoch,
            "suite": self.suite,
            "journal_key": self.journal_key.hex(),
            "cosign_key": self.cosign_key.hex(),
            "cause": self.cause.value,
            "previous": {
                "epoch": self.previous,
                "cut": [
                    {"channel": line.channel, "epoch": line.epoch, "size": line.size}
                    for line in self.cut
                ],
            },
        }


def next_epoch(previous: str, mark: bytes = b"") -> str:
    """Return the name of the epoch after `previous`.

    Args:
        previous: Any epoch.
        mark: 8 random bytes for an epoch that nobody above has witnessed.
    """
    count, _ = _number(previous)
    return f"{count + 1}-{mark.hex()}" if mark else str(count + 1)


def number_of(epoch: str) -> int:
    """Return which epoch of its node it is, counted from 1."""
    return _number(epoch)[0]


def check(opened: EpochOpened, live: EpochKey) -> None:
    """Return only if a new epoch follows the one in which its node writes.

    1. It names that epoch as the one that ends.
    2. Its key is new exactly if that is the cause.
    3. Both keys have signed it.

    Raises:
        EpochConflict: (1)
        EpochUnproven: (2) or (3); `reason` says which key has not signed.
    """
    if opened.previous != live.epoch:
        raise EpochConflict(epoch=opened.epoch, live=live.epoch)
    if (opened.journal_key == live.journal_key) != (opened.cause in _SAME_KEY):
        raise EpochUnproven(reason="cause")
    text = opened.signed_bytes()
    signed = {
        "old key": (live.suite, live.journal_key, opened.old_signature),
        "new key": (opened.suite, opened.journal_key, opened.new_signature),
    }
    for reason, (number, key, signature) in signed.items():
        try:
            suite.verify(number, key, signature, text)
        except SignatureInvalid:
            raise EpochUnproven(reason=reason) from None


def check_place(opened: EpochOpened, journal: JournalId, seq: int, live: EpochKey) -> None:
    """Return only if that record may stand there: last of the old epoch or first of the new.

    A new key is taken only from the old epoch's journal, which the old key has sealed.

    Args:
        opened: What the record says.
        journal: Where it was found, a journal of its node.
        seq: Its index in it.
        live: The epoch that ends.

    Raises:
        EpochMalformed: Neither place.
        EpochUnproven: A new key, found under nothing but itself.
    """
    if journal.channel not in CHANNELS or journal.node_id != opened.node_id:
        raise EpochMalformed(field="journal")
    closes = journal.epoch == opened.previous and seq == opened.size_of(journal) - 1
    opens = journal.epoch == opened.epoch and seq == 0
    if not closes and not opens:
        raise EpochMalformed(field="place")
    if opens and opened.journal_key != live.journal_key:
        raise EpochUnproven(reason="old journal")


def _number(epoch: str) -> tuple[int, str]:
    count, _, mark = epoch.partition("-")
    return int(count), mark


def _cut(found: Sequence[Members], node_id: NodeId, epoch: str) -> tuple[CutLine, ...]:
    lines = tuple(_line(each, node_id, epoch) for each in found)
    _check_sorted(lines)
    return lines


def _check_sorted(lines: Sequence[CutLine]) -> None:
    # Of two lines for one journal readers would disagree on the one that counts.
    if any(first.channel >= second.channel for first, second in pairwise(lines)):
        raise EpochMalformed(field="cut")


def _line(members: Members, node_id: NodeId, epoch: str) -> CutLine:
    line = CutLine(channel=members.text("channel"), epoch=epoch, size=members.number("size"))
    if line.size == 0 or members.text("epoch") != epoch:
        raise EpochMalformed(field="size")
    JournalId(node_id=node_id, channel=line.channel, epoch=line.epoch)
    return line
