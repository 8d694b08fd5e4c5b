"""How far the colliders of the shipped capture's objects are from its ground truth.

A collider comes as a triangle mesh in the world of assets/tabletop/ground_truth.yaml and leaves as a few numbers:
centre of mass, volume and inertia of the uniform solid; for the mug also the wall and the depth of its hollow, probed
by rays from its axis; and whether one collider can be put into another.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray

from dynamics import TriangleMesh, mass_properties
from dynamics.poses import rotation_from_wxyz

__all__ = ["Truth", "fit_clearance", "hollow_scores", "load_truth", "solid_scores"]


@dataclass(frozen=True, eq=False)
class Truth:
    """One object as it really is, in the world."""

    name: str
    rotation: NDArray[np.float64]
    """World from body, shape (3, 3)."""
    origin: NDArray[np.float64]
    """Body frame's origin in the world [m], shape (3,)."""
    com: NDArray[np.float64]
    """In the world [m], shape (3,)."""
    volume: float
    """[m^3]"""
    inertia_per_mass: NDArray[np.float64]
    """About the centre of mass in the world's axes [m^2], shape (3, 3)."""
    dimensions: dict[str, Any]


def load_truth(capture: Path) -> dict[str, Truth]:
    """Ground truth of all objects of assets/tabletop by name."""
    import torch

    document = yaml.safe_load((capture / "ground_truth.yaml").read_text(encoding="utf-8"))
    truths = {}
    for thing in document["objects"]:
        pose = np.asarray(thing["T_world_body"], dtype=np.float64)
        R = rotation_from_wxyz(torch.from_numpy(pose[3:])).numpy()
        com = R @ np.asarray(thing["com"]) + pose[:3]
        inertia = R @ np.asarray(thing["inertia"]) @ R.T / thing["mass"]
        truths[thing["name"]] = Truth(
            thing["name"], R, pose[:3], com, thing["volume"], inertia, thing.get("dimensions", {})
        )
    return truths


def solid_scores(truth: Truth, mesh: TriangleMesh) -> dict[str, float]:
    """``com_mm``, ``volume_percent`` (signed) and ``inertia_percent`` (Frobenius, mass-normalised)."""
    found = mass_properties(mesh, 1.0)
    inertia = np.asarray(found.inertia) / found.mass
    return {
        "com_mm": 1e3 * float(np.linalg.norm(found.com - truth.com)),
        "volume_percent": 100 * (found.volume / truth.volume - 1),
        "inertia_percent": 100
        * float(np.linalg.norm(inertia - truth.inertia_per_mass) / np.linalg.norm(truth.inertia_per_mass)),
    }


def hollow_scores(truth: Truth, mesh: TriangleMesh) -> dict[str, float]:
    """``wall_median_mm``, ``wall_p95_mm`` of a cup's inner wall, ``depth_mm`` (signed) of its hollow.

    Where a ray from the axis meets no wall at all the wall is as wrong as the radius.
    """
    radius, depth, floor = (truth.dimensions[key] for key in ("inner_radius", "cavity_depth", "floor_thickness"))
    scene = _scene(mesh)
    heights, angles = np.meshgrid(np.linspace(floor + 0.004, floor + depth - 0.004, 40), np.arange(72) * np.pi / 36)
    start = np.stack([0 * heights, 0 * heights, heights], axis=-1).reshape(-1, 3)
    way = np.stack([np.cos(angles), np.sin(angles), 0 * angles], axis=-1).reshape(-1, 3)
    hit = _cast(scene, start @ truth.rotation.T + truth.origin, way @ truth.rotation.T)
    wrong = np.abs(np.where(np.isfinite(hit), hit, 2 * radius) - radius)
    # A ray that starts inside the solid meets the outside of the wall, or the hollow's wall from behind.
    inside = scene.compute_occupancy(_tensor(start @ truth.rotation.T + truth.origin)).numpy() > 0
    wrong[inside] = radius
    turns = np.arange(72) * np.pi / 36
    rim = np.median(_drop(scene, truth, np.full(72, radius + 0.5 * truth.dimensions["wall_thickness"]), turns))
    bottom = np.median(_drop(scene, truth, np.full(72, 0.5 * radius), turns))
    return {
        "wall_median_mm": 1e3 * float(np.median(wrong)),
        "wall_p95_mm": 1e3 * float(np.quantile(wrong, 0.95)),
        "depth_mm": 1e3 * float(rim - bottom - depth),
    }


def fit_clearance(cup: Truth, mesh: TriangleMesh, thing: TriangleMesh) -> float:
    """The clearance [mm], negative for overlap, of a thing put upright into a cup, at the best place of a few.

    The thing is moved so that its middle is on the cup's axis, half a millimetre above the hollow's floor, and tried
    up to 4 mm aside.
    """
    scene = _scene(mesh)
    turns = np.arange(24) * np.pi / 12
    low, high = thing.bounds
    reach = 0.5 * float(max(high[:2] - low[:2]))
    floor = max(float(_drop(scene, cup, np.full(24, share * reach), turns).max()) for share in (0.0, 0.5, 0.95))
    middle = 0.5 * (low + high)
    target = np.array([cup.origin[0], cup.origin[1], cup.origin[2] + floor + 5e-4])
    points = _dense(thing) - np.array([middle[0], middle[1], low[2]]) + target
    best = -np.inf
    for x in np.linspace(-0.004, 0.004, 9):
        for y in np.linspace(-0.004, 0.004, 9):
            away = scene.compute_signed_distance(_tensor(points + np.array([x, y, 0.0]))).numpy()
            best = max(best, float(away.min()))
    return 1e3 * best


def _drop(scene: Any, truth: Truth, radius: NDArray, angle: NDArray) -> NDArray[np.float64]:
    """Height in the body frame where rays from above meet the mesh at places around the axis."""
    above = 1.0
    start = np.stack([radius * np.cos(angle), radius * np.sin(angle), np.full_like(angle, above)], axis=-1)
    hit = _cast(scene, start @ truth.rotation.T + truth.origin, np.tile(-truth.rotation[:, 2], (len(angle), 1)))
    return above - np.where(np.isfinite(hit), hit, above)


def _dense(mesh: TriangleMesh) -> NDArray[np.float64]:
    corners = mesh.vertices[mesh.faces]
    return np.concatenate([mesh.vertices, corners.mean(axis=1)])


def _scene(mesh: TriangleMesh) -> Any:
    o3d: Any = import_module("open3d")

    scene = o3d.t.geometry.RaycastingScene()
    scene.add_triangles(mesh.vertices.astype(np.float32), mesh.faces.astype(np.uint32))
    return scene


def _tensor(values: NDArray) -> Any:
    o3d: Any = import_module("open3d")

    return o3d.core.Tensor(np.ascontiguousarray(values, dtype=np.float32))


def _cast(scene: Any, start: NDArray, way: NDArray) -> NDArray[np.float64]:
    rays = np.concatenate([start, way], axis=1)
    return scene.cast_rays(_tensor(rays))["t_hit"].numpy().astype(np.float64)
