# pyright: basic
"""Signed distance from points to a body's shape, in torch: the twin of what the contact kernels look up.

Exact for planes, boxes and spheres; for meshes from their distance grid, as `DistanceGrid.sample` does it. Beyond the
grid, where only the centres of balls come from, the distance is that to the surface below the grid's nearest point.
Differentiable in the points.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dynamics._world_arrays import BOX, PLANE, SPHERE

if TYPE_CHECKING:
    from torch import Tensor

    from dynamics._world_arrays import WorldArrays

__all__ = ["box_distance", "shape_distance"]

RIDGE = 0.8
"""A gradient of a grid shorter than this has an edge or a ridge near it."""


def shape_distance(arrays: WorldArrays, body: int, points: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Distances to a body.

    Args:
        arrays: Of the world.
        body: Whose shape.
        points: In the body's frame [m], shape (..., 3).

    Returns:
        Signed distances [m], shape (...); unit normals out of the body, shape (..., 3); and whether an edge is so near
        that another normal would do as well, bool, shape (...).
    """
    import torch

    kind = arrays.kind[body]
    if kind == PLANE:
        up = torch.zeros_like(points)
        up[..., 2] = 1.0
        return points[..., 2], up, torch.zeros_like(points[..., 0], dtype=torch.bool)
    if kind == SPHERE:
        length = (points * points).sum(-1).clamp_min(1e-24).sqrt()
        return length - arrays.half[body, 0], points / length[..., None], torch.zeros_like(length, dtype=torch.bool)
    if kind == BOX:
        half = torch.as_tensor(arrays.half[body]).to(points)
        distance, normal = box_distance(points, half)
        beyond = (points.abs() - half).sort(dim=-1, descending=True).values
        return distance, normal, beyond[..., 0] - beyond[..., 1] < arrays.near_edge[body]
    return _grid_distance(arrays, body, points)


def box_distance(points: Tensor, half: Tensor) -> tuple[Tensor, Tensor]:
    """Signed distances (...) and normals (..., 3) of points (..., 3) to a box of those half lengths about 0."""
    import torch

    sign = torch.where(points < 0, -torch.ones_like(points), torch.ones_like(points))
    beyond = points.abs() - half
    out = beyond.clamp_min(0.0)
    length = (out * out).sum(-1)
    outside = length > 0
    length = torch.where(outside, length, torch.ones_like(length)).sqrt()
    deepest = torch.nn.functional.one_hot(beyond.argmax(-1), 3).to(points)
    distance = torch.where(outside, length, beyond.amax(-1))
    return distance, sign * torch.where(outside[..., None], out / length[..., None], deepest)


def _grid_distance(arrays: WorldArrays, body: int, points: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    import torch

    shape = arrays.grid_shape[body]
    origin, spacing = torch.as_tensor(arrays.grid_origin[body]).to(points), float(arrays.grid_spacing[body])
    top = torch.as_tensor(shape - 1).to(points)
    place = (points - origin) / spacing
    inside = torch.minimum(place.clamp_min(0.0), top)
    cell = torch.minimum(inside.floor(), top - 1)
    x, y, z = (inside - cell).unbind(-1)
    i, j, k = cell.long().unbind(-1)
    values = torch.as_tensor(arrays.values)
    start, ny, nz = int(arrays.grid_first[body]), int(shape[1]), int(shape[2])

    def at(a: int, b: int, c: int) -> Tensor:
        return values[start + ((i + a) * ny + j + b) * nz + k + c].to(points)

    low = [[at(a, b, 0) for b in (0, 1)] for a in (0, 1)]
    rise = [[at(a, b, 1) - low[a][b] for b in (0, 1)] for a in (0, 1)]
    along = [[low[a][b] + z * rise[a][b] for b in (0, 1)] for a in (0, 1)]
    y0, y1 = along[0][0] + y * (along[0][1] - along[0][0]), along[1][0] + y * (along[1][1] - along[1][0])
    slope_y = [along[a][1] - along[a][0] for a in (0, 1)]
    slope_z = [rise[a][0] + y * (rise[a][1] - rise[a][0]) for a in (0, 1)]
    distance = y0 + x * (y1 - y0)
    slopes = [y1 - y0, slope_y[0] + x * (slope_y[1] - slope_y[0]), slope_z[0] + x * (slope_z[1] - slope_z[0])]
    gradient = torch.stack(slopes, dim=-1) / spacing
    ridge = gradient.norm(dim=-1) < RIDGE
    normal = gradient / gradient.norm(dim=-1, keepdim=True).clamp_min(1e-9)
    # Beyond the grid: to the foot of the grid's nearest point.
    beyond = (place - inside) * spacing
    outside = (beyond != 0).any(-1)
    away = beyond + normal * distance[..., None]
    far = (away * away).sum(-1)
    far = torch.where(outside, far, torch.ones_like(far)).clamp_min(1e-24).sqrt()
    normal = torch.where(outside[..., None], away / far[..., None], normal)
    return torch.where(outside, far, distance), normal, ridge & ~outside
