"""Camera and body poses to what the kernels take: one transform body -> camera per body.

Kept in torch and outside the kernels, so that gradients of camera and body poses need no kernel of their own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

    from scene3d._camera import Camera

__all__ = ["body_to_camera"]


def body_to_camera(camera: Camera, T_world_body: Tensor | None) -> tuple[Tensor, Tensor]:
    """Rotations (nb, 3, 3) and translations (nb, 3) that map body to camera coordinates.

    Args:
        camera: A single view.
        T_world_body: Body poses (nb, 7); None for one body at the world's origin.
    """
    from dynamics.poses import rotation_from_wxyz

    R_cam_world = camera.T_world_cam[:3, :3].T
    position = camera.T_world_cam[:3, 3]
    if T_world_body is None:
        return R_cam_world[None], -(R_cam_world @ position)[None]
    T_world_body = T_world_body.to(R_cam_world)
    R = R_cam_world @ rotation_from_wxyz(T_world_body[:, 3:])
    return R, (T_world_body[:, :3] - position) @ R_cam_world.T
