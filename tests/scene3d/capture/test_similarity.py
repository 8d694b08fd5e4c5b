"""Similarities: a group, and a change of world that no picture can tell."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from scipy.spatial.transform import Rotation

from scene3d._camera import Camera
from scene3d._gaussians import Gaussians
from scene3d._scene import Scene, SceneView
from scene3d._sh_rotation import rotate_sh, sh_rotation
from scene3d.capture import Capture, PointCloud, View
from scene3d.capture._similarity import Similarity, transform_capture, transform_scene, transform_splats
from scene3d.render import render
from scene3d.render._spherical_harmonics import sh_basis

seeds = st.integers(0, 2**32 - 1)


def rotation(seed: int) -> np.ndarray:
    return Rotation.from_quat(np.random.default_rng(seed).normal(size=4)).as_matrix()


@st.composite
def similarities(draw: st.DrawFn) -> Similarity:
    rng = np.random.default_rng(draw(seeds))
    return Similarity(math.exp(draw(st.floats(-3, 3))), rotation(draw(seeds)), rng.normal(size=3) * 5)


@given(similarities(), similarities(), similarities())
def test_group(a: Similarity, b: Similarity, c: Similarity) -> None:
    assert_allclose(((a @ b) @ c).matrix, (a @ (b @ c)).matrix, rtol=1e-9, atol=1e-9)
    assert_allclose((a @ a.inverse()).matrix, np.eye(4), atol=1e-9)
    assert_allclose((a.inverse() @ a).matrix, np.eye(4), atol=1e-9)
    assert_allclose((a @ Similarity.identity()).matrix, a.matrix)
    assert_allclose((a @ b).matrix, a.matrix @ b.matrix, rtol=1e-9, atol=1e-9)
    assert_allclose(Similarity.of_matrix(a.rows).matrix, a.matrix, rtol=1e-12, atol=1e-12)


@given(similarities(), similarities(), seeds)
def test_action_on_points(a: Similarity, b: Similarity, seed: int) -> None:
    p = np.random.default_rng(seed).normal(size=(5, 3))
    assert_allclose((a @ b).points(p), a.points(b.points(p)), rtol=1e-9, atol=1e-9)
    homogeneous = np.concatenate([p, np.ones((5, 1))], 1) @ a.matrix.T
    assert_allclose(a.points(p), homogeneous[:, :3], rtol=1e-12, atol=1e-12)
    before, after = np.linalg.norm(p[0] - p[1]), np.linalg.norm(np.subtract(*a.points(p[:2])))
    assert after == pytest.approx(a.scale * before)


@pytest.mark.parametrize(
    "matrix",
    [
        np.eye(3),
        np.diag([1, 1, -1, 1]),
        np.diag([1, 1, 2, 1]),
        np.diag([0, 0, 0, 1]),
        np.diag([1, 1, 1, 2]),
        np.full((4, 4), np.nan),
    ],
)
def test_other_matrices_are_refused(matrix: np.ndarray) -> None:
    with pytest.raises(ValueError, match="similarity"):
        Similarity.of_matrix(matrix)


@pytest.mark.parametrize(("scale", "R"), [(0, np.eye(3)), (np.inf, np.eye(3)), (1, -np.eye(3)), (1, np.ones((3, 3)))])
def test_what_is_no_similarity(scale: float, R: np.ndarray) -> None:
    with pytest.raises(ValueError, match="similarity"):
        Similarity(scale, R)


@given(similarities(), seeds)
def test_cameras_keep_their_pixels_and_stay_rigid(s: Similarity, seed: int) -> None:
    rng = np.random.default_rng(seed)
    pose = torch.eye(4, dtype=torch.float64)
    pose[:3, :3], pose[:3, 3] = torch.from_numpy(rotation(seed)), torch.from_numpy(rng.normal(size=3))
    camera = Camera.from_fov(64, 48, 1.0, pose)
    moved = s.camera(camera)
    R = moved.T_world_cam[:3, :3]
    assert_allclose(R.T @ R, np.eye(3), atol=1e-12)
    p = rng.normal(size=(4, 3))
    before = (camera.T_cam_world @ torch.from_numpy(np.c_[p, np.ones(4)].T)).numpy()
    after = (moved.T_cam_world @ torch.from_numpy(np.c_[s.points(p), np.ones(4)].T)).numpy()
    assert_allclose(after[:3], s.scale * before[:3], rtol=1e-9, atol=1e-9 * s.scale)
    batch = s.camera(Camera.stack([camera, camera]))
    assert torch.equal(batch.T_world_cam[1], moved.T_world_cam)


@pytest.mark.parametrize("degree", [0, 1, 2, 3])
@settings(max_examples=15)
@given(seed=seeds)
def test_turned_harmonics_show_the_same_to_turned_directions(degree: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    R = torch.from_numpy(rotation(seed))
    count = (degree + 1) ** 2 - 1
    shN = torch.from_numpy(rng.normal(size=(3, count, 3)))
    d = torch.nn.functional.normalize(torch.from_numpy(rng.normal(size=(10, 3))), dim=1)
    before = torch.einsum("dk,nkc->ndc", sh_basis(degree, d), shN)
    after = torch.einsum("dk,nkc->ndc", sh_basis(degree, d @ R.T), rotate_sh(shN, R))
    assert_allclose(after, before, atol=1e-12)


@settings(max_examples=15)
@given(seeds, seeds)
def test_harmonics_represent_the_rotations(first: int, second: int) -> None:
    """Degree 1 is the rotation itself, its axes in the order y, z, x with the signs of the field."""
    a, b = torch.from_numpy(rotation(first)), torch.from_numpy(rotation(second))
    D = sh_rotation(3, a)
    assert_allclose(sh_rotation(3, a @ b), D @ sh_rotation(3, b), atol=1e-12)
    assert_allclose(D @ D.T, np.eye(15), atol=1e-12)
    order, sign = [1, 2, 0], torch.tensor([-1.0, 1.0, -1.0], dtype=torch.float64)
    assert_allclose(D[:3, :3], sign[:, None] * a[order][:, order] * sign, atol=1e-12)


def splats(seed: int, degree: int = 3, count: int = 40) -> Gaussians:
    rng = np.random.default_rng(seed)
    rest = (degree + 1) ** 2 - 1
    arrays = (
        rng.normal(size=(count, 3)) * 0.4,
        rng.normal(size=(count, 4)),
        rng.uniform(-3.5, -1.5, (count, 3)),
        rng.normal(size=count) * 2,
        rng.normal(size=(count, 1, 3)) * 0.4,
        rng.normal(size=(count, rest, 3)) * 0.2,
    )
    return Gaussians.create(*(torch.from_numpy(a).float() for a in arrays))


def scene(seed: int) -> Scene:
    pose = Camera.look_at(torch.tensor([2.0, 0.5, 1.0]), torch.zeros(3))
    camera = Camera.from_fov(48, 36, 1.0, pose)
    photo = View("a.jpg", Path("/nowhere/a.jpg"), camera.resized(96, 72))
    return Scene(splats(seed), (SceneView("a.jpg", camera, photo=photo),), up=(0.0, 0.6, 0.8))


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("scale", [0.05, 1.0, 8.0])
def test_moved_scene_renders_to_the_old_picture(seed: int, scale: float) -> None:
    before = scene(seed)
    s = Similarity(scale, rotation(seed), np.array([1.0, -2.0, 0.5]))
    after = transform_scene(before, s)
    old = render(before.splats, before.views[0].camera)
    new = render(after.splats, after.views[0].camera)
    assert float(old.alpha.mean()) > 0.2
    assert_allclose(new.rgb, old.rgb, atol=2e-4)
    assert_allclose(new.alpha, old.alpha, atol=2e-4)
    assert_allclose(new.depth, scale * old.depth, atol=2e-3 * scale)
    assert_allclose(after.up, s.R @ before.up, atol=1e-12)
    assert after.views[0].photo is not None
    assert torch.equal(after.views[0].photo.camera.T_world_cam, after.views[0].camera.T_world_cam)
    assert after.views[0].photo.camera.width == 96


def test_view_dependence_is_really_in_that_test() -> None:
    """Without turning the harmonics the picture changes, so the test above can fail."""
    from dataclasses import replace

    before = scene(0)
    s = Similarity(1.0, rotation(0))
    after = transform_scene(before, s)
    wrong = replace(after.splats, shN=before.splats.shN)
    old = render(before.splats, before.views[0].camera).rgb
    assert float((render(wrong, after.views[0].camera).rgb - old).abs().max()) > 0.02


def test_without_a_turn_values_stay_to_the_bit() -> None:
    before = splats(0)
    after = transform_splats(before, Similarity(0.5))
    assert torch.equal(after.quats, before.quats)
    assert torch.equal(after.shN, before.shN)
    assert torch.equal(after.means, 0.5 * before.means)


def test_splats_of_bodies_stay() -> None:
    from dataclasses import replace

    body = torch.arange(40) % 2
    before = replace(splats(1), component_index=body.int())
    s = Similarity(2.0, rotation(3), np.ones(3))
    after, whole = transform_splats(before, s), transform_splats(replace(before, component_index=body.int() * 0), s)
    for name in ("means", "quats", "scales", "sh0", "shN"):
        new, old, moved = (getattr(x, name) for x in (after, before, whole))
        assert torch.equal(new[body == 1], old[body == 1])
        assert torch.equal(new[body == 0], moved[body == 0])
    assert torch.equal(after.component_index, before.component_index)


@given(similarities(), similarities())
def test_capture_and_its_stored_transform(a: Similarity, b: Similarity) -> None:
    camera = Camera.from_fov(64, 48, 1.0, torch.eye(4, dtype=torch.float64))
    cloud = PointCloud(np.ones((2, 3), np.float32), np.zeros((2, 3), np.uint8))
    view = View("a.jpg", Path("a.jpg"), camera)
    before = Capture(Path(), (view,), cloud, up=(0.0, 0.0, 1.0))
    after = transform_capture(transform_capture(before, a), b)
    assert after.points is not None
    assert after.up is not None
    assert after.T_world_source is not None
    assert_allclose(after.T_world_source, (b @ a).matrix, rtol=1e-9, atol=1e-9)
    assert_allclose(after.points.points, (b @ a).points(cloud.points), rtol=1e-4, atol=1e-4)
    assert_allclose(after.up, b.R @ a.R @ [0, 0, 1], atol=1e-12)
    assert_allclose(after.views[0].camera.position, (b @ a).points(np.zeros(3)), rtol=1e-9, atol=1e-9)
    back = transform_capture(after, (b @ a).inverse())
    assert_allclose(back.views[0].camera.T_world_cam, np.eye(4), atol=1e-9)
