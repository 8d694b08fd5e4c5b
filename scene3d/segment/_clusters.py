"""What stands on a support, as clusters of surface points.

Points that are higher above the support than its noise explains, within its outline -> occupied voxels -> connected
components -> those that rise high enough, stand on the support and are seen enough. Splats are more than their centres:
each is sampled over its ellipse, so that a smooth side made of a few large splats holds together. A component's foot,
the low strip that the threshold cuts off, is given back to it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from scene3d.segment._cluster_ground import Band, Ground, levelled_heights
from scene3d.segment._find_supports import inside_outline

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from scene3d._support import SupportPlane
    from scene3d.segment._surface_points import Surface

__all__ = ["Cluster", "find_clusters"]

VOXEL = 0.006
"""Edge of a voxel, as a share of the distance from the cameras."""
HIGHEST = 0.8
"""Nothing on the support is higher, as a share of the distance: there are lamps and ceilings."""
REACH = 2.3
"""Voxels whose middles are closer than this many edges touch."""
LEAST_SEEN = 4e-4
"""Least weight of an object, as a share of all weight."""
LEAST_INSIDE = 0.7
"""Share of an object's weight that is within the outline; what is beside a table may lean over its edge."""
FEWEST_VOXELS = 12
FLAT = 2.0
"""What lies beside a tall object and is lower than this many least heights is something flat that it touches."""
TALL = 4.0
"""An object is tall from this many least heights on."""
MOST_EXTENT = 0.7
"""An object is shorter than this share of its support's longest diagonal: beyond are walls and the table itself."""


@dataclass(frozen=True, eq=False)
class Cluster:
    """Points of one object."""

    points: NDArray[np.int64]
    """Indices of its surface points."""
    support: int
    """Which support it stands on."""
    size: float
    """Diagonal of its bounding box [scene units]."""


def find_clusters(surface: Surface, support: SupportPlane, band: Band, index: int = 0) -> list[Cluster]:
    """Objects on a support, the largest first.

    Args:
        surface: Points on surfaces.
        support: What they stand on.
        band: As from `height_band`.
        index: Number of the support, for the result.
    """
    voxel = VOXEL * surface.distance
    inside = inside_outline(support, surface.points)
    heights = levelled_heights(surface, support, band)
    near = (inside > -0.5 * HIGHEST * surface.distance) & (heights < HIGHEST * surface.distance)
    high = np.flatnonzero(near & (heights > band.object))
    if len(high) < FEWEST_VOXELS:
        return []
    ground = Ground.of(surface, support, heights, inside, band)
    parts: list[NDArray[np.int64]] = []
    for members in _groups(high, _components(surface, high, voxel)):
        parts += _without_flat(surface, ground, members, heights, band, voxel)
    clusters = [
        members
        for members in parts
        if _stands(surface, support, members, heights, inside, band, voxel)
        and ground.surrounds(surface.points[members])
    ]
    low = np.flatnonzero(near & (heights > band.foot) & (heights <= band.object))
    feet = _feet(surface, support, clusters, low, max(band.object, 1.5 * voxel))
    found = []
    for members, foot in zip(clusters, feet, strict=True):
        both = np.sort(np.concatenate([members, foot]))
        size = float(np.linalg.norm(np.ptp(surface.points[members], axis=0)))
        found.append(Cluster(both, index, size))
    return sorted(found, key=lambda cluster: -cluster.size)


def _samples(
    surface: Surface, index: NDArray[np.int64], spacing: float
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Places (S, 3) over the ellipses of surface points, and which of ``index`` each belongs to (S,)."""
    axes = surface.axes[index]
    lengths = np.linalg.norm(axes, axis=-1)
    # One standard deviation to either side; what is farther out is too faint to be a surface.
    counts = np.clip(np.ceil(2 * lengths / spacing), 1, 9).astype(np.int64)
    places, owners = [surface.points[index]], [np.arange(len(index))]
    for m in np.unique(counts[:, 0]):
        for n in np.unique(counts[counts[:, 0] == m, 1]):
            group = np.flatnonzero((counts == (m, n)).all(axis=1))
            a, b = (np.linspace(-1, 1, k) if k > 1 else np.zeros(1) for k in (m, n))
            grid = np.stack([g.ravel() for g in np.meshgrid(a, b, indexing="ij")], axis=1)
            grid = grid[(grid**2).sum(axis=1) <= 1 + 1e-9]
            spots = surface.points[index[group]][:, None] + grid @ axes[group]
            places.append(spots.reshape(-1, 3))
            owners.append(np.repeat(group, len(grid)))
    return np.concatenate(places), np.concatenate(owners)


def _components(surface: Surface, index: NDArray[np.int64], voxel: float) -> NDArray[np.int64]:
    """Connected component of each point of ``index``, -1 for specks, shape (len(index),)."""
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components
    from scipy.spatial import KDTree

    places, owner = _samples(surface, index, voxel)
    cells, cell_of = np.unique(np.floor(places / voxel).astype(np.int64), axis=0, return_inverse=True)
    cell_of = cell_of.ravel()
    share = surface.weights[index] / np.bincount(owner, minlength=len(index))
    weight = np.bincount(cell_of, share[owner], minlength=len(cells))
    # A voxel that a sensor hit by chance, or that a wisp of a splat reaches, must not be a bridge.
    solid = weight > 0.25 * np.median(weight)
    number = np.cumsum(solid) - 1
    pairs = KDTree(cells[solid].astype(float)).query_pairs(REACH, output_type="ndarray")
    graph = coo_matrix((np.ones(len(pairs)), (pairs[:, 0], pairs[:, 1])), shape=(int(solid.sum()),) * 2)
    _, component = connected_components(graph, directed=False)
    sizes = np.bincount(component)
    component = np.where(sizes[component] >= FEWEST_VOXELS, component, -1)
    of_sample = np.where(solid[cell_of], component[number[cell_of]], -1)
    result = np.full(len(index), -1)
    # The centre's component where it has one, else that of any sample.
    for part in (slice(len(index), None), slice(0, len(index))):
        good = of_sample[part] >= 0
        result[owner[part][good]] = of_sample[part][good]
    return result


def _groups(index: NDArray[np.int64], component: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    return [index[component == number] for number in range(component.max() + 1) if (component == number).any()]


def _without_flat(
    surface: Surface,
    ground: Ground,
    members: NDArray[np.int64],
    heights: NDArray[np.float64],
    band: Band,
    voxel: float,
) -> list[NDArray[np.int64]]:
    """A tall component without flat things that it touches, as a mug without the magazine beside it, and those."""
    h = heights[members]
    low = FLAT * band.object
    if np.quantile(h, 0.98) < TALL * band.object:
        return [members]
    cores = _groups(members[h > low], _components(surface, members[h > low], voxel))
    if not cores:
        return [members]
    # What lies right around a core is its own foot, and the rest is flat.
    flat = members[h <= low]
    owner, away = ground.nearest(surface.points[flat], [surface.points[core] for core in cores])
    beside = away > 1.5 * voxel
    if beside.sum() < FEWEST_VOXELS:
        owner_all, _ = ground.nearest(surface.points[members], [surface.points[core] for core in cores])
        return [members[owner_all == number] for number in range(len(cores))] if len(cores) > 1 else [members]
    parts = [np.sort(np.concatenate([core, flat[~beside & (owner == i)]])) for i, core in enumerate(cores)]
    return parts + _groups(flat[beside], _components(surface, flat[beside], voxel))


def _stands(
    surface: Surface,
    support: SupportPlane,
    members: NDArray[np.int64],
    heights: NDArray[np.float64],
    inside: NDArray[np.float64],
    band: Band,
    voxel: float,
) -> bool:
    """Whether a component is an object on the support."""
    weights = surface.weights[members]
    if weights.sum() < LEAST_SEEN * surface.weights.sum():
        return False
    if weights[inside[members] > 0].sum() < LEAST_INSIDE * weights.sum():
        return False
    h = heights[members]
    bottom, top = np.quantile(h, 0.02), np.quantile(h, 0.98)
    if bottom > band.object + max(2.5 * voxel, 0.25 * (top - bottom)):
        return False
    foot = members[h < bottom + 0.15 * (top - bottom) + voxel]
    if np.median(inside[foot]) < 0:
        return False
    extent = np.linalg.norm(np.ptp(surface.points[members], axis=0))
    return bool(extent < MOST_EXTENT * np.linalg.norm(np.ptp(support.outline, axis=0)))


def _feet(
    surface: Surface, support: SupportPlane, clusters: list[NDArray[np.int64]], low: NDArray[np.int64], reach: float
) -> list[NDArray[np.int64]]:
    """The low points that lie below or right beside each cluster's footprint."""
    from scipy.spatial import KDTree

    if not clusters:
        return []
    owner = np.repeat(np.arange(len(clusters)), [len(members) for members in clusters])
    points = surface.points[np.concatenate(clusters)]

    def flat(positions: NDArray) -> NDArray:
        return positions - np.outer(support.heights(positions), support.normal)

    away, nearest = KDTree(flat(points)).query(flat(surface.points[low]), distance_upper_bound=reach)
    belongs = np.where(np.isfinite(away), owner[np.minimum(nearest, len(owner) - 1)], -1)
    return [low[belongs == number] for number in range(len(clusters))]
