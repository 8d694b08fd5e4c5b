"""What layers draw, in numbers: tubes, ghosts, paths, forces, arrows, particles."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
import trimesh

from scene3d import load_scene
from scene3d._scene_world import scene_state, scene_world
from scene3d.viewer._future_words import future_words
from scene3d.viewer._layer_arrows import touches
from scene3d.viewer._layer_cameras import _thumbnail, look_from
from scene3d.viewer._layer_ghosts import stand_apart
from scene3d.viewer._layer_paths import center_paths, tube_mesh
from scene3d.viewer._mesh_splats import mesh_splats
from scene3d.viewer._splat_arrays import MAGNIFIED
from scene3d.viewer._track import track_of

from .small_scenes import SHAPES, sliding, small_scene


def _fan(count: int, spread: float) -> np.ndarray:
    """Paths (F, T, 3) along x that spread to both sides in proportion to how far they are."""
    x = np.linspace(0, 1, 50)
    sides = np.linspace(-spread, spread, count)
    return np.stack([np.stack([x, side * x, 0 * x], axis=1) for side in sides])


def test_a_tube_holds_the_share_of_the_futures_it_says() -> None:
    paths = _fan(101, 0.2)
    mesh = tube_mesh(paths)
    assert mesh is not None
    tube = trimesh.Trimesh(*mesh, process=True)
    assert tube.is_watertight
    for index in (25, 49):
        ring = np.abs(mesh[0][:, 0] - paths[0, index, 0]) < 0.01
        radius = np.abs(mesh[0][ring, 1]).max() + 1e-6
        inside = np.abs(paths[:, index, 1]) < radius
        assert 0.85 < inside.mean() < 0.95


@pytest.mark.parametrize("paths", [_fan(5, 0.0), np.zeros((5, 50, 3)), np.random.default_rng(0).random((5, 1, 3))])
def test_no_tube_where_nothing_spreads_or_moves(paths: np.ndarray) -> None:
    assert tube_mesh(paths) is None


def test_ghosts_of_what_stands_there_anyway_are_hidden() -> None:
    here = np.array([0, 0, 0, 1, 0, 0, 0], dtype=np.float32)
    none = np.full(7, np.nan, dtype=np.float32)
    beside = here + np.array([0.01, 0, 0, 0, 0, 0, 0], dtype=np.float32)
    turned = np.array([0, 0, 0, 0.98, 0.2, 0, 0], dtype=np.float32)
    mirrored = here * np.array([1, 1, 1, -1, -1, -1, -1], dtype=np.float32)
    ghosts = np.stack([here, mirrored, beside, turned, none, beside, here])
    assert stand_apart(ghosts, here).tolist() == [False, False, True, True, False, False, False]
    # A large body goes farther before it is seen to be elsewhere.
    assert stand_apart(ghosts, here, 0.2).tolist() == [False, False, False, True, False, False, False]


def test_splats_of_a_mesh_lie_flat_on_it() -> None:
    box = SHAPES["box"]
    splats = mesh_splats(box.vertices, box.faces, 400)
    assert 250 < len(splats.centers) <= 1000
    shares = np.abs(splats.centers.astype(np.float64) / MAGNIFIED) / (box.extents / 2)
    np.testing.assert_allclose(shares.max(axis=1), 1, atol=1e-5)
    values, vectors = np.linalg.eigh(splats.covariances.astype(np.float64))
    across = np.abs(vectors[np.arange(len(shares)), shares.argmax(axis=1), 0])
    assert across.min() > 0.999
    assert (values[:, 0] < 0.05 * values[:, 1]).all()


def test_paths_are_those_of_the_centre_of_mass() -> None:
    scene = small_scene(300)
    body = scene.objects[0].body
    off = replace(body, com=np.array([0.01, 0, 0]))
    scene = replace(scene, objects=(replace(scene.objects[0], body=off), *scene.objects[1:]))

    def turn(_: int, time: float, poses: Any) -> None:
        poses[0, 3:] = torch.tensor([np.cos(np.pi * time / 2), 0, 0, np.sin(np.pi * time / 2)])

    path = center_paths(scene, track_of("turn", sliding(scene, turn)[1]), 0)[0]
    np.testing.assert_allclose(path[0], [-0.14, 0, 0.06], atol=1e-6)
    np.testing.assert_allclose(path[-1], [-0.16, 0, 0.06], atol=1e-5)


def test_forces_carry_the_weight_of_what_stands() -> None:
    scene = small_scene(300)
    world = scene_world(scene)
    found = touches(world, scene_state(scene, world))
    assert len(found.point) >= 9
    for index, thing in enumerate(scene.objects):
        force = found.force[found.bodies[:, 0] == index].sum(axis=0)
        weight = 9.81 * thing.body.mass
        np.testing.assert_allclose(force, [0, 0, weight], atol=0.1 * weight)
        low = found.point[found.bodies[:, 0] == index]
        assert np.abs(low[:, 2]).max() < 0.003


def test_thumbnails_are_small_photos(tabletop_scene: Path) -> None:
    from PIL import Image

    view = load_scene(tabletop_scene).views[0]
    assert view.photo is not None
    small = _thumbnail(view)
    assert small is not None
    assert max(small.shape[:2]) == 96
    whole = np.asarray(Image.open(view.photo.path).convert("RGB").resize(small.shape[1::-1]))
    assert np.abs(small.astype(int) - whole).mean() < 6
    gone = replace(view, photo=replace(view.photo, path=tabletop_scene / "gone.jpg"))
    assert _thumbnail(gone) is None
    assert _thumbnail(replace(view, photo=None)) is None


def test_a_camera_that_is_clicked_is_looked_from() -> None:
    camera = small_scene(300).cameras[0]
    client = SimpleNamespace(atomic=nullcontext, camera=SimpleNamespace())
    look_from(client, camera)
    pose = camera.T_world_cam.numpy()
    np.testing.assert_allclose(client.camera.position, pose[:3, 3])
    ahead = client.camera.look_at - client.camera.position
    np.testing.assert_allclose(ahead / np.linalg.norm(ahead), pose[:3, 2], atol=1e-6)
    assert client.camera.up_direction @ -pose[:3, 1] == pytest.approx(1)
    assert client.camera.fov == pytest.approx(2 * np.arctan(np.tan(0.45) * 640 / 960), rel=1e-4)


def test_futures_are_told_by_what_happens_in_them() -> None:
    scene = small_scene(300)

    def happen(future: int, time: float, poses: Any) -> None:
        if future >= 1:
            poses[2, 0] += 0.1 * min(time, 0.5)
        if future == 2:
            angle = 1.5 * min(time, 0.5) / 0.5
            poses[1, 3:] = torch.tensor([np.cos(angle / 2), np.sin(angle / 2), 0, 0])
        if future == 3:
            poses[0, 2] = float("nan")

    world, rollout = sliding(scene, happen, futures=4)
    track = track_of("all kinds", rollout)
    words = future_words(scene, world, track)
    assert words[0] == "all stay"
    assert words[1] == "mug slides"
    assert words[2].startswith("can tips over, mug slides")
    assert words[3] == "holds what is no number, not shown"
    fallen = track_of("a drop", rollout, document={"deeds": ["put can", "drop mug,0.2", "drop nothing"]})
    assert future_words(scene, world, fallen)[:2] == ("mug lands", "mug lands")
    assert future_words(scene, None, track) == ("",) * 4
