"""What a click hits: rays against colliders where bodies stand now."""

from __future__ import annotations

import numpy as np
import pytest

from scene3d.viewer._pick import pick
from scene3d.viewer._track import still_track

from .small_scenes import PLACES, small_scene

SCENE = small_scene(600)
POSES = np.array([thing.T_world_body for thing in SCENE.objects], dtype=np.float32)
EYE = np.array([0.0, -0.8, 0.4])


@pytest.mark.parametrize("index", range(3))
def test_the_ray_through_a_thing_hits_it(index: int) -> None:
    assert pick(SCENE, POSES, EYE, POSES[index, :3] - EYE) == index
    assert pick(SCENE, POSES, EYE, 1e-3 * (POSES[index, :3] - EYE)) == index


def test_rays_beside_and_away_hit_nothing() -> None:
    assert pick(SCENE, POSES, EYE, (0.0, 1.0, -1.5)) is None  # The bare table.
    assert pick(SCENE, POSES, EYE, EYE - POSES[0, :3]) is None  # Away from it.
    assert pick(SCENE, POSES, EYE, (0.0, 0.0, 0.0)) is None
    assert pick(SCENE, POSES, EYE, (np.nan, 1.0, 0.0)) is None


def test_outlines_are_met_to_a_millimetre() -> None:
    x, y, z = PLACES["box"]
    above = (x, y, z + 1.0)
    for side, hit in ((0.0399, 0), (0.0401, None)):
        assert pick(SCENE, POSES, np.add(above, (side, 0.01, 0)), (0, 0, -1)) == hit


def test_the_nearest_of_several_is_hit() -> None:
    box, can = POSES[0, :3], POSES[1, :3]
    assert pick(SCENE, POSES, 2 * box - can, can - box) == 0
    assert pick(SCENE, POSES, 2 * can - box, box - can) == 1


def test_things_are_hit_where_they_are_now() -> None:
    there = POSES.copy()
    there[2, :3] += (0.0, 0.0, 0.5)
    there[2, 3:] = (np.sqrt(0.5), 0, np.sqrt(0.5), 0)  # The mug lies on its side in the air.
    assert pick(SCENE, there, EYE, there[2, :3] - EYE) == 2
    assert pick(SCENE, there, EYE, POSES[2, :3] - EYE) is None
    # Its axis is along x now, 5 cm to either side.
    assert pick(SCENE, there, there[2, :3] + (0.049, 0, 1), (0, 0, -1)) == 2
    assert pick(SCENE, there, there[2, :3] + (0, 0.049, 1), (0, 0, -1)) is None


def test_a_pose_that_is_no_number_is_passed_over() -> None:
    broken = POSES.copy()
    broken[0] = np.nan
    assert pick(SCENE, broken, EYE, POSES[0, :3] - EYE) is None
    assert pick(SCENE, broken, EYE, POSES[1, :3] - EYE) == 1
    assert still_track("x", broken).poses.shape == (1, 1, 3, 7)
