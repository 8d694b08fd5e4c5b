"""What a stage says of its deformables, for comparing: paths of deformable prims in, particles with masses out.

A deformable is a prim with a pose and, at or below it, one geometry that is simulated: tetrahedra, a curve or a surface
(`sim_bridge.usd._deformable_prims`). One whose masses are left to the engine cannot be compared and is named instead.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from sim_bridge.engines._stage_bodies import StageThing, name_of, schemas_of
from sim_bridge.engines._stage_places import is_scaled, matrix_of, moved, pose_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

__all__ = ["StageSoft", "read_soft"]


@dataclass(frozen=True, eq=False)
class StageSoft(StageThing):
    """A deformable object; its corners are its particles, of a rope the ends of three axes through each of them."""

    geometry: str
    """Path of what is simulated."""
    particles: int
    """How many."""
    cells: int
    """How many tetrahedra, segments or faces join them."""


def read_soft(stage: Any, paths: Iterable[str]) -> tuple[tuple[StageSoft, ...], tuple[str, ...]]:
    """Read deformables of a stage.

    Args:
        stage: `Usd.Stage`.
        paths: As `read_bodies` finds them.

    Returns:
        The deformables, and names of those that say too little to be compared.
    """
    from pxr import Usd, UsdGeom

    places = UsdGeom.XformCache()
    found: list[StageSoft] = []
    left: list[str] = []
    for path in paths:
        prim = stage.GetPrimAtPath(path)
        geometry = next((each for each in Usd.PrimRange(prim) if _is_simulated(each)), None)
        soft = None if geometry is None or prim.IsInstanceProxy() else _soft(prim, geometry, places)
        if soft is None or any(other.name == soft.name for other in found):
            left.append(name_of(prim))
        else:
            found.append(soft)
    return tuple(found), tuple(left)


def _is_simulated(prim: Any) -> bool:
    return any(name.endswith("DeformableSimAPI") for name in schemas_of(prim))


def _soft(prim: Any, geometry: Any, places: Any) -> StageSoft | None:
    """None where masses are missing or anything is no number."""
    points, masses = (_array(geometry, name) for name in ("points", "physics:masses"))
    world = matrix_of(places, prim)
    counted = _cells(geometry)
    if counted is None or points.shape != (len(masses), 3) or not (np.isfinite(world).all() and masses.sum() > 0):
        return None
    if is_scaled(world):
        return None
    points = moved(points, np.linalg.inv(world) @ matrix_of(places, geometry))
    if not np.isfinite(points).all():
        return None
    cells, radius = counted
    axes = radius * np.concatenate([np.eye(3), -np.eye(3)]) @ world[:3, :3]
    return StageSoft(
        name=name_of(prim),
        path=str(prim.GetPath()),
        pose=pose_of(world),
        mass=float(masses.sum()),
        com=masses @ points / masses.sum(),
        corners=(points[:, None] + axes).reshape(-1, 3) if radius else points,
        geometry=str(geometry.GetPath()),
        particles=len(points),
        cells=cells,
    )


def _cells(geometry: Any) -> tuple[int, float] | None:
    """How many cells there are, and how far matter reaches beyond particles [m]; None for other geometry."""
    from pxr import UsdGeom

    if geometry.IsA(UsdGeom.TetMesh):
        return len(_array(geometry, "tetVertexIndices")), 0.0
    if geometry.IsA(UsdGeom.BasisCurves):
        counts, widths = _array(geometry, "curveVertexCounts"), _array(geometry, "widths")
        return int((counts - 1).sum()), float(widths.max(initial=0.0)) / 2
    if geometry.IsA(UsdGeom.Mesh):
        return len(_array(geometry, "faceVertexCounts")), 0.0
    return None


def _array(prim: Any, name: str) -> NDArray[np.float64]:
    value = prim.GetAttribute(name).Get()
    return np.array([] if value is None else value, dtype=np.float64)
