"""Objects into the world and back: nothing is lost, nothing looks different."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from scene3d import Gaussians, Scene
from scene3d._flatten import flatten, in_world, into_bodies
from scene3d.files import load_scene
from scene3d.render import render

ARRAYS = ("means", "quats", "scales", "opacities", "sh0", "shN")
coordinate = st.floats(-3, 3)


def largest(a: Gaussians, b: Gaussians) -> float:
    return max(float((getattr(a, n).double() - getattr(b, n).double()).abs().max()) for n in ARRAYS)


@settings(max_examples=15)
@given(st.lists(coordinate, min_size=3, max_size=3), st.lists(coordinate, min_size=4, max_size=4), st.integers(0, 99))
def test_round_trip(xyz: list[float], wxyz: list[float], seed: int) -> None:
    if sum(value * value for value in wxyz) < 1e-2:
        wxyz = [1.0, 0.0, 0.0, 0.0]
    g = torch.Generator().manual_seed(seed)
    world = Gaussians.create(
        means=torch.randn(20, 3, generator=g),
        quats=torch.nn.functional.normalize(torch.randn(20, 4, generator=g), dim=1),
        scales=torch.randn(20, 3, generator=g),
        opacities=torch.randn(20, generator=g),
        sh0=torch.randn(20, 1, 3, generator=g),
        shN=torch.randn(20, 15, 3, generator=g),
    ).to(dtype=torch.float64)
    component = (torch.arange(20) % 2).int()
    poses = torch.tensor([[0.0, 0, 0, 1, 0, 0, 0], [*xyz, *wxyz]], dtype=torch.float64)
    bodies = into_bodies(world, component, poses)
    assert torch.equal(bodies.component_index, component)
    back = in_world(bodies, poses)
    assert largest(back, world) < 1e-9
    assert not back.component_index.any()
    single = in_world(into_bodies(world.to(dtype=torch.float32), component, poses), poses)
    assert largest(single, world) < 3e-6  # Coordinates of up to 10: float32 itself.


def test_flattened_scene_looks_the_same(objects_scene: Scene) -> None:
    scene = replace(objects_scene, filled=0)
    before = render(scene.splats, scene.cameras[0], T_world_body=scene.T_world_body)
    flat = flatten(scene)
    after = render(flat.splats, flat.cameras[0])
    assert float((before.rgb - after.rgb).abs().max()) < 2e-5
    assert float((before.depth - after.depth).abs().max()) < 2e-5
    # The poses do something: without them the picture is another one.
    assert float((render(replace(scene.splats), scene.cameras[0], T_world_body=None).rgb - after.rgb).abs().max()) > 0.1
    assert (flat.objects, flat.filled, len(flat.supports)) == ((), 0, 1)


def test_identity_poses_keep_every_bit(objects_scene: Scene) -> None:
    still = (0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0)
    things = tuple(replace(thing, T_world_body=still) for thing in objects_scene.objects)
    flat = flatten(replace(objects_scene, objects=things, filled=0))
    for name in ARRAYS:
        assert torch.equal(getattr(flat.splats, name), getattr(objects_scene.splats, name))


def test_made_up_splats_are_left_out(objects_scene: Scene) -> None:
    flat = flatten(objects_scene)
    assert len(flat.splats) == len(objects_scene.splats) - 5
    assert torch.equal(flat.splats.means[:55], objects_scene.splats.means[:55])


def test_splats_without_a_pose_are_refused(objects_scene: Scene) -> None:
    with pytest.raises(ValueError, match="ride on body 2, but there are poses of 1 only"):
        in_world(objects_scene.splats, torch.tensor([[0.0, 0, 0, 1, 0, 0, 0]]))


def test_the_demo_scene_flattens(tabletop_scene: Path) -> None:
    scene = load_scene(tabletop_scene)
    flat = flatten(scene)
    assert len(flat.splats) == len(scene.splats) - scene.filled
    assert bool(torch.isfinite(flat.splats.means).all())
