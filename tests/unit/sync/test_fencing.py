"""When a node may sign: the table of standings, and the verdicts that lead through it."""

import pytest

from yidao.sync.checkpoint import Checkpoint
from yidao.sync.fencing import TURNS, Standing, Start, Turn, Verdict, begun, judge, turn_of, turned
from yidao.sync.lives import MAX_RETURNS, WINDOW_MS, Heard, Lives

ROOTS = {size: bytes([size]) * 32 for size in range(10)}

STARTS = {
    "a folder that was just enrolled signs at once": (Start.FIRST, Standing.ACTIVE),
    "a store that this machine remembers signs at once": (Start.REMEMBERED, Standing.ACTIVE),
    "a boot or a copy is fenced": (Start.DOUBTFUL, Standing.FENCED),
    "a restored backup never goes on where it ends": (Start.RESTORED, Standing.RESUMING),
}


@pytest.mark.parametrize(("start", "standing"), STARTS.values(), ids=STARTS.keys())
def test_a_start_stands_by_what_vouches_for_it(start: Start, standing: Standing) -> None:
    """Only a first start and a remembered store sign without anybody's word."""
    assert begun(start) is standing


VERDICTS = {
    "the neighbour has all of it": (5, 5, Verdict.EQUAL),
    "the neighbour has the beginning": (3, 5, Verdict.AHEAD),
    "the neighbour has nothing yet": (0, 5, Verdict.AHEAD),
    "the neighbour has more": (7, 5, Verdict.BEHIND),
    "the neighbour has some and we nothing": (7, 0, Verdict.BEHIND),
}


@pytest.mark.parametrize(("held", "own", "verdict"), VERDICTS.values(), ids=VERDICTS.keys())
def test_a_journal_is_judged_by_size_and_root(held: int, own: int, verdict: Verdict) -> None:
    """Equal roots decide by size."""
    told = Checkpoint(origin="sample", size=held, root=ROOTS[held])
    assert judge(told, own, ROOTS.__getitem__) is verdict


@pytest.mark.parametrize("held", [0, 3, 5])
def test_another_root_of_a_size_that_is_here_diverges(held: int) -> None:
    """Whoever signed two roots for one size has two histories."""
    told = Checkpoint(origin="sample", size=held, root=bytes(31) + b"x")
    assert judge(told, 5, ROOTS.__getitem__) is Verdict.DIVERGED


WORDS = {
    "all equal": ([Verdict.EQUAL, Verdict.AHEAD], False, Turn.AGREED),
    "nothing held": ([], False, Turn.AGREED),
    "one behind": ([Verdict.EQUAL, Verdict.BEHIND], False, Turn.BEHIND),
    "a fork outweighs all": ([Verdict.BEHIND, Verdict.DIVERGED], True, Turn.DIVERGED),
    "a receipt for more than we hold": ([Verdict.EQUAL], True, Turn.LOST),
}


@pytest.mark.parametrize(("verdicts", "lost", "turn"), WORDS.values(), ids=WORDS.keys())
def test_the_worst_of_a_word_counts(verdicts: list[Verdict], turn: Turn, *, lost: bool) -> None:
    """A neighbour's word is as bad as the worst of it."""
    assert turn_of(verdicts, lost=lost) is turn


def test_nothing_but_a_new_epoch_leads_back_from_a_rollback() -> None:
    """From every standing but a fence in doubt, signing again goes through REOPENING alone."""
    to_active = {
        (before, turn) for (before, turn), after in TURNS.items() if after is Standing.ACTIVE
    }
    assert to_active == {
        (Standing.FENCED, Turn.AGREED),
        (Standing.REOPENING, Turn.OPENED),
    }


@pytest.mark.parametrize("standing", [Standing.FORKED, Standing.CLONED])
def test_only_a_person_ends_a_fork_or_a_clone(standing: Standing) -> None:
    """Whatever neighbours say and however long it lasts."""
    for turn in Turn:
        expected = Standing.REOPENING if turn is Turn.DECIDED else standing
        assert turned(standing, turn) is expected


def test_a_node_that_signs_is_fenced_by_what_it_learns() -> None:
    """A session can show at any time that the store is not what it was."""
    for turn in (Turn.BEHIND, Turn.LOST, Turn.DIVERGED, Turn.REPLACED, Turn.DOUBTED):
        assert turned(Standing.ACTIVE, turn) is not Standing.ACTIVE
    assert turned(Standing.ACTIVE, Turn.AGREED) is Standing.ACTIVE
    assert turned(Standing.ACTIVE, Turn.WAITED) is Standing.ACTIVE


A, B, C = (bytes([each]) * 16 for each in b"abc")


def _hear(said: list[bytes], step_ms: int = 1_000) -> list[Heard]:
    lives, found = Lives(), []
    for number, life in enumerate(said):
        lives, heard = lives.hear(life, number * step_ms)
        found.append(heard)
    return found


LIVES = {
    "restarts are one process after the other": ([A, B, C], [Heard.ONE] * 3),
    "sessions of one life are one process": ([A, A, A], [Heard.ONE] * 3),
    "who says no life is not judged": ([b"", A, b"", A], [Heard.ONE] * 4),
    "a life that comes back is a second process": ([A, B, A], [Heard.ONE, Heard.ONE, Heard.TWO]),
}


@pytest.mark.parametrize(("said", "heard"), LIVES.values(), ids=LIVES.keys())
def test_two_processes_are_told_by_a_life_that_comes_back(
    said: list[bytes], heard: list[Heard]
) -> None:
    """A process that was started again never returns to an older life."""
    assert _hear(said) == heard


def test_two_that_take_turns_are_put_aside() -> None:
    """More than three returns in ten minutes; the same spread over hours is only shown."""
    turns = [A, B] * (MAX_RETURNS + 1)
    assert Heard.FLAPPING in _hear(turns)
    assert Heard.FLAPPING not in _hear(turns, step_ms=WINDOW_MS)
