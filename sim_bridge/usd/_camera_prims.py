"""Cameras as prims: OpenCV pinholes in pixels -> UsdGeom.Camera, which looks along -z with y up.

Only ratios of focal length and apertures matter to a picture: the aperture is that of a 36 mm wide frame, and fx, fy,
cx and cy follow from it, non-square pixels and shifted principal points included. USD has no place for the size in
pixels; it stays in `customData`.
"""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

import numpy as np

from sim_bridge.usd._prim_names import prim_names
from sim_bridge.usd._prims import describe, set_pose

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from scene3d import Camera, SceneView

__all__ = ["write_cameras"]

FOLDER = "/World/Cameras"
FRAME = 36.0
"""Width of the frame; apertures and focal lengths share its unit."""
NEAR, FAR = 0.01, 1000.0
"""What is drawn [m]."""
FLIP = np.diag([1.0, -1.0, -1.0, 1.0])
"""OpenCV's axes in those of USD."""


def write_cameras(stage: Any, views: Sequence[SceneView], T_stage_world: NDArray[np.float64]) -> None:
    """One camera for each view.

    Args:
        stage: `Usd.Stage`.
        views: What took the photos.
        T_stage_world: From the scene's world to the stage's, shape (4, 4).
    """
    from pxr import UsdGeom

    UsdGeom.Scope.Define(stage, FOLDER)
    names = prim_names([PurePosixPath(view.name).stem for view in views], otherwise="view")
    for view, name in zip(views, names, strict=True):
        prim = _written(stage, f"{FOLDER}/{name}", view.camera, T_stage_world)
        describe(prim, view.name, width=view.camera.width, height=view.camera.height, held_out=view.held_out)


def _written(stage: Any, path: str, camera: Camera, T_stage_world: NDArray[np.float64]) -> Any:
    import torch
    from pxr import Gf, UsdGeom

    from dynamics.poses import pose_from_matrix

    K = camera.K.detach().double().cpu().numpy()
    prim = UsdGeom.Camera.Define(stage, path)
    width, height = FRAME, FRAME * (K[0, 0] * camera.height) / (K[1, 1] * camera.width)
    prim.CreateProjectionAttr(UsdGeom.Tokens.perspective)
    prim.CreateFocalLengthAttr(FRAME * K[0, 0] / camera.width)
    prim.CreateHorizontalApertureAttr(width)
    prim.CreateVerticalApertureAttr(height)
    # The window moves to the left and up where the principal point lies right of and below the middle.
    prim.CreateHorizontalApertureOffsetAttr((0.5 - K[0, 2] / camera.width) * width)
    prim.CreateVerticalApertureOffsetAttr((K[1, 2] / camera.height - 0.5) * height)
    prim.CreateClippingRangeAttr(Gf.Vec2f(NEAR, FAR))
    T_world_cam = camera.T_world_cam.detach().double().cpu().numpy()
    T = torch.from_numpy(np.ascontiguousarray(T_stage_world @ T_world_cam @ FLIP))
    set_pose(prim.GetPrim(), pose_from_matrix(T).numpy())
    return prim.GetPrim()
