"""Sizes of named objects: a box and a ball of splats on a table, whose masks are rendered from them."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.spatial.transform import Rotation

from scene3d import Scene3dError
from scene3d._camera import Camera
from scene3d._gaussians import Gaussians
from scene3d._scene import Scene, SceneView
from scene3d.capture import View
from scene3d.capture._object_size import object_box, object_extent
from scene3d.capture._similarity import Similarity, transform_scene
from scene3d.render import render

BOX = (0.12, 0.06, 0.18)
BALL = 0.10
SIGMA = 0.002
"""Deviation of the splats, which lie this far under the surface: they look cut off at about one deviation."""


def surface(count: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Points on a table, a box that stands on it askew, and a ball, with their labels."""
    rng = np.random.default_rng(0)
    flat = np.c_[rng.uniform(-0.4, 0.4, (4 * count, 2)), np.zeros(4 * count)]
    cube = rng.uniform(-1, 1, (count, 3))
    face = rng.choice(3, count, p=[0.25, 0.5, 0.25])
    cube[np.arange(count), face] = np.sign(cube[np.arange(count), face])
    turn = Rotation.from_rotvec([0, 0, 0.4]).as_matrix()
    box = (cube * (np.array(BOX) / 2 - SIGMA) + [0, 0, BOX[2] / 2]) @ turn.T + [-0.1, 0.05, 0]
    ball = rng.normal(size=(count, 3))
    ball = ball / np.linalg.norm(ball, axis=1, keepdims=True) * (BALL / 2 - SIGMA) + [0.15, -0.05, BALL / 2]
    labels = np.repeat([0, 1, 2], [4 * count, count, count])
    return torch.from_numpy(np.concatenate([flat, box, ball])).float(), torch.from_numpy(labels)


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Scene:
    """The scene, with photos that are blank but masked."""
    root = tmp_path_factory.mktemp("capture")
    points, labels = surface(2500)
    splats = Gaussians.from_points(points, torch.rand(len(points), 3), sigma=SIGMA, opacity=0.95)
    splats = replace(splats, scales=torch.where(labels == 0, 4.0, 1.0).log()[:, None] + splats.scales)
    views, frames = [], []
    for i in range(10):
        place = torch.tensor([0.7 * np.cos(0.63 * i), 0.7 * np.sin(0.63 * i), 0.3 + 0.2 * (i % 2)]).float()
        camera = Camera.from_fov(240, 180, 0.9, Camera.look_at(place, torch.tensor([0.0, 0.0, 0.05])))
        image = render(splats, camera, features=torch.nn.functional.one_hot(labels, 3).float()).features
        assert image is not None
        image[..., 0] += 0.5 * (1 - image.sum(-1))
        Image.fromarray(image.argmax(-1).to(torch.uint8).numpy()).save(root / f"{i}.png")
        Image.new("RGB", (240, 180)).save(root / f"{i}.jpg")
        frames.append({"file_path": f"{i}.jpg", "instance_path": f"{i}.png"})
        views.append(SceneView(f"{i}.jpg", camera, photo=View(f"{i}.jpg", root / f"{i}.jpg", camera)))
    names = {"1": "box", "2": "ball", "3": "ghost"}
    (root / "transforms.json").write_text(json.dumps({"frames": frames, "instance_names": names}))
    return Scene(splats, tuple(views), source={"capture": str(root)})


def test_sides_of_a_box(scene: Scene) -> None:
    length, width, height = object_box(scene, "box")
    assert length == pytest.approx(0.12, rel=0.03)
    assert width == pytest.approx(0.06, rel=0.06)
    assert height == pytest.approx(0.18, rel=0.03)
    assert object_extent(scene, "box") == max(length, width, height)


def test_extent_in_another_world(scene: Scene) -> None:
    s = Similarity(
        7.0, Rotation.from_quat(np.random.default_rng(1).normal(size=4)).as_matrix(), np.array([5.0, -3.0, 2.0])
    )
    assert object_extent(transform_scene(scene, s), "ball") == pytest.approx(7.0 * BALL, rel=0.03)


def test_haze_and_stray_splats_change_little(scene: Scene) -> None:
    rng = torch.Generator().manual_seed(0)
    haze = torch.rand(300, 3, generator=rng) * torch.tensor([0.1, 0.1, 0.5]) + torch.tensor([-0.15, 0.0, 0.0])
    stray = torch.rand(100, 3, generator=rng) * torch.tensor([0.1, 0.1, 0.1]) + torch.tensor([-0.15, 0.0, -0.12])
    more = [
        Gaussians.from_points(haze, torch.rand(300, 3), sigma=0.004, opacity=0.05),
        Gaussians.from_points(stray, torch.rand(100, 3), sigma=0.004, opacity=0.9),
    ]
    dirty = replace(scene, splats=Gaussians.cat([scene.splats, *more]))
    assert object_extent(dirty, "box") == pytest.approx(0.18, rel=0.04)


def test_errors(scene: Scene, tmp_path: Path) -> None:
    with pytest.raises(Scene3dError, match=r"no object 'bax' in the capture\. It has box, ball, ghost"):
        object_extent(scene, "bax")
    with pytest.raises(Scene3dError, match="'ghost' is to be seen in 0 of 10 photos"):
        object_extent(scene, "ghost")
    with pytest.raises(Scene3dError, match="splats belong to 'ball'"):
        object_extent(replace(scene, splats=replace(scene.splats, opacities=scene.splats.opacities - 4)), "ball")
    with pytest.raises(Scene3dError, match="no instance masks"):
        object_extent(replace(scene, source={"capture": str(tmp_path)}), "box")
