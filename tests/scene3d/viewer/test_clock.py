"""Time that runs, jumps, loops and stops."""

from __future__ import annotations

import pytest

from scene3d.viewer import Clock


def test_time_passes_at_its_speed_only_while_playing() -> None:
    clock = Clock(duration=2.0, speed=0.5)
    assert not clock.advance(1.0)
    clock.play()
    assert clock.advance(1.0)
    assert clock.time == pytest.approx(0.5)


def test_a_loop_begins_again_and_no_loop_ends() -> None:
    clock = Clock(duration=2.0, time=1.5, playing=True)
    clock.advance(1.0)
    assert clock.time == pytest.approx(0.5)
    clock = Clock(duration=2.0, time=1.5, playing=True, loop=False)
    assert clock.advance(1.0)
    assert (clock.time, clock.playing) == (2.0, False)
    clock.play()
    assert (clock.time, clock.playing) == (0.0, True)


def test_jumps_stay_inside() -> None:
    clock = Clock(duration=2.0)
    clock.seek(5.0)
    assert clock.time == 2.0
    clock.seek(-1.0)
    assert clock.time == 0.0


def test_nothing_plays_in_no_time() -> None:
    clock = Clock()
    clock.play()
    assert not clock.playing
    assert not clock.advance(1.0)
