"""First splats and a short fit on real sensor depth, and an object cut out of real photos by its masks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pytest
import torch

from scene3d import Camera, Gaussians
from scene3d.capture import Capture, DepthFile, View, triangulate
from scene3d.fit import FitConfig, fit
from scene3d.fit._initial import first_splats
from scene3d.fit._photos import load_targets
from scene3d.render import render

Needs = Callable[[str], Path]
SIDE = 96


@pytest.fixture(scope="module")
def kitchen(needs: Needs) -> Capture:
    """21 frames, three of them held out."""
    folder = needs("redkitchen")
    K = torch.tensor([[585.0, 0, 320], [0, 585.0, 240], [0, 0, 1]], dtype=torch.float64)
    views = []
    for path in sorted(folder.glob("frame-*.color.jpg"))[:84:4]:
        stem = str(path).removesuffix(".color.jpg")
        pose = torch.from_numpy(np.loadtxt(stem + ".pose.txt"))
        depth = DepthFile(Path(stem + ".depth.png"), 1e-3, 0.3, 6.0)
        views.append(View(path.name, path, Camera(640, 480, K, pose), depth=depth))
    capture = Capture(folder, tuple(views), metric=True)
    return replace(capture, points=triangulate(replace(capture, views=capture.split()[0]), longest_side=320))


@pytest.fixture(scope="module")
def rope(needs: Needs) -> Capture:
    """Four views of a rope with masks, the rest of the photos cut away."""
    folder = needs("rope4")
    K, R, t = (np.load(folder / f"{name}_list.npy") for name in ("intr", "R", "t"))
    views = []
    for i in range(4):
        pose = np.eye(4)
        pose[:3, :3], pose[:3, 3] = R[i], t[i].ravel()
        camera = Camera(640, 480, torch.from_numpy(K[i]).double(), torch.from_numpy(pose))
        mask = folder / f"mask_{i}.png"
        views.append(View(f"img_{i}.png", folder / f"img_{i}.png", camera, mask=mask, mask_mode="alpha"))
    return Capture(folder, tuple(views), metric=True)


def depth_error(splats: Gaussians, capture: Capture) -> float:
    """Median over the held-out frames [m]."""
    errors = []
    for view in capture.split()[1]:
        photo = view.load(SIDE)
        assert photo.depth is not None
        found = render(splats, photo.camera.to(dtype=torch.float32)).depth.numpy()
        errors.append(np.abs(found - photo.depth)[photo.depth > 0])
    return float(np.median(np.concatenate(errors)))


def test_first_splats_lie_on_the_surfaces(kitchen: Capture) -> None:
    levels = load_targets(kitchen.split()[0], 160)
    start = first_splats(kitchen, levels, seed=0, budget=8000, threads=2, progress=lambda *_: None)
    assert start.notes[0].startswith("3") and "points come from sensor depth, known and believed in" in start.notes[0]
    assert len(start.splats) <= 8000
    flat = start.splats.scales[:, 2] < start.splats.scales[:, 0] - 0.5
    assert 3000 < int(flat.sum()) <= 4000
    discs = start.splats[flat]
    # With half the opacity of paint, the sum over the discs is what the first steps see.
    assert depth_error(discs, kitchen) < 0.1
    assert torch.sigmoid(discs.opacities) == pytest.approx(0.5)


def test_held_out_depth_is_approached(kitchen: Capture) -> None:
    config = FitConfig(steps=300, longest_side=SIDE, budget=5000, sh_degree=1, density_every=50)
    with_depth = depth_error(fit(kitchen, config).splats, kitchen)
    without = depth_error(fit(kitchen, msgspec.structs.replace(config, depth_weight=0.0)).splats, kitchen)
    assert with_depth < 0.06
    assert with_depth < 0.7 * without


def test_held_out_depth_is_never_opened(kitchen: Capture, tmp_path: Path) -> None:
    held_out = {view.name for view in kitchen.split()[1]}
    gone = DepthFile(tmp_path / "gone.png")
    views = tuple(
        replace(view, path=tmp_path / "gone.jpg", depth=gone) if view.name in held_out else view
        for view in kitchen.views
    )
    fit(replace(kitchen, views=views), FitConfig(steps=2, longest_side=64, budget=2000))


def test_an_object_is_cut_out(rope: Capture) -> None:
    """Four photos from all around: transparent beside the rope, opaque on it, also between the cameras."""
    result = fit(rope, FitConfig(steps=300, longest_side=160, budget=4000, sh_degree=0, density_every=50))
    assert "within the silhouettes" in result.notes[-1]
    for view in rope.views:
        photo = view.load(160)
        assert photo.outside is not None
        alpha = render(result.splats, photo.camera.to(dtype=torch.float32)).alpha.numpy()
        assert alpha[photo.outside].mean() < 0.01
        assert np.median(alpha[photo.valid & ~photo.outside]) > 0.95
    # The rope is 0.6 m long and lies on a table; nothing hangs before a camera.
    visible = result.splats.means[torch.sigmoid(result.splats.opacities) > 0.3]
    assert float((visible.amax(dim=0) - visible.amin(dim=0)).max()) < 0.8


def between(one: Camera, other: Camera) -> Camera:
    """Half way between two cameras, at the size of the first."""
    mixed = 0.5 * (one.T_world_cam + other.T_world_cam)
    u, _, vt = torch.linalg.svd(mixed[:3, :3])
    mixed[:3, :3] = u @ vt
    return Camera(one.width, one.height, one.K, mixed)


def test_a_few_photos_make_a_table_not_fog(rope: Capture) -> None:
    """Half way between two cameras the middle of the picture is table and rope, at the depth of the table."""
    whole = replace(rope, views=tuple(replace(view, mask=None) for view in rope.views))
    config = FitConfig(steps=200, longest_side=160, budget=8000, density_every=50).for_few_views(4)
    result = fit(whole, config)
    assert "comparing the photos over planes" in result.notes[-1]
    cameras = [view.load(160).camera.to(dtype=torch.float32) for view in whole.views]
    # Between photos 3 and 0 stands the robot.
    for i in range(3):
        camera = between(cameras[i], cameras[i + 1])
        frame = render(result.splats, camera)
        rows, columns = np.mgrid[camera.height // 2 : camera.height : 4, camera.width // 4 : 3 * camera.width // 4 : 4]
        pixels = torch.from_numpy(np.stack([columns + 0.5, rows + 0.5, np.ones_like(rows)], axis=-1)).float()
        rays = pixels @ torch.linalg.inv(camera.K).T @ camera.T_world_cam[:3, :3].T
        true = -camera.position[2] / rays[..., 2]  # The table is z = 0 to a centimetre; z points down.
        found = frame.depth[rows, columns]
        assert float(((found / true - 1).abs() < 0.1).float().mean()) > 0.8
        assert float(frame.alpha[rows, columns].median()) > 0.95


def test_many_views_keep_their_options() -> None:
    config = FitConfig()
    assert config.for_few_views(8) is config
    assert config.for_few_views(7).rate_means < config.rate_means
