import pytest

from yidao.sync.backoff import Backoff


def waits(jitter: float, count: int) -> list[float]:
    backoff = Backoff(min_seconds=1.0, max_seconds=240.0)
    seconds = []
    for _ in range(count):
        wait, backoff = backoff.next(jitter)
        seconds.append(wait)
    return seconds


def test_waits_double_up_to_the_ceiling() -> None:
    """Waits grow from half a second to a few minutes and stay there."""
    assert waits(0.0, 10) == [0.5, 1, 2, 4, 8, 16, 32, 64, 120, 120]
    assert waits(1.0, 10) == [1, 2, 4, 8, 16, 32, 64, 128, 240, 240]


def test_jitter_spreads_the_same_failure() -> None:
    """Two nodes that lost the same parent at once dial at different times."""
    assert waits(0.25, 3) != waits(0.75, 3)


def test_a_thousand_failures_overflow_nothing() -> None:
    """A parent that is away for a year is still dialled every few minutes."""
    assert waits(0.5, 1000)[-1] == 180


@pytest.mark.parametrize(("jitter", "same_as"), [(-3.0, 0.0), (7.0, 1.0)])
def test_jitter_out_of_range_is_bounded(jitter: float, same_as: float) -> None:
    """A bad random number makes no wait longer or shorter than the bounds."""
    assert waits(jitter, 5) == waits(same_as, 5)


def test_reset_begins_again() -> None:
    """After an opened session the next failure is retried soon."""
    _, backoff = Backoff(min_seconds=1.0, max_seconds=240.0, failures=9).next(0.0)
    assert backoff.failures == 10
    assert backoff.reset() == Backoff(min_seconds=1.0, max_seconds=240.0)
