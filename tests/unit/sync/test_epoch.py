"""New epochs: what the record says, whose signatures it needs, and which key is good for what."""

from dataclasses import replace
from hashlib import sha256
from typing import Any

import orjson
import pytest

from yidao.sync import errors
from yidao.sync.epoch import (
    MAX_CORE_BYTES,
    MAX_LINES,
    Cause,
    EpochKey,
    EpochOpened,
    check,
    check_place,
    next_epoch,
)
from yidao.sync.epocherrors import (
    EpochClosed,
    EpochConflict,
    EpochMalformed,
    EpochUnknown,
    EpochUnproven,
)
from yidao.sync.ids import JournalId, NodeId
from yidao.sync.revocation import CutLine
from yidao.sync.suite import Ed25519Signer

NODE = NodeId(bytes(range(16)))
OLD, NEW, OTHER, COSIGN = (
    Ed25519Signer(sha256(f"sample epoch key {name}".encode()).digest())
    for name in ("old", "new", "other", "cosign")
)
LIVE = EpochKey(epoch="1", suite=1, journal_key=OLD.public_key, cosign_key=COSIGN.public_key)


def line(channel: str, size: int, epoch: str = "1") -> CutLine:
    """Where a journal ends."""
    return CutLine(channel=channel, epoch=epoch, size=size)


def unsigned(**changes: Any) -> EpochOpened:
    """A sample change of the key, not signed yet."""
    given: dict[str, Any] = {
        "node_id": NODE,
        "epoch": "2",
        "suite": 1,
        "journal_key": NEW.public_key,
        "cosign_key": COSIGN.public_key,
        "cause": Cause.KEY_ROTATED,
        "previous": "1",
        "cut": (line("node", 7), line("up:15", 3)),
    }
    return EpochOpened(**(given | changes))


SAMPLE = unsigned().sign(OLD, NEW)
KEPT = unsigned(journal_key=OLD.public_key, cause=Cause.RESTORED).sign(OLD, OLD)


def journal(channel: str = "node", epoch: str = "1") -> JournalId:
    """A journal of the sample node."""
    return JournalId(node_id=NODE, channel=channel, epoch=epoch)


def test_an_opened_epoch_is_read_and_written_alike() -> None:
    """The core has one form, and nothing can be added to what both keys have signed."""
    assert EpochOpened.decode(SAMPLE.encode()) == SAMPLE
    longer = orjson.loads(SAMPLE.encode()) | {"zone": "by somebody else"}
    with pytest.raises(EpochMalformed):
        EpochOpened.decode(orjson.dumps(longer, option=orjson.OPT_SORT_KEYS))


CUT = {"channel": "node", "epoch": "1", "size": 7}
BAD: dict[str, tuple[dict[str, Any], type[Exception]]] = {
    "an id that is short": ({"node_id": "00"}, errors.IdInvalid),
    "an epoch that is none": ({"epoch": "zwei"}, errors.EpochInvalid),
    "an epoch left out": ({"epoch": "3"}, EpochMalformed),
    "the same epoch": ({"epoch": "1"}, EpochMalformed),
    "a mark of an epoch that was witnessed": ({"epoch": "2-" + "0" * 16}, EpochMalformed),
    "no mark of one that nobody saw": ({"cause": "unwitnessed"}, EpochMalformed),
    "a cause that is none": ({"cause": "bored"}, EpochMalformed),
    "a weak key": ({"journal_key": "00" * 32}, errors.KeyWeak),
    "a short key": ({"journal_key": "00"}, errors.KeyMalformed),
    "a key in upper case": ({"journal_key": NEW.public_key.hex().upper()}, EpochMalformed),
    "one key for two purposes": ({"cosign_key": NEW.public_key.hex()}, EpochMalformed),
    "no such suite": ({"suite": 99}, errors.SuiteUnknown),
    "a suite that is true": ({"suite": True}, EpochMalformed),
    "a signature that is no hex": ({"old_signature": "zz"}, EpochMalformed),
    "no previous epoch": ({"previous": None}, EpochMalformed),
    "a cut that is no list": ({"previous": {"epoch": "1", "cut": 7}}, EpochMalformed),
    "a cut of another epoch": (
        {"previous": {"epoch": "1", "cut": [CUT | {"epoch": "2"}]}},
        EpochMalformed,
    ),
    "a journal twice": ({"previous": {"epoch": "1", "cut": [CUT, CUT]}}, EpochMalformed),
    "a size that is true": (
        {"previous": {"epoch": "1", "cut": [CUT | {"size": True}]}},
        EpochMalformed,
    ),
    "no such channel": (
        {"previous": {"epoch": "1", "cut": [CUT | {"channel": "sideways"}]}},
        errors.ChannelInvalid,
    ),
    "a member inside of a line": (
        {"previous": {"epoch": "1", "cut": [CUT | {"root": ""}]}},
        EpochMalformed,
    ),
}


@pytest.mark.parametrize(("change", "error"), BAD.values(), ids=BAD)
def test_a_wrong_core_is_refused_by_type(change: dict[str, Any], error: type[Exception]) -> None:
    """Nothing of a wrong core is believed."""
    core = orjson.loads(SAMPLE.encode()) | change
    with pytest.raises(error):
        EpochOpened.decode(orjson.dumps(core, option=orjson.OPT_SORT_KEYS))


def test_what_is_not_the_one_form_is_refused() -> None:
    """No JSON, another order, a member twice, too long, too many journals."""
    data = SAMPLE.encode()
    twice = data[:-1] + b',"epoch":"2"}'
    for wrong in (b"", b"[]", b"{}", data + b" ", twice, b"x" * (MAX_CORE_BYTES + 1)):
        with pytest.raises(EpochMalformed):
            EpochOpened.decode(wrong)
    many = tuple(sorted(line(f"to:{n:032x}", 1) for n in range(MAX_LINES + 1)))
    with pytest.raises(EpochMalformed):
        unsigned(cut=many).encode()


UNPROVEN: dict[str, tuple[EpochOpened, str]] = {
    "the old key has not signed": (unsigned().sign(OTHER, NEW), "old key"),
    "the new key has not signed": (unsigned().sign(OLD, OTHER), "new key"),
    "nobody has signed": (unsigned(), "old key"),
    "the cut was changed afterwards": (replace(SAMPLE, cut=(line("node", 8),)), "old key"),
    "the cosigning key was changed": (replace(SAMPLE, cosign_key=OTHER.public_key), "old key"),
    "the same key is called new": (
        unsigned(journal_key=OLD.public_key).sign(OLD, OLD),
        "cause",
    ),
    "a new key comes as a restored backup": (
        unsigned(cause=Cause.RESTORED).sign(OLD, NEW),
        "cause",
    ),
}


@pytest.mark.parametrize(("opened", "reason"), UNPROVEN.values(), ids=UNPROVEN)
def test_without_both_keys_nothing_is_opened(opened: EpochOpened, reason: str) -> None:
    """Whoever has one of the two keys cannot do it alone."""
    with pytest.raises(EpochUnproven) as caught:
        check(opened, LIVE)
    assert caught.value.params["reason"] == reason


def test_an_epoch_follows_the_live_one_only() -> None:
    """Not one that has ended, and not one that nobody knows."""
    check(SAMPLE, LIVE)
    check(KEPT, LIVE)
    with pytest.raises(EpochConflict):
        check(SAMPLE, replace(SAMPLE.key, epoch="2"))
    assert next_epoch("1") == "2"
    assert next_epoch("2-0123456789abcdef") == "3"
    assert next_epoch("9", bytes(8)) == "10-0000000000000000"


PLACES: dict[str, tuple[EpochOpened, JournalId, int, type[Exception] | None]] = {
    "last of the old journal": (SAMPLE, journal(), 6, None),
    "before the last": (SAMPLE, journal(), 5, EpochMalformed),
    "behind the last": (SAMPLE, journal(), 7, EpochMalformed),
    "in a journal of reports": (SAMPLE, journal("up:15"), 2, EpochMalformed),
    "first of the new journal, under a new key": (SAMPLE, journal(epoch="2"), 0, EpochUnproven),
    "first of the new journal, under the same key": (KEPT, journal(epoch="2"), 0, None),
    "second of the new journal": (KEPT, journal(epoch="2"), 1, EpochMalformed),
    "in the journal of a third epoch": (KEPT, journal(epoch="3"), 0, EpochMalformed),
}


@pytest.mark.parametrize(("opened", "where", "seq", "error"), PLACES.values(), ids=PLACES)
def test_an_epoch_is_opened_in_its_place(
    opened: EpochOpened, where: JournalId, seq: int, error: type[Exception] | None
) -> None:
    """It ends one journal or begins the next; a new key is believed from the old journal alone."""
    if error is None:
        check_place(opened, where, seq, LIVE)
    else:
        with pytest.raises(error):
            check_place(opened, where, seq, LIVE)


def test_a_chain_follows_a_change_of_keys(rotated: Any) -> None:
    """Enrolments of both epochs count, each under its own key, with the step in between."""
    new = {"epoch": "2", "signer": NEW}
    for enrolled in (rotated.enrolled_before, rotated.enrolled(**new)):
        chain = rotated.verify(rotated.before, rotated.step, enrolled)
        assert chain[1:] == (rotated.grown, rotated.city)
    assert rotated.verify(rotated.before, rotated.step)[-1].live == rotated.opened.key
    assert rotated.grown.key_of("1").journal_key == rotated.old.public_key
    assert rotated.grown.key_of("2").journal_key == NEW.public_key


def test_a_key_is_good_for_its_own_epoch_alone(rotated: Any) -> None:
    """The old key in the new epoch, the new key in the old one, and an epoch without a step."""
    steps = (rotated.before, rotated.step)
    wrong = {
        "the old key after the change": {"epoch": "2"},
        "the new key before it": {"epoch": "1", "signer": NEW},
    }
    for where in wrong.values():
        with pytest.raises(errors.NoteUnsigned):
            rotated.verify(*steps, rotated.enrolled(**where))
    with pytest.raises(EpochUnknown):
        rotated.verify(rotated.before, rotated.enrolled(epoch="2", signer=NEW))


def test_the_old_key_ends_where_the_cut_says(rotated: Any) -> None:
    """What a thief of the old key signs beyond the cut is refused offline too."""
    short = unsigned(node_id=rotated.province.node_id, cut=(line("node", 4),))
    short = short.sign(rotated.old, NEW)
    # Its journal has five records: the thief wrote one more.
    with pytest.raises(EpochClosed):
        rotated.verify(rotated.before, rotated.proof(short, index=3))
    closed = replace(rotated.province, changes=(short,))
    mine = JournalId(node_id=closed.node_id, channel="node", epoch="1")
    closed.check_end(mine, 4)
    with pytest.raises(EpochClosed):
        closed.check_end(mine, 5)
    with pytest.raises(EpochClosed):
        closed.check_end(replace(mine, channel="down"), 1)


def test_steps_that_do_not_lead_on_are_refused(rotated: Any) -> None:
    """Twice, of another node, without a signature, or from a journal of the thief."""
    other = unsigned(node_id=rotated.city.node_id, cut=(line("node", 5),)).sign(rotated.old, NEW)
    forged = unsigned(node_id=rotated.province.node_id, cut=(line("node", 5),)).sign(OTHER, NEW)
    for wrong, error in (
        ((rotated.step, rotated.step), EpochConflict),
        ((rotated.proof(other, index=4),), errors.EnrolmentMalformed),
        ((rotated.proof(forged, index=4),), EpochUnproven),
        ((rotated.proof(rotated.opened, index=4, signer=OTHER),), errors.NoteUnsigned),
        ((rotated.proof(rotated.opened, index=0, epoch="2", signer=NEW),), EpochUnproven),
        ((rotated.proof(rotated.opened, index=4, channel="up:15"),), errors.EnrolmentMalformed),
    ):
        with pytest.raises(error):
            rotated.verify(rotated.before, *wrong)


def test_an_epoch_under_the_same_key_is_proved_by_its_own_journal(rotated: Any) -> None:
    """After a restored backup the old journal may not be written any more."""
    kept = unsigned(
        node_id=rotated.province.node_id,
        journal_key=rotated.old.public_key,
        cause=Cause.RESTORED,
        cut=(line("node", 5),),
    ).sign(rotated.old, rotated.old)
    chain = rotated.verify(rotated.before, rotated.proof(kept, index=0, epoch="2"))
    assert chain[-1].live.epoch == "2"
