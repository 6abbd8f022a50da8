from yidao.sync.pace import Pace, Pulse

PACE = Pace(min_frame_bytes=16_384, max_frame_bytes=262_144)


def test_frame_is_full_until_something_is_measured() -> None:
    """A new link is taken for a fast one."""
    assert PACE.frame_bytes == 262_144


def test_frame_shrinks_to_what_takes_a_second() -> None:
    """On a line of 40,000 bytes a second a frame is 40,000 bytes."""
    assert PACE.measured(40_000, 1.0).frame_bytes == 40_000


def test_frame_never_leaves_its_bounds() -> None:
    """Neither a dead nor a very fast line moves a frame out of its bounds."""
    assert PACE.measured(0, 1.0).frame_bytes == 16_384
    assert PACE.measured(10**9, 1.0).frame_bytes == 262_144


def test_one_measurement_is_not_the_truth() -> None:
    """A new measurement counts half."""
    pace = PACE.measured(100_000, 1.0).measured(40_000, 2.0)
    assert pace.bytes_per_second == 60_000


def test_idle_seconds_are_no_measurement() -> None:
    """Only an interval with something under way at both ends says how fast the line is."""
    pulse = Pulse(PACE, heartbeat_seconds=15)
    pulse.tick(0, under_way_bytes=0)
    pulse.acked(500)
    pulse.tick(1, under_way_bytes=1000)
    pulse.acked(500)
    pulse.tick(2, under_way_bytes=0)
    assert pulse.pace.bytes_per_second is None
    pulse.tick(3, under_way_bytes=1000)
    pulse.acked(90_000)
    pulse.tick(5, under_way_bytes=1000)
    assert pulse.pace.bytes_per_second == 45_000


def test_clock_that_stands_still_measures_nothing() -> None:
    """Two ticks at one time divide by nothing."""
    pulse = Pulse(PACE, heartbeat_seconds=15)
    for _ in range(3):
        pulse.acked(10)
        pulse.tick(7, under_way_bytes=1000)
    assert pulse.pace.bytes_per_second is None


def test_sign_of_life_is_due_every_so_often() -> None:
    """One heartbeat each fifteen seconds, none at the first tick."""
    pulse = Pulse(PACE, heartbeat_seconds=15)
    assert [now for now in range(100, 150) if pulse.tick(now, 0)] == [115, 130, 145]


def test_silence_is_counted_from_the_last_word() -> None:
    """What came between two ticks counts from the second; then silence grows."""
    pulse = Pulse(PACE, heartbeat_seconds=15)
    pulse.tick(100, 0)
    assert pulse.silent_seconds(100) == 0
    pulse.tick(130, 0)
    assert pulse.silent_seconds(130) == 30
    pulse.heard()
    pulse.tick(131, 0)
    assert pulse.silent_seconds(135) == 4
