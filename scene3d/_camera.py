"""Pinhole cameras in OpenCV axes (x right, y down, z forward), pixel centres at +0.5.

A `Camera` is what the renderer looks through: an image size, intrinsics in pixels and a pose. It has no distortion;
captures undistort their photos when they load them. Leading dimensions make a batch of views of one size.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    import torch
    from torch import Tensor

__all__ = ["Camera"]


@dataclass(frozen=True)
class Camera:
    """One view, or a batch of views of the same size."""

    width: int
    """Image width [px]."""
    height: int
    """Image height [px]."""
    K: Tensor
    """Intrinsics [px], shape (..., 3, 3)."""
    T_world_cam: Tensor
    """Camera-to-world transform, shape (..., 4, 4); rotation columns are the camera's right, down and forward."""

    @staticmethod
    def from_fov(width: int, height: int, fov_x: float, T_world_cam: Tensor) -> Camera:
        """A camera with square pixels, centred principal point and horizontal field of view ``fov_x`` [rad]."""
        import math

        import torch

        focal = 0.5 * width / math.tan(0.5 * fov_x)
        K = torch.tensor([[focal, 0.0, 0.5 * width], [0.0, focal, 0.5 * height], [0.0, 0.0, 1.0]])
        return Camera(width, height, K, T_world_cam)

    @staticmethod
    def look_at(position: Tensor, target: Tensor, *, up: Tensor | None = None) -> Tensor:
        """``T_world_cam`` (4, 4) of a camera at ``position`` (3,) [m] that looks at ``target`` (3,) [m].

        Args:
            position: Camera centre in the world [m], shape (3,).
            target: Point in the image centre [m], shape (3,).
            up: World direction that points up in the image, shape (3,); +Z by default.
        """
        import torch

        up = position.new_tensor([0.0, 0.0, 1.0]) if up is None else up
        forward = torch.nn.functional.normalize(target - position, dim=0)
        right = torch.cross(forward, up, dim=0)
        if right.square().sum() < 1e-12:  # Looking along up: any right vector does.
            right = torch.cross(forward, forward.roll(1), dim=0)
        right = torch.nn.functional.normalize(right, dim=0)
        down = torch.cross(forward, right, dim=0)
        T_world_cam = torch.eye(4, dtype=position.dtype)
        T_world_cam[:3] = torch.stack([right, down, forward, position], dim=1)
        return T_world_cam

    @staticmethod
    def stack(cameras: Sequence[Camera]) -> Camera:
        """One batched camera (C, ...) of single cameras that share their size."""
        import torch

        sizes = {(camera.width, camera.height) for camera in cameras}
        if len(sizes) != 1:
            raise ValueError(f"Cameras of one batch must share their size, found {sorted(sizes)}.")
        K = torch.stack([camera.K for camera in cameras])
        return Camera(cameras[0].width, cameras[0].height, K, torch.stack([c.T_world_cam for c in cameras]))

    @property
    def batch_shape(self) -> torch.Size:
        """Leading dimensions; empty for a single view."""
        return self.K.shape[:-2]

    @property
    def T_cam_world(self) -> Tensor:
        """World-to-camera transform (..., 4, 4): the ``viewmats`` of gsplat."""
        import torch

        R_cam_world = self.T_world_cam[..., :3, :3].transpose(-1, -2)
        t = -R_cam_world @ self.T_world_cam[..., :3, 3:]
        bottom = t.new_tensor([0.0, 0.0, 0.0, 1.0]).expand(*t.shape[:-2], 1, 4)
        return torch.cat([torch.cat([R_cam_world, t], dim=-1), bottom], dim=-2)

    @property
    def position(self) -> Tensor:
        """Camera centre in the world [m], shape (..., 3)."""
        return self.T_world_cam[..., :3, 3]

    def __getitem__(self, index: int) -> Camera:
        """View ``index`` of a batch."""
        return replace(self, K=self.K[index], T_world_cam=self.T_world_cam[index])

    def resized(self, width: int, height: int) -> Camera:
        """The same view sampled on another pixel grid; the image plane is kept, so pixels may become non-square."""
        scale = self.K.new_tensor([width / self.width, height / self.height, 1.0])
        return replace(self, width=width, height=height, K=self.K * scale[:, None])

    def fitted(self, longest_side: int) -> Camera:
        """The same view with its longest side at most ``longest_side`` [px]; never enlarged."""
        scale = min(1.0, longest_side / max(self.width, self.height))
        return self.resized(max(1, round(self.width * scale)), max(1, round(self.height * scale)))

    def to(self, device: torch.device | str | None = None, dtype: torch.dtype | None = None) -> Camera:
        """The same camera on another device or in another precision."""
        return replace(self, K=self.K.to(device, dtype), T_world_cam=self.T_world_cam.to(device, dtype))
