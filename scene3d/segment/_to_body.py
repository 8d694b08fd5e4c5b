"""From labels to bodies: a collider for each object, and a body in a frame of its own.

`find_colliders` works on all objects of a scene at once, because each view is rendered once for all: grid around the
object's splats, what the views say of its voxels (`_fuse_volume.py`), one signed field (`_carve.py`), a closed mesh
(`_collider_mesh.py`). `body_of` gives a collider a frame (`_body_frame.py`), a material and with it mass and inertia.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from scene3d._errors import SegmentError
from scene3d.segment._body_frame import body_frame, support_under
from scene3d.segment._carve import carve
from scene3d.segment._collider_grid import Grid, tight_turn, upright_axes
from scene3d.segment._collider_mesh import mesh_of_field
from scene3d.segment._fuse_volume import Volume, fuse_volumes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from torch import Tensor

    from dynamics import Body, Material, TriangleMesh
    from scene3d._camera import Camera
    from scene3d._gaussians import Gaussians
    from scene3d._support import SupportPlane

__all__ = ["Collider", "body_of", "find_colliders"]

FEWEST_SPLATS = 50
SOLID = 0.3
"""Opacity from which a splat tells where the object is."""
TRIM = 0.005
"""Share of the splats that each end of a side may leave out of the box."""
STRAY = 0.25
"""Splats behind a gap that is this share of the object's core are strays."""
MARGIN = 0.1
"""The grid reaches this far beyond the box, as a share of its longest side."""
ALONG, ACROSS = 72, 9
"""Cells along the longest and across the shortest side."""
CONCAVITY = 0.08
"""Convex parts may miss the collider by this share of its size: finer ones would follow its noise."""
SHOWN = 0.5
"""A face was seen when views of at least this weight looked at it."""


@dataclass(frozen=True, eq=False)
class Collider:
    """The shape of one object where the photos saw it."""

    mesh: TriangleMesh
    """Closed, outward, in the world [scene units]."""
    unseen: NDArray[np.bool_]
    """Faces that no view saw, shape (F,)."""
    support: SupportPlane | None
    """What it stands on."""
    up: NDArray[np.float64]
    """World direction that points up, shape (3,)."""
    views: int
    """How many views show it."""


def find_colliders(
    splats: Gaussians,
    of_splat: Tensor,
    names: Sequence[str],
    cameras: Sequence[Camera],
    supports: Sequence[SupportPlane],
    up: Sequence[float] | NDArray = (0.0, 0.0, 1.0),
) -> list[Collider | SegmentError]:
    """Colliders of all objects.

    Args:
        splats: N splats in the world's frame.
        of_splat: Label of each: object i has i + 1, the background 0 or less, int64, shape (N,).
        names: Names of the objects, for messages.
        cameras: Single views that saw the scene, of any size.
        supports: What things may stand on.
        up: World direction that points up, shape (3,).

    Returns:
        For each object its collider, or the error that tells why it has none: too few splats, no view that shows it,
        or no volume.
    """
    direction = np.asarray(up, dtype=np.float64)
    found: list[tuple[Grid, SupportPlane | None] | SegmentError] = []
    for index, name in enumerate(names):
        try:
            found.append(_place(splats, of_splat == index + 1, name, cameras, tuple(supports), direction))
        except SegmentError as error:
            found.append(error)
    grids = [None if isinstance(place, SegmentError) else place[0] for place in found]
    volumes = fuse_volumes(splats, of_splat, grids, cameras)
    colliders: list[Collider | SegmentError] = []
    for name, place, volume in zip(names, found, volumes, strict=True):
        try:
            colliders.append(place if isinstance(place, SegmentError) else _collider(name, volume, place[1], direction))
        except SegmentError as error:
            colliders.append(error)
    return colliders


def body_of(
    collider: Collider, name: str, material: Material, *, mass: float | None = None, parts: bool = True
) -> tuple[Body, tuple[float, float, float, float, float, float, float]]:
    """A body of uniform density in a frame of its own, and that frame's pose.

    Args:
        collider: As from `find_colliders`.
        name: Unique within the scene.
        material: Density and how surfaces touch.
        mass: [kg]; None takes density times volume.
        parts: Whether to make convex parts.

    Returns:
        The body, faces in the order of the collider's; T_world_body, xyz [scene units] + wxyz.

    Raises:
        BodyError: The values make no physical sense.
    """
    import torch

    from dynamics import body_from_mesh, mass_properties
    from dynamics._convex_parts import convex_parts
    from dynamics.poses import wxyz_from_rotation

    com = mass_properties(collider.mesh, 1.0).com
    rotation, origin = body_frame(collider.mesh, com, collider.up, collider.support)
    mesh = collider.mesh.moved(rotation.T, -rotation.T @ origin)
    body = body_from_mesh(
        name, mesh, material, mass=mass, parts=convex_parts(mesh, threshold=CONCAVITY) if parts else ()
    )
    quat = wxyz_from_rotation(torch.from_numpy(rotation)).tolist()
    x, y, z = (float(value) for value in origin)
    return body, (x, y, z, *quat)


def _place(
    splats: Gaussians,
    mine: Tensor,
    name: str,
    cameras: Sequence[Camera],
    supports: tuple[SupportPlane, ...],
    up: NDArray[np.float64],
) -> tuple[Grid, SupportPlane | None]:
    """The grid around an object's splats, and what it stands on."""
    solid = splats.opacities.detach().sigmoid() > SOLID
    chosen = mine & solid if int((mine & solid).sum()) >= FEWEST_SPLATS else mine
    if int(chosen.sum()) < FEWEST_SPLATS:
        raise SegmentError(
            f"{name} is made of {int(mine.sum())} splats; a body needs at least {FEWEST_SPLATS}. Take photos from "
            "closer, or merge it with the object that it belongs to."
        )
    points = _without_strays(splats.means[chosen].detach().double().cpu().numpy())
    support = support_under(points, supports)
    axes = upright_axes(up if support is None else support.normal)
    core = points[_within(points @ axes.T)]
    angle, _, _ = tight_turn(core @ axes[:2].T)
    c, s = np.cos(angle), np.sin(angle)
    axes = np.stack([c * axes[0] + s * axes[1], c * axes[1] - s * axes[0], axes[2]])
    low, high = np.quantile(points @ axes.T, [TRIM, 1 - TRIM], axis=0)
    if support is not None:
        low[2] = support.offset
    sides = np.maximum(high - low, 1e-9)
    distance = min(float(np.linalg.norm(camera.position.double().numpy() - points.mean(0))) for camera in cameras)
    focal = max(float(camera.fitted(480).K[0, 0]) for camera in cameras)
    cell = max(min(sides.max() / ALONG, sides.min() / ACROSS), 0.5 * distance / focal, sides.max() / 250)
    margin = MARGIN * sides.max()
    low, high = low - margin, high + margin
    if support is not None:
        low[2] = support.offset - 1.5 * cell
    return Grid.around(low, high, axes, cell), support


def _without_strays(points: NDArray) -> NDArray[np.float64]:
    """Points (M, 3) less those that a wide gap along an axis parts from the rest: they would stretch the grid."""
    low, high = np.quantile(points, [0.1, 0.9], axis=0)
    widest = STRAY * float((high - low).max())
    kept = np.ones(len(points), dtype=bool)
    for axis in range(3):
        values = np.sort(points[:, axis])
        wide = np.diff(values) > widest
        above, below = wide & (values[:-1] >= high[axis]), wide & (values[1:] <= low[axis])
        if above.any():
            kept &= points[:, axis] <= values[np.flatnonzero(above)[0]]
        if below.any():
            kept &= points[:, axis] >= values[np.flatnonzero(below)[-1] + 1]
    return points[kept]


def _within(points: NDArray) -> NDArray[np.bool_]:
    low, high = np.quantile(points, [TRIM, 1 - TRIM], axis=0)
    return ((points >= low) & (points <= high)).all(axis=1)


def _collider(name: str, volume: Volume | None, support: SupportPlane | None, up: NDArray) -> Collider:
    if volume is None:
        raise SegmentError(f"No photo shows {name}, so it has no shape. Leave it out, or take photos that show it.")
    mesh = mesh_of_field(carve(volume, support), volume.grid, name)
    return Collider(mesh, _unseen(mesh, volume, support), support, up, volume.views)


def _unseen(mesh: TriangleMesh, volume: Volume, support: SupportPlane | None) -> NDArray[np.bool_]:
    """Faces that no view looked at: hidden ones, and those that lie on the support."""
    from scipy.ndimage import map_coordinates

    grid = volume.grid
    corners = mesh.vertices[mesh.faces]
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-30)
    middle = corners.mean(axis=1)
    place = ((middle + grid.cell * normals) @ grid.axes.T - grid.low) / grid.cell - 0.5
    unseen = map_coordinates(volume.weight, place.T, order=1, mode="nearest") < SHOWN
    if support is not None:
        unseen |= (support.heights(middle) < 1.5 * grid.cell) & (normals @ support.normal < -0.7)
    return unseen
