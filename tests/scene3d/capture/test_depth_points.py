"""Fused sensor depth: points on the surfaces that were measured, evenly, without what other views saw through."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from scene3d import Camera
from scene3d.capture import DepthFile, View
from scene3d.capture._depth_points import DepthView, depth_points, fused_surface
from scene3d.capture._geometry import Poses, project
from scene3d.capture._sensor_depth import reduced_depth, without_edges


def looking_down(x: float, height: float, fleck: float = 0.0) -> DepthView:
    """A camera above the plane z = 0, whose left half is red; with a fleck of wrong depth in the middle."""
    eye = torch.tensor([x, 0.01, height])
    camera = Camera.from_fov(80, 60, 1.0, Camera.look_at(eye, torch.tensor([x, 0.0, 0.0])))
    depth = np.full((60, 80), np.hypot(height, 0.01), np.float32)
    if fleck:
        depth[28:32, 38:42] = fleck
    rgb = np.zeros((60, 80, 3), np.float32)
    rgb[..., 0] = 1.0
    return DepthView(camera, rgb, depth)


def test_points_lie_on_the_plane_and_face_the_camera() -> None:
    surface = fused_surface([looking_down(0.0, 2.0)], most=100_000)
    assert len(surface.points) == 58 * 78, "all pixels that have neighbours"
    assert np.abs(surface.points[:, 2]).max() < 0.02
    assert (surface.normals[:, 2] > 0.99).all()
    assert np.allclose(surface.colors, [1, 0, 0])
    pixel = 2.0 / float(looking_down(0.0, 2.0).camera.K[0, 0])
    assert float(surface.size.min()) == pytest.approx(pixel, rel=1e-3), "in the middle"
    assert (surface.size < 1.2 * pixel).all()


@pytest.mark.parametrize("most", [50, 400, 3000])
def test_thinning_is_even_and_keeps_the_nearest_view(most: int) -> None:
    """The near camera sees the middle with finer pixels; where both see, its points stay."""
    surface = fused_surface([looking_down(0.0, 1.0), looking_down(0.0, 2.0)], most=most)
    assert 0.6 * most < len(surface.points) <= most
    middle = np.abs(surface.points[:, :2]).max(axis=1) < 0.3
    far = surface.size.max()
    assert (surface.size[middle] < 0.6 * far).all()
    # Evenly: a quarter of the area has about a quarter of the points.
    side = np.abs(surface.points[:, 0]) < 0.5 * np.abs(surface.points[:, 0]).max()
    assert 0.4 < side.mean() < 0.6


def test_what_other_views_see_through_is_dropped() -> None:
    good = [looking_down(x, 2.0) for x in (-0.2, 0.2)]
    alone = fused_surface([looking_down(0.0, 2.0, fleck=1.0)], most=100_000)
    assert (alone.points[:, 2] > 0.5).any()
    together = fused_surface([looking_down(0.0, 2.0, fleck=1.0), *good], most=100_000)
    assert np.abs(together.points[:, 2]).max() < 0.05


def test_nothing_known_gives_nothing() -> None:
    assert len(fused_surface([], most=100).points) == 0
    assert len(depth_points([]).points) == 0


def test_edges_are_left_out_and_slopes_are_not() -> None:
    step = np.full((40, 60), 1.0, np.float32)
    step[:, 30:] = 1.1
    found = without_edges(step)
    assert (found[:, 29:31] == 0).all() and (found[:, :27] == 1.0).all() and (found[:, 33:] > 1.0).all()
    slope = (1.0 * 1.015 ** np.arange(60, dtype=np.float32))[None].repeat(40, axis=0)
    assert (without_edges(slope) == slope).all()
    hole = np.full((480, 640), 1.0, np.float32)
    hole[:, 300:303], hole[:, 303:] = 0.0, 2.0
    assert (without_edges(hole)[:, 299:304] == 0).all(), "also across a thin hole"


def test_reduction_invents_nothing() -> None:
    depth = np.zeros((8, 8), np.float32)
    depth[:4, :4] = 1.0
    depth[4:, 4:6] = 3.0
    depth[4:, :2] = 2.0
    depth[4:, 2:4] = 4.0
    assert np.array_equal(reduced_depth(depth, 2, 2), [[1.0, 0.0], [0.0, 3.0]])


def test_redkitchen(needs: Callable[[str], Path]) -> None:
    """Real sensor: the cloud is a room, and frames that were left out see it where their own depth says."""
    folder = needs("redkitchen")
    K = torch.tensor([[585.0, 0, 320], [0, 585.0, 240], [0, 0, 1]])
    views = []
    for path in sorted(folder.glob("frame-*.color.jpg"))[::6]:
        stem = str(path).removesuffix(".color.jpg")
        pose = torch.from_numpy(np.loadtxt(stem + ".pose.txt"))
        depth = DepthFile(Path(stem + ".depth.png"), 1e-3, 0.3, 6.0)
        views.append(View(path.name, path, Camera(640, 480, K.double(), pose), depth=depth))
    cloud = depth_points(views[1:], most=20_000)
    again = depth_points(views[1:], most=20_000)
    assert np.array_equal(cloud.points, again.points)
    assert 12_000 < len(cloud.points) <= 20_000
    assert cloud.colors.std() > 30
    photo = views[0].load(160)
    assert photo.depth is not None
    pixels, z = project(Poses.of([photo.camera]), cloud.points, 0)
    inside = (z > 0) & (pixels >= 0).all(axis=1) & (pixels < [160, 120]).all(axis=1)
    column, row = pixels[inside].astype(int).T
    measured, z = photo.depth[row, column], z[inside]
    error = np.abs(z - measured)[measured > 0]
    assert len(error) > 1000
    assert np.median(error) < 0.05
