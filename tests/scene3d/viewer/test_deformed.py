"""Deformables in motion: the rope of the demo scene, bent by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from scene3d import load_scene
from scene3d._scene_world import scene_state, scene_world
from scene3d.viewer import Session, open_viewer
from scene3d.viewer._deformed import deformed_arrays, particle_slice, particles_of
from scene3d.viewer._splat_arrays import MAGNIFIED, scene_arrays
from scene3d.viewer._track import track_of

from .small_scenes import sliding


@pytest.fixture(scope="module")
def scene(tabletop_scene: Path) -> Any:
    return load_scene(tabletop_scene)


@pytest.fixture(scope="module")
def at_rest(scene: Any) -> Any:
    world = scene_world(scene)
    state = scene_state(scene, world)
    return state.T_world_body[0].numpy(), state.x[0].numpy()


def test_particles_at_rest_change_nothing(scene: Any, at_rest: Any) -> None:
    poses, x = at_rest
    arrays, rope = scene_arrays(scene, 30_000), scene.index("rope")
    sent = deformed_arrays(scene, arrays, rope, poses, x)
    assert sent is not None
    np.testing.assert_allclose(sent.centers, arrays.parts[rope + 1].centers, atol=1e-4 * MAGNIFIED)
    np.testing.assert_allclose(particles_of(scene, rope, poses, None), x[particle_slice(scene, rope)], atol=1e-6)


def test_one_end_that_is_lifted_takes_its_splats_along(scene: Any, at_rest: Any) -> None:
    poses, x = at_rest
    rope = scene.index("rope")
    arrays, own = scene_arrays(scene, 30_000), particle_slice(scene, rope)
    lifted = x.copy()
    share = np.linspace(0, 1, own.stop - own.start)
    lifted[own, 2] += 0.2 * share**2
    sent = deformed_arrays(scene, arrays, rope, poses, lifted)
    assert sent is not None
    before = arrays.parts[rope + 1].centers / MAGNIFIED
    moved = np.linalg.norm(sent.centers / MAGNIFIED - before, axis=1)
    # Which particle each splat is next to, in the frame of the body, where both are at rest.
    points = scene.objects[rope].body.particles.points
    nearest = np.linalg.norm(before[:, None] - points[None], axis=2).argmin(axis=1)
    assert moved[nearest < 8].max() < 0.02
    assert moved[nearest > len(points) - 4].min() > 0.15


def test_positions_that_are_no_numbers_are_not_drawn(scene: Any, at_rest: Any) -> None:
    poses, x = at_rest
    broken = x.copy()
    broken[-1] = np.nan
    assert deformed_arrays(scene, scene_arrays(scene, 30_000), scene.index("rope"), poses, broken) is None


def test_splats_are_sent_when_they_move_and_once_more_when_they_are_back(tabletop_scene: Path) -> None:
    viewer = open_viewer(tabletop_scene, port=0, rollouts=(), most_splats=20_000, prepare=False)
    try:
        session: Session = viewer.session
        _, rollout = sliding(session.scene, lambda *_: None, seconds=0.2)
        rope = session.scene.index("rope")
        rollout.x[0, 6:, particle_slice(session.scene, rope)] += torch.tensor([0.0, 0.0, 0.1])
        handle = viewer.nodes.splats[rope + 1]
        particles = viewer.nodes.painter._draws["Particles"].__self__
        particles.switch(True)
        rest = handle.centers.copy()
        session.add(track_of("lifted", rollout))
        session.seek(0.2)
        assert viewer.nodes.painter.finish()
        np.testing.assert_allclose(np.linalg.norm(handle.centers - rest, axis=1), 0.1 * MAGNIFIED, rtol=1e-3)
        cloud: Any = viewer.server.scene.get_handle_by_name(f"/layers/particles/{rope}")
        np.testing.assert_allclose(cloud.points, rollout.x[0, -1, particle_slice(session.scene, rope)], atol=1e-6)
        session.show(0)
        assert viewer.nodes.painter.finish()
        np.testing.assert_array_equal(handle.centers, rest)
        assert not session.jobs.failed
    finally:
        viewer.stop()
