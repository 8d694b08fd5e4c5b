"""Depth of a few photos from far apart: exact truth of a textured table with a box, and a real table with a rope."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from scene3d import Camera
from scene3d.capture import View
from scene3d.capture._geometry import Poses, unproject
from scene3d.capture._plane_sweep import BEHIND, SURFACE, SweepView, Swept, sweep
from scene3d.capture._support_plane import WorldPlane, pixel_grid

Needs = Callable[[str], Path]
WIDTH, HEIGHT = 160, 120
TABLE, BOX, TALL = 0.9, 0.15, 0.12
"""Half the side of the table, half the side of the box on it, and the height of the box [m]."""
GAINS = np.array([[1.0, 1.0, 1.0], [0.8, 0.85, 0.9], [1.1, 1.0, 0.95], [0.9, 0.95, 1.1]])
"""Each camera has its own exposure and white balance."""


def camera_at(angle: float) -> Camera:
    """1 m from the middle, 0.7 m above the table, looking at the middle of it."""
    position = np.array([np.cos(angle), np.sin(angle), 0.7])
    forward = -position / np.linalg.norm(position)
    right = np.cross(forward, [0, 0, 1])
    right /= np.linalg.norm(right)
    pose = np.eye(4)
    pose[:3, :3], pose[:3, 3] = np.stack([right, np.cross(forward, right), forward], axis=1), position
    K = torch.tensor([[120.0, 0, WIDTH / 2], [0, 120, HEIGHT / 2], [0, 0, 1]], dtype=torch.float64)
    return Camera(WIDTH, HEIGHT, K, torch.from_numpy(pose))


def traced(camera: Camera, gain: NDArray, textures: NDArray) -> tuple[SweepView, NDArray[np.float64]]:
    """A photo and its true depth (H, W); infinite beside the table."""
    poses = Poses.of([camera])
    origin, rays = poses.centres[0], unproject(poses, pixel_grid(camera), 0)
    depth = np.full((HEIGHT, WIDTH), np.inf)
    # Beside the table every camera sees something else, as cameras that face each other do.
    rgb = np.kron(np.random.default_rng(int(1e3 * gain.sum())).random((12, 16, 3)), np.ones((10, 10, 1)))
    faces = [(2, 0.0, (-TABLE, -TABLE, -1), (TABLE, TABLE, 1)), (2, TALL, (-BOX, -BOX, 0), (BOX, BOX, 1))]
    faces += [(axis, side * BOX, (-BOX, -BOX, 0), (BOX, BOX, TALL)) for axis in (0, 1) for side in (-1, 1)]
    for number, (axis, at, low, high) in enumerate(faces):
        z = (at - origin[axis]) / np.where(np.abs(rays[..., axis]) < 1e-9, 1e-9, rays[..., axis])
        hit = origin + rays * z[..., None]
        others = [other for other in range(3) if other != axis]
        inside = np.all([(hit[..., o] >= low[o]) & (hit[..., o] <= high[o]) for o in others], axis=0)
        nearer = inside & (z > 0) & (z < depth)
        u, v = (np.floor((hit[..., o] + TABLE) / (2 * TABLE) * 127).clip(0, 127).astype(int) for o in others)
        depth[nearer] = z[nearer]
        rgb[nearer] = textures[number][u[nearer], v[nearer]]
    return SweepView(
        camera, np.asarray((rgb * gain).clip(0, 1), dtype=np.float32), np.ones(depth.shape, dtype=bool)
    ), depth


def textures() -> NDArray[np.float64]:
    """Brown wood with grain for the table; the box is blue. Shape (6, 128, 128, 3)."""
    rng = np.random.default_rng(0)
    grain = np.kron(rng.random((6, 32, 32)), np.ones((4, 4)))[..., None]
    colour = np.array([[0.6, 0.35, 0.2]] + [[0.25, 0.35, 0.7]] * 5)[:, None, None]
    return np.asarray(colour * (0.75 + 0.5 * grain), dtype=np.float64)


@pytest.fixture(scope="module")
def table() -> tuple[list[SweepView], list[NDArray[np.float64]], list[Swept], WorldPlane | None]:
    """Four photos, their true depths, what was found, and the plane."""
    pairs = [traced(camera_at(0.3 + 0.5 * np.pi * i), GAINS[i], textures()) for i in range(4)]
    views, truth = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
    found, plane = sweep(views)
    return views, truth, found, plane


def test_swept_depth_is_true(table: tuple) -> None:
    _, truth, found, plane = table
    assert plane is not None
    assert plane.normal @ [0, 0, 1] > np.cos(np.radians(1.0))
    assert plane.offset == pytest.approx(0, abs=0.01)
    for one, true in zip(found, truth, strict=True):
        surface = (one.kind == SURFACE) & np.isfinite(true)
        assert surface.sum() > 0.6 * np.isfinite(true).sum()
        error = np.abs(one.depth[surface] / true[surface] - 1)
        assert np.median(error) < 0.03
        assert np.quantile(error, 0.9) < 0.1


def test_what_is_beside_the_table_stays_behind(table: tuple) -> None:
    """Everywhere outside the cameras, where it hides nothing."""
    views, truth, found, _ = table
    for view, one, true in zip(views, found, truth, strict=True):
        beside = ~np.isfinite(true)
        assert (one.kind == BEHIND)[beside].mean() > 0.8
        poses = Poses.of([view.camera])
        points = poses.centres[0] + unproject(poses, pixel_grid(view.camera), 0) * one.depth[..., None]
        assert np.linalg.norm(points[one.kind == BEHIND], axis=-1).min() > np.linalg.norm(poses.centres[0])
        assert np.isfinite(one.depth).all() and (one.depth > 0).all()


def test_the_box_is_nearer_than_the_table(table: tuple) -> None:
    """Its sides are seen by too few to be measured, but it must not be painted on the table."""
    views, truth, found, _ = table
    for view, one, true in zip(views, found, truth, strict=True):
        z = -view.camera.position.numpy()[2] / unproject(Poses.of([view.camera]), pixel_grid(view.camera), 0)[..., 2]
        box = np.isfinite(true) & (true < 0.99 * z)
        assert np.median(one.depth[box] / z[box]) < 0.99


def test_photos_that_share_nothing_have_no_plane() -> None:
    rng = np.random.default_rng(1)
    views = [
        SweepView(
            camera_at(0.5 * np.pi * i),
            rng.random((HEIGHT, WIDTH, 3), dtype=np.float32),
            np.ones((HEIGHT, WIDTH), dtype=bool),
        )
        for i in range(4)
    ]
    found, plane = sweep(views)
    assert plane is None
    assert np.mean([(one.kind == BEHIND).mean() for one in found]) > 0.95


def rope_views(folder: Path) -> list[SweepView]:
    """The four photos of a rope on a table, 200 pixels wide."""
    K, R, t = (np.load(folder / f"{name}_list.npy") for name in ("intr", "R", "t"))
    views = []
    for i in range(4):
        pose = np.eye(4)
        pose[:3, :3], pose[:3, 3] = R[i], t[i].ravel()
        camera = Camera(640, 480, torch.from_numpy(K[i]).double(), torch.from_numpy(pose))
        photo = View(f"img_{i}.png", folder / f"img_{i}.png", camera).load(200)
        views.append(SweepView(photo.camera, photo.rgb.astype(np.float32) / 255.0, photo.valid))
    return views


def lowest(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """The lowest point of each cell of 3 cm; down is +z in this capture."""
    cells = np.floor(points[:, :2] / 0.03).astype(int)
    order = np.lexsort((-points[:, 2], cells[:, 1], cells[:, 0]))
    first = np.ones(len(order), dtype=bool)
    first[1:] = (cells[order][1:] != cells[order][:-1]).any(axis=1)
    return points[order[first]]


def test_a_real_table(needs: Needs) -> None:
    """Most of the photos' lower half is table; a depth camera's points of the rope say where it lies."""
    folder = needs("rope4")
    views = rope_views(folder)
    found, plane = sweep(views)
    assert plane is not None
    import open3d as o3d

    under = lowest(np.asarray(o3d.io.read_point_cloud(folder / "pcd.ply").points))
    away = under @ plane.normal - plane.offset
    assert (np.abs(away) < 0.02).mean() > 0.8
    heights = []
    for view, one in zip(views, found, strict=True):
        poses = Poses.of([view.camera])
        points = poses.centres[0] + unproject(poses, pixel_grid(view.camera), 0) * one.depth[..., None]
        assert (one.kind == SURFACE).mean() > 0.35
        heights.append((points @ plane.normal - plane.offset)[one.kind == SURFACE])
    assert (np.abs(np.concatenate(heights)) < 0.02).mean() > 0.9
