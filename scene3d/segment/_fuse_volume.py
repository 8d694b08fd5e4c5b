"""What all views say about the space around objects: two fields on a grid for each of them.

A view is rendered once, with label and depth of every object as feature channels, and then asked at the voxels of each
object's grid. `Volume.outline` is how deep a voxel lies inside the object's outlines, its silhouettes, in the view that
admits least (a visual hull [Laurentini 1994], but with subvoxel distances and one contradiction to spare);
`Volume.depth` is how deep it lies behind the surface that was seen, averaged over views (a truncated signed distance
[Curless and Levoy 1996]). Outlines are sharp where splats are fuzzy, depth knows the hollows that outlines miss;
`_carve.py` joins the two. Fine voxels are looked at near surfaces only.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from scene3d.segment._collider_images import ObjectImages, object_images, observe_objects

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from torch import Tensor

    from scene3d._camera import Camera
    from scene3d._gaussians import Gaussians
    from scene3d.segment._collider_grid import Grid

__all__ = ["Volume", "fuse_volumes"]

FAR = 1e6
"""Inside of everything."""
NEAR = 2.5
"""Voxels this close to a surface are looked at in full [cells]."""
UNSEEN = 1e-3
"""Weight below which nothing was seen."""
BAND = 4.0
"""Signed distances are cut at this many cells."""
SPARE_FROM = 12
"""From this many views on, one of them may contradict an outline."""
MOST_VIEWS = 48
COARSE_VIEWS = 24
"""Views that say roughly where the surface is."""
HAZE = 5.0
"""Haze that stands for a surface is at most this many cells deep, or cells grow: finer ones would follow its noise."""
THIN = 0.1
"""Quantile of an object's pixels at which the depth of its haze is taken. A thin surface with gaps, through which its
back shows, is deep in many pixels as well, but not in those; haze is deep in all of them."""
AHEAD = 0.45
"""Deviations of depth by which haze begins further ahead than a surface of splats would (`FRONT`): with even haze, into
which less and less can be seen, that is one deviation before the mean. Counts in full from twice as large cells on."""
BLUR, MOST_BLUR = 1.5, 2.0
"""Such an object's surface is smoothed by this many cells for each time that they had to grow by, up to a limit."""
CHUNK = 16384
"""Points that are looked at together."""


@dataclass(frozen=True, eq=False)
class Volume:
    """What is known about each voxel of a grid; shapes (nx, ny, nz)."""

    grid: Grid
    """Where the voxels are."""
    outline: NDArray[np.float32]
    """Depth inside the outlines, at most `BAND` cells; negative outside [scene units]."""
    depth: NDArray[np.float32]
    """Mean depth behind the seen surface, cut at `BAND` cells either way, which it is where all views are blocked."""
    weight: NDArray[np.float32]
    """Number of views behind `depth`, each counted by how sure it is."""
    views: int
    """How many views show the object."""
    blur: float = 0.0
    """How far the surface is to be smoothed, because the object is hardly more than haze [cells]."""


def fuse_volumes(
    splats: Gaussians, of_splat: Tensor, grids: Sequence[Grid | None], cameras: Sequence[Camera]
) -> list[Volume | None]:
    """The volumes of all objects from all views, each view rendered once.

    Args:
        splats: N splats in the world's frame.
        of_splat: Label of each, 0 or less the background, int64, shape (N,).
        grids: Grid of object i, which has label i + 1; None leaves it out.
        cameras: Single views that saw the scene; at most `MOST_VIEWS` of them, evenly spread, are rendered.

    Returns:
        For each grid its volume; None where the grid was None or no view shows the object.
    """
    images: list[list[ObjectImages]] = [[] for _ in grids]
    for camera in _spread(cameras):
        seen = observe_objects(splats, of_splat, len(grids), camera)
        for index, grid in enumerate(grids):
            part = None if grid is None else object_images(seen, index + 1, grid)
            if part is not None:
                images[index].append(part)
    return [None if grid is None or not of else _volume(grid, of) for grid, of in zip(grids, images, strict=True)]


def _volume(grid: Grid, images: Sequence[ObjectImages]) -> Volume:
    """All of the grid at cells twice as large, then what lies near a surface at its own."""
    from scipy.ndimage import map_coordinates

    haze = float(np.median([np.nanquantile(image.spread, THIN) for image in images]))
    times = max(1.0, haze / (HAZE * grid.cell))
    if times > 1:
        grid = grid.coarser(times)
        images = [_ahead(image, AHEAD * min(times - 1, 1.0)) for image in images]
    coarse = grid.coarser()
    some = images[:: max(1, len(images) // COARSE_VIEWS)]
    fields = [field.reshape(coarse.shape) for field in _fields(some, coarse.centres().reshape(-1, 3), grid.cell)]
    places = np.stack(np.meshgrid(*(0.5 * np.arange(n) - 0.25 for n in grid.shape), indexing="ij"))
    outline, depth, weight = (map_coordinates(field, places, order=1, mode="nearest") for field in fields)
    near = (np.abs(outline) < NEAR) | ((np.abs(depth) < NEAR) & (outline > -NEAR))
    fine = _fields(images, grid.centres()[near], grid.cell)
    for field, values in zip((outline, depth, weight), fine, strict=True):
        field[near] = values
    outline, depth, weight = (np.asarray(field, dtype=np.float32) for field in (outline, depth, weight))
    return Volume(grid, outline * grid.cell, depth * grid.cell, weight, len(images), min(BLUR * (times - 1), MOST_BLUR))


def _ahead(image: ObjectImages, deviations: float) -> ObjectImages:
    """The same view with the surface nearer by so many deviations of its depth."""
    outline, surface, sure = image.fields
    return replace(image, fields=np.stack([outline, surface - deviations * image.spread, sure]).astype(np.float32))


def _spread(cameras: Sequence[Camera]) -> list[Camera]:
    """At most `MOST_VIEWS` cameras, in an order in which the first few look from everywhere."""
    chosen = np.unique(np.linspace(0, len(cameras) - 1, min(len(cameras), MOST_VIEWS)).round().astype(int))
    order = np.argsort((np.arange(len(chosen)) * 0.6180339887498949) % 1.0, kind="stable")
    return [cameras[index] for index in chosen[order]]


def _fields(
    images: Sequence[ObjectImages], points: NDArray[np.float64], cell: float
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
    """Outline and depth [cells] and weight at points (M, 3) of the world, each (M,)."""
    import torch

    looks = [_Look(image, cell) for image in images]
    where = torch.from_numpy(np.ascontiguousarray(points.T, dtype=np.float32))
    # Few points at a time stay in the processor's cache through all views, and are too few for threads of torch's own.
    with ThreadPoolExecutor() as threads:
        parts = list(threads.map(lambda part: _fields_of(looks, part.contiguous(), cell), where.split(CHUNK, dim=1)))
    outline, depth, weight = (torch.cat(field).numpy() for field in zip(*parts, strict=True)) if parts else ([], [], [])
    return np.asarray(outline, np.float32), np.asarray(depth, np.float32), np.asarray(weight, np.float32)


def _fields_of(looks: Sequence[_Look], points: Tensor, cell: float) -> tuple[Tensor, Tensor, Tensor]:
    """`_fields` of a few points (3, M)."""
    import torch

    count = points.shape[1]
    outline, depth, weight = torch.full((count,), -BAND), torch.full((count,), BAND), torch.zeros(count)
    alive = torch.arange(count)
    first, second = torch.full((count,), BAND), torch.full((count,), BAND)
    total, weights = torch.zeros(count), torch.zeros(count)
    for index, look in enumerate(looks):
        inside, behind, sure = look.ask(points)
        inside, behind = inside / cell, behind / cell
        second = second.minimum(first.maximum(inside))
        first = first.minimum(inside)
        sure = sure * (behind < BAND)
        total += sure * behind.clamp(-BAND, BAND)
        weights += sure
        if index % 4 == 2:  # What two views put well outside stays outside.
            keep = second > -BAND
            if int(keep.sum()) < 0.8 * len(keep):
                points, alive, first, second = points[:, keep], alive[keep], first[keep], second[keep]
                total, weights = total[keep], weights[keep]
                if not len(alive):
                    break
    outline[alive] = (second if len(looks) >= SPARE_FROM else first).clamp(-BAND, BAND)
    # What no view looks at lies behind everything.
    depth[alive] = torch.where(weights > UNSEEN, total / weights.clamp_min(UNSEEN), torch.full_like(total, BAND))
    weight[alive] = weights
    return outline, depth, weight


class _Look:
    """One view, ready to be asked at many points."""

    def __init__(self, images: ObjectImages, cell: float) -> None:
        import torch

        camera = images.camera
        K, T = camera.K.double(), torch.linalg.inv(camera.T_world_cam.double())
        height, width = images.fields.shape[1:]
        # From the world to grid_sample's coordinates, -1 to 1 over the part of the image.
        scale, left, top = np.array([2 / width, 2 / height]), images.left, images.top
        to_unit = torch.tensor([[scale[0], 0, -scale[0] * left - 1], [0, scale[1], -scale[1] * top - 1]]).double()
        project = torch.cat([to_unit @ K @ T[:3], T[2:3]])
        self.project: list[list[float]] = project.tolist()
        self.focal = float(K[0, 0])
        fields = images.fields.copy()
        # A pixel that mixes front and back is worth little.
        fields[2] /= 1 + (np.nan_to_num(images.spread) / (4 * cell)) ** 2
        self.fields = torch.from_numpy(fields)[None]

    def ask(self, points: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Depth inside the outline, depth behind the surface, both large where not known, and the latter's weight.

        Of points (3, M), each (M,), in scene units.
        """
        import torch

        # Row by row: a product of matrices this small is slower than its parts.
        x, y, z = (points[0] * a + points[1] * b + points[2] * c + shift for a, b, c, shift in self.project)
        on = (z > 1e-6) & (x.abs() < z) & (y.abs() < z)
        at = torch.stack([x, y], dim=-1) / z.clamp_min(1e-6)[:, None]
        sampled = torch.nn.functional.grid_sample(
            self.fields, at[None, None], padding_mode="border", align_corners=False
        )
        inside, surface, weight = sampled[0, :, 0]
        inside = (inside * (z / self.focal)).nan_to_num_(FAR).masked_fill_(~on, FAR)
        behind = (z - surface).nan_to_num_(FAR).masked_fill_(~on, FAR)
        return inside, behind, weight
