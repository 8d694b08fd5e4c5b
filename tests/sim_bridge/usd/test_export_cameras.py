"""Cameras on the stage see what ours see: points projected through USD's own frustum land on the same pixels."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from pxr import Gf, Usd, UsdGeom

from scene3d import Camera, Scene
from sim_bridge.usd import export_usd


def pixels_of_usd(prim: Usd.Prim, points: np.ndarray) -> np.ndarray:
    """Where the frustum of a camera prim puts points, by the size that the prim says it has."""
    kept = prim.GetCustomDataByKey("scene3d")
    frustum = UsdGeom.Camera(prim).GetCamera(Usd.TimeCode.Default()).frustum
    clip = frustum.ComputeViewMatrix() * frustum.ComputeProjectionMatrix()
    ndc = np.array([clip.Transform(Gf.Vec3d(*point)) for point in points.tolist()])
    return np.column_stack([(ndc[:, 0] + 1) / 2 * kept["width"], (1 - ndc[:, 1]) / 2 * kept["height"]])


def pixels_of_ours(camera: Camera, points: np.ndarray) -> np.ndarray:
    T = camera.T_cam_world.double().numpy()
    seen = (points @ T[:3, :3].T + T[:3, 3]) @ camera.K.double().numpy().T
    return seen[:, :2] / seen[:, 2:]


def test_points_land_on_the_same_pixels(tiny_scene: Scene, tmp_path: Path) -> None:
    stage = Usd.Stage.Open(str(export_usd(tiny_scene, tmp_path / "tiny.usdc").path))
    points = torch.empty(40, 3).uniform_(-0.3, 0.3).double().numpy()

    names = ["view_0000", "view_0001", "view_0002"]
    assert [prim.GetName() for prim in stage.GetPrimAtPath("/World/Cameras").GetChildren()] == names
    for name, view in zip(names, tiny_scene.views, strict=True):
        prim = stage.GetPrimAtPath(f"/World/Cameras/{name}")
        ours = pixels_of_ours(view.camera, points)
        assert np.ptp(ours, axis=0).min() > 10
        assert pixels_of_usd(prim, points) == pytest.approx(ours, abs=1e-3)
        assert prim.GetCustomDataByKey("scene3d")["name"] == view.name
        assert prim.GetCustomDataByKey("scene3d")["held_out"] is view.held_out


def test_every_view_of_the_demo_scene(tabletop_loaded: Scene, tmp_path: Path) -> None:
    bare = Scene(tabletop_loaded.splats[:10], tabletop_loaded.views, metric=True)

    stage = Usd.Stage.Open(str(export_usd(bare, tmp_path / "views.usdc").path))

    points = torch.empty(5, 3).uniform_(-0.2, 0.2).double().numpy()
    prims = stage.GetPrimAtPath("/World/Cameras").GetChildren()
    for prim, view in zip(prims, tabletop_loaded.views, strict=True):
        assert pixels_of_usd(prim, points) == pytest.approx(pixels_of_ours(view.camera, points), abs=2e-3)
