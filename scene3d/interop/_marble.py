"""A generated world as Marble exports it (splats and a collider mesh) -> scene.

Both are in one frame with y down and z forward, of units that ``metric_scale_factor`` of the world's metadata turns
into metres, with the floor at ``ground_plane_offset`` [docs.worldlabs.ai, "Rendering Marble SPZ files"]. Here the world
stands upright, Z up, its floor at 0. Readers of SPZ differ in whether they turn its axes; which way the splats fit the
collider is therefore measured, not assumed.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from scene3d._errors import FileFormatError, UsageError

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from dynamics import Body, TriangleMesh
    from scene3d._gaussians import Gaussians
    from scene3d._scene import Scene
    from scene3d._support import SupportPlane

__all__ = ["read_marble"]

FROM_Y_DOWN = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.0, -1.0, 0.0]])
"""Rotation of a world with y down and z forward to one with Z up."""
HALF_TURN = np.diag([1.0, -1.0, -1.0])
"""What separates the axes of SPZ from those of a 3DGS PLY."""
SAMPLES = 20_000
"""Splats and points of the mesh that are compared."""
SOLID = 0.0
"""Logit of the opacity from which a splat counts as surface."""
LEVEL = 0.985
"""Cosine of the slope, 10 degrees, up to which a face is level."""
FEWEST_LEVEL = 0.02
"""Share of the mesh's area that a floor has at least."""


def read_marble(splats: Path, collider: Path, *, unit: float | None = None, ground: float = 0.0) -> Scene:
    """Read splats and the collider of their world.

    Args:
        splats: Splat file of any format that is read.
        collider: Mesh in the same frame (.glb, .obj, .stl or .ply).
        unit: Metres per unit, ``metric_scale_factor``; None leaves the scene without scale.
        ground: ``ground_plane_offset``: where the floor is along y, after scaling.

    Returns:
        All splats as background, the collider as the static body ``world``, its largest level part as support.

    Raises:
        FileFormatError: A file is missing, damaged or of a kind that is not read.
        UsageError: `unit` is not above zero.
    """
    from scene3d._scene import Scene
    from scene3d._scene_object import SceneObject
    from scene3d.capture._similarity import Similarity, transform_splats
    from scene3d.files import load_splats
    from scene3d.interop._mesh_file import load_mesh

    if unit is not None and not (np.isfinite(unit) and unit > 0):
        raise UsageError(f"Found a unit of {unit:g} metres; it takes a number above zero.")
    found, mesh = load_splats(splats), load_mesh(collider)
    own = replace(found.splats, component_index=found.splats.component_index * 0)
    turned = _is_turned(own, mesh)
    if turned:
        own = transform_splats(own, Similarity(R=HALF_TURN))
    upright = Similarity(unit or 1.0, FROM_Y_DOWN, np.array([0.0, 0.0, ground]))
    placed = replace(mesh, vertices=upright.points(mesh.vertices))
    notes = [*found.notes]
    if turned:
        notes.append("The splats were turned by half a turn about x, which is how they fit the collider.")
    world = SceneObject(_static_body(placed), (0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0), guessed=("mass", "friction"))
    support = _floor(placed)
    source: dict[str, Any] = {"imported_from": str(splats), "collider": str(collider), "notes": notes}
    return Scene(
        splats=transform_splats(own, upright),
        metric=unit is not None,
        source=source,
        scale_source="import" if unit is not None else "",
        objects=(world,),
        supports=() if support is None else (support,),
    )


def _is_turned(splats: Gaussians, mesh: TriangleMesh) -> bool:
    """True when the splats lie closer to the collider after half a turn about x."""
    import trimesh
    from scipy.spatial import KDTree

    solid = splats.means[splats.opacities > SOLID].double().cpu().numpy()
    if not len(solid):
        raise FileFormatError(
            "None of the splats is solid, so they cannot be fitted to the collider. Export them again."
        )
    solid = solid[:: -(-len(solid) // SAMPLES)]
    shape = trimesh.Trimesh(mesh.vertices, mesh.faces, process=False)
    surface = np.asarray(trimesh.sample.sample_surface(shape, SAMPLES, seed=0)[0])
    tree = KDTree(surface)
    as_is, turned = (float(np.median(tree.query(points)[0])) for points in (solid, solid @ HALF_TURN))
    return turned < as_is


def _static_body(mesh: TriangleMesh) -> Body:
    """A body that never moves; its mesh may be open, so its mass is that of its box, which nothing will ask for."""
    from dynamics import Body, find_material

    material = find_material("unknown")
    low, high = mesh.bounds
    sides = np.maximum(high - low, 1e-6)
    mass = float(material.density * sides.prod())
    inertia = np.diag(mass / 12 * ((sides**2).sum() - sides**2))
    return Body("world", mesh, material, mass, (low + high) / 2, inertia, motion="static", mass_log_std=1.0)


def _floor(mesh: TriangleMesh) -> SupportPlane | None:
    """The height at which most level area of a mesh lies, faced from above; None when little is level."""
    from scene3d._support import SupportPlane

    corners = mesh.vertices[mesh.faces]
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    areas = np.linalg.norm(normals, axis=1)
    level = normals[:, 2] > LEVEL * np.maximum(areas, 1e-300)
    if areas[level].sum() < FEWEST_LEVEL * areas.sum():
        return None
    heights = corners[level, :, 2].mean(axis=1)
    bins = np.linspace(heights.min(), heights.max() + 1e-9, 101)
    histogram, _ = np.histogram(heights, bins, weights=areas[level])
    best = int(histogram.argmax())
    near = (heights >= bins[max(best - 1, 0)]) & (heights <= bins[min(best + 2, 100)])
    weights = areas[level][near]
    offset = float(np.average(heights[near], weights=weights))
    noise = float(np.sqrt(np.average((heights[near] - offset) ** 2, weights=weights)))
    points = corners[level][near].reshape(-1, 3)[:, :2]
    outline = _hull_2d(points)
    lifted = np.column_stack([outline, np.full(len(outline), offset)])
    return SupportPlane(np.array([0.0, 0.0, 1.0]), offset, noise, lifted)


def _hull_2d(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Corners of the convex hull (K, 2), counter-clockwise."""
    from scipy.spatial import ConvexHull

    return points[ConvexHull(points).vertices]
