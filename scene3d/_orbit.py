"""What the cameras of a capture say about the place: what they look at, and an orbit around it.

Cameras in, numbers or a batched camera out. `scene3d render --cameras turntable` takes its orbit from here.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from scene3d._camera import Camera

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from scene3d._gaussians import Gaussians

__all__ = ["centre_of", "orbit", "orbit_splats", "turntable"]

LARGEST_GAP = math.radians(90)
"""Widest part of the circle without a camera that an orbit passes."""
LEAST_SWING = math.radians(10)
FEWEST_DIRECTIONS = 0.02
"""Smallest mean squared spread of unit vectors that says anything about the direction across them."""


def centre_of(cameras: Sequence[Camera]) -> Tensor:
    """The point (3,) [m], float64, that is nearest to all optical axes (least squares).

    Axes that are all parallel meet nowhere: the point is then ahead of the cameras, as far as they are spread.
    """
    import torch

    T = torch.stack([camera.T_world_cam for camera in cameras]).double()
    position, forward = T[:, :3, 3], T[:, :3, 2]
    across = torch.eye(3, dtype=T.dtype) - forward[:, :, None] * forward[:, None, :]
    normal = across.mean(dim=0)
    if torch.linalg.eigvalsh(normal)[0] > 0.1 * FEWEST_DIRECTIONS:
        return torch.linalg.solve(normal, (across @ position[:, :, None]).mean(dim=0))[:, 0]
    middle = position.mean(dim=0)
    spread = float((position - middle).norm(dim=1).max())
    return middle + (spread if spread > 0 else 1.0) * torch.nn.functional.normalize(forward.mean(dim=0), dim=0)


def turntable(
    cameras: Sequence[Camera], frames: int, *, up: Sequence[float], size: tuple[int, int] | None = None
) -> Camera:
    """An orbit at the mean height and radius of capture cameras around the point that they look at.

    Where the cameras left out more than a quarter of the circle, nobody knows what is to be seen from there: the orbit
    then swings to and fro over the arc that they cover.

    Args:
        cameras: Capture cameras, at least one.
        frames: Number of views on the circle.
        up: World direction that points up, shape (3,).
        size: Width and height [px]; None takes the first camera's.

    Returns:
        A batch of ``frames`` views with the first camera's horizontal field of view.
    """
    import torch

    first = cameras[0]
    width, height = size or (first.width, first.height)
    fov_x = 2 * math.atan(0.5 * first.width / float(first.K[0, 0]))
    axis = torch.nn.functional.normalize(torch.tensor(list(up), dtype=torch.float64), dim=0)
    centre = centre_of(cameras)
    offset = torch.stack([camera.position for camera in cameras]).double() - centre
    height_above = float((offset @ axis).mean())
    across = offset - (offset @ axis)[:, None] * axis
    radius = float(across.norm(dim=1).mean())
    ahead = [float(camera.T_world_cam[:3, 2].double() @ -o) for camera, o in zip(cameras, offset, strict=True)]
    inward = sum(ahead) >= 0  # A room scanned from its middle is seen by looking outwards.
    forward = torch.stack([camera.T_world_cam[:3, 2] for camera in cameras]).double()
    arc = _arc(-forward if inward else forward, axis)
    start = across[0] if float(across[0].norm()) > 0 else None
    return orbit(
        centre,
        radius,
        height_above,
        frames,
        axis=axis,
        size=(width, height),
        fov_x=fov_x,
        start=start if arc is None else arc[0],
        inward=inward,
        swing=None if arc is None else arc[1],
    )


def _arc(directions: Tensor, axis: Tensor) -> tuple[Tensor, float] | None:
    """Middle (3,) and half width [rad] of the arc that directions (C, 3) cover about an axis; None for most of it."""
    import torch

    x = torch.nn.functional.normalize(torch.linalg.cross(axis, axis.roll(1) + axis.new_tensor([0.3, 0.1, 0.2])), dim=0)
    y = torch.linalg.cross(axis, x)
    angles = torch.atan2(directions @ y, directions @ x).sort().values
    gaps = torch.cat([angles[1:], angles[:1] + 2 * math.pi]) - angles
    widest = int(gaps.argmax())
    if float(gaps[widest]) < LARGEST_GAP:
        return None
    half = max(0.5 * (2 * math.pi - float(gaps[widest])), LEAST_SWING)
    middle = float(angles[widest] + 0.5 * gaps[widest]) + math.pi
    return math.cos(middle) * x + math.sin(middle) * y, half


def orbit_splats(splats: Gaussians, frames: int, *, up: Sequence[float], size: tuple[int, int]) -> Camera:
    """An orbit around splats that came without cameras, 25 degrees above their middle and far enough to see them."""
    import torch

    solid = splats.opacities > 0
    means = (splats.means[solid] if bool(solid.any()) else splats.means).double()
    means = means[:: max(1, len(means) // 500_000)]  # quantile() sorts; a sample is as good.
    centre = means.median(dim=0).values
    reach = float((means - centre).norm(dim=1).quantile(0.9))
    fov_x = math.radians(50)
    distance = 1.2 * max(reach, 1e-6) / math.tan(0.5 * fov_x * min(1.0, size[1] / size[0]))
    tilt = math.radians(25)
    axis = torch.nn.functional.normalize(torch.tensor(list(up), dtype=torch.float64), dim=0)
    return orbit(
        centre, distance * math.cos(tilt), distance * math.sin(tilt), frames, axis=axis, size=size, fov_x=fov_x
    )


def orbit(
    centre: Tensor,
    radius: float,
    height: float,
    frames: int,
    *,
    axis: Tensor,
    size: tuple[int, int],
    fov_x: float,
    start: Tensor | None = None,
    inward: bool = True,
    swing: float | None = None,
) -> Camera:
    """Views on a circle, counter-clockwise seen from above.

    Args:
        centre: What the circle goes around [m], shape (3,).
        radius: Radius of the circle [m].
        height: Height of the circle above the centre [m].
        frames: Number of views.
        axis: Unit vector that points up, shape (3,).
        size: Width and height [px].
        fov_x: Horizontal field of view [rad].
        start: Direction in which the first view lies, shape (3,); None for any.
        inward: Look at the centre, or away from it.
        swing: Go to and fro by this much on both sides of ``start`` [rad]; None for the whole circle.
    """
    import torch

    start = (
        axis.new_tensor([1.0, 0.0, 0.0] if abs(float(axis[0])) < 0.9 else [0.0, 1.0, 0.0]) if start is None else start
    )
    x = torch.nn.functional.normalize(start - (start @ axis) * axis, dim=0)
    y = torch.linalg.cross(axis, x)
    radius = max(radius, 1e-6 * max(1.0, abs(height)))
    views = []
    for frame in range(frames):
        turn = 2 * math.pi * frame / frames
        angle = turn if swing is None else swing * math.sin(turn)
        position = centre + radius * (math.cos(angle) * x + math.sin(angle) * y) + height * axis
        target = centre if inward else 2 * position - centre
        T_world_cam = Camera.look_at(position, target, up=axis).float()
        views.append(Camera.from_fov(*size, fov_x, T_world_cam))
    return Camera.stack(views)
